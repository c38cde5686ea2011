package channel

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel/form"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// shipped are the files of the services that sshnotify knows, in the form that
// services/README.md describes.
//
//go:embed services/*.toml
var shipped embed.FS

// shippedNames returns the names of the services that sshnotify knows, sorted.
func shippedNames() []string { return service.Names(shipped) }

func shippedFile(name string) (*serviceFile, error) {
	b, err := shipped.ReadFile(path.Join("services", name+".toml"))
	if err != nil {
		return nil, err
	}
	return parseFile(b)
}

// newServiceFile returns a description that says nothing.
func newServiceFile() *serviceFile {
	return &serviceFile{
		Description: service.NewDescription(), KeyName: "api_key", Syntax: form.Plain, Retry: May.String(),
		Limit: sizes{Headline: 80, Title: 250, Body: 700, Digest: 3800, Lines: 5, Footer: 300},
	}
}

// parseFile reads the description of a service. strictoml.Errors returns all that
// is wrong with it, the first in it first.
func parseFile(b []byte) (*serviceFile, error) {
	if len(b) > service.MaxFile {
		return nil, &strictoml.Error{Message: fmt.Sprintf("more than %d KiB", service.MaxFile>>10)}
	}
	f := newServiceFile()
	if err := strictoml.Unmarshal("", b, f); err != nil {
		return nil, err
	}
	return f, nil
}

// serviceFile is a service's description as TOML; services/README.md says what
// each key means. It does not change and may be used concurrently.
type serviceFile struct {
	service.Description
	About    string            `toml:"about" check:"line=100"`
	Limits   string            `toml:"limits" check:"line=100"`
	Look     string            `toml:"look" check:"line=200"`
	Public   bool              `toml:"public"` // everybody can read what is sent
	KeyName  string            `toml:"key_name"`
	KeyAbout string            `toml:"key_about" check:"line=200"`
	Syntax   form.Form         `toml:"syntax"`
	Limit    sizes             `toml:"limit"`
	Pace     time.Duration     `toml:"pace" check:"max=1h"`
	Retry    string            `toml:"retry" check:"oneof=safe may never"`
	PerDay   int               `toml:"per_day" check:"min=1,max=100000"`
	Settings []setting         `toml:"setting"`
	Wrong    []wrong           `toml:"wrong"`
	Levels   map[string]level  `toml:"level" each:"level"`
	Requests []service.Request `toml:"request"`
	Examples []service.Example `toml:"example"`
}

// sizes are the most characters of a message's parts, counted as its syntax does.
type sizes struct {
	Headline int  `toml:"headline" check:"min=40,max=100000"`
	Title    int  `toml:"title" check:"min=40,max=100000"`
	Body     int  `toml:"body" check:"min=200,max=100000"`
	Digest   int  `toml:"digest" check:"min=200,max=100000"` // the body of a digest
	Lines    int  `toml:"lines" check:"min=1,max=1000"`
	Footer   int  `toml:"footer" check:"min=12,max=100000"`
	Text     int  `toml:"text" check:"min=160,max=100000"` // all of it together; 0: no such limit
	Bytes    bool `toml:"bytes"`                           // of UTF-8, not characters
}

// setting is a key that the settings of the service have.
type setting struct {
	Name     string   `toml:"name"`
	About    string   `toml:"about" check:"line=200"`
	Required bool     `toml:"required"`
	Default  string   `toml:"default" check:"line=200"`
	Is       []string `toml:"is"`      // one of these
	Number   bool     `toml:"number"`  // a whole number, and one in JSON
	Pattern  string   `toml:"pattern"` // a regular expression that its value matches
}

// wrong is a mistake that the value of a key shows by its form. The first that
// holds is told.
type wrong struct {
	Key     string `toml:"key"`    // of the destination's settings
	Is      string `toml:"is"`     // a regular expression that a wrong value matches
	IsNot   string `toml:"is_not"` // one that a right value matches
	Problem string `toml:"problem" check:"line=100"`
	Hint    string `toml:"hint" check:"line=200"`
}

