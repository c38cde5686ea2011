package message

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/placeholder"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Template is how the owner wants some messages of a destination worded: what
// matches all of its conditions. Its own text is the owner's, and passes as the
// channel's markup; {NAME} in it is a value, which can't be more than text.
type Template struct {
	MinSeverity event.Severity `toml:"min_severity" check:"oneof=low medium high critical"`
	Kinds       []event.Kind   `toml:"kinds,one" check:"oneof=login logout attack match alert digest witness gate"`
	Headline    string         `toml:"headline" check:"line=500"` // empty: the built-in one
	Text        string         `toml:"text"`                      // lines; empty: the built-in ones
}

// Templates are tried one after the other: the first that matches holds.
type Templates []Template

// Of returns the templates that word an alert. A test says that it is one. What strangers read has none: it
// tells nothing but what publish.Settings allows.
func (ts Templates) Of(a event.Alert) event.Words {
	if public(a.Event) {
		return event.Words{}
	}
	for _, t := range ts {
		if a.Verdict.Severity < t.MinSeverity || len(t.Kinds) > 0 && !slices.Contains(t.Kinds, a.Event.Kind) {
			continue
		}
		if a.Test && !strings.Contains(t.Headline, "{"+headlineName+"}") {
			t.Headline = "" // nobody is to take it for an alert
		}
		return event.Words{Headline: t.Headline, Text: t.Text}
	}
	return event.Words{}
}

// Limits of a text of one's own.
const (
	maxOwnLines = 30
	maxOwnLine  = 500
	leastBuilt  = 40 // characters that a built-in headline in another is worth
	leastBody   = 120
)

// Validate looks for templates that are never tried.
func (ts *Templates) Validate(at strictoml.At) {
	for i, t := range *ts {
		if i+1 < len(*ts) && t.MinSeverity <= event.Low && len(t.Kinds) == 0 {
			at.Fail(strconv.Itoa(i+1), "never tried: the template in line %d is that of every message", at.Node().Children[i].Line).Hint = "put it before that one"
			return
		}
	}
}

// Validate looks at what stands in braces, and around it.
func (t *Template) Validate(at strictoml.At) {
	if !at.Has("headline") && !at.Has("text") {
		at.Fail("", "the template words nothing").Hint = `headline = "…" or text = "…"`
	}
	fail := func(key, problem, hint string) {
		if problem != "" && at.OK() {
			at.Fail(key, "%s", problem).Hint = hint
		}
	}
	if t.Headline != "" {
		problem, hint := checkLine(t.Headline)
		fail("headline", problem, hint)
	}
	if !at.Has("text") {
		return
	}
	lines := ownLines(t.Text)
	switch bodies := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !isBody(l) }); {
	case strings.TrimSpace(t.Text) == "":
		at.Fail("text", "must not be empty").Hint = "leave it out for the built-in words"
	case len(lines) > maxOwnLines:
		at.Fail("text", "at most %d lines", maxOwnLines)
	case len(bodies) > 1:
		at.Fail("text", "{%s} stands there twice", bodyName)
	}
	for _, l := range lines {
		switch {
		case isBody(l) || l == "":
		case !strictoml.IsLine(l, maxOwnLine):
			at.Fail("text", "must be lines of at most %d visible characters", maxOwnLine)
		default:
			problem, hint := checkLine(l)
			fail("text", problem, hint)
		}
	}
}

// checkLine says what is wrong with a template of a line, and what to do: names that
// have no value, and values where they could become more than text.
func checkLine(line string) (problem, hint string) {
	texts, names, err := placeholder.Split(line)
	if err != nil {
		return err.Error(), "{NAME} is a value; other braces can't be written"
	}
	known := Names()
	before := ""
	for i, name := range names {
		before += texts[i]
		switch {
		case !slices.Contains(known, name):
			return fmt.Sprintf("there is no {%s}", name), strictoml.HintAt(name, "values", known)
		case name == bodyName:
			return "{" + bodyName + "} is of several lines", "in text, on a line of its own"
		}
		if problem, hint := misplaced(before, name, texts[i+1], i+1 < len(names)); problem != "" {
			return fmt.Sprintf("{%s} %s", name, problem), hint
		}
		before += valueMark
	}
	return "", ""
}

// valueMark stands for a value in what is before another.
const valueMark = "\x00"

