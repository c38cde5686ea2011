package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// nobody is a user without a home of its own, whom tests run as where settings
// of the host must not be found.
const nobody = 65534

// Without settings nothing leaves the machine: no socket but the system log's.
func TestPromise7WithoutSettingsNobodyIsAsked(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "sshnotify-test-") // where nobody can go
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	uid := os.Getuid()
	if uid == 0 {
		uid = nobody
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	s := &site{t: t, dir: dir, spool: filepath.Join(dir, "spool")}
	t.Cleanup(s.endWorkers)
	home := []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	n := 0
	run := func(env []string, args ...string) result {
		t.Helper()
		n++
		file := filepath.Join(dir, "trace-"+args[0])
		c := call{args: args, env: append(append([]string(nil), home...), env...), within: traced(t, file, "%network")}
		if uid != os.Getuid() {
			c.uid = uid
		}
		r := s.do(c)
		for name, lines := range trace(t, file) {
			for _, line := range lines {
				if !isSystemLog(name, line) {
					t.Errorf("%s: %s", args[0], line)
				}
			}
		}
		if _, err := os.Stat(file); err != nil {
			t.Errorf("%s was not traced: %v", args[0], err)
		}
		return r
	}
	login := append([]string{"SSH_CLIENT=203.0.113.7 51234 22"}, pamEnv("open_session", "alice", aliceIP)...)
	if r := run(login, "hook", "--spool", s.spool, "--no-worker"); r != (result{}) {
		t.Errorf("hook: %+v", r)
	}
	if len(s.waiting()) != 1 {
		t.Error("the event is not in the spool")
	}
	if r := run(nil, "deliver", "--once", "--spool", s.spool); r.code != 0 && r.code != 75 { // 75 where there is no system log
		t.Errorf("deliver: %+v", r)
	}
	// What is known without asking anybody.
	if r := run(nil, "lookup", "1.1.1.1"); r.code != 0 || !strings.Contains(r.out, "AS13335") {
		t.Errorf("lookup: %+v", r)
	}
	if r := run(nil, "policy", "test", "--ip", "1.1.1.1"); r.code != 0 || !strings.Contains(r.out, "severity") {
		t.Errorf("policy test: %+v", r)
	}
	if r := run(nil, "preview", "--format", "text"); r.code != 0 || !strings.Contains(r.out, "203.0.113.7") {
		t.Errorf("preview: %+v", r)
	}
	for _, args := range [][]string{{"alert", "--no-worker", "--ip", "203.0.113.7", "--spool", s.spool, "x"}, {"queue", "--spool", s.spool}, {"config", "check"}, {"version"}, {"test"}} {
		run(nil, args...)
	}
}

// isSystemLog reports whether a system call is part of asking for the system
// log. Everything about other sockets begins with socket or connect.
func isSystemLog(name, line string) bool {
	switch name {
	case "socket":
		return strings.Contains(line, "AF_UNIX")
	case "connect":
		return slices.ContainsFunc([]string{"/dev/log", "/var/run/syslog", "/var/run/log"}, func(path string) bool {
			return strings.Contains(line, `sun_path="`+path+`"`)
		})
	case "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg":
		return false
	}
	return true // getsockname and the like
}

// Addresses that are not public are told to nobody, by no command.
func TestPromise7PrivateAddressesStayHere(t *testing.T) {
	t.Parallel()
	tj, provider := newThreatJammer(t, standin.ThreatJammerOptions{})
	s := newSwiftSite(t, standin.SlackOptions{}, provider)
	private := []string{
		"10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "100.64.0.1",
		"0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "ff02::1",
		"::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b:1::1",
	}
	for _, ip := range private {
		env := []string{"SSH_CONNECTION=" + ip + " 51234 192.0.2.5 22", "PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_RHOST=" + ip, "PAM_TYPE=open_session"}
		s.hook(env)
		// The name of a host is asked of nobody either.
		s.hook([]string{"SSH_CONNECTION=" + ip + " 51235 192.0.2.5 22", "PAM_SERVICE=sshd", "PAM_USER=bob", "PAM_RHOST=host.example.com", "PAM_TYPE=open_session"})
	}
	s.mustDeliver()
	if n := len(s.slack.Messages()); n == 0 {
		t.Error("no message came")
	}
	for _, m := range s.slack.Messages() {
		if strings.Contains(string(m.Raw), "Risk") {
			t.Errorf("a risk is told: %s", m.Raw)
		}
	}
	if r := s.run(nil, append([]string{"lookup", "--config", s.settings}, private...)...); r.code != 0 || strings.Count(r.out, "asked of nobody") != len(private) {
		t.Errorf("lookup: %+v", r)
	}
	for i, ip := range private {
		if i%7 > 0 && !endToEnd() {
			continue // a process each
		}
		if r := s.run(nil, "preview", "--config", s.settings, "--ip", ip); r.code != 0 {
			t.Errorf("preview --ip %s: %+v", ip, r)
		}
	}
	if asked := tj.Requests(); len(asked) > 0 {
		t.Errorf("the provider was asked: %+v", asked)
	}
	// One for documentation counts as public: or this test could not fail.
	if r := s.run(nil, "lookup", "--config", s.settings, "203.0.113.7"); r.code != 0 || len(tj.Requests()) == 0 {
		t.Errorf("nobody was asked about a public address: %+v", r)
	}
}

// Nor is anybody asked to whom a service sends us on.
func TestPromise7NoRedirectIsFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := trap(t)
	_, provider := newThreatJammer(t, standin.ThreatJammerOptions{Behave: func(_ int, r *http.Request) *standin.Answer {
		return &standin.Answer{Redirect: elsewhere.URL + r.URL.Path}
	}})
	s := newSwiftSite(t, standin.SlackOptions{}, provider)
	s.login("alice", aliceIP)
	s.mustDeliver()
	if _, a := s.one(); !strings.Contains(a.Text, "unknown - redirected elsewhere") {
		t.Errorf("text %q", a.Text)
	}
}
