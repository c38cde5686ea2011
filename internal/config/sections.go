package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
)

// topKeys are the keys that stand before the first table. A test holds them
// against those that root reads.
var topKeys = []string{"host", "labels", "notify", "time_zone", "spool_dir", "state_dir"}

// The longest durations that can be meant: a look-up holds up its alert, a
// risk changes within days, and a repeat should be told on the day.
const (
	maxTimeout  = time.Minute
	maxCacheTTL = 30 * 24 * time.Hour
	maxWindow   = 24 * time.Hour
)

// How much is taken of what is shown. Linux allows user names of 32
// characters, DNS names of 253.
const (
	maxHost       = 253
	maxUser       = 128
	maxPerson     = 64
	maxLabels     = 16
	maxLabelValue = 64
	maxRunbook    = 500
)

func (l *loader) root(n *node, c *Config) {
	t := l.table(n)
	t.line("host", &c.Host, maxHost)
	l.labels(t.take("labels"), c)
	t.choice("notify", &c.Notify, NotifyAll, NotifyUnusual)
	t.timeZone(c)
	t.path("spool_dir", &c.SpoolDir)
	t.path("state_dir", &c.StateDir)

	if t := t.sub("enrich"); t != nil {
		t.duration("timeout", &c.Enrich.Timeout, false, maxTimeout)
		t.duration("cache_ttl", &c.Enrich.CacheTTL, false, maxCacheTTL)
		t.boolean("builtin", &c.Enrich.Builtin)
		t.done()
	}
	if t := t.sub("risk"); t != nil {
		t.risk(&c.Risk)
		t.done()
	}
	if t := t.sub("history"); t != nil {
		t.history(&c.History)
		t.done()
	}
	if t := t.sub("digest"); t != nil {
		t.digest(&c.Digest)
		t.done()
	}
	if t := t.sub("raise"); t != nil {
		t.raise(c.Raise)
		t.done()
	}
	l.people(t.take("people"), c)
	l.groups(t.take("groups"), c)
	l.networks(t.take("networks"), c)
	l.providers(t.take("provider"), c)
	l.destinations(t.take("destination"), c)
	l.publish(t, c)
	l.rules(t, c)
	l.watch(t, c)
	if t := t.sub("login"); t != nil {
		t.login(&c.Login)
		t.done()
	}
	if t := t.sub("group"); t != nil {
		t.duration("window", &c.Group.Window, true, maxWindow)
		t.done()
	}
	if t := t.sub("links"); t != nil {
		t.runbook(&c.Links)
		t.done()
	}
	if t := t.sub("outbound"); t != nil {
		t.outbound(&c.Outbound)
		t.done()
	}
	if c.Notify == NotifyUnusual && !c.History.Enabled {
		t.fail(t.at.child("notify"), `notify = "all"`, `"unusual" needs the memory that history.enabled = false turns off`)
	}
	t.done()
}

// line takes text that can stand in a message.
func (t *table) line(key string, to *string, most int) {
	if n := t.value(key, textKind); n != nil && t.isLine(n, most) {
		*to = n.text
	}
}

func (t *table) isLine(n *node, most int) bool {
	ok := lineOf(n.text, most)
	if !ok {
		t.fail(n, "", "must be one line of 1 to %d visible characters%s", most, not(n.text))
	}
	return ok
}

func lineOf(s string, most int) bool {
	return s != "" && utf8.RuneCountInString(s) <= most && strings.TrimSpace(s) == s && event.Clean(s, most) == s
}

func (l *loader) labels(n *node, c *Config) {
	if n == nil {
		return
	}
	t := l.table(n)
	if t == nil {
		return
	}
	if len(n.children) > maxLabels {
		l.fail(n, "", "at most %d labels", maxLabels)
	}
	c.Labels = map[string]string{}
	for _, v := range n.children {
		if !isName(v.key) {
			l.fail(v, "", "the name of a label is made of 1 to %d letters, digits, _ and -", maxShownKey)
		} else if t.is(v, textKind) && t.isLine(v, maxLabelValue) {
			c.Labels[v.key] = v.text
		}
	}
}