func (w *wrong) holds(value string) bool {
	is, err := regexp.MatchString(cmp.Or(w.Is, w.IsNot), value)
	return err == nil && is == (w.Is != "")
}

// error returns it as the error of a key.
func (w *wrong) error(key string) *Error {
	return &Error{Class: Broken, Hint: w.Hint, Err: fmt.Errorf("%s: %s", key, w.Problem)}
}

// mistake returns what is wrong with a key's value; nil if nothing is known.
func (f *serviceFile) mistake(key, value string) *wrong {
	for i := range f.Wrong {
		if w := &f.Wrong[i]; w.Key == key && w.holds(value) {
			return w
		}
	}
	return nil
}

// level is a value that depends on the severity.
type level struct {
	Low      string `toml:"low" check:"line=100"`
	Medium   string `toml:"medium" check:"line=100"`
	High     string `toml:"high" check:"line=100"`
	Critical string `toml:"critical" check:"line=100"`
}

func (l level) of(s event.Severity) string {
	switch {
	case s >= event.Critical:
		return l.Critical
	case s >= event.High:
		return l.High
	case s >= event.Medium:
		return l.Medium
	}
	return l.Low
}

func (l level) all() []string { return []string{l.Low, l.Medium, l.High, l.Critical} }

// settingOf returns the setting that has the value of a level, of one that is
// {NAME}.
func settingOf(value string) (name string, ok bool) {
	name, open := strings.CutPrefix(value, "{")
	name, closed := strings.CutSuffix(name, "}")
	return name, open && closed
}

// isJSON reports whether all values are numbers, or true or false.
func (l level) isJSON() bool {
	for _, s := range l.all() {
		if s != "" && (!json.Valid([]byte(s)) || s[0] == '"' || s == "null") {
			return false
		}
	}
	return true
}

// The names of a file's requests. The first is sent for each alert.
const (
	requestSend   = "send"
	requestUpdate = "update" // in its place where an earlier message is replaced
	// requestResolve is sent in its place where the alert says that what an earlier
	// message told is over.
	requestResolve = "resolve"
	// These are for doctor, and tell nobody anything: whether messages are taken,
	// and whether they could arrive better.
	requestCheck = "check"
	requestWarn  = "warn"
)

// What an answer can mean to a channel, beside service.Good.
const (
	meansAgain  service.Means = "again"
	meansBug    service.Means = "bug"
	meansBroken service.Means = "broken"
	meansQuota  service.Means = "quota"
	meansGone   service.Means = "gone" // the message that was to be replaced
)

// parentPrefix begins the names of what is kept of the message that an alert
// answers.
const parentPrefix = "parent_"

// messageNames are the placeholders that every alert has a value for.
func messageNames() []string {
	return []string{"headline", "title", "body", "footer", "text", "marks", "mentions", "plain_headline", "plain",
		"event_kind", "event_host", "event_user", "event_address", "id", "ref", "severity", "colour", "colour_number", "time", "epoch", "destination"}
}

