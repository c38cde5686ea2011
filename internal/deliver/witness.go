package deliver

import (
	"maps"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	// witnessWait is how far the log's word of a session and the hook's may be
	// apart, and how long the hook's is waited for: a busy host takes its time.
	witnessWait = time.Minute
	// witnessTwin is how far two logs' words of one session may be apart: times
	// in files are cut to the second.
	witnessTwin = 2 * time.Second
	// witnessPatience is how long the judgement waits where not all that is new
	// can be claimed.
	witnessPatience = time.Hour
	// witnessMemory is how long a witness is remembered whose login was reported.
	witnessMemory = 2 * time.Hour
	// crowd is how many missed sessions of a service are told each by itself in
	// crowdWindow. Where the log is a plain file, anybody may make them up.
	crowd       = 5
	crowdWindow = 10 * time.Minute
)

// sighting is one word of a session: the hook's, or the log's.
type sighting struct {
	id   string
	time time.Time
	pid  int // 0: not known
}

// stretch is where sightings are looked for: sessions of one service that one
// user had in one minute.
type stretch struct {
	service, user string
	minute        int64
}

// use is a login's by a witness. A log that names the process and one that does
// not may each have seen it, and each once: else one session that was reported
// would stand for all that were not.
type use struct {
	login string
	named bool
}

// witnesses holds what the log says of sessions against what the hook reported.
type witnesses struct {
	logins  map[stretch][]sighting // as the hook reported them
	missing map[stretch][]sighting // of which only the log knows
	used    map[use]bool
	waiting []*item // witnesses whose login is not here
	more    bool    // logins came since they were looked at
	next    time.Time
	crowds  map[source]*gathering
}

// source is where missed sessions were: a service of a host.
type source struct{ from, service string }

// gathering counts missed sessions that came at once.
type gathering struct {
	since time.Time
	n     int
}

// recallWitnesses takes up what earlier workers knew.
func recallWitnesses(l *deliveryLog) *witnesses {
	s := &witnesses{
		logins: map[stretch][]sighting{}, missing: map[stretch][]sighting{},
		used: map[use]bool{}, crowds: map[source]*gathering{},
	}
	for _, t := range l.byID {
		if t.From != "" { // that host did so itself
			continue
		}
		e := event.Event{ID: t.ID, Kind: t.Kind, Via: t.Via, Time: t.Time, Service: t.Service, User: t.User, Session: t.Session}
		switch {
		case t.Kind != event.KindWitness:
			s.login(e)
		case t.Of == "":
			s.missed(e)
		default:
			s.used[use{t.Of, e.Session.PID != 0}] = true
		}
	}
	return s
}

func (s *witnesses) add(to map[stretch][]sighting, e event.Event) {
	at := stretch{e.Service, e.User, e.Time.Unix() / 60}
	if !slices.ContainsFunc(to[at], func(x sighting) bool { return x.id == e.ID }) {
		to[at] = append(to[at], sighting{e.ID, e.Time, e.Session.PID})
	}
}

// login notes a login that PAM's hook reported, whatever becomes of it.
func (s *witnesses) login(e event.Event) {
	if e.Kind == event.KindLogin && e.Via == event.ViaPAM {
		s.add(s.logins, e)
		s.more = true
	}
}

// missed notes a session of which only the log knows.
func (s *witnesses) missed(e event.Event) { s.add(s.missing, e) }

// nearest returns the sighting of e's session that is nearest to it in time.
func nearest(in map[stretch][]sighting, e event.Event, within time.Duration, fits func(sighting) bool) (id string) {
	best := within
	minute := e.Time.Unix() / 60
	for m := minute - 1; m <= minute+1; m++ {
		for _, x := range in[stretch{e.Service, e.User, m}] {
			if d := x.time.Sub(e.Time).Abs(); d <= best && x.id != e.ID && fits(x) {
				id, best = x.id, d
			}
		}
	}
	return id
}

// match returns the login that a witness saw, which no other witness of its sort
// saw; empty: the hook reported none. The process is the one that opened the
// session, the hook's parent. Without it, what is not at the same time may be
// another session's, until nothing nearer can come.
func (s *witnesses) match(e event.Event, due bool) (login string) {
	pid, within := e.Session.PID, witnessWait
	if pid == 0 && !due {
		within = witnessTwin
	}
	login = nearest(s.logins, e, within, func(x sighting) bool {
		return (pid == 0 || x.pid == pid) && !s.used[use{x.id, pid != 0}]
	})
	if login != "" {
		s.used[use{login, pid != 0}] = true
	}
	return login
}

