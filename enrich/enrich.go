// Package enrich owns what is asked about an address: the providers, how they
// are asked together, the answers kept on disk, and their quotas. It turns an
// address into event.Facts. Look-up services are described as data, in the form
// that services/README.md documents.
//
// It must never fail a delivery: what could not be found out is unknown, with
// the reason. It must never ask anybody about an address that is not public,
// and imports nothing that decides or sends (policy, channel, spool, config).
package enrich

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

// DefaultTimeout bounds a look-up where Options.Timeout is 0.
const DefaultTimeout = 3 * time.Second

// grace is what a provider gets after its time is over, to put down what it
// has. One that takes longer does not obey its context.
const grace = 250 * time.Millisecond

// Provider knows something about addresses. It may be used concurrently.
type Provider interface {
	Info() Info
	// Lookup is asked about public addresses only, unmapped and without a zone.
	// Facts may be partly known beside an error, which says what is missing and
	// is best a *ProviderError. A provider that gives a risk always sets Risk,
	// with a Problem where it has none. It returns soon after ctx ends. The
	// facts' strings are cleaned.
	Lookup(ctx context.Context, ip netip.Addr) (event.Facts, error)
}

// Info is what there is to know of a provider before it is asked.
type Info struct {
	Name  string // its table in the settings: letters, digits, "-", "_"
	Title string // as people know it
	// Local: nobody is asked over a network, so that answers need not be kept.
	Local bool
	// GivesRisk: its silence leaves the risk unknown, which must not look safe. A
	// risk that others know counts like any other.
	GivesRisk bool
	// Allow: its addresses are the owner's own, or well known; their label is
	// their name, as if the settings named the network.
	Allow    bool
	CacheTTL time.Duration // the longest that an answer may be used again; 0: as long as any other
	Service  *Service      // that is asked, where a file describes it
}

// cachedProvider keeps the parts of its answers in a cache that the engine
// opens for it; nil keeps nothing. cached says that nobody was asked.
type cachedProvider interface {
	Provider
	lookup(ctx context.Context, ip netip.Addr, c *cache) (facts event.Facts, cached bool, err error)
}

// Options say whom an Engine asks, and how.
type Options struct {
	Providers []Provider    // in the settings' order, which decides each fact but the risk
	Timeout   time.Duration // for all together; 0: DefaultTimeout
	CacheTTL  time.Duration // how long an answer is used again; 0: nothing is kept
	Store     *store.DB     // for the answers; nil: nothing is kept
	Networks  []NamedNetwork
	// Addresses gives this machine's own; nil: from the kernel. See Overlay.
	Addresses func() []netip.Addr
	Now       func() time.Time
}

// Engine asks the providers. It may be used concurrently.
type Engine struct {
	providers []Provider
	caches    []*cache // of the provider with the same index
	networks  []NamedNetwork
	own       func() []netip.Addr
	timeout   time.Duration
}

// staleFor is how long an answer that is too old is kept besides, to stand in
// for one that does not come. What was said of an address a week ago is worth
// something; a month later it may be somebody else's.
const staleFor = 7 * 24 * time.Hour

// New makes an engine. It touches nothing on disk.
func New(o Options) *Engine {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Addresses == nil {
		o.Addresses = ownAddresses
	}
	e := &Engine{providers: o.Providers, caches: make([]*cache, len(o.Providers)), own: o.Addresses, timeout: o.Timeout}
	for _, n := range o.Networks {
		n.Prefix = unmapped(n.Prefix)
		e.networks = append(e.networks, n)
	}
	for i, p := range o.Providers {
		if info := p.Info(); o.Store != nil && o.CacheTTL > 0 && !info.Local {
			ttl := o.CacheTTL
			if info.CacheTTL > 0 {
				ttl = min(ttl, info.CacheTTL)
			}
			e.caches[i] = &cache{
				db: o.Store, provider: info.Name, ttl: ttl, stale: staleFor, now: o.Now, limit: cacheLimit, every: pruneEvery,
			}
		}
	}
	return e
}

// Providers gives those that are asked, in the settings' order.
func (e *Engine) Providers() []Provider { return slices.Clone(e.providers) }

// Result is what one provider said.
type Result struct {
	Provider string // its Name
	Title    string
	Facts    event.Facts
	Err      error         // what went wrong; some facts may be known all the same
	Hint     string        // what to do about Err; may be empty
	Cached   bool          // nobody was asked: the answer was kept from before
	Took     time.Duration // of the look-up that gave the answer
}

