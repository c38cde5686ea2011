package main

import (
	"context"
	"fmt"
	"io"
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

	"github.com/sshnotify/sshnotify/internal/event"
)

// pids returns the processes that match and are not dead.
func pids(match func(pid int) bool) []int {
	entries, _ := os.ReadDir("/proc")
	var out []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && match(pid) && !dead(pid) {
			out = append(out, pid)
		}
	}
	return out
}

// statField returns a field of /proc/PID/stat by its number in proc_pid_stat(5),
// from 3 on; "" for a process that is not there.
func statField(pid, n int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(b), ") ") // none of ours has one in its name
	if f := strings.Fields(after); len(f) > n-3 {
		return f[n-3]
	}
	return ""
}

// dead reports whether a process is gone, or waits only for its parent.
func dead(pid int) bool {
	state := statField(pid, 3)
	return state == "" || state == "Z" || state == "X"
}

func ownedBy(uid int) []int {
	return pids(func(pid int) bool {
		info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		return ok && int(st.Uid) == uid
	})
}

// kill ends processes and returns them, so that none means that all is over.
func kill(list []int) []int {
	for _, pid := range list {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return list
}

// sessions returns the sshd processes that serve a connection each.
func (l *lab) sessions() []int {
	listener := strconv.Itoa(l.sshd.Process.Pid)
	return pids(func(pid int) bool { return statField(pid, 4) == listener })
}

// over waits until every session is over, the hook at its end included.
func (l *lab) over() {
	l.t.Helper()
	until(l.t, "the end of the sessions", func() bool { return len(l.sessions()) == 0 })
}

// workers returns the processes that work the site's spool.
func (s *site) workers() []int {
	return pids(func(pid int) bool {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		args := strings.Split(string(b), "\x00")
		return slices.Contains(args, "deliver") && slices.Contains(args, s.spool)
	})
}

// settle waits until every session is over, and the spool has nothing left to
// tell.
func (l *lab) settle(s *site) {
	l.t.Helper()
	l.over()
	until(l.t, "an empty spool", func() bool {
		for _, sub := range []string{"new", "cur"} {
			if left, err := filepath.Glob(filepath.Join(s.spool, sub, "*.json")); err != nil || len(left) > 0 {
				return false
			}
		}
		return true
	})
}

// follow runs sshnotify as a service does, until the test ends.
func (s *site) follow() *exec.Cmd {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.dir, "follow.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	c := exec.Command(binary, "deliver", "--follow", "--spool", s.spool, "--config", s.settings)
	c.Env, c.Stderr = []string{"PATH=" + os.Getenv("PATH")}, log
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		err := c.Wait()
		text, _ := os.ReadFile(log.Name())
		log.Close()
		if err != nil {
			s.t.Errorf("deliver --follow: %v", err)
		}
		if s.t.Failed() {
			s.t.Logf("deliver --follow:\n%s", text)
		}
	})
	return c
}

// waiting returns the events in the site's spool that no worker has taken yet.
func (s *site) waiting() []event.Event {
	s.t.Helper()
	return events(s.t, filepath.Join(s.spool, "new"))
}

// events returns the events in a folder, the oldest first.
func events(t testing.TB, dir string) []event.Event {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []event.Event
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Decode(b)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
	return out
}

// terminal is an interactive login: ssh -tt with somebody who types.
type terminal struct {
	l    *lab
	c    *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	out  strings.Builder
	seen int
}

func (c *terminal) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *terminal) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// login logs in and waits for the shell.
func (l *lab) login(args ...string) *terminal {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 4*patience)
	l.t.Cleanup(cancel)
	c := &terminal{l: l, c: l.command(ctx, "ssh", append([]string{"-tt"}, args...)...)}
	var err error
	if c.in, err = c.c.StdinPipe(); err != nil {
		l.t.Fatal(err)
	}
	c.c.Stdout, c.c.Stderr = c, c
	if err := c.c.Start(); err != nil {
		l.t.Fatal(err)
	}
	c.enter("echo shell''-ready")
	c.see("shell-ready")
	return c
}

// enter types a line. The terminal echoes it: what see waits for must not stand
// in it as it is.
func (c *terminal) enter(line string) {
	c.l.t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		c.l.t.Fatalf("the session is gone: %v\n%s", err, c.text())
	}
}

// see waits for a text after what was seen before.
func (c *terminal) see(want string) {
	c.l.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		all := c.text()
		if i := strings.Index(all[c.seen:], want); i >= 0 {
			c.seen += i + len(want)
			return
		}
		if time.Now().After(deadline) {
			c.l.t.Fatalf("waited in vain for %q on the terminal:\n%s", want, all)
		}
	}
}

// leave types exit, and returns all that the terminal showed.
func (c *terminal) leave() string {
	c.l.t.Helper()
	c.enter("exit")
	if err := c.c.Wait(); err != nil {
		c.l.t.Errorf("the session ended badly: %v", err)
	}
	return c.text()
}
