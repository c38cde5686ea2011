package gate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// Sender takes a code to a person. It tries once; an error holds no code.
type Sender interface {
	Send(context.Context, Message) error
}

// Message is a code and what its owner has to know of it.
type Message struct {
	Code, Ref        string
	User, Host, From string // From is an address; empty: nobody knows
	Program          string // the client that has it sent; empty: somebody logs in
	Life             time.Duration
	To               string // a number, the id of a member of Slack, or a mail address
}

// oneSMS is how many characters of ASCII one message has (3GPP TS 23.038); more cost
// as two.
const oneSMS = 160

// Text is the message in a few words of ASCII, the code first, which is all that
// some phones show. It fits one SMS: long names are cut for that.
func (m Message) Text() string {
	user, host := plain(m.User, 32), plain(m.Host, 40)
	from, warning := "from "+plain(m.From, 45), "Somebody has your key."
	if m.From == "" {
		from = "from an unknown address"
	}
	if m.Program != "" {
		from, warning = "by "+plain(m.Program, 32), "Tell nobody."
	}
	say := func() string {
		return fmt.Sprintf("%s is the code for %s on %s (%s), asked for %s, good for %d minutes. Not you? %s", m.Code, user, host, m.Ref, from, int(m.Life/time.Minute), warning)
	}
	const least = 8 // characters of a name that is cut
	for _, name := range []*string{&host, &user} {
		if over := len(say()) - oneSMS; over > 0 {
			*name = (*name)[:max(len(*name)-over, min(len(*name), least))]
		}
	}
	return say()
}

// plain returns what a stranger may have chosen as letters, digits and what stands
// in addresses: no link, no mention, no second line.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("-_.:", r)) {
			return r
		}
		return '?'
	}, s)
	return s[:min(len(s), most)]
}

// Spoken is TwiML that says the code twice, each digit a sentence of its own, since
// digits in a row are read as a number (https://www.twilio.com/docs/voice/twiml/say).
func (m Message) Spoken() string {
	digits := strings.Join(strings.Split(m.Code, ""), ". ") + "."
	return "<Response><Pause length=\"1\"/><Say>Your code is: " + digits + "</Say><Pause length=\"2\"/><Say>Again: " + digits + "</Say></Response>"
}

// SMS sends codes as messages (https://www.twilio.com/docs/messaging/api/message-resource).
func (t *Twilio) SMS(c *outbound.Client) Sender { return &twilioSender{t, c, "Messages.json"} }

// Voice says codes by phone (https://www.twilio.com/docs/voice/api/call-resource).
func (t *Twilio) Voice(c *outbound.Client) Sender { return &twilioSender{t, c, "Calls.json"} }

type twilioSender struct {
	*Twilio
	client   *outbound.Client
	resource string
}

func (t *twilioSender) Send(ctx context.Context, m Message) error {
	if !slices.ContainsFunc(t.Countries, func(code string) bool { return strings.HasPrefix(m.To, code) }) {
		return errors.New("the number is of none of the countries in the settings")
	}
	form := url.Values{"To": {m.To}, "From": {t.From}}
	if t.resource == "Calls.json" {
		form["Twiml"], form["Timeout"], form["TimeLimit"] = []string{m.Spoken()}, []string{"25"}, []string{"60"}
	} else {
		// Without it a message that waits is still sent after ten hours.
		form["Body"], form["ValidityPeriod"] = []string{m.Text()}, []string{strconv.Itoa(int(m.Life / time.Second))}
	}
	base := "https://api.twilio.com"
	if !t.URL.IsZero() {
		base = strings.TrimSuffix(t.URL.Reveal(), "/")
	}
	r, err := t.client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: "code", URL: outbound.NewSecret(base + "/2010-04-01/Accounts/" + url.PathEscape(t.Account) + "/" + t.resource),
		Header: http.Header{
			"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(t.APIKey+":"+t.APISecret.Reveal()))},
			"Content-Type":  {"application/x-www-form-urlencoded"},
		},
		Body: []byte(form.Encode()),
	})
	if err != nil {
		return err
	}
	if r.Status == http.StatusTooManyRequests {
		return fmt.Errorf("Twilio: %w (HTTP %d)", errLimit, r.Status)
	}
	var reply struct {
		SID     string `json:"sid"`
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	switch err := json.Unmarshal(r.Body, &reply); {
	case err != nil:
		return fmt.Errorf("no answer of Twilio's (HTTP %d)", r.Status)
	case r.Status == http.StatusCreated && reply.SID != "":
		return nil
	}
	return fmt.Errorf("Twilio refuses it: %q (%d, HTTP %d)", event.Clean(without(reply.Message, m), maxSaid), reply.Code, r.Status)
}

// maxSaid is how much of a service's own words is logged.
const maxSaid = 100

// without takes out what a service repeats of the message.
func without(said string, m Message) string {
	return strings.NewReplacer(m.Code, "…", m.To, "…").Replace(said)
}

