package channel

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel/form"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// HTTPType is the type of a service that the owner describes in a file of their
// own.
const HTTPType = "http"

// Described are the settings of a service that sshnotify knows: the keys that
// its file names.
type Described struct {
	file *serviceFile
	keys reflect.Value // pointer to a struct of them
}

// newDescribed makes a struct of the file's keys, with their defaults.
func newDescribed(f *serviceFile) *Described {
	text, secret := reflect.TypeFor[string](), reflect.TypeFor[outbound.Secret]()
	var fields []reflect.StructField
	add := func(t reflect.Type, key, check, doc string) {
		tag := fmt.Sprintf(`toml:"%s" check:"%s" doc:%q`, key, check, doc)
		fields = append(fields, reflect.StructField{Name: "F" + strconv.Itoa(len(fields)), Type: t, Tag: reflect.StructTag(tag)})
	}
	required := func(key string, is bool) string {
		if is {
			return key + ",required"
		}
		return key
	}
	switch f.Key {
	case service.KeyURL:
		add(secret, "webhook_url,secret,required", "", f.KeyAbout)
	case service.KeyNone:
	default:
		add(secret, required(f.KeyName+",secret", f.Key == service.KeyRequired), "", f.KeyAbout)
	}
	if f.Key != service.KeyURL {
		about := "where " + f.Title + " is, by default " + f.URL
		if f.URL == "" {
			about = f.URLHint
		}
		add(text, required("url", f.URL == ""), "", about)
	}
	for _, s := range f.Settings {
		check := "line=200"
		if len(s.Is) > 0 {
			check = "oneof=" + strings.Join(s.Is, " ")
		}
		add(text, required(s.Name, s.Required), check, s.doc())
	}
	if f.PerDay > 0 {
		add(reflect.TypeFor[int](), "per_day", "min=1,max=100000", fmt.Sprintf("most messages of a day, a fifth of them kept for critical ones; by default %d", f.PerDay))
	}
	d := &Described{file: f, keys: reflect.New(reflect.StructOf(fields))}
	d.each(func(key string, v reflect.Value) {
		for _, s := range f.Settings {
			if s.Name == key {
				v.SetString(s.Default)
			}
		}
		if key == "per_day" {
			v.SetInt(int64(f.PerDay))
		}
	})
	return d
}

// Struct returns the struct of the file's keys.
func (d *Described) Struct() any { return d.keys.Interface() }

// Public reports whether everybody can read what is sent.
func (d *Described) Public() bool { return d.file.Public }

// Keys returns the file's keys.
func (d *Described) Keys() []Key { return keysOf(d.keys.Type().Elem()) }

func (d *Described) each(do func(key string, v reflect.Value)) {
	v := d.keys.Elem()
	for i := range v.NumField() {
		key, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("toml"), ",")
		do(key, v.Field(i))
	}
}

// Words say which of them the file's messages have.
func (d *Described) Words() (headline, text bool) { return d.file.words() }

func (f *serviceFile) words() (headline, text bool) {
	send := f.request(requestSend)
	if send == nil {
		return true, true
	}
	return worded(send.Names()), texted(send.Names())
}

// worded reports whether one of the names of placeholders stands for a headline, and
// texted whether one does for the lines.
func worded(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return slices.Contains([]string{"headline", "plain_headline", "text", "plain"}, n)
	})
}

func texted(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains([]string{"body", "text", "plain"}, n) })
}

// HTTP are the settings of a service with a file of the owner's.
type HTTP struct {
	File       string            `toml:"file,required" check:"file" doc:"the service's description"`
	URL        string            `toml:"url" doc:"where the service is, where that is not as the file says"`
	WebhookURL outbound.Secret   `toml:"webhook_url,secret" doc:"the same, where the URL is the key"`
	APIKey     outbound.Secret   `toml:"api_key,secret" doc:"the key, token or password"`
	Values     map[string]string `toml:"values" check:"line=200" doc:"a table of the settings that the file names"`
	PerDay     int               `toml:"per_day" check:"min=1,max=100000" doc:"most messages of a day, a fifth of them kept for critical ones; by default as the file says"`
}

