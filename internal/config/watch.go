package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

// Watch says which attacks are told.
type Watch struct {
	Notify         string         // WatchDigest or WatchEach
	IgnoreUsers    []string       // attempts as these users are not looked at
	IgnoreNetworks []netip.Prefix // nor those from here; masked; IPv4 is never written as IPv6
	StateDir       string         // absolute; empty: whoever runs it decides
}

// The values of Watch.Notify. A login after failures is told at once, whatever
// this says.
const (
	WatchDigest = "digest" // attacks are told in the daily digest only
	WatchEach   = "each"   // an alert when one starts and one when it ends
)

// What attack.New takes.
const (
	maxAttempts = 1000
	minWithin   = time.Second
	maxWithin   = 31 * day
	maxDistinct = 64
)

// AllDetectors gives the detectors that need no settings and those of the
// settings. One of these takes the place of another of its name.
func (c Config) AllDetectors() []attack.Detector {
	own := func(name string) int {
		return slices.IndexFunc(c.Detectors, func(d attack.Detector) bool { return d.Name == name })
	}
	all := slices.DeleteFunc(attack.Defaults(), func(d attack.Detector) bool { return own(d.Name) >= 0 })
	return append(all, c.Detectors...)
}

// watch reads all that is about watching, after all that it can name.
func (l *loader) watch(top *table, c *Config) {
	if t := top.sub("watch"); t != nil {
		t.choice("notify", &c.Watch.Notify, WatchDigest, WatchEach)
		t.ignored(&c.Watch.IgnoreUsers, &c.Watch.IgnoreNetworks)
		t.path("state_dir", &c.Watch.StateDir)
		t.done()
	}
	l.sources(top.take("source"), c)
	l.eachListed(top, "detector", func(t *table) {
		if d, ok := t.detector(); ok {
			c.Detectors = append(c.Detectors, d)
		}
	})
	l.eachListed(top, "pattern", func(t *table) {
		if p, ok := t.pattern(top.at, c); ok {
			c.Patterns = append(c.Patterns, p)
		}
	})
}

// eachListed reads the tables [[KEY]], which have names of their own.
func (l *loader) eachListed(top *table, key string, read func(t *table)) {
	n := top.take(key)
	if n == nil {
		return
	}
	if n.kind != listKind {
		l.fail(n, "write [["+key+"]]", "must be a list of tables, not %s", n.kind)
		return
	}
	names := map[string]*node{}
	for _, at := range n.children {
		t := l.table(at)
		if t == nil {
			continue
		}
		name := t.take("name")
		switch {
		case name == nil:
			t.fail(at, "", "name is missing")
		case name.kind != textKind:
		case names[name.text] != nil:
			t.fail(name, "", "the %s in line %d%s has this name", key, names[name.text].line, in(names[name.text], name))
		default:
			names[name.text] = name
		}
		read(t)
		t.done()
	}
}

// in names the file of a node, if it is not that of the other.
func in(n, other *node) string {
	if n.doc.path == other.doc.path {
		return ""
	}
	return " of " + n.doc.path
}

func (t *table) detector() (attack.Detector, bool) {
	var d attack.Detector
	before := len(t.errs)
	if n := t.value("name", textKind); n != nil {
		d.Name = n.text
		if !isDetectorName(n.text) {
			t.fail(n, detectorHint(n.text), "must be 1 to %d letters from a to z, digits and -%s", maxShownKey, not(n.text))
		}
	}
	t.required("count")
	t.integer("count", &d.Count, 1, maxAttempts)
	t.required("within")
	if n := t.duration("within", &d.Within, false, maxWithin); n != nil && d.Within < minWithin {
		t.fail(n, "", "must be %s or more%s", short(minWithin), not(n.text))
	}
	by := string(attack.ByAddress)
	t.choice("by", &by, string(attack.ByAddress), string(attack.ByUser), string(attack.ByNetwork))
	d.By = attack.By(by)
	d.Services = t.lines("services", maxUser)
	t.integer("distinct", &d.Distinct, 0, maxDistinct)
	if d.Distinct > d.Count && d.Count > 0 {
		t.fail(t.at.child("distinct"), "", "must not be more than count (%d)", d.Count)
	}
	if len(t.errs) > before {
		return d, false
	}
	if _, err := attack.New(attack.Options{Detectors: []attack.Detector{d}}); err != nil {
		t.fail(t.at, "", "%s", err)
		return d, false
	}
	return d, true
}

func isDetectorName(s string) bool {
	return isName(s) && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func detectorHint(s string) string {
	s = strings.NewReplacer(" ", "-", "_", "-").Replace(strings.ToLower(s))
	if not(s) == "" || !isDetectorName(s) {
		return ""
	}
	return `name = "` + s + `"`
}

// required notes that a key is missing.
func (t *table) required(keys ...string) {
	for _, key := range keys {
		if t.at.child(key) == nil {
			t.fail(t.at, "", "%s is missing", key)
		}
	}
}

// watchSummary says what is watched, if the settings say so.
func (c Config) watchSummary() (lines []string) {
	if len(c.Sources) > 0 {
		lines = append(lines, "sources: "+list(c.Sources, "", func(s Source) string { return titled(s.Name, s.Type) }))
	}
	if c.Watch.Notify == WatchEach || len(c.Detectors) > 0 {
		told := "attacks: in the digest, but a login after failures at once"
		if c.Watch.Notify == WatchEach {
			told = "attacks: each when it starts and when it ends"
		}
		if len(c.Detectors) > 0 {
			told += "; detectors: " + list(c.AllDetectors(), "", func(d attack.Detector) string { return d.Name })
		}
		lines = append(lines, told)
	}
	if len(c.Patterns) > 0 {
		lines = append(lines, "patterns: "+list(c.Patterns, "", func(p pattern.Pattern) string { return p.Name }))
	}
	return append(lines, c.Publish.summary()...)
}
