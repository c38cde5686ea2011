package deliver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
)

// tellAgainAfter is how long the id of a told event is remembered at least. A
// session's id is remembered as long as its sshd lives, too.
const tellAgainAfter = 24 * time.Hour

// maxLedger bounds what is read of the list: a line has some 500 bytes, and a
// spool takes 100,000 events.
const maxLedger = 1 << 30

// told is an event that is done with: what is needed to know a second report
// of it, to match its logout, and to group repeats.
type told struct {
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
	Sent    []sentTo      `json:"sent,omitempty"`
	Verdict event.Verdict `json:"verdict,omitzero"`
	Ignored bool          `json:"ignored,omitempty"`
	Ended   bool          `json:"ended,omitempty"` // its logout is done with, too
	Dead    bool          `json:"dead,omitempty"`  // it is a dead letter
	Of      string        `json:"of,omitempty"`    // of a witness: what it saw; empty: a login that was missed
}

// sentTo says when a destination got an event.
type sentTo struct {
	Dest string    `json:"dest"`
	At   time.Time `json:"at"`
}

func (t *told) sentTo(dest string) (time.Time, bool) {
	for _, s := range t.Sent {
		if s.Dest == dest {
			return s.At, true
		}
	}
	return time.Time{}, false
}

// ledger is the list of told events of one spool, a line each in a file of the
// state folder that is only appended to. It is a memory, not a promise: a line
// lost to a power cut can make a second message of one login, never none.
type ledger struct {
	path      string
	byID      map[string]*told
	bySession map[event.Session]*told // open sessions
	file      *os.File                // nil: there is only this process's memory
	lines     int                     // in the file
	alive     func(event.Session) (alive, sure bool)
}

// ledgerPath is where the list of a spool is.
func ledgerPath(stateDir, spoolDir string) string {
	sum := sha256.Sum256([]byte(spoolDir))
	return filepath.Join(stateDir, "told-"+hex.EncodeToString(sum[:4])+".jsonl")
}

// openLedger reads the list. There is always one: an error says what of it is
// only kept in memory.
func openLedger(stateDir, spoolDir string, now time.Time, alive func(event.Session) (alive, sure bool)) (*ledger, error) {
	l := &ledger{
		path:      ledgerPath(stateDir, spoolDir),
		byID:      make(map[string]*told),
		bySession: make(map[event.Session]*told),
		alive:     alive,
	}
	b, err := state.ReadFile(l.path, maxLedger)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	for line := range bytes.Lines(b) {
		var t told
		if json.Unmarshal(line, &t) == nil && event.ValidID(t.ID) { // a crash leaves a torn line
			l.lines++
			l.put(&t)
		}
	}
	if l.file, err = l.open(); err != nil {
		return l, err
	}
	return l, l.prune(now)
}

func (l *ledger) open() (*os.File, error) {
	return state.Open(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND)
}

// prune forgets what is old, and rewrites the file when most of it is. After an
// error the list goes on as it was.
func (l *ledger) prune(now time.Time) error {
	for id, t := range l.byID {
		if !l.old(t, now) {
			continue
		}
		if l.bySession[key(t.Session)] == t {
			delete(l.bySession, key(t.Session))
		}
		delete(l.byID, id)
	}
	if l.file == nil || l.lines <= 2*len(l.byID)+100 {
		return nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, t := range l.byID {
		if err := enc.Encode(t); err != nil {
			return err
		}
	}
	if err := state.Replace(l.path, buf.Bytes()); err != nil {
		return err
	}
	file, err := l.open()
	if err != nil {
		return err
	}
	before := l.file
	l.file, l.lines = file, len(l.byID)
	return before.Close()
}

// old reports whether an event need not be remembered any more.
func (l *ledger) old(t *told, now time.Time) bool {
	age := now.Sub(t.At).Abs()              // the clock may have been set back
	if t.Of != "" && age >= witnessMemory { // each session has one
		return true
	}
	if age < tellAgainAfter {
		return false
	}
	if t.Session.PID == 0 || l.alive == nil {
		return true
	}
	alive, sure := l.alive(t.Session)
	if !sure { // it can't be seen whether the process lives: a week will do
		return age >= 7*tellAgainAfter
	}
	// The end of a session that PAM opened is still to be told.
	open := l.bySession[key(t.Session)] == t && t.Via == event.ViaPAM
	return !alive && !open
}

// key drops what does not name the process, so that a session can be a key.
func key(s event.Session) event.Session {
	s.NS = ""
	return s
}

func (l *ledger) put(t *told) {
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

// add remembers a told event.
func (l *ledger) add(t *told) error {
	l.put(t)
	if l.file == nil {
		return nil // said when it was opened
	}
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	l.lines++
	// One write, so that lines never mix. The newline goes first: after a line
	// that a power cut or a full disk tore, this one is still whole.
	_, err = l.file.Write(append([]byte{'\n'}, b...))
	return err
}

func (l *ledger) has(id string) bool { return l.byID[id] != nil }

// session gives the login of a session that has not ended, if it was told.
func (l *ledger) session(s event.Session) *told { return l.bySession[key(s)] }

func (l *ledger) close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
