package deliver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// lateFor is how late another host's event may come and still teach the memory
// something: else a host could make up in a minute what takes days.
const lateFor = 24 * time.Hour

// evaluate brings an item as far as it can go at once: a logout to its login,
// anything else to the look-up of its address.
func (w *worker) evaluate(it *item) {
	if public(it.e) {
		if w.hub != nil {
			w.endQuietly(it) // the hub tells nobody but its own people
			return
		}
		it.e.Host, it.e.Labels = "", nil
		w.judge(it)
		return
	}
	if it.from == "" {
		if w.set.Host != "" && it.e.Via != event.ViaSelf {
			it.e.Host = w.set.Host
		}
		if it.e.Labels == nil {
			it.e.Labels = w.set.Labels
		}
	}
	if code := it.e.Code(); code != "" {
		w.typed(it, code)
		return
	}
	if w.hub == nil && w.holdAttempts(it) {
		return
	}
	if it.e.Kind == event.KindLogout {
		w.evaluateLogout(it)
		return
	}
	if it.e.Kind == event.KindWitness {
		w.evaluateWitness(it)
		return
	}
	if it.e.Kind == event.KindGate && w.evaluateStep(it) {
		return
	}
	w.confirm(it)
	if w.joined(it) {
		it.stage = ready
		w.finish(it, true)
		return
	}
	w.evaluateFurther(it)
}

// evaluateFurther has an item's address looked up, and judges it then.
func (w *worker) evaluateFurther(it *item) {
	ip := it.e.Remote.IP
	if !ip.IsValid() || !w.set.HandingOver.judges() || w.set.Enrich == nil {
		w.judge(it)
		return
	}
	it.stage = enriching
	if _, asked := w.lookups[ip]; !asked {
		w.lookupQueue = append(w.lookupQueue, ip)
	}
	w.lookups[ip] = append(w.lookups[ip], it)
}

// late reports whether an event of another host comes too late to teach anything.
func (w *worker) late(it *item) bool { return it.from != "" && w.now().Sub(it.e.Time) > lateFor }

// startLookups asks for as many addresses as may be asked at a time.
func (w *worker) startLookups(ctx context.Context) {
	for w.running < maxLookups && len(w.lookupQueue) > 0 {
		ip := w.lookupQueue[0]
		w.lookupQueue = w.lookupQueue[1:]
		w.running++
		go func() { w.found <- finding{ip, w.set.Enrich(ctx, ip)} }()
	}
}

// learn takes a look-up's answer.
func (w *worker) learn(f finding) {
	w.running--
	for _, it := range w.lookups[f.ip] {
		it.facts = &f.facts
		w.judge(it)
	}
	delete(w.lookups, f.ip)
	if len(w.lookups) == 0 {
		w.lookupGrace = time.Time{}
	}
}

func (w *worker) judge(it *item) {
	if it.stage == ready {
		return // an outage is no reason to judge twice
	}
	if !w.set.HandingOver.judges() {
		w.handOver(it)
		return
	}
	memory := w.recall(it)
	it.seen = seenOf(memory)
	in := policy.Input{Event: it.e, Facts: it.known(), Memory: memory, Owner: it.owner, KnownKeys: w.set.KnownKeys}
	it.verdict = policy.Judge(in, w.set.Policy)
	t := w.tell(it, in)
	t.Late = w.late(it)
	t.Teaches = t.Teaches && !t.Late
	if w.hub != nil {
		w.judgeForHub(it, t)
		return
	}
	if t.When == policy.Now {
		if s := w.silenced(it); s != nil {
			t.When, t.Why = policy.Silenced, s.Why // and it was not told, whatever the memory makes of it
		}
	}
	if why := w.follows(it); why != "" {
		t.When = policy.Now // its other half was
		t.Teaches = t.Teaches && it.verdict.Severity < event.High
		w.remember(it, t)
		w.Log.Info("a login that is not told again", "why", why, "id", it.e.ID, "user", it.e.User, "ip", it.e.Remote.IP)
		it.stage = ready
		w.finish(it, it.e.Kind != event.KindLogin)
	} else if w.remember(it, t) && t.When != policy.Now {
		w.Log.Info("a login that is not delivered", "when", t.When, "why", t.Why, "id", it.e.ID, "user", it.e.User, "ip", it.e.Remote.IP)
		it.stage = ready
		w.finish(it, true)
	} else {
		w.raise(it)
		w.address(it, func(o *destQueue) bool { return true })
	}
	w.release(it)
}

// evaluateLogout finds the login of a logout, and decides by it whether the
// logout is told.
func (w *worker) evaluateLogout(it *item) {
	login := w.sessions[key(it.e.Session)]
	switch {
	case w.hub != nil:
		it.after = login
		w.handOver(it)
	case login == nil:
		w.judgeLogout(it, w.delivered.session(it.e.Session))
	case login.stage != ready:
		it.stage = behindLogin
		w.behind[login.e.ID] = append(w.behind[login.e.ID], it)
	default:
		// Each destination gets it after the login. One that is out of order
		// keeps it from no other.
		it.after = login
		t := w.deliveredOf(login, false)
		for _, p := range login.deliveries {
			if p.pending() {
				t.Sent = append(t.Sent, Sent{Dest: p.Dest})
			}
		}
		w.judgeLogout(it, t)
	}
}

// release judges the logouts that waited for their login to be judged.
func (w *worker) release(login *item) {
	waiting := w.behind[login.e.ID]
	delete(w.behind, login.e.ID)
	for _, it := range waiting {
		if it.stage == behindLogin { // it was not dropped meanwhile
			w.evaluateLogout(it)
		}
	}
}