// misplaced says why a value may not stand between two texts of a line; nothing
// where it may. more: another value follows the second.
func misplaced(before, name, after string, more bool) (problem, hint string) {
	switch open, closed := strings.LastIndexByte(before, '<'), strings.LastIndexByte(before, '>'); {
	case inURL(before) && name == headlineName:
		return "is no part of a link", ""
	case inURL(before):
		if _, path, _ := cutLast(before, "://"); !strings.ContainsAny(path, "/?#") {
			return "may not be where a link leads", "after the link's host: https://example.com/…"
		}
		return "", ""
	case open > closed:
		return "may not stand within <…>, where it could name whom to mention, or a link", "put it outside"
	case strings.HasSuffix(before, "]("):
		return "may not be where a link leads", ""
	}
	const around = "put a space between"
	last, _ := utf8.DecodeLastRuneInString(before)
	next, size := utf8.DecodeRuneInString(after)
	then, _ := utf8.DecodeRuneInString(after[size:])
	switch {
	case before != "" && (inWord(last) || strings.ContainsRune(valueMark+`.:@#<!$&\+%^＠＃`, last)):
		return "may not follow what stands before it: together they could be a mention, a link or an emoji", around
	case after == "" && more, after != "" && (inWord(next) || strings.ContainsRune("@#＠＃", next)),
		strings.ContainsRune(".:/", next) && (after[size:] == "" && more || size < len(after) && !unicode.IsSpace(then)):
		return "may not stand before what follows: together they could be a mention, a link or an emoji", around
	}
	return "", ""
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// inURL reports whether what follows a text is part of a web address in it.
func inURL(before string) bool {
	_, rest, ok := cutLast(before, "://")
	return ok && !strings.ContainsFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("<>|\"'`()[]", r) })
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func ownLines(text string) []string { return strings.Split(strings.Trim(text, "\n"), "\n") }

// The values that are built-in words of any length.
const (
	headlineName = "headline"
	bodyName     = "body"
)

func isBody(line string) bool { return strings.TrimSpace(line) == "{"+bodyName+"}" }

// Value is one that a template can name.
type Value struct {
	Name, Means string
	of          func(event.Alert) Line // nil: headlineName and bodyName
}