// twin returns the missed session that a witness speaks of, too.
func (s *witnesses) twin(e event.Event) string {
	pid := e.Session.PID
	return nearest(s.missing, e, witnessTwin, func(x sighting) bool { return x.pid == pid && pid != 0 || (x.pid == 0) != (pid == 0) })
}

// crowded reports whether a missed session is one of many.
func (s *witnesses) crowded(of source, now time.Time) bool {
	g := s.crowds[of]
	if g == nil || now.Sub(g.since).Abs() > crowdWindow {
		g = &gathering{since: now}
		s.crowds[of] = g
	}
	g.n++
	return g.n > crowd
}

// evaluateWitness lets a witness go whose login the hook reported. Any other
// waits until the hook's word must be here. One with deliveries is being told, and
// another host has waited itself.
func (w *worker) evaluateWitness(it *item) {
	switch {
	case it.from != "":
		if !it.sorted {
			w.sayMissed(it)
		}
		w.judge(it)
		return
	case it.sorted:
		w.witnesses.missed(it.e)
		w.judge(it)
		return
	}
	if w.seen(it, false) {
		return
	}
	it.due = w.now()
	if it.e.Time.Before(it.due) { // or the clock was set back
		it.due = it.e.Time
	}
	it.due = it.due.Add(witnessWait)
	w.witnesses.waiting = append(w.witnesses.waiting, it)
}

// seen ends a witness whose login was reported.
func (w *worker) seen(it *item, due bool) bool {
	it.of = w.witnesses.match(it.e, due)
	if it.of == "" {
		return false
	}
	it.stage = ready
	w.finish(it, true)
	return true
}

// missed tells of the sessions that the hook should have reported by now. It
// returns how long until it should be asked again.
func (w *worker) missed(now time.Time) time.Duration {
	s := w.witnesses
	more := s.more
	s.more = false
	s.waiting = slices.DeleteFunc(s.waiting, func(it *item) bool {
		return w.items[it.e.ID] != it || it.stage == ready || more && w.seen(it, false)
	})
	if len(s.waiting) == 0 {
		return forever
	}
	if wait := max(s.next.Sub(now), s.nextDue().Sub(now)); wait > 0 {
		return wait
	}
	s.next = time.Time{}
	// What the hook wrote until now counts.
	err := w.claimAll()
	if err != nil {
		w.Log.Error("the spool can't be read", "error", err)
	}
	partial := w.moreNew || w.unclaimed != nil || err != nil
	if partial {
		s.next = now.Add(pollEvery)
	}
	slices.SortFunc(s.waiting, older)
	for _, it := range s.waiting {
		if now.Before(it.due) || partial && now.Sub(it.due) < witnessPatience {
			continue
		}
		if !w.seen(it, true) {
			w.tellMissed(it)
		}
	}
	return 0 // there may be more
}

// forget drops what is about events that nobody remembers any more.
func (s *witnesses) forget(now time.Time, known func(id string) bool) {
	for _, of := range []map[stretch][]sighting{s.logins, s.missing} {
		for at, list := range of {
			list = slices.DeleteFunc(list, func(x sighting) bool { return !known(x.id) })
			if of[at] = list; len(list) == 0 {
				delete(of, at)
			}
		}
	}
	for u := range s.used {
		if !known(u.login) {
			delete(s.used, u)
		}
	}
	maps.DeleteFunc(s.crowds, func(_ source, g *gathering) bool { return now.Sub(g.since).Abs() > crowdWindow })
}

// nextDue is when the first of the waiting witnesses is to be judged.
func (s *witnesses) nextDue() time.Time {
	return slices.MinFunc(s.waiting, func(a, b *item) int { return a.due.Compare(b.due) }).due
}

// tellMissed tells of a session that only the log knows, once.
func (w *worker) tellMissed(it *item) {
	s := w.witnesses
	if it.of = s.twin(it.e); it.of != "" {
		it.stage = ready
		w.finish(it, true)
		return
	}
	s.missed(it.e)
	w.sayMissed(it)
	w.judge(it)
}

// sayMissed logs that a session was missed, and marks it where it is one of many.
func (w *worker) sayMissed(it *item) {
	if w.witnesses.crowded(source{it.from, it.e.Service}, w.now()) {
		it.e.Witness.Crowd = true
	}
	w.Log.Warn("a session that the hook did not report", "id", it.e.ID, "host", it.e.Host, "service", it.e.Service, "user", it.e.User, "by", it.e.By(), "pid", it.e.Session.PID)
}
