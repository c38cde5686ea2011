// Package enrich owns what is asked about an address: the providers, how they
// are asked together, the answers kept on disk, and their quotas. It turns an
// address into event.Facts.
//
// It must never fail a delivery: what could not be found out is unknown, with
// the reason. It must never ask anybody about an address that is not public,
// and imports nothing that decides or sends (policy, dest, spool, config).
package enrich

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// DefaultTimeout bounds a look-up where Options.Timeout is 0.
const DefaultTimeout = 3 * time.Second

// grace is what a provider gets after its time is over, to put down what it
// has. One that takes longer does not obey its context.
const grace = 250 * time.Millisecond

// Provider knows something about addresses. It may be used concurrently.
type Provider interface {
	// Name is the provider's table in the settings: letters, digits, "-", "_".
	Name() string
	// Title is the name as people know it.
	Title() string
	// Lookup is asked about public addresses only, unmapped and without a zone.
	// Facts may be partly known beside an error, which says what is missing and
	// is best a *ProviderError. A provider that gives a risk always sets Risk,
	// with a Problem where it has none. It returns soon after ctx ends. The
	// facts' strings are cleaned.
	Lookup(ctx context.Context, ip netip.Addr) (event.Facts, error)
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
	StateDir  string        // for the folder cache; empty: nothing is kept
	Now       func() time.Time
}

// Engine asks the providers. It may be used concurrently.
type Engine struct {
	providers []Provider
	caches    []*cache // of the provider with the same index
	timeout   time.Duration
	flights   flights
}

// New makes an engine. It touches nothing on disk.
func New(o Options) *Engine {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := &Engine{providers: o.Providers, caches: make([]*cache, len(o.Providers)), timeout: o.Timeout}
	for i, p := range o.Providers {
		if o.StateDir != "" && o.CacheTTL > 0 && isFileName(p.Name()) {
			e.caches[i] = &cache{
				dir: filepath.Join(o.StateDir, "cache", p.Name()),
				ttl: o.CacheTTL, now: o.Now, limit: cacheLimit, every: pruneEvery,
			}
		}
	}
	return e
}

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
// An address that is not public gives its scope and is asked of nobody; an
// invalid one gives nothing. Look-ups of one address at the same time share
// one.
func (e *Engine) Lookup(ctx context.Context, ip netip.Addr) event.Facts {
	if s := Scope(ip); s != "" {
		return event.Facts{Scope: s}
	}
	results := e.LookupAll(ctx, ip)
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
	ip = ip.Unmap().WithZone("")
	shared, ok := e.flights.do(ctx, ip, func(ctx context.Context) []Result { return e.ask(ctx, ip) })
	if !ok {
		shared = make([]Result, len(e.providers))
		for i, p := range e.providers {
			shared[i] = late(p, ctx.Err())
		}
	}
	out := make([]Result, len(shared))
	for i, r := range shared {
		if r.Facts.Risk != nil {
			risk := *r.Facts.Risk // everybody gets their own
			r.Facts.Risk = &risk
		}
		out[i] = r
	}
	return out
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
	r = Result{Provider: p.Name(), Title: p.Title()}
	defer func() {
		// A mistake in reading a stranger's answer must not take the delivery down.
		if x := recover(); x != nil {
			r.Facts = event.Facts{Risk: &event.Risk{Provider: r.Title, Problem: "failed"}}
			r.Err = errors.New("broke down: " + event.Clean(fmt.Sprint(x), maxDetail))
		}
		if pe, ok := errors.AsType[*ProviderError](r.Err); ok {
			r.Hint = pe.Hint
		}
		r.Took = time.Since(start)
	}()
	if cp, ok := p.(cachedProvider); ok {
		r.Facts, r.Cached, r.Err = cp.lookup(ctx, ip, e.caches[i])
	} else {
		r.Facts, r.Err = p.Lookup(ctx, ip)
	}
	return r
}

// late is the result of a provider that was not waited for. Whether it gives a
// risk can't be known, and what is not known must not look safe.
func late(p Provider, err error) Result {
	problem := "timed out"
	if errors.Is(err, context.Canceled) {
		problem = "cancelled"
	}
	return Result{Provider: p.Name(), Title: p.Title(), Err: err,
		Facts: event.Facts{Risk: &event.Risk{Provider: p.Title(), Problem: problem}}}
}