func (t *table) timeZone(c *Config) {
	n := t.value("time_zone", textKind)
	if n == nil {
		return
	}
	// "" and "Local" mean something to LoadLocation, but name no zone.
	if _, err := time.LoadLocation(n.text); err != nil || n.text == "" || n.text == "Local" {
		t.fail(n, `a name of the IANA data base, such as "Europe/Dublin" or "UTC"; leave it out for the machine's own`, "no such time zone")
		return
	}
	c.TimeZone = n.text
}

func (t *table) risk(r *Risk) {
	t.integer("yellow_above", &r.YellowAbove, 0, 100)
	t.integer("red_above", &r.RedAbove, 0, 100)
	if r.YellowAbove < r.RedAbove {
		return
	}
	at := t.at.child("yellow_above")
	if at == nil {
		at = t.at.child("red_above")
	}
	t.fail(at, "", "yellow_above (%d) must be less than red_above (%d)", r.YellowAbove, r.RedAbove)
}

func (l *loader) people(n *node, c *Config) {
	if n == nil {
		return
	}
	t := l.table(n)
	if t == nil {
		return
	}
	owner := map[string]*node{}
	c.People = map[string][]string{}
	for _, p := range n.children {
		if !lineOf(p.key, maxPerson) {
			l.fail(p, "", "the name of a person must be one line of 1 to %d visible characters", maxPerson)
			continue
		}
		for _, f := range t.texts(p) {
			if !isFingerprint(f.text) {
				l.fail(f, "ssh-keygen -lf FILE.pub shows it", "must be the fingerprint of a key: SHA256: and 43 characters")
			} else if was := owner[f.text]; was != nil {
				l.fail(f, "", "this key is in line %d already", was.line)
			} else {
				owner[f.text] = f
				c.People[p.key] = append(c.People[p.key], f.text)
			}
		}
	}
}

// isFingerprint takes the form that sshd logs: a SHA-256 sum in base 64 without
// padding.
func isFingerprint(s string) bool {
	sum, ok := strings.CutPrefix(s, "SHA256:")
	if !ok || len(sum) != 43 {
		return false
	}
	for i := range len(sum) {
		if c := sum[i]; !isLetter(c) && (c < '0' || c > '9') && c != '+' && c != '/' {
			return false
		}
	}
	return true
}

func (t *table) login(o *Login) {
	t.choice("notify_logout", &o.NotifyLogout, LogoutAll, LogoutAlerted, LogoutNone)
	t.ignored(&o.IgnoreUsers, &o.IgnoreNetworks)
}

func (t *table) ignored(users *[]string, networks *[]netip.Prefix) {
	for _, n := range t.texts(t.take("ignore_users")) {
		if t.isLine(n, maxUser) {
			*users = append(*users, n.text)
		}
	}
	for _, n := range t.texts(t.take("ignore_networks")) {
		if p, ok := parseNetwork(n.text); ok {
			*networks = append(*networks, p)
		} else {
			t.fail(n, "", `must be a network such as "192.0.2.0/28", or an address%s`, not(n.text))
		}
	}
}

// parseNetwork takes a network or an address, and gives it in the form in which
// the addresses of events are: IPv4 as IPv4.
func parseNetwork(s string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func (t *table) runbook(o *Links) {
	n := t.value("runbook", textKind)
	if n == nil {
		return
	}
	u, err := url.Parse(n.text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil,
		!lineOf(n.text, maxRunbook), strings.ContainsAny(n.text, " <>|\"`"):
		t.fail(n, "", "must be a link: http:// or https://, a host, no user name, at most %d characters", maxRunbook)
	default:
		o.Runbook = n.text
	}
}
