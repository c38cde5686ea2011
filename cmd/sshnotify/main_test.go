package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// binary is the real program, smallHook the small one that does what its hook
// command does, and smallGate the one that says who is known, all built once for all tests of this package, as a release is:
// static, without cgo.
var binary, smallHook, smallGate string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sshnotify-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// sshd and the service's user must reach it.
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binary, smallHook, smallGate = filepath.Join(dir, "sshnotify"), filepath.Join(dir, "sshnotify-hook"), filepath.Join(dir, "sshnotify-gate")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir, ".", "../sshnotify-hook", "../sshnotify-gate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the program can't be built:", err)
		return 1
	}
	// These tests wait for other processes, and for a pace of one message a
	// second, more than they work. The command line still has the last word.
	parallel := "4"
	if !endToEnd() {
		parallel = "8"
	}
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// SSHNOTIFY_E2E switches the end-to-end tests on: those that need a real sshd,
// vsftpd, shell or FUSE, and those that take many seconds. With "required" a
// test fails, and is not skipped, where this machine lacks what it needs.
func endToEnd() bool { return os.Getenv("SSHNOTIFY_E2E") != "" }

// soak reports whether tests run in a size that takes an hour: see make soak.
func soak() bool { return os.Getenv("SSHNOTIFY_SOAK") != "" }

func required() bool { return os.Getenv("SSHNOTIFY_E2E") == "required" }

// e2e skips an end-to-end test unless they are switched on.
func e2e(t testing.TB) {
	t.Helper()
	if !endToEnd() {
		t.Skip("an end-to-end test: set SSHNOTIFY_E2E=1")
	}
}

// sample is e2e for the rows of a large table, of which each takes a second: the
// everyday run does with those that are named.
func sample(t *testing.T, row string, everyday ...string) {
	t.Helper()
	if !slices.Contains(everyday, row) {
		e2e(t)
	}
}

// lacking skips a test that needs what this machine lacks, or fails it where
// that is required.
func lacking(t testing.TB, what string) {
	t.Helper()
	if required() {
		t.Fatalf("SSHNOTIFY_E2E=required, and this machine has no %s", what)
	}
	t.Skipf("this machine has no %s", what)
}

// site is an installation of the real program for one test: a spool, settings
// and a stand-in for Slack.
type site struct {
	t        testing.TB
	dir      string
	spool    string
	state    string
	settings string
	slack    *standin.Slack
	small    bool // the hook is the small program
}

// eachHook runs a test for both programs that may stand in a line of PAM. The
// everyday run does with the small one for what takes long.
func eachHook(t *testing.T, test func(t *testing.T, small bool)) {
	t.Parallel()
	t.Run("sshnotify-hook", func(t *testing.T) { test(t, true) })
	t.Run("sshnotify hook", func(t *testing.T) {
		sample(t, t.Name(), "TestPromise1TheHookAsksNobody/sshnotify_hook", "TestPromise1WithServicesThatHang/sshnotify_hook")
		test(t, false)
	})
}

// forgetful switches the memory off, for tests that look at every word of a
// message and are about something else.
const forgetful = "\n[history]\nenabled = false\n"

// newSite makes one in a temporary folder. more is added to the settings.
func newSite(t testing.TB, o standin.SlackOptions, more string) *site {
	t.Helper()
	return siteIn(t, t.TempDir(), o, more)
}

// siteIn is newSite in a folder of the caller's.
func siteIn(t testing.TB, dir string, o standin.SlackOptions, more string) *site {
	t.Helper()
	slack, err := standin.StartSlack(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slack.Close)
	s := &site{
		t: t, dir: dir, slack: slack,
		spool: filepath.Join(dir, "spool"), state: filepath.Join(dir, "state"), settings: filepath.Join(dir, "config.toml"),
	}
	if err := os.Mkdir(s.spool, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.endWorkers)
	if !strings.Contains(more, "[history]") {
		more += forgetful
	}
	s.configure(fmt.Sprintf("host = \"db1.example.com\"\ntime_zone = \"UTC\"\nstate_dir = %q\nspool_dir = %q\n%s\n[destination.slack]\nwebhook_url = %q\n",
		s.state, s.spool, more, slack.URL()))
	return s
}

func (s *site) configure(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.settings, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// result is how a run of the program ended.
type result struct {
	code        int
	out, stderr string
}

// run runs the program with an empty environment but for env.
func (s *site) run(env []string, args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, binary, args...)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}, env...)
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	err := c.Run()
	if c.ProcessState == nil {
		s.t.Fatalf("sshnotify %s: %v", strings.Join(args, " "), err)
	}
	return result{c.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// pamEnv is the environment that sshd and pam_exec give a hook, pam_exec's own
// last.
func pamEnv(kind, user string, ip netip.Addr) []string {
	return []string{
		fmt.Sprintf("SSH_CONNECTION=%s 51234 192.0.2.5 22", ip),
		"SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
		"PAM_SERVICE=sshd", "PAM_USER=" + user, "PAM_TTY=ssh", "PAM_RHOST=" + ip.String(), "PAM_TYPE=" + kind,
	}
}

// wait waits until n messages are in Slack.
func (s *site) wait(n int) []standin.Message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	if err := s.slack.Wait(ctx, n); err != nil {
		s.t.Fatalf("%d messages came, want %d; refused: %+v", len(s.slack.Messages()), n, s.slack.Refusals())
	}
	return s.slack.Messages()
}
