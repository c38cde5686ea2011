package channel

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel/form"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

// What a mail holds at most, in characters. A subject is cut by phones at some
// 40 and by desktops at 80; a body is folded by nobody below 100 KB.
const (
	mailSubject = 120
	mailTitle   = 300
	mailBody    = 4000
	mailDigest  = 40000
	mailLines   = 16
	mailFooter  = 400
)

// letter is a mail that is ready to go.
type letter []byte

// Keys of a mail's receipt, by which a later one becomes part of its thread.
const (
	mailReceiptID       = "message_id"
	mailReceiptFirst    = "thread"   // the Message-ID that the thread began with
	mailReceiptSubject  = "subject"  // of the thread
	mailReceiptSeverity = "severity" // the worst that the subject tells
)

// thread is where a mail belongs. Mail programs show as one thread what refers
// to each other (RFC 5322, 3.6.4) under one subject. What is worse than its
// thread has a subject of its own: nobody would see it under the old one.
type thread struct {
	id       string
	first    string   // "": this one
	answered []string // In-Reply-To, References
	subject  string
	severity string
}

func newThread(a event.Alert) thread {
	t := thread{id: mailID(a), subject: mailSubjectOf(message.New(a)), severity: a.Verdict.Severity.String()}
	parent := a.Parent
	if parent == nil {
		parent = a.Replaces
	}
	id := parent[mailReceiptID]
	if id == "" || id == t.id {
		return t
	}
	t.first = cmp.Or(parent[mailReceiptFirst], id)
	t.answered = []string{id}
	if t.first != id {
		t.answered = []string{t.first, id}
	}
	var was event.Severity
	if was.UnmarshalText([]byte(parent[mailReceiptSeverity])) == nil && a.Verdict.Severity <= was && parent[mailReceiptSubject] != "" {
		t.subject, t.severity = parent[mailReceiptSubject], parent[mailReceiptSeverity]
	}
	return t
}

func (t thread) receipt() event.Receipt {
	return event.Receipt{mailReceiptID: t.id, mailReceiptFirst: cmp.Or(t.first, t.id), mailReceiptSubject: t.subject, mailReceiptSeverity: t.severity}
}

// mailID returns the Message-ID of an alert, the same in every try, so that
// mailboxes know a second copy by it.
func mailID(a event.Alert) string {
	keep := func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '.') {
			return r
		}
		return -1
	}
	id, host := strings.Map(keep, a.ID), strings.Trim(strings.Map(keep, a.Event.Host), ".-")
	if len(host) > 100 {
		host = strings.Trim(host[:100], ".-")
	}
	if host = strings.ReplaceAll(host, "..", "."); host != "" {
		host = "." + host
	}
	return id + "@sshnotify" + host
}

// mailSubjectOf returns the headline. What looks like an encoded word (RFC 2047)
// is broken: a mail program would decode it into what was kept out of the line.
func mailSubjectOf(m message.Message) string {
	line := form.Plain.Line(m.Headline.Fit(form.Plain.Count(), mailSubject))
	return strings.ReplaceAll(line, "=?", "=？")
}

// compose makes the mail to one recipient, of ASCII and short lines (RFC 5322,
// RFC 2045).
func compose(a event.Alert, t thread, from, to Address, now time.Time) (letter, error) {
	m := message.New(a)
	if len(a.Page) > 0 {
		m = m.Attached()
	}
	var b bytes.Buffer
	parts := multipart.NewWriter(&b)
	headers(&b, from, to, t.id, t.subject, now)
	if n := len(t.answered); n > 0 {
		header(&b, "In-Reply-To", "<"+t.answered[n-1]+">")
		header(&b, "References", "<"+strings.Join(t.answered, "> <")+">")
	}
	// For filters.
	header(&b, "X-Sshnotify-Severity", a.Verdict.Severity.String())
	if a.Verdict.Severity >= event.High {
		header(&b, "Importance", "high")
		header(&b, "X-Priority", "1")
	}
	var all *multipart.Writer // of the letter and what is attached
	if len(a.Page) > 0 {
		all = multipart.NewWriter(&b)
		if err := parts.SetBoundary(parts.Boundary()[:shortBoundary]); err != nil {
			return nil, err
		}
		header(&b, "Content-Type", "multipart/mixed; boundary="+all.Boundary())
		b.WriteString("\r\n")
		if _, err := all.CreatePart(textproto.MIMEHeader{"Content-Type": {"multipart/alternative; boundary=" + parts.Boundary()}}); err != nil {
			return nil, err
		}
	} else {
		header(&b, "Content-Type", "multipart/alternative; boundary="+parts.Boundary())
		b.WriteString("\r\n")
	}
	for _, part := range []struct{ kind, text string }{{"text/plain", mailText(m, t.subject)}, {"text/html", mailHTML(m, t.subject)}} {
		p, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {part.kind + "; charset=UTF-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			return nil, err
		}
		if err := quote(p, part.text); err != nil {
			return nil, err
		}
	}
	err := parts.Close()
	if err == nil && all != nil {
		err = attach(all, "sshnotify-report-"+a.Last.In(zoneOf(a)).Format(time.DateOnly)+".html", a.Page)
	}
	return b.Bytes(), err
}

