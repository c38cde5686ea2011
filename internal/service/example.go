package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Example is a request and its answer, with what becomes of them: a file's own
// tests. They are played through when the file is checked, and ask nobody.
type Example struct {
	Name    string            `toml:"name" check:"line=100"` // of the situation
	Request string            `toml:"request"`               // empty: the first
	Values  map[string]string `toml:"values"`
	Sends   string            `toml:"sends"`                          // METHOD /path?query; empty: not looked at
	Body    string            `toml:"body"`                           // as sent; of JSON, the same value
	Status  int               `toml:"status" check:"min=200,max=599"` // 0: 200
	Headers map[string]string `toml:"headers"`
	Answer  string            `toml:"answer"`
	Means   Means             `toml:"means"` // empty: not understood
	Wait    time.Duration     `toml:"wait"`
}

// exampleKey stands in for the API key.
const exampleKey = "example-key"

// exampleTime is when examples are answered, in seconds since 1970.
const exampleTime = 1_800_000_000

// Play plays an example through, notes what comes out otherwise than it says, and
// returns the request and its answer; nil if there is no such request. key is
// where the example stands.
func (e *Example) Play(at strictoml.At, key string, d *Description, requests []*Request) (*Request, *Answer) {
	i := slices.IndexFunc(requests, func(r *Request) bool { return e.Request == "" || r.Name == e.Request })
	if i < 0 {
		at.Fail(key+".request", "there is no request of this name")
		return nil, nil
	}
	r := requests[i]
	s := &Service{Name: "example", Description: d, BaseURL: "https://example.com"}
	switch d.Key {
	case KeyNone:
	case KeyURL:
		s.Key = outbound.NewSecret(s.BaseURL + "/" + exampleKey)
	default:
		s.Key = outbound.NewSecret(exampleKey)
	}
	for _, name := range r.names {
		if _, ok := e.Values[name]; !ok && name != keyName {
			at.Fail(key+".values", "no value for {%s}", name)
			return nil, nil
		}
	}
	built, err := s.Build(r, e.Values)
	if err != nil {
		at.Fail(key+".values", "%v", err)
		return nil, nil
	}
	method := built.Method
	if method == "" {
		method = http.MethodGet
	}
	if sends := method + " " + strings.TrimPrefix(built.URL.Reveal(), s.BaseURL); e.Sends != "" && e.Sends != sends {
		at.Fail(key+".sends", "it sends %s", sends)
	}
	if e.Body != "" && !sameBody(e.Body, built.Body) {
		at.Fail(key+".body", "it sends %s", built.Body)
	}
	resp := &outbound.Response{Status: e.Status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(e.Answer)}
	if resp.Status == 0 {
		resp.Status = http.StatusOK
	}
	for k, v := range e.Headers {
		resp.Header.Set(k, v)
	}
	now := time.Unix(exampleTime, 0).UTC()
	resp.RetryAfter, _ = outbound.RetryAfter(resp.Header, now)
	a := s.Read(r, resp, now)
	if a.Means != e.Means {
		why := ""
		if a.Fault != nil {
			why = fmt.Sprintf(" (%v)", a.Fault)
		}
		at.Fail(key+".means", "it means %q%s", a.Means, why)
	}
	if a.Wait != e.Wait {
		at.Fail(key+".wait", "the wait is %s", strictoml.FormatDuration(a.Wait))
	}
	return r, a
}

func sameBody(want string, got []byte) bool {
	var a, b any
	if json.Unmarshal([]byte(want), &a) == nil && json.Unmarshal(got, &b) == nil {
		return reflect.DeepEqual(a, b)
	}
	return bytes.Equal(bytes.TrimSpace([]byte(want)), got)
}
