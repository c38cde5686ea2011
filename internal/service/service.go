// Package service owns HTTP services that are described as data: what is asked
// of them, with which values in which places, and what an answer means. Look-ups
// and channels build on it; each adds to the description what it takes from an
// answer.
//
// It must never look at a value again once it stands in a request, never send one
// to another host than the service's, and never show a secret. It reaches the
// network through package outbound alone.
package service

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/placeholder"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Limits of a description.
const (
	MaxFile    = 64 << 10       // bytes; the longest that sshnotify comes with has 6 KiB
	MaxWait    = 24 * time.Hour // that an answer can ask for
	maxAnswer  = 64 << 10       // bytes of an answer, where the file says nothing else
	maxTerms   = 400            // characters
	maxDetail  = 200
	maxTitle   = 100
	maxHint    = 200
	maxProblem = 40
)

// Names returns the names of the descriptions in a program's folder services, sorted.
func Names(shipped embed.FS) []string {
	files, _ := fs.Glob(shipped, "services/*.toml") // errs only on the pattern
	for i, f := range files {
		files[i] = strings.TrimSuffix(path.Base(f), ".toml")
	}
	slices.Sort(files) // "ipinfo" comes before "ipinfo-core", and their files the other way round
	return files
}

// Key says whether a service takes an API key.
type Key string

// The uses of a key. A file that says nothing means KeyRequired.
const (
	KeyRequired Key = "required"
	KeyOptional Key = "optional"
	KeyNone     Key = "none"
	KeyURL      Key = "url" // its URL is the key: whoever has it may ask
)

// Means is what an answer means.
type Means string

// What an answer can mean to everybody. A user of the package may add its own.
const (
	Good    Means = "answer"  // what was asked for
	Refused Means = "refused" // this request is not one that it takes
	NoKey   Means = "key"     // the key is wrong
	Plan    Means = "plan"    // the key's plan does not include it
	Quota   Means = "quota"   // too many requests
	Down    Means = "down"    // it does not work
)

// Description is what the file of every service says. It is part of a struct
// that says the rest; that struct's Validate calls Check.
type Description struct {
	Version   int               `toml:"form"`
	Title     string            `toml:"title"`
	Home      string            `toml:"home" check:"line=200"`
	Terms     string            `toml:"terms"`
	URL       string            `toml:"url"` // without "/" at its end
	URLHint   string            `toml:"url_hint" check:"line=200"`
	Key       Key               `toml:"key"`
	MaxAnswer int               `toml:"max_answer" check:"min=1024,max=1048576"`
	Blank     []string          `toml:"blank"` // texts that stand for nothing
	Headers   map[string]string `toml:"headers"`
	Basic     string            `toml:"basic"` // NAME:PASSWORD, of RFC 7617
	Error     ErrorPaths        `toml:"error"`
	Replies   []Reply           `toml:"reply"`

	v Vocabulary
}

// NewDescription returns one with its defaults, for decoding into.
func NewDescription() Description {
	return Description{Key: KeyRequired, MaxAnswer: maxAnswer}
}

// ErrorPaths name where a service says what is wrong; the first path that holds
// a text counts.
type ErrorPaths struct {
	Title  []string `toml:"title"`
	Detail []string `toml:"detail"`
	Type   []string `toml:"type"`
}

// Reply says how an answer is understood that is not simply good. All that it
// names must be so.
type Reply struct {
	Status   []int         `toml:"status" check:"min=200,max=599"`
	Path     string        `toml:"path"` // leads to something
	Is       []string      `toml:"is"`   // that is one of these; without a path, the body is
	Contains []string      `toml:"contains"`
	Means    Means         `toml:"means"`
	Score    int           `toml:"score" check:"min=0,max=100"`
	Reason   string        `toml:"reason"`
	Problem  string        `toml:"problem" check:"line=40"`
	Hint     string        `toml:"hint" check:"line=200"`
	Wait     time.Duration `toml:"wait" check:"max=1d"`
	WaitIn   WaitIn        `toml:"wait_in"`
}

