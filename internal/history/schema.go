package history

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// applicationID marks the file as ours, see "application_id" in SQLite's list
// of pragmas; schemaVersion is its user_version.
const (
	applicationID = 0x73736e68 // "ssnh"
	schemaVersion = 1
	schemaObjects = 7 // tables and triggers
)

// A group is the logins that have something in common. Its kind says what; a
// and b are the values.
type kind int

const (
	byHost     kind = iota // a host
	byUser                 // a user
	byUserHost             // a user, b host
	byAddress              // a user, b address
	byNetwork              // a user, b network
	byCountry              // a user, b country
	byKey                  // a user, b key
	byDetail               // b what many logins share and nobody asks by, as JSON
	kinds
)

// column is the one of login that holds the id of its group of a kind.
func (k kind) column() string {
	return [...]string{"g_host", "g_user", "g_user_host", "g_address", "g_network", "g_country", "g_key", "g_detail"}[k]
}

type group struct {
	kind kind
	a, b string
}

// detail is what is stored of a login as a whole.
type detail struct {
	Service string       `json:"service,omitempty"`
	Method  string       `json:"method,omitempty"`
	ASN     uint32       `json:"asn,omitempty"`
	ASName  string       `json:"as_name,omitempty"`
	Place   event.Place  `json:"place,omitzero"`
	Traits  event.Traits `json:"traits,omitzero"`
}

// asked are the groups that the memory of a login is about.
func (e Entry) asked() []group {
	g := []group{{byHost, e.Host, ""}, {byUser, e.User, ""}, {byUserHost, e.User, e.Host}}
	if e.IP.IsValid() {
		g = append(g, group{byAddress, e.User, e.IP.String()})
	}
	if n := e.network(); n != "" {
		g = append(g, group{byNetwork, e.User, n})
	}
	if e.Place.Country != "" {
		g = append(g, group{byCountry, e.User, e.Place.Country})
	}
	if e.Key != "" {
		g = append(g, group{byKey, e.User, e.Key})
	}
	return g
}

// groups are all that a login belongs to.
func (e Entry) groups() ([]group, error) {
	b, err := json.Marshal(detail{e.Service, e.Method, e.ASN, e.ASName, e.Place, e.Traits})
	if err != nil {
		return nil, err
	}
	return append(e.asked(), group{byDetail, "", string(b)}), nil
}

// schema gives the statements that make version 1. Times are milliseconds
// since 1970 in UTC.
func schema() []string {
	s := []string{
		`CREATE TABLE grp(
			id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL,
			n INTEGER NOT NULL DEFAULT 0, first INTEGER, last INTEGER,
			UNIQUE(kind, a, b))`,
		fmt.Sprintf(`CREATE INDEX grp_key ON grp(b, last) WHERE kind = %d`, byKey), // who else has this key
		`CREATE TABLE digest(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, before INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0)`,
		// Other ids of a login: what it was called before two sources turned out
		// to speak of the same.
		`CREATE TABLE alias(id TEXT PRIMARY KEY, login INTEGER NOT NULL) WITHOUT ROWID`,
		`CREATE INDEX alias_login ON alias(login)`,
		`CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`,
	}
	var columns, news, olds []string
	for k := range kinds {
		columns = append(columns, k.column()+" INTEGER")
		news = append(news, "new."+k.column())
		olds = append(olds, "old."+k.column())
	}
	s = append(s, `CREATE TABLE login(
			n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time INTEGER NOT NULL, ip BLOB, port INTEGER,
			severity INTEGER NOT NULL, usual INTEGER NOT NULL, source INTEGER NOT NULL, digest INTEGER, `+
		strings.Join(columns, ", ")+`)`,
		`CREATE INDEX login_time ON login(time)`,
		`CREATE INDEX login_untold ON login(time) WHERE usual = 1 AND digest IS NULL`,
		`CREATE INDEX login_digest ON login(digest) WHERE digest IS NOT NULL`)
	dropped := `DELETE FROM alias WHERE login = old.n;`
	for k := range kinds {
		c := k.column()
		if k == byDetail {
			dropped += fmt.Sprintf(`UPDATE grp SET n = n-1 WHERE id = old.%s;`, c)
			continue
		}
		s = append(s, fmt.Sprintf(`CREATE INDEX login_%s ON login(%s, time)`, c, c))
		dropped += fmt.Sprintf(`UPDATE grp SET n = n-1,
			first = CASE WHEN first = old.time THEN (SELECT min(time) FROM login WHERE %[1]s = old.%[1]s) ELSE first END,
			last = CASE WHEN last = old.time THEN (SELECT max(time) FROM login WHERE %[1]s = old.%[1]s) ELSE last END
			WHERE id = old.%[1]s;`, c)
	}
	return append(s,
		`CREATE TRIGGER login_added AFTER INSERT ON login BEGIN
			UPDATE grp SET n = n+1, first = min(coalesce(first, new.time), new.time), last = max(coalesce(last, new.time), new.time)
			WHERE id IN (`+strings.Join(news, ", ")+`);
		END`,
		`CREATE TRIGGER login_dropped AFTER DELETE ON login BEGIN `+dropped+
			`DELETE FROM grp WHERE id IN (`+strings.Join(olds, ", ")+`) AND n <= 0;
		END`,
		fmt.Sprintf(`PRAGMA application_id = %d`, applicationID),
		fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion),
	)
}

// NewerError means that a newer sshnotify wrote the file, which is left as it is.
type NewerError struct {
	Version int // of the file
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("the history has form %d, written by a newer sshnotify; this one knows form %d", e.Version, schemaVersion)
}

// settle makes sure that the file has the schema, making it if the file is
// new, or says why it can't have it.
func settle(ctx context.Context, c *conn, readOnly bool) error {
	ready, err := settled(ctx, c)
	if ready || err != nil {
		return err
	}
	if readOnly {
		return errEmpty
	}
	// The log lets others read while the worker writes. A file system that can't
	// have it stays with SQLite's own default, and SQLite says which it became.
	var mode string
	if err := c.conn.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&mode); err != nil {
		return err
	}
	// Two processes may find the same new file.
	return c.tx(ctx, true, func() error {
		if ready, err := settled(ctx, c); ready || err != nil {
			return err
		}
		for _, s := range schema() {
			if _, err := c.conn.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func settled(ctx context.Context, c *conn) (bool, error) {
	var app, version, objects int
	for _, q := range []struct {
		sql string
		to  *int
	}{{"PRAGMA application_id", &app}, {"PRAGMA user_version", &version}, {"SELECT count(*) FROM sqlite_schema WHERE type IN ('table', 'trigger') AND name NOT LIKE 'sqlite_%'", &objects}} {
		if err := c.conn.QueryRowContext(ctx, q.sql).Scan(q.to); err != nil {
			return false, err
		}
	}
	switch {
	case app == 0 && version == 0 && objects == 0:
		return false, nil
	case app != applicationID:
		return false, fmt.Errorf("%w: not a history of sshnotify", ErrDamaged)
	case version > schemaVersion:
		return false, &NewerError{version}
	case version < schemaVersion || objects != schemaObjects:
		return false, fmt.Errorf("%w: no known form", ErrDamaged)
	}
	return true, nil
}
