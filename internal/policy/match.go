package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/glob"
)

// matcher holds one login against rules.
type matcher struct {
	in      Input
	s       Settings
	new     newness
	when    time.Time // on the wall
	explain bool      // put into words what does not match
	ok      bool      // so far
	misses  []Miss
}

func newMatcher(in Input, s Settings, explain bool) *matcher {
	return &matcher{in: in, s: s, new: newnessOf(in), when: in.Event.Time.In(s.zone()), explain: explain}
}

func (s Settings) zone() *time.Location { return zoneOr(s.Zone) }

// match holds the login against one rule, and notes all that does not match.
func (m *matcher) match(r *Rule) bool {
	e, f, known := m.in.Event, m.in.Facts, m.in.Memory.Known
	text := func(got string) func() string { return func() string { return got } }
	globs := func(got string) func(string) bool {
		return func(p string) bool { return got != "" && glob.Match(p, got) }
	}

	m.ok, m.misses = true, nil
	anyOf(m, "user", r.User, text(e.User), globs(e.User))
	anyOf(m, "group", r.Group, text(e.User), m.inGroup)
	anyOf(m, "network", r.Network, m.address, m.inNetwork)
	anyOf(m, "country", r.Country, text(f.Place.Country), func(c string) bool { return c != "" && c == f.Place.Country })
	anyOf(m, "asn", r.ASN, m.asn, func(n ASN) bool { return n != 0 && uint32(n) == f.Network.ASN })
	host := globs(strings.ToLower(e.Host))
	anyOf(m, "host", r.Host, text(e.Host), func(p string) bool { return host(strings.ToLower(p)) })
	anyOf(m, "label", r.Label, m.labels, m.hasLabel)
	anyOf(m, "service", r.Service, text(e.Service), globs(e.Service))
	anyOf(m, "key", r.Key, m.key, m.hasKey)
	anyOf(m, "method", r.Method, text(e.Login.Auth.Method), m.hasMethod)
	anyOf(m, "hours", r.Hours, m.clock, func(h Hours) bool { return h.Contain(m.when) })
	m.is("new_network", r.NewNetwork, m.new.network, known && e.Remote.IP.IsValid())
	m.is("new_country", r.NewCountry, m.new.country, known && (named(f) || f.Place.Country != ""))
	m.is("new_key", r.NewKey, m.new.key, known && keyKnown(e.Login.Auth))
	m.is("new_user", r.NewUser, m.new.user, known)
	m.is("tor", r.Tor, f.Traits.Tor != "", true)
	m.is("vpn", r.VPN, f.Traits.VPN != "", true)
	m.is("proxy", r.Proxy, f.Traits.Proxy != "", true)
	m.is("hosting", r.Hosting, f.Traits.Hosting != "", true)
	m.risk(r)
	m.is("unknown_risk", r.UnknownRisk, unknownRisk(f, m.s), true)
	return m.ok
}

// anyOf notes a key none of whose elements fits. A key that is not set does.
func anyOf[T any](m *matcher, key string, want []T, got func() string, fits func(T) bool) {
	if len(want) == 0 || slices.ContainsFunc(want, fits) {
		return
	}
	m.ok = false
	if !m.explain {
		return
	}
	texts := make([]string, len(want))
	for i, w := range want {
		texts[i] = fmt.Sprint(w)
	}
	m.miss(key, strings.Join(texts, ", "), got())
}

func (m *matcher) is(key string, want *bool, got, known bool) {
	if want == nil || known && *want == got {
		return
	}
	said := ""
	if known {
		said = strconv.FormatBool(got)
	}
	m.miss(key, strconv.FormatBool(*want), said)
}

func (m *matcher) miss(key, want, got string) {
	if got == "" {
		got = "unknown"
	}
	m.ok = false
	if m.explain {
		m.misses = append(m.misses, Miss{Key: key, Want: want, Got: got})
	}
}

func (m *matcher) inGroup(group string) bool {
	user := m.in.Event.User
	return user != "" && slices.ContainsFunc(m.s.Groups[group], func(p string) bool { return glob.Match(p, user) })
}

func (m *matcher) inNetwork(n RuleNetwork) bool {
	ip := m.in.Event.Remote.IP
	if n.Name == "" {
		return n.Prefix.Contains(ip)
	}
	for _, p := range m.s.Networks[n.Name] {
		if p.Contains(ip) {
			return true
		}
	}
	return n.Name == m.in.Facts.Name
}

func (m *matcher) address() string {
	switch ip, name := m.in.Event.Remote.IP, m.in.Facts.Name; {
	case !ip.IsValid():
		return ""
	case name != "":
		return ip.String() + " (" + name + ")"
	default:
		return ip.String()
	}
}

func (m *matcher) labels() string {
	var all []string
	for k, v := range m.in.Event.Labels {
		all = append(all, k+"="+v)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (m *matcher) hasLabel(l Label) bool {
	v, ok := m.in.Event.Labels[l.Key]
	return ok && glob.Match(l.Value, v)
}

func (m *matcher) key() string {
	s := m.in.Event.Login.Auth.Fingerprint
	if s != "" && m.in.Owner != "" {
		s += " (" + m.in.Owner + ")"
	}
	return s
}

func (m *matcher) hasKey(key string) bool {
	f := m.in.Event.Login.Auth.Fingerprint
	return f != "" && (key == f || m.in.Owner != "" && key == m.in.Owner)
}

func (m *matcher) hasMethod(pattern string) bool {
	all := m.in.Event.Login.Auth.Method
	if all == "" {
		return false
	}
	if glob.Match(pattern, all) {
		return true
	}
	for one := range strings.SplitSeq(all, ",") {
		if glob.Match(pattern, one) {
			return true
		}
	}
	return false
}

func (m *matcher) risk(r *Rule) {
	score, known := score(m.in.Facts, m.s)
	if r.MinRisk == nil || known && score >= *r.MinRisk {
		return
	}
	got := ""
	if known {
		got = strconv.Itoa(score)
	}
	m.miss("min_risk", strconv.Itoa(*r.MinRisk), got)
}

func (m *matcher) clock() string { return m.when.Format("Mon 15:04 MST") }

// score returns a provider's opinion, where it is one: a low score beside a word
// for "unknown" is none, whatever is low here.
func score(f event.Facts, s Settings) (n int, known bool) {
	r := f.Risk
	if r == nil || f.Scope != "" || !r.Known || r.Score < 0 || r.Score > 100 || r.Score <= s.YellowAbove && event.SaysNothing(r.Word) {
		return 0, false
	}
	return r.Score, true
}

// unknownRisk: a provider was asked, and gave no score.
func unknownRisk(f event.Facts, s Settings) bool {
	_, known := score(f, s)
	return f.Risk != nil && f.Scope == "" && !known
}

// keyKnown reports whether it is known which key was used, or that none was.
func keyKnown(a event.Auth) bool {
	return a.Fingerprint != "" || a.Method != "" && !keyHidden(a)
}

// keyHidden reports whether a key was used, and is not known.
func keyHidden(a event.Auth) bool {
	return a.Fingerprint == "" && strings.Contains(a.Method, "publickey")
}

func (m *matcher) asn() string {
	if n := m.in.Facts.Network.ASN; n != 0 {
		return strconv.FormatUint(uint64(n), 10)
	}
	return ""
}