// options are what a described channel is made of.
type options struct {
	url    string
	key    outbound.Secret
	values map[string]string
	perDay int
}

// Validate looks at the URL and at the values.
func (d *Described) Validate(at strictoml.At) {
	if !at.OK() {
		return
	}
	d.each(func(key string, v reflect.Value) {
		value := v.String()
		if secret, ok := v.Interface().(outbound.Secret); ok {
			value = secret.Reveal()
		}
		if value == "" || v.Kind() == reflect.Int {
			return
		}
		if w := d.file.mistake(key, value); w != nil {
			at.Fail(key, "%s", w.Problem).Hint = w.Hint
			return
		}
		switch key {
		case "url":
			if err := service.CheckBaseURL(value); err != nil {
				at.Fail(key, "%v", err)
			}
		case "webhook_url":
			checkWebhook(at, value, d.file.Title)
		}
		for _, s := range d.file.Settings {
			if s.Name == key {
				if err := s.check(value); err != nil {
					at.Fail(key, "%v", err)
				}
			}
		}
	})
}

func (s setting) doc() string {
	doc := s.About
	if len(s.Is) > 0 {
		doc += ": " + strings.Join(s.Is, ", ")
	}
	if s.Default != "" {
		doc += "; by default " + s.Default
	}
	return doc
}

func (s setting) check(value string) error {
	if ok, err := regexp.MatchString(s.Pattern, value); err != nil || !ok {
		return fmt.Errorf("must be %s", s.About)
	}
	if s.Number {
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || strconv.FormatInt(n, 10) != value {
			return errors.New("must be a whole number")
		}
	}
	return nil
}

// Open makes the channel of a destination.
func (d *Described) Open(name string, env Env) (Channel, error) {
	o := options{values: map[string]string{}}
	d.each(func(key string, v reflect.Value) {
		switch x := v.Interface().(type) {
		case outbound.Secret:
			o.key = x
		case int:
			o.perDay = x
		case string:
			if key == "url" {
				o.url = x
			} else {
				o.values[key] = x
			}
		}
	})
	return d.file.open(name, env, o)
}

// Open reads the file and makes the channel.
func (h *HTTP) Open(name string, env Env) (Channel, error) {
	b, _, err := strictoml.ReadFile(h.File)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", h.File, err)
	}
	f, err := parseFile(b)
	if err != nil {
		for _, e := range strictoml.Errors(err) {
			e.File = h.File // each is shown by itself
		}
		return nil, err
	}
	switch {
	case f.Key == service.KeyURL && (h.URL != "" || !h.APIKey.IsZero()):
		return nil, fmt.Errorf("%s has its key in the URL: set webhook_url or webhook_url_file, and neither url nor api_key", h.File)
	case f.Key == service.KeyURL && h.WebhookURL.IsZero():
		return nil, fmt.Errorf("webhook_url or webhook_url_file is missing: %s has its key in the URL", h.File)
	case f.Key != service.KeyURL && !h.WebhookURL.IsZero():
		return nil, fmt.Errorf("%s takes url in place of webhook_url", h.File)
	}
	for key, value := range map[string]string{"url": h.URL, "webhook_url": h.WebhookURL.Reveal(), "api_key": h.APIKey.Reveal()} {
		if w := f.mistake(key, value); w != nil && value != "" {
			return nil, w.error(key)
		}
	}
	o := options{url: h.URL, key: h.APIKey, values: map[string]string{}, perDay: cmp.Or(h.PerDay, f.PerDay)}
	if f.Key == service.KeyURL {
		o.key = h.WebhookURL
	}
	for key := range h.Values {
		if !f.hasSetting(key) {
			return nil, &Error{Class: Broken, Hint: "it has: " + cmp.Or(strings.Join(f.settingNames(), ", "), "none"), Err: fmt.Errorf("values.%s: %s has no such setting", key, h.File)}
		}
	}
	for _, s := range f.Settings {
		value := cmp.Or(h.Values[s.Name], s.Default)
		if value == "" && s.Required {
			return nil, fmt.Errorf("values.%s is missing: %s", s.Name, s.About)
		}
		if value != "" {
			if w := f.mistake(s.Name, value); w != nil {
				return nil, w.error("values." + s.Name)
			}
			if err := s.check(value); err != nil {
				return nil, fmt.Errorf("values.%s: %w", s.Name, err)
			}
		}
		o.values[s.Name] = value
	}
	return f.open(name, env, o)
}

