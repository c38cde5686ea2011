package deliver

import (
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// SameLogin is how far the hook's word of a login and the watcher's, that failures
// came before it, may be apart: files have whole seconds, and a busy watcher is late.
const SameLogin = 30 * time.Second

// gotIn is what the watcher said of a login that came after failures, until the
// hook's word of it must be here.
type gotIn struct {
	it    *item // nil: an earlier worker told it
	told  *Delivered
	after *event.Attack // nil: as told is of an earlier worker
}

// recallGotIns takes up what earlier workers told a moment ago.
func recallGotIns(l *deliveryLog, now time.Time) (all []*gotIn) {
	for _, t := range l.byID {
		if t.GotIn && t.Of == "" && !t.Ignored && now.Sub(t.Time).Abs() <= SameLogin {
			all = append(all, &gotIn{told: t})
		}
	}
	return all
}

// joined makes one of what the hook and the watcher saw of the same login. The
// watcher's word becomes part of a login that nobody was told of yet; else only the
// stronger is told after the weaker, with its ref. It reports whether the item is
// over with that.
func (w *worker) joined(it *item) (done bool) {
	switch {
	case it.sorted: // an earlier worker decided
		return false
	case it.e.GotIn():
		return w.joinLogin(it)
	case it.e.Kind == event.KindLogin && it.e.Login.By == "":
		w.joinGotIn(it)
	}
	return false
}

// joinLogin looks for the login of the watcher's word.
func (w *worker) joinLogin(it *item) (done bool) {
	now := w.now()
	w.gotIns = slices.DeleteFunc(w.gotIns, func(g *gotIn) bool { return now.Sub(g.time()).Abs() > 2*SameLogin })
	var login *item
	for _, l := range w.items {
		if l.e.Kind == event.KindLogin && sameAs(it, l.from, l.e.User, addrString(l.e.Remote.IP), l.e.Time) && (login == nil || l.e.Time.After(login.e.Time)) {
			login = l
		}
	}
	if login != nil && w.untold(login) {
		login.e.Login.After = it.e.Attack
		if w.keepJoined(login, it) {
			if login.stage == ready {
				w.withdraw(login)
				w.judge(login)
			}
			return true
		}
		login.e.Login.After = nil
	}
	if login != nil {
		it.first = w.deliveredOf(login, false)
	} else {
		// Those of its host alone: one that makes up many costs the hub no more for
		// what others told.
		for _, t := range w.delivered.byHost[it.from] {
			if t.Kind == event.KindLogin && w.delivered.has(t.ID) && sameAs(it, t.From, t.User, t.IP, t.Time) && (it.first == nil || t.Time.After(it.first.Time)) {
				it.first = t
			}
		}
	}
	w.gotIns = append(w.gotIns, &gotIn{it: it, after: it.e.Attack})
	return false
}

// joinGotIn looks for the watcher's word of a login.
func (w *worker) joinGotIn(it *item) {
	for i, g := range w.gotIns {
		t := g.told
		if g.it != nil {
			t = w.deliveredOf(g.it, false)
		}
		if !sameAs(it, t.From, t.User, t.IP, t.Time) {
			continue
		}
		w.gotIns = slices.Delete(w.gotIns, i, i+1)
		it.e.Login.After = g.after
		switch {
		case g.it != nil && w.items[t.ID] == g.it && w.untold(g.it) && w.keepJoined(it, g.it):
			w.withdraw(g.it)
			g.it.stage = ready
			w.finish(g.it, true)
		case g.it == nil || !g.it.quiet:
			it.first = t
		}
		return
	}
}

// keepJoined keeps a login with what the watcher said of it, which a kill would
// lose, since its own event goes.
func (w *worker) keepJoined(login, word *item) bool {
	if err := w.writeItem(login); err != nil {
		w.Log.Error("a login can't be kept with the failures before it, and both are told", "id", login.e.ID, "error", err)
		return false
	}
	word.of = login.e.ID
	return true
}

// sameAs reports whether an item is about somebody's login to the same host at about
// this time.
func sameAs(it *item, from, user, ip string, at time.Time) bool {
	return it.from == from && it.e.User == user && addrString(it.e.Remote.IP) == ip && it.e.Time.Sub(at).Abs() <= SameLogin
}

func (g *gotIn) time() time.Time {
	if g.it != nil {
		return g.it.e.Time
	}
	return g.told.Time
}

// untold reports whether no destination may have been told of an item.
func (w *worker) untold(it *item) bool {
	return !w.onItsWay(it) && !slices.ContainsFunc(it.deliveries, func(p delivery) bool { return p.msg != nil || !p.Attempted().Since.IsZero() || !p.pending() })
}

// withdraw takes an item that nobody was told of from the destinations' queues, to
// be judged anew.
func (w *worker) withdraw(it *item) {
	for _, o := range w.queues {
		o.fresh = slices.DeleteFunc(o.fresh, func(x *item) bool { return x == it })
	}
	it.deliveries, it.stage = nil, claimed
}

// follows says why an item is not told that the hook and the watcher both saw:
// where one was told already, the other is only if it is worse. Empty: it is told.
func (w *worker) follows(it *item) (why string) {
	if it.first == nil || it.first.Ignored {
		if it.quiet = it.e.GotIn() && it.verdict.Severity == event.Low; it.quiet {
			return "only others attack the account"
		}
		return ""
	}
	if it.e.GotIn() || it.verdict.Severity <= it.first.Verdict.Severity {
		it.of = it.first.ID
	}
	if it.verdict.Severity > it.first.Verdict.Severity {
		return ""
	}
	it.verdict.Severity = it.first.Verdict.Severity // which the memory is to know
	return "the same login was told"
}

// loginOf returns the login that the watcher's word is about.
func loginOf(it *item) event.Event {
	login := it.e
	login.Kind, login.Login, login.Attack = event.KindLogin, event.Login{Auth: it.e.Auth()}, nil
	if it.first != nil {
		login.ID, login.Time = it.first.ID, it.first.Time // it is remembered, and not one before itself
	}
	return login
}

// raise has the memory know that a login was worse than the hook's word of it, which
// it has already. Of a service that no hook reports, as FTP servers, the watcher's
// word is all that there is: without it each login would be somebody's first.
func (w *worker) raise(it *item) {
	if !it.e.GotIn() || it.first == nil && it.e.Hooked() || !w.remembers() {
		return
	}
	v := it.verdict
	v.Keys = append(slices.Clone(v.Keys), policy.KeyAfterFailures)
	if err := w.set.Memory.Remember(loginOf(it), it.known(), v, policy.Telling{When: policy.Now, Teaches: v.Severity < event.High && !w.late(it), Late: w.late(it)}); err != nil {
		w.historyDown(err)
	}
}
