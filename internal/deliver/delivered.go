package deliver

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// deliveredFor is how long the id of a delivered event is remembered at least.
	// A session's id is remembered as long as its sshd lives, too.
	deliveredFor = 24 * time.Hour
	// databaseRest is how long a database that failed is left alone, so that a
	// backlog does not wait for it once an event.
	databaseRest = 30 * time.Second
)

// Delivered is an event that is done with: what is needed to know a second
// report of it, to match its logout, and to group repeats.
type Delivered struct {
	ID      string        `json:"id"`
	Time    time.Time     `json:"time"` // the event's
	At      time.Time     `json:"at"`   // when it was done with
	Kind    event.Kind    `json:"kind"`
	Via     event.Via     `json:"via"`
	Session event.Session `json:"session,omitzero"`
	User    string        `json:"user,omitempty"`
	Host    string        `json:"host,omitempty"`
	Service string        `json:"service,omitempty"`
	IP      string        `json:"ip,omitempty"`
	Group   string        `json:"group,omitempty"` // see groupKey
	Sent    []Sent        `json:"sent,omitempty"`
	Verdict event.Verdict `json:"verdict,omitzero"`
	Ignored bool          `json:"ignored,omitempty"`
	Ended   bool          `json:"ended,omitempty"` // its logout is done with, too
	Dead    bool          `json:"dead,omitempty"`  // it is a dead letter
	Of      string        `json:"of,omitempty"`    // of a witness: what it saw; empty: a login that was missed
}

// Sent says when a destination got an event.
type Sent struct {
	Dest string    `json:"dest"`
	At   time.Time `json:"at"`
}

func (t *Delivered) sentTo(dest string) (time.Time, bool) {
	for _, s := range t.Sent {
		if s.Dest == dest {
			return s.At, true
		}
	}
	return time.Time{}, false
}

// ReadDelivered returns what was done with at or after a time, the oldest first,
// of the spool in a folder; of all spools where that is empty.
func ReadDelivered(ctx context.Context, db *store.DB, spoolDir string, since time.Time) (all []*Delivered, err error) {
	q, args := `SELECT event FROM delivered WHERE at >= ?`, []any{since.UnixMilli()}
	if spoolDir != "" {
		q, args = q+` AND spool = ?`, append(args, spoolKey(spoolDir))
	}
	err = db.Read(ctx, store.BatchLimit, func(t *store.Tx) error {
		all = nil
		return t.Each(func(r *sql.Rows) error {
			var text string
			if err := r.Scan(&text); err != nil {
				return err
			}
			d := new(Delivered)
			if json.Unmarshal([]byte(text), d) == nil && event.ValidID(d.ID) {
				all = append(all, d)
			}
			return nil
		}, q+` ORDER BY at`, args...)
	})
	return all, err
}

// spoolKey names a spool in the database.
func spoolKey(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:4])
}

// deliveryLog is the delivered events of one spool, in memory and in the
// database. It is a memory, not a promise: what is lost of it can make a second
// message of one login, never none.
type deliveryLog struct {
	db        *store.DB
	spool     string // its key
	byID      map[string]*Delivered
	bySession map[event.Session]*Delivered // open sessions
	unsaved   []*Delivered
	rest      time.Time // until when the database is left alone
	alive     func(event.Session) (alive, sure bool)
}

// openDeliveryLog reads the log. There is always one: an error says that it is
// kept in memory for now.
func openDeliveryLog(db *store.DB, spoolDir string, now time.Time, alive func(event.Session) (alive, sure bool)) (*deliveryLog, error) {
	l := &deliveryLog{
		db: db, spool: spoolKey(spoolDir), alive: alive,
		byID: make(map[string]*Delivered), bySession: make(map[event.Session]*Delivered),
	}
	all, err := ReadDelivered(context.Background(), db, spoolDir, time.Time{})
	if err != nil {
		return l, err
	}
	for _, t := range all {
		l.put(t)
	}
	return l, l.prune(now)
}

