package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// The migrations bring a file from one version to the next; the first makes a
// new one. A file's version is its user_version.
//
//go:embed migrations/*.sql
var migrations embed.FS

const (
	// applicationID marks the file as ours, see "application_id" in SQLite's list
	// of pragmas.
	applicationID = 0x73736e68 // "ssnh"
	// Version is the newest version, and objects how many tables and triggers it has.
	Version = 5
	objects = 19
)

// ErrDamaged means that the file is not, or no longer, a database of
// sshnotify. Only a ReadOnly or an Existing one returns it; another one begins anew, see
// Notice.
var ErrDamaged = errors.New("the database is damaged")

var errEmpty = fmt.Errorf("the database is empty: %w", fs.ErrNotExist)

// NewerError means that a newer sshnotify wrote the file, which is left as it is.
type NewerError struct {
	Version int // of the file
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the database has version %d, written by a newer sshnotify; this one reads version %d", e.Version, Version)
}

// OlderError means that an older sshnotify wrote the file, which who only reads does not
// bring up to date.
type OlderError struct {
	Version int // of the file
}

func (e *OlderError) Error() string {
	return fmt.Sprintf("the database still has version %d, of an older sshnotify; this one reads version %d", e.Version, Version)
}

// Current returns an OlderError where the file is of an older version, as a ReadOnly
// one may find it.
func (d *DB) Current(ctx context.Context) error {
	return d.Read(ctx, ReadLimit, func(t *Tx) error {
		var v int
		if _, err := t.One([]any{&v}, "SELECT user_version FROM pragma_user_version"); err != nil || v >= Version {
			return err
		}
		return &OlderError{v}
	})
}

// migrate brings the file to the newest version, or returns why it can't. A
// reader takes an older version as it is.
func migrate(ctx context.Context, c *sql.Conn, readOnly bool) error {
	version, err := versionOf(ctx, c)
	if err != nil || version == Version {
		return err
	}
	if readOnly {
		if version == 0 {
			return errEmpty
		}
		return nil
	}
	// The log lets others read while the worker writes. A file system that can't
	// have it stays with SQLite's own default, and SQLite says which it became.
	var mode string
	if err := c.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&mode); err != nil {
		return err
	}
	for v := version + 1; v <= Version; v++ {
		script, err := migrations.ReadFile(fmt.Sprintf("migrations/%d.sql", v))
		if err != nil {
			return err
		}
		if err := upgrade(ctx, c, v, string(script)); err != nil {
			return fmt.Errorf("version %d: %w", v, err)
		}
	}
	return nil
}

// upgrade brings the file to version v by a script. Who closes the connection
// after an error undoes what is not committed.
func upgrade(ctx context.Context, c *sql.Conn, v int, script string) error {
	if _, err := c.ExecContext(ctx, beginWrite); err != nil {
		return err
	}
	now, err := versionOf(ctx, c)
	if err != nil {
		return err
	}
	if now < v { // two processes may find the same file
		script = fmt.Sprintf("%s; PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", script, applicationID, v)
	} else {
		script = "COMMIT"
	}
	_, err = c.ExecContext(ctx, script)
	return err
}

// versionOf returns the version of a file, 0 for an empty one.
func versionOf(ctx context.Context, c *sql.Conn) (int, error) {
	var app, version, n int
	err := c.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),
		(SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'trigger') AND name NOT LIKE 'sqlite_%')`).Scan(&app, &version, &n)
	switch {
	case err != nil:
		return 0, err
	case app == 0 && version == 0 && n == 0:
		return 0, nil
	case app != applicationID:
		return 0, fmt.Errorf("%w: not sshnotify's", ErrDamaged)
	case version > Version:
		return 0, &NewerError{version}
	case version <= 0 || version == Version && n != objects:
		return 0, fmt.Errorf("%w: no known version", ErrDamaged)
	}
	return version, nil
}
