package standin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
)

// ReadableMail is a mail as a mail program reads it.
type ReadableMail struct {
	Header     mail.Header // as it was sent: encoded
	Subject    string
	Text, HTML string

	Attached     string // a page; empty: there is none
	AttachedName string
}

// ReadMail reads a mail of two parts, the text and the same in HTML, with a page
// attached or without. Any other is an error.
func ReadMail(data string) (ReadableMail, error) {
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		return ReadableMail{}, err
	}
	r := ReadableMail{Header: m.Header}
	for name, values := range m.Header {
		if len(values) > 1 {
			return r, fmt.Errorf("%d headers %s", len(values), name)
		}
	}
	if r.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return r, err
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return r, err
	}
	if kind != "multipart/mixed" {
		return r, r.read(kind, params, m.Body)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	letter, err := parts.NextRawPart()
	if err == nil {
		kind, params, err = mime.ParseMediaType(letter.Header.Get("Content-Type"))
	}
	if err == nil {
		err = r.read(kind, params, letter)
	}
	if err != nil {
		return r, err
	}
	page, err := parts.NextRawPart()
	if err != nil {
		return r, err
	}
	how, params, err := mime.ParseMediaType(page.Header.Get("Content-Disposition"))
	if err != nil || how != "attachment" || page.Header.Get("Content-Type") != "text/html; charset=UTF-8" || page.Header.Get("Content-Transfer-Encoding") != "base64" {
		return r, fmt.Errorf("what is attached is %v", page.Header)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, page))
	if err != nil {
		return r, err
	}
	if r.Attached, r.AttachedName = string(b), params["filename"]; r.Attached == "" {
		return r, errors.New("nothing is attached")
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		return r, errors.New("more than one page is attached")
	}
	return r, nil
}

// read takes the text and the same in HTML.
func (r *ReadableMail) read(kind string, params map[string]string, body io.Reader) error {
	if kind != "multipart/alternative" {
		return fmt.Errorf("it is %s", kind)
	}
	parts := multipart.NewReader(body, params["boundary"])
	for _, part := range []struct {
		kind string
		text *string
	}{{"text/plain; charset=UTF-8", &r.Text}, {"text/html; charset=UTF-8", &r.HTML}} {
		p, err := parts.NextRawPart()
		if err != nil {
			return err
		}
		if got := p.Header.Get("Content-Type"); got != part.kind || p.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			return fmt.Errorf("a part is %s, not %s", got, part.kind)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			return err
		}
		*part.text = string(b)
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		return errors.New("more than two parts")
	}
	return nil
}

// Show returns the headers that tests look at, and the text.
func (r ReadableMail) Show() string {
	var b strings.Builder
	var names []string
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch name {
		case "Content-Type", "Date", "Mime-Version", "Subject":
		default:
			fmt.Fprintf(&b, "%s: %s\n", name, r.Header.Get(name))
		}
	}
	fmt.Fprintf(&b, "Subject: %s\n\n%s", r.Subject, strings.ReplaceAll(r.Text, "\r\n", "\n"))
	return b.String()
}
