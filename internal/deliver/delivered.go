package deliver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
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
	// deliveredOfHost is how many events of one other host are remembered at most, so
	// that one that lies does not fill the memory of a hub, which knows by their
	// numbers what it was handed twice.
	deliveredOfHost = 10_000
)

// Delivered is an event that is done with: what is needed to know a second
// report of it, to match its logout, and to group repeats.
type Delivered struct {
	ID      string        `json:"id"`
	From    string        `json:"from,omitempty"` // at a hub: the host that handed it over
	Time    time.Time     `json:"time"`           // the event's
	At      time.Time     `json:"at"`             // when it was done with
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
	Silence string        `json:"silence,omitempty"` // that kept it from being told, and why
	Ended   bool          `json:"ended,omitempty"`   // its logout is done with, too
	Dead    bool          `json:"dead,omitempty"`    // it is a dead letter
	// Of is of a witness what it saw; empty: a login that was missed. Of the watcher's
	// word that somebody got in after failures (GotIn), it is the login that the hook
	// reported.
	Of    string `json:"of,omitempty"`
	GotIn bool   `json:"got_in,omitempty"`
	// Gate is what became of a second step.
	Gate *event.Gate `json:"gate,omitempty"`
	// Detail is for people, who read it in the database: the worker does not keep
	// it in memory.
	Detail *Detail `json:"detail,omitempty"`
}

// Detail is what else was known of a delivered event.
type Detail struct {
	Reasons []string    `json:"reasons,omitempty"` // of the verdict
	Auth    event.Auth  `json:"auth,omitzero"`
	Facts   event.Facts `json:"facts,omitzero"`
	Step    event.Step  `json:"step,omitzero"`   // by which a login was confirmed
	Title   string      `json:"title,omitempty"` // of what is no login
	Text    string      `json:"text,omitempty"`
}

// maxDetail is how much of a text is kept, in characters.
const maxDetail = 2000

// Sent says when a destination got an event.
type Sent struct {
	Dest    string        `json:"dest"`
	At      time.Time     `json:"at"`
	Receipt event.Receipt `json:"receipt,omitempty"` // what it gave back
	Maybe   bool          `json:"maybe,omitempty"`   // it may have arrived, and is not sent again
}

func (t *Delivered) sentTo(dest string) (time.Time, bool) {
	for _, s := range t.Sent {
		if s.Dest == dest {
			return s.At, true
		}
	}
	return time.Time{}, false
}

// receipt returns what a destination gave back for the event, and when.
func (t *Delivered) receipt(dest string) (event.Receipt, time.Time) {
	for _, s := range t.Sent {
		if s.Dest == dest && s.Receipt != nil {
			return s.Receipt, s.At
		}
	}
	return nil, time.Time{}
}

// told returns what a destination gave a receipt for of the events of a group, the
// newest first.
func (l *deliveryLog) told(group, dest string) (all []*Delivered) {
	for _, t := range l.byID {
		if r, _ := t.receipt(dest); r != nil && t.Group == group {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *Delivered) int {
		_, x := a.receipt(dest)
		_, y := b.receipt(dest)
		return cmp.Or(y.Compare(x), cmp.Compare(b.ID, a.ID))
	})
	return all
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
	db        *store.DB // nil: it is in memory only
	spool     string    // its key
	byID      map[string]*Delivered
	bySession map[event.Session]*Delivered // open sessions
	unsaved   []*Delivered
	rest      time.Time // until when the database is left alone
	alive     func(event.Session) (alive, sure bool)
	byHost    map[string][]*Delivered // "" for this one, the oldest first; until prune also what is forgotten
	forgotten []string                // ids that are still in the database
}

func emptyDeliveryLog() *deliveryLog {
	return &deliveryLog{byID: make(map[string]*Delivered), bySession: make(map[event.Session]*Delivered), byHost: make(map[string][]*Delivered)}
}

// openDeliveryLog reads the log. There is always one: an error says that it is
// kept in memory for now.
func openDeliveryLog(db *store.DB, spoolDir string, now time.Time, alive func(event.Session) (alive, sure bool)) (*deliveryLog, error) {
	l := emptyDeliveryLog()
	l.db, l.spool, l.alive = db, spoolKey(spoolDir), alive
	all, err := ReadDelivered(context.Background(), db, spoolDir, time.Time{})
	if err != nil {
		return l, err
	}
	for _, t := range all {
		t.Detail = nil
		l.put(t)
	}
	return l, l.prune(now)
}

// write changes the database, unless it failed a moment ago.
func (l *deliveryLog) write(f func(*store.Tx) error) error {
	if l.db == nil {
		return nil
	}
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

// flush writes what is not in the database yet, and deletes what is forgotten.
func (l *deliveryLog) flush() error {
	if len(l.unsaved)+len(l.forgotten) == 0 {
		return nil
	}
	err := l.write(func(tx *store.Tx) error {
		for _, id := range l.forgotten {
			if _, err := tx.Exec(`DELETE FROM delivered WHERE spool = ? AND id = ?`, l.spool, id); err != nil {
				return err
			}
		}
		for _, t := range l.unsaved {
			if l.byID[t.ID] != t { // it is forgotten already
				continue
			}
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
		for _, t := range l.unsaved {
			t.Detail = nil
		}
		l.unsaved, l.forgotten = nil, nil
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
	for _, t := range l.byID {
		if l.old(t, now) {
			l.forget(t)
		}
	}
	for host, all := range l.byHost {
		if all = slices.DeleteFunc(all, func(t *Delivered) bool { return l.byID[t.ID] != t }); len(all) > 0 {
			l.byHost[host] = all
		} else {
			delete(l.byHost, host)
		}
	}
	return l.flush()
}

// forget drops an event; flush does so in the database.
func (l *deliveryLog) forget(t *Delivered) {
	if l.byID[t.ID] != t {
		return
	}
	if l.bySession[key(t.Session)] == t {
		delete(l.bySession, key(t.Session))
	}
	delete(l.byID, t.ID)
	l.forgotten = append(l.forgotten, t.ID)
}

// old reports whether an event need not be remembered any more.
func (l *deliveryLog) old(t *Delivered, now time.Time) bool {
	age := now.Sub(t.At).Abs()                                             // the clock may have been set back
	if t.Kind == event.KindWitness && t.Of != "" && age >= witnessMemory { // each session has one
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
	all := append(l.byHost[t.From], t)
	for t.From != "" && len(all) > deliveredOfHost {
		l.forget(all[0])
		all[0], all = nil, all[1:]
	}
	l.byHost[t.From] = all
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

// SentTo returns the destinations that an event was told to, as far as it is known to
// be done with.
func SentTo(ctx context.Context, db *store.DB, id string) (names []string, err error) {
	all, err := ReadDelivered(ctx, db, "", time.Time{})
	for _, t := range all {
		for _, s := range t.Sent {
			if t.ID == id {
				names = append(names, s.Dest)
			}
		}
	}
	return names, err
}