func (f *serviceFile) hasSetting(name string) bool {
	return slices.Contains(f.settingNames(), name)
}

func (f *serviceFile) settingNames() (names []string) {
	for _, s := range f.Settings {
		names = append(names, s.Name)
	}
	return names
}

func (f *serviceFile) open(name string, env Env, o options) (Channel, error) {
	s, err := service.New(name, &f.Description, env.Client, o.url, o.key)
	if err != nil {
		return nil, err
	}
	return &described{name: name, file: f, service: s, values: o.values, perDay: o.perDay}, nil
}

type described struct {
	name    string
	file    *serviceFile
	service *service.Service
	values  map[string]string // of the settings
	perDay  int
}

func (d *described) Name() string { return d.name }
func (d *described) Traits() Traits {
	return Traits{Pace: d.file.Pace, Retry: d.file.retry(), PerDay: d.perDay}
}

// Send sends the alert, or replaces an earlier message by it. Where that one is
// gone, the alert is sent after all.
func (d *described) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	a.Parent, a.Replaces = d.file.own(a.Parent), d.file.own(a.Replaces)
	values := d.valuesOf(a)
	if update := d.file.request(requestUpdate); update != nil && len(a.Replaces) > 0 {
		maps.Copy(values, a.Replaces)
		receipt, means, err := d.ask(ctx, update, values)
		if means != meansGone {
			return cmpReceipt(receipt, a.Replaces), err
		}
	}
	if resolve := d.file.request(requestResolve); resolve != nil && len(a.Parent) > 0 && ends(a.Event) {
		if receipt, means, err := d.ask(ctx, resolve, values); means != meansGone {
			return receipt, err
		}
	}
	receipt, _, err := d.ask(ctx, d.file.request(requestSend), values)
	return receipt, err
}

// ends reports whether an event is the end of what another one began.
func ends(e event.Event) bool {
	return e.Kind == event.KindLogout || e.Kind == event.KindAttack && e.Attack != nil && e.Attack.Phase == event.PhaseEnded
}

// own returns what of a receipt the service may have given. A destination of the same
// name may have been of another type before, whose ids no request is made of.
func (f *serviceFile) own(r event.Receipt) event.Receipt {
	r = maps.Clone(r)
	maps.DeleteFunc(r, func(name, value string) bool {
		return !slices.ContainsFunc(f.Requests, func(q service.Request) bool {
			c, ok := q.Capture[name]
			return ok && c.Gives(value)
		})
	})
	return r
}

// cmpReceipt returns what the update gave back, over what the first message did.
func cmpReceipt(newer, older event.Receipt) event.Receipt {
	out := maps.Clone(older)
	maps.Copy(out, newer)
	return out
}

// ask makes a request. A nil error means that it did what it is for.
func (d *described) ask(ctx context.Context, r *service.Request, values map[string]string) (event.Receipt, service.Means, error) {
	req, err := d.service.Build(r, values)
	if err != nil {
		return nil, "", &Error{Class: Broken, Err: err}
	}
	resp, err := d.service.Client.Do(ctx, req)
	if err != nil {
		return nil, "", notAnswered(err)
	}
	answer := d.service.Read(r, resp, time.Now())
	if answer.Means == service.Good {
		return answer.Captured(r), answer.Means, nil
	}
	return nil, answer.Means, d.refused(answer, resp)
}

