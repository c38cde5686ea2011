package main

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// asCaller is the command that runs another as pam_exec runs the hook of su: the
// caller's real uid and gid, root's effective ones.
func asCaller(t *testing.T) []string {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "root to run as two users at once")
	}
	if _, err := exec.LookPath("setpriv"); err != nil {
		lacking(t, "setpriv")
	}
	return []string{"setpriv", "--ruid", fmt.Sprint(nobody), "--rgid", fmt.Sprint(nobody), "--groups", fmt.Sprint(nobody), "--"}
}

// idsOf returns all uids and gids of a process, each once.
func idsOf(t *testing.T, pid int) []string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for line := range strings.Lines(string(b)) {
		for _, name := range []string{"Uid:", "Gid:", "Groups:"} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				ids = append(ids, strings.Fields(rest)...)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// The hook of su has the caller's real uid. Neither it nor its worker may be the
// caller's to signal, and the caller's home and environment count for nothing.
func TestAttackSuCaller(t *testing.T) { eachHook(t, testAttackSuCaller) }

func testAttackSuCaller(t *testing.T, small bool) {
	t.Parallel()
	caller := asCaller(t)
	o, release := hanging(t)
	defer release()
	s := newSwiftSite(t, o, forgetful)
	s.small = small
	t.Cleanup(s.endWorkers)
	b := newSandbox(t)
	home := swiftDir(t)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_STATE_HOME=" + home,
		"PAM_SERVICE=su", "PAM_USER=root", "PAM_RUSER=nobody", "PAM_TYPE=open_session",
	}
	r := s.do(call{
		args: []string{"hook", "--services", "su", "--spool", s.spool, "--config", s.settings}, env: env,
		within: append(b.within(), caller...),
	})
	if r != (result{}) {
		t.Errorf("the hook must be silent and exit 0: %+v", r)
	}
	until(t, "a worker", func() bool { return len(s.workers()) == 1 })
	worker := s.workers()[0]
	if ids := idsOf(t, worker); !slices.Equal(ids, []string{"0"}) {
		t.Errorf("the worker has the ids %q", ids)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", worker))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range strings.Split(strings.TrimRight(string(environ), "\x00"), "\x00") {
		if key, _, _ := strings.Cut(v, "="); key != "PATH" && key != "LC_ALL" {
			t.Errorf("the worker has %s", v)
		}
	}
	// The process of its own that a session has is not the caller's terminal.
	if sid := statField(worker, 6); sid != fmt.Sprint(worker) {
		t.Errorf("the worker is in session %s", sid)
	}
	kill := exec.Command("setpriv", "--reuid", fmt.Sprint(nobody), "--regid", fmt.Sprint(nobody), "--clear-groups", "kill", "-STOP", fmt.Sprint(worker))
	if out, err := kill.CombinedOutput(); err == nil {
		t.Errorf("the caller may stop the worker: %s", out)
	}
	if made, err := os.ReadDir(home); err != nil || len(made) > 0 {
		t.Errorf("in the caller's home: %v, %v", made, err)
	}
}

// Only the hook makes itself one user's; everything else refuses to be two.
func TestAttackTwoUsersAtOnce(t *testing.T) {
	t.Parallel()
	caller := asCaller(t)
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	for _, within := range [][]string{
		caller,
		{"setpriv", "--ruid", fmt.Sprint(nobody), "--"},
		{"setpriv", "--rgid", fmt.Sprint(nobody), "--clear-groups", "--"},
	} {
		for _, args := range [][]string{
			{"deliver", "--once", "--spool", s.spool, "--config", s.settings},
			{"alert", "--spool", s.spool, "--config", s.settings, "x"},
			{"queue", "--spool", s.spool, "--config", s.settings},
			{"test", "--config", s.settings},
			{"watch", "--config", s.settings},
		} {
			r := s.do(call{args: args, within: within, env: []string{"PATH=" + os.Getenv("PATH")}})
			if r.code != 1 || !strings.Contains(r.stderr, "one user for another") || !strings.Contains(r.stderr, "sshnotify: hint: ") {
				t.Errorf("%q within %q: %+v", args, within, r)
			}
		}
	}
	if len(s.slack.Messages()) > 0 || len(s.waiting()) > 0 {
		t.Error("something was sent or queued")
	}
}

// A user's own limits come along through su and sudo.
func TestAttackLimits(t *testing.T) { eachHook(t, testAttackLimits) }

func testAttackLimits(t *testing.T, small bool) {
	t.Parallel()
	caller := asCaller(t)
	if _, err := exec.LookPath("prlimit"); err != nil {
		lacking(t, "prlimit")
	}
	// The soft ones: a container's root may not raise the hard ones. Those that a
	// Go program meets before its first line are seen to by the line of PAM.
	for _, limit := range []string{
		"--fsize=0:", "--fsize=100:", "--nofile=6:", "--cpu=1:", "--stack=65536:", "--rttime=1:", "--sigpending=0:", "--memlock=0:", "--core=0:",
	} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			s := newSwiftSite(t, standin.SlackOptions{}, forgetful)
			s.small = small
			t.Cleanup(s.endWorkers)
			b := newSandbox(t)
			r := s.do(call{
				args:   []string{"hook", "--services", "su", "--spool", s.spool, "--config", s.settings},
				env:    []string{"PATH=" + os.Getenv("PATH"), "PAM_SERVICE=su", "PAM_USER=root", "PAM_RUSER=nobody", "PAM_TYPE=open_session"},
				within: append(append(b.within(), "prlimit", limit, "--"), caller...),
			})
			if r != (result{}) {
				t.Errorf("the hook must be silent and exit 0: %+v", r)
			}
			// The worker has the limits that the hook gave itself.
			until(t, "the message", func() bool { return len(s.slack.Messages()) == 1 })
		})
	}
}

