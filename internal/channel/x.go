package channel

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dghubble/oauth1"

	"github.com/sshnotify/sshnotify/internal/channel/form"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// XType is the channel's name in the settings.
const XType = "x"

// xAPI is where X's API is.
const xAPI = "https://api.x.com"

// X are the settings of posts or direct messages on X
// (https://docs.x.com/x-api/posts/create-post). Requests are signed by OAuth 1.0a,
// whose tokens do not expire: those of OAuth 2 are replaced in use, and two hosts
// with one token would lock each other out.
type X struct {
	ConsumerKey    outbound.Secret `toml:"consumer_key,required,secret" doc:"the API key of your app"`
	ConsumerSecret outbound.Secret `toml:"consumer_secret,required,secret" doc:"the API key's secret"`
	TokenFile      string          `toml:"token_file,required" check:"file" doc:"the file with the account's access token, which sshnotify auth x writes"`
	To             string          `toml:"to" doc:"the id of a user, in digits, who gets direct messages; without it, alerts are posts that everybody can read"`
	PerDay         int             `toml:"per_day" check:"min=1,max=1440" doc:"at most so many messages a day, a fifth of them kept for critical ones; 20"`
	URL            outbound.Secret `toml:"url,secreturl" doc:"X's API, for another place than https://api.x.com"`
}

// Validate looks at the recipient.
func (s *X) Validate(at strictoml.At) {
	if ok, _ := regexp.MatchString(`^[0-9]{1,20}$`, s.To); s.To != "" && !ok {
		at.Fail("to", "must be the id of a user, which is digits, and not a name").Hint = "look the id of a name up: https://docs.x.com/x-api/users/get-user-by-username"
	}
	if !s.URL.IsZero() {
		if err := outbound.CheckURL(s.URL.Reveal()); err != nil {
			at.Fail("url", "%s", err)
		}
	}
}

// base returns where the API is.
func (s *X) base() (string, error) {
	base := xAPI
	if !s.URL.IsZero() {
		base = strings.TrimSuffix(s.URL.Reveal(), "/")
	}
	return base, outbound.CheckURL(base)
}

// Open returns the channel. It reads the access token.
func (s *X) Open(name string, env Env) (Channel, error) {
	base, err := s.base()
	if err != nil {
		return nil, err
	}
	b, mode, err := strictoml.ReadFile(s.TokenFile)
	if err != nil {
		return nil, noToken(fmt.Errorf("token_file: %s: %w", s.TokenFile, err))
	}
	words := strings.Fields(string(b))
	switch {
	case mode&0o004 != 0:
		return nil, fmt.Errorf("token_file: others can read %s: chmod o-r %[1]s", s.TokenFile)
	case len(words) != 2:
		return nil, noToken(fmt.Errorf("token_file: %s does not hold a token and its secret", s.TokenFile))
	}
	x := &xChannel{
		name: name, client: env.Client, to: s.To, perDay: cmp.Or(s.PerDay, xPerDay),
		consumerKey: s.ConsumerKey, consumerSecret: s.ConsumerSecret, token: outbound.NewSecret(words[0]), tokenSecret: outbound.NewSecret(words[1]),
		posts: outbound.NewSecret(base + "/2/tweets"), me: outbound.NewSecret(base + "/2/users/me"),
	}
	if s.To != "" {
		x.posts = outbound.NewSecret(base + "/2/dm_conversations/with/" + s.To + "/messages")
	}
	return x, nil
}

// noToken says what makes a token.
func noToken(err error) *Error {
	return &Error{Class: Broken, Err: err, Hint: "sshnotify auth x, with the same --config, asks X for the token and writes the file"}
}

// Broadcasts reports whether alerts are posts, which everybody who follows the account
// reads, or everybody.
func (s *X) Broadcasts() bool { return s.To == "" }

type xChannel struct {
	name, to                                        string
	client                                          *outbound.Client
	perDay                                          int
	consumerKey, consumerSecret, token, tokenSecret outbound.Secret
	posts, me                                       outbound.Secret // URLs
}