// pageHint is for the page that something before a service answers with, in place
// of the service's own errors.
const pageHint = "a web page answers, so that something in front of the service refuses (Cloudflare, a proxy, a firewall): let this host's address and programs without a browser through"

// isPage reports whether an answer is a web page that refuses.
func isPage(r *outbound.Response) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") && (r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden || r.Status >= 500)
}

// maxSaid is the most characters of what is said of an answer.
const maxSaid = 300

// refused makes an error of an answer that does not say that the message was
// told.
func (d *described) refused(a *service.Answer, resp *outbound.Response) *Error {
	e := notUnderstood(resp, d.file.Title)
	e.Err = errors.New(a.Clean(e.Err.Error(), maxSaid))
	said := cmp.Or(a.Detail, a.Title)
	if a.Reply == nil {
		if said != "" && a.Status >= 400 {
			e.Err = fmt.Errorf("%s (HTTP %d)", said, a.Status)
		}
		if isPage(resp) {
			e.Hint = pageHint
		}
		return e
	}
	switch a.Means {
	case meansAgain:
		e.Class = Again
	case meansBug, meansGone:
		e.Class = Bug
	case meansBroken:
		e.Class = Broken
	case meansQuota:
		e.Class = Quota
	}
	e.RetryAfter = a.Wait
	e.Sent = e.Class == Again && (a.Status >= 500 || a.Status < 300)
	what := cmp.Or(a.Reply.Problem, said)
	if a.Reply.Problem != "" && said != "" {
		what += ": " + said
	}
	if what == "" {
		what = e.Err.Error()
	} else {
		what += fmt.Sprintf(" (HTTP %d)", a.Status)
	}
	e.Hint = a.Reply.Hint
	if isPage(resp) {
		e.Hint = pageHint
	}
	e.Err = errors.New(what)
	return e
}

// maxWord is the most characters of a name.
const maxWord = 100

// valuesOf returns a value for each placeholder of a file.
func (d *described) valuesOf(a event.Alert) map[string]string {
	values := maps.Clone(d.values)
	for name, l := range d.file.Levels {
		values[name] = l.of(a.Verdict.Severity)
		if setting, ok := settingOf(values[name]); ok {
			values[name] = d.values[setting]
		}
	}
	for name, value := range a.Parent {
		values[parentPrefix+name] = value
	}
	maps.Copy(values, d.file.messageValues(d.name, a))
	return values
}

