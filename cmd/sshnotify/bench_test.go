package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// benchLatency is what each service takes to answer.
const benchLatency = 80 * time.Millisecond

// tutorial is how a well-known tutorial does it in ~/.bashrc, put in our own
// words: three questions and a message, one after the other, while the login
// waits.
const tutorial = `
ip=${SSH_CONNECTION%% *}
ask() { curl -s -H "Authorization: Bearer $TJ_KEY" -H "Accept: application/json" "$TJ_URL$1"; }
assess=$(ask "/v1/assess/ip/$ip")
score=$(jq -r .score <<<"$assess"); risk=$(jq -r .risk <<<"$assess"); asn=$(jq -r .asn <<<"$assess")
name=$(ask "$asn" | jq -r .name)
city=$(ask "/v1/geo/$ip" | jq -r .city_name)
color="#02ff00"; [ "$score" -gt 34 ] && color="#ffe200"; [ "$score" -gt 67 ] && color="#ff0002"
curl -s -X POST -H 'Content-type: application/json' "$SLACK_URL" -o /dev/null \
  --data "{\"text\":\"login\",\"attachments\":[{\"color\":\"$color\",\"title\":\"$PAM_USER\",\"text\":\"$ip $city $name $score ($risk)\"}]}"
`

// benchSite is a site whose services take benchLatency, or hang.
func benchSite(b *testing.B, hang bool) (*benchEnd, string) {
	b.Helper()
	slack, err := standin.StartSlack(standin.SlackOptions{Latency: benchLatency, Hang: hang})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(slack.Close)
	tj, err := standin.StartThreatJammer(standin.ThreatJammerOptions{Latency: benchLatency, Hang: hang})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(tj.Close)
	return &benchEnd{slack: slack, tj: tj}, b.TempDir()
}

type benchEnd struct {
	slack *standin.Slack
	tj    *standin.ThreatJammer
	n     int
}

// fresh makes settings with a spool and a state of their own, so that no worker
// runs and nothing is remembered.
func (e *benchEnd) fresh(b *testing.B, dir string) (settings, spool string) {
	b.Helper()
	e.n++
	dir = filepath.Join(dir, strconv.Itoa(e.n))
	spool = filepath.Join(dir, "spool")
	for _, sub := range []string{"tmp", "new", "cur", "failed"} { // as install leaves it
		if err := os.MkdirAll(filepath.Join(spool, sub), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	settings = filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("state_dir = %q\n[destination.slack]\nwebhook_url = %q\n[provider.threatjammer]\nurl = %q\napi_key = %q\n[group]\nwindow = \"0s\"\n",
		filepath.Join(dir, "state"), e.slack.URL(), e.tj.URL(), e.tj.Key())
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return settings, spool
}

// timed runs a command as pam_exec does, and says how long it took.
func timed(b *testing.B, env []string, name string, args ...string) time.Duration {
	b.Helper()
	c := exec.Command(name, args...)
	c.Env = env
	start := time.Now()
	if err := c.Run(); err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	return time.Since(start)
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2].Microseconds()) / 1000
}

