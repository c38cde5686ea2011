package watch

import (
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

const (
	// witnessAge is how old a line may be that is taken for a witness: the
	// worker remembers for a day at least what the hook reported.
	witnessAge = 12 * time.Hour
	// aheadMost is how far ahead a line of a file may be, whose clock may be
	// another's.
	aheadMost = 10 * time.Minute
	// writtenMost is how many sessions in a minute are taken from plain files,
	// into which logger(1) writes what anybody likes.
	writtenMost = 120
)

// written counts the witnesses that plain files gave in a minute.
type written struct {
	since time.Time
	n     int
}

// witness queues what the system log says of a session that the hook has to
// report: the worker looks whether it did. A user may keep the hook of an own su
// or sudo from working, by limits or by a signal, but not the log from being
// written.
func (w *Watcher) witness(l line.Line, r parse.Result, key string) error {
	o, at, host := r.Opened, r.Time, ""
	if at.IsZero() || w.came.Sub(at) > witnessAge {
		return nil
	}
	if l.Program == "" { // no journal
		host = r.Host
		if at.Sub(w.came) > aheadMost {
			return nil
		}
	}
	if !w.Covered(o.Service, host, at) {
		return nil
	}
	if l.Program == "" && !w.room() {
		return w.crowded(l.Source)
	}
	if n, ok := strings.CutPrefix(o.By, "uid:"); ok && w.Account != nil {
		if uid, err := strconv.Atoi(n); err == nil {
			o.By = w.Account(uid)
		}
	}
	e := event.Event{
		ID: eventID("witness", o.Service, o.User, key), Kind: event.KindWitness, Time: at, Host: w.Host, Labels: w.Labels,
		Via: event.ViaWatch, Service: o.Service, User: o.User, Witness: event.Witness{By: o.By}, Session: event.Session{PID: r.PID},
	}
	if r.PID != 0 { // the same in each log that has it
		e.ID = eventID("witness", o.Service, o.User, strconv.Itoa(r.PID), strconv.FormatInt(at.Unix(), 10))
	}
	return w.Put(e)
}

// room reports whether one more witness may come from a plain file.
func (w *Watcher) room() bool {
	if age := w.came.Sub(w.written.since); age < 0 || age >= time.Minute {
		w.written = written{since: w.came}
	}
	w.written.n++
	return w.written.n <= writtenMost
}

// crowded tells, once an hour, that not all sessions could be looked at.
func (w *Watcher) crowded(source string) error {
	if w.written.n != writtenMost+1 {
		return nil
	}
	w.Log.Warn("more sessions are logged than can be held against the hook's reports", "source", source, "a_minute", writtenMost)
	n := message.Unchecked(source, writtenMost)
	return w.Put(event.Event{
		ID: eventID("witness", "crowded", w.Host, w.came.UTC().Format("2006-01-02T15")), Kind: event.KindAlert, Time: w.came.UTC(),
		Host: w.Host, Labels: w.Labels, Via: event.ViaWatch, Alert: &n,
	})
}

// loggedIn queues a login of a service that no hook reports: the log's word is all
// that there is. What a hook has to report is not queued twice.
func (w *Watcher) loggedIn(l *line.Line, r *parse.Result, at time.Time) error {
	if r.Outcome != parse.Success || r.User == "" || !r.IP.IsValid() || r.Time.IsZero() || w.came.Sub(at) > witnessAge || at.Sub(w.came) > aheadMost || w.Attacks.Ignores(r.IP) {
		return nil
	}
	e := event.Event{
		Kind: event.KindLogin, Time: at.UTC(), Host: w.Host, Labels: w.Labels, Via: event.ViaWatch, User: r.User, Service: r.Service,
		Remote: event.Remote{IP: r.IP, Port: r.Port}, Login: event.Login{Auth: event.Auth{Method: r.Method, Fingerprint: r.Key}},
	}
	if r.Parser == "su" || r.Parser == "sudo" || e.Hooked() || w.Covered != nil && w.Covered(r.Service, r.Host, at) {
		return nil
	}
	if l.Program == "" && !w.room() {
		return w.crowded(l.Source)
	}
	// The same in each log that has it, and once a second: a client may open many
	// connections at a time.
	e.ID = eventID("login", r.Service, r.User, r.IP.String(), strconv.FormatInt(at.Unix(), 10))
	return w.Put(e)
}