// Validate notes what is wrong beside single keys, and readies the file for use.
func (f *serviceFile) Validate(at strictoml.At) {
	if !slices.Contains(form.Names(), string(f.Syntax)) {
		at.Fail("syntax", "must be %s", strictoml.OneOf(form.Names()))
	}
	v := service.Vocabulary{
		Values: messageNames(), Header: []string{"id", "destination"}, URLKey: true, JSON: []string{"marks", "mentions", "colour_number", "epoch"},
		Means: []service.Means{service.Good, meansAgain, meansBug, meansBroken, meansQuota, meansGone}, Waits: []service.Means{meansAgain, meansBroken},
		Default: defaultMeaning, Limit: 4,
	}
	for i, s := range f.Settings {
		key := fmt.Sprintf("setting.%d", i)
		if !strictoml.IsName(s.Name) || slices.Contains(append(v.Values, "key", "url", "type", f.KeyName), s.Name) {
			at.Fail(key+".name", "no name for a setting, or one that is taken")
		}
		if _, err := regexp.Compile(s.Pattern); err != nil {
			at.Fail(key+".pattern", "%v", err)
		}
		v.Values = append(v.Values, s.Name)
		if s.Number {
			v.JSON = append(v.JSON, s.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Levels)) {
		if slices.Contains(v.Values, name) {
			at.Fail("level."+name, "the name is taken")
		}
		v.Values = append(v.Values, name)
		for _, value := range f.Levels[name].all() {
			if setting, ok := settingOf(value); ok && !f.hasSetting(setting) {
				at.Fail("level."+name, "{%s} is no setting", setting)
			}
		}
		if f.Levels[name].isJSON() {
			v.JSON = append(v.JSON, name)
		}
	}
	for i, w := range f.Wrong {
		key := fmt.Sprintf("wrong.%d", i)
		if !f.hasSetting(w.Key) && !slices.Contains([]string{"url", "webhook_url", f.KeyName}, w.Key) {
			at.Fail(key+".key", "is no key of this service's settings")
		}
		if _, err := regexp.Compile(cmp.Or(w.Is, w.IsNot)); err != nil || (w.Is == "") == (w.IsNot == "") {
			at.Fail(key, "needs is or is_not, a regular expression")
		}
		if w.Problem == "" {
			at.Fail(key, "problem is missing: what is wrong with such a value")
		}
	}
	var requests []*service.Request
	for i := range f.Requests {
		r := &f.Requests[i]
		requests = append(requests, r)
		if i == 0 && r.Name != requestSend || !slices.Contains([]string{requestSend, requestUpdate, requestResolve, requestCheck, requestWarn}, r.Name) {
			at.Fail(fmt.Sprintf("request.%d.name", i), `the first is "send", others are "update", "resolve", "check" and "warn"`)
		}
		for name := range r.Capture {
			v.Values = append(v.Values, parentPrefix+name)
			if form := r.Capture[name].Form; form != "word" && form != "id" {
				v.JSON = append(v.JSON, name, parentPrefix+name)
			}
		}
	}
	f.Check(at, v, requests)
	if !at.OK() {
		return
	}
	for _, name := range []string{requestCheck, requestWarn} {
		if c := f.request(name); c != nil && slices.ContainsFunc(c.Names(), func(n string) bool { return slices.Contains(messageNames(), n) }) {
			at.Fail("request", "%q tells nobody anything, and so holds nothing of a message", name)
		}
	}
	for i := range f.Examples {
		e := &f.Examples[i]
		values := maps.Clone(e.Values)
		if values == nil {
			values = map[string]string{}
		}
		for _, r := range requests { // what is not named is empty, as it may be
			for _, n := range r.Names() {
				if _, ok := values[n]; !ok && n != "key" {
					values[n] = ""
				}
			}
		}
		played := *e
		played.Values = values
		played.Play(at, fmt.Sprintf("example.%d", i), &f.Description, requests)
	}
}

// request returns the one of a name; nil if there is none.
func (f *serviceFile) request(name string) *service.Request {
	if i := slices.IndexFunc(f.Requests, func(r service.Request) bool { return r.Name == name }); i >= 0 {
		return &f.Requests[i]
	}
	return nil
}

// defaultMeaning is what notUnderstood makes of a status.
func defaultMeaning(status int) service.Means {
	switch {
	case status == 200:
		return service.Good
	case status == 408, status == 425, status == 429, status >= 500:
		return meansAgain
	case status == 400, status == 413, status == 422:
		return meansBug
	case status >= 300:
		return meansBroken
	}
	return ""
}

func (f *serviceFile) retry() Retry {
	switch f.Retry {
	case "safe":
		return Safe
	case "never":
		return Never
	}
	return May
}
