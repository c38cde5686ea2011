// Package replay plays the logs of a host through the whole judgement: logins as
// the hook would have reported them, attacks as the watcher would have found
// them, and the messages that the worker would have made of both, each in its
// own time.
//
// It decides nothing itself: reading is records', attacks and patterns are
// watch's, and all else is deliver's. It must never send or remember anything.
package replay

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/records"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

const (
	// sameLine is how far two records may be apart in when the same was written:
	// times in files are cut to the second.
	sameLine = 2 * time.Second
	// tickEvery is how often ends are looked for, at whole minutes, so that the
	// watcher makes its part of a digest at the time that the settings say.
	tickEvery = time.Minute
	// tail is how long the replay goes on after the last line: until the digest
	// of that day.
	tail = 24 * time.Hour
)

// Player plays records.
type Player struct {
	// Judges are each given the same at the same times, the first one first. There must
	// be one.
	Judges []Judge
	// Watcher finds attacks and patterns; its Put and Now are the player's. Nil: nobody
	// looks for them.
	Watcher *watch.Watcher
	Host    string // of lines that name none
	// Since and Until are of when something must be to be played; zero: whenever.
	Since, Until time.Time
	User         string // whose logins are played; empty: everybody's

	parser *parse.Parser // of logins
	ctx    context.Context
	seen   map[word]*spoken  // lately; nil: there is one record
	last   map[who]time.Time // logins lately
	open   map[int]event.Event
	swept  time.Time
	ticked time.Time
	counts Counts
}

// Judge makes messages of what is played.
type Judge struct {
	Worker *deliver.Replay
	// Told is given each message, in order. An error ends the replay.
	Told func(*deliver.Told) error
}

// Counts says what was played.
type Counts struct {
	Lines       int
	Logins      []Login
	Failures    int // attempts that failed
	First, Last time.Time
}

// Login is one that was played.
type Login struct {
	Time time.Time
	User string
}

// word is a line, wherever it stands.
type word struct {
	pid  int
	text string
}

// spoken is how often a line was written, in all and by which record.
type spoken struct {
	at    time.Time
	times int
	by    map[string]int
}

type who struct {
	user string
	ip   netip.Addr
}

// Play plays the records, which may overlap, in the order of time. Errors of
// records are returned in bad, by the record; each ends that record alone. Where ctx
// ends it, that is the error, and what was played until then was told.
func (p *Player) Play(ctx context.Context, all []*records.Record) (c Counts, bad map[*records.Record]error, err error) {
	p.ctx, p.parser = ctx, parse.New(parse.Options{})
	p.last, p.open = map[who]time.Time{}, map[int]event.Event{}
	if len(all) > 1 {
		p.seen = map[word]*spoken{}
	}
	if p.Watcher != nil {
		p.Watcher.Now = p.Judges[0].Worker.Now
		p.Watcher.Put = p.put
	}
	bad = map[*records.Record]error{}
	var at time.Time
	for s := range inOrder(ctx, all, bad) {
		if s.Time.Before(p.Since) || !p.Until.IsZero() && s.Time.After(p.Until) {
			continue
		}
		if s.Time.After(at) {
			at = s.Time
		}
		if err == nil && !at.IsZero() {
			err = p.pass(at)
		}
		if err == nil {
			err = p.take(s)
		}
		if err != nil {
			break
		}
	}
	if err == nil && !at.IsZero() {
		err = p.pass(at.Add(tail))
	}
	if err = cmp.Or(err, ctx.Err()); err == nil || ctx.Err() != nil {
		err = cmp.Or(p.tell(true), err)
	}
	return p.counts, bad, err
}

// put plays what the watcher says. Logins are counted, whoever tells of them.
func (p *Player) put(e event.Event) error {
	if e.Kind == event.KindLogin {
		p.counts.Logins = append(p.counts.Logins, Login{e.Time, e.User})
	}
	return p.give(e)
}

