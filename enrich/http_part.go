package enrich

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
)

// What a message says in place of a score.
const (
	problemTimeout       = "timed out"
	problemCancelled     = "cancelled"
	problemQuota         = "quota used up"
	problemDown          = "service down"
	problemTLS           = "no secure connection"
	problemNotUnderstood = "answer not understood"
	problemNotKnown      = "not known there"
	problemNoScore       = "no score given"
	problemIPv4Only      = "knows IPv4 only"
)

// part is one of the requests of a look-up, and what came of it.
type part struct {
	p     *httpProvider
	form  *requestForm
	needs []*part // what must have come before
	cache *cache
	done  chan struct{} // closed when nothing more comes of it

	key     string            // in the cache
	values  map[string]string // for the placeholders, but for the key
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
	Means   service.Means `json:"means"` // meansUnknown, service.Refused
	Status  int           `json:"status"`
	Problem string        `json:"problem"`
	Hint    string        `json:"hint,omitempty"`
	Title   string        `json:"title,omitempty"`
	Detail  string        `json:"detail,omitempty"`
	Type    string        `json:"type,omitempty"`
}

// open looks into the cache for a part.
func (p *part) open(ip netip.Addr, captured map[string]string) {
	p.values = map[string]string{placeholderIP: ip.String()}
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

// leave asks the quota for leave to make the requests, the most important
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
	refused := p.quota.ask(names...)
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
	var wait time.Duration
	if a != nil {
		wait = a.Wait
	}
	if err == nil {
		var k kept
		if k, err = p.form.read(a); err == nil {
			p.p.quota.tell(p.form.Name, nil, 0)
			p.keep(k)
			return nil
		}
	}
	quotaPart := p.form.Name
	if err.means == service.NoKey {
		quotaPart = "" // the key itself is wrong, whatever it is used for
	}
	err.Until = p.p.quota.tell(quotaPart, err, wait)
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
func (e *ProviderError) isNo() bool { return e.means == meansUnknown || e.means == service.Refused }

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

// get makes one request. An answer that can't be used comes with an error.
func (p *part) get(ctx context.Context) (*service.Answer, *ProviderError) {
	name := p.form.Name
	a, err := p.p.service.Do(ctx, &p.form.Request, p.values)
	if err != nil {
		return nil, noAnswer(name, err)
	}
	e := &ProviderError{Part: name, Status: a.Status, Title: a.Title, Detail: a.Detail, Type: a.Type, means: a.Means}
	if a.Reply != nil {
		e.Hint, e.Problem = p.p.expand(a.Reply.Hint), a.Reply.Problem
	}
	switch a.Means {
	case service.Good, meansUnseen:
		return a, nil
	case meansUnknown, service.Refused:
		e.effect = effectUp
	case service.NoKey, service.Plan:
		e.effect = effectRefused
	case service.Quota:
		e.effect = effectQuota
	case service.Down:
		e.effect = effectDown
		if a.Status/100 == 3 {
			e.Problem = fmt.Sprintf("redirected elsewhere (%d)", a.Status)
			if a.RedirectHost != "" {
				e.Err = errors.New("leads to " + a.RedirectHost)
			}
		}
		e.Problem = cmp.Or(e.Problem, problemDown)
	default:
		why := "no answer of this service"
		if a.Fault != nil {
			why = a.Fault.Error()
		}
		return a, notUnderstood(name, a.Status, why)
	}
	return a, e
}

// noAnswer explains a request that nobody answered.
func noAnswer(part string, err error) *ProviderError {
	e := &ProviderError{Part: part, Problem: problemDown, Err: err, effect: effectDown}
	if oe, ok := errors.AsType[*outbound.Error](err); ok {
		switch oe.Kind {
		case outbound.Canceled:
			e.Problem, e.effect = problemCancelled, effectNone
		case outbound.Timeout:
			e.Problem = problemTimeout
		case outbound.TLS, outbound.Clock:
			e.Problem = problemTLS
		case outbound.Invalid:
			e.Problem, e.effect = "not asked", effectNone
		}
	}
	return e
}

// noTime explains a request that was not made because ctx had ended.
func noTime(part string, err error) *ProviderError {
	e := &ProviderError{Part: part, Problem: problemTimeout, Err: err}
	if errors.Is(err, context.Canceled) {
		e.Problem = problemCancelled
	}
	return e
}

func notUnderstood(part string, status int, why string) *ProviderError {
	return &ProviderError{Part: part, Status: status, Problem: problemNotUnderstood, Err: errors.New(why), effect: effectDown}
}

// explain says in a few words what is wrong, and what to do about it. A refusal
// by the quota tracker is explained like the answer that it remembers.
func (p *httpProvider) explain(e *ProviderError) *ProviderError {
	next := ""
	if !e.Until.IsZero() {
		next = "; next try at " + e.Until.Format("2006-01-02 15:04:05 MST")
	}
	hint := ""
	switch e.means {
	case service.Refused:
		e.Problem = withStatus(cmp.Or(e.Problem, "taken for no public address"), e.Status)
		e.Hint = cmp.Or(e.Hint, "the service answers for public addresses only")
		return e
	case meansUnknown:
		e.Problem = cmp.Or(e.Problem, problemNotKnown)
		return e
	case service.NoKey:
		e.Problem = withStatus(cmp.Or(e.Problem, "key refused"), e.Status)
		hint = "check api_key: " + p.service.Host() + " does not take it"
	case service.Plan:
		e.Problem = withStatus(cmp.Or(e.Problem, "not in the key's plan"), e.Status)
		hint = "the plan of this API key is too low for it"
		if p.service.Key.IsZero() {
			hint = "it may need an API key"
		}
	case service.Quota:
		e.Problem = problemQuota
	}
	switch e.Problem {
	case problemQuota:
		hint = "a longer enrich.cache_ttl, or a larger plan, makes the quota last longer"
	case problemTimeout:
		hint = "see whether " + p.service.Host() + " can be reached from here, or raise enrich.timeout"
	case problemTLS:
		hint = "see who answers at " + p.service.Host()
	case problemDown:
		hint = "see whether " + p.service.Host() + " can be reached from here"
	case problemNotUnderstood:
		hint = "check url: what answers at " + p.service.Host() + " does not speak the API of " + p.title()
	}
	if e.Status/100 == 3 {
		hint = "no redirect is followed; correct url, or remove the provider"
	}
	if e.Hint = cmp.Or(e.Hint, hint); e.Hint != "" {
		e.Hint += next
	}
	return e
}

// expand puts the host into a hint.
func (p *httpProvider) expand(hint string) string {
	return strings.ReplaceAll(hint, "{host}", p.service.Host())
}

// withStatus adds a status that says something.
func withStatus(problem string, status int) string {
	if status == http.StatusOK {
		return problem
	}
	return fmt.Sprintf("%s (%d)", problem, status)
}
