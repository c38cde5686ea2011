package watch

import (
	"cmp"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// warnForgedEvery is the least time between two warnings of forged entries: whoever
// forges them must not fill the log as well.
const warnForgedEvery = time.Hour

// Forger is who wrote an entry in a daemon's name, as the kernel says.
type Forger struct {
	UID    string `json:"uid"`
	Exe    string `json:"exe,omitempty"` // the file that was run; "" it had ended before journald looked
	Daemon string `json:"daemon"`        // in whose name
}

func (f Forger) String() string {
	return "uid " + f.UID + " with " + cmp.Or(f.Exe, "a program that had ended before the journal looked") + " as " + f.Daemon
}

// How much of a forger is kept, in characters.
const (
	maxUID = 20
	maxExe = 200
)

// forgedIn is what is counted of a source's forged entries.
type forgedIn struct {
	n      int64
	warned time.Time
}

// disbelieve counts an entry that bears a daemon's name and is not its word, where
// it tells of logins or attempts. All else is nothing that anybody would forge:
// with his uid, sshd bids each user farewell.
func (w *Watcher) disbelieve(l line.Line) {
	as := l
	as.Program, as.Entry = l.Entry.Claim, nil
	switch r := parse.Explain(as, parse.Options{}); {
	case r.Outcome == parse.Failure, r.Outcome == parse.Success:
	case r.Outcome == parse.Other && strings.Contains(l.Text, "session opened"):
	default:
		return
	}
	w.forgery(l, l.Entry.Claim)
}

// forgery counts a forged entry, and says so at times.
func (w *Watcher) forgery(l line.Line, daemon string) {
	s := w.stats[l.Source]
	s.Forged++
	s.ForgedAt = w.came
	s.ForgedBy = Forger{UID: cmp.Or(event.Clean(l.Entry.UID, maxUID), "unknown"), Exe: event.Clean(l.Entry.Exe, maxExe), Daemon: daemon}
	f := w.forged[l.Source]
	if f == nil {
		f = new(forgedIn)
		w.forged[l.Source] = f
	}
	if f.n++; w.came.Sub(f.warned) >= warnForgedEvery {
		w.Log.Warn("entries bear a daemon's name, nothing shows that it wrote them, and they are not believed",
			"source", l.Source, "count", f.n, "last_by", s.ForgedBy)
		f.n, f.warned = 0, w.came
	}
}

// framed reports whether an entry of sudo or su tells of another person than the one
// that the kernel says ran it. In a user namespace of their own, users can have any
// program pass for these two; of themselves they can have them say everything
// anyway, by running them.
func (w *Watcher) framed(l *line.Line, r *parse.Result) bool {
	if l.Entry == nil || w.UID == nil || l.Entry.UID == "" || l.Entry.UID == "0" {
		return false
	}
	who := r.By
	if who == "" && r.Service == "sudo" {
		who = r.User
	}
	if who == "" || r.Outcome != parse.Failure && r.Outcome != parse.Success {
		return false
	}
	uid, known := w.UID(who)
	return known && uid != l.Entry.UID
}
