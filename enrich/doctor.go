package enrich

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
)

// Examined is what providers implement that tell doctor themselves how they
// stand; of the others the quota is reported.
type Examined interface {
	Examine(ctx context.Context, r *doctor.Report, name string)
}

// Checker is what providers implement that read a file of the owner's. A file that
// is not there, or not what it should be, keeps nothing from starting: it may
// come later.
type Checker interface {
	// Check looks at the file now, and returns what is wrong with it.
	Check() error
}

// Examine adds how a provider stood at its last look-up to a report of doctor's.
// A provider that fails makes facts unknown, and no alert late by more than its
// time-out.
func Examine(ctx context.Context, r *doctor.Report, p Provider) {
	info := p.Info()
	name := "provider " + info.Name
	if own, ok := p.(Examined); ok {
		own.Examine(ctx, r, name)
	} else if q, ok := Quota(p); ok {
		q.report(r, name)
	}
	if s := info.Service; s != nil && s.Terms != "" {
		r.OK("terms of "+info.Name, "%s", s.Terms)
	}
}

// report reports what is left of each span that has a limit.
func (q QuotaState) report(r *doctor.Report, name string) {
	var spans []string
	nearly, exhausted := false, false
	for _, c := range []struct {
		QuotaCount
		span string
	}{{q.Day, "day"}, {q.Week, "week"}, {q.Month, "month"}} {
		if c.Limit > 0 {
			spans = append(spans, fmt.Sprintf("%d of %d requests of a %s", c.Used, c.Limit, c.span))
			exhausted = exhausted || c.Left() == 0
			nearly = nearly || c.Used >= c.Limit-c.Limit/10
		}
	}
	used := cmp.Or(strings.Join(spans, ", "), fmt.Sprintf("%d requests in the last minute", q.Minute.Used))
	try, spare := r.Command("lookup 203.0.113.7"), `cache_ttl = "24h" under [enrich] in `+r.Config
	switch {
	case exhausted:
		r.Warn(name, spare, "quota exhausted; risk shown as unknown; %s", used)
	case q.Until.After(r.Now) && q.Refused:
		r.Fail(name, try, "%s; %s", q.Why, used)
	case q.Until.After(r.Now):
		r.Warn(name, try, "not asked before %s: %s; %s", doctor.Stamp(q.Until), q.Why, used)
	case nearly:
		r.Warn(name, spare, "%s", used)
	default:
		r.OK(name, "%s", used)
	}
}

// Reach asks a provider about a documentation address (RFC 5737), and reports
// whether it answered.
func Reach(ctx context.Context, r *doctor.Report, p Provider, timeout time.Duration) {
	name := "online " + p.Info().Name
	e := New(Options{Providers: []Provider{p}, Timeout: timeout})
	for _, got := range e.LookupAll(ctx, netip.AddrFrom4([4]byte{192, 0, 2, 1})) {
		if got.Err != nil {
			r.Fail(name, cmp.Or(got.Hint, r.Command("lookup 192.0.2.1")), "%v", got.Err)
			continue
		}
		r.OK(name, "it was asked about 192.0.2.1 and answered (%v)", got.Took.Round(time.Millisecond))
	}
}