// write changes the database, unless it failed a moment ago.
func (l *deliveryLog) write(f func(*store.Tx) error) error {
	if time.Now().Before(l.rest) {
		return errDatabaseRests
	}
	err := l.db.Write(context.Background(), store.WriteLimit, f)
	if err != nil {
		l.rest = time.Now().Add(databaseRest)
	}
	return err
}

var errDatabaseRests = errors.New("the database failed a moment ago, and is left alone")

// add records a delivered event. After an error it is recorded with a later one.
func (l *deliveryLog) add(t *Delivered) error {
	l.put(t)
	l.unsaved = append(l.unsaved, t)
	return l.flush()
}

// flush writes what is not in the database yet.
func (l *deliveryLog) flush() error {
	if len(l.unsaved) == 0 {
		return nil
	}
	err := l.write(func(tx *store.Tx) error {
		for _, t := range l.unsaved {
			b, err := json.Marshal(t)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(`INSERT OR REPLACE INTO delivered(spool, id, at, event) VALUES (?, ?, ?, ?)`, l.spool, t.ID, t.At.UnixMilli(), string(b)); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		l.unsaved = nil
	}
	return err
}

// rewrite puts all into a database that was made anew.
func (l *deliveryLog) rewrite() error {
	l.unsaved = l.unsaved[:0]
	for _, t := range l.byID {
		l.unsaved = append(l.unsaved, t)
	}
	return l.flush()
}

// prune forgets what is old.
func (l *deliveryLog) prune(now time.Time) error {
	var old []string
	for id, t := range l.byID {
		if !l.old(t, now) {
			continue
		}
		if l.bySession[key(t.Session)] == t {
			delete(l.bySession, key(t.Session))
		}
		delete(l.byID, id)
		old = append(old, id)
	}
	if len(old) == 0 {
		return nil
	}
	return l.write(func(tx *store.Tx) error {
		for _, id := range old {
			if _, err := tx.Exec(`DELETE FROM delivered WHERE spool = ? AND id = ?`, l.spool, id); err != nil {
				return err
			}
		}
		return nil
	})
}

// old reports whether an event need not be remembered any more.
func (l *deliveryLog) old(t *Delivered, now time.Time) bool {
	age := now.Sub(t.At).Abs()              // the clock may have been set back
	if t.Of != "" && age >= witnessMemory { // each session has one
		return true
	}
	if age < deliveredFor {
		return false
	}
	if t.Session.PID == 0 || l.alive == nil {
		return true
	}
	alive, sure := l.alive(t.Session)
	if !sure { // it can't be seen whether the process lives: a week will do
		return age >= 7*deliveredFor
	}
	// The end of a session that PAM opened is still to be reported.
	open := l.bySession[key(t.Session)] == t && t.Via == event.ViaPAM
	return !alive && !open
}

// key drops what does not name the process, so that a session can be a key.
func key(s event.Session) event.Session {
	s.NS = ""
	return s
}

func (l *deliveryLog) put(t *Delivered) {
	l.byID[t.ID] = t
	k := key(t.Session)
	switch {
	case t.Session.PID == 0:
	case t.Kind == event.KindLogin:
		// The logout may have been faster: it went to fewer destinations.
		t.Ended = t.Ended || l.byID[event.LogoutID(t.Session)] != nil
		if t.Ended {
			delete(l.bySession, k)
		} else {
			l.bySession[k] = t
		}
	case t.Kind == event.KindLogout:
		if login := l.bySession[k]; login != nil {
			login.Ended = true
			delete(l.bySession, k)
		}
	}
}

func (l *deliveryLog) has(id string) bool { return l.byID[id] != nil }

// session returns the login of a session that has not ended, if it was delivered.
func (l *deliveryLog) session(s event.Session) *Delivered { return l.bySession[key(s)] }
