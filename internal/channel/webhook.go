package channel

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// WebhookType is the channel's name in the settings.
const WebhookType = "webhook"

// Webhook are the settings of a receiver of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
type Webhook struct {
	// URL is what outbound.CheckURL takes.
	URL outbound.Secret `toml:"url,required,secreturl" doc:"where alerts are posted to, as JSON; any answer of 2xx means that it has them"`
	// Secret and OldSecret are what signingKey takes.
	Secret    outbound.Secret `toml:"secret,required,secret" doc:"signs each message: whsec_ and 24 to 64 bytes in base64"`
	OldSecret outbound.Secret `toml:"old_secret,secret" doc:"signs each message as well, while the receiver changes from one secret to the other"`
	// Body's placeholders are bodyVocabulary's.
	Body *service.Body `toml:"body" doc:"a table that becomes the JSON, with placeholders in braces; by default all there is, as payload.schema.json says"`
}

// Validate looks at the URL, at the secrets and at the placeholders of a body.
func (s *Webhook) Validate(at strictoml.At) {
	if !s.URL.IsZero() {
		if err := outbound.CheckURL(s.URL.Reveal()); err != nil {
			at.Fail("url", "%s", err)
		}
	}
	if s.Body != nil {
		names, err := s.Body.Names()
		if err != nil {
			at.Fail("body", "%v", err)
		}
		known := bodyVocabulary().Values
		for _, name := range names {
			if !slices.Contains(known, name) {
				at.Fail("body", "there is no {%s}", name).Hint = "there are " + strings.Join(known, ", ")
			}
		}
		if at.OK() {
			s.tryBody(at)
		}
	}
	for key, secret := range map[string]outbound.Secret{"secret": s.Secret, "old_secret": s.OldSecret} {
		if secret.IsZero() {
			continue // said already, not read, or not wanted
		}
		if _, err := signingKey(secret); err != nil {
			at.Fail(key, "%s", err).Hint = "make one: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\""
		}
	}
}

// tryBody notes what would be wrong with each message of a kind: that of an event of
// which no more is known than what it is.
func (s *Webhook) tryBody(at strictoml.At) {
	for _, kind := range []event.Kind{event.KindLogin, event.KindLogout, event.KindAttack, event.KindMatch, event.KindAlert, event.KindDigest, event.KindWitness, event.KindGate} {
		e := event.Event{ID: event.NewID(), Kind: kind, Time: time.Now(), Host: "db1"}
		switch kind {
		case event.KindAttack:
			e.Attack = new(event.Attack)
		case event.KindMatch:
			e.Match = new(event.Match)
		case event.KindAlert:
			e.Alert = new(event.Note)
		case event.KindDigest:
			e.Digest = new(event.Digest)
		case event.KindGate:
			e.Gate = new(event.Gate)
		}
		body, err := (&webhook{template: s.Body}).body(event.Alert{ID: e.ID, Event: e, Count: 1})
		switch text := string(body); {
		case err != nil:
			at.Fail("body", "is more than the %d KB that a message may have, before anything stands in it", maxPayload/1000)
			return
		case text == "{}" || text == "null":
			at.Fail("body", "says nothing of an event of the kind %s", kind).Hint = `add a field that each message has: ref = "{ref}"`
			return
		}
	}
}

const secretPrefix = "whsec_"

// signingKey returns the bytes of a secret. The error does not show it.
func signingKey(s outbound.Secret) ([]byte, error) {
	text, ok := strings.CutPrefix(s.Reveal(), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("must be whsec_ and 24 to 64 bytes in base64")
	}
	return key, nil
}

// Words say what its body has; without one it gets a Payload.
func (s *Webhook) Words() (headline, text bool) {
	if s.Body == nil {
		return true, false
	}
	names, err := s.Body.Names()
	return worded(names) || err != nil || slices.Contains(names, payloadName), texted(names) || err != nil
}

// Open returns the channel to the receiver. The error is CheckURL's or
// signingKey's.
func (s *Webhook) Open(name string, env Env) (Channel, error) {
	if err := outbound.CheckURL(s.URL.Reveal()); err != nil {
		return nil, err
	}
	w := &webhook{name: name, client: env.Client, url: s.URL, secrets: []outbound.Secret{s.Secret}, template: s.Body}
	if !s.OldSecret.IsZero() {
		w.secrets = append(w.secrets, s.OldSecret)
	}
	for _, secret := range w.secrets {
		if _, err := signingKey(secret); err != nil {
			return nil, err
		}
	}
	return w, nil
}

type webhook struct {
	name     string
	client   *outbound.Client
	url      outbound.Secret
	secrets  []outbound.Secret // the newest first
	template *service.Body     // nil: a Payload
}

