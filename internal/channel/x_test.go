package channel

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
)

func xSettings(to, url string) *X {
	return &X{
		ConsumerKey: outbound.NewSecret(standin.XConsumerKey), ConsumerSecret: outbound.NewSecret(standin.XConsumerSecret),
		To: to, URL: outbound.NewSecret(url),
	}
}

func openX(c *outbound.Client, to, url string) (Channel, error) {
	if url == "" {
		return nil, errors.New("X itself is not asked")
	}
	dir, err := os.MkdirTemp("", "sshnotify-x-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // Open has read it then
	s := xSettings(to, url)
	s.TokenFile = filepath.Join(dir, "x.token")
	if err := os.WriteFile(s.TokenFile, []byte(standin.XToken+"\n"+standin.XTokenSecret+"\n"), 0o600); err != nil {
		return nil, err
	}
	return s.Open("x", Env{Client: c})
}

func xProblem(kind, detail string) string {
	b, _ := json.Marshal(map[string]string{"type": "https://api.x.com/2/problems/" + kind, "detail": detail})
	return string(b)
}

func xRow() httpDestination {
	soon := strconv.FormatInt(time.Now().Add(48*time.Hour).Unix(), 10)
	return httpDestination{
		name: XType,
		make: func(c *outbound.Client, url outbound.Secret) (Channel, error) { return openX(c, "", url.Reveal()) },
		told: standin.NewX().ServeHTTP,
		own: []answer{
			{"a duplicate is what was told before", says(403, xProblem("about:blank", "You are not allowed to create a Tweet with duplicate content.")), nil, ""},
			{"a wrong token", says(401, `{"title":"Unauthorized","type":"about:blank","status":401,"detail":"Unauthorized"}`), &Error{Class: Broken}, "the token"},
			{"an app that may only read", says(403, xProblem("oauth1-permissions", "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.")), &Error{Class: Broken}, "may not write"},
			{"an app without a project", says(403, xProblem("client-not-enrolled", "x")), &Error{Class: Broken}, "no project"},
			{"a locked account", says(403, xProblem("forbidden", "To protect our users, this account is temporarily locked.")), &Error{Class: Broken}, "temporarily locked"},
			{"no credits", says(402, xProblem("credits", "Your enrolled account does not have any credits to fulfill this request.")), &Error{Class: Quota, RetryAfter: 24 * time.Hour}, "no credits"},
			{"a spending limit", says(429, xProblem("usage-capped", "Usage cap exceeded")), &Error{Class: Quota, RetryAfter: 24 * time.Hour}, "a day or a month"},
			{"the day's posts", says(429, `{"title":"Too Many Requests"}`, "x-user-limit-24hour-remaining", "0", "x-user-limit-24hour-reset", soon), &Error{Class: Quota, RetryAfter: 24 * time.Hour}, "a day or a month"},
			{"too often, until a time", says(429, `{"title":"Too Many Requests"}`, "x-rate-limit-reset", "1"), &Error{Class: Again}, "Too Many Requests"},
			{"a text that it does not take", says(400, xProblem("invalid-request", "x")), &Error{Class: Bug}, "HTTP 400"},
			{"no id", says(201, `{"data":{}}`), &Error{Class: Again, Sent: true}, "not X's answer"},
		},
	}
}

func xDMRow() httpDestination {
	row := xRow()
	row.make = func(c *outbound.Client, url outbound.Secret) (Channel, error) {
		return openX(c, "2244994945", url.Reveal())
	}
	row.told = standin.NewX().ServeHTTP
	row.own = []answer{
		{"DM: a user who takes none", says(403, xProblem("forbidden", "You cannot send messages to this user.")), &Error{Class: Broken}, "no message for this user"},
		{"DM: a duplicate tells nothing", says(403, xProblem("forbidden", "duplicate")), &Error{Class: Broken}, "duplicate"},
	}
	return row
}

// The end of an attack answers the post of the attack, and a duplicate has no id.
func TestXAnswers(t *testing.T) {
	x := standin.NewX()
	var bodies []string
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(b))
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		x.ServeHTTP(w, r)
	})
	c := outbound.New(outbound.Options{})
	defer c.CloseIdleConnections()
	to, err := openX(c, "", f.url)
	if err != nil {
		t.Fatal(err)
	}
	first, err := to.Send(t.Context(), login())
	if err != nil || first["id"] == "" {
		t.Fatal(first, err)
	}
	if again, err := to.Send(t.Context(), login()); err != nil || again != nil {
		t.Errorf("the same again: %v, %v", again, err)
	}
	end := goldenAlerts()["attack-ended"]
	end.Parent = first
	if _, err := to.Send(t.Context(), end); err != nil || !strings.Contains(bodies[2], `"reply":{"in_reply_to_tweet_id":"`+first["id"]+`"}`) {
		t.Errorf("%v: %s", err, bodies[2])
	}
	if n := len(x.Texts()); n != 2 {
		t.Errorf("%d posts, want 2", n)
	}
}

