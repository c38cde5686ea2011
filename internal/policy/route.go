package policy

import (
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/glob"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Route says which events a destination gets. Every key that is set must match,
// and a list matches where one of its elements does. As with a rule, what is not
// known matches nothing that asks for it: an attack on many accounts has no user.
type Route struct {
	// MinSeverity is the least that an event is routed as.
	MinSeverity event.Severity `toml:"min_severity" check:"oneof=low medium high critical"`
	Kinds       []event.Kind   `toml:"kinds,one" check:"oneof=login logout attack match alert digest witness gate"`
	Users       []string       `toml:"users,one" check:"line=128"` // globs
	Hosts       []string       `toml:"hosts,one" check:"line=253"` // globs, whatever the case
	Networks    []RuleNetwork  `toml:"networks,one"`
	// Digest is RouteOnly (nothing but daily digests), RouteNone (none of them), or
	// empty: digests as any other kind.
	Digest string `toml:"digest" check:"oneof=only none"`
}

// The values of Route.Digest.
const (
	RouteOnly = "only"
	RouteNone = "none"
)

// Validate refuses what contradicts itself.
func (r *Route) Validate(at strictoml.At) {
	if !at.OK() || len(r.Kinds) == 0 {
		return
	}
	switch has := slices.Contains(r.Kinds, event.KindDigest); {
	case r.Digest == RouteOnly && !has:
		at.Fail("digest", "nothing is left: kinds leaves digests out").Hint = `kinds = ["digest"] is the same as digest = "only"`
	case r.Digest == RouteNone && has && len(r.Kinds) == 1:
		at.Fail("digest", "nothing is left: kinds names digests alone").Hint = "leave one of them out"
	}
}

// Everything reports whether a destination gets all critical events: logouts and
// digests repeat what was told.
func (r Route) Everything() bool {
	for _, k := range []event.Kind{event.KindLogin, event.KindAttack, event.KindMatch, event.KindAlert, event.KindWitness, event.KindGate} {
		if len(r.Kinds) > 0 && !slices.Contains(r.Kinds, k) {
			return false
		}
	}
	return len(r.Users)+len(r.Hosts)+len(r.Networks) == 0 && r.Digest != RouteOnly
}

// Misses returns what keeps an event from a destination; none: it gets it. What
// sshnotify itself has to say, such as that another destination is broken, is of no
// user and no network, and passes both.
func (r Route) Misses(in Input, v event.Verdict, s Settings) []Miss {
	m := newMatcher(in, s, true)
	e := in.Event
	if v.Route() < r.MinSeverity {
		m.miss("severity", "at least "+r.MinSeverity.String(), v.Route().String())
	}
	switch isDigest := e.Kind == event.KindDigest; {
	case r.Digest == RouteOnly && !isDigest:
		m.miss("kind", "digest", string(e.Kind))
	case r.Digest == RouteNone && isDigest:
		m.miss("digest", "wanted", "none")
	}
	text := func(s string) func() string { return func() string { return s } }
	anyOf(m, "kind", r.Kinds, text(string(e.Kind)), func(k event.Kind) bool { return k == e.Kind })
	anyOf(m, "host", r.Hosts, text(e.Host), func(p string) bool {
		return e.Host != "" && glob.Match(strings.ToLower(p), strings.ToLower(e.Host))
	})
	if own := e.Kind == event.KindAlert && e.Via == event.ViaSelf && e.User == ""; !own {
		anyOf(m, "user", r.Users, text(e.User), func(p string) bool { return e.User != "" && glob.Match(p, e.User) })
		anyOf(m, "network", r.Networks, m.address, m.inNetwork)
	}
	return m.misses
}