func (w *webhook) Name() string { return w.name }

// Traits say that a message may be sent again: its id stays.
func (w *webhook) Traits() Traits { return Traits{Retry: Safe} }

// Send posts the alert as a Payload, or as the body that the settings say, signed
// with each secret.
func (w *webhook) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	body, err := w.body(a)
	if err != nil {
		return nil, &Error{Class: Bug, Err: err}
	}
	header, err := w.sign(a.ID, time.Now(), body)
	if err != nil {
		return nil, &Error{Class: Broken, Err: err}
	}
	answer, err := w.client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: "webhook", URL: w.url, Header: header, Body: body, MaxBody: slackAnswer,
	})
	switch {
	case err != nil:
		return nil, notAnswered(err)
	case answer.Status >= 200 && answer.Status < 300:
		return nil, nil
	case answer.Status == http.StatusGone:
		e := failed(Broken, "the receiver wants no more messages (HTTP 410)")
		e.RetryAfter = maxRest
		return nil, e
	}
	e := notUnderstood(answer, "the receiver")
	switch answer.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		e.Hint = "see whether the receiver has the same secret, and whether this host's clock is right: timedatectl"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		e.Hint = "see whether the path in url is right"
	}
	return nil, e
}

// body returns what is posted: of a template with as much of the Payload as there is
// room for.
func (w *webhook) body(a event.Alert) ([]byte, error) {
	if w.template == nil {
		return NewPayload(a).Bytes()
	}
	said := newServiceFile().messageValues(w.name, a)
	for most := maxPayload; ; most = most * 3 / 4 {
		payload, err := NewPayload(a).within(most)
		if err != nil {
			return nil, err
		}
		values, err := payloadValues(payload)
		if err != nil {
			return nil, err
		}
		maps.Copy(values, said)
		if body := w.template.Fill(bodyVocabulary(), values); len(body) <= maxPayload {
			return body, nil
		}
	}
}

// sign returns a message's header. now is the attempt's time, the id the same in
// every attempt.
func (w *webhook) sign(id string, now time.Time, body []byte) (http.Header, error) {
	// The id must have no point, which separates what is signed; a quoted name of
	// a destination may.
	id += "_" + strings.ReplaceAll(w.name, ".", "_")
	at := strconv.FormatInt(now.Unix(), 10)
	var signatures []string
	for _, secret := range w.secrets {
		key, err := signingKey(secret)
		if err != nil {
			return nil, err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return http.Header{
		"Content-Type":      {"application/json"},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {at},
		"Webhook-Signature": {strings.Join(signatures, " ")},
	}, nil
}

// Checks look, online, whether the receiver's host answers.
func (w *webhook) Checks() []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsOnline, Run: w.reach}}
}

// reach asks the receiver's URL without a message, which tells nobody anything.
func (w *webhook) reach(ctx context.Context, r *doctor.Report) {
	name := "online " + w.name
	at, err := url.Parse(w.url.Reveal())
	if err != nil {
		r.Fail(name, r.Command("config check"), "the webhook is not a URL")
		return
	}
	answer, err := w.client.Do(ctx, outbound.Request{Method: http.MethodHead, Purpose: "doctor", URL: w.url, MaxBody: slackAnswer})
	if err != nil {
		hint := ""
		if e, ok := errors.AsType[*outbound.Error](err); ok && e.Host != "" {
			hint = "curl -sS -o /dev/null " + at.Scheme + "://" + e.Host + "/"
		}
		r.Fail(name, hint, "%v", err)
		return
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		r.ServerClock(date) // a receiver refuses what is signed with a time that is not now
	}
	settings := "look at url of destination." + w.name + " in " + r.Config
	switch s := answer.Status; {
	case s == http.StatusNotFound:
		r.Warn(name, settings, "its host answers HTTP 404: the path may be wrong, or be there for POST only; a test message shows it: %s", r.Command("test"))
	case s == http.StatusGone:
		r.Fail(name, "take destination."+w.name+" out of "+r.Config, "the receiver wants no more messages (HTTP 410)")
	case s/100 == 3:
		r.Fail(name, settings, "its host redirects (HTTP %d), which is not followed", s)
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		r.Warn(name, r.Command("test"), "its host answers HTTP %d to a request without a signature; only a test message shows whether it takes ours", s)
	case s >= 500 && s != http.StatusNotImplemented:
		r.Warn(name, "ask again later: "+r.Command("doctor --online"), "its host was reached, and says HTTP %d", s)
	default:
		r.OK(name, "its host answers; only a test message shows whether it takes messages: %s", r.Command("test"))
	}
}
