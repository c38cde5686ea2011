package channel

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// AlertmanagerType is the channel's name in the settings.
const AlertmanagerType = "alertmanager"

// Alertmanager are the settings of a Prometheus Alertmanager, by version 2 of its
// API
// (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml).
type Alertmanager struct {
	URL      outbound.Secret   `toml:"url,required,secreturl" doc:"its address, with its route prefix if it has one: http://127.0.0.1:9093"`
	Username string            `toml:"username" check:"line=254" doc:"for one that wants a log-in"`
	Password outbound.Secret   `toml:"password,secret" doc:"for username"`
	Token    outbound.Secret   `toml:"token,secret" doc:"a bearer token, in place of username and password"`
	Labels   map[string]string `toml:"labels" check:"line=200" doc:"a table of labels that each alert gets, for Alertmanager's routes: {team = \"ops\"}"`
	Firing   time.Duration     `toml:"firing" check:"min=1m,max=7d" doc:"how long an alert fires that nothing ends; \"1h\""`
}

// The labels of every alert. Its fingerprint is made of them: what has the same
// is the same alert.
const (
	labelName     = "alertname"
	labelHost     = "host"
	labelUser     = "user"
	labelKind     = "kind"
	labelSeverity = "severity"
)

// Validate looks at the URL, the labels and the log-in.
func (s *Alertmanager) Validate(at strictoml.At) {
	if !s.URL.IsZero() {
		url, page, _ := strings.Cut(s.URL.Reveal(), "/#")
		switch err := service.CheckBaseURL(url); {
		case err != nil:
			at.Fail("url", "%s", err)
		case page != "" || strings.HasSuffix(s.URL.Reveal(), "/#"):
			at.Fail("url", "is that of a page").Hint = "leave out /# and all after it"
		case strings.Contains(url, "/api/v"):
			at.Fail("url", "must be its address without /api/v2 and what follows")
		}
	}
	ours := []string{labelName, labelHost, labelUser, labelKind, labelSeverity}
	label := regexp.MustCompile("^[a-zA-Z_][a-zA-Z0-9_]*$")
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		if !label.MatchString(name) || slices.Contains(ours, name) {
			at.Fail("labels."+name, "a label is of letters, digits and _, and none of %s", strings.Join(ours, ", "))
		}
	}
	if !s.Token.IsZero() && s.Username != "" {
		at.Fail("token", "either a token, or username and password")
	}
}

// Open returns the channel. The error is CheckBaseURL's.
func (s *Alertmanager) Open(name string, env Env) (Channel, error) {
	if err := service.CheckBaseURL(s.URL.Reveal()); err != nil {
		return nil, err
	}
	a := &alertmanager{name: name, client: env.Client, base: outbound.NewSecret(strings.TrimRight(s.URL.Reveal(), "/")), labels: s.Labels, firing: cmp.Or(s.Firing, time.Hour)}
	switch {
	case !s.Token.IsZero():
		a.authorization = outbound.NewSecret("Bearer " + s.Token.Reveal())
	case s.Username != "":
		a.authorization = outbound.NewSecret("Basic " + base64.StdEncoding.EncodeToString([]byte(s.Username+":"+s.Password.Reveal())))
	}
	return a, nil
}

type alertmanager struct {
	name          string
	client        *outbound.Client
	base          outbound.Secret
	authorization outbound.Secret // zero: none
	labels        map[string]string
	firing        time.Duration
}

func (m *alertmanager) Name() string { return m.name }

// Traits say that an alert may be sent again: its labels stay.
func (m *alertmanager) Traits() Traits { return Traits{Retry: Safe} }

// postable is an alert as Alertmanager takes it.
type postable struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    *time.Time        `json:"startsAt,omitempty"`
	EndsAt      time.Time         `json:"endsAt"`
}

// receiptLabels is the receipt's name of an alert's labels, as JSON.
const receiptLabels = "labels"

// Send posts an alert that fires until something ends it. What ends one that was
// posted (a logout, an attack's end) resolves that, and is no alert itself.
func (m *alertmanager) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	now := time.Now().UTC()
	if labels := labelsOf(a.Parent); ends(a.Event) && labels != nil {
		return a.Parent, m.post(ctx, postable{Labels: labels, EndsAt: now})
	}
	p := m.postable(a, now)
	if err := m.post(ctx, p); err != nil {
		return nil, err
	}
	labels, err := json.Marshal(p.Labels)
	if err != nil { // can't be: they are texts
		return nil, nil
	}
	return event.Receipt{receiptLabels: string(labels)}, nil
}

