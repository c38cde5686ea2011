package deliver

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// evaluate brings an item as far as it can go at once: a logout to its login,
// anything else to the look-up of its address.
func (w *worker) evaluate(it *item) {
	if public(it.e) {
		it.e.Host, it.e.Labels = "", nil
		w.judge(it)
		return
	}
	if w.set.Host != "" && it.e.Via != event.ViaSelf {
		it.e.Host = w.set.Host
	}
	if it.e.Labels == nil {
		it.e.Labels = w.set.Labels
	}
	if it.e.Kind == event.KindLogout {
		w.evaluateLogout(it)
		return
	}
	if it.e.Kind == event.KindWitness {
		w.evaluateWitness(it)
		return
	}
	ip := it.e.Remote.IP
	if !ip.IsValid() || w.set.Enrich == nil {
		w.judge(it)
		return
	}
	it.stage = enriching
	if _, asked := w.lookups[ip]; !asked {
		w.lookupQueue = append(w.lookupQueue, ip)
	}
	w.lookups[ip] = append(w.lookups[ip], it)
}

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
		it.facts = f.facts
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
	owner := w.recall(it)
	in := policy.Input{Event: it.e, Facts: it.facts, Memory: it.memory, Owner: owner, KnownKeys: w.set.KnownKeys}
	it.verdict = policy.Judge(in, w.set.Policy)
	if why := w.set.Quiet(in, it.verdict); w.remember(it, why != "") && why != "" {
		w.Log.Info("a login that is not delivered", "why", why, "id", it.e.ID, "user", it.e.User, "ip", it.e.Remote.IP)
		it.stage = ready
		w.finish(it, true)
	} else {
		w.address(it, func(o *destQueue) bool { return true })
	}
	w.release(it)
}

// evaluateLogout finds the login of a logout, and decides by it whether the
// logout is told.
func (w *worker) evaluateLogout(it *item) {
	login := w.sessions[key(it.e.Session)]
	switch {
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
	if !wanted {
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
	kept := it.deliveries[:0:0]
	for _, p := range it.deliveries {
		if !p.pending() || w.queueFor(p.Dest) != nil {
			kept = append(kept, p)
			continue
		}
		w.Log.Warn("an event's destination is not in the settings any more", "id", it.e.ID, "destination", p.Dest)
	}
	it.deliveries = kept
	routed := w.set.Routed(it.e, it.verdict)
	for _, o := range w.queues {
		if p := it.deliveryTo(o.name); p != nil {
			if p.pending() {
				o.add(it, !p.Since.IsZero())
			} else if !p.Done.IsZero() {
				w.openWindow(o, groupKey(it.e), p.Done, it.verdict.Severity)
			}
			continue
		}
		if it.sorted || !wanted(o) || !slices.Contains(routed, o.name) || it.e.Alert != nil && it.e.Alert.Except == o.name {
			continue
		}
		it.deliveries = append(it.deliveries, delivery{Dest: o.name})
		o.add(it, false)
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
		ID: it.e.ID, Time: it.e.Time, At: time.Now().UTC(), Kind: it.e.Kind, Via: it.e.Via, Session: it.e.Session,
		User: it.e.User, Host: it.e.Host, Service: it.e.Service, IP: addrString(it.e.Remote.IP),
		Group: groupKey(it.e), Verdict: it.verdict, Ignored: ignored, Dead: it.dead(), Of: it.of,
	}
	t.Verdict.Reasons = nil
	for _, p := range it.deliveries {
		if !p.Done.IsZero() {
			t.Sent = append(t.Sent, Sent{p.Dest, p.Done})
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
	// Remembered before it is removed: the other way round, a kill in between
	// would let a nested shell tell the login again.
	if err := w.delivered.add(w.deliveredOf(it, ignored)); err != nil {
		w.Log.Error("a delivered event can't be recorded", "id", it.e.ID, "error", err)
	}
	if !it.dead() {
		w.remove(eventFile(it.e.ID))
	}
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
