package deliver

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// alert puts together all that a destination must know to tell a message.
func (w *worker) alert(m *message, now time.Time) event.Alert {
	newest := m.items[0]
	first, last := newest.e.Time, newest.e.Time
	worst := newest
	for _, it := range m.items {
		if it.e.Time.After(last) {
			newest, last = it, it.e.Time
		}
		if it.e.Time.Before(first) {
			first = it.e.Time
		}
		if it.verdict.Worse(worst.verdict) {
			worst = it
		}
	}
	due, repeats := w.due(m, newest, first)
	o := w.queueFor(m.Dest)
	a := event.Alert{
		ID: m.ID, Count: len(m.items), More: repeats, First: first, Last: last,
		Zone: w.set.Zone, Clock12: w.set.Clock12, Runbook: w.set.Runbook,
		Verdict: worst.verdict, Late: max(0, now.Sub(due)), Unsure: m.Unsure, Reached: m.Reached,
		Quiet: o != nil && slices.ContainsFunc(m.items, o.wasQuiet),
	}
	if len(m.items) > 1 {
		newestFirst := slices.SortedStableFunc(slices.Values(m.items), func(x, y *item) int { return y.e.Time.Compare(x.e.Time) })
		for _, it := range newestFirst {
			a.Refs = append(a.Refs, it.e.ID)
		}
	}
	if first := newest.first; first != nil && len(m.items) == 1 { // it comes after that one's message
		a.Refs = []string{first.ID}
	}
	verdict := together(&a, m.items)
	if m.Digest {
		a.Rows, a.Accounts = publicRows(m.items), nil // the rows name them
		a.Event.Host, a.Event.Labels, a.Event.Kind = newest.e.Host, newest.e.Labels, newest.e.Kind
		return a
	}
	if e := newest.e; e.Kind == event.KindDigest {
		a.Event, a.Rows, a.Late = e, e.Digest.Rows, max(0, now.Sub(due))
		if !e.Digest.First.IsZero() {
			a.First, a.Last = e.Digest.First, e.Digest.Last
		}
		return a
	}
	a.Event, a.Facts, a.Verdict = newest.e, newest.known(), verdict
	w.answers(&a, newest, m.Dest, repeats)
	a.Memory, a.Person = newest.seen.memory(), newest.owner
	if login := newest.login; login != nil {
		a.LoginID = login.ID
		a.Lasted = max(0, newest.e.Time.Sub(login.Time))
	}
	return a
}

// maxAccounts is how many accounts on different hosts an alert names.
const maxAccounts = 40

// together fills in of which hosts the events are, where there are several, and
// returns what the verdicts on them come to.
func together(a *event.Alert, items []*item) event.Verdict {
	hosts, accounts := map[string]bool{}, map[event.Account]bool{}
	var all []policy.OnHost
	for _, it := range slices.SortedStableFunc(slices.Values(items), func(x, y *item) int { return cmp.Compare(y.verdict.Severity, x.verdict.Severity) }) {
		hosts[it.e.Host] = true
		all = append(all, policy.OnHost{Host: it.e.Host, Verdict: it.verdict})
		if acc := (event.Account{User: it.e.User, Host: it.e.Host}); !accounts[acc] && len(a.Accounts) < maxAccounts {
			accounts[acc] = true
			a.Accounts = append(a.Accounts, acc)
		}
	}
	if len(hosts) < 2 {
		a.Accounts = nil
		return a.Verdict
	}
	a.Hosts = len(hosts)
	return policy.Together(all)
}

// answers fills in what the alert of an event answers or takes the place of at a
// destination.
func (w *worker) answers(a *event.Alert, it *item, dest string, repeats bool) {
	switch alone := a.Count == 1; {
	case it.login != nil && alone:
		a.Parent = w.receipt(it.login.ID, dest)
	case it.first != nil && alone:
		a.Parent = w.receipt(it.first.ID, dest)
	case w.about(it) != "" && alone:
		a.Parent = w.receipt(w.about(it), dest)
	case it.e.Kind == event.KindAttack && alone:
		for _, t := range w.delivered.told(groupKey(it.from, it.e), dest) {
			if t.From == it.from {
				a.Parent, _ = t.receipt(dest)
				break
			}
		}
	case repeats && len(a.Accounts) == 0:
		for _, t := range w.delivered.told(groupKey(it.from, it.e), dest) {
			if t.From != it.from {
				break // another host's message stays
			}
			r, _ := t.receipt(dest)
			if a.Replaces == nil && t.Verdict.Severity >= a.Verdict.Severity {
				a.Replaces = r
			}
			if a.Replaces == nil || !maps.Equal(r, a.Replaces) {
				break
			}
			if a.Told++; a.ToldFirst.IsZero() || t.Time.Before(a.ToldFirst) {
				a.ToldFirst = t.Time
			}
		}
	}
}

// receipt returns what a destination gave back for an event, which may still
// wait for another one.
func (w *worker) receipt(id, dest string) event.Receipt {
	if it := w.items[id]; it != nil {
		if p := it.deliveryTo(dest); p != nil {
			return p.Receipt
		}
	}
	if t := w.delivered.byID[id]; t != nil {
		r, _ := t.receipt(dest)
		return r
	}
	return nil
}

// due returns when a message should have been told: when its newest event
// happened, or at the end of the window that holds repeats of what was told
// before. What is later than that is late by a fault or an outage. It reports
// also whether the message tells such repeats.
func (w *worker) due(m *message, newest *item, first time.Time) (at time.Time, repeats bool) {
	at = newest.e.Time
	o := w.queueFor(m.Dest)
	if o == nil {
		return at, false
	}
	if !m.disturbs() {
		at = o.Quiet.End(at)
	}
	if m.Digest || w.set.Window <= 0 {
		return at, false
	}
	told := o.windows[groupKey(newest.from, newest.e)]
	if told == nil {
		return at, false
	}
	end := told.at.Add(w.set.Window)
	if !first.Before(end) {
		return at, false
	}
	if at.Before(end) {
		return end, true
	}
	return at, true
}
