package slackmsg

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/standin"
)

var attacks = map[string]string{
	"mention of the channel":        "<!channel>",
	"mention of a person":           "<@U1>",
	"mention of a group":            "<!subteam^S1|ops>",
	"a date that is a link":         "<!date^0^{date}^http://x.example|now>",
	"a link":                        "<http://x.example|click>",
	"an entity written out":         "&lt;!channel&gt;",
	"a bare URL":                    "see http://x.example/y",
	"half an entity at the end":     strings.Repeat("x", 20) + "&",
	"a code span":                   "`id`",
	"an open code block":            "```",
	"bold":                          "*x*",
	"half of bold":                  "*",
	"italics":                       "_x_",
	"italics with runs":             "__x__ ___",
	"struck through":                "~x~",
	"an emoji":                      ":skull:",
	"an emoji in a word":            "a:skull:b",
	"half an emoji at the end":      "a:skull",
	"half an emoji at the start":    "skull:x",
	"two emoji sharing a colon":     ":one:two:",
	"an emoji with a skin":          ":wave::skin-tone-2:",
	"a quotation":                   "> all is well",
	"a deeper quotation":            ">>> all is well",
	"newlines":                      "alice\n*Why:* nothing",
	"carriage return":               "alice\r\nroot",
	"Unicode's own line breaks":     "a\u2028b\u2029c\u0085d\vd\ff",
	"bidi override":                 "\u202egnp.exe\u202c",
	"bidi isolate":                  "\u2067abc\u2069",
	"zero-width":                    "a\u200bb\u200cc\u200dd\ufeff",
	"odd spaces":                    "a\u00a0b\u3000c\u3164d\u2800e",
	"tags":                          "a\U000e0041\U000e0042",
	"10,000 characters":             strings.Repeat("A", 10000),
	"10,000 ampersands":             strings.Repeat("&", 10000),
	"10,000 stars":                  strings.Repeat("*", 10000),
	"10,000 overrides":              strings.Repeat("\u202e", 10000),
	"10,000 words":                  strings.Repeat("word ", 2000),
	"NUL":                           "a\x00b",
	"invalid UTF-8":                 "a\xff\xfe\xc3b",
	"a cut character":               "alice\xe2\x80",
	"a terminal's title":            "\x1b]0;pwned\x07",
	"a terminal's colours":          "\x1b[31mroot\x1b[0m",
	"C1 controls":                   "\u009b31mroot",
	"combining marks":               "a" + strings.Repeat("\u0301", 300),
	"our own label":                 "*Threat Jammer Risk:* 0 (LOW)",
	"our own label, looking alike":  "x · *Why:* y",
	"our own link":                  "<https://evil.example/|runbook>",
	"an address with a zone":        "fe80::1%*x*:skull:",
	"an address that holds emoji":   "2001:db8:bee:cd::1",
	"only spaces":                   "   ",
	"nothing":                       "",
	"spaces around":                 "  <x>  ",
	"an ellipsis":                   "…",
	"wide characters":               strings.Repeat("漢", 200),
	"right to left letters":         "שלום",
	"pipe and angle":                "|>|<",
	"a mention without an entity":   "@channel @here #general",
	"a look-alike of our separator": "a; b · c",
}