// BenchmarkLogin compares, in one run and by turns, what a login waits for:
// medians in milliseconds, of which /bin/true's are those of starting anything.
// The small hook, beside a service, is to take at most twice what a bare program
// does that makes one durable file; see testdata/bare.
//
//	go test -run '^$' -bench Login -benchtime 100x ./cmd/sshnotify
func BenchmarkLogin(b *testing.B) {
	well, dir := benchSite(b, false)
	hangs, hangDir := benchSite(b, true)
	settings, spool := well.fresh(b, dir)
	env := pamEnv("open_session", "alice", netip.MustParseAddr("203.0.113.7"))
	bare := filepath.Join(dir, "bare")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bare, "./testdata/bare")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	logins := 0
	hook := func(small bool, settings, spool string, more ...string) time.Duration {
		logins++ // of one parent, hooks differ by their connection alone
		env := append(slices.Clone(env), fmt.Sprintf("SSH_CONNECTION=203.0.113.7 %d 192.0.2.5 22", logins))
		line := append([]string{binary, "hook", "--spool", spool, "--config", settings}, more...)
		if small {
			line = append([]string{smallHook}, line[2:]...)
		}
		return timed(b, env, line[0], line[1:]...)
	}
	ways := []struct {
		name string
		run  func() time.Duration
	}{
		{"true", func() time.Duration { return timed(b, env, "/bin/true") }},
		{"bare", func() time.Duration { return timed(b, env, bare, spool) }},
		{"small", func() time.Duration { return hook(true, settings, spool, "--no-worker") }},
		{"hook", func() time.Duration { return hook(false, settings, spool, "--no-worker") }},
		{"small+worker", func() time.Duration { s, dir := well.fresh(b, dir); return hook(true, s, dir) }},
		{"hook+worker", func() time.Duration { s, dir := well.fresh(b, dir); return hook(false, s, dir) }},
		{"hook+worker-hanging", func() time.Duration { s, dir := hangs.fresh(b, hangDir); return hook(false, s, dir) }},
		{"tutorial", func() time.Duration {
			return timed(b, append([]string{"PATH=" + os.Getenv("PATH"), "TJ_URL=" + well.tj.URL(), "TJ_KEY=" + well.tj.Key(), "SLACK_URL=" + well.slack.URL()}, env...),
				"bash", "-c", tutorial)
		}},
	}
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Logf("no %s: the tutorial's way is left out", tool)
			ways = slices.DeleteFunc(ways, func(w struct {
				name string
				run  func() time.Duration
			}) bool {
				return w.name == "tutorial"
			})
		}
	}
	took := make(map[string][]time.Duration)
	for b.Loop() {
		for _, w := range ways {
			took[w.name] = append(took[w.name], w.run())
		}
		waitForWorkers(b, dir)
		endWorkers(b, hangDir) // the next one is measured beside none
	}
	base := median(took["true"])
	for _, w := range ways {
		b.ReportMetric(median(took[w.name]), w.name+"-ms")
	}
	b.ReportMetric((median(took["small"])-base)/(median(took["bare"])-base), "small/bare")
	b.ReportMetric((median(took["hook"])-base)/(median(took["bare"])-base), "hook/bare")
	extra := median(took["hook+worker"]) - base
	if slow := took["tutorial"]; slow != nil {
		b.ReportMetric((median(slow)-base)/extra, "tutorial/hook+worker")
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkQueue compares, in one run and by turns, what a login waits for with
// nothing in the queue, just below its limit, and at the limit: medians, and the
// slowest of all, in milliseconds. No worker runs, so that the hooks alone keep
// the limit.
//
//	go test -run '^$' -bench Queue -benchtime 300x ./cmd/sshnotify
func BenchmarkQueue(b *testing.B) {
	well, dir := benchSite(b, false)
	env := pamEnv("open_session", "alice", netip.MustParseAddr("203.0.113.7"))
	queues := []struct {
		name    string
		waiting int
		spool   string
	}{{"empty", 0, ""}, {"below", spool.Limit - 5000, ""}, {"full", spool.Limit, ""}}
	for i := range queues {
		q := &queues[i]
		_, q.spool = well.fresh(b, dir)
		for n := range q.waiting {
			if err := os.WriteFile(filepath.Join(q.spool, "new", fmt.Sprintf("%026d.json", n)), make([]byte, 600), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		if over := spool.For(q.spool, os.Geteuid()).Overflow; over != "" {
			b.Cleanup(func() { os.RemoveAll(over) })
		}
	}
	time.Sleep(2 * time.Second) // a change in the last second is not trusted
	took := make(map[string][]time.Duration)
	logins := 0
	for b.Loop() {
		for _, q := range queues {
			logins++
			env := append(slices.Clone(env), fmt.Sprintf("SSH_CONNECTION=203.0.113.7 %d 192.0.2.5 22", logins))
			took[q.name] = append(took[q.name], timed(b, env, smallHook, "--spool", q.spool, "--no-worker"))
		}
	}
	for _, q := range queues {
		b.ReportMetric(median(took[q.name]), q.name+"-ms")
		b.ReportMetric(float64(slices.Max(took[q.name]).Microseconds())/1000, q.name+"-max-ms")
	}
	b.ReportMetric(median(took["full"])/median(took["empty"]), "full/empty")
	b.ReportMetric(0, "ns/op")
}

// workers lists the workers whose spools are below a folder.
func workers(dir string) []int {
	var out []int
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if line, err := os.ReadFile(p); err == nil && strings.Contains(string(line), "deliver\x00") && strings.Contains(string(line), dir) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
			out = append(out, pid)
		}
	}
	return out
}

func waitForWorkers(b *testing.B, dir string) {
	for end := time.Now().Add(20 * time.Second); len(workers(dir)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatal("a worker does not end")
		}
	}
}

