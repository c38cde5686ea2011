package hub

import (
	"context"
	"database/sql"
	"io/fs"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

// inbox is a deliver.Inbox of what hosts handed over.
type inbox struct {
	db      *store.DB
	changed chan struct{}
	read    map[string][]byte // of events that were claimed, until they are read
}

func newInbox(db *store.DB) *inbox {
	return &inbox{db: db, changed: make(chan struct{}, 1), read: map[string][]byte{}}
}

// Inbox returns what hosts handed over, for the hub's worker.
func (h *Hub) Inbox() deliver.Inbox { return h.inbox }

func (b *inbox) signal() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// Changed implements deliver.Inbox.
func (b *inbox) Changed() <-chan struct{} { return b.changed }

// Claimed implements deliver.Inbox.
func (b *inbox) Claimed() (all []deliver.Waiting, err error) {
	since := time.Now().Add(-fleet.FreshFor).UnixMilli()
	err = b.db.Read(context.Background(), store.BatchLimit, func(t *store.Tx) error {
		all = nil
		return t.Each(func(r *sql.Rows) error {
			var w deliver.Waiting
			err := r.Scan(&w.ID, &w.Fresh)
			all = append(all, w)
			return err
		}, `SELECT id, time >= ? FROM fleet_event WHERE data IS NOT NULL AND claimed = 1`, since)
	})
	return all, err
}

// Claim implements deliver.Inbox.
func (b *inbox) Claim(fresh bool, limit int) (ids []string, more bool, err error) {
	since := time.Now().Add(-fleet.FreshFor).UnixMilli()
	which := `time < ?`
	if fresh {
		which = `time >= ?`
	}
	var found map[string][]byte
	// Where there is nothing no lock is taken, that all who write wait for.
	look := func(t *store.Tx) error {
		ids, more, found = nil, false, map[string][]byte{}
		return t.Each(func(r *sql.Rows) error {
			var id string
			var data []byte
			if err := r.Scan(&id, &data); err != nil {
				return err
			}
			if more = len(ids) == limit; !more {
				ids, found[id] = append(ids, id), data
			}
			return nil
		}, `SELECT id, data FROM fleet_event WHERE data IS NOT NULL AND claimed = 0 AND `+which+` ORDER BY time LIMIT ?`, since, limit+1)
	}
	if err = b.db.Read(context.Background(), store.ReadLimit, look); err != nil || len(ids) == 0 {
		return nil, false, err
	}
	err = b.db.Write(context.Background(), store.WriteLimit, func(t *store.Tx) error {
		for _, id := range ids {
			if _, err := t.Exec(`UPDATE fleet_event SET claimed = 1 WHERE id = ?`, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	for id, data := range found {
		b.read[id] = data
	}
	return ids, more, nil
}

// Read implements deliver.Inbox.
func (b *inbox) Read(id string) (data []byte, err error) {
	if data, ok := b.read[id]; ok {
		delete(b.read, id)
		return data, nil
	}
	err = b.db.Read(context.Background(), store.ReadLimit, func(t *store.Tx) error {
		data = nil
		_, err := t.One([]any{&data}, `SELECT data FROM fleet_event WHERE id = ?`, id)
		return err
	})
	if err == nil && data == nil {
		err = fs.ErrNotExist
	}
	return data, err
}

// Write implements deliver.Inbox.
func (b *inbox) Write(id string, record []byte) error {
	return b.db.WriteDurably(context.Background(), store.WriteLimit, func(t *store.Tx) error {
		_, err := t.Exec(`UPDATE fleet_event SET data = ? WHERE id = ? AND data IS NOT NULL`, record, id)
		return err
	})
}

// Remove implements deliver.Inbox.
func (b *inbox) Remove(id string) (there bool, err error) {
	delete(b.read, id)
	err = b.db.Write(context.Background(), store.WriteLimit, func(t *store.Tx) error {
		res, err := t.Exec(`UPDATE fleet_event SET data = NULL, claimed = 0 WHERE id = ? AND data IS NOT NULL`, id)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		there = n > 0
		return err
	})
	return there, err
}
