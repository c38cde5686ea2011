package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

// alice's address, and what its stand-in says of it: 72, HIGH.
var aliceIP = netip.MustParseAddr("203.0.113.7")

// swiftDir returns a folder in memory where there is one. Hundreds of syncs to a
// busy disk take long, and only some tests are about those.
func swiftDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sshnotify-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// newSwiftSite is newSite in memory.
func newSwiftSite(t *testing.T, o standin.SlackOptions, more string) *site {
	t.Helper()
	return siteIn(t, swiftDir(t), o, more)
}

// newThreatJammer starts a stand-in, and returns the settings that name it.
func newThreatJammer(t *testing.T, o standin.ThreatJammerOptions) (*standin.ThreatJammer, string) {
	t.Helper()
	tj, err := standin.StartThreatJammer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tj.Close)
	return tj, fmt.Sprintf("[provider.threatjammer]\nurl = %q\napi_key = %q\n", tj.URL(), tj.Key())
}

// endWorkers kills the workers of the site's spool that a test left running,
// before its folder and its stand-ins go.
func (s *site) endWorkers() {
	for end := time.Now().Add(patience); len(kill(s.workers())) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Error("a worker does not die")
			return
		}
	}
}

// until waits for a condition that nothing gives notice of.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// call is one run of the program that differs from run's in what is set.
type call struct {
	args   []string
	env    []string // all of it
	within []string // a command that runs the program; see sandbox and traced
	stdin  io.Reader
	uid    int // of whoever runs it; 0: the test's own
}

// process is a run of the program.
type process struct {
	t        testing.TB
	cmd      *exec.Cmd
	out, err text
	ended    chan struct{} // closed when it is over
}

// text is a buffer that can be read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(b)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// start runs the program in the background, until the test ends at the latest.
func (s *site) start(c call) *process {
	s.t.Helper()
	program := append([]string{binary}, c.args...)
	if s.small && len(c.args) > 0 && c.args[0] == "hook" {
		program = append([]string{smallHook}, c.args[1:]...)
	}
	line := slices.Concat(c.within, program)
	p := &process{t: s.t, ended: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	p.cmd = exec.CommandContext(ctx, line[0], line[1:]...)
	p.cmd.Env = c.env
	if c.env == nil {
		p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = c.stdin, &p.out, &p.err
	if c.uid != 0 {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.uid), Gid: uint32(c.uid)}}
	}
	if err := p.cmd.Start(); err != nil {
		cancel()
		s.t.Fatalf("%s: %v", strings.Join(line, " "), err)
	}
	go func() {
		defer close(p.ended)
		defer cancel()
		_ = p.cmd.Wait() // the exit code tells
	}()
	s.t.Cleanup(func() { cancel(); <-p.ended })
	return p
}

// do runs the program to its end.
func (s *site) do(c call) result {
	s.t.Helper()
	return s.start(c).result()
}

// result waits for the end of the program, and says how it ended.
func (p *process) result() result {
	p.t.Helper()
	<-p.ended
	return result{p.cmd.ProcessState.ExitCode(), p.out.String(), p.err.String()}
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("%v: %v", sig, err)
	}
}

// login queues a login by the hook, without a worker.
func (s *site) login(user string, ip netip.Addr) {
	s.t.Helper()
	s.hook(pamEnv("open_session", user, ip))
}

// hook runs the hook as a service's host does, and insists on its silence.
func (s *site) hook(env []string) {
	s.t.Helper()
	if r := s.do(call{env: env, args: []string{"hook", "--spool", s.spool, "--no-worker"}}); r != (result{}) {
		s.t.Fatalf("the hook must be silent and exit 0: %+v", r)
	}
}

// deliver runs a worker to its end.
func (s *site) deliver(args ...string) result {
	s.t.Helper()
	return s.run(nil, append([]string{"deliver", "--spool", s.spool, "--config", s.settings}, args...)...)
}

// mustDeliver is deliver where everything must arrive.
func (s *site) mustDeliver() {
	s.t.Helper()
	if r := s.deliver(); r.code != 0 {
		s.t.Fatalf("deliver: exit %d\n%s", r.code, r.stderr)
	}
}

// left lists what is in a folder of the spool, but for the worker's own files.
func (s *site) left(sub string) []string {
	s.t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.spool, sub, "[^.]*"))
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}

// one returns the one message that must be in Slack, and its one attachment.
func (s *site) one() (standin.Message, standin.Attachment) {
	s.t.Helper()
	all := s.slack.Messages()
	if len(all) != 1 || len(all[0].Payload.Attachments) != 1 {
		s.t.Fatalf("%d messages in Slack, want 1 with one attachment; refused: %+v", len(all), s.slack.Refusals())
	}
	return all[0], all[0].Payload.Attachments[0]
}

// reconfigure replaces a word in the settings.
func (s *site) reconfigure(old, new string) {
	s.t.Helper()
	b, err := os.ReadFile(s.settings)
	if err != nil {
		s.t.Fatal(err)
	}
	s.configure(strings.ReplaceAll(string(b), old, new))
}

// forgetPace lets the next message go at once: that there is one a second is
// remembered on disk, over workers.
func (s *site) forgetPace() {
	s.t.Helper()
	db, err := store.Open(filepath.Join(s.state, store.FileName), store.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(s.t.Context(), store.BatchLimit, func(t *store.Tx) error {
		_, err := t.Exec(`DELETE FROM state WHERE kind = 'destination'`)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// peakMiB reads the VmHWM of proc(5); 0 if the process has ended.
func peakMiB(pid int) float64 { return statusMiB(pid, "VmHWM:") }

// residentMiB reads the VmRSS of proc(5); 0 if the process has ended.
func residentMiB(pid int) float64 { return statusMiB(pid, "VmRSS:") }

func statusMiB(pid int, field string) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == field {
			kib, _ := strconv.Atoi(f[1])
			return float64(kib) / 1024
		}
	}
	return 0
}
