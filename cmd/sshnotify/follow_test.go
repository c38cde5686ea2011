package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// manager is what stands in for systemd: it starts the service and listens to
// what that says of itself (sd_notify(3)).
type manager struct {
	*process
	t  testing.TB
	mu sync.Mutex
	// said are the datagrams in order.
	said []string
}

// serve starts deliver --follow under a manager.
func (s *site) serve(within ...string) *manager {
	s.t.Helper()
	path := filepath.Join(swiftDir(s.t), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { socket.Close() })
	m := &manager{t: s.t}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, string(buf[:n]))
			m.mu.Unlock()
		}
	}()
	m.process = s.start(call{
		args:   []string{"deliver", "--follow", "--spool", s.spool, "--config", s.settings},
		env:    []string{"PATH=" + os.Getenv("PATH"), "NOTIFY_SOCKET=" + path},
		within: within,
	})
	return m
}

// states returns what the service said, a word each.
func (m *manager) states() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, d := range m.said {
		first, _, _ := strings.Cut(d, "\n")
		out = append(out, first)
	}
	return out
}

// expect waits until the service has said n things, and looks at them.
func (m *manager) expect(want ...string) {
	m.t.Helper()
	until(m.t, fmt.Sprintf("the service to say %q", want), func() bool {
		select {
		case <-m.ended:
			m.t.Fatalf("the service ended: %+v", m.result())
		default:
		}
		return len(m.states()) >= len(want)
	})
	if got := m.states(); !slices.Equal(got, want) {
		m.t.Errorf("the service says %q, want %q", got, want)
	}
}

// stop ends the service as systemd does.
func (m *manager) stop() {
	m.t.Helper()
	m.signal(syscall.SIGTERM)
	if r := m.result(); r.code != 0 {
		m.t.Errorf("the service ended with %d\n%s", r.code, r.stderr)
	}
}

// The service notices a new file at once, in the spool's own folder as in one
// that a hook makes later, and stays.
func TestFollowNoticesNewFiles(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	m := s.serve()
	m.expect("READY=1")
	// Without notices it looks every five seconds, which a slow machine may take as well.
	watches := func() bool {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", m.cmd.Process.Pid))
		return slices.ContainsFunc(files, func(f string) bool {
			b, _ := os.ReadFile(f) // empty: closed since
			return strings.Contains(string(b), "inotify wd:")
		})
	}
	until(t, "a worker that is told of new files", watches)
	for i, user := range []string{"alice", "bob"} {
		start := time.Now()
		s.login(user, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
		s.wait(i + 1)
		// The look beside the notice comes once a minute.
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s is told after %v", user, took)
		}
	}
	until(t, "an empty spool", func() bool { return len(s.left("cur"))+len(s.left("new")) == 0 })
	m.stop()
	if got := m.states(); !slices.Equal(got, []string{"READY=1"}) {
		t.Errorf("the service says %q", got)
	}
}

