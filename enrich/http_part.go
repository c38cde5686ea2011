package enrich

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// part is one of the requests of a look-up, and what came of it.
type part struct {
	p     *httpProvider
	form  *requestForm
	needs []*part // what must have come before
	cache *cache
	done  chan struct{} // closed when nothing more comes of it

	key     string            // in the cache
	values  map[string]string // for the placeholders
	cached  bool              // no need to ask
	refused *ProviderError    // may not be asked now
	value   kept
	stale   time.Time // when value was got, if it is an old one
	err     *ProviderError
}

// kept is a part as it is in the cache: what was said, or an understood no.
type kept struct {
	Facts   event.Facts       `json:"facts,omitzero"`
	Capture map[string]string `json:"capture,omitempty"`
	No      *no               `json:"no,omitempty"`
}

type no struct {
	Means   string `json:"means"` // meansUnknown, meansRefused
	Status  int    `json:"status"`
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"`
	Title   string `json:"title,omitempty"`
	Detail  string `json:"detail,omitempty"`
	Type    string `json:"type,omitempty"`
}

// open looks into the cache for a part.
func (p *part) open(ip netip.Addr, captured map[string]string) {
	p.values = map[string]string{"ip": ip.String(), "key": p.p.key.Reveal()}
	id := []string{p.form.Name}
	if p.form.asksIP {
		id = append(id, ip.String())
	}
	for _, name := range p.form.needs {
		p.values[name] = captured[name]
		id = append(id, captured[name])
	}
	p.key = strings.Join(append(id, p.p.source), "-")
	var k kept
	if p.cache.get(p.key, &k) {
		p.cached = true
		p.take(k)
	}
}

// follow waits for what the part needs, and reports false if that did not come:
// then there is nothing to ask.
func (p *part) follow(ip netip.Addr) bool {
	captured := make(map[string]string)
	for i, name := range p.form.needs {
		<-p.needs[i].done
		captured[name] = p.needs[i].value.Capture[name]
		if captured[name] == "" {
			p.cached = p.needs[i].cached
			return false
		}
	}
	p.open(ip, captured)
	return true
}

func (p *part) take(k kept) {
	p.value = k
	if n := k.No; n != nil {
		p.err = &ProviderError{
			Part: p.form.Name, Status: n.Status, Title: n.Title, Detail: n.Detail, Type: n.Type,
			Problem: n.Problem, Hint: n.Hint, means: n.Means, effect: effectUp,
		}
	}
}

// leave asks the ledger for leave to make the requests, the most important
// first. Where there is no time left, none is made, which spares the quota.
func (p *httpProvider) leave(ctx context.Context, parts ...*part) {
	var names []string
	for _, part := range parts {
		if part.cached {
			continue
		}
		if err := ctx.Err(); err != nil {
			part.refused = p.explain(noTime(part.form.Name, err))
			continue
		}
		names = append(names, part.form.Name)
	}
	refused := p.ledger.ask(names...)
	for _, part := range parts {
		if why := refused[part.form.Name]; why != nil {
			part.refused = p.explain(why)
		}
	}
}

// fetch gets the part from the service, unless it is there or may not be asked
// for. An old answer stands in for one that does not come.
func (p *part) fetch(ctx context.Context) {
	if p.cached {
		return
	}
	if p.err = p.refused; p.err == nil {
		p.err = p.ask(ctx)
	}
	if p.err == nil || p.value.No != nil {
		return
	}
	var k kept
	if at, ok := p.cache.getStale(p.key, &k); ok {
		p.value, p.stale = k, at
	}
}

func (p *part) ask(ctx context.Context) (err *ProviderError) {
	defer func() {
		// A mistake in reading a stranger's answer must not take the delivery down.
		if x := recover(); x != nil {
			err = p.p.explain(notUnderstood(p.form.Name, 0, "it broke the reader"))
		}
	}()
	a, err := p.get(ctx)
	if err == nil {
		var k kept
		if k, err = a.read(p); err == nil {
			p.p.ledger.tell(p.form.Name, nil, 0)
			p.keep(k)
			return nil
		}
	}
	ledgerPart := p.form.Name
	if err.means == meansKey {
		ledgerPart = "" // the key itself is wrong, whatever it is used for
	}
	err.Until = p.p.ledger.tell(ledgerPart, err, a.retryAfter)
	err = p.p.explain(err)
	if err.isNo() {
		p.keep(kept{No: &no{
			Means: err.means, Status: err.Status, Problem: err.Problem, Hint: err.Hint,
			Title: err.Title, Detail: err.Detail, Type: err.Type,
		}})
	}
	return err
}

func (p *part) keep(k kept) {
	p.take(k)
	p.cache.put(p.key, k)
}

// isNo reports whether the service understood the question and had no answer.
func (e *ProviderError) isNo() bool { return e.means == meansUnknown || e.means == meansRefused }

// joinErrors says each trouble once, the most important first. That a place or
// a name is not known is none.
func joinErrors(parts []*part) error {
	// A request for the risk before those for what else there is to know.
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b *part) int { return min(1, len(b.form.Scores)) - min(1, len(a.form.Scores)) })
	var out error
	said := make(map[string]bool)
	for _, p := range parts {
		e := p.err
		switch {
		case e == nil || said[e.Problem] || e.means == meansUnknown && len(p.form.Scores) == 0:
			continue
		case out == nil:
			out = e
		default:
			out = fmt.Errorf("%w; %w", out, e)
		}
		said[e.Problem] = true
	}
	return out
}
