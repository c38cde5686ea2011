package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// attacks are what a stranger may have for a name, and a provider may answer.
var attacks = map[string]string{
	"mention of the channel":   "<!channel>",
	"mention of a person":      "<@U1>",
	"mention of a group":       "<!subteam^S1|ops>",
	"a link":                   "<http://x|y>",
	"a date that is a link":    "<!date^0^{date}^http://x.example|now>",
	"entities written out":     "&lt;!channel&gt;",
	"a bare URL":               "http://x.example/y",
	"backticks":                "`id` ```id```",
	"bold, struck, in italics": "*x* ~y~ _z_",
	"an emoji":                 ":skull:",
	"a quotation":              ">>> all is well",
	"newlines":                 "alice\n*Why:* nothing\r\n*Threat Jammer Risk:* 0 (LOW)",
	"Unicode's line breaks":    "a\u2028b\u2029c\u0085d",
	"bidi override":            "\u202egnp.exe\u202c",
	"bidi isolate":             "\u2067abc\u2069",
	"zero-width":               "ro\u200bot\u200c\u200d\ufeff",
	"odd spaces":               "a\u00a0b\u3000c\u3164d\u2800e",
	"tags":                     "a\U000e0041\U000e0042",
	"10,000 characters":        strings.Repeat("A", 10000),
	"10,000 ampersands":        strings.Repeat("&", 10000),
	"10,000 overrides":         strings.Repeat("\u202e", 10000),
	"invalid UTF-8":            "a\xff\xfe\xc3b\xe2\x80",
	"a terminal's title":       "\x1b]0;pwned\x07\x1b[31mroot\x1b[0m",
	"C1 controls":              "\u009b31mroot",
	"a shell's work":           "$(reboot);`reboot`|reboot",
	"our own marks":            "root< to >db9<",
	"a template":               "%s%n{{.User}}${user}$USER",
}

// What Slack may act on, or never does: our own labels, and times, whose
// colons make no emoji.
var (
	ourLabel  = regexp.MustCompile(`\*(Why|Connected from IP|IP Location|Connected from ISP|Threat Jammer Risk|Authenticated with):\*|\*(MEDIUM|HIGH|CRITICAL)\*`)
	clockTime = regexp.MustCompile(`\d\d:\d\d:\d\d [AP]M`)
	entity    = regexp.MustCompile(`&(amp|lt|gt);`)
	emoji     = regexp.MustCompile(`:[a-z0-9_+'-]*[a-z_+][a-z0-9_+'-]*:`)
	italics   = regexp.MustCompile(`(^|[^\pL\pN_])_|_($|[^\pL\pN_])`)
)

// unseen reports what nobody sees, or what moves what one sees.
func unseen(r rune) bool {
	return r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == '\u00a0' || r == '\u3000' || r == '\u3164' || r == '\u2800'
}

// active names what Slack would act on, in a text that may hold our labels.
func active(s string, mrkdwn bool) []string {
	var bad []string
	if !utf8.ValidString(s) {
		bad = append(bad, "invalid UTF-8")
	}
	if strings.IndexFunc(s, unseen) >= 0 {
		bad = append(bad, "a character that can't be seen")
	}
	rest := clockTime.ReplaceAllString(ourLabel.ReplaceAllString(s, ""), "")
	if strings.ContainsAny(rest, "<>") {
		bad = append(bad, "an entity of Slack's")
	}
	if strings.Contains(entity.ReplaceAllString(rest, ""), "&") {
		bad = append(bad, "a bare &")
	}
	if strings.Contains(rest, "://") {
		bad = append(bad, "a bare URL")
	}
	if m := emoji.FindString(withoutAddresses(rest)); m != "" {
		bad = append(bad, "the emoji "+m)
	}
	if !mrkdwn {
		return bad
	}
	if strings.ContainsAny(rest, "*~`") || italics.MatchString(rest) {
		bad = append(bad, "formatting")
	}
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(strings.TrimSpace(line), "&gt;") {
			bad = append(bad, "a quotation")
		}
	}
	return bad
}

