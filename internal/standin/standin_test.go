package standin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client follows no redirect and ends with the test.
func client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type reply struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, c *http.Client, r *http.Request) reply {
	t.Helper()
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

func slack(t *testing.T, o SlackOptions) *Slack {
	t.Helper()
	s, err := StartSlack(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func jammer(t *testing.T, o ThreatJammerOptions) *ThreatJammer {
	t.Helper()
	j, err := StartThreatJammer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

func post(t *testing.T, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

func get(t *testing.T, j *ThreatJammer, path string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, j.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+j.Key())
	return r
}

func TestStartErrors(t *testing.T) {
	broken := errors.New("no sockets left")
	fails := func(string, string) (net.Listener, error) { return nil, broken }
	if _, err := startSlack(SlackOptions{}, fails); !errors.Is(err, broken) {
		t.Errorf("slack: %v, want the listener's error", err)
	}
	if _, err := startThreatJammer(ThreatJammerOptions{}, fails); !errors.Is(err, broken) {
		t.Errorf("threat jammer: %v, want the listener's error", err)
	}
	for name, o := range map[string]SlackOptions{
		"negative rate":    {MaxPerSecond: -1},
		"rate too high":    {MaxPerSecond: 1e9},
		"burst of two":     {Burst: 2},
		"negative burst":   {Burst: -1},
		"negative latency": {Latency: -1},
	} {
		if s, err := StartSlack(o); err == nil {
			s.Close()
			t.Errorf("slack, %s: started", name)
		}
	}
	for name, o := range map[string]ThreatJammerOptions{
		"negative quota":   {PerMinute: -1},
		"negative latency": {Latency: -1},
	} {
		if j, err := StartThreatJammer(o); err == nil {
			j.Close()
			t.Errorf("threat jammer, %s: started", name)
		}
	}
}

func TestOnlyLoopback(t *testing.T) {
	var asked []string
	listen := func(network, address string) (net.Listener, error) {
		asked = append(asked, network+" "+address)
		return net.Listen(network, address)
	}
	s, err := startSlack(SlackOptions{}, listen)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	j, err := startThreatJammer(ThreatJammerOptions{}, listen)
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	for _, a := range asked {
		if a != "tcp4 127.0.0.1:0" {
			t.Errorf("listened on %s", a)
		}
	}
	if len(asked) != 2 {
		t.Errorf("listened %d times, want 2", len(asked))
	}
}

// TestCloseFreesAll closes both while clients wait for every kind of answer
// that does not come.
func TestCloseFreesAll(t *testing.T) {
	before := goleak.IgnoreCurrent()
	kinds := []*Answer{{Hang: true}, {DripBytes: true}, {Delay: time.Hour}, {HugeBody: true}}
	behave := func(n int, r *http.Request) *Answer { return kinds[(n-1)%len(kinds)] }
	s, err := StartSlack(SlackOptions{Behave: behave})
	if err != nil {
		t.Fatal(err)
	}
	j, err := StartThreatJammer(ThreatJammerOptions{Behave: behave})
	if err != nil {
		t.Fatal(err)
	}
	idle, err := net.Dial("tcp4", j.server.address) // never sends a thing
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	tr := &http.Transport{}
	var wg sync.WaitGroup
	for range kinds {
		for _, r := range []*http.Request{post(t, s.URL(), `{"text":"x"}`), get(t, j, "/v1/token")} {
			wg.Go(func() {
				if res, err := tr.RoundTrip(r); err == nil {
					defer res.Body.Close()
					b := make([]byte, 1) // of the huge one: read a little, then stop
					res.Body.Read(b)
				}
			})
		}
	}
	if err := s.WaitRequests(t.Context(), len(kinds)); err != nil {
		t.Error(err)
	}
	if err := j.Wait(t.Context(), len(kinds)); err != nil {
		t.Error(err)
	}
	start := time.Now()
	s.Close()
	j.Close()
	s.Close()
	j.Close()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("closing took %v: it waited for a client", took)
	}
	wg.Wait()
	tr.CloseIdleConnections()
	idle.Close()
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp4", s.server.address); err == nil {
		t.Error("still listening after Close")
	}
}

// TestSaysNothing: a panic in a script and a request that is no HTTP make
// net/http log, to standard error unless it is told otherwise.
func TestSaysNothing(t *testing.T) {
	var said bytes.Buffer
	before := log.Writer()
	log.SetOutput(&said)
	defer log.SetOutput(before)
	s, err := StartSlack(SlackOptions{Behave: func(int, *http.Request) *Answer { panic("in a script") }})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := client(t).Do(post(t, s.URL(), `{"text":"x"}`)); err == nil {
		res.Body.Close()
		t.Error("an answer from a script that panicked")
	}
	s.Close()
	if said.Len() > 0 {
		t.Errorf("logged %q", said.String())
	}
}

func TestWait(t *testing.T) {
	s := slack(t, SlackOptions{})
	done := make(chan error, 1)
	go func() { done <- s.Wait(t.Context(), 3) }()
	c := client(t)
	for range 3 {
		select {
		case err := <-done:
			t.Fatalf("returned before the third message: %v", err)
		default:
		}
		do(t, c, post(t, s.URL(), `{"text":"x"}`))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.Wait(t.Context(), 2); err != nil {
		t.Errorf("fewer than there are: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := s.Wait(ctx, 4)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 of 4") {
		t.Errorf("one too few: %v, want how many came and the deadline", err)
	}
	s.Close()
	if err := s.Wait(t.Context(), 4); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("closed: %v, want http.ErrServerClosed", err)
	}
	if len(s.Messages()) != 3 {
		t.Errorf("%d messages after Close, want 3", len(s.Messages()))
	}
}

// TestWaitEnds: closing wakes those who wait already.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ledger[int]
		var first, second error
		go func() { first = l.wait(t.Context(), 1) }()
		go func() { second = l.wait(t.Context(), 2) }()
		synctest.Wait()
		l.add(5)
		synctest.Wait()
		if first != nil || second != nil {
			t.Errorf("after one: %v, %v", first, second)
		}
		l.close()
		synctest.Wait()
		if first != nil || !errors.Is(second, http.ErrServerClosed) {
			t.Errorf("closed: %v, %v, want the second to end", first, second)
		}
	})
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	const clients, each = 8, 10
	s := slack(t, SlackOptions{})
	j := jammer(t, ThreatJammerOptions{})
	c := client(t)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range each {
				for _, r := range []*http.Request{post(t, s.URL(), `{"text":"x"}`), get(t, j, "/v1/assess/ip/192.0.2.1")} {
					res, err := c.Do(r)
					if err != nil {
						t.Error(err)
						continue
					}
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				s.Stats()
				s.Messages()
				s.Refusals()
				j.Requests()
				j.Set(documentation, Answers{Score: 1})
			}
		})
	}
	wg.Wait()
	if got := s.Stats(); got != (SlackStats{Requests: clients * each, Accepted: clients * each}) {
		t.Errorf("slack: %+v", got)
	}
	if got := len(j.Requests()); got != clients*each {
		t.Errorf("threat jammer: %d requests, want %d", got, clients*each)
	}
}