// Values returns all there are. Their version is 1: one is never taken away, and
// never comes to mean something else; there may be more.
func Values() []Value {
	text := func(of func(event.Alert) string) func(event.Alert) Line {
		return func(a event.Alert) Line { return ownSpan(untrusted(of(a))) }
	}
	ours := func(of func(event.Alert) string) func(event.Alert) Line {
		return func(a event.Alert) Line { return ownSpan(literal(of(a))) }
	}
	return []Value{
		{headlineName, "the built-in headline, as much of it as there is room for", nil},
		{"title", "the built-in title: what happened, in a sentence", func(a event.Alert) Line { return title(a).Line }},
		{bodyName, "the built-in lines; in `text`, on a line of its own", nil},
		{"severity", "`low`, `medium`, `high` or `critical`", ours(func(a event.Alert) string { return a.Verdict.Severity.String() })},
		{"kind", "`login`, `logout`, `attack`, `match`, `alert`, `digest`, `witness` or `gate`", ours(func(a event.Alert) string { return string(a.Event.Kind) })},
		{"reasons", "why it has that severity, joined by `; `", func(a event.Alert) Line {
			var l Line
			for _, r := range a.Verdict.Reasons {
				if s := untrusted(r); s.Text != "" {
					l = separated(l, "; ", s)
				}
			}
			return l
		}},
		{"rule", "the rule that set the severity", text(func(a event.Alert) string { return a.Verdict.Rule })},
		{"host", "the host; of several their names", text(func(a event.Alert) string {
			if onHosts(a) {
				return hostNames(a)
			}
			return a.Event.Host
		})},
		{"labels", "the host's labels, joined by `, `", text(func(a event.Alert) string {
			var all []string
			for _, k := range slices.Sorted(maps.Keys(a.Event.Labels)) {
				all = append(all, a.Event.Labels[k])
			}
			return strings.Join(all, ", ")
		})},
		{"service", "by which service: `SSH`, `sudo`, …", text(func(a event.Alert) string {
			if a.Event.Service == "" {
				return ""
			}
			return serviceName(a.Event)
		})},
		{"user", "who logged in, whose account it is, or who wrote the alert; of several users their names", text(userOf)},
		{"by", "who became that user, of sudo and su", text(func(a event.Alert) string { return a.Event.By() })},
		{"person", "whose key it was", text(func(a event.Alert) string { return a.Person })},
		{"method", "how they authenticated, and with which key", func(a event.Alert) Line { return method(a.Event.Auth()) }},
		{"key", "the key's fingerprint", func(a event.Alert) Line { return ownSpan(fingerprint(a.Event.Auth().Fingerprint)) }},
		{"ip", "the address", func(a event.Alert) Line {
			if ip := a.Event.Remote.IP.Unmap().WithZone(""); ip.IsValid() {
				return Line{{Kind: Exact, Text: ip.String()}}
			}
			return nil
		}},
		{"from", "the address, its country or the name of its network, as the built-in headline says it", func(a event.Alert) Line {
			if !a.Event.Remote.IP.IsValid() {
				return nil
			}
			where, network := from(a)
			return join(where[1:], network)
		}},
		{"place", "where the address is", func(a event.Alert) Line { return place(a.Facts) }},
		{"network", "whose network it is", func(a event.Alert) Line { return dashed(a.Facts.Network.Name, a.Facts.Network.Description) }},
		{"risk", "the address's risk: `72 (HIGH)`, or `unknown`", func(a event.Alert) Line {
			switch r := a.Facts.Risk; {
			case r == nil || a.Facts.Scope != "":
				return nil
			case !r.Known:
				return Line{literal("unknown")}
			case blank(r.Word):
				return Line{literal(fmt.Sprint(r.Score))}
			default:
				return Line{literal(fmt.Sprintf("%d (", r.Score)), untrusted(r.Word), literal(")")}
			}
		}},
		{"time", "when, by the clock of `time_zone`: `02:15:04 (UTC), 21 Nov 2026`", ours(func(a event.Alert) string {
			if newest(a).IsZero() {
				return ""
			}
			return clockOf(a).full(newest(a))
		})},
		{"epoch", "when, in seconds since 1970, for links", ours(func(a event.Alert) string {
			if newest(a).IsZero() {
				return ""
			}
			return strconv.FormatInt(newest(a).Unix(), 10)
		})},
		{"count", "how many events the message tells", ours(func(a event.Alert) string { return strconv.Itoa(max(a.Count, 1)) })},
		{"attempts", "of an attack: how many attempts there were", ours(func(a event.Alert) string {
			t := a.Event.Attack
			if t == nil || cmp.Or(t.Attempts, t.FromAddress, t.AgainstUser) == 0 {
				return ""
			}
			return strconv.Itoa(max(t.Attempts, t.FromAddress, t.AgainstUser))
		})},
		{"lasted", "of a logout: how long the session was", ours(func(a event.Alert) string {
			if a.Lasted <= 0 {
				return ""
			}
			return duration(a.Lasted)
		})},
		{"pattern", "of a match: the `[[pattern]]`'s name", text(func(a event.Alert) string {
			if a.Event.Match == nil {
				return ""
			}
			return a.Event.Match.Pattern
		})},
		{"alert_title", "of an alert, a match or an attack: its title", text(func(a event.Alert) string { name, _ := note(a.Event, clockOf(a)); return name })},
		{"alert_text", "of these: its text", text(func(a event.Alert) string { _, said := note(a.Event, clockOf(a)); return said })},
		{"ref", "the reference that every command takes", ours(func(a event.Alert) string { return event.Ref(a.ID) })},
		{"id", "all of it", text(func(a event.Alert) string { return a.ID })},
	}
}

// userOf is who an alert is about: of several logins told in one message, all of
// them.
func userOf(a event.Alert) string {
	if onHosts(a) {
		return strings.Join(users(a), ", ")
	}
	if a.Event.User != "" || a.Event.Kind == event.KindDigest {
		return a.Event.User
	}
	var all []string
	for _, r := range a.Rows {
		if r.User != "" && !slices.Contains(all, r.User) {
			all = append(all, r.User)
		}
	}
	return strings.Join(all, ", ")
}

// Names returns the names of all values.
func Names() []string {
	var all []string
	for _, v := range Values() {
		all = append(all, v.Name)
	}
	return all
}

func ownSpan(s Span) Line {
	if s.Text == "" {
		return nil
	}
	return Line{s}
}

func separated(l Line, by string, s Span) Line {
	if len(l) > 0 {
		l = append(l, literal(by))
	}
	return append(l, s)
}

// ownLine is a line of a template's, in pieces; a nil one is the built-in
// headline. Of a text, a nil line is the built-in body.
type ownLine []Line

// newOwnLine fills the values of an alert into a template of a line. It returns
// nil where the template says nothing of this one: it names values, and each is
// empty, or nothing of it can be seen.
func newOwnLine(template string, a event.Alert) ownLine {
	texts, names, err := placeholder.Split(template)
	if err != nil { // Validate refuses it
		return nil
	}
	var l ownLine
	before, says := "", len(names) == 0 && !blank(template)
	for i, text := range texts {
		if text != "" {
			l = append(l, Line{{Kind: Markup, Text: text}})
		}
		if i == len(names) {
			break
		}
		before += text
		if names[i] == headlineName {
			says = true
			l = append(l, nil)
		} else if v := valueOf(names[i], a); len(v) > 0 {
			says = true
			if inURL(before) {
				v = Line{{Kind: Markup, Text: escapeURL(v.Text())}}
			}
			l = append(l, v)
		}
		before += valueMark
	}
	if !says {
		return nil
	}
	return l
}