// give has each judge take an event.
func (p *Player) give(e event.Event) error {
	for _, j := range p.Judges {
		if err := j.Worker.Take(p.ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (p *Player) advance(to time.Time) {
	for _, j := range p.Judges {
		j.Worker.Advance(p.ctx, to)
	}
}

// pass lets time pass until a moment.
func (p *Player) pass(to time.Time) error {
	if p.counts.First.IsZero() {
		p.counts.First, p.ticked = to, to.Truncate(tickEvery)
		p.advance(to)
	}
	for p.ticked.Add(tickEvery).Before(to) && p.ctx.Err() == nil {
		p.ticked = p.ticked.Add(tickEvery)
		p.advance(p.ticked)
		if p.Watcher != nil {
			if err := p.Watcher.Tick(p.ticked); err != nil {
				return err
			}
		}
		if err := p.tell(false); err != nil {
			return err
		}
	}
	p.advance(to)
	return p.ctx.Err()
}

func (p *Player) tell(end bool) error {
	for _, j := range p.Judges {
		for _, t := range j.Worker.Told(end) {
			if err := j.Told(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// take plays one thing that a record says.
func (p *Player) take(s records.Said) error {
	p.counts.Lines++
	if p.counts.Last = s.Time; s.Login != nil {
		e := *s.Login
		return p.login(loginOf(e, 0, s.Time))
	}
	l := s.Line
	if p.seen != nil && p.repeated(l, s.Time) {
		return nil
	}
	r := p.parser.Parse(l)
	if r.Outcome == parse.Failure {
		p.counts.Failures += r.Count
	}
	p.counts.Failures -= r.Retracted
	if p.Watcher != nil {
		if r.Host != "" { // of what it finds
			p.Watcher.Host = r.Host
		}
		if err := p.Watcher.Take(source.Batch{Lines: []line.Line{l}}); err != nil {
			return err
		}
	}
	switch {
	case r.Parser == "sshd" && r.Outcome == parse.Success && r.Certain && r.IP.IsValid():
		return p.login(loginOf(history.Entry{
			Host: r.Host, User: r.User, Method: r.Method, Key: r.Key, CA: r.CA, KeyID: r.KeyID, IP: r.IP, Port: r.Port,
		}, r.PID, s.Time))
	case r.PID != 0 && strings.Contains(l.Text, "pam_unix(sshd:session): session closed for user "):
		return p.logout(r.PID, s.Time)
	}
	return nil
}

// repeated reports whether another record said the same. A daemon may say it
// several times, and then each record does.
func (p *Player) repeated(l line.Line, at time.Time) bool {
	pid := parse.Explain(l, parse.Options{}).PID
	text := l.Text
	if _, message, ok := strings.Cut(text, "]: "); ok && l.Entry == nil {
		text = message
	}
	if at.Sub(p.swept) > time.Minute {
		p.swept = at
		for w, s := range p.seen {
			if at.Sub(s.at) > sameLine {
				delete(p.seen, w)
			}
		}
	}
	w := word{pid, text}
	s := p.seen[w]
	if s == nil || at.Sub(s.at) > sameLine {
		s = &spoken{by: map[string]int{}}
		p.seen[w] = s
	}
	s.at = at
	s.by[l.Source]++
	if s.by[l.Source] <= s.times {
		return true
	}
	s.times++
	return false
}

// loginOf returns the event that the hook would have made of a login.
func loginOf(l history.Entry, pid int, at time.Time) event.Event {
	s := event.Session{PID: pid, Start: uint64(at.UnixMilli()), Boot: "replay"}
	return event.Event{
		ID:   event.LoginID(s, fmt.Sprint(l.User, l.IP, l.Port)),
		Kind: event.KindLogin, Time: at.UTC(), Host: l.Host, User: l.User, Service: "sshd", Via: event.ViaPAM,
		Remote: event.Remote{IP: l.IP, Port: l.Port}, Session: s,
		Login: event.Login{Auth: event.Auth{Method: l.Method, Fingerprint: l.Key, CAFingerprint: l.CA, KeyID: l.KeyID}},
	}
}

// login plays a login, which wtmp may tell of, too.
func (p *Player) login(e event.Event) error {
	if p.User != "" && e.User != p.User {
		return nil
	}
	w := who{e.User, e.Remote.IP}
	if t, ok := p.last[w]; ok && e.Session.PID == 0 && e.Time.Sub(t) <= sameLine {
		return nil
	}
	p.last[w] = e.Time
	if e.Host == "" {
		e.Host = p.Host
	}
	p.counts.Logins = append(p.counts.Logins, Login{e.Time, e.User})
	if e.Session.PID != 0 {
		p.open[e.Session.PID] = e
	} else {
		e.Session = event.Session{}
	}
	return p.give(e)
}

func (p *Player) logout(pid int, at time.Time) error {
	e, ok := p.open[pid]
	if !ok {
		return nil
	}
	delete(p.open, pid)
	e.ID, e.Kind, e.Time = event.LogoutID(e.Session), event.KindLogout, at.UTC()
	return p.give(e)
}

// inOrder gives what records say in the order of time. Each is in order by
// itself.
func inOrder(ctx context.Context, all []*records.Record, bad map[*records.Record]error) iter.Seq[records.Said] {
	return func(yield func(records.Said) bool) {
		type head struct {
			said records.Said
			next func() (records.Said, error, bool)
			of   *records.Record
		}
		var heads []*head
		advance := func(h *head) bool {
			said, err, ok := h.next()
			if err != nil {
				bad[h.of] = err
				return false
			}
			h.said = said
			return ok
		}
		for _, r := range all {
			next, stop := iter.Pull2(r.All(ctx))
			defer stop()
			if h := (&head{next: next, of: r}); advance(h) {
				heads = append(heads, h)
			}
		}
		for len(heads) > 0 {
			first := 0
			for i, h := range heads {
				if h.said.Time.Before(heads[first].said.Time) {
					first = i
				}
			}
			h := heads[first]
			if !yield(h.said) {
				return
			}
			if !advance(h) {
				heads = append(heads[:first], heads[first+1:]...)
			}
		}
	}
}