// withoutAddresses takes out words that are addresses, whose colons make no
// emoji either.
func withoutAddresses(s string) string {
	words := strings.Fields(s)
	return strings.Join(slices.DeleteFunc(words, func(w string) bool {
		_, err := netip.ParseAddr(strings.Trim(w, ",;()"))
		return err == nil
	}), " ")
}

// checkInert holds a message that Slack got against the contract's limits, and
// looks for what acts in it.
func checkInert(t *testing.T, m standin.Message) {
	t.Helper()
	a := m.Payload.Attachments[0]
	limit, lines := 700, 5
	if digestTitle.MatchString(a.Title) {
		limit, lines = 3800, 41
	}
	for _, f := range []struct {
		name, text    string
		limit, lines  int
		mrkdwn, blank bool
	}{
		{"headline", m.Payload.Text, 80, 1, true, false},
		{"title", a.Title, 250, 1, false, false},
		{"text", a.Text, limit, lines, true, false},
		{"fallback", a.Fallback, 1000, lines + 1, false, false},
		{"footer", a.Footer, 300, 1, false, false},
		{"pretext", a.Pretext, 0, 1, true, true},
		{"title_link", a.TitleLink, 0, 1, true, true},
	} {
		if bad := active(f.text, f.mrkdwn); len(bad) > 0 {
			t.Errorf("the %s holds %q: %.300q", f.name, bad, f.text)
		}
		if n := utf8.RuneCountInString(f.text); n > f.limit || (n == 0) != f.blank {
			t.Errorf("the %s has %d characters, at most %d: %.300q", f.name, n, f.limit, f.text)
		}
		if n := strings.Count(f.text, "\n") + 1; n > f.lines {
			t.Errorf("the %s has %d lines, at most %d: %.300q", f.name, n, f.lines, f.text)
		}
	}
	if a.Blocks != nil || len(a.Fields) > 0 {
		t.Errorf("the attachment has more than is ours: %s", m.Raw)
	}
	for _, key := range []string{"channel", "username", "icon_emoji", "icon_url", "link_names", "blocks", "replace_original"} {
		if strings.Contains(string(m.Raw), fmt.Sprintf("%q:", key)) {
			t.Errorf("the payload has the key %s: %s", key, m.Raw)
		}
	}
}

var digestTitle = regexp.MustCompile(`^\d+ (logins|alerts|events) `)

// rawJSON writes a string as JSON that has its bytes as they are, also those
// that are no UTF-8.
func rawJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + `"`
}

// evilProvider answers with one text wherever a text may stand.
func evilProvider(text string) standin.Behave {
	return func(_ int, r *http.Request) *standin.Answer {
		x := rawJSON(text)
		body := fmt.Sprintf(`{"score":72,"risk":%s,"reason":%s,"asn":"/v1/asn/64500"}`, x, x)
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/geo/"):
			body = fmt.Sprintf(`{"city_name":%s,"region_name":%s,"country_iso_code":%s,"asn_country_iso_code":%s}`, x, x, x, x)
		case strings.HasPrefix(r.URL.Path, "/v1/asn/"):
			body = fmt.Sprintf(`{"name":%s,"description":%s,"country_code":%s}`, x, x, x)
		}
		a := jsonAnswer(200, body)
		return &a
	}
}

// evilError refuses with one text wherever an error may have one.
func evilError(text string) standin.Behave {
	return func(int, *http.Request) *standin.Answer {
		x := rawJSON(text)
		a := jsonAnswer(400, fmt.Sprintf(`{"title":%s,"detail":%s,"type:":%s}`, x, x, x))
		return &a
	}
}