// attach adds a page to a mail, and ends it.
func attach(all *multipart.Writer, name string, page []byte) error {
	p, err := all.CreatePart(textproto.MIMEHeader{
		"Content-Type":              {"text/html; charset=UTF-8"},
		"Content-Disposition":       {"attachment; filename=\"" + name + "\""},
		"Content-Transfer-Encoding": {"base64"},
	})
	if err != nil {
		return err
	}
	text := base64.StdEncoding.EncodeToString(page)
	for len(text) > 0 {
		n := min(len(text), base64Line)
		if _, err := io.WriteString(p, text[:n]+"\r\n"); err != nil {
			return err
		}
		text = text[n:]
	}
	return all.Close()
}

// shortBoundary is how much of a random one has room in one line of mailLine.
const shortBoundary = 26

// base64Line is how long a line of base64 may be (RFC 2045, 6.8).
const base64Line = 76

func zoneOf(a event.Alert) *time.Location {
	if a.Zone == nil {
		return time.UTC
	}
	return a.Zone
}

// composeText makes a mail of one plain text, which belongs to no alert.
func composeText(from, to Address, subject, text string, now time.Time) (letter, error) {
	var b bytes.Buffer
	headers(&b, from, to, event.NewID()+"@sshnotify", subject, now)
	header(&b, "Content-Type", "text/plain; charset=UTF-8")
	header(&b, "Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	err := quote(&b, strings.ReplaceAll(text, "\n", "\r\n")+"\r\n")
	return b.Bytes(), err
}

// headers writes those that every mail has.
func headers(b *bytes.Buffer, from, to Address, id, subject string, now time.Time) {
	header(b, "From", from.String())
	header(b, "To", to.String())
	header(b, "Date", now.Format(time.RFC1123Z))
	header(b, "Message-ID", "<"+id+">")
	header(b, "Subject", mime.QEncoding.Encode("utf-8", subject))
	// RFC 3834, and what Exchange has in its place: no answers from absence notes.
	header(b, "Auto-Submitted", "auto-generated")
	header(b, "X-Auto-Response-Suppress", "All")
	header(b, "MIME-Version", "1.0")
}

// quote writes a text as quoted-printable (RFC 2045, 6.7).
func quote(w io.Writer, text string) error {
	q := quotedprintable.NewWriter(w)
	if _, err := q.Write([]byte(text)); err != nil {
		return err
	}
	return q.Close()
}

// mailLine is how long a line should be at most (RFC 5322, 2.1.1).
const mailLine = 78

// header writes a header, folded at its spaces.
func header(b *bytes.Buffer, name, value string) {
	line := name + ":"
	for _, word := range strings.Fields(value) {
		if len(line)+len(" ")+len(word) > mailLine {
			b.WriteString(line + "\r\n")
			line = ""
		}
		line += " " + word
	}
	b.WriteString(line + "\r\n")
}

// mailParts are what stands in a mail below its subject, in one form.
type mailParts struct {
	headline string // only where the subject is another
	title    string
	lines    []string
	footer   string
}

func partsOf(m message.Message, f form.Form, subject string) mailParts {
	p := mailParts{title: f.Line(m.Title.Fit(f.Count(), mailTitle)), footer: f.Line(m.Footer.Fit(f.Count(), mailFooter))}
	if subject != mailSubjectOf(m) {
		p.headline = f.Line(m.Headline.Fit(f.Count(), mailSubject).Words())
	}
	for _, l := range m.Body(f.Count(), m.BodySize(mailBody, mailDigest), mailLines) {
		p.lines = append(p.lines, f.Line(l.Words()))
	}
	return p
}

func mailText(m message.Message, subject string) string {
	p := partsOf(m, form.Plain, subject)
	var b strings.Builder
	for _, block := range []string{p.headline, p.title, strings.Join(p.lines, "\n"), p.footer} {
		if block != "" {
			b.WriteString(block + "\n\n")
		}
	}
	return strings.ReplaceAll(strings.TrimRight(b.String(), "\n")+"\n", "\n", "\r\n")
}

// mailHTML is made to be read as it is: nothing is fetched, and where the style
// is taken away the text is in order. The colours are those of light and of dark
// programs; the bar has the verdict's, which the words say, too.
func mailHTML(m message.Message, subject string) string {
	p := partsOf(m, form.HTML, subject)
	var b strings.Builder
	fmt.Fprintf(&b, mailHead, html.EscapeString(subject), message.Colour(m.Verdict))
	if p.headline != "" {
		fmt.Fprintf(&b, "<h1>%s</h1>\n", p.headline)
	}
	fmt.Fprintf(&b, "<h2>%s</h2>\n", p.title)
	for _, l := range p.lines {
		fmt.Fprintf(&b, "<p>%s</p>\n", l)
	}
	fmt.Fprintf(&b, "<p class=\"ref\">%s</p>\n</div>\n</body>\n</html>\n", p.footer)
	return strings.ReplaceAll(b.String(), "\n", "\r\n")
}

const mailHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>%s</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; padding: 16px; background: #ffffff; color: #1d1d1f; font: 16px/1.45 -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
div { max-width: 42em; padding-left: 14px; border-left: 5px solid; overflow-wrap: anywhere; }
h1 { margin: 0 0 8px; font-size: 19px; line-height: 1.3; }
h2 { margin: 0 0 12px; font-size: 17px; line-height: 1.35; }
p { margin: 0 0 6px; }
a { color: #0b57d0; }
.ref { margin: 12px 0 0; color: #5f6368; font-size: 14px; }
@media (prefers-color-scheme: dark) {
body { background: #1b1b1d; color: #e8eaed; }
a { color: #8ab4f8; }
.ref { color: #9aa0a6; }
}
</style>
</head>
<body>
<div style="border-left-color: %s">
`