func endWorkers(b *testing.B, dir string) {
	for _, pid := range workers(dir) {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
	waitForWorkers(b, dir)
}

// BenchmarkLoginToSlack says how long after a login Slack has answered, beyond
// what the look-ups and Slack themselves take: assess and geo at once, then the
// network, then the message.
func BenchmarkLoginToSlack(b *testing.B) {
	end, dir := benchSite(b, false)
	var over []time.Duration
	for n := 0; b.Loop(); n++ {
		settings, spool := end.fresh(b, dir)
		ip := netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})
		start := time.Now()
		timed(b, pamEnv("open_session", "alice", ip), binary, "hook", "--spool", spool, "--config", settings)
		if err := end.slack.Wait(b.Context(), n+1); err != nil {
			b.Fatal(err)
		}
		// The stand-in notes the arrival, and answers benchLatency later.
		over = append(over, end.slack.Messages()[n].At.Sub(start)-2*benchLatency)
		waitForWorkers(b, dir)
	}
	b.ReportMetric(median(over), "over-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkHooks says how many logins a second can be written down, from two
// processes at a time.
func BenchmarkHooks(b *testing.B) {
	end, dir := benchSite(b, false)
	settings, spool := end.fresh(b, dir)
	env := pamEnv("open_session", "alice", netip.MustParseAddr("203.0.113.7"))
	start := time.Now()
	n := 0
	for b.Loop() {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				c := exec.Command(binary, "hook", "--no-worker", "--spool", spool, "--config", settings)
				// Of one parent, hooks differ by their connection alone.
				c.Env = append(slices.Clone(env), fmt.Sprintf("SSH_CONNECTION=203.0.113.7 %d 192.0.2.5 22", time.Now().UnixNano()%60000+1))
				if err := c.Run(); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		n += 2
	}
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "hooks/s")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkWorkerMemory reports the most memory that a worker has with 10,000
// events waiting, until all are told.
func BenchmarkWorkerMemory(b *testing.B) {
	for b.Loop() {
		slack, err := standin.StartSlack(standin.SlackOptions{})
		if err != nil {
			b.Fatal(err)
		}
		end := &benchEnd{slack: slack}
		dir := b.TempDir()
		if end.tj, err = standin.StartThreatJammer(standin.ThreatJammerOptions{PerMinute: standin.ThreatJammerPerMinute}); err != nil {
			b.Fatal(err)
		}
		settings, spool := end.fresh(b, dir)
		for i := range 10_000 {
			e := event.Event{
				ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Host: "db1", User: fmt.Sprintf("user%02d", i%100), Service: "sshd", Via: event.ViaPAM,
				Remote:  event.Remote{IP: netip.AddrFrom4([4]byte{203, 0, 113, byte(i / 100)}), Port: 51234},
				Local:   event.Local{IP: netip.MustParseAddr("192.0.2.5"), Port: 22},
				Login:   event.Login{Auth: event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"}},
				Session: event.Session{PID: 1000 + i, Start: 1, Boot: "9f1f5bd2-4c5f-4c4c-9d3e-1f2b3c4d5e6f", NS: "pid:[4026531836]"},
			}
			data, err := e.Encode()
			if err == nil {
				err = os.WriteFile(filepath.Join(spool, "new", e.ID+".json"), data, 0o600)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
		c := exec.CommandContext(ctx, binary, "deliver", "--spool", spool, "--config", settings, "--log-level", "error")
		c.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + dir}
		start := time.Now()
		if err := c.Start(); err != nil {
			b.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Wait() }()
		var most float64
		for running := true; running; {
			select {
			case err := <-done:
				if err != nil {
					b.Fatal(err)
				}
				running = false
			case <-time.After(20 * time.Millisecond):
				most = max(most, peakMiB(c.Process.Pid))
			}
		}
		cancel()
		b.ReportMetric(most, "MiB")
		b.ReportMetric(time.Since(start).Seconds(), "s")
		b.ReportMetric(float64(len(slack.Messages())), "messages")
		slack.Close()
		end.tj.Close()
	}
	b.ReportMetric(0, "ns/op")
}
