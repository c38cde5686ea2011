package channel

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// received sends an alert to one recipient, and returns the mail as it arrived.
func received(t *testing.T, a event.Alert) standin.ReadableMail {
	t.Helper()
	s := startSMTP(t, standin.SMTPOptions{})
	sameError(t, tell(t, openMail(t, s.Addr(), plainServer), a), nil, "")
	mails := s.Mails()
	if len(mails) != 1 || mails[0].From != "sshnotify@example.com" || mails[0].To != "admin@example.com" {
		t.Fatalf("got %+v", mails)
	}
	m, err := standin.ReadMail(mails[0].Data)
	if err != nil {
		t.Fatalf("%v in\n%s", err, mails[0].Data)
	}
	return m
}

// kinds are alerts of each kind and severity, as they are told.
func kinds() map[string]event.Alert {
	of := func(s event.Severity, k event.Knowledge, change func(*event.Alert)) event.Alert {
		a := login()
		a.Facts = event.Facts{Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET", Description: "Example Networks"}, Place: event.Place{City: "Dublin", Region: "Leinster", Country: "IE"}}
		a.Verdict, a.Runbook = event.Verdict{Severity: s, Knowledge: k}, "https://wiki.example.com/ssh"
		if s > event.Low {
			a.Verdict.Reasons = []string{"first time from Ireland", "Reputation 72 (HIGH): Listed as a brute force source"}
		}
		if change != nil {
			change(&a)
		}
		return a
	}
	first := event.Receipt{mailReceiptID: "1@sshnotify.db1.example.com", mailReceiptFirst: "1@sshnotify.db1.example.com", mailReceiptSubject: "HIGH alice → db1 from Ireland: first time, 02:15", mailReceiptSeverity: "high"}
	noted := func(k event.Kind, n event.Note) func(*event.Alert) {
		return func(a *event.Alert) {
			a.Event = event.Event{Kind: k, Time: a.Event.Time, Host: a.Event.Host, Via: event.ViaWatch, Remote: a.Event.Remote}
			a.Event.Alert, a.Event.Match, a.Event.Attack = &n, &event.Match{Pattern: "snort", Note: n}, &event.Attack{
				Note: n, Phase: event.PhaseBegun, By: "address", Attempts: 214, First: a.First.Add(-10 * time.Minute), Last: a.First,
				Names: event.Tally{Most: []event.Count{{Name: "root", N: 205}, {Name: "admin", N: 9}}},
			}
		}
	}
	rows := func() []event.Row { // each alert has its own
		return []event.Row{
			{User: "alice", Host: "web3.example.com", Kind: event.KindLogin, Count: 8, IPs: []netip.Addr{netip.MustParseAddr("203.0.113.7")}},
			{User: "root", Host: "db1.example.com", Kind: event.KindLogin, Count: 2, MoreIPs: 3, Severity: event.High, Reason: "first time from Bulgaria"},
		}
	}
	return map[string]event.Alert{
		"login-low":    of(event.Low, event.Known, nil),
		"login-usual":  of(event.Low, event.Usual, func(a *event.Alert) { a.NewBar = true }),
		"login-medium": of(event.Medium, event.Known, nil),
		"login-high":   of(event.High, event.Known, nil),
		"login-critical": of(event.Critical, event.Known, func(a *event.Alert) {
			a.Verdict.Reasons = append([]string{"got in after 214 failures"}, a.Verdict.Reasons...)
		}),
		"logout": of(event.High, event.Known, func(a *event.Alert) {
			a.Event.Kind, a.Event.Login, a.LoginID, a.Lasted, a.Parent = event.KindLogout, event.Login{}, a.ID, 4*time.Minute, first
			a.ID = "Q8W20ZM4Y8V1T5R9W6P3N0B7K3"
		}),
		"repeats": of(event.High, event.Known, func(a *event.Alert) {
			a.ID, a.Count, a.More, a.Replaces = "9QXA20ZM4Y8V1T5R9W6P3N0B7K", 12, true, first
			a.Last = a.First.Add(10 * time.Minute)
		}),
		"attack": of(event.Medium, event.Unknown, noted(event.KindAttack, event.Note{Severity: event.Medium})),
		"match":  of(event.Medium, event.Unknown, noted(event.KindMatch, event.Note{Severity: event.Medium, Title: "Snort: ET SCAN SSH", Text: "203.0.113.7:51234 -> 192.0.2.1:22"})),
		"alert":  of(event.High, event.Unknown, noted(event.KindAlert, event.Note{Severity: event.High, Title: "Backup failed", Text: "no space left on /srv & <b>nobody</b> looked"})),
		"digest": of(event.High, event.Known, func(a *event.Alert) {
			a.Event, a.Facts, a.Rows, a.Last = event.Event{Kind: event.KindLogin, Host: "db1.example.com"}, event.Facts{}, rows(), a.First.Add(4*time.Minute)
		}),
		"day": of(event.Low, event.Known, func(a *event.Alert) {
			a.Event = event.Event{Kind: event.KindDigest, Time: a.First, Host: "db1.example.com", Via: event.ViaSelf, Digest: &event.Digest{Of: event.KindDigest, Rows: rows()}}
			a.Facts, a.Rows, a.First = event.Facts{}, rows(), a.Last.Add(-24*time.Hour)
		}),
		"report": of(event.Low, event.Known, func(a *event.Alert) {
			a.Event = event.Event{Kind: event.KindDigest, Time: a.First, Host: "hub1.example.com", Via: event.ViaSelf, Digest: &event.Digest{
				Of: event.KindReport, Hosts: 3, MoreUnanswered: 1, Report: &event.Report{
					Sentence: "3 of 412 logins were unusual, the worst critical: root to db1 from Bulgaria, 20 Nov 2026, 02:15.", Logins: 412, Unusual: 3, People: 8, Keys: 1, Failed: 3023,
					Failing: []string{"web3"}, URL: "https://wiki.example.com/ssh",
				},
				Unanswered: []event.Unanswered{{Ref: "7K3F", User: "root", From: "Bulgaria", Severity: event.Critical, Reasons: []string{"got in after 214 failures"}, Since: a.First.Add(-24 * time.Hour), Count: 1}},
			}}
			a.Facts, a.First, a.Page = event.Facts{}, a.Last.Add(-7*24*time.Hour), []byte("<!DOCTYPE html>\n<p>the page — with other letters: ü</p>\n"+strings.Repeat("<p>x</p>", 100))
		}),
		"test": of(event.Low, event.Known, func(a *event.Alert) {
			noted(event.KindAlert, event.Note{Severity: event.Low, Text: "If you can read this, alerts from this host arrive."})(a)
			a.Verdict, a.Test = policy.Judge(policy.Input{Event: a.Event}, policy.DefaultSettings()), true
		}),
	}
}

func TestMailGolden(t *testing.T) {
	all := kinds()
	for name, a := range all {
		t.Run(name, func(t *testing.T) {
			m := received(t, a)
			golden(t, "mail/"+name+".txt", m.Show())
			if m.Attached != string(a.Page) || a.Page != nil && m.AttachedName != "sshnotify-report-2026-11-21.html" {
				t.Errorf("attached as %q is %q", m.AttachedName, m.Attached)
			}
			golden(t, "mail/"+name+".html", strings.ReplaceAll(m.HTML, "\r\n", "\n"))
		})
	}
	files, err := filepath.Glob("testdata/mail/*")
	if err != nil || len(files) != 2*len(all) {
		t.Errorf("%d files for %d alerts, %v", len(files), len(all), err)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		writeFile(t, path, []byte(got))
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./internal/channel -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// strangers puts a text wherever an alert has one, but for what tells its form.
func strangers(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		switch v.Type() {
		case reflect.TypeFor[event.Kind](), reflect.TypeFor[event.Via](), reflect.TypeFor[event.Flag](), reflect.TypeFor[event.Phase]():
		default:
			v.SetString(text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() || v.Type() == reflect.TypeFor[netip.Addr]() || v.Type() == reflect.TypeFor[netip.Prefix]() {
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Type != reflect.TypeFor[event.Receipt]() && f.Type != reflect.TypeFor[event.Words]() && f.Type != reflect.TypeFor[*time.Location]() {
				strangers(v.Field(i), text)
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		strangers(v.Elem(), text)
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			strangers(v.Index(i), text)
		}
	case reflect.Map:
		if v.Type() == reflect.TypeFor[map[string]string]() {
			v.Set(reflect.ValueOf(map[string]string{text: text}))
		}
	}
}

// Whatever a stranger writes, wherever: no header, no recipient, no other mail, no
// element of HTML and no line of their own comes of it.
func TestMailOfStrangersWords(t *testing.T) {
	tags := regexp.MustCompile(`<[^>]*>`)
	ours := regexp.MustCompile(`^<(!DOCTYPE html|html lang="en"|meta [a-z0-9",=\- ]+|/?(head|title|style|body|div|h1|h2|p|b|html)|div style="border-left-color: #[0-9a-f]{6}"|p class="ref"|a href="https://wiki\.example\.com/ssh"|/a)>$`)
	for what, text := range map[string]string{
		"a header":          "x\r\nBcc: evil@example.net\r\nX-Evil: 1",
		"the end of a head": "x\r\n\r\n<script>alert(1)</script>",
		"the end of a mail": "x\r\n.\r\nMAIL FROM:<evil@example.net>\r\nRCPT TO:<evil@example.net>",
		"a lone line feed":  "x\nBcc: evil@example.net",
		"a lone return":     "x\rBcc: evil@example.net",
		"encoded words":     "=?utf-8?Q?x=0D=0ABcc:_evil@example.net?=",
		"a boundary":        "x\r\n--7K3F--\r\n",
		"HTML":              `"><img src=x onerror=alert(1)><a href="https://evil.example.net">y</a>`,
		"addresses":         `"evil" <evil@example.net>, evil@example.net`,
		"other letters":     "ü→𝕏\u202e\u0000\xff日本",
	} {
		for kind, a := range kinds() {
			t.Run(what+" in "+kind, func(t *testing.T) {
				t.Parallel()
				id, link, sev := a.ID, a.Runbook, a.Verdict.Severity
				rows := len(a.Rows) > 0
				strangers(reflect.ValueOf(&a).Elem(), text)
				a.ID, a.Runbook, a.Verdict.Severity = id, link, sev
				a.Event.Service = event.Clean(text, 64) // as event.Decode does
				if !rows {
					a.Rows = nil
				}
				m := received(t, a)
				for name := range m.Header {
					switch name {
					case "Auto-Submitted", "Content-Type", "Date", "From", "Importance", "In-Reply-To", "Message-Id", "Mime-Version", "References", "Subject", "To",
						"X-Auto-Response-Suppress", "X-Priority", "X-Sshnotify-Severity":
					default:
						t.Errorf("a header %s: %s", name, m.Header.Get(name))
					}
				}
				for name, want := range map[string]string{"To": "<admin@example.com>", "From": `"sshnotify" <sshnotify@example.com>`, "Auto-Submitted": "auto-generated"} {
					if got := m.Header.Get(name); got != want {
						t.Errorf("%s: %q", name, got)
					}
				}
				if strings.ContainsAny(m.Subject, "\r\n\x00\u202e") || strings.Contains(m.Subject, "=?") {
					t.Errorf("subject %q", m.Subject)
				}
				for line := range strings.Lines(m.Text) {
					for _, own := range []string{"Bcc", ".\r", "MAIL", "RCPT", "--7K3F", "X-Evil"} {
						if strings.HasPrefix(line, own) {
							t.Errorf("a line %q", line)
						}
					}
				}
				_, body, _ := strings.Cut(m.HTML, "</style>")
				for _, tag := range tags.FindAllString(body, -1) {
					if !ours.MatchString(tag) {
						t.Errorf("an element %s", tag)
					}
				}
			})
		}
	}
}

// The hardest alerts of the suite are mails that every server takes.
func TestMailTakesEveryAlert(t *testing.T) {
	for name, a := range alerts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if m := received(t, a); m.Subject == "" || m.Text == "" || m.HTML == "" {
				t.Errorf("got %+v", m)
			}
		})
	}
}

func TestMailThreads(t *testing.T) {
	s := startSMTP(t, standin.SMTPOptions{})
	c := openMail(t, s.Addr(), plainServer)
	send := func(a event.Alert) (event.Receipt, standin.ReadableMail) {
		t.Helper()
		r, err := c.Send(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		mails := s.Mails()
		m, err := standin.ReadMail(mails[len(mails)-1].Data)
		if err != nil {
			t.Fatal(err)
		}
		return r, m
	}
	a := login()
	first, m := send(a)
	if id := m.Header.Get("Message-Id"); id != "<"+a.ID+"@sshnotify.db1.example.com>" || m.Header.Get("References") != "" {
		t.Errorf("Message-ID %s, References %q", id, m.Header.Get("References"))
	}
	subject := m.Subject
	if again, _ := send(a); again[mailReceiptID] != first[mailReceiptID] {
		t.Error("the same alert has another Message-ID when it is sent again")
	}
	out := kinds()["logout"]
	out.Parent = first
	second, m := send(out)
	if m.Header.Get("In-Reply-To") != "<"+first[mailReceiptID]+">" || m.Header.Get("References") != "<"+first[mailReceiptID]+">" || m.Subject != subject {
		t.Errorf("In-Reply-To %q, References %q, subject %q, want %q", m.Header.Get("In-Reply-To"), m.Header.Get("References"), m.Subject, subject)
	}
	if headline := mailSubjectOf(message.New(out)); !strings.Contains(m.Text, headline) {
		t.Errorf("the headline %q is told nowhere", headline)
	}
	worse := kinds()["login-critical"]
	worse.ID, worse.Replaces = "2MRT20ZM4Y8V1T5R9W6P3N0B7K", second
	_, m = send(worse)
	if want := "<" + first[mailReceiptID] + "> <" + second[mailReceiptID] + ">"; m.Header.Get("References") != want || !strings.HasPrefix(m.Subject, "CRITICAL") {
		t.Errorf("References %q, want %q; subject %q", m.Header.Get("References"), want, m.Subject)
	}
}

// A server need not take more than ASCII and lines of 78 characters.
func TestMailIsSevenBits(t *testing.T) {
	for name, a := range kinds() {
		from := mailSettings(t, "localhost").From
		l, err := compose(a, newThread(a), from, from, a.First)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(l) {
			if len(line) > mailLine+len("\r\n") || !bytes.HasSuffix(line, []byte("\r\n")) || bytes.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
}