// labelsOf returns the labels of a receipt; nil if it is of another type's.
func labelsOf(r event.Receipt) map[string]string {
	var labels map[string]string
	if json.Unmarshal([]byte(r[receiptLabels]), &labels) != nil || labels[labelName] == "" {
		return nil
	}
	return labels
}

// postable words an alert. What differs from one to the next (the address, the
// ref) is in annotations: as labels they would make an alert of each.
func (m *alertmanager) postable(a event.Alert, now time.Time) postable {
	said := newServiceFile().messageValues(m.name, a)
	p := postable{
		Labels: map[string]string{
			labelName: "sshnotify", labelHost: said["event_host"], labelUser: said["event_user"], labelKind: said["event_kind"], labelSeverity: said["severity"],
		},
		Annotations: map[string]string{"summary": said["headline"], "description": said["title"] + "\n" + said["body"], "ref": said["ref"], "address": said["event_address"], "runbook_url": a.Runbook},
		EndsAt:      now.Add(m.firing),
	}
	if t := cmp.Or(a.First, a.Event.Time).UTC(); !t.IsZero() && t.Before(now) {
		p.StartsAt = &t
	}
	maps.Copy(p.Labels, m.labels)
	for _, texts := range []map[string]string{p.Labels, p.Annotations} {
		maps.DeleteFunc(texts, func(_, value string) bool { return value == "" })
	}
	return p
}

// post sends one alert. Alertmanager has no word for "told" but an empty answer.
func (m *alertmanager) post(ctx context.Context, p postable) error {
	body, err := json.Marshal([]postable{p})
	if err != nil {
		return &Error{Class: Bug, Err: err}
	}
	answer, err := m.ask(ctx, http.MethodPost, "/api/v2/alerts", body)
	switch {
	case err != nil:
		return notAnswered(err)
	case answer.Status == http.StatusOK && len(bytes.TrimSpace(answer.Body)) == 0:
		return nil
	}
	return m.refused(answer)
}

func (m *alertmanager) ask(ctx context.Context, method, path string, body []byte) (*outbound.Response, error) {
	h := http.Header{"Accept": {"application/json"}}
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	if !m.authorization.IsZero() {
		h.Set("Authorization", m.authorization.Reveal())
	}
	return m.client.Do(ctx, outbound.Request{Method: method, Purpose: "alertmanager", URL: outbound.NewSecret(m.base.Reveal() + path), Header: h, Body: body, MaxBody: slackAnswer})
}

func (m *alertmanager) refused(answer *outbound.Response) *Error {
	e := notUnderstood(answer, "Alertmanager")
	if said := gjson.ParseBytes(answer.Body); answer.Status == http.StatusBadRequest && gjson.ValidBytes(answer.Body) {
		text := said.Get("message").String()
		if said.Type == gjson.String {
			text = said.String()
		}
		if text != "" {
			e.Err = errors.New(event.Clean(strings.ReplaceAll(text, m.base.Reveal(), "[redacted]"), maxSaid) + " (HTTP 400)")
		}
	}
	switch answer.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Hint = "it wants a log-in, or another one: username and password_file, or token_file"
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		e.Hint = "url is Alertmanager's address with its route prefix, without /api/v2; it must be 0.16 or newer, and not Prometheus"
	}
	return e
}

// Checks ask, online, how it is. That tells it nothing.
func (m *alertmanager) Checks() []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsOnline, Run: m.reach}}
}

func (m *alertmanager) reach(ctx context.Context, r *doctor.Report) {
	name, start := "online "+m.name, time.Now()
	answer, err := m.ask(ctx, http.MethodGet, "/api/v2/status", nil)
	if err != nil {
		r.Fail(name, cmp.Or(notAnswered(err).Hint, "see [destination."+m.name+"] in "+r.Config), "%v", err)
		return
	}
	version := gjson.GetBytes(answer.Body, "versionInfo.version").String()
	if answer.Status != http.StatusOK || !gjson.ValidBytes(answer.Body) || version == "" {
		e := m.refused(answer)
		r.Fail(name, cmp.Or(e.Hint, "see whether url is Alertmanager's: "+r.Config), "%v", e)
		return
	}
	r.OK(name, "Alertmanager %s answers (%v); only a test message shows where its routes lead: %s", event.Clean(version, 20), time.Since(start).Round(time.Millisecond), r.Command("test"))
}