// Lookup gives what is known about an address, within Options.Timeout, and
// sooner if ctx ends. What did not come by then is unknown, with the reason.
// An address that is not public gives its scope and its name and is asked of
// nobody; an invalid one gives nothing.
func (e *Engine) Lookup(ctx context.Context, ip netip.Addr) event.Facts {
	name := e.Name(ip)
	if s := Scope(ip); s != "" {
		return event.Facts{Scope: s, Name: name}
	}
	results := e.LookupAll(ctx, ip)
	out := Merge(results)
	out.Name = name
	for i, r := range results {
		lists := r.Facts.Traits.Lists
		if len(lists) > 0 && out.Name == "" && e.providers[i].Info().Allow {
			out.Name = lists[0]
		}
	}
	return out
}

// Merge makes one of the providers' answers, as Lookup does.
func Merge(results []Result) event.Facts {
	facts := make([]event.Facts, len(results))
	for i := range results {
		facts[i] = results[i].Facts
	}
	return merge(facts)
}

// LookupAll is Lookup with the providers' answers side by side, in the order
// of Options.Providers; none for an address that is invalid or not public.
func (e *Engine) LookupAll(ctx context.Context, ip netip.Addr) []Result {
	if !ip.IsValid() || Scope(ip) != "" || len(e.providers) == 0 {
		return nil
	}
	return e.ask(ctx, ip.Unmap().WithZone(""))
}

// ask asks all providers at the same time and waits for as long as it may.
func (e *Engine) ask(ctx context.Context, ip netip.Addr) []Result {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	type numbered struct {
		i int
		r Result
	}
	answers := make(chan numbered, len(e.providers))
	out := make([]Result, len(e.providers))
	for i := range e.providers {
		go func() { answers <- numbered{i, e.askOne(ctx, i, ip)} }()
	}
	came := make([]bool, len(out))
	over := ctx.Done()
	var stop <-chan time.Time
	for left := len(out); left > 0; {
		select {
		case a := <-answers:
			out[a.i], came[a.i] = a.r, true
			left--
		case <-over:
			over, stop = nil, time.After(grace)
		case <-stop:
			left = 0
		}
	}
	for i, p := range e.providers {
		if !came[i] {
			out[i] = late(p, ctx.Err())
			out[i].Took = e.timeout + grace
		}
	}
	return out
}

func (e *Engine) askOne(ctx context.Context, i int, ip netip.Addr) (r Result) {
	p, start := e.providers[i], time.Now()
	info := p.Info()
	r = Result{Provider: info.Name, Title: info.Title}
	defer func() {
		// A mistake in reading a stranger's answer must not take the delivery down.
		if x := recover(); x != nil {
			r.Facts = unknown(info, "failed")
			r.Err = errors.New("broke down: " + event.Clean(fmt.Sprint(x), maxDetail))
		}
		if pe, ok := errors.AsType[*ProviderError](r.Err); ok {
			r.Hint = pe.Hint
		} else if h, ok := r.Err.(interface{ Hint() string }); ok {
			r.Hint = h.Hint()
		}
		if risk := r.Facts.Risk; risk != nil && !risk.Known && !info.GivesRisk {
			r.Facts.Risk = nil
		}
		r.Took = time.Since(start)
	}()
	if cp, ok := p.(cachedProvider); ok {
		r.Facts, r.Cached, r.Err = cp.lookup(ctx, ip, e.caches[i])
	} else {
		r.Facts, r.Cached, r.Err = lookupWhole(ctx, p, ip, e.caches[i])
	}
	return r
}

// lookupWhole asks a provider that leaves it to the engine to keep its answers.
// An old one stands in for one that does not come.
func lookupWhole(ctx context.Context, p Provider, ip netip.Addr, c *cache) (facts event.Facts, cached bool, err error) {
	key := "facts-" + ip.String()
	if c.get(key, &facts) {
		return facts, true, nil
	}
	if facts, err = p.Lookup(ctx, ip); err == nil {
		c.put(key, facts)
		return facts, false, nil
	}
	var old event.Facts
	if at, ok := c.getStale(key, &old); ok {
		if old.Risk != nil {
			old.Risk.Stale = at
		}
		return old, false, err
	}
	return facts, false, err
}

// late is the result of a provider that was not waited for.
func late(p Provider, err error) Result {
	problem := problemTimeout
	if errors.Is(err, context.Canceled) {
		problem = problemCancelled
	}
	info := p.Info()
	return Result{Provider: info.Name, Title: info.Title, Err: err, Facts: unknown(info, problem)}
}

// unknown are the facts of a provider that said nothing. What is not known must
// not look safe.
func unknown(p Info, problem string) event.Facts {
	if !p.GivesRisk {
		return event.Facts{}
	}
	return event.Facts{Risk: &event.Risk{Provider: p.Title, Problem: problem}}
}
