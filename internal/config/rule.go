package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

const (
	maxRuleName = 64
	maxReason   = 200
)

// rules reads [[rule]], after all that rules can name.
func (l *loader) rules(top *table, c *Config) {
	n := top.take("rule")
	if n == nil {
		return
	}
	if n.kind != listKind {
		l.fail(n, "write [[rule]]", "must be a list of tables, not %s", n.kind)
		return
	}
	names := map[string]*node{}
	var all *node // a rule that leaves nothing to those after it
	for _, at := range n.children {
		t := l.table(at)
		if t == nil {
			continue
		}
		if all != nil {
			l.fail(at, "put it before that one", "never tried: the rule in line %d matches every login", all.line)
		}
		r := t.rule(top.at, c)
		if n := at.child("name"); r.Name != "" {
			if was := names[r.Name]; was != nil {
				l.fail(n, "", "the rule in line %d has this name", was.line)
			}
			names[r.Name] = n
		}
		if all == nil && r.MatchesAll() && !t.matchesSomething() {
			all = at
		}
		c.Rules = append(c.Rules, r)
	}
}

func (t *table) rule(top *node, c *Config) policy.Rule {
	var r policy.Rule
	t.line("name", &r.Name, maxRuleName)

	r.User = t.lines("user", maxUser)
	r.Group = t.named("group", "a name of [groups]", "groups", declared(top, "groups"))
	t.ruleNetworks(&r, top)
	t.ruleCountries(&r)
	t.ruleASNs(&r)
	r.Host = t.lines("host", maxHost)
	t.ruleLabels(&r)
	r.Service = t.lines("service", maxUser)
	t.ruleKeys(&r, top)
	r.Method = t.lines("method", maxUser)
	r.Hours = t.hours("hours")
	for _, x := range []struct {
		key string
		to  **bool
	}{
		{"new_network", &r.NewNetwork}, {"new_country", &r.NewCountry}, {"new_key", &r.NewKey}, {"new_user", &r.NewUser},
		{"tor", &r.Tor}, {"vpn", &r.VPN}, {"proxy", &r.Proxy}, {"hosting", &r.Hosting}, {"unknown_risk", &r.UnknownRisk},
	} {
		if t.at.child(x.key) != nil {
			*x.to = new(bool)
		}
		t.boolean(x.key, *x.to)
	}
	if t.at.child("min_risk") != nil {
		r.MinRisk = new(int)
	}
	t.integer("min_risk", r.MinRisk, 0, 100)

	t.actions(&r, top, c)
	t.done()
	return r
}

// matchesSomething reports whether a rule has a key to match, be it a wrong one.
func (t *table) matchesSomething() bool {
	return slices.ContainsFunc(t.at.children, func(n *node) bool {
		return !slices.Contains([]string{"name", "severity", "ignore", "destination", "reason"}, n.key)
	})
}

func (t *table) actions(r *policy.Rule, top *node, c *Config) {
	word := ""
	t.choice("severity", &word, severities()...)
	if s, err := event.ParseSeverity(word); err == nil {
		r.Severity = &s
	}
	t.boolean("ignore", &r.Ignore)
	t.line("reason", &r.Reason, maxReason)
	r.Destination = t.alerted("destination", top, c)
	if t.at.child("ignore") == nil && t.at.child("severity") == nil && t.at.child("destination") == nil && t.at.child("reason") == nil {
		t.fail(t.at, `severity = "high", ignore = true, destination = ["…"] or reason = "…"`, "the rule does nothing")
	}
	if r.Ignore && (word != "" || len(r.Destination) > 0) {
		t.fail(t.at.child("ignore"), "leave one of them out", "what is ignored has no severity and no destination")
	}
}

// alerted takes names of destinations that alerts go to.
func (t *table) alerted(key string, top *node, c *Config) []string {
	known := declared(top, "destination")
	if c.alertsGoToLog(known) && !slices.Contains(known, DestinationLog) {
		known = append(known, DestinationLog)
	}
	names := t.named(key, "the name of a destination", "destinations", known)
	if n := t.at.child(key); n != nil {
		for _, at := range append(slices.Clone(n.children), n) {
			if at.kind == textKind && slices.Contains(c.Publish.Destinations, at.text) {
				t.fail(at, "leave it out there, or here", "gets published attacks only, as publish.destination says")
			}
		}
	}
	return names
}

func (t *table) hours(key string) (all []policy.Hours) {
	for _, n := range t.textOrList(key) {
		h, err := policy.ParseHours(n.text)
		if err != nil {
			t.fail(n, "", "%s%s", err, not(n.text))
			continue
		}
		all = append(all, h)
	}
	return all
}