// WaitIn names where an answer says how long to wait, beside Retry-After, which
// is always heeded. By the unit "utc_day" it is until the next day of UTC begins,
// whatever the answer says.
type WaitIn struct {
	Header string `toml:"header"`
	Path   string `toml:"path"`
	Unit   string `toml:"unit" check:"oneof=seconds milliseconds epoch epoch_milliseconds date utc_day"`
}

const utcDay = "utc_day"

// What the body of an answer is.
const (
	Object = "object" // of JSON; the default
	List   = "list"   // of JSON objects, or null
	Any    = "any"    // whatever it is: the status counts, and texts in it
)

// Request is one request, with placeholders in braces.
type Request struct {
	Name    string             `toml:"name"`
	Method  string             `toml:"method" check:"oneof=GET POST PUT PATCH DELETE"` // empty: GET
	Path    string             `toml:"path"`
	Query   map[string]string  `toml:"query"`
	Headers map[string]string  `toml:"headers"`
	JSON    *Body              `toml:"json"` // one of the three, or none
	Form    map[string]string  `toml:"form"`
	Text    string             `toml:"text"`
	Answer  string             `toml:"answer" check:"oneof=object list any"`
	Expect  []string           `toml:"expect"` // paths that show whose answer it is
	Capture map[string]Capture `toml:"capture"`
	Replies []Reply            `toml:"reply"` // before the description's

	names []string // of its placeholders
}

// Names returns the names of the request's placeholders, sorted.
func (r *Request) Names() []string { return r.names }

// Vocabulary is what the user of a description allows in it.
type Vocabulary struct {
	Values []string // names of placeholders, beside {key} and what is captured
	Header []string // those of them that may stand in a header
	URLKey bool     // the URL may be the key
	JSON   []string // those whose value is JSON: a number, or a list
	Means  []Means  // nil: what an answer can mean to everybody
	// Default is what a status means where the description says nothing else; nil:
	// to everybody.
	Default func(status int) Means
	// Trusted are meanings that only the service itself can give: a 404 of
	// anybody's would pass for them, so that a path must show whose answer it is.
	Trusted []Means
	Waits   []Means // those that may come with a time to wait, beside Quota and Down
	Limit   int     // of requests
}

// Everybody returns what an answer can mean to everybody.
func Everybody() []Means { return []Means{Good, Refused, NoKey, Plan, Quota, Down} }

