package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// unnoticed is by how much a hook may make a login slower than /bin/true does.
// The real difference is some milliseconds, and benchmarks measure it; whoever
// waits for a look-up or for Slack waits 3 or 10 seconds. One quick login is
// proof enough, so that a busy machine gets some tries.
const (
	unnoticed = 2 * time.Second
	someTries = 8
)

// timed makes a login that runs a command, and returns the time it took. It must
// succeed, and show what the command printed and nothing else.
func (l *lab) timed(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	r := l.run("ssh", "lab", "echo out; echo err >&2")
	took := time.Since(start)
	if r != (result{0, "out\n", "err\n"}) {
		t.Errorf("a login was disturbed: %+v", r)
	}
	return took
}

// hanging is a Slack that answers nobody before release is called.
func hanging(t *testing.T) (o standin.SlackOptions, release func()) {
	held, release := context.WithCancel(t.Context())
	return standin.SlackOptions{MaxPerSecond: standin.SlackPerSecond, Behave: func(_ int, r *http.Request) *standin.Answer {
		select {
		case <-held.Done():
		case <-r.Context().Done():
		}
		return nil
	}}, release
}

// ownMounts gives the lab's sshd an empty /run, which an overflow may be made
// in and which leaves nothing behind, and a read-only folder.
func (l *lab) ownMounts(readOnly string) bool {
	l.t.Helper()
	if exec.Command("unshare", "--mount", "true").Run() != nil {
		return false
	}
	script := `mount -t tmpfs -o mode=755 tmpfs /run && mkdir -m 755 /run/sshd && mount -t tmpfs -o ro tmpfs "$0" && exec "$@"`
	l.within = []string{"unshare", "--mount", "sh", "-c", script, readOnly}
	return true
}

func TestPromise1ALoginNeverWaitsOnARealSshd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	readOnly := filepath.Join(l.dir, "read-only")
	if err := os.Mkdir(readOnly, 0o755); err != nil {
		t.Fatal(err)
	}
	mounts := l.ownMounts(readOnly)
	l.pam()
	l.serve()
	l.pam("session optional pam_exec.so quiet /bin/true")
	least := time.Hour
	for range 3 {
		least = min(least, l.timed(t))
	}
	// check tells how many logins it made.
	check := func(t *testing.T) (logins int) {
		t.Helper()
		quickest := time.Hour
		for logins < 3 || quickest > least+unnoticed && logins < someTries {
			quickest = min(quickest, l.timed(t))
			logins++
		}
		if quickest > least+unnoticed {
			t.Errorf("a login takes %v, and %v with /bin/true", quickest, least)
		}
		l.transfer(t, "sftp", "lab:sent", "fetched")
		l.over()
		return logins + 1
	}

	t.Run("Slack hangs", func(t *testing.T) {
		o, release := hanging(t)
		s := newSite(t, o, "")
		// That LD_PRELOAD can't be followed is said in every program of the user's.
		l.atHome(".pam_environment", strings.ReplaceAll(poison, "LD_PRELOAD", "NO_PRELOAD"))
		defer os.Remove(filepath.Join(l.home, ".pam_environment"))
		l.pam(readEnv, l.hook(s))
		check(t)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := s.slack.WaitRequests(ctx, 1); err != nil {
			t.Fatal(err)
		}
		workers := s.workers()
		if len(workers) != 1 {
			t.Fatalf("the workers are %v, want one", workers)
		}
		isDetached(t, workers[0])
		release()
		if m := s.wait(1)[0]; !strings.HasPrefix(m.Payload.Text, "HIGH "+l.user+" → db1: ") {
			t.Errorf("told %q", m.Payload.Text)
		}
	})
	for _, tt := range []struct {
		situation string
		prepare   func(t *testing.T, s *site)
		overflow  bool // where the events must be found
	}{
		{"the settings are cut in half", func(_ *testing.T, s *site) { s.configure("[destination.slack]\nwebhook_u") }, false},
		{"the spool is missing", func(_ *testing.T, s *site) { s.spool = filepath.Join(s.dir, "no", "spool") }, true},
		{"the spool is a file", func(_ *testing.T, s *site) { s.spool = s.settings }, true},
		{"the spool is read-only", func(t *testing.T, s *site) {
			if !mounts {
				t.Skip("no right to mount")
			}
			s.spool = readOnly
		}, true},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			s := newSite(t, standin.SlackOptions{}, "")
			tt.prepare(t, s)
			l.pam(l.hook(s))
			n := check(t)
			in := filepath.Join(s.spool, "new")
			if tt.overflow {
				if !mounts {
					t.Skip("whether the events are kept is not known: no right to mount")
				}
				in = filepath.Join(fmt.Sprintf("/proc/%d/root/run", l.sshd.Process.Pid), overflowName(s.spool), "new")
			}
			kinds := map[event.Kind]int{}
			for _, e := range events(t, in) {
				kinds[e.Kind]++
			}
			if want := map[event.Kind]int{event.KindLogin: n, event.KindLogout: n}; !cmp.Equal(kinds, want) {
				t.Errorf("kept are %v, want %v", kinds, want)
			}
		})
	}
}

// isDetached checks that a worker has nothing of the login that started it: not
// its environment, its terminal or pipes, or its session.
func isDetached(t *testing.T, pid int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	for env := range strings.SplitSeq(strings.TrimRight(string(b), "\x00"), "\x00") {
		key, value, _ := strings.Cut(env, "=")
		if !slices.Contains([]string{"PATH", "LC_ALL", "HOME"}, key) || strings.Contains(value, "nonexistent") {
			t.Errorf("the worker has %s from the login's environment", env)
		}
	}
	if sid := statField(pid, 6); sid != fmt.Sprint(pid) {
		t.Errorf("the worker is in session %s", sid)
	}
	for fd := range 3 {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); err != nil || to != os.DevNull {
			t.Errorf("the worker's descriptor %d is %s, %v", fd, to, err)
		}
	}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if to, _ := os.Readlink(link); strings.HasPrefix(to, "pipe:") || strings.HasPrefix(to, "/dev/pt") {
			t.Errorf("the worker holds %s", to)
		}
	}
}

// The same where the hook is a line of the user's own, and even where that line
// leaves the shell's output open to it.
func TestPromise1AShellNeverWaitsOnARealSshd(t *testing.T) {
	e2e(t)
	t.Parallel()
	for name, redirects := range map[string]string{"as installed": silenced, "without redirects": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			o, release := hanging(t)
			slack := l.shells(o, "", ".config", shellBlock(redirects))
			l.atHome(".hushlogin", "")
			l.serve()
			l.timed(t)
			l.transfer(t, "sftp", "lab:sent", "fetched")
			shown := l.login("lab").leave()
			if strings.Contains(shown, "sshnotify") {
				t.Errorf("on the terminal:\n%s", shown)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := slack.WaitRequests(ctx, 1); err != nil {
				t.Fatal(err)
			}
			workers := pids(func(pid int) bool {
				b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
				return strings.Contains(string(b), "deliver\x00") && strings.Contains(string(b), l.home)
			})
			if len(workers) != 1 {
				t.Fatalf("the workers are %v, want one", workers)
			}
			isDetached(t, workers[0])
			release()
			if diff := cmp.Diff(l.usualShell(false), tellsOf(l.waitFor(slack, 1)[0])); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}
