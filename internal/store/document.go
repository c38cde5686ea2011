package store

import (
	"context"
	"database/sql"
	"encoding/json"
)

// Get returns the document of a kind and name, or the zero value where there is
// none that can be read as one.
func Get[T any](t *Tx, kind, name string) (T, error) {
	var doc, zero T
	var text string
	found, err := t.One([]any{&text}, `SELECT value FROM state WHERE kind = ? AND name = ?`, kind, name)
	if err != nil || !found || json.Unmarshal([]byte(text), &doc) != nil {
		return zero, err
	}
	return doc, nil
}

// Put keeps a document, in place of the one that had its kind and name.
func Put[T any](t *Tx, kind, name string, doc T) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = t.Exec(`INSERT OR REPLACE INTO state(kind, name, value) VALUES (?, ?, ?)`, kind, name, string(b))
	return err
}

// Load is Get in a transaction of its own. The first version, which a reader takes as
// it is, has no documents.
func Load[T any](ctx context.Context, d *DB, kind, name string) (doc T, err error) {
	err = d.Read(ctx, ReadLimit, func(t *Tx) error {
		var one int
		has, err := t.One([]any{&one}, `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'state'`)
		if has && err == nil {
			doc, err = Get[T](t, kind, name)
		}
		return err
	})
	return doc, err
}

// Update lets change alter a document, which other processes may alter at the
// same time, and keeps it unless change returns an error, which Update then
// returns. It may call change more than once.
func Update[T any](ctx context.Context, d *DB, kind, name string, change func(*T) error) error {
	return d.Write(ctx, WriteLimit, func(t *Tx) error {
		doc, err := Get[T](t, kind, name)
		if err == nil {
			err = change(&doc)
		}
		if err == nil {
			err = Put(t, kind, name, doc)
		}
		return err
	})
}

// GetAll returns all documents of a kind that can be read as one, by their names.
func GetAll[T any](t *Tx, kind string) (map[string]T, error) {
	all := map[string]T{}
	return all, t.Each(func(r *sql.Rows) error {
		var name, text string
		if err := r.Scan(&name, &text); err != nil {
			return err
		}
		var doc T
		if json.Unmarshal([]byte(text), &doc) == nil {
			all[name] = doc
		}
		return nil
	}, `SELECT name, value FROM state WHERE kind = ?`, kind)
}

// LoadAll is GetAll in a transaction of its own; see Load.
func LoadAll[T any](ctx context.Context, d *DB, kind string) (all map[string]T, err error) {
	err = d.Read(ctx, ReadLimit, func(t *Tx) error {
		var one int
		has, err := t.One([]any{&one}, `SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'state'`)
		if all = map[string]T{}; has && err == nil {
			all, err = GetAll[T](t, kind)
		}
		return err
	})
	return all, err
}

// Delete removes a document. Twice is the same as once.
func Delete(ctx context.Context, d *DB, kind, name string) error {
	return d.WriteDurably(ctx, WriteLimit, func(t *Tx) error {
		_, err := t.Exec(`DELETE FROM state WHERE kind = ? AND name = ?`, kind, name)
		return err
	})
}
