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

	"github.com/google/renameio/v2"

	"github.com/sshnotify/sshnotify/internal/event"
)

// tellAgainAfter is how long the id of a told event is remembered at least. A
// session's id is remembered as long as its sshd lives, too.
const tellAgainAfter = 24 * time.Hour

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
	Ended   bool          `json:"ended,omitempty"`  // its logout is done with, too
	Forgot  bool          `json:"forgot,omitempty"` // a dead letter that is tried again
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
	file      *os.File
	lines     int // in the file
	alive     func(event.Session) (alive, sure bool)
}

func openLedger(stateDir, spoolDir string, now time.Time, alive func(event.Session) (alive, sure bool)) (*ledger, error) {
	sum := sha256.Sum256([]byte(spoolDir))
	l := &ledger{
		path:      filepath.Join(stateDir, "told-"+hex.EncodeToString(sum[:4])+".jsonl"),
		byID:      make(map[string]*told),
		bySession: make(map[event.Session]*told),
		alive:     alive,
	}
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range bytes.Lines(b) {
		l.lines++
		var t told
		if json.Unmarshal(line, &t) == nil && event.ValidID(t.ID) { // a crash leaves a torn line
			l.put(&t)
		}
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, l.prune(now)
}

func (l *ledger) open() (err error) {
	l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return err
}

// prune forgets what is old, and rewrites the file when most of it is.
func (l *ledger) prune(now time.Time) error {
	for id, t := range l.byID {
		age := now.Sub(t.At)
		if age < tellAgainAfter {
			continue
		}
		if t.Session.PID != 0 && l.alive != nil {
			// Where it can't be seen whether the process lives, a week will do.
			if alive, sure := l.alive(t.Session); alive || !sure && age < 7*tellAgainAfter {
				continue
			}
		}
		if l.bySession[key(t.Session)] == t {
			delete(l.bySession, key(t.Session))
		}
		delete(l.byID, id)
	}
	if l.lines <= 2*len(l.byID)+100 {
		return nil
	}
	if err := l.file.Close(); err != nil {
		return err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, t := range l.byID {
		if err := enc.Encode(t); err != nil {
			return err
		}
	}
	if err := renameio.WriteFile(l.path, buf.Bytes(), 0o600); err != nil {
		return err
	}
	l.lines = len(l.byID)
	return l.open()
}

// key drops what does not name the process, so that a session can be a key.
func key(s event.Session) event.Session {
	s.NS = ""
	return s
}

func (l *ledger) put(t *told) {
	if t.Forgot {
		delete(l.byID, t.ID)
		return
	}
	l.byID[t.ID] = t
	if t.Kind != event.KindLogin || t.Session.PID == 0 {
		return
	}
	if t.Ended {
		delete(l.bySession, key(t.Session))
	} else {
		l.bySession[key(t.Session)] = t
	}
}

// add remembers a told event, or what has changed about it.
func (l *ledger) add(t *told) error {
	l.put(t)
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	l.lines++
	_, err = l.file.Write(append(b, '\n')) // one write: lines never mix
	return err
}

// forget lets an event be told again.
func (l *ledger) forget(id string) error {
	if !l.has(id) {
		return nil
	}
	return l.add(&told{ID: id, Forgot: true})
}

func (l *ledger) has(id string) bool { return l.byID[id] != nil }

// session gives the login of a session that has not ended, if it was told.
func (l *ledger) session(s event.Session) *told { return l.bySession[key(s)] }

func (l *ledger) close() error { return l.file.Close() }
