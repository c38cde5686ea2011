package slackmsg

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

func build(a event.Alert) Payload { return Build(message.New(a)) }

func literal(s string) message.Span { return message.Span{Text: s} }

func untrusted(s string) message.Span { return message.Span{Kind: message.Untrusted, Text: s} }

func TestHeadline(t *testing.T) {
	all := alerts()
	with := func(name string, change func(*event.Alert)) event.Alert {
		a := all[name]
		change(&a)
		return a
	}
	bulgaria := with("high", func(a *event.Alert) { a.Verdict.Reasons = []string{"first time from Bulgaria"} })
	tests := []struct {
		name  string
		alert event.Alert
		want  string
	}{
		{"new", bulgaria, "HIGH root → db1 from Ireland (Example Networks): first time from Bulgaria, 02:15"},
		{"low", all["low"], "alice → db1 (prod, db) from Ireland (Example Networks): risk 12 (LOW)"},
		{"unknown", all["unknown"], "alice → db1 (prod, db) from 203.0.113.7: risk unknown"},
		{"no provider", all["no-provider"], "alice → db1 (prod, db) from 203.0.113.7"},
		{"private", all["private"], "alice → db1 (prod, db) from 10.0.0.7 (private network)"},
		{"unverified", all["unverified"], "alice → db1 from Ireland (unverified) (Example Networks): risk 12 (LOW)"},
		{"forged: the true address, not the forged one", all["mismatch"], "HIGH alice → db1 (prod, db): SSH_CONNECTION was forged, sshd saw 203.0.113.7"},
		{"after an attack", all["critical-after-attack"], "CRITICAL admin → web1 (prod, db) from 203.0.113.7: got in after 214 failures"},
		{"after an attack that only the watcher saw", all["got-in"], "CRITICAL admin → web1 (prod, db) from 203.0.113.7: got in after 214 failures"},
		{"repeat", all["repeat"], "alice → web3 ×12 in 10 min from Ireland (Example Networks): risk 12 (LOW)"},
		{"burst", all["digest"], "312 logins to web3 in 4 min: deploy ×300, alice ×8, bob ×4"},
		{"burst on several hosts", all["digest-high"], "HIGH 6 logins to 2 hosts in 4 min: alice ×3, root ×2, carol ×1"},
		{"burst of many sorts", all["digest-mixed"], "6 events on web3 in 4 min: alice ×5, alerts ×1"},
		{"logout", all["logout"], "Ended: root → db1 after 4 min (7K3F)"},
		{"the end of a high login is not high news", all["logout-of-high"], "Ended: root → db1 after 4 min (7K3F)"},
		{"an sshd that went without a word", all["no-logout"], "Ended: root → db1 after 4 min (7K3F), no logout"},
		{"alert", all["alert"], "HIGH db1 (prod, db): Backup failed"},
		{"alert without a title", all["alert-with-address"], "db1 (prod, db): somebody knocked"},
		{"test", all["test"], "Test message from sshnotify on host db1 (prod, db)"},
		{"no address", all["no-address"], "alice → db1 (prod, db) from an unknown address"},
		{"labels give way to an address", with("ipv6", func(a *event.Alert) {
			a.Event.Remote.IP, a.Facts.Place = ip("2001:db8:1111:2222:3333:4444:5555:6666"), event.Place{}
		}),
			"alice → db1 from 2001:db8:1111:2222:3333:4444:5555:6666: risk 12 (LOW)"},
		{"names give way to an address and its risk", with("ipv6", func(a *event.Alert) {
			a.Event.Remote.IP, a.Facts.Place = ip("2001:db8:1111:2222:3333:4444:5555:6666"), event.Place{}
			a.Event.User, a.Event.Host = "administrator", "database-primary.example.com"
		}), "adminis… → databas… from 2001:db8:1111:2222:3333:4444:5555:6666: risk 12 (LOW)"},
		{"a stranger in the night", with("high", func(a *event.Alert) {
			a.Event.User, a.Event.Host, a.Event.Labels, a.Event.Time, a.First, a.Last = "erin", "web1.example.com", nil, noon.Add(51*time.Minute), noon.Add(51*time.Minute), noon.Add(51*time.Minute)
			a.Facts.Place, a.Facts.Network.Description = event.Place{Country: "DE"}, "Stiftung Erneuerbare Freiheit"
			a.Verdict.Reasons = []string{"first time"}
		}), "HIGH erin → web1 from Germany (Stiftung Erneuerbare Freiheit): first time, 03:06"},
		{"who wrote an alert did not log in", all["alert-clock-12h"], "HIGH db1 (prod, db): Backup failed"},
		{"no name, no host", with("no-provider", func(a *event.Alert) { a.Event.User, a.Event.Host = "", "" }), "unknown user → unknown host (prod, db) from 203.0.113.7"},
		{"a host that is an address", with("no-provider", func(a *event.Alert) { a.Event.Host, a.Event.Labels = "192.0.2.1", nil }), "alice → 192.0.2.1 from 203.0.113.7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := message.New(tt.alert).Short(); got != tt.want {
				t.Errorf("headline\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestFooter(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                         "ref 7K3F",
		5*time.Minute - 1:         "ref 7K3F",
		5 * time.Minute:           "ref 7K3F · told 5 min late",
		3*time.Hour + time.Minute: "ref 7K3F · told 3 h late",
	} {
		a := aliceLogin()
		a.Late = d
		if got := build(a).Attachments[0].Footer; got != want {
			t.Errorf("footer after %v = %q, want %q", d, got, want)
		}
	}
	a := aliceLogin()
	a.Late = 3 * time.Hour
	for i := range 500 {
		a.Refs = append(a.Refs, fmt.Sprintf("REF%d0000", i%10))
	}
	refs := strings.Repeat("REF0, REF1, REF2, REF3, REF4, REF5, REF6, REF7, REF8, REF9, ", 2) + "REF0, REF1, REF2, REF3, REF4"
	if f, want := build(a).Attachments[0].Footer, "refs "+refs+" and 475 more · told 3 h late"; f != want {
		t.Errorf("footer %q, want %q", f, want)
	}
}

func TestRunbook(t *testing.T) {
	for name, want := range map[string]bool{"low": false, "unknown": false, "medium": true, "high": true, "alert": true, "digest": false, "digest-high": true} {
		text := build(alerts()[name]).Attachments[0].Text
		if got := strings.Contains(text, "<https://wiki.example.com/ssh-alert|runbook>"); got != want {
			t.Errorf("%s: runbook %v, want %v: %q", name, got, want, text)
		}
	}
}

func TestReasons(t *testing.T) {
	a := aliceLogin(risk(50, "MEDIUM", ""))
	a.Verdict.Reasons = []string{"one", " ", "two & <three>"}
	a.Runbook = ""
	if first, _, _ := strings.Cut(build(a).Attachments[0].Text, "\n"); first != "*Why:* one; two &amp; &lt;three&gt;" {
		t.Errorf("first line %q", first)
	}
	for i := range 60 {
		a.Verdict.Reasons = append(a.Verdict.Reasons, fmt.Sprintf("reason number %d", i))
	}
	text := build(a).Attachments[0].Text
	if first, _, _ := strings.Cut(text, "\n"); !strings.HasSuffix(first, "…") || !strings.Contains(first, "reason number 5;") {
		t.Errorf("first line %q", first)
	}
	if n := utf8.RuneCountInString(text); n > 700 || n < 640 {
		t.Errorf("%d characters", n)
	}
}

// However much there was, a day is at most 30 lines and 3,000 characters, and
// says what it leaves out.
func TestADayIsBounded(t *testing.T) {
	a := day()
	d := *a.Event.Digest
	for i := range 40 {
		name := fmt.Sprintf("%s%d", strings.Repeat("&", 60), i)
		d.Unanswered = append(d.Unanswered, event.Unanswered{Ref: "7K3F", User: name, From: name, Severity: event.High, Reasons: []string{name, name, name}, Since: noon})
		d.Promoted = append(d.Promoted, event.PairRow{User: name, From: name, Key: name})
		d.Rows = append(d.Rows, row(name, i, "203.0.113.7"))
	}
	a.Event.Digest, a.Rows = &d, d.Rows
	text := build(a).Attachments[0].Text
	if lines, n := strings.Count(text, "\n")+1, utf8.RuneCountInString(text); lines > 30 || n > 3000 || !strings.Contains(text, "• and 37 more") {
		t.Errorf("%d lines, %d characters: %s", lines, n, text)
	}
	if h := message.New(a).Short(); !strings.HasPrefix(h, "web1, 21 Nov: 41 logins wait for an answer; ") {
		t.Errorf("headline %q", h)
	}
}

// Every login of a digest is counted in it, though not all have a line.
func TestDigestCountsAll(t *testing.T) {
	long := strings.Repeat("x", 60)
	for _, tt := range []struct {
		name      string
		users     int
		user      string
		lines     int  // at least
		remainder bool // not all have a line
	}{
		{"few, with addresses", 10, "user%04d", 10, false},
		{"a hundred, without addresses", 100, "user%04d", 100, false},
		{"five hundred", 500, "user%04d", 90, true},
		{"a thousand with long names", 1000, "%04d" + long, 30, true},
		{"five hundred with names to escape", 500, "%04d" + strings.Repeat("&", 60), 30, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := digest(event.Verdict{Severity: event.High, Reasons: []string{strings.Repeat("why ", 200)}})
			for i := range tt.users {
				r := row(fmt.Sprintf(tt.user, i), i+1)
				for j := range 5 {
					r.IPs = append(r.IPs, netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + j)}))
				}
				r.MoreIPs = 2
				a.Rows = append(a.Rows, r)
			}
			a.Rows[3].Severity, a.Rows[3].Reason = event.High, "first time from Bulgaria"
			raw, err := build(a).JSON()
			if err != nil {
				t.Fatal(err)
			}
			checkPayload(t, a, raw)
			text := build(a).Attachments[0].Text
			lines := strings.Split(text, "\n")
			sum := 0
			for _, m := range regexp.MustCompile(`(?m)(?:: |^and )([\d,]+) logins?`).FindAllStringSubmatch(text, -1) {
				n, _ := strconv.Atoi(strings.ReplaceAll(m[1], ",", ""))
				sum += n
			}
			if want := tt.users * (tt.users + 1) / 2; sum != want {
				t.Errorf("%d logins counted of %d", sum, want)
			}
			if !strings.HasPrefix(lines[0], "*Why:* why") || !strings.HasPrefix(lines[1], "*HIGH* ") {
				t.Errorf("first lines %.100q %.100q", lines[0], lines[1])
			}
			if len(lines) < tt.lines || strings.Contains(text, "do not fit") != tt.remainder {
				t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
			}
		})
	}
}