func TestPromise4AStrangersTextStaysText(t *testing.T) {
	t.Parallel()
	provided := map[string]string{"NUL": "a\x00b", "NUL alone": "\x00"} // an environment can't hold these
	for name, text := range attacks {
		provided[name] = text
	}
	for name, text := range provided {
		t.Run(name, func(t *testing.T) {
			sample(t, name, "NUL", "mention of the channel", "a link", "newlines", "bidi isolate", "10,000 ampersands", "invalid UTF-8", "a terminal's title", "our own marks", "a template")
			t.Parallel()
			_, provider := newThreatJammer(t, standin.ThreatJammerOptions{Behave: evilProvider(text)})
			s := newSwiftSite(t, standin.SlackOptions{}, provider)
			user := strings.ReplaceAll(text, "\x00", "")
			env := pamEnv("open_session", user, aliceIP)
			env = append([]string{
				"SSH_CONNECTION=" + user, // claims another address, at that
				"SSH_AUTH_INFO_0=publickey " + user + " AAAA\n" + user,
			}, env[2:]...)
			s.hook(env)
			s.mustDeliver()
			m, a := s.one()
			checkInert(t, m)
			if !strings.Contains(a.Text, "203.0.113.7") || !strings.Contains(a.Text, "Risk:* 72") {
				t.Errorf("the text hides what is true: %q", a.Text)
			}
			// People look at their terminals, too.
			for _, args := range [][]string{
				{"lookup", "203.0.113.7"},
				{"lookup", "--json", "203.0.113.7"},
				{"preview", "--format", "text", "--user", user},
				{"preview", "--user", user},
			} {
				r := s.run(nil, append(args, "--config", s.settings)...)
				// An answer that is too long is none: exit 1.
				if r.code > 1 || r.out == "" || strings.IndexFunc(r.out+r.stderr, unseen) >= 0 || !utf8.ValidString(r.out+r.stderr) {
					t.Errorf("%s: exit %d, prints %.300q%.300q", args, r.code, r.out, r.stderr)
				}
			}
		})
	}
}

// What waits, fails and is refused is shown to people as well.
func TestPromise4InTheQueueAndInErrors(t *testing.T) {
	t.Parallel()
	for name, text := range attacks {
		t.Run(name, func(t *testing.T) {
			sample(t, name, "mention of the channel", "newlines", "tags", "bidi isolate", "a template")
			t.Parallel()
			_, provider := newThreatJammer(t, standin.ThreatJammerOptions{Behave: evilError(text)})
			s := newSwiftSite(t, standin.SlackOptions{Behave: func(int, *http.Request) *standin.Answer {
				return &standin.Answer{Status: 500, Body: text}
			}}, provider)
			s.login(text, aliceIP)
			for _, args := range [][]string{
				{"deliver", "--once", "--log-level", "debug"}, {"queue"}, {"queue", "--json"}, {"lookup", "203.0.113.8"}, {"test"},
			} {
				r := s.run(nil, append(args, "--config", s.settings)...)
				if strings.IndexFunc(r.out+r.stderr, unseen) >= 0 || !utf8.ValidString(r.out+r.stderr) {
					t.Errorf("%s prints %.300q%.300q", args, r.out, r.stderr)
				}
				if n := strings.Count(r.out, "\n"); args[0] == "queue" && n > 2 {
					t.Errorf("%s prints %d lines: %.300q", args, n, r.out)
				}
			}
		})
	}
}

// All of them in one digest.
func TestPromise4InADigest(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	i := 0
	for _, text := range attacks {
		i++
		ip := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		s.login(text, ip)
	}
	s.mustDeliver()
	if n := len(s.slack.Messages()); n > 2 {
		t.Errorf("%d messages, want a digest", n)
	}
	for _, m := range s.slack.Messages() {
		checkInert(t, m)
		if !digestTitle.MatchString(m.Payload.Attachments[0].Title) {
			t.Errorf("no digest, but %q", m.Payload.Attachments[0].Title)
		}
	}
}

// The checker must see what it is there for.
func TestActiveSees(t *testing.T) {
	for _, s := range []string{
		"<!channel>", "a & b", "http://x", ":skull:", "*x*", "*Why:* *x*", "~x~", "`id`", "_x_", "&gt; x", "a\u202eb", "a\u200bb", "a\x00b", "a\xffb", "a\x1b[0m",
	} {
		if len(active(s, true)) == 0 {
			t.Errorf("nothing is seen in %q", s)
		}
	}
	for _, s := range []string{"*Why:* a; b", "*Connected from IP:* 2001:db8::7", "at 02:15:04 (UTC)", "x &lt;y&gt; &amp;", "deploy_bot: 3 logins"} {
		if bad := active(s, true); len(bad) > 0 {
			t.Errorf("%q is seen in %q", bad, s)
		}
	}
}
