package config

import (
	"errors"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

// What pattern.Exec and pattern.Threshold take.
const (
	maxCommandTime = 10 * time.Minute
	maxCount       = 1_000_000
	maxSeconds     = 31 * 24 * 60 * 60
)

// pattern reads one [[pattern]]. Whether its parts fit each other is asked of
// the package that works with it.
func (t *table) pattern(top *node, c *Config) (pattern.Pattern, bool) {
	var p pattern.Pattern
	before := len(t.errs)
	t.line("name", &p.Name, maxRuleName)
	p.Sources = t.fromSources("source", top)
	t.choice("decoder", &p.Decoder, "json", "csv", "snort", "snort3-csv", "snort3-json", "suricata")
	p.Columns = t.lines("columns", maxColumn)
	if n := t.value("match", textKind); n != nil {
		p.Match = t.expression(n)
	}
	for _, n := range t.textOrList("ignore") {
		if re := t.expression(n); re != nil {
			p.Ignore = append(p.Ignore, re)
		}
	}
	t.where(&p)
	word := ""
	t.choice("severity", &word, severities()...)
	if s, err := event.ParseSeverity(word); err == nil {
		p.Severity = &s
	}
	t.text("title", &p.Title)
	t.text("text", &p.Text)
	t.text("by", &p.By)
	t.threshold(&p)
	p.Active = t.hours("active")
	p.Destinations = t.alerted("destination", top, c)
	t.text("ip", &p.IPField)
	t.exec(&p)
	if len(t.errs) > before || t.at.child("name") == nil {
		return p, false
	}
	t.checkPattern(p)
	return p, len(t.errs) == before
}

// maxColumn is more than any field is called by.
const maxColumn = 64

// text takes any, but not none.
func (t *table) text(key string, to *string) {
	if n := t.value(key, textKind); n != nil {
		if *to = n.text; n.text == "" {
			t.fail(n, "leave it out", "must not be empty")
		}
	}
}

func (t *table) expression(n *node) *regexp.Regexp {
	re, err := regexp.Compile(n.text)
	if err == nil {
		return re
	}
	message := "no regular expression"
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		message += ": " + e.Code.String()
		if e.Expr != "" && len(e.Expr) <= maxShownValue && lineOf(e.Expr, maxShownValue) {
			message += " at " + strconv.Quote(e.Expr)
		}
	}
	t.fail(n, "in single quotes, a \\ stands for itself; https://golang.org/s/re2syntax says what there is", "%s", message)
	return nil
}

func (t *table) threshold(p *pattern.Pattern) {
	sub := t.sub("threshold")
	if sub == nil {
		return
	}
	var th pattern.Threshold
	typ := ""
	sub.required("type", "count", "seconds")
	sub.choice("type", &typ, string(pattern.Limit), string(pattern.Each), string(pattern.Both))
	th.Type = pattern.ThresholdType(typ)
	sub.integer("count", &th.Count, 1, maxCount)
	sub.integer("seconds", &th.Seconds, 1, maxSeconds)
	by := ""
	sub.text("by", &by)
	if by != "" && p.By != "" && by != p.By {
		t.fail(sub.at.child("by"), "leave one of them out", "by is set as well, to something else")
	}
	if by != "" {
		p.By = by
	}
	sub.done()
	p.Threshold = &th
}

func (t *table) exec(p *pattern.Pattern) {
	sub := t.sub("exec")
	if sub == nil {
		return
	}
	p.Exec = &pattern.Exec{}
	sub.required("command")
	for _, n := range sub.texts(sub.take("command")) {
		p.Exec.Command = append(p.Exec.Command, n.text)
	}
	sub.duration("timeout", &p.Exec.Timeout, false, maxCommandTime)
	// Whoever may write here would run what they like as the watcher.
	if n := sub.at; n.doc.mode&0o002 != 0 {
		t.fail(n, "chmod o-w "+shellWord(n.doc.path), "a program is named here, and others can change this file")
	}
	sub.done()
}

// checkPattern asks whether the parts fit, and says it where they stand.
func (t *table) checkPattern(p pattern.Pattern) {
	for _, e := range patternErrors(p) {
		if e.Key == "where" {
			continue // below, each by itself
		}
		t.fail(t.placeOf(e.Key), "", "%s", quiet(e.Err.Error()))
	}
	where := t.at.child("where")
	if where == nil {
		return
	}
	for _, n := range where.children {
		one := pattern.Pattern{Name: "x", Decoder: p.Decoder, Columns: p.Columns, Match: p.Match,
			Where: map[string]pattern.Condition{n.key: p.Where[n.key]}}
		for _, e := range patternErrors(one) {
			if e.Key == "where" {
				t.fail(n, "", "%s", quiet(e.Err.Error()))
			}
		}
	}
}

