package channel

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel/form"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// VoiceType is the channel's name in the settings.
const VoiceType = "twilio-voice"

// Voice are the settings of calls by Twilio
// (https://www.twilio.com/docs/voice/api/call-resource).
type Voice struct {
	Account   string          `toml:"account,required" doc:"SID of the account: AC…"`
	APIKey    string          `toml:"api_key,required" doc:"SID of an API key: SK…"`
	APISecret outbound.Secret `toml:"api_secret,required,secret" doc:"the API key's secret"`
	From      string          `toml:"from,required" doc:"the number of the account that calls: +15557654321"`
	To        string          `toml:"to,required" doc:"the number that is called: +15551234567"`
	URL       outbound.Secret `toml:"url,secreturl" doc:"Twilio's API, for another region than https://api.twilio.com"`
}

// Validate looks at the numbers and the ids.
func (s *Voice) Validate(at strictoml.At) {
	for key, v := range map[string]struct{ value, form, must string }{
		"account": {s.Account, `^AC[0-9a-fA-F]{32}$`, "must be AC and 32 letters or digits"},
		"api_key": {s.APIKey, `^SK[0-9a-fA-F]{32}$`, "must be SK and 32 letters or digits"},
		"from":    {s.From, `^\+[1-9][0-9]{6,14}$`, `must be an international number such as "+15551234567"`},
		"to":      {s.To, `^\+[1-9][0-9]{6,14}$`, `must be an international number such as "+15551234567"`},
	} {
		if ok, _ := regexp.MatchString(v.form, v.value); at.Has(key) && !ok {
			at.Fail(key, "%s", v.must)
		}
	}
	if !s.URL.IsZero() {
		if err := outbound.CheckURL(s.URL.Reveal()); err != nil {
			at.Fail("url", "%s", err)
		}
	}
}

// Words say that a call has a headline alone.
func (s *Voice) Words() (headline, text bool) { return true, false }

// Open returns the channel to the phone. The error is CheckURL's.
func (s *Voice) Open(name string, env Env) (Channel, error) {
	base := "https://api.twilio.com"
	if !s.URL.IsZero() {
		base = strings.TrimSuffix(s.URL.Reveal(), "/")
	}
	if err := outbound.CheckURL(base); err != nil {
		return nil, err
	}
	return &voice{
		name: name, client: env.Client, from: s.From, to: s.To,
		calls: outbound.NewSecret(base + "/2010-04-01/Accounts/" + url.PathEscape(s.Account) + "/Calls.json"),
		login: outbound.NewSecret("Basic " + base64.StdEncoding.EncodeToString([]byte(s.APIKey+":"+s.APISecret.Reveal()))),
	}, nil
}

type voice struct {
	name, from, to string
	client         *outbound.Client
	calls, login   outbound.Secret
}

func (v *voice) Name() string { return v.name }

// Traits say that nobody is called twice: a call costs money, and wakes somebody.
// Twilio begins one call a second.
func (v *voice) Traits() Traits {
	return Traits{Pace: time.Second, Retry: Never, PerDay: callsPerDay}
}

// callsPerDay is more than anybody wants to be called, and what a mistake costs
// at most.
const callsPerDay = 20

// spokenLength is the most characters that are said: half a minute of them, twice.
// Twilio takes 4,000 with the markup.
const spokenLength = 600

// twiml returns what is said: the headline and the reference, twice.
func twiml(a event.Alert) string {
	a.NewBar = false // a call has none
	m := message.New(a)
	count := form.Speech.Count()
	text := form.Speech.Line(m.Headline.Fit(count, spokenLength)) + ". " + form.Speech.Line(m.Footer.Fit(count, spokenLength/4))
	return `<Response><Say loop="2">` + text + `.</Say></Response>`
}

// Send has Twilio call, and returns once it has taken the order.
func (v *voice) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	answer, err := v.client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: "call", URL: v.calls, MaxBody: outbound.DefaultMaxBody,
		Header: http.Header{"Authorization": {v.login.Reveal()}, "Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   []byte(url.Values{"To": {v.to}, "From": {v.from}, "Twiml": {twiml(a)}}.Encode()),
	})
	if err != nil {
		return nil, notAnswered(err)
	}
	if e := voiceError(answer); e != nil {
		return nil, e
	}
	return nil, nil
}

// voiceError reads Twilio's answer; nil if it has taken the call
// (https://www.twilio.com/docs/api/errors).
func voiceError(r *outbound.Response) *Error {
	var reply struct {
		SID  string `json:"sid"`
		Code int    `json:"code"`
	}
	if json.Unmarshal(r.Body, &reply) != nil || r.Truncated {
		return notUnderstood(r, "Twilio")
	}
	broken := func(what, hint string) *Error {
		e := failed(Broken, "%s (%d, HTTP %d)", what, reply.Code, r.Status)
		e.Hint = hint
		return e
	}
	switch reply.Code {
	case 20003:
		return broken("Twilio does not know the API key", "api_key and api_secret_file must be those of one key, and account its account")
	case 20005, 30002:
		return broken("the account is suspended", "it may have no money left: see Twilio's console, Billing")
	case 20404:
		return broken("Twilio knows no such account", "account must be its SID: AC…")
	case 20429:
		e := failed(Again, "too many calls at once (20429)")
		e.RetryAfter = max(r.RetryAfter, 10*time.Second)
		return e
	case 21210, 21212:
		return broken("from is no number that may call", "set from to a number of the account, or verify it in Twilio's console (Phone Numbers, Verified Caller IDs)")
	case 13224, 21201, 21211, 21214, 21217:
		return broken("to is no number that can be called", "to must be a phone number with its country: +15551234567")
	case 13227, 21215, 21216:
		return broken("the account may not call this number or country", "switch the country on: Twilio's console, Voice, Geo permissions")
	case 21219:
		return broken("a trial account calls verified numbers only", "verify it in Twilio's console (Phone Numbers, Verified Caller IDs), or upgrade")
	}
	if r.Status == http.StatusCreated && reply.SID != "" {
		return nil
	}
	return notUnderstood(r, "Twilio")
}

// Checks look, online, whether Twilio knows account and key.
func (v *voice) Checks() []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsOnline, Run: v.reach}}
}

// reach asks for the newest call, which calls nobody.
func (v *voice) reach(ctx context.Context, r *doctor.Report) {
	name, hint := "online "+v.name, "look at destination."+v.name+" in "+r.Config
	answer, err := v.client.Do(ctx, outbound.Request{
		Purpose: "doctor", URL: outbound.NewSecret(v.calls.Reveal() + "?PageSize=1"), Header: http.Header{"Authorization": {v.login.Reveal()}},
	})
	if err != nil {
		e := notAnswered(err)
		r.Fail(name, cmp.Or(e.Hint, hint), "%v", e)
		return
	}
	if answer.Status == http.StatusOK {
		r.OK(name, "Twilio knows the account and the key; only a test call shows whether it may call: %s", r.Command("test"))
		return
	}
	switch e := voiceError(answer); e.Class {
	case Broken:
		r.Fail(name, cmp.Or(e.Hint, hint), "%v", e)
	default:
		r.Warn(name, "ask again later: "+r.Command("doctor --online"), "Twilio was reached, and says: %v", e)
	}
}