// A worker that is stopped holds the queue. Whoever comes by says so.
func TestAWorkerThatIsStoppedIsNoticed(t *testing.T) {
	t.Parallel()
	o, release := hanging(t)
	s := newSwiftSite(t, o, forgetful)
	t.Cleanup(s.endWorkers)
	b := newSandbox(t)
	env := append([]string{"PATH=" + os.Getenv("PATH")}, pamEnv("open_session", "alice", aliceIP)...)
	hook := func(more ...string) {
		t.Helper()
		r := s.do(call{args: append([]string{"hook", "--spool", s.spool, "--config", s.settings}, more...), env: env, within: b.within()})
		if r != (result{}) {
			t.Errorf("the hook must be silent and exit 0: %+v", r)
		}
	}
	hook()
	until(t, "a worker", func() bool { return len(s.workers()) == 1 })
	worker, lock := s.workers()[0], filepath.Join(s.spool, "cur", ".lock")
	until(t, "its lock", func() bool { _, err := os.Stat(lock); return err == nil })
	hook()
	if logged := b.logged(); strings.Contains(logged, "no life") {
		t.Errorf("a worker that lives is called silent:\n%s", logged)
	}
	if err := syscall.Kill(worker, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(worker, syscall.SIGCONT)
	before := time.Now().Add(-6 * time.Minute)
	if err := os.Chtimes(lock, before, before); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--no-worker"}} {
		said := strings.Count(b.logged(), "no life")
		hook(more...)
		until(t, "a word in the system log", func() bool { return strings.Count(b.logged(), "no life") == said+1 })
	}
	named := func(args ...string) result { return s.do(call{args: s.named(args...), within: b.within()}) }
	if r := named("queue", "--spool", "SPOOL", "--config", s.settings); r.code != 0 || !strings.Contains(r.stderr, "no life for 6m") || !strings.Contains(r.stderr, "hint: ") {
		t.Errorf("queue: %+v", r)
	}
	if r := named("deliver", "--spool", "SPOOL", "--config", s.settings); r.code != 1 || !strings.Contains(r.stderr, "no life for 6m") {
		t.Errorf("deliver: %+v", r)
	}
	if err := syscall.Kill(worker, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	release()
	until(t, "a sign of life", func() bool {
		info, err := os.Stat(lock)
		return err == nil && time.Since(info.ModTime()) < time.Minute || len(s.workers()) == 0
	})
}

// Whatever stands in the place of a state file, the worker neither waits for it
// nor follows it: the login is told, and the thing is moved aside and said.
func TestAttackStateFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"told-01234567.jsonl", "destination-slack.json", "destination-slack.json.lock", "history.db", "history.db-wal", "history.db-journal", "history.db-shm"} {
		for what, put := range map[string]func(path, victim string) error{
			"a FIFO":   func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
			"a link":   func(path, victim string) error { return os.Symlink(victim, path) },
			"a folder": func(path, _ string) error { return os.Mkdir(path, 0o700) },
		} {
			t.Run(name+" is "+what, func(t *testing.T) {
				sample(t, name+" is "+what, "told-01234567.jsonl is a link", "destination-slack.json is a FIFO", "history.db is a link", "history.db-wal is a folder")
				t.Parallel()
				s := newSwiftSite(t, standin.SlackOptions{}, "")
				b := newSandbox(t)
				login := func(user, ip string) {
					t.Helper()
					s.login(user, netip.MustParseAddr(ip))
					r := s.do(call{args: s.named("deliver", "--spool", "SPOOL", "--config", s.settings), within: b.within()})
					if r.code != 0 {
						t.Fatalf("deliver: %+v", r)
					}
				}
				login("alice", "203.0.113.7")
				path := filepath.Join(s.state, name)
				victim := filepath.Join(s.dir, "victim")
				if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				if err := put(path, victim); err != nil {
					t.Fatal(err)
				}
				login("bob", "203.0.113.8")
				if n := len(s.slack.Messages()); n < 2 {
					t.Errorf("%d messages of two logins", n)
				}
				if b, err := os.ReadFile(victim); err != nil || string(b) != "untouched" {
					t.Errorf("what the link led to holds %q, %v", b, err)
				}
				b.saw("moved aside")
				if aside, err := filepath.Glob(path + ".foreign-*"); err != nil || len(aside) != 1 {
					t.Errorf("moved aside: %q, %v", aside, err)
				}
			})
		}
	}
}

// A state folder in which others may write is not used, and nothing is sent.
func TestAttackStateFolder(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	if err := os.MkdirAll(s.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.state, 0o777); err != nil {
		t.Fatal(err)
	}
	s.login("alice", aliceIP)
	r := s.do(call{args: s.named("deliver", "--once", "--spool", "SPOOL", "--config", s.settings)})
	if r.code != 1 || !strings.Contains(r.stderr, "the state folder is not used") || !strings.Contains(r.stderr, "chmod go-w") {
		t.Errorf("deliver: %+v", r)
	}
	if len(s.slack.Messages()) > 0 || len(s.waiting()) != 1 {
		t.Error("the event does not wait")
	}
}
