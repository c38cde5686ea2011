package store

import (
	"context"
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

// Load is Get in a transaction of its own.
func Load[T any](ctx context.Context, d *DB, kind, name string) (doc T, err error) {
	err = d.Read(ctx, ReadLimit, func(t *Tx) (err error) {
		doc, err = Get[T](t, kind, name)
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