// What waited before the service started, and what a dead worker had claimed,
// is told first.
func TestFollowTakesUpWhatWaits(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	s.login("alice", aliceIP)
	if err := os.MkdirAll(filepath.Join(s.spool, "cur"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range s.left("new") {
		if err := os.Rename(filepath.Join(s.spool, "new", name), filepath.Join(s.spool, "cur", name)); err != nil {
			t.Fatal(err)
		}
	}
	s.login("bob", netip.MustParseAddr("203.0.113.8"))
	m := s.serve()
	s.wait(2)
	m.stop()
}

// SIGHUP loads the settings anew. Wrong ones are not taken: the old ones stay.
func TestFollowReloads(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	other, err := standin.StartSlack(standin.SlackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	b := newSandbox(t)
	m := s.serve(b.within()...)
	m.expect("READY=1")
	good, err := os.ReadFile(s.settings)
	if err != nil {
		t.Fatal(err)
	}

	s.configure(string(good[:len(good)/2]))
	m.signal(syscall.SIGHUP)
	m.expect("READY=1", "RELOADING=1", "READY=1")
	b.saw("the new settings are wrong, the old ones stay")
	s.login("alice", aliceIP)
	s.wait(1)

	s.configure(strings.ReplaceAll(string(good), s.slack.URL(), other.URL()))
	m.signal(syscall.SIGHUP)
	m.expect("READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1")
	s.login("bob", netip.MustParseAddr("203.0.113.8"))
	if err := other.Wait(t.Context(), 1); err != nil {
		t.Error(err)
	}
	m.stop()
	if n := len(s.slack.Messages()); n != 1 {
		t.Errorf("the old destination got %d messages, want 1", n)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.said {
		// systemd compares it with its own clock, to know which reload it was.
		if strings.HasPrefix(d, "RELOADING=1") && !strings.Contains(d, "\nMONOTONIC_USEC=") {
			t.Errorf("no time with %q", d)
		}
	}
}

// SIGTERM ends the service after the message under way: it is told once, and
// known to be.
func TestFollowFinishesItsMessage(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(answer) })
	s := newSwiftSite(t, standin.SlackOptions{Behave: func(int, *http.Request) *standin.Answer {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-answer
		return nil
	}}, "")
	t.Cleanup(release)
	s.login("alice", aliceIP)
	m := s.serve()
	<-asked
	s.login("bob", netip.MustParseAddr("203.0.113.8"))
	m.signal(syscall.SIGTERM)
	// It has to wait for Slack now; there is no sign of that to wait for.
	select {
	case <-m.ended:
		t.Errorf("the service left its message: %+v", m.result())
	case <-time.After(150 * time.Millisecond):
	}
	release()
	if r := m.result(); r.code != 0 {
		t.Errorf("the service ended with %d\n%s", r.code, r.stderr)
	}
	if got := s.toldUsers(); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("told: %q", got)
	}
	s.forgetPace()
	s.mustDeliver()
	if got := s.toldUsers(); !slices.Equal(got, []string{"alice", "bob"}) {
		t.Errorf("told by the next worker: %q", got)
	}
}

// A second service waits for the first one's end, and takes over even from one
// that was killed. A worker that does not stay leaves the work to it.
func TestFollowWaitsForTheLock(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{Hang: true}, "")
	first := s.serve()
	first.expect("READY=1")
	// It is up, since a service manager would not wait as long as a worker may.
	second := s.serve()
	second.expect("READY=1")
	if r := s.deliver(); r.code != 0 || !strings.Contains(r.stderr, "another worker is already running") {
		t.Errorf("deliver beside a service: %+v", r)
	}
	s.login("alice", aliceIP)
	if err := s.slack.WaitRequests(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if r := s.deliver("--once"); r.code != 75 {
		t.Errorf("deliver --once beside a service: exit %d, want 75: %s", r.code, r.stderr)
	}
	if n := s.slack.Stats().Requests; n != 1 {
		t.Errorf("two services have the lock: %d requests", n)
	}
	first.signal(syscall.SIGKILL)
	first.result()
	if err := s.slack.WaitRequests(t.Context(), 2); err != nil {
		t.Error(err)
	}
	second.signal(syscall.SIGKILL) // Slack hangs
	second.result()
}

// Requests of queue are carried out by the service, without a restart.
func TestFollowCarriesOutRequests(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	down := true
	s := newSwiftSite(t, standin.SlackOptions{Behave: func(int, *http.Request) *standin.Answer {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return &standin.Answer{Status: 404, Body: "no_service"} // tried again after five minutes
		}
		return nil
	}}, "")
	m := s.serve()
	m.expect("READY=1")
	s.login("alice", aliceIP)
	queue := func() string { return s.run(nil, "queue", "--config", s.settings).out }
	until(t, "a failure", func() bool { return strings.Contains(queue(), "no_service") })
	s.login("bob", netip.MustParseAddr("203.0.113.8"))
	var ref string
	until(t, "bob in the queue", func() bool {
		for line := range strings.Lines(queue()) {
			if strings.Contains(line, "login of bob") {
				ref = strings.Fields(line)[0]
			}
		}
		return ref != ""
	})
	if r := s.run(nil, "queue", "drop", ref, "--config", s.settings); r.code != 0 || !strings.Contains(r.out, "was asked") {
		t.Errorf("queue drop: %+v", r)
	}
	until(t, "bob to be dropped", func() bool { return !strings.Contains(queue(), "bob") })
	mu.Lock()
	down = false
	mu.Unlock()
	if r := s.run(nil, "queue", "retry", "--config", s.settings); r.code != 0 || !strings.Contains(r.out, "was asked") {
		t.Errorf("queue retry: %+v", r)
	}
	s.wait(1)
	m.stop()
	if got := s.toldUsers(); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("told: %q", got)
	}
}
