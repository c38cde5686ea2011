package pattern

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/glob"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// Options are what an Engine needs besides its patterns.
type Options struct {
	Zone   *time.Location // of Pattern.Active; nil: UTC
	Logged *time.Location // of Snort's timestamps; nil: UTC
}

// Engine holds lines against patterns and remembers the thresholds' counts. Its
// methods must not be called concurrently.
type Engine struct {
	zone     *time.Location
	logged   *time.Location
	patterns []*compiled
	decoders []*decoder

	// bySource has the patterns of each source that was seen.
	bySource map[string][]*compiled

	// Of the line that is being taken.
	lower      folded
	understood bool

	newest time.Time // the newest time that is known
}

// Stat counts what a pattern saw.
type Stat struct {
	Pattern string
	Decoded int // lines of its sources that its decoder understood
	Unknown int // lines of its sources that its decoder did not understand
	Matched int // lines that matched, the ignored not among them
	Ignored int // lines that an ignore pattern took out
	Idle    int // lines that matched outside of its hours
	Told    int // matches that were given out
	LeftOut int // lines that matched and were not told by themselves
}

// New makes an Engine. Its error joins an *Error for each thing that is wrong.
func New(patterns []Pattern, o Options) (*Engine, error) {
	e := &Engine{zone: o.Zone, logged: o.Logged, bySource: map[string][]*compiled{}}
	if e.zone == nil {
		e.zone = time.UTC
	}
	if e.logged == nil {
		e.logged = time.UTC
	}
	var errs []error
	names := map[string]bool{}
	for i, p := range patterns {
		if p.Name == "" || names[p.Name] {
			err := &Error{Pattern: p.Name, Key: "name", Err: errors.New("another pattern has it too")}
			if p.Name == "" {
				err = &Error{Pattern: fmt.Sprintf("#%d", i+1), Key: "name", Err: errors.New("there is none")}
			}
			errs = append(errs, err)
		}
		names[p.Name] = true
		c, wrong := compile(p, max(minKeys, allKeys/len(patterns)))
		for _, err := range wrong {
			errs = append(errs, err)
		}
		if len(wrong) == 0 {
			e.add(c)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return e, nil
}

// add gives patterns with the same decoder the same one, so that a line is
// decoded once.
func (e *Engine) add(c *compiled) {
	e.patterns = append(e.patterns, c)
	if c.decoder == nil {
		return
	}
	if i := slices.IndexFunc(e.decoders, c.decoder.same); i >= 0 {
		c.decoder = e.decoders[i]
	} else {
		e.decoders = append(e.decoders, c.decoder)
	}
}

// Take returns the matches of a line that are to be told now. at is when the line
// was written, in any zone, as far as the caller knows; an alert that says it
// itself is believed. Zero: as new as the newest so far.
func (e *Engine) Take(l line.Line, at time.Time) []Match {
	e.begin()
	if at.After(e.newest) {
		e.newest = at
	} else if at.IsZero() {
		at = e.newest
	}
	var out []Match
	for _, c := range e.of(l.Source) {
		h, ok := e.hit(c, l)
		if !ok {
			continue
		}
		c.stat.Matched++
		h.at = h.time(at, e.logged)
		if !c.active(h.at.In(e.zone)) {
			c.stat.Idle++
			continue
		}
		if tell := c.count(h, at); tell {
			c.stat.Told++
			out = append(out, h.match())
		}
	}
	return out
}

// count holds a line against the threshold.
func (c *compiled) count(h *hit, at time.Time) (tell bool) {
	if c.limit != nil {
		tell, h.count, h.left = c.limit.take(c.by.expand(h.value), h.at)
	} else {
		tell, _, h.left = c.calm.take(&calm, h.at)
		h.count = 1
		if tell {
			c.held = nil
		} else {
			// A copy, because the text may be a part of much more.
			l := h.line
			l.Text = strings.Clone(l.Text)
			c.held = &held{line: l, at: at}
		}
	}
	if !tell {
		c.stat.LeftOut++
	}
	return tell
}

// held is a line that was left out, in case that nothing comes after it.
type held struct {
	line line.Line
	at   time.Time
}

// Tick gives, for each pattern without a threshold whose minute is over at a
// time, the newest of the lines that were left out of it. It is to be called
// every few seconds with the newest time known (the clock's, or in a replay that
// of the newest line), and after the last line with a time after all, so that
// nothing stays untold. It forgets keys that have not been seen for long.
func (e *Engine) Tick(at time.Time) []Match {
	var out []Match
	for _, c := range e.patterns {
		if c.limit != nil {
			c.limit.forget(at, len(c.limit.keys))
			continue
		}
		if !c.calm.due(at) || c.held == nil {
			continue
		}
		e.begin()
		before := c.stat
		h, ok := e.hit(c, c.held.line)
		c.stat = before
		if !ok {
			continue // can't be: it matched before
		}
		h.at = h.time(c.held.at, e.logged)
		h.count, h.left = 1, c.calm.tell(at)-1 // the newest of them is this one
		c.held = nil
		c.stat.Told++
		c.stat.LeftOut--
		out = append(out, h.match())
	}
	return out
}

// Explain returns the names of the patterns that a line matches, whatever the
// hour and however often they were told. It counts for nothing.
func (e *Engine) Explain(l line.Line) []string {
	e.begin()
	var names []string
	for _, c := range e.of(l.Source) {
		before := c.stat
		if _, ok := e.hit(c, l); ok {
			names = append(names, c.Name)
		}
		c.stat = before
	}
	return names
}

// Understood reports whether the line that was taken last is one that a pattern
// matched or its decoder could read, told or not.
func (e *Engine) Understood() bool { return e.understood }

// Stats counts since the start, in the patterns' order.
func (e *Engine) Stats() []Stat {
	var all []Stat
	for _, c := range e.patterns {
		all = append(all, c.stat)
	}
	return all
}

// maxSources bounds what is remembered of sources. There are as many as the
// settings name.
const maxSources = 1000

// of returns the patterns of a source.
func (e *Engine) of(source string) []*compiled {
	all, ok := e.bySource[source]
	if ok {
		return all
	}
	for _, c := range e.patterns {
		if len(c.Sources) == 0 || slices.ContainsFunc(c.Sources, func(p string) bool { return glob.Match(p, source) }) {
			all = append(all, c)
		}
	}
	if len(e.bySource) >= maxSources {
		clear(e.bySource)
	}
	e.bySource[strings.Clone(source)] = all
	return all
}

// begin forgets the line before.
func (e *Engine) begin() {
	e.lower.ready, e.understood = false, false
	for _, d := range e.decoders {
		d.read, d.rec = false, nil
	}
}

// hit holds a line against all of a pattern but its hours and its threshold.
func (e *Engine) hit(c *compiled, l line.Line) (*hit, bool) {
	text := l.Text
	if len(text) > line.MaxText {
		text = text[:line.MaxText]
		l.Text = text
	}
	if c.match != nil && !e.lower.has(text, c.match.needs) {
		return nil, false
	}
	// Most of what Suricata writes is no alert, and need not be read.
	if c.onlyAlerts && !strings.Contains(text, `"alert"`) {
		e.understood = e.understood || strings.HasPrefix(text, "{")
		return nil, false
	}
	var sub []int
	if c.match != nil {
		if sub = c.match.find(text); sub == nil {
			return nil, false
		}
	}
	h := &hit{c: c, line: l, sub: sub}
	if c.decoder != nil {
		if h.rec = c.decoder.record(text); h.rec == nil {
			c.stat.Unknown++
			return nil, false
		}
		c.stat.Decoded++
		e.understood = true
		if c.onlyAlerts && h.rec.text(eventType) != "alert" {
			return nil, false
		}
	}
	for _, w := range c.where {
		if !w.holds(h.lookup(w.of)) {
			return nil, false
		}
	}
	e.understood = true
	for i := range c.ignore {
		if m := &c.ignore[i]; e.lower.has(text, m.needs) && m.matches(text) {
			c.stat.Ignored++
			return nil, false
		}
	}
	return h, true
}

func (c *compiled) active(at time.Time) bool {
	return len(c.Active) == 0 || slices.ContainsFunc(c.Active, func(h policy.Hours) bool { return h.Contain(at) })
}

// severity is what the settings say, or the alert.
func (h *hit) severity() event.Severity {
	switch {
	case h.c.Severity != nil:
		return *h.c.Severity
	case h.c.decoder.alerts():
		return h.c.decoder.severity(h.rec)
	}
	return event.Medium
}
