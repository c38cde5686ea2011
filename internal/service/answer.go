package service

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// maxDepth is how deep the objects and lists of an answer may be nested; real
// ones have five levels or so. Checking a deep one takes about a hundred bytes
// of memory for each of its own.
const maxDepth = 64

// Answer is what came back, and what it means. Its methods return cleaned texts
// without the key.
type Answer struct {
	Status int
	Means  Means         // empty: nothing that the description knows
	Reply  *Reply        // what the description says of it; nil: nothing
	Root   gjson.Result  // the body, as far as it is sound JSON
	Fault  error         // why it is not
	Wait   time.Duration // asked for; 0: none
	// Title, Detail and Type (an address of its documentation) are the service's
	// own words about what is wrong; mostly empty.
	Title, Detail, Type string
	// RedirectHost is where a redirect leads to; empty: it is none, or says not.
	RedirectHost string

	body    string   // without space around it
	secrets []string // must not come back in a text
	blank   []string // texts that stand for nothing
}

// Read returns what an answer means, by what the description says of a request.
func (s *Service) Read(r *Request, resp *outbound.Response, now time.Time) *Answer {
	a := &Answer{
		Status: resp.Status, Wait: min(resp.RetryAfter, MaxWait), secrets: secretsOf(s.Key, s.Description.Key), blank: s.Description.Blank,
		Fault: faultOf(resp), body: string(bytes.TrimSpace(resp.Body)),
	}
	if a.Fault == nil {
		a.Root = gjson.ParseBytes(resp.Body)
	}
	a.RedirectHost = a.Clean(resp.RedirectHost(), maxTitle)
	a.Title = a.firstText(s.Description.Error.Title, maxTitle)
	a.Detail = a.firstText(s.Description.Error.Detail, maxDetail)
	a.Type = a.firstText(s.Description.Error.Type, maxDetail)
	if a.Detail == "" && a.Status == http.StatusUnprocessableEntity {
		a.Detail = a.validation()
	}
	a.Reply = s.replyOf(r, a)
	if a.Reply == nil {
		a.Means = s.Description.meaning(resp.Status)
	} else {
		a.Means = a.Reply.Means
		if a.Wait == 0 {
			a.Wait = cmp.Or(a.waitIn(a.Reply.WaitIn, resp.Header, now), a.Reply.Wait)
		}
	}
	if a.Means == Good {
		if a.Fault = a.unexpected(r); a.Fault != nil {
			a.Means = ""
		}
	}
	return a
}

// faultOf says why a body can't be read as JSON. gjson never says so, and of two
// fields of one name it takes the first where most take the last: what reads
// differently to two readers is not understood.
func faultOf(resp *outbound.Response) error {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.Truncated:
		return fmt.Errorf("more than %d KiB", len(resp.Body)>>10)
	case media != "application/json" && !strings.HasSuffix(media, "+json"):
		return errors.New("no JSON")
	case depthOf(resp.Body) > maxDepth:
		return errors.New("JSON nested too deep")
	case !gjson.ValidBytes(resp.Body):
		return errors.New("broken JSON")
	case hasDoubles(resp.Body):
		return errors.New("JSON with a field that is there twice")
	}
	return nil
}

// meaning is that of a status where the description says nothing else. Only it
// can know what the others mean.
func (d *Description) meaning(status int) Means {
	switch {
	case d.v.Default != nil:
		return d.v.Default(status)
	case status == http.StatusOK:
		return Good
	case status == http.StatusUnauthorized:
		return NoKey
	case status == http.StatusForbidden:
		return Plan
	case status == http.StatusTooManyRequests:
		return Quota
	case status >= 500, status/100 == 3:
		return Down
	}
	return ""
}

// replyOf returns what the description says of an answer; nil if nothing.
func (s *Service) replyOf(r *Request, a *Answer) *Reply {
	for _, list := range [][]Reply{r.Replies, s.Description.Replies} {
		for i := range list {
			if list[i].matches(a) {
				return &list[i]
			}
		}
	}
	return nil
}

func (r *Reply) matches(a *Answer) bool {
	if len(r.Status) > 0 && !slices.Contains(r.Status, a.Status) {
		return false
	}
	text := a.body
	if r.Path != "" {
		f := a.Root.Get(r.Path)
		if !f.Exists() || f.Type == gjson.Null && !r.hasText() {
			return false
		}
		text = f.String()
	}
	return !r.hasText() || slices.ContainsFunc(r.Is, func(s string) bool { return strings.EqualFold(s, text) }) ||
		slices.ContainsFunc(r.Contains, func(s string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(s)) })
}

// hasText reports whether it takes certain texts alone.
func (r *Reply) hasText() bool { return len(r.Is)+len(r.Contains) > 0 }

// unexpected says why an answer is not one of this service; nil if it is.
func (a *Answer) unexpected(r *Request) error {
	missing := errors.New("the fields that belong there are missing")
	switch r.Answer {
	case Any:
		if a.Reply == nil && len(r.Expect) == 0 {
			return errors.New("no answer of this service")
		}
		if len(r.Expect) > 0 && !slices.ContainsFunc(r.Expect, func(p string) bool { return a.Root.Get(p).Exists() }) {
			return cmp.Or(a.Fault, missing)
		}
		return nil
	case List:
		if a.Fault != nil || !a.Root.IsArray() && a.Root.Raw != "null" {
			return cmp.Or(a.Fault, errors.New("no answer of this service"))
		}
		for _, path := range r.Expect {
			for _, one := range a.Root.Array() {
				if !one.IsObject() || !one.Get(strings.TrimPrefix(path, "#.")).Exists() {
					return missing
				}
			}
		}
		return nil
	}
	if a.Fault != nil || !a.Root.IsObject() {
		return cmp.Or(a.Fault, errors.New("no answer of this service"))
	}
	if !slices.ContainsFunc(r.Expect, func(p string) bool { return a.Root.Get(p).Exists() }) {
		return missing
	}
	return nil
}

