package hub

import (
	"context"
	"database/sql"
	"io/fs"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// claimedOfHost is how many events of one host a worker has at a time: a quarter of
	// all that it takes, so that no host's flood keeps another's events out.
	claimedOfHost = 5000
	// claimAgain is after how many removed ones it is worth a look whether a host that
	// had as many may have more.
	claimAgain = claimedOfHost / 8
)

// inbox is a deliver.Inbox of what hosts handed over.
type inbox struct {
	db      *store.DB
	changed chan struct{}
	read    map[string][]byte // of events that were claimed, until they are read
	last    int64             // the host whose turn was last
	most    int               // claimedOfHost, but in tests
	crowded bool              // a host has so many, and more wait
	removed int               // since that was so
}

func newInbox(db *store.DB) *inbox {
	return &inbox{db: db, changed: make(chan struct{}, 1), read: map[string][]byte{}, most: claimedOfHost}
}

// NewInbox returns what hosts handed over to the hub of a database, for a worker that
// runs without the hub.
func NewInbox(db *store.DB) deliver.Inbox { return newInbox(db) }

// Waiting returns what hosts handed over and no worker is done with, by the ids of the
// events, as deliver.DecodeRecord reads it.
func Waiting(ctx context.Context, db *store.DB) (all map[string][]byte, err error) {
	err = db.Read(ctx, store.BatchLimit, func(t *store.Tx) error {
		all = map[string][]byte{}
		return t.Each(func(r *sql.Rows) error {
			var id string
			var data []byte
			err := r.Scan(&id, &data)
			all[id] = data
			return err
		}, `SELECT id, data FROM fleet_event WHERE data IS NOT NULL AND claimed IN (0, 1)`)
	})
	return all, err
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
	var crowded bool
	last := b.last
	// Where there is nothing no lock is taken, that all who write wait for.
	look := func(t *store.Tx) error {
		ids, more, crowded, found = nil, false, false, map[string][]byte{}
		hosts, err := b.hosts(t)
		for _, host := range hosts {
			if err != nil {
				return err
			}
			if len(ids) == limit {
				more = true
				break
			}
			var has int
			if _, err := t.One([]any{&has}, `SELECT count(*) FROM fleet_event WHERE data IS NOT NULL AND claimed = 1 AND host = ?`, host); err != nil {
				return err
			}
			free := max(0, b.most-has)
			take := min(max(1, limit/len(hosts)), free, limit-len(ids))
			n := 0
			err = t.Each(func(r *sql.Rows) error {
				var id string
				var data []byte
				if err := r.Scan(&id, &data); err != nil {
					return err
				}
				switch n++; {
				case n <= take:
					ids, found[id] = append(ids, id), data
				case take == free:
					crowded = true
				default:
					more = true
				}
				return nil
			}, `SELECT id, data FROM fleet_event WHERE data IS NOT NULL AND claimed = 0 AND host = ? AND `+which+` ORDER BY time LIMIT ?`, host, since, take+1)
			last = host
		}
		return err
	}
	if err = b.db.Read(context.Background(), store.ReadLimit, look); err != nil {
		return nil, false, err
	}
	if crowded && !b.crowded {
		b.crowded, b.removed = true, 0
	}
	if b.last = last; len(ids) == 0 {
		return nil, more, nil
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

// hosts returns those of which something is not claimed, beginning after the one whose
// turn was last.
func (b *inbox) hosts(t *store.Tx) (all []int64, err error) {
	err = t.Each(func(r *sql.Rows) error {
		var host int64
		err := r.Scan(&host)
		all = append(all, host)
		return err
	}, `WITH RECURSIVE h(host) AS (
			SELECT min(host) FROM fleet_event WHERE data IS NOT NULL AND claimed = 0
			UNION ALL SELECT (SELECT min(host) FROM fleet_event WHERE data IS NOT NULL AND claimed = 0 AND host > h.host) FROM h WHERE host IS NOT NULL)
		SELECT host FROM h WHERE host IS NOT NULL`)
	at, there := slices.BinarySearch(all, b.last)
	if there {
		at++
	}
	return slices.Concat(all[at:], all[:at]), err
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
	if b.removed++; b.crowded && b.removed >= min(claimAgain, b.most) {
		b.crowded = false
		b.signal()
	}
	return there, err
}
