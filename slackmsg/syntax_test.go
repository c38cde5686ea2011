package slackmsg

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// This reads Slack's syntax as Slack does, and not as the package writes it: a
// text may hold the markup that the contract names, and nothing else that acts.

var (
	entity     = regexp.MustCompile(`&(amp|lt|gt);`)
	ourLabel   = regexp.MustCompile(`\*(Why:|Hosts:|Connected from IP:|IP Location:|Connected from ISP:|Authenticated with:|Seen before:|Connected from:|Session:|Waits for an answer:|Counted, not told:|Ordinary logins:|Failed logins:|Usual from now on:|Learned unasked:|How logins are told:|IP:|ISP:|Network:|What to do:|Logins before:|In short:|Hosts to look at:|Counted:|The page:|MEDIUM|HIGH|CRITICAL|[^*]*Risk:)\*`)
	ourLink    = regexp.MustCompile(`<https?://[^<>|\s]+\|(runbook|as it is now)>`)
	codeSpan   = regexp.MustCompile("`([^`]*)`")
	italics    = regexp.MustCompile(`(^|[^\pL\pN_])_|_($|[^\pL\pN_])`)
	emoji      = regexp.MustCompile(`^:[^\s:∶]+:`)
	numeric    = regexp.MustCompile(`^:(\d|\d\d|\d{5,}|[02-9]\d\d|1[1-9]\d|10[1-9]|[02-9]\d{3}|1[013-9]\d\d|12[0-24-9]\d|123[0-35-9]):$`)
	clockTime  = regexp.MustCompile(`\d\d:\d\d(:\d\d)?( [AP]M)?`)
	quotation  = regexp.MustCompile(`(?m)^\s*&gt;`)
	notVisible = func(r rune) bool {
		return r != '\n' && r != ' ' && (unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Zs) || r == '\u3164' || r == '\u2800')
	}
)

// unmarked names what acts in an escaped string without markup of ours, such
// as a title.
func unmarked(s string) []string {
	var bad []string
	if !utf8.ValidString(s) {
		bad = append(bad, "invalid UTF-8")
	}
	if i := strings.IndexFunc(s, notVisible); i >= 0 {
		bad = append(bad, "a character that can't be seen")
	}
	if strings.ContainsAny(s, "<>") {
		bad = append(bad, "an entity")
	}
	if strings.Contains(entity.ReplaceAllString(s, ""), "&") {
		bad = append(bad, "a bare &")
	}
	if strings.Contains(s, "://") {
		bad = append(bad, "a bare URL")
	}
	rest := clockTime.ReplaceAllString(s, "")
	rest = withoutAddresses(rest, false)
	for i, r := range rest {
		if r != ':' {
			continue
		}
		if m := emoji.FindString(rest[i:]); m != "" && !numeric.MatchString(m) {
			bad = append(bad, "the emoji "+m)
		}
	}
	return bad
}

// withoutAddresses takes out what is an address, or also those with an emoji.
func withoutAddresses(s string, emojiToo bool) string {
	for _, word := range strings.Fields(s) {
		word = strings.Trim(word, "(),;.")
		if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" && (emojiToo || !holdsEmoji(word)) {
			s = strings.ReplaceAll(s, word, "")
		}
	}
	return s
}

// active names what acts in a mrkdwn text but our own labels, our own link and
// addresses in code spans.
func active(s string) []string {
	rest := ourLink.ReplaceAllString(s, "")
	rest = ourLabel.ReplaceAllString(rest, "label")
	rest = codeSpan.ReplaceAllStringFunc(rest, func(c string) string {
		if _, err := netip.ParseAddr(strings.Trim(c, "`")); err == nil {
			return ""
		}
		return c
	})
	bad := unmarked(rest)
	if strings.ContainsAny(rest, "*~`") {
		bad = append(bad, "formatting")
	}
	if italics.MatchString(rest) {
		bad = append(bad, "italics")
	}
	if quotation.MatchString(rest) {
		bad = append(bad, "a quotation")
	}
	return bad
}

func TestTheCheckerSees(t *testing.T) {
	for _, s := range []string{
		"<!channel>", "hi <@U1>", "<https://evil.example|runbook2>", "<http://x y|runbook>", "a & b", "&amp;lt; &nbsp;", "see https://x.example",
		":skull:", "x:skull:y", "x:1:one:", "at:100:", ":1234:", "*x*", "*Why:", "~x~", "`id`", "_x_", "an _x", "&gt; quoted", "one\n&gt; quoted", "a\u202eb", "a\u200bb", "a\x00b", "a\xffb", "a\rb",
		"2001:db8:cd::1",
	} {
		if len(active(s)) == 0 {
			t.Errorf("nothing found in %q", s)
		}
	}
	for _, s := range []string{
		"*Why:* a; b · <https://wiki.example.com/x|runbook>", "*Connected from IP:* 203.0.113.7 · *IP Location:* Dublin - Leinster (IE)",
		"`2001:db8:cd::1` and 2001:db8::7", "deploy_bot: 3 logins", "x &lt;y&gt; &amp; z", "New login at 02:15:04 AM (UTC)", "uid:1000 → db1: from", "uid:1000: 1 login", "12:34:56",
	} {
		if bad := active(s); len(bad) > 0 {
			t.Errorf("%v found in %q", bad, s)
		}
	}
}

