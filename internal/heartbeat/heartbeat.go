// Package heartbeat tells a dead man's switch that the worker can still tell what
// happens: a service elsewhere, which alarms where nothing comes any more. It must
// never send a name of a user, a destination or a host, and an old beat is worth
// nothing: none is kept for later.
package heartbeat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// The values of Settings.Protocol.
const (
	Healthchecks = "healthchecks" // https://healthchecks.io/docs/http_api/
	Get          = "get"          // a GET of URL, or of FailURL
)

// The values of Settings.Message.
const (
	None   = "none"
	Daily  = "daily"
	Weekly = "weekly"
)

// Settings are the table [heartbeat].
type Settings struct {
	// URL is that of a check. It is a secret: whoever has it can keep the check
	// green. Zero: nothing is pinged.
	URL      outbound.Secret `toml:"url,secret"`
	Protocol string          `toml:"protocol" check:"oneof=healthchecks get"`
	// FailURL is told where something is wrong, by Get; zero: nothing is.
	FailURL outbound.Secret `toml:"fail_url,secret"`
	Every   time.Duration   `toml:"every" check:"min=1m,max=1d"`
	// Message is how often a message says by the destinations that all is well.
	Message     string   `toml:"message" check:"oneof=none daily weekly"`
	Destination []string `toml:"destination,one"` // of the message; none: as they are routed
}

// DefaultSettings send nothing.
func DefaultSettings() Settings {
	return Settings{Protocol: Healthchecks, Every: 5 * time.Minute, Message: None}
}

// Validate looks at the URLs, and at what goes with what.
func (s *Settings) Validate(at strictoml.At) {
	for key, u := range map[string]outbound.Secret{"url": s.URL, "fail_url": s.FailURL} {
		if u.IsZero() {
			continue
		}
		if err := outbound.CheckURL(u.Reveal()); err != nil {
			at.Fail(key, "%s", err)
		}
	}
	if u, err := url.Parse(s.URL.Reveal()); err == nil && s.Protocol == Healthchecks {
		for _, end := range []string{"/fail", "/start", "/log"} {
			if strings.HasSuffix(u.Path, end) {
				at.Fail("url", "must be the ping URL alone, without %s", end)
			}
		}
	}
	switch {
	case !at.OK():
	case !s.FailURL.IsZero() && s.Protocol != Get:
		at.Fail("fail_url", `is of protocol = "get" alone`).Hint = "healthchecks has /fail at the end of url, which is added where it is needed"
	case !s.FailURL.IsZero() && s.URL.IsZero():
		at.Fail("fail_url", "needs url")
	case len(s.Destination) > 0 && s.Message == None:
		at.Fail("destination", "is of the message that message asks for").Hint = `message = "daily"`
	}
}

// Beat is what a switch is told.
type Beat struct {
	Failing bool   // sshnotify runs, and can't tell all that it should
	Text    string // a line of figures
}

// Of returns the beat of figures as they are now, and what is wrong in words that
// name destinations. It fails where the plugin's verdict is CRITICAL, and for a
// dead letter.
func Of(f figures.Figures, w *figures.Watch, now time.Time) (b Beat, problems []string) {
	v := figures.Judge(f, w, figures.DefaultThresholds(), now, true)
	oldest, told, up := "-", "-", 0
	if !f.Queue.Oldest.IsZero() {
		oldest = max(0, now.Sub(f.Queue.Oldest)).Round(time.Second).String()
	}
	var last time.Time
	for _, d := range f.Dest {
		if d.Up() {
			up++
		}
		if d.Last.After(last) {
			last, told = d.Last, d.Last.UTC().Format(time.RFC3339)
		}
	}
	return Beat{
		Failing: v.Status == figures.Critical || f.Queue.Dead > 0,
		Text: fmt.Sprintf("queue %d, oldest %s, dead letters %d, destinations %d of %d up, last told %s, sshnotify %s",
			f.Queue.Waiting, oldest, f.Queue.Dead, up, len(f.Dest), told, f.Version),
	}, v.Problems()
}

// Pinger sends beats. It may be used concurrently.
type Pinger struct {
	s      Settings
	client *outbound.Client
}

// New returns what pings as the settings say; nil where they name no URL.
func New(s Settings, client *outbound.Client) *Pinger {
	if s.URL.IsZero() {
		return nil
	}
	return &Pinger{s, client}
}

// Every is how often a beat should be sent.
func (p *Pinger) Every() time.Duration { return p.s.Every }

// Error is a beat that did not arrive.
type Error struct {
	Final bool   // and the next won't either, unless somebody does something
	Hint  string // what; may be empty
	Err   error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// maxAnswer is far above what a switch answers.
const maxAnswer = 4 << 10

// Ping sends a beat. Any error is an *Error, which holds no secret. A start is
// never sent: it begins a time after which the check fails unless it succeeds.
func (p *Pinger) Ping(ctx context.Context, b Beat) error {
	r := outbound.Request{Method: http.MethodGet, Purpose: "heartbeat", URL: p.s.URL, MaxBody: maxAnswer}
	switch {
	case p.s.Protocol == Healthchecks:
		r.Method, r.Body = http.MethodPost, []byte(b.Text)
		r.Header = http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
		if b.Failing {
			u, err := url.Parse(p.s.URL.Reveal())
			if err != nil {
				return &Error{Final: true, Err: errors.New("the URL is none")} // the parser's error quotes it
			}
			u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+"/fail", ""
			r.URL = outbound.NewSecret(u.String())
		}
	case b.Failing && p.s.FailURL.IsZero():
		return nil // that nothing comes says it
	case b.Failing:
		r.URL = p.s.FailURL
	}
	resp, err := p.client.Do(ctx, r)
	if err != nil {
		return &Error{Err: err}
	}
	return judge(resp)
}

// judge reads an answer. Healthchecks says of some pings that it does not take
// with 200 and what else stands behind OK.
func judge(resp *outbound.Response) error {
	const another = "put the check's ping URL, as its page shows it, into heartbeat.url_file"
	text := strings.ToLower(resp.Excerpt(100))
	switch s := resp.Status; {
	case s/100 == 2 && strings.Contains(text, "(not found)"), s == http.StatusNotFound, s == http.StatusGone:
		return &Error{true, "make the check anew, or " + another, fmt.Errorf("the check is not there (HTTP %d)", s)}
	case s/100 == 2 && strings.Contains(text, "(rate limited)"), s == http.StatusTooManyRequests:
		return &Error{Hint: "give each host a check of its own", Err: errors.New("the check is pinged too often")}
	case s/100 == 2:
		return nil
	case s == http.StatusConflict:
		return &Error{true, another + ": that with the UUID", fmt.Errorf("more than one check is called so (HTTP %d)", s)}
	case s/100 == 3 && resp.RedirectHost() != "":
		return &Error{true, another, fmt.Errorf("the answer is a redirect to %s, which is not followed (HTTP %d)", resp.RedirectHost(), s)}
	case s/100 == 3, s/100 == 4 && s != http.StatusRequestTimeout:
		return &Error{true, another, fmt.Errorf("the ping is refused (HTTP %d)", s)}
	default:
		return &Error{Err: fmt.Errorf("the service is out of order (HTTP %d)", s)}
	}
}
