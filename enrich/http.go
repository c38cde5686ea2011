package enrich

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/store"
)

// HTTPOptions say which service is asked, and as whom.
type HTTPOptions struct {
	Name    string       // its table in the settings; empty: Type
	Service *ServiceFile // a file of the user's; nil: the shipped one called Type
	Type    string
	BaseURL string          // see outbound.CheckURL; empty: the service's own
	Key     outbound.Secret // zero: none
	// Requests in any span of that length. 0: as many as the service's file
	// says; less than 0: as many as one likes.
	PerMinute, PerDay, PerWeek, PerMonth int
	Store                                *store.DB // for the quota; nil: counted in memory
	Now                                  func() time.Time
}

// httpProvider asks one service as its file says.
type httpProvider struct {
	name    string
	file    *ServiceFile
	service *service.Service
	source  string // tells services apart in the cache
	quota   *quotaTracker
}

// NewHTTP makes the provider for a service that a file describes.
func NewHTTP(c *outbound.Client, o HTTPOptions) (Provider, error) {
	if o.Service == nil {
		f, err := shippedService(o.Type)
		if err != nil {
			return nil, err
		}
		o.Service = f
	}
	s := o.Service.Service()
	o.Name = cmp.Or(o.Name, o.Type, s.Name)
	if !isFileName(o.Name) {
		return nil, fmt.Errorf("the name %q is not made of letters, digits, - and _ alone", event.Clean(o.Name, 64))
	}
	asked, err := service.New(o.Name, &o.Service.form.Description, c, o.BaseURL, o.Key)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &httpProvider{name: o.Name, file: o.Service, service: asked}
	p.source = fingerprint(asked.BaseURL, o.Service.digest)
	p.quota = &quotaTracker{db: o.Store, name: o.Name, owner: fingerprint(asked.BaseURL, o.Key.Reveal()), now: o.Now, limits: Limits{
		limit(o.PerMinute, s.Quota.PerMinute), limit(o.PerDay, s.Quota.PerDay),
		limit(o.PerWeek, s.Quota.PerWeek), limit(o.PerMonth, s.Quota.PerMonth),
	}}
	return p, nil
}

func limit(own, files int) int {
	switch {
	case own < 0:
		return 0
	case own > 0:
		return own
	}
	return files
}

// fingerprint is too short to find a key by, and long enough to tell two apart.
func fingerprint(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:5])
}

// Info implements Provider.
func (p *httpProvider) Info() Info {
	s := p.file.Service()
	return Info{Name: p.name, Title: s.Title, GivesRisk: s.GivesRisk, CacheTTL: p.file.form.CacheTTL, Service: &s}
}

func (p *httpProvider) title() string { return p.file.form.Title }

func (p *httpProvider) Lookup(ctx context.Context, ip netip.Addr) (event.Facts, error) {
	facts, _, err := p.lookup(ctx, ip, nil)
	return facts, err
}

// lookup makes the requests of the service's file: at the same time those that
// need nothing but the address, and each other one as soon as what it needs has
// come. Each is kept on its own: one that did not come is made again by the next
// look-up.
func (p *httpProvider) lookup(ctx context.Context, ip netip.Addr, c *cache) (event.Facts, bool, error) {
	if s := Scope(ip); s != "" || !ip.IsValid() {
		return event.Facts{Scope: s}, true, nil
	}
	ip = ip.Unmap().WithZone("")
	if p.file.form.Addresses == addressesIPv4 && !ip.Is4() {
		e := &ProviderError{Part: p.mainPart(), Problem: problemIPv4Only, Hint: p.title() + " is not asked about IPv6 addresses"}
		return p.facts(nil, e), true, e
	}
	parts := make([]*part, len(p.file.form.Requests))
	captured := make(map[string]*part)
	var ready []*part
	for i := range p.file.form.Requests {
		form := &p.file.form.Requests[i]
		parts[i] = &part{p: p, form: form, cache: c, done: make(chan struct{})}
		for _, name := range form.needs {
			parts[i].needs = append(parts[i].needs, captured[name])
		}
		for name := range form.Capture {
			captured[name] = parts[i]
		}
		if len(form.needs) == 0 {
			parts[i].open(ip, nil)
			ready = append(ready, parts[i])
		}
	}
	p.leave(ctx, ready...)
	var wg sync.WaitGroup
	for _, part := range parts {
		wg.Go(func() {
			defer close(part.done)
			if len(part.needs) > 0 {
				if !part.follow(ip) {
					return
				}
				p.leave(ctx, part)
			}
			part.fetch(ctx)
		})
	}
	wg.Wait()
	cached := true
	for _, part := range parts {
		cached = cached && part.cached
	}
	return p.facts(parts, nil), cached, joinErrors(parts)
}

// mainPart is the request that is named where none was made.
func (p *httpProvider) mainPart() string { return p.file.form.Requests[max(p.file.risk, 0)].Name }

// facts makes one of what the parts say. why explains that there are none.
func (p *httpProvider) facts(parts []*part, why *ProviderError) event.Facts {
	var out event.Facts
	title := p.title()
	var unknown *event.Risk // why there is no score
	for _, part := range parts {
		f := part.value.Facts
		if f.Risk != nil {
			r := *f.Risk
			r.Provider, r.Stale = title, part.stale
			out.Risk = worse(out.Risk, &r)
		}
		fillNetwork(&out.Network, f.Network)
		fillPlace(&out.Place, f.Place)
		fillTraits(&out.Traits, f.Traits, title)
		if part.err != nil && len(part.form.Scores) > 0 && f.Risk == nil && unknown == nil {
			unknown = &event.Risk{Provider: title, Problem: part.err.Problem}
		}
	}
	if why != nil {
		unknown = &event.Risk{Provider: title, Problem: why.Problem}
	}
	if p.file.givesRisk() && unknown == nil {
		unknown = &event.Risk{Provider: title, Problem: problemNoScore}
	}
	if out.Risk == nil && p.file.givesRisk() {
		out.Risk = unknown
	}
	if out.Risk != nil && !out.Risk.Known && !p.file.givesRisk() {
		out.Risk = nil
	}
	if out.Network != (event.Network{}) {
		out.Network.Source = title
	}
	if out.Place != (event.Place{}) {
		out.Place.Source = title
	}
	return out
}
