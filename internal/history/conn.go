package history

import (
	"context"
	"database/sql"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// conn is one connection to the file, for one user at a time, with the
// statements that were prepared on it. database/sql's pool is not used as one:
// a transaction needs its own connection and its own statements anyway.
type conn struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// How much of the file a connection keeps in memory, in KiB with a sign before
// it. What is asked and written for a login is some 40 pages.
const (
	usualCache  = "-2000"
	importCache = "-32000"
)

// pragmas are run on each connection. SQLite does not wait for other processes
// (busy_timeout), because the driver may not heed a context while it does: use
// waits. secure_delete writes zeros over what is deleted; cell_size_check and
// trusted_schema are SQLite's advice for files that may have been tampered with
// (https://www.sqlite.org/security.html). Statements keep what they may have to
// undo in memory: it is a few pages.
var pragmas = [...]string{
	"busy_timeout = 0",
	"secure_delete = on",
	"cell_size_check = on",
	"trusted_schema = off",
	"cache_size = " + usualCache,
	"temp_store = memory",
	"synchronous = normal",
	"journal_size_limit = 4194304",
}

// dial opens the file, which must be there.
func dial(ctx context.Context, path string, readOnly bool) (*conn, error) {
	// The path is escaped, because "?" and "%" in it would mean something. With
	// mode=rw also for readers: one who finds a log that nobody else has open
	// must be able to make its index.
	u := url.URL{Scheme: "file", Path: path, OmitHost: true, RawQuery: "mode=rw"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	c, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	run := pragmas[:]
	if readOnly {
		run = append(run[:len(run):len(run)], "query_only = on")
	}
	for _, p := range run {
		if _, err := c.ExecContext(ctx, "PRAGMA "+p); err != nil {
			c.Close()
			db.Close()
			return nil, err
		}
	}
	return &conn{db: db, conn: c, stmts: map[string]*sql.Stmt{}}, nil
}

// close gives up the connection. It may run a last checkpoint.
func (c *conn) close() {
	for _, s := range c.stmts {
		s.Close()
	}
	c.conn.Close()
	c.db.Close()
}

func (c *conn) stmt(ctx context.Context, q string) (*sql.Stmt, error) {
	if s := c.stmts[q]; s != nil {
		return s, nil
	}
	s, err := c.conn.PrepareContext(ctx, q)
	if err == nil {
		c.stmts[q] = s
	}
	return s, err
}

func (c *conn) exec(ctx context.Context, q string, args ...any) (sql.Result, error) {
	s, err := c.stmt(ctx, q)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// each calls row for every row that a query gives; row may ask nothing else
// of the connection.
func (c *conn) each(ctx context.Context, row func(*sql.Rows) error, q string, args ...any) error {
	s, err := c.stmt(ctx, q)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads the first row of a query, or nothing: then it reports false.
func (c *conn) one(ctx context.Context, to []any, q string, args ...any) (found bool, err error) {
	err = c.each(ctx, func(r *sql.Rows) error {
		if found {
			return nil
		}
		found = true
		return r.Scan(to...)
	}, q, args...)
	return found && err == nil, err
}

// rollbackTimeout bounds undoing a transaction whose time is already up.
const rollbackTimeout = time.Second

// tx runs f in a transaction. One that writes takes its lock at once, because
// a reader that turns writer can't wait for another.
func (c *conn) tx(ctx context.Context, write bool, f func() error) error {
	begin := "BEGIN"
	if write {
		begin = "BEGIN IMMEDIATE"
	}
	if _, err := c.exec(ctx, begin); err != nil {
		return err
	}
	err := f()
	if err == nil {
		_, err = c.exec(ctx, "COMMIT")
	}
	if err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		// SQLite itself undoes a transaction on some errors, and then knows none.
		c.exec(undo, "ROLLBACK")
	}
	return err
}