// waitIn reads how long the service wants to be left alone.
func (a *Answer) waitIn(w WaitIn, h http.Header, now time.Time) time.Duration {
	var text string
	switch {
	case w.Unit == utcDay:
		const day = 24 * time.Hour
		return now.Truncate(day).Add(day).Sub(now)
	case w.Header != "":
		text = h.Get(w.Header)
	case w.Path != "":
		text = a.Root.Get(w.Path).String()
	}
	text = strings.TrimSpace(text)
	if w.Unit == "date" {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			if t, err = http.ParseTime(text); err != nil {
				return 0
			}
		}
		return max(0, min(t.Sub(now), MaxWait))
	}
	n, err := json.Number(text).Float64()
	if err != nil || math.IsNaN(n) || n <= 0 {
		return 0
	}
	switch w.Unit {
	case "milliseconds":
		n /= 1000
	case "epoch":
		n -= float64(now.UnixMilli()) / 1000
	case "epoch_milliseconds":
		n = (n - float64(now.UnixMilli())) / 1000
	}
	n = max(0, min(n, MaxWait.Seconds()))
	return time.Duration(n * float64(time.Second))
}

// Captured returns the values for later requests.
func (a *Answer) Captured(r *Request) map[string]string {
	var out map[string]string
	for name, c := range r.Capture {
		// A key that comes back must not become part of a file's name.
		if v := c.read(a.Get(c.Path)); v != "" && a.Clean(v, len(v)) == v {
			if out == nil {
				out = make(map[string]string)
			}
			out[name] = v
		}
	}
	return out
}

// Get returns what a path leads to; nothing for a null, and for a text that
// stands for nothing.
func (a *Answer) Get(path string) gjson.Result {
	if path == "" {
		return gjson.Result{}
	}
	f := a.Root.Get(path)
	if f.Type == gjson.Null || f.Type == gjson.String && slices.ContainsFunc(a.blank, func(s string) bool { return strings.EqualFold(s, strings.TrimSpace(f.String())) }) {
		return gjson.Result{}
	}
	return f
}

// Clean makes a text of at most so many characters that is fit to be shown. A
// server may well send back what it was sent, the key included.
func (a *Answer) Clean(s string, most int) string {
	for _, secret := range a.secrets {
		s = strings.ReplaceAll(s, secret, "[redacted]")
	}
	return event.Clean(strings.TrimSpace(s), most)
}

func (a *Answer) firstText(paths []string, most int) string {
	for _, p := range paths {
		if f := a.Root.Get(p); f.Type == gjson.String && f.String() != "" {
			return a.Clean(f.String(), most)
		}
	}
	return ""
}

// validation reads the body by which FastAPI, which many services are made
// with, refuses a request: {"detail":[{"loc":["path","ip_address"],"msg":"…"}]}.
func (a *Answer) validation() string {
	list := a.Root.Get("detail")
	if !list.IsArray() {
		return ""
	}
	var all []string
	list.ForEach(func(_, one gjson.Result) bool {
		var where []string
		one.Get("loc").ForEach(func(_, l gjson.Result) bool {
			where = append(where, l.String())
			return len(where) < 5
		})
		all = append(all, strings.Join(where, ".")+": "+one.Get("msg").String())
		return len(all) < 3
	})
	return a.Clean(strings.Join(all, ", "), maxDetail)
}

// secretsOf lists the forms in which a service can send the key back, the longest
// first.
func secretsOf(key outbound.Secret, kind Key) []string {
	k := key.Reveal()
	if k == "" {
		return nil
	}
	out := []string{k, url.PathEscape(k), url.QueryEscape(k)}
	if _, rest, ok := strings.Cut(k, "://"); kind == KeyURL && ok {
		_, rest, _ = strings.Cut(rest, "/")
		for _, word := range strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("/?&=", r) }) {
			if len(word) >= minSecret {
				out = append(out, word)
			}
		}
	}
	slices.SortFunc(out, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return slices.Compact(out)
}

// minSecret spares the words of a URL such as "hooks".
const minSecret = 8

func depthOf(b []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// hasDoubles reports whether an object of valid JSON has a field twice.
func hasDoubles(b []byte) bool {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	type level struct {
		seen  map[string]bool // nil: a list
		isKey bool            // the next text is a field's name
	}
	var stack []level
	for {
		token, err := d.Token()
		if err != nil {
			return false // the end
		}
		top := len(stack) - 1
		if s, ok := token.(string); ok && top >= 0 && stack[top].isKey {
			if stack[top].seen[s] {
				return true
			}
			stack[top].seen[s], stack[top].isKey = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, level{seen: make(map[string]bool), isKey: true})
			continue
		case json.Delim('['):
			stack = append(stack, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
			top--
		}
		if top >= 0 && stack[top].seen != nil {
			stack[top].isKey = true
		}
	}
}
