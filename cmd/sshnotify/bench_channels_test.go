package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

// burst is many logins at once, for several destinations of different pace.
type burst struct {
	tb      testing.TB
	dir     string
	names   []string // of the destinations
	webhook *receiver
	never   *receiver
	slack   *standin.Slack
	smtp    *standin.SMTP
}

// receiver is a service that keeps what it took.
type receiver struct {
	mu     sync.Mutex
	n      int
	refuse func(n int) (status int) // 0: the n-th request is taken
	bodies []string
}

func (h *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	if status := h.refuse(h.n); status != 0 || err != nil {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		return
	}
	h.bodies = append(h.bodies, string(body))
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"id":"1"}`)
}

// newBurst makes a site with a Slack that takes 200 ms or, beside it, with mail to a
// server that hangs at first, a webhook that fails for a while, a service that nothing
// may be sent to twice and that wants each second request to wait, and a file.
func newBurst(tb testing.TB, five bool) *burst {
	tb.Helper()
	b := &burst{tb: tb, dir: tb.TempDir(), names: []string{"slack"}}
	var err error
	if b.slack, err = standin.StartSlack(standin.SlackOptions{Latency: 200 * time.Millisecond}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.slack.Close)
	for _, sub := range []string{"tmp", "new", "cur", "failed"} {
		if err := os.MkdirAll(filepath.Join(b.dir, "spool", sub), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	settings := fmt.Sprintf("host = \"db1\"\nnotify = \"all\"\ntime_zone = \"UTC\"\nstate_dir = %q\n[group]\nwindow = \"0s\"\n[destination.slack]\nwebhook_url = %q\n", filepath.Join(b.dir, "state"), b.slack.URL())
	if five {
		b.names = append(b.names, "mail", "webhook", "never", "file")
		var hung atomic.Bool
		b.smtp, err = standin.StartSMTP(standin.SMTPOptions{Behave: func(verb, _ string) string {
			if verb == "MAIL" && !hung.Swap(true) {
				return standin.Hang
			}
			return ""
		}})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(b.smtp.Close)
		serve := func(refuse func(int) int) (*receiver, string) {
			h := &receiver{refuse: refuse}
			far := httptest.NewServer(h)
			tb.Cleanup(far.Close)
			return h, far.URL
		}
		var hookURL, neverURL string
		b.webhook, hookURL = serve(func(n int) int { return map[bool]int{true: http.StatusServiceUnavailable}[n <= 3] })
		b.never, neverURL = serve(func(n int) int { return map[bool]int{true: http.StatusTooManyRequests}[n%2 == 1] })
		b.write("never.toml", channelFile("never"))
		settings += fmt.Sprintf("[destination.mail]\nserver = %q\ntls = \"none\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\n", b.smtp.Addr()) +
			fmt.Sprintf("[destination.webhook]\nurl = %q\nsecret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"\n", hookURL) +
			fmt.Sprintf("[destination.never]\ntype = \"http\"\nfile = \"never.toml\"\nurl = %q\n", neverURL) +
			fmt.Sprintf("[destination.file]\npath = %q\n", filepath.Join(b.dir, "events.jsonl"))
	}
	b.write("config.toml", settings)
	return b
}

func (b *burst) write(name, text string) {
	b.tb.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.tb.Fatal(err)
	}
}

// hook lets somebody log in, and returns how long that took.
func (b *burst) hook(n int) time.Duration {
	b.tb.Helper()
	c := exec.Command(smallHook, "--spool", filepath.Join(b.dir, "spool"), "--no-worker")
	c.Env = append(pamEnv("open_session", "hooked", netip.MustParseAddr("192.0.2.77")), fmt.Sprintf("SSH_CONNECTION=192.0.2.77 %d 192.0.2.5 22", n+1))
	start := time.Now()
	if err := c.Run(); err != nil {
		b.tb.Fatal(err)
	}
	return time.Since(start)
}

// fill puts n logins of so many users into the spool, as hooks do.
func (b *burst) fill(n, users int) {
	b.tb.Helper()
	for i := range n {
		e := event.Event{
			ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Host: "db1", User: fmt.Sprintf("user%03d", i%users), Service: "sshd", Via: event.ViaPAM,
			Remote:  event.Remote{IP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i % users)}), Port: 51234},
			Local:   event.Local{IP: netip.MustParseAddr("192.0.2.5"), Port: 22},
			Login:   event.Login{Auth: event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"}},
			Session: event.Session{PID: 1000 + i, Start: 1, Boot: "9f1f5bd2-4c5f-4c4c-9d3e-1f2b3c4d5e6f", NS: "pid:[4026531836]"},
		}
		data, err := e.Encode()
		if err != nil {
			b.tb.Fatal(err)
		}
		b.write(filepath.Join("spool", "new", e.ID+".json"), string(data))
	}
}

// deliver runs a worker until all is told, while more people log in. It returns what
// those waited for, and the most memory that the worker had, in MiB.
func (b *burst) deliver(ctx context.Context) (hooks []time.Duration, most float64) {
	b.tb.Helper()
	c := exec.CommandContext(ctx, binary, "deliver", "--flush", "--spool", filepath.Join(b.dir, "spool"), "--config", filepath.Join(b.dir, "config.toml"), "--log-level", "error")
	c.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + b.dir}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		b.tb.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for n := 0; ; n++ {
		select {
		case err := <-done:
			if err != nil {
				b.tb.Fatalf("%v: %s", err, stderr.String())
			}
			return hooks, most
		case <-time.After(50 * time.Millisecond):
			most = max(most, peakMiB(c.Process.Pid))
			if n < 100 {
				hooks = append(hooks, b.hook(1000+n))
			}
		}
	}
}

// check insists that each of n logins was told to each destination, and where that
// can be seen, once.
func (b *burst) check(n int) {
	b.tb.Helper()
	db, err := store.Open(filepath.Join(b.dir, "state", store.FileName), store.Options{})
	if err != nil {
		b.tb.Fatal(err)
	}
	defer db.Close()
	all, err := deliver.ReadDelivered(context.Background(), db, "", time.Time{})
	if err != nil {
		b.tb.Fatal(err)
	}
	// Sessions that are over by now have logouts, which are not told.
	all = slices.DeleteFunc(all, func(d *deliver.Delivered) bool { return d.Kind != event.KindLogin })
	if len(all) != n {
		b.tb.Errorf("%d events delivered, want %d", len(all), n)
	}
	lacking := map[string]int{}
	for _, d := range all {
		for _, name := range b.names {
			if !slices.ContainsFunc(d.Sent, func(s deliver.Sent) bool { return s.Dest == name && !s.Maybe }) {
				lacking[name]++
			}
		}
	}
	if len(lacking) > 0 {
		b.tb.Errorf("events that a destination lacks: %v", lacking)
	}
	if len(b.names) == 1 {
		return
	}
	lines, err := os.ReadFile(filepath.Join(b.dir, "events.jsonl"))
	if err != nil {
		b.tb.Fatal(err)
	}
	for name, bodies := range map[string][]string{"webhook": b.webhook.bodies, "file": strings.Split(strings.TrimSpace(string(lines)), "\n")} {
		times := map[string]int{}
		for _, body := range bodies {
			var p struct{ Refs, ID any }
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				b.tb.Fatalf("%s: %v: %q", name, err, body)
			}
			times[fmt.Sprint(p.ID)]++
		}
		if len(times) != n || len(bodies) != n {
			b.tb.Errorf("%s: %d messages with %d ids of %d events", name, len(bodies), len(times), n)
		}
	}
}

// Of a burst that goes to five destinations, each at its own pace, nothing is lost,
// and nobody is told twice where nothing may be.
func TestBurstThroughFiveChannels(t *testing.T) {
	e2e(t)
	t.Parallel()
	const users = 200
	b := newBurst(t, true)
	b.fill(users, users)
	hooks, _ := b.deliver(t.Context())
	b.check(users + len(hooks))
	times := map[string]int{}
	for _, body := range b.never.bodies {
		for _, user := range slices.Compact(slices.Sorted(slices.Values(regexp.MustCompile(`user\d{3}\b`).FindAllString(body, -1)))) {
			times[user]++
		}
	}
	for i := range users {
		if n := times[fmt.Sprintf("user%03d", i)]; n != 1 {
			t.Errorf("user%03d: told %d times where nothing may be twice", i, n)
		}
	}
}

// BenchmarkChannels sends a burst of 10,000 logins through one destination and
// through five, in one run: the most memory of the worker, and what a login waits for
// before (and without a worker) and meanwhile, medians.
//
//	go test -run '^$' -bench Channels -benchtime 1x -timeout 30m ./cmd/sshnotify
func BenchmarkChannels(bench *testing.B) {
	const logins = 10_000
	for bench.Loop() {
		for _, five := range []bool{false, true} {
			b := newBurst(bench, five)
			var before []time.Duration
			for n := range 100 {
				before = append(before, b.hook(n))
			}
			b.fill(logins, 100)
			start := time.Now()
			during, most := b.deliver(bench.Context())
			took := time.Since(start)
			b.check(logins + len(before) + len(during))
			name := map[bool]string{false: "one-", true: "five-"}[five]
			bench.ReportMetric(most, name+"MiB")
			bench.ReportMetric(median(before), name+"before-ms")
			bench.ReportMetric(median(during), name+"during-ms")
			bench.ReportMetric(took.Seconds(), name+"s")
		}
	}
	bench.ReportMetric(0, "ns/op")
}
