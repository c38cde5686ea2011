package form

import (
	"encoding/xml"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"golang.org/x/net/html"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

func span(kind message.SpanKind, s string) message.Span { return message.Span{Kind: kind, Text: s} }

func TestForms(t *testing.T) {
	untrusted := func(s string) message.Line { return message.Line{span(message.Untrusted, event.Clean(s, 400))} }
	label := message.Line{{Kind: message.Bold, Spans: message.Line{span(message.Literal, "Why:")}}, span(message.Literal, " "), span(message.Untrusted, "a_b <x>")}
	address := message.Line{span(message.Literal, "from "), span(message.Exact, "2001:db8:cd::7")}
	link := message.Line{{Kind: message.Link, Text: "https://wiki.example.com/a(b)?x=1&y=2", Spans: message.Line{span(message.Literal, "runbook")}}}
	for _, tc := range []struct {
		name string
		form Form
		line message.Line
		want string
	}{
		{"a URL is none any more", Plain, untrusted("see https://example.com/x"), "see https∶//example.com/x"},
		{"an @ is a name to nobody", Plain, untrusted("bob@example.com"), "bob@example.com"},
		{"a link is named", Plain, link, "runbook: https://wiki.example.com/a(b)?x=1&y=2"},
		{"a mention", At, untrusted("@all ＠here #tag"), "﹫all ﹫here ﹟tag"},
		{"a host stays whole where it links nowhere", At, untrusted("db1.example.com"), "db1.example.com"},
		{"a host in a post", Post, untrusted("db1.example.com 203.0.113.7 $X 1.5"), "db1․example․com 203.0.113.7 ﹩X 1.5"},
		{"a label", Markdown, label, `**Why:** a\_b ‹x›`},
		{"an address with an emoji in it", Markdown, address, "from `2001:db8:cd::7`"},
		{"a link", Markdown, link, "[runbook](https://wiki.example.com/a%28b%29?x=1&y=2)"},
		{"a heading", Markdown, untrusted("# root"), `\# root`},
		{"a list", Markdown, untrusted("12. root"), `12\. root`},
		{"an underline", Markdown, untrusted("==="), `＝==`},
		{"no start of a line", Markdown, message.Line{span(message.Literal, "a "), span(message.Untrusted, "- 1.")}, "a - 1."},
		{"a hidden character", Markdown, untrusted("a\u202eb"), `a\\u202eb`},
		{"an emoji and a mention", Markdown, untrusted(":smile: <@1> @all uid:1000"), "∶smile: ‹﹫1› ﹫all uid:1000"},
		{"a link of a stranger", Markdown, untrusted("[x](https://example.com) &#10;www.x.com"), `\[x\](https∶//example.com) ﹠#10;www․x.com`},
		{"a label", Chat, label, "*Why:* aˍb ‹x›"},
		{"an address", Chat, address, "from `2001:db8:cd::7`"},
		{"a link", Chat, link, "[runbook](https://wiki.example.com/a%28b%29?x=1&y=2)"},
		{"marks, mentions, a host and a number", Chat, untrusted("*b* _i_ @all #ops [x](evil.example) :smile: +4930123"), "∗b∗ ˍiˍ ﹫all ﹟ops ［x］(evil․example) ∶smile: ＋4930123"},
		{"a list", Chat, untrusted("- root"), "‐ root"},
		{"a list of numbers", Chat, untrusted("12. root"), "12․ root"},
		{"a look-alike that is a letter, before a point", Chat, untrusted("`.example"), "ˋ․example"},
		{"look-alikes on both sides of a point", Chat, untrusted("`.`"), "ˋ․ˋ"},
		{"an address that would be a link", Chat, untrusted("from 203.0.113.7"), "from 203․0․113․7"},
		{"a label", HTML, label, "<b>Why:</b> a_b &lt;x&gt;"},
		{"a link", HTML, link, `<a href="https://wiki.example.com/a(b)?x=1&amp;y=2">runbook</a>`},
		{"signs and accents", GSM, untrusted("Łukasz → db1 ×3 · “naïve” ёлка…"), "Lukasz > db1 x3 - \"naive\" ????."},
		{"what SMS have", GSM, untrusted("é ü € {x} @"), "é ü € {x} @"},
		{"an address is spelt", Speech, message.Line{span(message.Literal, "HIGH from "), span(message.Exact, "203.0.113.7")}, "HIGH from 2 0 3 dot 0 dot 1 1 3 dot 7"},
		{"a name with a digit is spelt", Speech, untrusted(`root → db1 (prod, <x>)`), "root on d b 1 (prod, &lt; x &gt;)"},
		{"a count", Speech, untrusted("got in after 214 failures"), "got in after 2 1 4 failures"},
	} {
		t.Run(string(tc.form)+"/"+tc.name, func(t *testing.T) {
			if got := tc.form.Line(tc.line); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestMarked(t *testing.T) {
	got, marks := Marked([]message.Line{
		{span(message.Literal, "𝄞 "), span(message.Untrusted, "@bob")},
		{{Kind: message.Bold, Spans: message.Line{span(message.Literal, "Why:")}}, span(message.Literal, " "), span(message.Exact, "203.0.113.7")},
	})
	want := []Mark{{Type: "code", Offset: 3, Length: 4}, {Type: "bold", Offset: 8, Length: 4}, {Type: "code", Offset: 13, Length: 11}}
	if got != "𝄞 @bob\nWhy: 203.0.113.7" || !slices.Equal(marks, want) {
		t.Errorf("got %q %+v", got, marks)
	}
}

// A length that is counted is never less than what is written.
func TestNoFormIsLongerThanCounted(t *testing.T) {
	for _, name := range Names() {
		f := Form(name)
		for _, a := range alerts(attack + " Łukasz 𝄞 " + strings.Repeat("é<&\"#.@", 30)) {
			m := message.New(a)
			for _, max := range []int{40, 80, 160, 280} {
				got := f.Line(m.Headline.Fit(f.Count(), max))
				if n := length(f, got); n > max {
					t.Errorf("%s: %d characters of at most %d: %q", f, n, max, got)
				}
			}
			got := f.Lines(m.Body(f.Count(), 700, 5))
			if n := length(f, got); n > 700 || strings.Count(got, "\n") > 4 {
				t.Errorf("%s: %d characters of at most 700: %q", f, n, got)
			}
		}
	}
}

func length(f Form, s string) int {
	switch f {
	case Entities:
		return len(utf16.Encode([]rune(s)))
	case GSM:
		return septets(s)
	case Post:
		n := 0
		for _, r := range s {
			n += weight(r)
		}
		return n
	}
	return len([]rune(s))
}

const attack = "<!channel> <@U1> @all @everyone [x](https://evil.example) <b>&#10;</b> *_~`|| # https://evil.example www.evil.example :smile: $CASH #tag /cmd"

// alerts are of each kind that a stranger's words get into.
func alerts(s string) []event.Alert {
	now := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	base := event.Alert{
		ID: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", Count: 1, First: now, Last: now, Person: s,
		Event: event.Event{
			V: event.Version, Kind: event.KindLogin, Time: now, Host: s, User: s, Service: "sshd", Labels: map[string]string{"role": s},
			Remote: event.Remote{IP: netip.MustParseAddr("2001:db8:cd::7")}, Login: event.Login{Auth: event.Auth{Method: s, Fingerprint: s}},
		},
		Facts: event.Facts{
			Risk: &event.Risk{Provider: s, Known: true, Score: 72, Word: s, Reason: s}, Name: s,
			Network: event.Network{ASN: 64500, Name: s, Description: s}, Place: event.Place{City: s, Region: s, Country: s},
		},
		Verdict: event.Verdict{Severity: event.High, Reasons: []string{s, s}},
	}
	note := base
	note.Event.Kind, note.Event.Alert = event.KindAlert, &event.Note{Severity: event.High, Title: s, Text: s}
	attacked := base
	attacked.Event.Kind, attacked.Event.Attack = event.KindAttack, &event.Attack{Note: event.Note{Severity: event.High, Title: s, Text: s}}
	logout := base
	logout.Event.Kind = event.KindLogout
	rows := base
	rows.Refs, rows.Count = []string{s, s}, 12
	rows.Rows = []event.Row{{Kind: event.KindLogin, User: s, Host: s, Count: 12, Reason: s}}
	quiet := base
	quiet.Verdict = event.Verdict{Severity: event.Low}
	return []event.Alert{base, note, attacked, logout, rows, quiet}
}

func FuzzForms(f *testing.F) {
	for _, s := range []string{attack, "# x", "1. x", "- x", "===", "\tx", "    x", "a\n\nb", "> x", "&lt;", "\\", "`", "`\\`", "``` x", "<https://evil.example>", "***", "x@y.example", "＠bob ＃tag", "a.b", "``.A"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, s, other string) {
		var lines []message.Line
		for _, a := range alerts(s) {
			m := message.New(a)
			lines = append(lines, m.Headline.Fit(message.Form{}, 200), m.Title.Fit(message.Form{}, 200), m.Footer.Fit(message.Form{}, 200))
			lines = append(lines, m.Body(message.Form{}, 4000, 8)...)
		}
		lines = append(lines, message.Line{span(message.Untrusted, event.Clean(strings.TrimSpace(s), 400)), span(message.Literal, ": "), span(message.Untrusted, event.Clean(strings.TrimSpace(other), 400))})
		for _, l := range lines {
			readAll(t, l)
		}
		if got := Markdown.Lines(lines); strings.Count(got, "\n") != len(lines)-1 {
			t.Errorf("%d lines became %q", len(lines), got)
		}
		readMarkdown(t, Markdown.Lines(lines))
	})
}

// In words of the owner's, a value is as harmless as in ours, at the start of a line
// and beside other words.
func FuzzWords(f *testing.F) {
	names := slices.DeleteFunc(message.Names(), func(name string) bool { return name == "body" })
	for i := range names {
		for _, s := range []string{attack, "# x", "1. x", "- x", "===", "`\\`", "***", "＠bob ＃tag", "a.b"} {
			f.Add(uint8(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, n uint8, s string) {
		name := "{" + names[int(n)%len(names)] + "}"
		for _, a := range alerts(s)[:2] {
			a.Own = event.Words{Headline: name + " and more", Text: name + "\nit is " + name + ", or (" + name + ") - " + name}
			m := message.New(a)
			for _, l := range append(m.Body(message.Form{}, 4000, 8), m.Headline.Fit(message.Form{}, 200)) {
				readAll(t, l)
			}
		}
	})
}

var (
	anyURL     = regexp.MustCompile(`[a-zA-Z]://`)
	mentions   = regexp.MustCompile(`[@＠]|[#＃]`)
	bareDomain = regexp.MustCompile(`[\pL\p{Nd}]\.\pL`)
	codeSpan   = regexp.MustCompile("`[^`]*`")
	escaped    = regexp.MustCompile(`\\.`)
	emoji      = regexp.MustCompile("(?i):[a-z+_-][a-z0-9+_-]*:")
	commonMark = goldmark.New(goldmark.WithExtensions(extension.Strikethrough, extension.Linkify, extension.Table, extension.TaskList))
)

// readAll reads a line in the syntax of each form. None of ours has a link.
func readAll(t *testing.T, l message.Line) {
	for _, name := range Names() {
		if got := Form(name).Line(l); strings.ContainsAny(got, "\r\n\u2028\u2029\x00") || anyURL.MatchString(got) {
			t.Errorf("%s: a line or a URL too many in %q", name, got)
		}
	}
	if got := At.Line(l); mentions.MatchString(got) {
		t.Errorf("at: a mention or a tag in %q", got)
	}
	if got := Post.Line(l); mentions.MatchString(got) || bareDomain.MatchString(got) || strings.ContainsAny(got, "$＄") {
		t.Errorf("post: a mention, a tag or a link in %q", got)
	}
	readMarkdown(t, Markdown.Line(l))
	if got := Markdown.Line(l); strings.ContainsAny(got, "@＠<>") || emoji.MatchString(codeSpan.ReplaceAllString(got, "")) {
		t.Errorf("markdown: a mention or an emoji in %q", got)
	}
	if got := codeSpan.ReplaceAllString(Chat.Line(l), ""); strings.ContainsAny(got, "@＠#＃_~`[]|\\<>$+") || bareDomain.MatchString(got) || emoji.MatchString(got) {
		t.Errorf("chat: a mention, a link or a mark in %q", got)
	}
	readHTML(t, HTML.Line(l))
	for _, r := range GSM.Line(l) {
		if !strings.ContainsRune(gsmBasic+gsmExtended, r) {
			t.Errorf("gsm: %q is not of the alphabet", r)
		}
	}
	readSpeech(t, Speech.Line(l))
	readMarked(t, l)
}

func readMarkdown(t *testing.T, got string) {
	source := []byte(got)
	bold := 0
	ast.Walk(commonMark.Parser().Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Document, *ast.Paragraph, *ast.Text, *ast.String:
		case *ast.Emphasis:
			if bold++; n.Level != 2 {
				t.Errorf("markdown: emphasis in %q", got)
			}
		case *ast.CodeSpan:
			code := string(n.FirstChild().(*ast.Text).Value(source))
			if _, err := netip.ParseAddr(code); err != nil && !strings.HasPrefix(code, "SHA256:") {
				t.Errorf("markdown: code %q in %q", code, got)
			}
		case *east.Strikethrough, *ast.Link, *ast.AutoLink:
			t.Errorf("markdown: %v in %q", n.Kind(), got)
		default:
			t.Errorf("markdown: %v in %q", n.Kind(), got)
		}
		return ast.WalkContinue, nil
	})
	if ours := strings.Count(escaped.ReplaceAllString(got, ""), "**"); bold*2 > ours {
		t.Errorf("markdown: %d bold of %d marks in %q", bold, ours, got)
	}
}

func readHTML(t *testing.T, got string) {
	z := html.NewTokenizer(strings.NewReader(got))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.TextToken:
		case html.StartTagToken, html.EndTagToken:
			if name, attr := z.TagName(); string(name) != "b" || attr {
				t.Errorf("html: an element %s in %q", name, got)
			}
		default:
			t.Errorf("html: %v in %q", z.Token(), got)
		}
	}
}

func readSpeech(t *testing.T, got string) {
	d := xml.NewDecoder(strings.NewReader("<Say>" + got + "</Say>"))
	elements := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("speech: %v in %q", err, got)
			return
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	if elements != 1 {
		t.Errorf("speech: an element in %q", got)
	}
}

func readMarked(t *testing.T, l message.Line) {
	got, marks := Marked([]message.Line{l})
	if got != Entities.Line(l) {
		t.Errorf("entities: %q is not %q", got, Entities.Line(l))
	}
	units := utf16.Encode([]rune(got))
	at := 0
	for _, m := range marks {
		if m.Offset < at || m.Length < 1 || m.Offset+m.Length > len(units) || m.Type != "bold" && m.Type != "code" {
			t.Fatalf("entities: %+v of %q", m, got)
		}
		bare(t, string(utf16.Decode(units[at:m.Offset])))
		at = m.Offset + m.Length
	}
	bare(t, string(utf16.Decode(units[at:])))
}

// bare looks at what Telegram looks for mentions and links in.
func bare(t *testing.T, s string) {
	if mentions.MatchString(s) || bareDomain.MatchString(s) || strings.Contains(s, " /") {
		t.Errorf("entities: bare %q", s)
	}
}