// Check notes what is wrong with the description and its requests, which stand at
// the key "request", and readies them for use.
func (d *Description) Check(at strictoml.At, v Vocabulary, requests []*Request) {
	if v.Means == nil {
		v.Means = Everybody()
	}
	d.v = v
	c := checker{at: at, v: v, d: d, whole: at.OK()}
	keys := []string{string(KeyRequired), string(KeyOptional), string(KeyNone)}
	if v.URLKey {
		keys = append(keys, string(KeyURL))
	}
	if !slices.Contains(keys, string(d.Key)) {
		at.Fail("key", "must be %s, not %q", strictoml.OneOf(keys), d.Key)
		c.whole = false
	}
	if d.Version != 1 {
		at.Fail("form", "form = 1 says which form this file has")
	}
	if d.Title == "" {
		c.missing("title", "the service's name is missing")
	}
	c.line("title", d.Title, maxProblem)
	c.line("terms", strings.TrimSpace(d.Terms), maxTerms)
	if d.URL != "" {
		if err := outbound.CheckURL(d.URL); err != nil {
			at.Err("url", err)
		} else if strings.ContainsAny(d.URL, "?#{}") {
			at.Fail("url", "it ends before any ? or #, and holds no { }")
		}
	}
	used := d.Key == KeyURL
	for _, n := range append(c.headers("headers", d.Headers), c.basic()...) {
		used = used || n == keyName
	}
	if d.Key == KeyURL && d.URL != "" {
		at.Fail("url", `with key = "url" the settings say where it is`)
	}
	c.paths("error.title", d.Error.Title)
	c.paths("error.detail", d.Error.Detail)
	c.paths("error.type", d.Error.Type)
	c.replies("reply", d.Replies, false)
	if len(requests) == 0 || len(requests) > v.Limit {
		at.Fail("request", "%d requests, there must be 1 to %d", len(requests), v.Limit)
		return
	}
	names, captured := map[string]bool{}, slices.Clone(v.Values)
	for i, r := range requests {
		key := fmt.Sprintf("request.%d", i)
		if !strictoml.IsName(r.Name) {
			c.missing(key+".name", "a name of letters, digits, - and _ is missing")
		}
		if names[r.Name] {
			at.Fail(key+".name", "there is another request of this name")
		}
		names[r.Name] = true
		c.request(key, r)
		for _, n := range r.names {
			if n == keyName {
				used = true
			} else if !slices.Contains(captured, n) {
				at.Fail(key, "{%s} is captured by no request before this one", n)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(r.Capture)) {
			if slices.Contains(captured, name) {
				at.Fail(key+".capture."+name, "captured twice")
			}
			captured = append(captured, name)
		}
	}
	if c.whole && used != (d.Key != KeyNone) {
		at.Fail("key", "key is %q, and {key} stands in %s", d.Key, map[bool]string{true: "a request", false: "no request"}[used])
	}
}

// keyName is the placeholder of the API key.
const keyName = "key"

// checker finds what is wrong with a description that has no unknown keys.
type checker struct {
	at    strictoml.At
	v     Vocabulary
	d     *Description
	whole bool // no key is unknown or of the wrong type, so that what is missing is missing
}

// missing notes what is not there, unless it may be what was misspelt.
func (c *checker) missing(key, what string) {
	if c.whole {
		c.at.Fail(key, "%s", what)
	}
}

func (c *checker) line(key, s string, most int) {
	if event.Clean(s, most) != s {
		c.at.Fail(key, "must be one line of at most %d visible characters", most)
	}
}

func (c *checker) paths(key string, paths []string) {
	for i, p := range paths {
		CheckPath(c.at, fmt.Sprintf("%s.%d", key, i), p)
	}
}

func (c *checker) replies(key string, list []Reply, any bool) {
	trusted := append([]Means{Good, Refused}, c.v.Trusted...)
	for i := range list {
		r, key := &list[i], fmt.Sprintf("%s.%d", key, i)
		if r.Path != "" {
			CheckPath(c.at, key+".path", r.Path)
		} else if r.hasText() && !any {
			c.at.Fail(key, "is and contains need a path, or a request with answer = \"any\"")
		}
		if slices.Contains(r.Contains, "") {
			c.at.Fail(key+".contains", "every text contains an empty one")
		}
		known := c.v.Means
		switch {
		case r.Means == "":
			c.missing(key+".means", "what it means is missing")
		case !slices.Contains(known, r.Means):
			var words []string
			for _, m := range known {
				words = append(words, string(m))
			}
			c.at.Fail(key+".means", "must be %s", strictoml.OneOf(words))
		case r.Path == "" && len(r.Status) == 0 && !r.hasText():
			c.at.Fail(key, "neither a status nor a path: every answer would be one")
		case r.Path == "" && slices.Contains(trusted, r.Means) && !any:
			c.at.Fail(key, "only a path shows that it is the service that says so")
		}
		if slices.ContainsFunc(r.Status, func(n int) bool { return n >= 300 && n < 400 }) && r.Means != Down {
			c.at.Fail(key+".means", "a redirect means down")
		}
		c.line(key+".reason", r.Reason, maxDetail)
		if waits := append([]Means{Quota, Down}, c.v.Waits...); (r.Wait > 0 || r.WaitIn != WaitIn{}) && !slices.Contains(waits, r.Means) {
			c.at.Fail(key, `wait and wait_in do not belong to means = %q`, r.Means)
		}
		if r.WaitIn != (WaitIn{}) {
			if (r.WaitIn.Header == "") == (r.WaitIn.Path == "") && r.WaitIn != (WaitIn{Unit: utcDay}) {
				c.at.Fail(key+".wait_in", "one of header and path says where the wait stands")
			}
			if r.WaitIn.Unit == "" {
				c.at.Fail(key+".wait_in", "unit is missing: seconds, milliseconds, epoch, epoch_milliseconds, date or utc_day")
			}
			if r.WaitIn.Path != "" {
				CheckPath(c.at, key+".wait_in.path", r.WaitIn.Path)
			}
		}
	}
}

func (c *checker) request(key string, r *Request) {
	names := map[string]bool{}
	add := func(k, template string) {
		found, err := placeholder.Names(template)
		if err != nil {
			c.at.Fail(k, "%v", err)
		}
		for _, n := range found {
			names[n] = true
		}
	}
	if c.d.Key == KeyURL && r.Path == "" {
		// The URL as it is.
	} else if !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "?# \\") || event.Clean(r.Path, maxDetail) != r.Path {
		c.at.Fail(key+".path", "a path begins with / and ends before any ? or #")
	}
	add(key+".path", r.Path)
	if names[keyName] && c.d.Key != KeyRequired {
		c.at.Fail(key+".path", "with {key} in a path, key must be %q", KeyRequired)
	}
	for k, v := range r.Query {
		add(key+".query."+k, v)
	}
	for _, n := range c.headers(key+".headers", r.Headers) {
		names[n] = true
	}
	bodies := 0
	if r.JSON != nil {
		bodies++
		found, err := r.JSON.Names()
		if err != nil {
			c.at.Fail(key+".json", "%v", err)
		}
		for _, n := range found {
			names[n] = true
		}
	}
	if len(r.Form) > 0 {
		bodies++
		for k, v := range r.Form {
			add(key+".form."+k, v)
		}
	}
	if r.Text != "" {
		bodies++
		add(key+".text", r.Text)
	}
	if bodies > 1 {
		c.at.Fail(key, "json, form and text are mutually exclusive")
	}
	if bodies > 0 && (r.Method == "" || r.Method == "GET") {
		c.at.Fail(key, "a GET has no body")
	}
	if len(r.Expect) == 0 && r.Answer != Any {
		c.missing(key+".expect", "which fields show that it is this service's answer?")
	}
	c.paths(key+".expect", r.Expect)
	for name, capture := range r.Capture {
		key := key + ".capture." + name
		if !strictoml.IsName(name) || name == keyName || slices.Contains(c.v.Values, name) {
			c.at.Fail(key, "no name for a captured value")
		}
		CheckPath(c.at, key+".path", capture.Path)
	}
	c.replies(key+".reply", r.Replies, r.Answer == Any)
	r.names = slices.Sorted(maps.Keys(names))
}