func TestTitleOfADigestOverMidnight(t *testing.T) {
	a := digest(greyVerdict, row("alice", 2))
	a.First = noon.Add(-3 * time.Hour)
	want := "2 logins to &gt;web3.example.com&lt; from 23:15:04, 20 Nov to 02:19:04 (UTC), 21 Nov 2026"
	if got := build(a).Attachments[0].Title; got != want {
		t.Errorf("title %q, want %q", got, want)
	}
}

// Long service names and hosts may not push the time out of the title.
func TestTitleKeepsTheTime(t *testing.T) {
	for s := range map[string]bool{strings.Repeat("x", 300): true, strings.Repeat("<", 300): true} {
		a := aliceLogin(func(a *event.Alert) { a.Event.User, a.Event.Host, a.Event.Service = s, s, s })
		if got := build(a).Attachments[0].Title; !strings.HasSuffix(got, "&lt; at 02:15:04 (UTC), 21 Nov 2026") || utf8.RuneCountInString(got) > 250 {
			t.Errorf("title of %d: %q", utf8.RuneCountInString(got), got)
		}
	}
}

// Half of an emoji may be ours, or another field's.
func TestNeutralizeLooksAtTheWholeLine(t *testing.T) {
	for _, tt := range []struct {
		name string
		line message.Line
		want string
	}{
		{"the first colon is ours", message.Line{literal("said:"), untrusted("skull: x")}, "said:skull∶ x"},
		{"the last colon is ours", message.Line{untrusted("x :skull"), literal(": y")}, "x ∶skull: y"},
		{"both colons are ours", message.Line{literal(":"), untrusted("15"), literal(":")}, ":15:"},
		{"from two fields", message.Line{untrusted(":sk"), untrusted("ull:")}, "∶skull:"},
		{"an underscore in a word of two fields", message.Line{untrusted("deploy_"), untrusted("bot")}, "deploy_bot"},
		{"a quotation after spaces of ours", message.Line{literal(" "), untrusted(">x")}, " ›x"},
		{"a sign in the middle", message.Line{untrusted("a > b")}, "a &gt; b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := render(tt.line, asMrkdwn); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"<!channel>": "&lt;!channel&gt;", "a&b": "a&amp;b", "&lt;": "&amp;lt;", "plain *x* :y:": "plain *x* :y:", "": "",
	} {
		if got := Escape(in); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestZeroAlert(t *testing.T) {
	raw, err := build(event.Alert{}).JSON()
	if err != nil {
		t.Fatal(err)
	}
	checkPayload(t, event.Alert{}, raw)
}
