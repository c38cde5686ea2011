package service

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// file is a description with nothing of its own.
type file struct {
	Description
	Requests []Request `toml:"request"`
	Examples []Example `toml:"example"`
}

func (f *file) Validate(at strictoml.At) {
	var requests []*Request
	for i := range f.Requests {
		requests = append(requests, &f.Requests[i])
	}
	f.Check(at, Vocabulary{Values: []string{"topic", "title", "text"}, Limit: 3}, requests)
	if !at.OK() {
		return
	}
	for i := range f.Examples {
		f.Examples[i].Play(at, fmt.Sprintf("example.%d", i), &f.Description, requests)
	}
}

func parse(b []byte) (*file, error) {
	f := &file{Description: NewDescription()}
	return f, strictoml.Unmarshal("", b, f)
}

func push(t testing.TB) *file {
	t.Helper()
	b, err := os.ReadFile("testdata/push.toml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A service that takes messages can be described: a POST with a body and a bearer
// token, to a server that is strict about all of it.
func TestSendsToADescribedService(t *testing.T) {
	const token = "tk_example"
	answers := []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { io.WriteString(w, `{"id":"m1"}`) },
		func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(429)
			io.WriteString(w, `{}`)
		},
		func(w http.ResponseWriter) {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":"no such topic, `+token+`"}`)
		},
		func(w http.ResponseWriter) { w.WriteHeader(503) },
		func(w http.ResponseWriter) { w.WriteHeader(401); io.WriteString(w, `{}`) },
	}
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var got struct {
			Topic, Title, Message string
			Priority              int
			Tags                  []string
		}
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&got); err != nil || d.More() {
			t.Errorf("body: %v", err)
		}
		if r.Method != "POST" || r.URL.EscapedPath() != "/ssh/json" || r.URL.Query().Get("via") != "ssh" ||
			r.Header.Get("Authorization") != "Bearer "+token || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if got.Topic != "ssh" || got.Title != `a"b{text}` || got.Message != "<x>\n" || got.Priority != 4 || len(got.Tags) != 2 {
			t.Errorf("%+v", got)
		}
		w.Header().Set("Content-Type", "application/json")
		answers[n](w)
		n++
	}))
	defer server.Close()
	f := push(t)
	s, err := New("phone", &f.Description, outbound.New(outbound.Options{}), server.URL, outbound.NewSecret(token))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		means Means
		wait  time.Duration
	}{{Good, 0}, {Quota, 3 * time.Second}, {Refused, 0}, {Down, 0}, {NoKey, 0}} {
		a, err := s.Do(t.Context(), &f.Requests[0], map[string]string{"topic": "ssh", "title": `a"b{text}`, "text": "<x>\n"})
		if err != nil {
			t.Fatal(err)
		}
		if a.Means != want.means || a.Wait != want.wait {
			t.Errorf("answer %d means %q, wait %v, want %+v", i, a.Means, a.Wait, want)
		}
		if all := fmt.Sprintf("%+v", a); strings.Contains(a.Detail, token) || a.Means == Refused && a.Detail == "" {
			t.Errorf("%s", all)
		}
	}
	server.Close()
	_, err = s.Do(context.Background(), &f.Requests[0], map[string]string{"topic": "ssh"})
	if err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("%v", err)
	}
}

