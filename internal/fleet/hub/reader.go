package hub

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Reader is somebody who may read the page, and do nothing else. It is no host: no
// credential of one reads the page, and none of the other's hands anything over.
type Reader struct {
	Name    string
	Made    time.Time
	Revoked time.Time // zero: it may read
}

// kindReader is the kind of document that a reader is; its name is the reader's.
const kindReader = "reader"

// readerDoc is a reader as it is stored.
type readerDoc struct {
	Token   []byte    `json:"token,omitempty"` // SHA-256; nil: it is revoked
	Made    time.Time `json:"made"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// NewReader returns a token to read the page with, which is a secret and is not kept.
// It holds until RevokeReaders, or until the name gets another, which replaced reports.
func (r *Registry) NewReader(ctx context.Context, name string) (token string, replaced bool, err error) {
	if !fleet.ValidName(name) {
		return "", false, fmt.Errorf("%q can't be the name of a reader: lower-case letters, digits and hyphens, at most 63", name)
	}
	var random [32]byte
	rand.Read(random[:]) // never fails since Go 1.24
	token = fleet.ReaderPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	sum := sha256.Sum256([]byte(token))
	err = r.db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		had, err := store.Get[readerDoc](t, kindReader, name)
		if err != nil {
			return err
		}
		replaced = had.Token != nil
		return store.Put(t, kindReader, name, readerDoc{Token: sum[:], Made: r.now().UTC()})
	})
	return token, replaced, err
}

// Readers returns all readers, by name.
func (r *Registry) Readers(ctx context.Context) (all []Reader, err error) {
	docs, err := store.LoadAll[readerDoc](ctx, r.db, kindReader)
	for name, d := range docs {
		all = append(all, Reader{Name: name, Made: d.Made, Revoked: d.Revoked})
	}
	slices.SortFunc(all, func(a, b Reader) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// UnknownReaderError is a reader that the hub does not know.
type UnknownReaderError struct{ Name string }

func (e *UnknownReaderError) Error() string { return fmt.Sprintf("this hub has no reader %s", e.Name) }

// RevokeReaders ends tokens. Either all are ended, or, with an error, none. Twice is the
// same as once.
func (r *Registry) RevokeReaders(ctx context.Context, names ...string) error {
	return r.db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
		for _, name := range names {
			d, err := store.Get[readerDoc](t, kindReader, name)
			switch {
			case err != nil:
				return err
			case d.Made.IsZero():
				return &UnknownReaderError{name}
			case d.Token == nil:
				continue
			}
			d.Token, d.Revoked = nil, r.now().UTC()
			if err := store.Put(t, kindReader, name, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// reader returns whose token it is; empty: nobody's.
func (r *Registry) reader(ctx context.Context, token string) (name string, err error) {
	if !strings.HasPrefix(token, fleet.ReaderPrefix) {
		return "", nil
	}
	sum := sha256.Sum256([]byte(token))
	docs, err := store.LoadAll[readerDoc](ctx, r.db, kindReader)
	for who, d := range docs {
		if bytes.Equal(d.Token, sum[:]) {
			name = who
		}
	}
	return name, err
}
