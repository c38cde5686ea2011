package enrich

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// How much of each text is kept, in characters.
const (
	maxWord        = 20
	maxReason      = 200
	maxName        = 80
	maxDescription = 120
	maxPlace       = 80
	maxTitle       = 100
	maxDetail      = 200
)

// maxDepth is how deep the objects and lists of an answer may be nested; real
// ones have five levels or so. Checking a deep one takes about a hundred bytes
// of memory for each of its own.
const maxDepth = 64

// answer is what came back; root is there as far as it is sound JSON.
type answer struct {
	status     int
	root       gjson.Result
	retryAfter time.Duration
	reply      *replyForm // what the service's file says of it; nil: nothing
	secrets    []string   // must not come back in a text
	blank      []string   // texts that stand for nothing
}

// secretsOf lists the forms in which a service can send the key back.
func secretsOf(key outbound.Secret) []string {
	k := key.Reveal()
	if k == "" {
		return nil
	}
	out := []string{k, url.PathEscape(k), url.QueryEscape(k)}
	slices.Sort(out)
	return slices.Compact(out)
}

// faultOf says why an answer can't be read; empty if it can. gjson never says
// so, and of two fields of one name it takes the first where most take the last:
// what reads differently to two readers is not understood.
func faultOf(b []byte) string {
	if depthOf(b) > maxDepth {
		return "JSON nested too deep"
	}
	if !gjson.ValidBytes(b) {
		return "broken JSON"
	}
	if hasDoubles(b) {
		return "JSON with a field that is there twice"
	}
	return ""
}

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

// hasForm reports whether the answer is of the sort that the file names.
func (a answer) hasForm(form string) bool {
	if form == answerList {
		return a.root.IsArray() || a.root.Raw == "null"
	}
	return a.root.IsObject()
}

// readError reads what the service says went wrong into e.
func (a answer) readError(form errorForm, e *ProviderError) {
	e.Title = a.firstText(form.Title, maxTitle)
	e.Detail = a.firstText(form.Detail, maxDetail)
	e.Type = a.firstText(form.Type, maxDetail)
	if e.Detail == "" && e.Status == http.StatusUnprocessableEntity {
		e.Detail = a.validation()
	}
}

func (a answer) firstText(paths []string, max int) string {
	for _, p := range paths {
		if f := a.root.Get(p); f.Type == gjson.String && f.String() != "" {
			return a.clean(f.String(), max)
		}
	}
	return ""
}

// validation reads the body by which FastAPI, which many services are made
// with, refuses a request: {"detail":[{"loc":["path","ip_address"],"msg":"…"}]}.
func (a answer) validation() string {
	list := a.root.Get("detail")
	if !list.IsArray() {
		return ""
	}
	var said []string
	list.ForEach(func(_, one gjson.Result) bool {
		var where []string
		one.Get("loc").ForEach(func(_, l gjson.Result) bool {
			where = append(where, l.String())
			return len(where) < 5
		})
		said = append(said, strings.Join(where, ".")+": "+one.Get("msg").String())
		return len(said) < 3
	})
	return a.clean(strings.Join(said, ", "), maxDetail)
}

// get gives what a path leads to; nothing for a null, and for a text that
// stands for nothing.
func (a answer) get(path string) gjson.Result {
	if path == "" {
		return gjson.Result{}
	}
	f := a.root.Get(path)
	if f.Type == gjson.Null || f.Type == gjson.String && slices.ContainsFunc(a.blank, func(s string) bool { return strings.EqualFold(s, strings.TrimSpace(f.String())) }) {
		return gjson.Result{}
	}
	return f
}

// clean makes a text fit to be shown. A server may well send back what it was
// sent, the key included.
func (a answer) clean(s string, max int) string {
	for _, secret := range a.secrets {
		s = strings.ReplaceAll(s, secret, "[redacted]")
	}
	return event.Clean(strings.TrimSpace(s), max)
}