// Whatever a message holds, a post has at most 280 characters as X counts them,
// names no host that becomes a link, and mentions nobody.
func TestXWeight(t *testing.T) {
	x := &xChannel{}
	all := goldenAlerts()
	long := all["published"]
	long.Event.Attack = &event.Attack{Note: event.Note{Public: true, Title: "x", Text: "203.0.113.7 made 9 attempts to log in by sshd; names tried: " + strings.Repeat("𝕏管理者, ", 60)}}
	all["the longest post for strangers"] = long
	for name, a := range alerts() {
		all[name] = a
	}
	for name, a := range all {
		text := x.text(a)
		if n := standin.XWeight(text); n > xPost || n == 0 {
			t.Errorf("%s: %d characters: %s", name, n, text)
		}
		text = strings.TrimPrefix(text, "<!here> for ops, ") // the owner's
		if strings.ContainsAny(text, "@#$＠＃") || strings.Contains(text, ".com") || strings.Contains(text, "://") {
			t.Errorf("%s: it links or mentions: %s", name, text)
		}
	}
	if got := x.text(long); !strings.HasPrefix(got, "203.0.113.7 made 9 attempts") || strings.Contains(got, "ref ") || standin.XWeight(got) < 120 {
		t.Errorf("%d: %s", standin.XWeight(got), got)
	}
}

// A token that can't be used is said before anything is sent.
func TestXToken(t *testing.T) {
	for _, tc := range []struct {
		name, content string
		mode          os.FileMode
		want          string
	}{
		{"missing", "", 0, "sshnotify auth x"},
		{"half a token", "swordfish\n", 0o600, "sshnotify auth x"},
		{"others can read it", "swordfish xyzzy\n", 0o644, "chmod o-r"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := xSettings("", "https://api.example.com")
			s.TokenFile = filepath.Join(t.TempDir(), "x.token")
			if tc.mode != 0 {
				if err := os.WriteFile(s.TokenFile, []byte(tc.content), tc.mode); err != nil {
					t.Fatal(err)
				}
			}
			_, err := s.Open("x", Env{})
			if err == nil {
				t.Fatal("no error")
			}
			said := err.Error()
			if e, ok := errors.AsType[*Error](err); ok {
				said += ": " + e.Hint
			}
			if !strings.Contains(said, tc.want) || leak(said) != "" {
				t.Error(said)
			}
		})
	}
}

// The PIN flow ends in a token, and says what is wrong where it does not.
func TestXAuthorize(t *testing.T) {
	for _, tc := range []struct {
		name, secret, pin string
		answer            http.HandlerFunc // in place of X
		want              string           // in the error; empty: a token
	}{
		{"the PIN is right", standin.XConsumerSecret, standin.XPIN, nil, ""},
		{"the PIN is wrong", standin.XConsumerSecret, "1234567", nil, "the PIN is not the one"},
		{"the app's secret is wrong", "swordfish", standin.XPIN, nil, "no callback URL"},
		{"a login page", standin.XConsumerSecret, standin.XPIN, says(200, "<html>"), "not understood"},
		{"X is away", standin.XConsumerSecret, standin.XPIN, says(503, ""), "HTTP 503"},
		{"nobody types", standin.XConsumerSecret, "", nil, "no answer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := tc.answer
			if answer == nil {
				answer = standin.NewX().ServeHTTP
			}
			f := serve(t, answer)
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			s := xSettings("", f.url)
			s.ConsumerSecret = outbound.NewSecret(tc.secret)
			got, err := s.Authorize(t.Context(), c, func(url string) (string, error) {
				if !strings.HasPrefix(url, f.url+"/oauth/authorize?oauth_token=") {
					t.Errorf("the address is %s", url)
				}
				if tc.pin == "" {
					return "", errors.New("no answer")
				}
				return tc.pin, nil
			})
			if tc.want == "" {
				if diff := gocmp.Diff(standin.XToken+"\n"+standin.XTokenSecret+"\n", string(got)); err != nil || diff != "" {
					t.Error(err, diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || leak(err.Error()) != "" {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// doctor tells a wrong token, an app that may only read and a lack of credits apart.
func TestXDoctor(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
		state  doctor.State
	}{
		{"all is well", standin.NewX().ServeHTTP, "@example", doctor.OK},
		{"a wrong token", says(401, `{"detail":"Unauthorized"}`), "app's key or the token", doctor.Fail},
		{"no credits", says(402, `{"detail":"CreditsDepleted"}`), "no credits", doctor.Fail},
		{"away", says(503, ``), "HTTP 503", doctor.Warn},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, tc.answer)
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			x, err := openX(c, "", f.url)
			if err != nil {
				t.Fatal(err)
			}
			r := &doctor.Report{}
			for _, check := range x.(Checker).Checks() {
				check.Run(t.Context(), r)
			}
			if len(r.Results) != 1 || r.Results[0].State != tc.state || !strings.Contains(r.Results[0].Message, tc.want) {
				t.Errorf("%+v, want %q", r.Results, tc.want)
			}
		})
	}
}