// placeOf finds what package pattern calls by a key.
func (t *table) placeOf(key string) *node {
	if key == "threshold.by" && t.at.child("by") != nil {
		return t.at.child("by")
	}
	at := t.at
	for part := range strings.SplitSeq(key, ".") {
		switch part {
		case "sources":
			part = "source"
		case "ip_field":
			part = "ip"
		}
		n := at.child(part)
		if n == nil {
			break
		}
		at = n
	}
	return at
}

// patternErrors gives what is wrong with a pattern by itself.
func patternErrors(p pattern.Pattern) (all []*pattern.Error) {
	_, err := pattern.New([]pattern.Pattern{p}, pattern.Options{})
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case *pattern.Error:
			all = append(all, e)
		case interface{ Unwrap() []error }:
			for _, err := range e.Unwrap() {
				walk(err)
			}
		}
	}
	walk(err)
	return all
}

// quiet leaves out of an error what is too long to be a name, and may be a
// secret under the wrong key.
func quiet(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		quoted := strings.Trim(w, `",;:`)
		if len(quoted) > maxShownKey || strings.HasPrefix(w, `"`) && not(quoted) == "" || strings.IndexFunc(w, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			words[i] = `"…"` + w[len(strings.TrimRight(w, ",;:")):]
		}
	}
	return strings.Join(words, " ")
}

func conditionKeys() []string { return []string{"equals", "glob", "match", "min", "max"} }

func (t *table) where(p *pattern.Pattern) {
	sub := t.sub("where")
	if sub == nil {
		return
	}
	p.Where = map[string]pattern.Condition{}
	for _, n := range sub.at.children {
		var cond pattern.Condition
		switch n.kind {
		case tableKind:
			cond = sub.condition(n)
		default:
			sub.known = append(sub.known, n.key)
			cond.Equals = sub.scalars(n)
		}
		p.Where[n.key] = cond
	}
}

func (t *table) condition(n *node) (c pattern.Condition) {
	sub := t.table(n)
	for _, key := range n.children {
		if slices.Contains(conditionKeys(), key.key) {
			continue
		}
		hint := didYouMean(key.key, conditionKeys())
		if hint == "" {
			hint = `a condition has ` + oneOf(conditionKeys()) + `; a field's name with a point in it stands in quotes: "alert.severity" = …`
		}
		t.fail(key, hint, "unknown key")
	}
	if n := sub.take("equals"); n != nil {
		c.Equals = sub.scalars(n)
	}
	c.Glob = sub.conditionTexts("glob")
	if n := sub.value("match", textKind); n != nil {
		c.Match = sub.expression(n)
	}
	c.Min, c.Max = sub.number("min"), sub.number("max")
	return c
}

func (t *table) conditionTexts(key string) (all []string) {
	for _, n := range t.textOrList(key) {
		all = append(all, n.text)
	}
	return all
}

// scalars takes one value or a list, as the texts that a field would have.
func (t *table) scalars(n *node) (all []string) {
	nodes := []*node{n}
	if n.kind == listKind {
		if nodes = n.children; len(nodes) == 0 {
			t.fail(n, "leave it out", "must not be empty")
		}
	}
	for _, n := range nodes {
		switch n.kind {
		case textKind, boolKind:
			all = append(all, n.text)
		case numberKind:
			v, err := strconv.ParseInt(n.text, 0, 64)
			if err != nil {
				t.fail(n, "", "no valid number")
			}
			all = append(all, strconv.FormatInt(v, 10))
		default:
			t.fail(n, "for a number's bounds: {min = 1, max = 2}", "must be text in quotes, a whole number, true or false, or a list of such, not %s", n.kind)
		}
	}
	return all
}

func (t *table) number(key string) *float64 {
	n := t.take(key)
	if n == nil {
		return nil
	}
	var v float64
	var err error
	switch n.kind {
	case numberKind:
		var i int64
		i, err = strconv.ParseInt(n.text, 0, 64)
		v = float64(i)
	case fractionKind:
		v, err = strconv.ParseFloat(strings.ReplaceAll(n.text, "_", ""), 64)
	default:
		t.fail(n, "", "must be a number, not %s", n.kind)
		return nil
	}
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		t.fail(n, "", "must be a number")
		return nil
	}
	return &v
}