func (x *xChannel) Name() string { return x.name }

// xPerDay is what a mistake costs at most, where the settings do not say it.
const xPerDay = 20

// Traits say that nothing is told twice: each message costs money. X takes 100
// posts of a user in 15 minutes, and 15 direct messages.
func (x *xChannel) Traits() Traits {
	pace := 9 * time.Second
	if x.to != "" {
		pace = time.Minute
	}
	return Traits{Pace: pace, Retry: Never, PerDay: x.perDay}
}

// The most that is sent. A post has 280 characters, weighted
// (https://docs.x.com/fundamentals/counting-characters); a direct message may be
// far longer than anybody reads.
const (
	xPost     = 280
	xMessage  = 2000
	xHeadline = 250
)

// Words say that a post has a headline alone.
func (s *X) Words() (headline, text bool) { return true, s.To != "" }

// text returns the words of a post or a message. What strangers may read is told
// without a reference, which is of use here only.
func (x *xChannel) text(a event.Alert) string {
	a.NewBar = false // there is none
	f := form.Post
	count := f.Count()
	m := message.New(a)
	public := a.Event.Note() != nil && a.Event.Note().Public
	foot := m.Footer.Fit(count, 30)
	switch {
	case public && x.to == "":
		return f.Lines(m.Body(count, xPost, 1)) // its text
	case x.to == "":
		return f.Line(m.Headline.Fit(count, xPost-count.Width(foot...)-1)) + "\n" + f.Line(foot)
	}
	head := m.Headline.Fit(count, xHeadline)
	lines := append([]message.Line{head}, m.Body(count, xMessage-xHeadline-30-2, 12)...)
	return f.Lines(append(lines, foot))
}

// Send posts the alert, in answer to its parent if there is one, or sends it to the
// recipient. The receipt has the post's id.
func (x *xChannel) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	type reply struct {
		To string `json:"in_reply_to_tweet_id"`
	}
	var post struct {
		Text  string `json:"text"`
		Reply *reply `json:"reply,omitempty"`
	}
	post.Text = x.text(a)
	if id := a.Parent["id"]; id != "" && x.to == "" {
		post.Reply = &reply{id}
	}
	body, err := json.Marshal(post)
	if err != nil {
		return nil, &Error{Class: Bug, Err: err}
	}
	answer, err := x.do(ctx, http.MethodPost, "message on X", x.posts, body)
	if err != nil {
		return nil, notAnswered(err)
	}
	id, e := x.read(answer, time.Now())
	if e != nil {
		return nil, e
	}
	if id == "" || x.to != "" {
		return nil, nil
	}
	return event.Receipt{"id": id}, nil
}

// do makes a signed request. A body of JSON is not part of what is signed
// (RFC 5849, section 3.4.1.3).
func (x *xChannel) do(ctx context.Context, method, purpose string, to outbound.Secret, body []byte) (*outbound.Response, error) {
	signed, err := http.NewRequest(method, to.Reveal(), nil)
	if err != nil {
		return nil, &outbound.Error{Kind: outbound.Invalid, Err: errors.New("not a valid URL")}
	}
	header := xSigner{}
	c := oauth1.NewClient(context.WithValue(ctx, oauth1.HTTPClient, &http.Client{Transport: header}),
		oauth1.NewConfig(x.consumerKey.Reveal(), x.consumerSecret.Reveal()), oauth1.NewToken(x.token.Reveal(), x.tokenSecret.Reveal()))
	if _, err := c.Transport.RoundTrip(signed); err != nil {
		return nil, &outbound.Error{Kind: outbound.Invalid, Err: errors.New("the request can't be signed")}
	}
	r := outbound.Request{Method: method, Purpose: purpose, URL: to, Body: body, Header: http.Header{"Authorization": header["Authorization"]}}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return x.client.Do(ctx, r)
}

// xSigner takes the header that oauth1 would have sent.
type xSigner http.Header