// checkPlain holds the text-only form against what is promised of it.
func checkPlain(t *testing.T, a event.Alert) {
	t.Helper()
	p := Plain(message.New(a))
	s := strings.ReplaceAll(p.Text, Escape(message.New(a).Link.Text()), "")
	if bad := active(s); len(bad) > 0 {
		t.Errorf("plain text holds %v: %.400q", bad, s)
	}
	if n := utf8.RuneCountInString(p.Text); n == 0 || n > 4000 || len(p.Attachments) != 0 {
		t.Errorf("plain text of %d characters, %d attachments", n, len(p.Attachments))
	}
}

// checkPayload holds the payload of one alert against all that is promised of
// any payload.
func checkPayload(t *testing.T, a event.Alert, raw []byte) {
	t.Helper()
	var top map[string]any
	if err := json.Unmarshal(raw, &top); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	keys := func(m map[string]any) []string {
		var ks []string
		for k := range m {
			ks = append(ks, k)
		}
		slices.Sort(ks)
		return ks
	}
	if got, want := keys(top), []string{"attachments", "parse", "text", "unfurl_links", "unfurl_media"}; !slices.Equal(got, want) {
		t.Errorf("keys %v, want %v", got, want)
	}
	if top["parse"] != "none" || top["unfurl_links"] != false || top["unfurl_media"] != false {
		t.Errorf("parse %v, unfurl %v %v", top["parse"], top["unfurl_links"], top["unfurl_media"])
	}
	atts, _ := top["attachments"].([]any)
	want := 1
	if a.Ask != nil {
		want = 2
	}
	if len(atts) != want {
		t.Fatalf("%d attachments, want %d", len(atts), want)
	}
	if want == 2 {
		checkAsked(t, atts[1])
	}
	if refused := standin.CheckSlackBlocks(raw); refused != "" {
		t.Errorf("Slack says %s: %s", refused, raw)
	}
	att := atts[0].(map[string]any)
	for _, k := range keys(att) {
		if !slices.Contains([]string{"color", "fallback", "footer", "mrkdwn_in", "text", "title", "ts"}, k) {
			t.Errorf("key %s in the attachment", k)
		}
	}
	field := func(name string, s any, limit int, check func(string) []string) {
		str, _ := s.(string)
		if n := utf8.RuneCountInString(str); n > limit {
			t.Errorf("%s of %d characters, at most %d: %.400q", name, n, limit, str)
		}
		if bad := check(str); len(bad) > 0 {
			t.Errorf("%s holds %v: %.400q", name, bad, str)
		}
	}
	text, _ := att["text"].(string)
	limit, lines := 700, 5
	switch {
	case a.Event.Digest != nil && (a.Event.Digest.Of == event.KindDigest || a.Event.Digest.Failures != nil || a.Event.Digest.Report != nil):
		limit, lines = 3000, 30
	case len(a.Rows) > 0:
		limit, lines = 3800, len(a.Rows)+2
	}
	if n := strings.Count(text, "\n") + 1; n > lines {
		t.Errorf("text of %d lines, at most %d: %.400q", n, lines, text)
	}
	withoutRunbook := func(s string) []string {
		return unmarked(withoutAddresses(strings.ReplaceAll(s, Escape(message.New(a).Link.Text()), ""), true))
	}
	field("headline", top["text"], 80, active)
	field("text", text, limit, active)
	field("title", att["title"], 250, unmarked)
	field("fallback", att["fallback"], 1000, withoutRunbook)
	field("footer", att["footer"], 300, unmarked)
	for _, s := range []any{top["text"], att["title"], att["footer"]} {
		if str, _ := s.(string); str == "" || strings.Contains(str, "\n") {
			t.Errorf("empty, or more than a line: %q", str)
		}
	}
	if h := message.New(a).Short(); h == "" || utf8.RuneCountInString(h) > 80 || strings.IndexFunc(h, notVisible) >= 0 || strings.Contains(h, "\n") {
		t.Errorf("headline %q", h)
	}
	stripped := sgr.ReplaceAllString(message.New(a).Plain(true), "")
	if strings.IndexFunc(stripped, notVisible) >= 0 {
		t.Errorf("a terminal gets %q", stripped)
	}
}

// checkAsked holds what stands below a message against what is promised of it: texts
// that Slack reads no markup in, and nothing but them and buttons.
func checkAsked(t *testing.T, att any) {
	t.Helper()
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			text, is := v["text"].(string)
			if bad := unmarked(text); is && (v["type"] != "plain_text" || v["emoji"] != false || text == "" || strings.Contains(text, "\n") || len(bad) > 0) {
				t.Errorf("%v in %v", bad, v)
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(att)
	for k := range att.(map[string]any) {
		if k != "color" && k != "blocks" {
			t.Errorf("key %s beside blocks", k)
		}
	}
}

// sgr matches the sequences that message.Plain writes itself.
var sgr = regexp.MustCompile("\x1b\\[(0|1|2|22|38;2;[0-9]+;[0-9]+;[0-9]+)m")