// lines takes texts that are shown, or matched with what is.
func (t *table) lines(key string, most int) (all []string) {
	for _, n := range t.textOrList(key) {
		if t.isLine(n, most) {
			all = append(all, n.text)
		}
	}
	return all
}

// named takes names of what the settings declare elsewhere.
func (t *table) named(key, must, what string, known []string) (all []string) {
	for _, n := range t.textOrList(key) {
		if slices.Contains(known, n.text) {
			all = append(all, n.text)
		} else {
			t.fail(n, nearest(n.text, what, known), "must be %s%s", must, not(n.text))
		}
	}
	return all
}

// declared gives the keys of a table of the settings: also those of which
// something else is wrong, so that one mistake is not told twice.
func declared(top *node, key string) (names []string) {
	if n := top.child(key); n != nil {
		for _, c := range n.children {
			names = append(names, c.key)
		}
	}
	return names
}

// nearest is a hint at the name that was meant, or at those there are.
func nearest(s, what string, known []string) string {
	shown := slices.DeleteFunc(slices.Clone(known), func(name string) bool { return !isName(name) })
	if hint := didYouMean(s, shown); hint != "" {
		return hint
	}
	switch {
	case len(known) == 0:
		return "the settings name no " + what
	case len(shown) == 0:
		return ""
	}
	return what + ": " + strings.Join(slices.Sorted(slices.Values(shown)), ", ")
}

func (t *table) ruleNetworks(r *policy.Rule, top *node) {
	known := declared(top, "networks")
	for _, n := range t.textOrList("network") {
		switch p, ok := parseNetwork(n.text); {
		case slices.Contains(known, n.text), slices.Contains(overlays(), n.text):
			r.Network = append(r.Network, policy.RuleNetwork{Name: n.text})
		case ok:
			r.Network = append(r.Network, policy.RuleNetwork{Prefix: p})
		default:
			t.fail(n, nearest(n.text, "networks", append(known, overlays()...)), `must be a network such as "192.0.2.0/28", an address, or a name of [networks]%s`, not(n.text))
		}
	}
}

// overlays are networks that have a name without the settings.
func overlays() []string { return []string{"Tailscale"} }

func (t *table) ruleCountries(r *policy.Rule) {
	for _, n := range t.textOrList("country") {
		if policy.IsCountry(n.text) {
			r.Country = append(r.Country, n.text)
			continue
		}
		hint := ""
		if upper := strings.ToUpper(n.text); policy.IsCountry(upper) {
			hint = `did you mean "` + upper + `"?`
		}
		t.fail(n, hint, `must be a country's code of two letters (ISO 3166-1), such as "IE"%s`, not(n.text))
	}
}

func (t *table) ruleASNs(r *policy.Rule) {
	n := t.take("asn")
	if n == nil {
		return
	}
	all := []*node{n}
	if n.kind == listKind {
		if all = n.children; len(all) == 0 {
			t.fail(n, "leave it out", "must not be empty")
		}
	}
	for _, n := range all {
		digits, base := n.text, 0 // what TOML takes: 64_500, 0xfbf4
		if n.kind == textKind {
			digits, base = strings.TrimPrefix(digits, "AS"), 10
		}
		v, err := strconv.ParseUint(digits, base, 32)
		if err != nil || v == 0 || n.kind != textKind && n.kind != numberKind {
			t.fail(n, "", `must be the number of an autonomous system, such as 64500 or "AS64500"%s`, notIf(n))
			continue
		}
		r.ASN = append(r.ASN, uint32(v))
	}
}

// notIf is not for what may be no text at all.
func notIf(n *node) string {
	if n.kind == textKind || n.kind == numberKind {
		return not(n.text)
	}
	return fmt.Sprintf(", not %s", n.kind)
}

func (t *table) ruleLabels(r *policy.Rule) {
	for _, n := range t.textOrList("label") {
		k, v, ok := strings.Cut(n.text, "=")
		if !ok || !isName(k) || !lineOf(v, maxLabelValue) {
			t.fail(n, "", `must be a label and its value, such as "env=prod"`)
			continue
		}
		r.Label = append(r.Label, policy.Label{Key: k, Value: v})
	}
}

func (t *table) ruleKeys(r *policy.Rule, top *node) {
	people := declared(top, "people")
	for _, n := range t.textOrList("key") {
		if isFingerprint(n.text) || slices.Contains(people, n.text) {
			r.Key = append(r.Key, n.text)
			continue
		}
		t.fail(n, nearest(n.text, "people", people), "must be the fingerprint of a key (SHA256: and 43 characters) or a name of [people]%s", not(n.text))
	}
}
