package fleet

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// CopyEvery is how often a host that stands by copies the hub's database.
	CopyEvery = 3 * time.Minute
	// copyTimeout bounds one copy on its way.
	copyTimeout = 10 * time.Minute
	copyFile    = "copy.db"
)

// CopyFile returns where the copy of the hub's database is.
func (c Credentials) CopyFile() string { return filepath.Join(c.dir, copyFile) }

// Standby keeps a copy of the hub's database beside the credentials of a host that may
// have one, so that it can take over.
type Standby struct {
	o      HTTPSOptions
	client *outbound.Client
	broken error
}

// NewStandby returns one that reaches nobody yet.
func NewStandby(o HTTPSOptions) *Standby {
	t, err := o.tls()
	return &Standby{o, outbound.New(outbound.Options{Timeout: copyTimeout, Proxy: o.Proxy, TLS: t, UserAgent: o.UserAgent}), err}
}

// Copy has the copy be the database as it is now. Errors are *Error.
func (s *Standby) Copy(ctx context.Context) error {
	if s.broken != nil {
		return &Error{Class: Refused, Err: s.broken}
	}
	if _, err := s.o.Credentials.Certificate(); err != nil {
		return &Error{Class: Refused, Err: err, Hint: joinHint}
	}
	d, err := state.MakeFolder(s.o.Credentials.dir)
	if err != nil {
		return &Error{Class: Again, Err: err}
	}
	defer d.Close()
	path := s.o.Credentials.CopyFile()
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return &Error{Class: Again, Err: err}
	}
	defer func() { _ = f.Cleanup() }()
	r, err := s.client.Do(ctx, outbound.Request{Purpose: "the hub's database", URL: outbound.NewSecret(strings.TrimSuffix(s.o.URL, "/") + PathCopy), To: f})
	if err != nil {
		return &Error{Class: Again, Err: err}
	}
	if r.Status != http.StatusOK {
		return refused(r, time.Now())
	}
	// What is no whole database would take the place of one that is.
	if err := whole(ctx, f.Name()); err != nil {
		return &Error{Class: Again, Err: err}
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return &Error{Class: Again, Err: err}
	}
	return nil
}

// whole checks a copy of a database.
func whole(ctx context.Context, path string) error {
	db, err := store.Open(path, store.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Check(ctx); err != nil {
		return errors.Join(errors.New("what the hub sent is no database"), err)
	}
	return nil
}

// Keep copies the database now and every CopyEvery until the context ends, and calls
// done after each try.
func (s *Standby) Keep(ctx context.Context, done func(at time.Time, err error)) {
	defer s.client.CloseIdleConnections()
	tick := time.NewTicker(CopyEvery)
	defer tick.Stop()
	for {
		begun := time.Now()
		if err := s.Copy(ctx); ctx.Err() == nil {
			done(begun, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