// messageValues returns a value for each of messageNames.
func (f *serviceFile) messageValues(destination string, a event.Alert) map[string]string {
	m, values := message.New(a), map[string]string{}
	count := f.Syntax.Count()
	if f.Limit.Bytes {
		count = f.Syntax.Bytes()
	}
	headline, title, footer := m.Headline.Fit(count, f.Limit.Headline), m.Title.Fit(count, f.Limit.Title), m.Footer.Fit(count, f.Limit.Footer)
	size := m.BodySize(f.Limit.Body, f.Limit.Digest)
	values["headline"], values["title"], values["footer"] = f.Syntax.Line(headline), f.Syntax.Line(title), f.Syntax.Line(footer)
	values["body"] = f.Syntax.Lines(m.Body(count, size, f.Limit.Lines))

	whole := []message.Line{{{Kind: message.Bold, Spans: headline}}, title}
	if f.Limit.Text > 0 {
		const breaks = 3
		size = min(size, max(0, f.Limit.Text-count.Width(append(append(append(message.Line{}, whole[0]...), title...), footer...)...)-breaks))
	}
	whole = append(append(whole, m.Body(count, size, f.Limit.Lines)...), footer)
	if f.Syntax == form.Entities {
		text, marks := form.Marked(whole)
		b, err := json.Marshal(marks)
		if err != nil { // can't be: they hold numbers and text
			b = nil
		}
		values["text"], values["marks"] = text, string(b)
	} else {
		values["text"], values["marks"] = f.Syntax.Lines(whole), ""
	}
	values["plain_headline"], values["plain"] = form.Plain.Line(headline), form.Plain.Lines(whole)
	values["mentions"] = "[]" // nobody but the owner can write one
	if strings.Contains(a.Own.Headline+a.Own.Text, "@") {
		values["mentions"] = `["everyone","roles","users"]`
	}
	word := func(s string) string {
		return f.Syntax.Line(message.Line{{Kind: message.Untrusted, Text: event.Clean(s, maxWord)}})
	}
	values["event_kind"], values["event_host"], values["event_user"] = string(a.Event.Kind), word(cmp.Or(a.Event.Host, "unknown host")), word(a.Event.User)
	values["event_address"] = ""
	if ip := a.Event.Remote.IP; ip.IsValid() {
		values["event_address"] = ip.String()
	}

	colour := message.Colour(m.Verdict)
	number, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err == nil {
		values["colour_number"] = strconv.FormatUint(number, 10)
	}
	values["colour"], values["id"], values["ref"], values["severity"] = colour, a.ID, event.Ref(a.ID), a.Verdict.Severity.String()
	values["destination"], values["time"], values["epoch"] = destination, "", ""
	if !m.Time.IsZero() {
		values["time"], values["epoch"] = m.Time.UTC().Format(time.RFC3339), strconv.FormatInt(m.Time.Unix(), 10)
	}
	return values
}

// Look returns what the file says.
func (d *described) Look() string { return d.file.Look }

// Checks looks, online, whether the service takes messages. It tells nobody
// anything.
func (d *described) Checks() []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsOnline, Run: d.reach}}
}

func (d *described) reach(ctx context.Context, r *doctor.Report) {
	name, start := "online "+d.name, time.Now()
	took := func() time.Duration { return time.Since(start).Round(time.Millisecond) }
	if check := d.file.request(requestCheck); check != nil {
		if _, _, err := d.ask(ctx, check, d.values); err != nil {
			d.unreached(r, name, err)
			return
		}
		if warn := d.file.request(requestWarn); warn != nil {
			_, _, err := d.ask(ctx, warn, d.values)
			if e, ok := errors.AsType[*Error](err); ok && e.Hint != "" {
				r.Warn(name, e.Hint, "%v", e)
				return
			}
		}
		what := "takes the key"
		if d.service.Key.IsZero() {
			what = "answers"
		}
		r.OK(name, "%s %s (%v); nobody was told anything, and only a test message shows whether one arrives: %s", d.file.Title, what, took(), r.Command("test"))
		return
	}
	front, err := url.Parse(cmp.Or(d.service.BaseURL, d.service.Key.Reveal()))
	if err != nil {
		r.Fail(name, r.Command("config check"), "no URL")
		return
	}
	front = &url.URL{Scheme: front.Scheme, Host: front.Host, Path: "/"}
	_, err = d.service.Client.Do(ctx, outbound.Request{Method: http.MethodHead, Purpose: "doctor", URL: outbound.NewSecret(front.String())})
	if err != nil {
		r.Fail(name, "curl -sS -o /dev/null "+front.String(), "%v", err)
		return
	}
	terms := d.file.Terms
	if terms != "" {
		terms = ". " + terms
	}
	r.OK(name, "its host answers (%v); only a test message shows whether it takes messages: %s%s", took(), r.Command("test"), terms)
}

// unreached reports what came of a check.
func (d *described) unreached(r *doctor.Report, name string, err error) {
	e, ok := errors.AsType[*Error](err)
	switch {
	case ok && e.Hint != "":
		r.Fail(name, e.Hint, "%v", err)
	case ok && (e.Class == Again || e.Class == Quota):
		r.Warn(name, "ask again later: "+r.Command("doctor --online"), "%v", err)
	default:
		r.Fail(name, "see [destination."+d.name+"] in "+r.Config, "%v", err)
	}
}