// An example that comes out otherwise than it says is an error at its line.
func TestExampleThatDoesNotHold(t *testing.T) {
	b, err := os.ReadFile("testdata/push.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ old, new, want string }{
		{`wait = "7s"`, `wait = "8s"`, "example.wait: the wait is 7s"},
		{"means = \"quota\"\nwait = \"1s", "means = \"down\"\nwait = \"1s", `example.means: it means "quota"`},
		{`POST /a%2Fb/json?`, `POST /a/b/json?`, "example.sends: it sends POST /a%2Fb/json?via=a%2Fb"},
		{`"priority": 4, "tags"`, `"priority": 5, "tags"`, "example.body: it sends {"},
		{`values = {topic = "a/b", title`, `values = {titel`, "example.values: no value for {"},
		{"name = \"too many\"", "name = \"too many\"\nrequest = \"other\"", "example.request: there is no request of this name"},
	} {
		spoilt := strings.Replace(string(b), tc.old, tc.new, 1)
		if spoilt == string(b) {
			t.Fatalf("%q is not there", tc.old)
		}
		if _, err := parse([]byte(spoilt)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
}

// Some services answer in words, not JSON, and with 200 whatever happened.
func TestBodyText(t *testing.T) {
	const description = `
form = 1
title = "Words"
url = "https://words.example.com"
key = "none"

[[request]]
name = "publish"
method = "POST"
path = "/{topic}"
text = "{text}"
answer = "any"

[[request.reply]]
status = [200]
is = ["ok"]
means = "answer"

[[request.reply]]
contains = ["too many", "slow down"]
means = "quota"
wait = "1m"

[[request.reply]]
status = [200]
means = "refused"
`
	f, err := parse([]byte(description))
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{Description: &f.Description}
	for _, tc := range []struct {
		status int
		body   string
		want   Means
		wait   time.Duration
	}{
		{200, "OK\n", Good, 0}, {200, "not ok", Refused, 0}, {200, "", Refused, 0}, {200, "Please slow DOWN.", Quota, time.Minute},
		{503, "ok", Down, 0}, {403, "too many logins", Quota, time.Minute},
	} {
		r := &outbound.Response{Status: tc.status, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(tc.body)}
		if a := s.Read(&f.Requests[0], r, time.Now()); a.Means != tc.want || a.Wait != tc.wait {
			t.Errorf("%d %q means %q, wait %v; want %q, %v", tc.status, tc.body, a.Means, a.Wait, tc.want, tc.wait)
		}
	}
	if _, err := parse([]byte(strings.Replace(description, `answer = "any"`, `expect = ["id"]`, 1))); err == nil || !strings.Contains(err.Error(), "is and contains need a path") {
		t.Errorf("a text without a path, of JSON: %v", err)
	}
}

func TestWaits(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for _, tc := range []struct {
		name, header, body string
		in                 WaitIn
		want               time.Duration
	}{
		{"seconds", "90", "", WaitIn{Header: "X-Wait", Unit: "seconds"}, 90 * time.Second},
		{"fractions of a second", "", `{"retry_after":0.25}`, WaitIn{Path: "retry_after", Unit: "seconds"}, 250 * time.Millisecond},
		{"milliseconds", "", `{"retry_after":1500}`, WaitIn{Path: "retry_after", Unit: "milliseconds"}, 1500 * time.Millisecond},
		{"since 1970", "1800000060", "", WaitIn{Header: "X-Wait", Unit: "epoch"}, time.Minute},
		{"since 1970, in milliseconds", "1800000060500", "", WaitIn{Header: "X-Wait", Unit: "epoch_milliseconds"}, time.Minute + 500*time.Millisecond},
		{"since 1970, over", "1700000000", "", WaitIn{Header: "X-Wait", Unit: "epoch"}, 0},
		{"a date", "", `{"until":"2027-01-15T08:01:00Z"}`, WaitIn{Path: "until", Unit: "date"}, time.Minute},
		{"a date of HTTP", "Fri, 15 Jan 2027 08:01:00 GMT", "", WaitIn{Header: "X-Wait", Unit: "date"}, time.Minute},
		{"longer than any", "1e300", "", WaitIn{Header: "X-Wait", Unit: "seconds"}, MaxWait},
		{"below 0", "-5", "", WaitIn{Header: "X-Wait", Unit: "seconds"}, 0},
		{"no number", "soon", "", WaitIn{Header: "X-Wait", Unit: "seconds"}, 0},
		{"NaN", "NaN", "", WaitIn{Header: "X-Wait", Unit: "seconds"}, 0},
		{"until UTC's next day", "", "", WaitIn{Unit: "utc_day"}, 16 * time.Hour},
		{"nothing", "", `{}`, WaitIn{Path: "until", Unit: "date"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &Service{Description: &Description{Replies: []Reply{{Status: []int{429}, Means: Quota, WaitIn: tc.in}}}}
			h := http.Header{"Content-Type": {"application/json"}, "X-Wait": {tc.header}}
			a := s.Read(&Request{}, &outbound.Response{Status: 429, Header: h, Body: []byte(tc.body)}, now)
			if a.Means != Quota || a.Wait != tc.want {
				t.Errorf("%q, %v, want %v", a.Means, a.Wait, tc.want)
			}
		})
	}
}

// Whatever the values are, a request goes to the service's host, to its path, and
// no value becomes another's or the key.
func FuzzBuild(f *testing.F) {
	f.Add("ssh", "title", "text")
	f.Add("../../x?y#z", "{key}", "\"}, {\"a\": \"{topic}\"")
	f.Add("..", "title", "text")
	f.Add(".", "title", "text")
	f.Add("ssh", "title", "")
	f.Add("%2e%2e", "\r\nX: y", "\x00\xff")
	d := push(f)
	s := &Service{Description: &d.Description, BaseURL: "https://push.example.com/base", Key: outbound.NewSecret("tk_example")}
	f.Fuzz(func(t *testing.T, topic, title, text string) {
		r, err := s.Build(&d.Requests[0], map[string]string{"topic": topic, "title": title, "text": text})
		if leads := topic == "." || topic == ".."; leads || err != nil {
			if leads != (err != nil) {
				t.Errorf("%q: %v", topic, err)
			}
			return
		}
		u, err := url.Parse(r.URL.Reveal())
		if err != nil || u.Host != "push.example.com" || u.Path != "/base/"+topic+"/json" || u.Query().Get("via") != topic || u.Fragment != "" {
			t.Fatalf("%q: %v", r.URL.Reveal(), err)
		}
		if strings.Count(u.EscapedPath(), "/") != 3 {
			t.Errorf("%q", u.EscapedPath())
		}
		var got map[string]any
		want := 5
		for _, v := range []string{topic, title, text} {
			if v == "" { // a field that is one empty value is left out
				want--
			}
		}
		if err := json.Unmarshal(r.Body, &got); err != nil || len(got) != want {
			t.Fatalf("%s: %v", r.Body, err)
		}
		valid := strings.ToValidUTF8
		if title == "" || text == "" {
			return
		}
		if got["title"] != valid(title, "\ufffd") && valid(title, "") == title || valid(text, "") == text && got["message"] != text {
			t.Errorf("%q", got)
		}
	})
}
