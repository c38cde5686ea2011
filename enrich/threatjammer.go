package enrich

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// The quota of Threat Jammer's free plan, from its documentation (2022): a
// bucket of ten a minute, and 5000 in the 30 days from sign-up on. Every
// request counts, the refused ones too.
const (
	threatJammerPerMinute = 10
	threatJammerPerMonth  = 5000
)

// The parts of an answer, the most important first.
const (
	partAssess = "assess"
	partGeo    = "geo"
	partASN    = "asn"
)

// ThreatJammerOptions are what few need to change.
type ThreatJammerOptions struct {
	Name      string // its table in the settings; empty: threatjammer
	PerMinute int    // requests; 0: 10, the free plan's; less than 0: not counted
	PerMonth  int    // requests in 30 days; 0: 5000; less than 0: not counted
	Now       func() time.Time
}

// threatJammer speaks the wire format of Threat Jammer's API 1.2 (OpenAPI
// document threatjammer.com 1.2.27 in https://github.com/APIs-guru/openapi-directory;
// examples in https://github.com/threatjammer/markdown-docs). The service's own
// domain has changed hands since, so that there is no address by default.
type threatJammer struct {
	name   string
	client *outbound.Client
	base   string // without "/" at its end
	host   string
	key    outbound.Secret
	source string // tells services apart in the cache
	ledger *ledger
}

// NewThreatJammer makes the provider for a service that speaks Threat Jammer's
// API at baseURL (see outbound.CheckURL; no query), with an API key. It keeps
// its quota in provider-NAME.json in stateDir; with no stateDir, in memory.
func NewThreatJammer(c *outbound.Client, baseURL string, key outbound.Secret, stateDir string, o ThreatJammerOptions) (Provider, error) {
	if err := outbound.CheckURL(baseURL); err != nil {
		return nil, err
	}
	u, err := url.Parse(baseURL)
	if err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("the URL must end before any ? or #")
	}
	if key.IsZero() {
		return nil, errors.New("no API key")
	}
	if strings.ContainsFunc(key.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("the API key contains a space or a character that no key has")
	}
	if o.Name == "" {
		o.Name = "threatjammer"
	}
	if !isFileName(o.Name) {
		return nil, fmt.Errorf("the name %q is not made of letters, digits, - and _ alone", event.Clean(o.Name, 64))
	}
	if o.PerMinute == 0 {
		o.PerMinute = threatJammerPerMinute
	}
	if o.PerMonth == 0 {
		o.PerMonth = threatJammerPerMonth
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	t := &threatJammer{name: o.Name, client: c, base: strings.TrimRight(baseURL, "/"), host: u.Host, key: key}
	t.source = fingerprint(t.base)
	t.ledger = &ledger{owner: fingerprint(t.base, key.Reveal()), perMinute: o.PerMinute, perMonth: o.PerMonth, now: o.Now}
	if stateDir != "" {
		t.ledger.path = filepath.Join(stateDir, "provider-"+o.Name+".json")
	}
	return t, nil
}

// fingerprint is too short to find a key by, and long enough to tell two apart.
func fingerprint(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:5])
}

func (t *threatJammer) Name() string  { return t.name }
func (t *threatJammer) Title() string { return "Threat Jammer" }

func (t *threatJammer) Lookup(ctx context.Context, ip netip.Addr) (event.Facts, error) {
	facts, _, err := t.lookup(ctx, ip, nil)
	return facts, err
}

// lookup asks for the assessment and the place at the same time, and then for
// the name of the system that the assessment names. Each part is kept on its
// own: one that did not come is asked for again by the next look-up.
func (t *threatJammer) lookup(ctx context.Context, ip netip.Addr, c *cache) (event.Facts, bool, error) {
	if s := Scope(ip); s != "" || !ip.IsValid() {
		return event.Facts{Scope: s}, true, nil
	}
	ip = ip.Unmap().WithZone("")
	assess := open[assessment](t, c, partAssess, "/v1/assess/ip/"+ip.String(), ip.String())
	geo := open[event.Place](t, c, partGeo, "/v1/geo/"+ip.String(), ip.String())
	t.leave(ctx, &assess.request, &geo.request)

	var wg sync.WaitGroup
	wg.Go(func() { geo.fetch(ctx, readPlace) })
	assess.fetch(ctx, readAssessment)
	facts := event.Facts{Risk: &assess.value.Risk}
	facts.Risk.Provider = t.Title()
	cached, errs := assess.cached, []*ProviderError{assess.err}

	if n := assess.value.ASN; n != 0 {
		number := strconv.FormatUint(uint64(n), 10)
		asn := open[event.Network](t, c, partASN, "/v1/asn/"+number, number)
		t.leave(ctx, &asn.request)
		asn.fetch(ctx, readNetwork)
		facts.Network = asn.value
		facts.Network.ASN = n // also where nobody says its name
		cached = cached && asn.cached
		errs = append(errs, asn.err)
	}
	wg.Wait()

	facts.Place = geo.value
	cached = cached && geo.cached
	errs = slices.Insert(errs, 1, geo.err)
	if assess.err != nil {
		facts.Risk.Problem = assess.err.Problem
	}
	return facts, cached, joinErrors(errs...)
}
