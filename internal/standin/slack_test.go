package standin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSlackURL(t *testing.T) {
	a, b := slack(t, SlackOptions{}), slack(t, SlackOptions{})
	form := regexp.MustCompile(`^http://127\.0\.0\.1:\d+/services/T00000000/B00000000/[0-9A-Za-z]{24}$`)
	if !form.MatchString(a.URL()) {
		t.Errorf("URL is %s", a.URL())
	}
	if a.path == b.path {
		t.Error("two webhooks have the same secret")
	}
}

func TestSlackAccepts(t *testing.T) {
	s := slack(t, SlackOptions{})
	before := time.Now()
	body := `{"text":"root → db1","attachments":[{"color":"#ff0002","title":"New SSH login","text":"*x*","ts":1795227304}]}`
	got := do(t, client(t), post(t, s.URL(), body))
	if got.status != 200 || got.body != "ok" || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Errorf("answer %+v, want 200 text/plain ok", got)
	}
	m := s.Messages()
	if len(m) != 1 {
		t.Fatalf("%d messages, want 1", len(m))
	}
	if string(m[0].Raw) != body {
		t.Errorf("raw: %s", m[0].Raw)
	}
	if m[0].At.Before(before) || m[0].At.After(time.Now()) {
		t.Errorf("arrived at %v", m[0].At)
	}
	want := Payload{Text: "root → db1", Attachments: []Attachment{{Color: "#ff0002", Title: "New SSH login", Text: "*x*", TS: 1795227304}}}
	if d := cmp.Diff(want, m[0].Payload); d != "" {
		t.Error(d)
	}
}

func TestSlackStrictness(t *testing.T) {
	const fine = `{"text":"x"}`
	type row struct {
		method, path, kind, body string // as for a message that is fine, where empty
		status                   int
		answer                   string
		header                   string // that the answer must have
	}
	for name, row := range map[string]row{
		"fine":                            {status: 200, answer: "ok"},
		"another path":                    {path: "/services/T00000000/B00000000/000000000000000000000000", status: 404, answer: "no_service"},
		"the path and a slash":            {path: "{}/", status: 404, answer: "no_service"},
		"the path, differently escaped":   {path: "/%73ervices", status: 404, answer: "no_service"},
		"another path by GET":             {method: "GET", path: "/", status: 404, answer: "no_service"},
		"GET, as a redirected POST":       {method: "GET", status: 405, answer: "method_not_allowed", header: "Allow"},
		"PUT":                             {method: "PUT", status: 405, answer: "method_not_allowed", header: "Allow"},
		"JSON with a character set":       {kind: "application/json; charset=UTF-8", status: 200, answer: "ok"},
		"JSON in another character set":   {kind: "application/json; charset=latin1", status: 400, answer: "invalid_payload"},
		"no content type":                 {kind: "-", status: 400, answer: "invalid_payload"},
		"two content types":               {kind: "+", status: 400, answer: "invalid_payload"},
		"plain text":                      {kind: "text/plain", status: 400, answer: "invalid_payload"},
		"a content type that is none":     {kind: "application/json; charset", status: 400, answer: "invalid_payload"},
		"a form":                          {kind: "application/x-www-form-urlencoded", body: "payload=" + url.QueryEscape(fine), status: 200, answer: "ok"},
		"a form without a payload":        {kind: "application/x-www-form-urlencoded", body: fine, status: 400, answer: "invalid_payload"},
		"a form with two payloads":        {kind: "application/x-www-form-urlencoded", body: "payload=%7B%22text%22%3A%22x%22%7D&payload=%7B%7D", status: 400, answer: "invalid_payload"},
		"a form that is broken":           {kind: "application/x-www-form-urlencoded", body: "a=%zz&payload=%7B%22text%22%3A%22x%22%7D", status: 400, answer: "invalid_payload"},
		"a form with a bad payload":       {kind: "application/x-www-form-urlencoded", body: "payload=%7B", status: 400, answer: "invalid_payload"},
		"an empty body":                   {body: "-", status: 400, answer: "invalid_payload"},
		"a body at the limit":             {body: padded(maxSlackBody), status: 200, answer: "ok"},
		"a body above the limit":          {body: padded(maxSlackBody + 1), status: 400, answer: "invalid_payload"},
		"a refusal of the payload itself": {body: `{"attachments":[]}`, status: 400, answer: "no_text"},
	} {
		t.Run(name, func(t *testing.T) {
			s := slack(t, SlackOptions{})
			body := fine
			switch row.body {
			case "":
			case "-":
				body = ""
			default:
				body = row.body
			}
			r := post(t, s.URL(), body)
			if row.method != "" {
				r.Method = row.method
			}
			if row.path != "" {
				u, err := url.Parse(strings.TrimSuffix(s.URL(), s.path) + strings.ReplaceAll(
					strings.ReplaceAll(row.path, "{}", s.path), "/%73ervices", "/%73ervices"+strings.TrimPrefix(s.path, "/services")))
				if err != nil {
					t.Fatal(err)
				}
				r.URL = u
			}
			switch row.kind {
			case "":
			case "-":
				r.Header.Del("Content-Type")
			case "+":
				r.Header.Add("Content-Type", "application/json")
			default:
				r.Header.Set("Content-Type", row.kind)
			}
			got := do(t, client(t), r)
			if got.status != row.status || got.body != row.answer {
				t.Errorf("answer %d %q, want %d %q", got.status, got.body, row.status, row.answer)
			}
			if row.header != "" && got.header.Get(row.header) == "" {
				t.Errorf("no header %s in %v", row.header, got.header)
			}
			want := SlackStats{Requests: 1, Accepted: 1}
			if row.status != 200 {
				want = SlackStats{Requests: 1, Refused: 1}
				refused := s.Refusals()
				if len(refused) != 1 || refused[0].Status != row.status || refused[0].Reason != row.answer || refused[0].At.IsZero() {
					t.Errorf("recorded %+v", refused)
				}
			}
			if got := s.Stats(); got != want {
				t.Errorf("stats %+v, want %+v", got, want)
			}
			if len(s.Messages()) != want.Accepted {
				t.Errorf("%d messages, want %d", len(s.Messages()), want.Accepted)
			}
		})
	}
}

