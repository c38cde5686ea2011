package channel

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// hardTexts are what somebody may be called, or write into a log, in whatever field.
func hardTexts() map[string]string {
	return map[string]string{
		"a name of 5,000 characters": strings.Repeat("x", 5000),
		"5,000 that must be escaped": strings.Repeat(`\_*[<&"'@#`, 500),
		"5,000 that cost two":        strings.Repeat("€[]{}", 1000),
		"5,000 emoji":                strings.Repeat("👩‍👩‍👧‍👦🏴󠁧󠁢󠁳󠁣󠁴󠁿", 500),
		"5,000 beyond 16 bits":       strings.Repeat("𝕏", 5000),
		"right to left":              strings.Repeat("שלום مرحبا ", 400),
		"direction that is switched": "\u202ealice\u202c\u2066root\u2069\u200f",
		"marks without end":          "abcd" + strings.Repeat("\u0301\u0302\u0323", 1500),
		"thirty lines":               strings.Repeat("line\r\n", 30),
		"line ends of other kinds":   "a\u2028b\u2029c\vd\fe\u0085f\rg\x00h",
		"what is no UTF-8":           strings.Repeat("\xff\xc3\xed\xa0\x80", 300),
		"placeholders":               "{user} {key} {{body}} ${HOME} %s %(user)s $(id) `id`",
		"JSON":                       `","severity":"low","x":["`,
		"a long host name":           strings.Repeat("evil.example.", 300),
		"blanks":                     strings.Repeat(" \t\u00a0\u3000", 500),
	}
}

// written puts a text into each field of an alert that somebody else can write: of the
// event what its stored form leaves of it, and of all else as much as providers and
// policy may say.
func written(t *testing.T, a event.Alert, text string) event.Alert {
	t.Helper()
	e, id, severity, link, rows := a.Event, a.ID, a.Verdict.Severity, a.Runbook, len(a.Rows) > 0
	if e.Time.IsZero() {
		e.Time = login().Event.Time
	}
	for most := len(text); ; most /= 2 { // all fields at once can be more than is kept of an event
		strangers(reflect.ValueOf(&e).Elem(), text[:most])
		e.V, e.ID, e.Service, e.Session = a.Event.V, id, a.Event.Service, a.Event.Session
		b, err := e.Encode()
		if err != nil && most > 100 {
			continue
		}
		if err == nil {
			e, err = event.Decode(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	strangers(reflect.ValueOf(&a).Elem(), event.Clean(text, 200))
	a.Event, a.ID, a.Verdict.Severity, a.Runbook = e, id, severity, link
	a.LoginID, a.Refs, a.Parent, a.Replaces = "", nil, nil, nil
	if !rows {
		a.Rows = nil
	}
	return a
}

// Whatever stands in whichever field: each service takes the message, whole, within
// its limits, and in one request.
func TestEveryServiceTakesEveryText(t *testing.T) {
	for _, d := range httpDestinations() {
		t.Run(d.name, func(t *testing.T) {
			if !slices.Contains([]string{"slack", "discord", "twilio-sms", "mastodon", "webhook"}, d.name) {
				standin.Gate(t)
			}
			t.Parallel()
			f := serve(t, func(w http.ResponseWriter, r *http.Request) { d.told(w, r) })
			c := outbound.New(outbound.Options{Timeout: time.Minute})
			defer c.CloseIdleConnections()
			to, err := d.make(c, outbound.NewSecret(f.url+secretPath))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for what, text := range hardTexts() {
				for _, kind := range []string{"login-critical", "alert", "digest"} {
					a := kinds()[kind] // its own: what it points to is written to
					a = written(t, a, text)
					if kind == "alert" {
						a.Own = event.Words{Headline: "for ops: {user} on {host}: {headline}", Text: "{reasons} {alert_text}\n{body}\n{person}"}
					}
					if _, err := to.Send(t.Context(), a); err != nil {
						t.Errorf("%s in %s: %v", what, kind, err)
					}
					if n++; f.requests() != n {
						t.Fatalf("%s in %s: %d requests, want %d", what, kind, f.requests(), n)
					}
					if body := f.bodies[n-1]; !strings.Contains(text, "\xff") && (strings.Contains(body, "\ufffd") || strings.Contains(body, `\ufffd`)) {
						t.Errorf("%s in %s: a character was cut: %s", what, kind, body)
					}
				}
			}
		})
	}
}