// headers checks a table of them and returns the names of its placeholders.
func (c *checker) headers(key string, h map[string]string) (names []string) {
	for k, v := range h {
		key := key + "." + k
		if !isHeaderName(k) {
			c.at.Fail(key, "no name for a header")
		}
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			c.at.Fail(key, "a character that no header has")
		}
		found, err := placeholder.Names(v)
		if err != nil {
			c.at.Fail(key, "%v", err)
		}
		for _, n := range found {
			if n != keyName && !slices.Contains(c.v.Header, n) {
				c.at.Fail(key, "{%s} may not stand in a header", n)
			}
		}
		names = append(names, found...)
	}
	return names
}

// basic returns the names of the placeholders of the name and the password.
func (c *checker) basic() []string {
	found, err := placeholder.Names(c.d.Basic)
	switch {
	case err != nil:
		c.at.Fail("basic", "%v", err)
	case c.d.Basic != "" && !strings.Contains(c.d.Basic, ":"):
		c.at.Fail("basic", "must be NAME:PASSWORD")
	}
	for _, n := range found {
		if n != keyName && !slices.Contains(c.v.Values, n) {
			c.at.Fail("basic", "{%s} has no value", n)
		}
	}
	return found
}

// isHeaderName takes a token of RFC 9110, 5.6.2.
func isHeaderName(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" &&
		!strings.EqualFold(s, "User-Agent") && !strings.EqualFold(s, "Host")
}
