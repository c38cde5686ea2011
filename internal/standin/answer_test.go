package standin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func script(a Answer) Behave { return func(int, *http.Request) *Answer { return &a } }

func TestBehave(t *testing.T) {
	var seen []int
	var bodies []string
	s := slack(t, SlackOptions{Behave: func(n int, r *http.Request) *Answer {
		b, _ := io.ReadAll(r.Body)
		seen, bodies = append(seen, n), append(bodies, string(b))
		if n == 2 {
			return &Answer{Status: 503, Header: http.Header{"Retry-After": {"7"}}, Body: "rollup_error"}
		}
		return nil
	}})
	c := client(t)
	if got := do(t, c, post(t, s.URL(), `{"text":"1"}`)); got.status != 200 {
		t.Errorf("the first: %+v", got)
	}
	got := do(t, c, post(t, s.URL(), `{"text":"2"}`))
	if got.status != 503 || got.header.Get("Retry-After") != "7" || got.body != "rollup_error" {
		t.Errorf("the second: %+v", got)
	}
	if got := do(t, c, post(t, s.URL(), `{"text":"3"}`)); got.status != 200 {
		t.Errorf("the third: %+v", got)
	}
	if len(seen) != 3 || seen[0] != 1 || seen[2] != 3 || bodies[1] != `{"text":"2"}` {
		t.Errorf("the script saw %v, %v", seen, bodies)
	}
	if got := s.Stats(); got != (SlackStats{Requests: 3, Accepted: 2, Scripted: 1}) {
		t.Errorf("stats %+v", got)
	}
	if m := s.Messages(); len(m) != 2 || m[1].Payload.Text != "3" {
		t.Errorf("messages %+v", m)
	}
}

func TestAnswerAccept(t *testing.T) {
	s := slack(t, SlackOptions{Behave: script(Answer{Accept: true, Status: 500, Body: "rollup_error"})})
	c := client(t)
	if got := do(t, c, post(t, s.URL(), `{"text":"x"}`)); got.status != 500 || got.body != "rollup_error" {
		t.Errorf("accepted: %+v", got)
	}
	if got := do(t, c, post(t, s.URL(), `{}`)); got.status != 400 || got.body != noText {
		t.Errorf("refused: %+v, want the refusal", got)
	}
	if got := s.Stats(); got != (SlackStats{Requests: 2, Accepted: 1, Refused: 1, Scripted: 2}) {
		t.Errorf("stats %+v", got)
	}
}

// TestAnswerUsual: what a script leaves open is as usual.
func TestAnswerUsual(t *testing.T) {
	s := slack(t, SlackOptions{Behave: script(Answer{Accept: true, Delay: 20 * time.Millisecond})})
	start := time.Now()
	got := do(t, client(t), post(t, s.URL(), `{"text":"x"}`))
	if got.status != 200 || got.body != "ok" || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Errorf("answer %+v", got)
	}
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
}

func TestAnswerDropped(t *testing.T) {
	for name, row := range map[string]struct {
		a        Answer
		accepted int
	}{
		"before it is accepted": {Answer{Drop: true}, 0},
		"after it is accepted":  {Answer{DropAfterAccept: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := slack(t, SlackOptions{Behave: script(row.a)})
			res, err := client(t).Do(post(t, s.URL(), `{"text":"x"}`))
			if err == nil {
				res.Body.Close()
				t.Fatalf("answered with %d", res.StatusCode)
			}
			if !errors.Is(err, io.EOF) {
				t.Errorf("%v, want the connection closed", err)
			}
			if got := len(s.Messages()); got != row.accepted {
				t.Errorf("%d messages, want %d", got, row.accepted)
			}
			if got := s.Stats().Requests; got != 1 {
				t.Errorf("%d requests, want 1", got)
			}
		})
	}
}

func TestAnswerRedirect(t *testing.T) {
	for name, row := range map[string]struct {
		a      Answer
		status int
	}{
		"found":              {Answer{Redirect: "https://example.com/x"}, 302},
		"temporary redirect": {Answer{Redirect: "https://example.com/x", Status: 307}, 307},
		"accepted first":     {Answer{Redirect: "https://example.com/x", Accept: true}, 302},
	} {
		t.Run(name, func(t *testing.T) {
			s := slack(t, SlackOptions{Behave: script(row.a)})
			got := do(t, client(t), post(t, s.URL(), `{"text":"x"}`))
			if got.status != row.status || got.header.Get("Location") != "https://example.com/x" {
				t.Errorf("answer %+v", got)
			}
			if accepted := len(s.Messages()) == 1; accepted != row.a.Accept {
				t.Errorf("accepted: %v", accepted)
			}
		})
	}
}

func TestAnswerHuge(t *testing.T) {
	s := slack(t, SlackOptions{Behave: script(Answer{HugeBody: true, Body: "ok"})})
	res, err := client(t).Do(post(t, s.URL(), `{"text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 || res.ContentLength != -1 {
		t.Errorf("status %d, length %d, want 200 and none announced", res.StatusCode, res.ContentLength)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || n != 100<<20+2 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestAnswerDrips(t *testing.T) {
	s := slack(t, SlackOptions{Behave: script(Answer{Accept: true, DripBytes: true, DripEvery: time.Millisecond})})
	start := time.Now()
	got := do(t, client(t), post(t, s.URL(), `{"text":"x"}`))
	if got.status != 200 || got.body != "ok" || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Errorf("answer %+v", got)
	}
	if took := time.Since(start); took < 50*time.Millisecond {
		t.Errorf("took %v, want a millisecond for each byte of the head and more", took)
	}
}

// TestAnswerDripsSlowly: without a setting, nothing of use comes in a short time.
func TestAnswerDripsSlowly(t *testing.T) {
	s := slack(t, SlackOptions{Behave: script(Answer{DripBytes: true})})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	res, err := client(t).Do(post(t, s.URL(), `{"text":"x"}`).WithContext(ctx))
	if err == nil {
		res.Body.Close()
		t.Error("answered within 50 ms")
	}
}