func valueOf(name string, a event.Alert) Line {
	for _, v := range Values() {
		if v.Name == name && v.of != nil {
			return v.of(a)
		}
	}
	return nil
}

// maxURLValue is the most characters of a value that a link has.
const maxURLValue = 100

// escapeURL writes a value as part of a path or a query of a link. What could end
// the link, mark it up, or lead out of its path is not left as it is.
func escapeURL(s string) string {
	if r := []rune(s); len(r) > maxURLValue {
		s = string(r[:maxURLValue])
	}
	if strings.Trim(s, ".") == "" {
		return strings.Repeat("-", len(s))
	}
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	return strings.NewReplacer("_", "%5F", "~", "%7E").Replace(s)
}

// words puts the owner's templates into a message, and returns which of them say
// nothing of this alert: those parts have the built-in words.
func (m *Message) words(a event.Alert) (silent []string) {
	if t := a.Own.Headline; t != "" {
		if m.Headline.own = newOwnLine(t, a); m.Headline.own == nil {
			silent = append(silent, "headline")
		}
	}
	if t := a.Own.Text; t != "" {
		says := false
		for _, line := range ownLines(t) {
			switch own := newOwnLine(line, a); {
			case isBody(line):
				m.own, says = append(m.own, nil), true
			case own != nil:
				m.own, says = append(m.own, own), true
			case line == "":
				m.own = append(m.own, ownLine{})
			}
		}
		if !says {
			m.own = nil
			silent = append(silent, "text")
		}
	}
	return silent
}

// Silent returns those of an alert's templates that say nothing of it, so that New
// takes the built-in words: headline, text.
func Silent(a event.Alert) []string { return new(Message).words(a) }

// Missing returns the names of the values that an alert's template of the headline
// has and that are empty.
func Missing(a event.Alert) []string {
	_, names, err := placeholder.Split(a.Own.Headline)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == headlineName || len(valueOf(name, a)) > 0 })
}

// fit returns the line with each of its values in so many characters, and the
// built-in headline, where it has that, in what they leave of most.
func (l ownLine) fit(f Form, most, each int, h Headline) Line {
	h.own = nil
	rest := 0
	for _, piece := range l {
		rest += f.Width(f.shorten(piece, each)...)
	}
	var out Line
	for _, piece := range l {
		if piece == nil {
			out = append(out, h.Fit(f, max(most-rest, leastBuilt))...)
		}
		out = append(out, f.shorten(piece, each)...)
	}
	return out
}

// ownHeadline is Fit of a headline with words of the owner's.
func (h Headline) ownHeadline(f Form, most int) Line {
	var l Line
	for _, each := range []int{150, 90, 60, 40, 24, 16, 8} {
		if l = h.own.fit(f, most, each, h); f.Width(l...) <= most {
			break
		}
	}
	if l = f.clip(l, most); strings.TrimSpace(l.Text()) == "…" { // a link that there is no room for
		h.own = nil
		return h.Fit(f, most)
	}
	return l
}

// ownBody is Body of a message with lines of the owner's, the built-in ones among
// them where they ask for these.
func (m Message) ownBody(f Form, most, lines int) []Line {
	built := m
	built.own = nil
	var own []Line
	at, room := -1, 0
	for _, each := range []int{160, 120, 90, 70, 50, 36, 24, 16, 8} {
		own, at, room = nil, -1, most
		for _, l := range m.own {
			if l == nil {
				at = len(own)
				continue
			}
			line := f.clip(l.fit(f, textHeadline, each, m.Headline), most)
			own = append(own, line)
			room -= f.Width(line...) + 1
		}
		if at < 0 && room >= -1 || room >= leastBody {
			break
		}
	}
	for at < 0 && room < -1 && len(own) > 1 { // no room for the last of them
		last := len(own) - 1
		room += f.Width(own[last]...) + 1
		own = own[:last]
	}
	if at < 0 {
		return own
	}
	for room < leastBody && len(own) > 0 { // the built-in lines matter more
		last := len(own) - 1
		room += f.Width(own[last]...) + 1
		own = own[:last]
	}
	at = min(at, len(own))
	return slices.Concat(own[:at], built.Body(f, room, max(lines-len(own), 1)), own[at:])
}
