package config

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// The longest that a memory can be meant to reach: ten years, and a season for
// it to learn what is usual.
const (
	minKeep     = day
	maxKeep     = 3650 * day
	maxLearning = 90 * day
)

func (t *table) history(h *History) {
	t.boolean("enabled", &h.Enabled)
	keep := t.duration("keep", &h.Keep, false, maxKeep)
	learning := t.duration("learning", &h.Learning, true, maxLearning)
	switch {
	case keep != nil && h.Keep < minKeep:
		t.fail(keep, "", "must be a day or more%s", not(keep.text))
		return
	case h.Learning <= h.Keep:
		return
	case learning == nil:
		learning = keep
	}
	t.fail(learning, "", "learning (%s) must not be longer than keep (%s)", inDays(h.Learning), inDays(h.Keep))
}

func inDays(d time.Duration) string {
	if d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return short(d)
}

func (t *table) digest(d *Digest) {
	n := t.value("hour", textKind)
	if n == nil {
		return
	}
	at, err := time.Parse("15:04", n.text)
	if err != nil || len(n.text) != len("15:04") {
		t.fail(n, "", `must be a time of day such as "08:00"%s`, not(n.text))
		return
	}
	d.Hour, d.Minute = at.Hour(), at.Minute()
}

// none is what the settings call a novelty that is not told.
const none = "none"

func (t *table) raise(r policy.Raise) {
	for _, what := range policy.Novelties() {
		word := ""
		t.choice(string(what), &word, append([]string{none}, severities()...)...)
		switch severity, err := event.ParseSeverity(word); {
		case word == none:
			delete(r, what)
		case err == nil:
			r[what] = severity
		}
	}
}

func severities() []string {
	return []string{event.Low.String(), event.Medium.String(), event.High.String(), event.Critical.String()}
}

func (l *loader) groups(n *node, c *Config) {
	if n == nil {
		return
	}
	t := l.table(n)
	if t == nil {
		return
	}
	c.Groups = map[string][]string{}
	for _, g := range n.children {
		if !isName(g.key) {
			l.fail(g, "", "the name of a group is made of 1 to %d letters, digits, _ and -", maxShownKey)
			continue
		}
		c.Groups[g.key] = nil
		for _, user := range t.texts(g) {
			if t.isLine(user, maxUser) {
				c.Groups[g.key] = append(c.Groups[g.key], user.text)
			}
		}
	}
}

func (l *loader) networks(n *node, c *Config) {
	if n == nil {
		return
	}
	t := l.table(n)
	if t == nil {
		return
	}
	owner := map[netip.Prefix]*node{}
	for _, v := range n.children {
		if !isName(v.key) {
			l.fail(v, "", "the name of a network is made of 1 to %d letters, digits, _ and -", maxShownKey)
			continue
		}
		network := Network{Name: v.key}
		for _, x := range t.texts(v) {
			p, ok := parseNetwork(x.text)
			if !ok {
				t.fail(x, "", `must be a network such as "192.0.2.0/28", or an address%s`, not(x.text))
			} else if was := owner[p]; was != nil {
				t.fail(x, "", "this network is in line %d already", was.line)
			} else {
				owner[p] = x
				network.Prefixes = append(network.Prefixes, p)
			}
		}
		c.Networks = append(c.Networks, network)
	}
}