func (w *worker) judgeLogout(it *item, login *Delivered) {
	it.login = login
	if login != nil {
		it.verdict = login.Verdict
		if it.e.Has(event.FlagNoLogout) {
			it.verdict.Reasons = policy.Judge(policy.Input{Event: it.e}, w.set.Policy).Reasons
		}
	} else {
		it.verdict = policy.Judge(policy.Input{Event: it.e}, w.set.Policy)
	}
	wanted := w.set.NotifyLogout == "all" ||
		w.set.NotifyLogout == "alerted" && login != nil && login.Verdict.Severity >= event.Medium
	if login != nil && login.Ignored {
		wanted = false
	}
	if !wanted || w.silenced(it) != nil {
		it.stage = ready
		w.finish(it, false)
		return
	}
	w.address(it, func(o *destQueue) bool {
		if login == nil {
			return true
		}
		_, had := login.sentTo(o.name)
		return had || len(login.Sent) == 0
	})
}

// address returns the item a delivery for each destination that must get it. Those
// that it has from an earlier worker stay as far as they are.
func (w *worker) address(it *item, wanted func(*destQueue) bool) {
	it.stage = ready
	routed := w.set.Routed(policy.Input{Event: it.e, Facts: it.known()}, it.verdict)
	// Thousands of events may wait at once: none has room for more than it needs.
	kept := make([]delivery, 0, max(len(it.deliveries), len(routed)))
	for _, p := range it.deliveries {
		if !p.pending() || w.queueFor(p.Dest) != nil || p.Dest == hubName {
			kept = append(kept, p)
			continue
		}
		w.Log.Warn("an event's destination is not in the settings any more", "id", it.e.ID, "destination", p.Dest)
	}
	it.deliveries = kept
	for _, o := range w.queues {
		if p := it.deliveryTo(o.name); p != nil {
			if p.pending() {
				tried := p.Attempted()
				o.add(it, !tried.Since.IsZero() || len(tried.Reached) > 0)
			} else if !p.Done.IsZero() {
				w.openWindow(o, groupKey(it.from, it.e), it.from, it.e.User, p.Done, it.verdict.Severity)
			}
			continue
		}
		if it.sorted || !wanted(o) || !slices.Contains(routed, o.name) || it.e.Alert != nil && it.e.Alert.Except == o.name {
			continue
		}
		it.deliveries = append(it.deliveries, delivery{Dest: o.name})
		o.add(it, false)
	}
	for _, o := range w.queues {
		if p := it.deliveryTo(o.name); p != nil && p.pending() {
			w.fallBackOf(o, it)
		}
	}
	if len(it.deliveries) == 0 && len(routed) == 0 && it.verdict.Severity >= event.High && !it.sorted {
		w.Alarm(fmt.Sprintf("%s %s of %s is %s, and no destination of the settings gets it (sshnotify show %s)",
			it.e.Kind, event.Ref(it.e.ID), it.e.User, it.verdict.Severity, event.Ref(it.e.ID)))
	}
	if it.finished() {
		w.finish(it, false)
	}
}

func (w *worker) queueFor(name string) *destQueue {
	for _, o := range w.queues {
		if o.name == name {
			return o
		}
	}
	return nil
}

// deliveredOf returns what is remembered of an item.
func (w *worker) deliveredOf(it *item, ignored bool) *Delivered {
	t := &Delivered{
		ID: it.e.ID, From: it.from, Time: it.e.Time, At: w.now().UTC(), Kind: it.e.Kind, Via: it.e.Via, Session: it.e.Session,
		User: it.e.User, Host: it.e.Host, Service: it.e.Service, IP: addrString(it.e.Remote.IP),
		Group: groupKey(it.from, it.e), Verdict: it.verdict, Ignored: ignored, Dead: it.dead(), Of: it.of, GotIn: it.e.GotIn(), Silence: it.silence, Gate: it.e.Gate,
	}
	title, text := wording.Note(it.e, w.set.zone())
	t.Verdict.Reasons = nil
	t.Detail = &Detail{Reasons: it.verdict.Reasons, Auth: it.e.Auth(), Facts: it.known(), Step: it.e.Login.Step, Title: title, Text: event.Clean(text, maxDetail)}
	t.Sent = make([]Sent, 0, len(it.deliveries))
	for _, p := range it.deliveries {
		if !p.Done.IsZero() {
			t.Sent = append(t.Sent, Sent{p.Dest, p.Done, p.Receipt, p.Maybe})
		}
	}
	return t
}

// finish ends an item that no destination waits for any more.
func (w *worker) finish(it *item, ignored bool) {
	delete(w.items, it.e.ID)
	if w.sessions[key(it.e.Session)] == it {
		delete(w.sessions, key(it.e.Session))
	}
	if it.dead() {
		// Kept in failed/ before it is remembered as done with: the other way
		// round, a kill in between would lose it.
		if err := w.deadLetter(it); err != nil {
			w.Log.Error("a dead letter can't be kept in failed/, the next worker tries it again", "id", it.e.ID, "error", err)
			return
		}
	}
	w.Figures.Finished(it.e, it.verdict.Severity)
	w.changed = true
	// Remembered before it is removed: the other way round, a kill in between
	// would let a nested shell tell the login again.
	if err := w.delivered.add(w.deliveredOf(it, ignored)); err != nil {
		w.Log.Error("a delivered event can't be recorded", "id", it.e.ID, "error", err)
	}
	if it.verdict.Severity >= event.High {
		w.nextRemind = time.Time{}
	}
	if !it.dead() {
		w.remove(eventFile(it.e.ID))
	}
	w.forgetPage(it)
}

// public reports whether strangers read what an event tells.
func public(e event.Event) bool {
	n := e.Note()
	return n != nil && n.Public
}

func addrString(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}