func (s xSigner) RoundTrip(r *http.Request) (*http.Response, error) {
	http.Header(s).Set("Authorization", r.Header.Get("Authorization"))
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

// xReply is an answer, or a problem (https://docs.x.com/x-api/fundamentals/response-codes-and-errors).
type xReply struct {
	Data struct {
		ID       string `json:"id"`
		DM       string `json:"dm_event_id"`
		Username string `json:"username"`
	} `json:"data"`
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

// says returns X's own words.
func (r xReply) says() string {
	text := cmp.Or(r.Detail, r.Title)
	if text == "" && len(r.Errors) > 0 {
		text = r.Errors[0].Message
	}
	return event.Clean(text, 2*excerptLength)
}

// read returns the id of what was posted, or what is wrong. A duplicate is no
// error: X has the very text already, of an earlier try. Its id is not known.
func (x *xChannel) read(r *outbound.Response, now time.Time) (id string, _ *Error) {
	var reply xReply
	if json.Unmarshal(r.Body, &reply) != nil || r.Truncated {
		return "", notUnderstood(r, "X")
	}
	problem := reply.Type[strings.LastIndex(reply.Type, "/")+1:]
	said := reply.says()
	if said == "" {
		said = http.StatusText(r.Status)
	}
	fail := func(c Class, what, hint string) *Error {
		e := failed(c, "%s (HTTP %d: %q)", what, r.Status, said)
		e.Hint = hint
		return e
	}
	const again = ", then make the token anew: sshnotify auth x"
	switch id := cmp.Or(reply.Data.ID, reply.Data.DM); {
	case r.Status == http.StatusCreated && id != "":
		return id, nil
	case r.Status == http.StatusForbidden && x.to == "" && strings.Contains(strings.ToLower(reply.Detail), "duplicate"):
		return "", nil
	case r.Status == http.StatusUnauthorized:
		return "", fail(Broken, "X does not take the app's key or the token", "copy consumer_key and consumer_secret from the app's Keys and tokens"+again)
	case r.Status == http.StatusForbidden && problem == "oauth1-permissions":
		return "", fail(Broken, "the app may not write", `set the app's permissions to "Read and write and Direct message"`+again)
	case r.Status == http.StatusForbidden && problem == "client-not-enrolled":
		return "", fail(Broken, "the app belongs to no project", "attach the app to a project at https://console.x.com")
	case r.Status == http.StatusForbidden && x.to != "":
		return "", fail(Broken, "X takes no message for this user", "the user must follow the account, or allow messages from everybody")
	case r.Status == http.StatusForbidden:
		return "", fail(Broken, "X refuses the post", "see whether the account is locked, at https://x.com")
	case r.Status == http.StatusPaymentRequired:
		e := fail(Quota, "the app has no credits left", "buy credits, or raise the spending limit, at https://console.x.com")
		e.RetryAfter = maxRest
		return "", e
	case r.Status == http.StatusTooManyRequests:
		return "", x.limited(r, problem, said, now)
	}
	return "", notUnderstood(r, "X")
}

// limited classes a 429: the limit of some minutes, or that of a day or a month.
func (x *xChannel) limited(r *outbound.Response, problem, said string, now time.Time) *Error {
	e := failed(Again, "too many requests (HTTP 429: %q)", said)
	e.RetryAfter = cmp.Or(r.RetryAfter, xReset(r.Header, "X-Rate-Limit-Reset", now))
	for _, day := range []string{"X-User-Limit-24hour", "X-App-Limit-24hour"} {
		if r.Header.Get(day+"-Remaining") == "0" {
			e.Class, e.RetryAfter = Quota, max(e.RetryAfter, xReset(r.Header, day+"-Reset", now))
		}
	}
	if problem == "usage-capped" {
		e.Class, e.RetryAfter, e.Hint = Quota, maxRest, "raise the spending limit at https://console.x.com"
	}
	if e.Class == Quota {
		e.Err = fmt.Errorf("the limit of a day or a month is reached (HTTP 429: %q)", said)
	}
	return e
}

// xReset reads a time of X's, in seconds since 1970.
func xReset(h http.Header, name string, now time.Time) time.Duration {
	s, err := strconv.ParseInt(h.Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return min(max(time.Unix(s, 0).Sub(now), 0), maxRest)
}

// Checks look, online, whose the token is.
func (x *xChannel) Checks() []doctor.Check {
	return []doctor.Check{{Needs: doctor.NeedsOnline, Run: func(ctx context.Context, r *doctor.Report) {
		name := "online " + x.name
		answer, err := x.do(ctx, http.MethodGet, "doctor", x.me, nil)
		if err != nil {
			r.Fail(name, "", "%v", err)
			return
		}
		var reply xReply
		if answer.Status == http.StatusOK && json.Unmarshal(answer.Body, &reply) == nil && reply.Data.Username != "" {
			r.OK(name, "X takes the token of @%s; only a test message shows whether it may write: %s", event.Clean(reply.Data.Username, excerptLength), r.Command("test"))
			return
		}
		if _, e := x.read(answer, time.Now()); e != nil && e.Class != Again {
			r.Fail(name, cmp.Or(e.Hint, r.Command("test")), "%v", e)
			return
		}
		r.Warn(name, "ask again later: "+r.Command("doctor --online"), "X was reached, and says HTTP %d", answer.Status)
	}}}
}

// Authorize asks X for an access token of an account whose owner says so to X and
// brings back a PIN, and returns what belongs into TokenFile. pin shows the address
// that the owner opens, and returns the PIN
// (https://docs.x.com/fundamentals/authentication/oauth-1-0a/pin-based-oauth).
func (s *X) Authorize(ctx context.Context, client *outbound.Client, pin func(url string) (string, error)) ([]byte, error) {
	base, err := s.base()
	if err != nil {
		return nil, err
	}
	t := &xTransport{ctx: ctx, client: client}
	c := &oauth1.Config{
		ConsumerKey: s.ConsumerKey.Reveal(), ConsumerSecret: s.ConsumerSecret.Reveal(), CallbackURL: "oob", HTTPClient: &http.Client{Transport: t},
		Endpoint: oauth1.Endpoint{RequestTokenURL: base + "/oauth/request_token", AuthorizeURL: base + "/oauth/authorize", AccessTokenURL: base + "/oauth/access_token"},
	}
	token, secret, err := c.RequestToken()
	if err != nil {
		return nil, t.explain("consumer_key and consumer_secret are not those of an app, or the app has no callback URL, which X wants for a PIN as well")
	}
	u, err := c.AuthorizationURL(token)
	if err != nil {
		return nil, err
	}
	number, err := pin(u.String())
	if err != nil {
		return nil, err
	}
	token, secret, err = c.AccessToken(token, secret, number)
	if err != nil {
		return nil, t.explain("the PIN is not the one that X showed, or is too old")
	}
	if slices.ContainsFunc([]string{token, secret}, func(s string) bool { return url.QueryEscape(s) != s }) {
		return nil, errors.New("what X answers is no token")
	}
	return []byte(token + "\n" + secret + "\n"), nil
}

// xTransport sends oauth1's requests on the client's way. oauth1's errors quote the
// answer, or leave it out: the last one is kept to say what came of it.
type xTransport struct {
	ctx    context.Context
	client *outbound.Client
	status int
	err    error
}

func (t *xTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.client.Do(t.ctx, outbound.Request{Method: r.Method, Purpose: "token of X", URL: outbound.NewSecret(r.URL.String()), Header: r.Header})
	if err != nil {
		t.err = err
		return nil, err
	}
	t.status = answer.Status
	return &http.Response{StatusCode: answer.Status, Body: io.NopCloser(bytes.NewReader(answer.Body)), Request: r}, nil
}

// explain says what went wrong; refused is what a refusal means.
func (t *xTransport) explain(refused string) error {
	switch {
	case t.err != nil:
		return t.err
	case t.status == http.StatusUnauthorized || t.status == http.StatusForbidden || t.status == http.StatusBadRequest:
		return fmt.Errorf("%s (HTTP %d)", refused, t.status)
	}
	return fmt.Errorf("the answer is not understood (HTTP %d)", t.status)
}