// Sender sends codes as direct messages (https://docs.slack.dev/reference/methods/chat.postMessage).
func (s *Slack) Sender(c *outbound.Client) Sender { return &slackSender{s, c} }

type slackSender struct {
	*Slack
	client *outbound.Client
}

func (s *slackSender) Send(ctx context.Context, m Message) error {
	message := map[string]any{
		"channel": m.To, "text": m.Text(), "parse": "none", "mrkdwn": false, "link_names": false, "unfurl_links": false, "unfurl_media": false,
	}
	_, err := s.call(ctx, "chat.postMessage", message, m)
	if refusal := (*slackRefusal)(nil); errors.As(err, &refusal) && refusal.word == "channel_not_found" {
		// Nobody has written to them yet (https://docs.slack.dev/reference/methods/conversations.open).
		var opened string
		if opened, err = s.call(ctx, "conversations.open", map[string]any{"users": m.To}, m); err == nil {
			message["channel"] = opened
			_, err = s.call(ctx, "chat.postMessage", message, m)
		}
	}
	return err
}

// slackRefusal is a word of Slack's.
type slackRefusal struct {
	word   string
	status int
}

func (e *slackRefusal) Error() string {
	return fmt.Sprintf("Slack refuses it: %q (HTTP %d)", e.word, e.status)
}

// call asks a method, and returns the id of the conversation that it is about.
func (s *slackSender) call(ctx context.Context, method string, args map[string]any, m Message) (conversation string, err error) {
	base := "https://slack.com/api"
	if !s.URL.IsZero() {
		base = strings.TrimSuffix(s.URL.Reveal(), "/")
	}
	body, err := json.Marshal(args)
	if err != nil {
		return "", err
	}
	r, err := s.client.Do(ctx, outbound.Request{
		Method: http.MethodPost, Purpose: "code", URL: outbound.NewSecret(base + "/" + method), Body: body,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Authorization": {"Bearer " + s.Token.Reveal()}},
	})
	if err != nil {
		return "", err
	}
	if r.Status == http.StatusTooManyRequests {
		return "", fmt.Errorf("Slack: %w (HTTP %d)", errLimit, r.Status)
	}
	var reply struct {
		OK      bool            `json:"ok"`
		Error   string          `json:"error"`
		Channel json.RawMessage `json:"channel"` // an id, or an object that has one
	}
	switch err := json.Unmarshal(r.Body, &reply); {
	case err != nil || !reply.OK && reply.Error == "":
		return "", fmt.Errorf("no answer of Slack's (HTTP %d)", r.Status)
	case !reply.OK || r.Status != http.StatusOK:
		return "", &slackRefusal{event.Clean(without(reply.Error, m), maxSaid), r.Status}
	}
	var object struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(reply.Channel, &object) // of conversations.open
	return object.ID, nil
}

// mailSender sends codes by mail.
type mailSender struct{ *channel.MailServer }

func (s mailSender) Send(ctx context.Context, m Message) error {
	var to channel.Address
	if err := to.UnmarshalText([]byte(m.To)); err != nil {
		return err
	}
	// A subject is shown on locked screens, so that the code is not in it.
	subject := fmt.Sprintf("Code %s for %s on %s", m.Ref, plain(m.User, 32), plain(m.Host, 40))
	if err := s.SendText(ctx, channel.Env{}, to, subject, m.Text()); err != nil {
		return errors.New(without(err.Error(), m))
	}
	return nil
}

// Senders are those that the settings name, by factor.
func (r Rules) Senders(c *outbound.Client) map[string]Sender {
	all := map[string]Sender{}
	if r.Twilio != nil {
		all[FactorSMS], all[FactorVoice] = r.Twilio.SMS(c), r.Twilio.Voice(c)
	}
	if r.Slack != nil {
		all[FactorSlack] = r.Slack.Sender(c)
	}
	if r.Mail != nil {
		all[FactorEmail] = mailSender{r.Mail}
	}
	return all
}

// Contact returns where a code goes for a login: to whom the key belongs, if the
// account is theirs, else to the only person whose account it is. Whose account it is
// in part is asked for nothing that goes to one of them.
func Contact(people policy.People, factor string, e event.Event) string {
	var all []policy.Person
	for name, p := range people {
		if !strings.EqualFold(name, e.User) && !slices.Contains(p.Accounts, e.User) {
			continue
		}
		if key := e.Login.Auth.Fingerprint; key != "" && slices.Contains(p.Keys, policy.Key(key)) {
			return contactOf(p, factor)
		}
		all = append(all, p)
	}
	if len(all) != 1 {
		return ""
	}
	return contactOf(all[0], factor)
}

func contactOf(p policy.Person, factor string) string {
	switch factor {
	case FactorSlack:
		return p.Slack
	case FactorEmail:
		return p.Email
	}
	return p.Phone
}
