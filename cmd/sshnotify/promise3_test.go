package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// grey is the contract's colour of what is not known, green that of what is
// known to be safe.
const (
	grey  = "#9aa0a6"
	green = "#02ff00"
)

// unknownRisk is the line of a risk that is not known: it says why.
var unknownRisk = regexp.MustCompile(`(?m)^\*Threat Jammer Risk:\* unknown - \S.*$`)

func jsonAnswer(status int, body string) standin.Answer {
	return standin.Answer{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

// Whatever the provider does that is not a proper answer, the login is told as
// not known: grey, with a reason, and routed as if it were of medium severity.
func TestPromise3UnknownIsNeverSafe(t *testing.T) {
	t.Parallel()
	apiError := func(status int, title string) standin.Answer {
		return jsonAnswer(status, fmt.Sprintf(`{"title":%q,"detail":"it is so","type:":"https://threatjammer.com/docs/x"}`, title))
	}
	html := standin.Answer{Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>Welcome to the hotel's network</html>"}
	for name, a := range map[string]standin.Answer{
		"400":                         apiError(400, "IP Address Must Be Public"),
		"401":                         apiError(401, "Unauthorized"),
		"403":                         apiError(403, "Forbidden"),
		"404":                         apiError(404, "Resource not found"),
		"422":                         jsonAnswer(422, `{"detail":[{"loc":["path","ip_address"],"msg":"value is not valid","type":"value_error"}]}`),
		"429":                         {Status: 429, Header: http.Header{"Retry-After": {"30"}}},
		"500":                         {Status: 500},
		"503":                         {Status: 503, Header: http.Header{"Retry-After": {"120"}}},
		"204":                         {Status: 204},
		"201 with an answer":          jsonAnswer(201, `{"score":0,"risk":"LOW"}`),
		"never an answer":             {Hang: true},
		"an answer a byte a second":   {Accept: true, DripBytes: true},
		"a closed connection":         {Drop: true},
		"a redirect":                  {Redirect: "http://127.0.0.1:9/"},
		"a permanent redirect":        {Status: 308, Redirect: "https://evil.example/"},
		"an answer of 100 MB":         {Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"score":0,"risk":"LOW","x":"`, HugeBody: true},
		"a login page":                html,
		"JSON that says it is HTML":   {Header: http.Header{"Content-Type": {"text/html"}}, Body: `{"score":0,"risk":"LOW"}`},
		"JSON of no type":             {Header: http.Header{"Content-Type": {""}}, Body: `{"score":0,"risk":"LOW"}`},
		"nothing":                     jsonAnswer(200, ""),
		"half of JSON":                jsonAnswer(200, `{"score":0,"risk":"LO`),
		"two answers":                 jsonAnswer(200, `{"score":0,"risk":"LOW"}{"score":0}`),
		"a list":                      jsonAnswer(200, `[{"score":0,"risk":"LOW"}]`),
		"null":                        jsonAnswer(200, `null`),
		"an empty object":             jsonAnswer(200, `{}`),
		"another service's answer":    jsonAnswer(200, `{"status":"success","country":"IE"}`),
		"no score":                    jsonAnswer(200, `{"risk":"LOW"}`),
		"a null score":                jsonAnswer(200, `{"score":null,"risk":"LOW"}`),
		"a score in words":            jsonAnswer(200, `{"score":"0","risk":"LOW"}`),
		"a score that is true":        jsonAnswer(200, `{"score":true,"risk":"LOW"}`),
		"a score in a list":           jsonAnswer(200, `{"score":[0],"risk":"LOW"}`),
		"a score below all":           jsonAnswer(200, `{"score":-1,"risk":"LOW"}`),
		"a score above all":           jsonAnswer(200, `{"score":101,"risk":"LOW"}`),
		"a score of a half":           jsonAnswer(200, `{"score":0.5,"risk":"LOW"}`),
		"a score beyond numbers":      jsonAnswer(200, `{"score":1e999,"risk":"LOW"}`),
		"a score of minus a lot":      jsonAnswer(200, `{"score":-1e999,"risk":"LOW"}`),
		"a low score that nobody had": jsonAnswer(200, `{"score":0,"risk":"UNKNOWN"}`),
		"a low score without a word":  jsonAnswer(200, `{"score":0}`),
		"a risk that is a number":     jsonAnswer(200, `{"score":0,"risk":0}`),
		"a score by another's name":   jsonAnswer(200, `{"Score":0,"risk":"LOW"}`),
	} {
		t.Run(name, func(t *testing.T) {
			sample(t, name, "401", "429", "500", "never an answer", "a redirect", "an answer of 100 MB", "half of JSON", "an empty object", "a null score", "a low score that nobody had")
			t.Parallel()
			_, provider := newThreatJammer(t, standin.ThreatJammerOptions{Behave: func(int, *http.Request) *standin.Answer { return &a }})
			checkUnknown(t, provider)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		tj, provider := newThreatJammer(t, standin.ThreatJammerOptions{})
		tj.Close()
		checkUnknown(t, provider)
	})
	t.Run("another key", func(t *testing.T) {
		t.Parallel()
		tj, provider := newThreatJammer(t, standin.ThreatJammerOptions{})
		checkUnknown(t, strings.ReplaceAll(provider, tj.Key(), "tja_wrong"))
	})
}

// checkUnknown tells a login, which the provider must not know.
func checkUnknown(t *testing.T, provider string) {
	t.Helper()
	// A destination that wants what matters must get what is not known.
	s := newSwiftSite(t, standin.SlackOptions{}, provider+"[enrich]\ntimeout = \"500ms\"\n")
	s.reconfigure("[destination.slack]", "[destination.slack]\nmin_severity = \"medium\"")
	s.login("alice", netip.MustParseAddr("198.51.100.20")) // which the stand-in calls safe
	s.mustDeliver()
	m, a := s.one()
	if a.Color != grey {
		t.Errorf("colour %s, want grey (%s)", a.Color, grey)
	}
	if !unknownRisk.MatchString(a.Text) {
		t.Errorf("text %q says no reason why the risk is unknown", a.Text)
	}
	if !strings.HasSuffix(m.Payload.Text, "from 198.51.100.20: risk unknown") {
		t.Errorf("headline %q", m.Payload.Text)
	}
}

// The same login is green where the provider does its work: or the test above
// could not fail.
func TestPromise3KnownIsSafe(t *testing.T) {
	t.Parallel()
	_, provider := newThreatJammer(t, standin.ThreatJammerOptions{})
	s := newSwiftSite(t, standin.SlackOptions{}, provider)
	s.login("alice", netip.MustParseAddr("198.51.100.20"))
	s.mustDeliver()
	if _, a := s.one(); a.Color != green || !strings.Contains(a.Text, "*Threat Jammer Risk:* 0 (LOW)") {
		t.Errorf("colour %s, text %q", a.Color, a.Text)
	}
}

// One login of which nothing is known takes the green from a digest.
func TestPromise3ADigestIsAsSafeAsItsWorst(t *testing.T) {
	t.Parallel()
	bad := netip.MustParseAddr("203.0.113.99")
	tj, provider := newThreatJammer(t, standin.ThreatJammerOptions{Behave: func(_ int, r *http.Request) *standin.Answer {
		if strings.Contains(r.URL.Path, bad.String()) {
			return &standin.Answer{Status: 500}
		}
		return nil
	}})
	safe := netip.MustParseAddr("198.51.100.20")
	tj.Set(safe, standin.Answers{Score: 0, Risk: "LOW", Reason: "No risk found."})
	s := newSwiftSite(t, standin.SlackOptions{}, provider)
	for i := range 14 {
		env := pamEnv("open_session", crowdUser(i), safe)
		if i == 7 {
			env = pamEnv("open_session", crowdUser(i), bad)
		}
		env[0] = fmt.Sprintf("SSH_CONNECTION=%s %d 192.0.2.5 22", safe, 10000+i)
		if i == 7 {
			env = env[1:]
		}
		s.hook(env)
	}
	s.mustDeliver()
	_, a := s.one()
	newTally(s.slack.Messages()).check(t, 14, 0)
	if a.Color != grey {
		t.Errorf("colour %s, want grey (%s): %s", a.Color, grey, a.Text)
	}
}