// padded is a message of n bytes that is fine.
func padded(n int) string {
	const frame = `{"text":""}`
	return `{"text":"` + strings.Repeat("x", n-len(frame)) + `"}`
}

func TestSlackRate(t *testing.T) {
	for name, row := range map[string]struct {
		o    SlackOptions
		want []int
	}{
		"strict":          {SlackOptions{MaxPerSecond: SlackPerSecond}, []int{200, 429, 429}},
		"a burst allowed": {SlackOptions{MaxPerSecond: SlackPerSecond, Burst: 1}, []int{200, 200, 429}},
		"no limit":        {SlackOptions{}, []int{200, 200, 200}},
	} {
		t.Run(name, func(t *testing.T) {
			s := slack(t, row.o)
			c := client(t)
			limited := 0
			for i, want := range row.want {
				got := do(t, c, post(t, s.URL(), fmt.Sprintf(`{"text":"%d"}`, i)))
				if got.status != want {
					t.Fatalf("message %d: %d, want %d", i, got.status, want)
				}
				if want != 429 {
					continue
				}
				limited++
				if got.header.Get("Retry-After") != "1" || got.body != `{"retry_after":1,"ok":false,"error":"rate_limited"}` {
					t.Errorf("message %d: %+v", i, got)
				}
			}
			want := SlackStats{Requests: 3, Accepted: 3 - limited, Refused: limited, RateLimited: limited}
			if got := s.Stats(); got != want {
				t.Errorf("stats %+v, want %+v", got, want)
			}
			for _, r := range s.Refusals() {
				if r.Status != 429 || r.Reason != "rate_limited" {
					t.Errorf("recorded %d %s", r.Status, r.Reason)
				}
			}
		})
	}
	t.Run("a refused message uses nothing up", func(t *testing.T) {
		s := slack(t, SlackOptions{MaxPerSecond: SlackPerSecond})
		c := client(t)
		do(t, c, post(t, s.URL(), `{}`))
		if got := do(t, c, post(t, s.URL(), `{"text":"x"}`)); got.status != 200 {
			t.Errorf("answer %+v", got)
		}
	})
}

// TestSlackBody: a body that breaks off is no message, though what came of it
// would be one.
func TestSlackBodyBreaksOff(t *testing.T) {
	s := slack(t, SlackOptions{})
	whole := `{"text":"x"}`
	r := post(t, s.URL(), "")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(whole), broken{}))
	r.ContentLength = int64(len(whole)) + 10
	if res, err := client(t).Do(r); err == nil {
		res.Body.Close()
	}
	if err := s.WaitRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if len(s.Messages()) != 0 {
		t.Error("half a message was accepted")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the disk fell off") }

func TestSlackLatency(t *testing.T) {
	const latency = 30 * time.Millisecond
	s := slack(t, SlackOptions{Latency: latency})
	start := time.Now()
	do(t, client(t), post(t, s.URL(), `{"text":"x"}`))
	if took := time.Since(start); took < latency {
		t.Errorf("answered after %v, want at least %v", took, latency)
	}
}

// TestSlackLatencyAccepts: a client that gives up has no answer, and the
// message has arrived all the same.
func TestSlackLatencyAccepts(t *testing.T) {
	s := slack(t, SlackOptions{Latency: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	c := client(t)
	go func() {
		_, err := c.Do(post(t, s.URL(), `{"text":"x"}`).WithContext(ctx))
		failed <- err
	}()
	if err := s.Wait(t.Context(), 1); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-failed; err == nil {
		t.Error("answered at once")
	}
}

func TestSlackHang(t *testing.T) {
	s := slack(t, SlackOptions{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	c := client(t)
	go func() {
		_, err := c.Do(post(t, s.URL(), `{"text":"x"}`).WithContext(ctx))
		failed <- err
	}()
	if err := s.WaitRequests(t.Context(), 1); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want no answer", err)
	}
	if got := s.Stats(); got != (SlackStats{Requests: 1, Scripted: 1}) {
		t.Errorf("stats %+v", got)
	}
}

func FuzzSlackPayloadIn(f *testing.F) {
	f.Add("application/json", []byte(`{"text":"x"}`))
	f.Add("application/x-www-form-urlencoded", []byte(`payload=%7B%7D`))
	f.Add("application/json; charset=\"utf-8\"", []byte("\xff"))
	f.Fuzz(func(t *testing.T, kind string, raw []byte) {
		got, ok := payloadIn(http.Header{"Content-Type": {kind}}.Values("Content-Type"), raw)
		if !ok && got != nil {
			t.Error("a payload and a refusal")
		}
	})
}
