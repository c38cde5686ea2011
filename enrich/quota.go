package enrich

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// QuotaState is how a service stands with us.
type QuotaState struct {
	Minute, Day, Week, Month QuotaCount
	Fails                    int       // failures in a row
	Until                    time.Time // nothing is asked before; zero: nothing stands in the way
	Refused                  bool      // the service refused the key
	Why                      string    // what stands in the way, or the last failure of Fails
}

// QuotaCount counts requests. Over the longer spans a few of the oldest may be
// counted that are no longer in it, never too few.
type QuotaCount struct {
	Used  int
	Limit int // 0: none; then nothing is counted over the longer spans
}

// Left is how many more may be made; -1 without a limit.
func (c QuotaCount) Left() int {
	if c.Limit == 0 {
		return -1
	}
	return max(0, c.Limit-c.Used)
}

// Quota says how a provider's service stands with us, on all processes that
// share its state folder; false for a provider that counts nothing. It asks
// nobody and changes nothing.
func Quota(p Provider) (QuotaState, bool) {
	h, ok := p.(*httpProvider)
	if !ok {
		return QuotaState{}, false
	}
	return h.quota.state(func(e *ProviderError) string { return h.explain(e).Problem }), true
}

func (l *quotaTracker) state(explain func(*ProviderError) string) QuotaState {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.memory.clone()
	if doc := l.stored(); doc.Owner == l.owner {
		a = doc
	}
	now := l.now()
	a.forget(now)
	out := QuotaState{
		Minute: QuotaCount{len(a.Minute), l.limits.PerMinute}, Day: QuotaCount{a.Days.used(), l.limits.PerDay},
		Week: QuotaCount{a.Weeks.used(), l.limits.PerWeek}, Month: QuotaCount{a.Months.used(), l.limits.PerMonth},
		Fails: a.Fails, Why: a.Why, Refused: len(a.Refused) > 0,
	}
	why := l.refuse(&a, now, "")
	for part := range a.Refused {
		why = cmp.Or(why, l.refuse(&a, now, part))
	}
	if why != nil {
		out.Until, out.Why = why.Until, explain(why)
	}
	return out
}

// clone gives a copy that can be changed.
func (a *account) clone() account {
	out := *a
	out.Minute, out.Refused = slices.Clone(a.Minute), maps.Clone(a.Refused)
	return out
}