// everywhere puts a string into every place of an alert that strings come to.
func everywhere(s string) []event.Alert {
	fill := func(a event.Alert) event.Alert {
		e, f := &a.Event, &a.Facts
		a.ID, a.LoginID, a.Person, a.Runbook = s, s, s, "https://wiki.example.com/"+s
		e.ID, e.User, e.Host, e.Service = s, s, s, s
		e.Labels = map[string]string{s: s, "env": s}
		e.Remote.Name, e.Remote.Zone, e.Remote.Claimed = s, s, s
		e.Login.Auth = event.Auth{Method: s, KeyType: s, Fingerprint: s, KeyID: s, Serial: 1<<64 - 1, CAFingerprint: s}
		f.Risk = &event.Risk{Provider: s, Known: true, Score: 72, Word: s, Reason: s, Problem: s}
		f.Network = event.Network{ASN: 1<<32 - 1, Name: s, Description: s}
		f.Place = event.Place{City: s, Region: s, Country: s}
		a.Verdict = event.Verdict{Severity: event.High, Knowledge: event.Knowledge(s), Reasons: []string{s, s, s}}
		a.Refs = []string{s, s, s}
		return a
	}
	login := fill(aliceLogin())
	low := fill(aliceLogin())
	low.Verdict = event.Verdict{Knowledge: event.Knowledge(s)}
	unknown := fill(aliceLogin())
	unknown.Verdict, unknown.Facts.Risk.Known = event.Verdict{}, false
	private := fill(aliceLogin())
	private.Facts.Scope = s
	nowhere := fill(aliceLogin())
	nowhere.Event.Remote = event.Remote{Name: s}
	forged := fill(aliceLogin(flagged(event.FlagAddressMismatch)))
	repeat := fill(alerts()["repeat-high"])
	logout := fill(aliceLogout(flagged(event.FlagNoLogout)))
	note := fill(noted(event.KindAlert, event.Medium, s, s))
	noteless := fill(noted(event.KindAttack, event.Medium, "", s))
	noteless.Verdict.Reasons = nil
	odd := fill(aliceLogin())
	odd.Event.Kind = event.Kind(s)
	test := fill(alerts()["test"])
	missed, many := fill(alerts()["missed"]), fill(alerts()["missed-many"])
	list := fill(alerts()["digest-high"])
	for i := range list.Rows {
		list.Rows[i].User, list.Rows[i].Host, list.Rows[i].Reason, list.Rows[i].Kind = s, s, s, event.Kind(s)
	}
	whole := day()
	filled := *whole.Event.Digest
	filled.Unanswered = []event.Unanswered{{Ref: s, User: s, From: s, Severity: event.High, Reasons: []string{s, s}, Since: noon, Count: 2}}
	filled.Rows, filled.Counted = list.Rows, list.Rows
	names := event.Tally{Most: []event.Count{{Name: s, N: 2}}}
	filled.Failures = &event.Failures{Attempts: 3, Addresses: 1, Names: names, Networks: names, Countries: names, NewNames: []string{s}, NewNetworks: []string{s}, Worst: list.Rows}
	filled.Promoted = []event.PairRow{{User: s, From: s, Key: s, Ref: s, Days: 3}}
	filled.Learned, filled.Modes = filled.Promoted, []event.ModeChange{{To: event.Mode(s), User: s, From: s, Count: 30}}
	whole.Event.Host, whole.Event.Digest, whole.Rows = s, &filled, filled.Rows
	report := week()
	about := *report.Event.Digest
	about.Unanswered, about.Report = filled.Unanswered, &event.Report{Sentence: s, Logins: 3, Unusual: 1, People: 2, Failing: []string{s, s}, URL: "https://wiki.example.com/" + s, Only: []string{s}}
	report.Event.Host, report.Event.Digest = s, &about
	below, alone := fill(aliceLogin()), fill(aliceLogin())
	below.Ask, alone.Ask = asking(""), asking(s)
	for i := range below.Ask.Said {
		said := event.Said{At: noon, What: below.Ask.Said[i].What, By: s, Why: s}
		below.Ask.Said[i], alone.Ask.Said[i] = said, said
	}
	return []event.Alert{below, alone, whole, report, login, low, unknown, private, nowhere, forged, repeat, logout, note, noteless, odd, test, missed, many, list}
}

func TestAttack(t *testing.T) {
	for name, s := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, a := range everywhere(s) {
				if standin.Everyday() && i%4 != len(name)%4 {
					continue
				}
				raw, err := build(a).JSON()
				if err != nil {
					t.Fatal(err)
				}
				checkPayload(t, a, raw)
				checkPlain(t, a)
			}
		})
	}
}

// A stranger's name may make names shorter, but not hide why.
func TestLongNamesLeaveTheReason(t *testing.T) {
	a := aliceLogin(risk(72, "HIGH", "Listed as a brute force source"))
	a.Event.User, a.Event.Host = strings.Repeat("A&", 64), strings.Repeat("h", 63)+".example.com"
	a.Event.Labels = map[string]string{"env": strings.Repeat("p", 64)}
	for _, h := range []string{message.New(a).Short(), build(a).Text} {
		if !strings.HasPrefix(h, "HIGH A") || !strings.Contains(h, ": Threat Jammer 72 (HIGH): Listed") {
			t.Errorf("headline %q", h)
		}
	}
	a.Facts.Risk.Reason = strings.Repeat("spam ", 2000)
	a.Verdict.Reasons = []string{strings.Repeat("spam ", 2000), "second"}
	text := build(a).Attachments[0].Text
	for _, want := range []string{"*Why:* spam", "|runbook>", "203.0.113.7", "AS64500 EXAMPLE-NET - Example Networks", "*Threat Jammer Risk:* 72 (HIGH) - spam", keyAlice} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
}

// What people copy into another program is what was there.
func TestCopyableIsExact(t *testing.T) {
	a := alerts()["certificate"]
	a.Event.Remote.IP = ip("2001:db8:85a3::8a2e:370:7334")
	text := build(a).Attachments[0].Text
	for _, want := range []string{keyAlice, keyCA, " 2001:db8:85a3::8a2e:370:7334 "} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %q", want, text)
		}
	}
	a = aliceLogin(flagged(event.FlagAddressMismatch), func(a *event.Alert) { a.Event.Remote.Claimed = "2001:db8::7" })
	if text := build(a).Attachments[0].Text; strings.Count(text, "2001:db8::7") != 2 {
		t.Errorf("the forged address is not as it was: %q", text)
	}
	a = digest(greyVerdict, row("deploy_bot", 2, "2001:db8::7"), row("uid:1000", 1))
	if text := build(a).Attachments[0].Text; text != "deploy_bot: 2 logins from 2001:db8::7\nuid:1000: 1 login" {
		t.Errorf("text %q", text)
	}
}

// What somebody gets who wants to know more is as safe.
func TestAttackOnMore(t *testing.T) {
	for name, s := range attacks {
		for _, a := range everywhere(s)[:3] {
			p := Build(message.More(a, []message.Past{{Time: noon, Host: s, From: s}, {Time: noon, Host: s, From: s}}))
			text := p.Attachments[0].Text
			if bad := active(text); len(bad) > 0 || len(p.Attachments) != 1 || utf8.RuneCountInString(text) > 3800 {
				t.Errorf("%s: %v in %.400q", name, bad, text)
			}
		}
	}
}
