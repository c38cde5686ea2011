package main

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// shellHook is the hook of a login as a line of shell, for what must happen in
// one sandbox.
func (s *site) shellHook(user, ip string) string {
	return fmt.Sprintf("SSH_CONNECTION='%s 51234 192.0.2.5 22' PAM_SERVICE=sshd PAM_USER=%s PAM_RHOST=%s PAM_TYPE=open_session %s hook --spool %s --no-worker",
		ip, user, ip, binary, s.spool)
}

// told returns the users who were told of in messages of their own, in order.
func (s *site) toldUsers() []string {
	var users []string
	for _, m := range s.slack.Messages() {
		users = append(users, strings.Fields(m.Payload.Text)[0])
	}
	return users
}

// A spool on a disk that is full, and then is not: what can be told is told at
// once, and the rest as soon as there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	const fill = "dd if=/dev/zero of=SPOOL/full bs=4k 2>/dev/null || :"
	const deliver = "code=0; BIN deliver --once --spool SPOOL --config CONF || code=$?; echo code $code"
	for name, row := range map[string]struct {
		steps []string
		first []string // who is told of while the disk is full
	}{
		"at a login": {[]string{
			"mount -t tmpfs -o size=256k none SPOOL", fill, "HOOK alice", "HOOK bob",
			"rm SPOOL/full", "HOOK carol",
		}, nil},
		"under the worker": {[]string{
			"mount -t tmpfs -o size=256k none SPOOL", "HOOK alice", "HOOK bob", fill, "HOOK carol", deliver,
			"test -e RUN/sshnotify*/new/*.json", "rm SPOOL/full",
		}, []string{"alice", "bob"}},
		"under the worker and its memory": {[]string{
			"mount -t tmpfs -o size=256k,mode=0700 none DIR/state", "mount -t tmpfs -o size=256k none SPOOL", "HOOK alice", "HOOK bob",
			fill, "dd if=/dev/zero of=DIR/state/full bs=4k 2>/dev/null || :", "HOOK carol", deliver,
			"test -e RUN/sshnotify*/new/*.json", "rm SPOOL/full",
		}, []string{"alice", "bob"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSwiftSite(t, standin.SlackOptions{}, "")
			b := newSandbox(t)
			if err := os.Mkdir(s.state, 0o700); err != nil {
				t.Fatal(err)
			}
			words := strings.NewReplacer("SPOOL", s.spool, "DIR", s.dir, "BIN", binary, "CONF", s.settings, "RUN", "/run")
			var lines []string
			for i, step := range row.steps {
				if user, ok := strings.CutPrefix(step, "HOOK "); ok {
					lines = append(lines, s.shellHook(user, fmt.Sprintf("203.0.113.%d", i)))
				} else {
					lines = append(lines, words.Replace(step))
				}
			}
			r := s.do(call{args: []string{"deliver", "--spool", s.spool, "--config", s.settings}, within: b.within(lines...)})
			if r.code != 0 {
				t.Errorf("deliver: exit %d\n%s", r.code, r.stderr)
			}
			got := s.toldUsers()
			if row.first != nil && (!strings.Contains(r.out, "code 1") || !strings.Contains(r.stderr, "no space left on device") || len(got) < 2 || slices.Contains(got[:2], "carol")) {
				t.Errorf("on the full disk %q are told, want %q: %s%s", got, row.first, r.out, r.stderr)
			}
			if slices.Sort(got); !slices.Equal(got, []string{"alice", "bob", "carol"}) {
				t.Errorf("told: %q\n%s", got, r.stderr)
			}
			if left, err := filepath.Glob(filepath.Join(b.run, "sshnotify*", "new", "*")); err != nil || len(left) > 0 {
				t.Errorf("left in the overflow: %q, %v", left, err)
			}
			b.saw("can't take events, this one is kept in /run/sshnotify")
		})
	}
}

// A spool that turns read-only: the worker says so and goes, and what waits is
// told once it can be.
func TestReadOnlySpool(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	b := newSandbox(t)
	line := fmt.Sprintf("%s deliver --once --spool %s --config %s", binary, s.spool, s.settings)
	r := s.do(call{args: []string{"deliver", "--spool", s.spool, "--config", s.settings}, within: b.within(
		"mount -t tmpfs none "+s.spool, s.shellHook("alice", "203.0.113.7"),
		"mount -o remount,ro,bind "+s.spool, "code=0; "+line+" || code=$?", "echo first worker: $code",
		s.shellHook("bob", "203.0.113.8"),
		"mount -o remount,rw,bind "+s.spool,
	)})
	if r.code != 0 || !strings.Contains(r.out, "first worker: 1") || !strings.Contains(r.stderr, "sshnotify: error: ") || !strings.Contains(r.stderr, "read-only file system") {
		t.Errorf("exit %d\n%s%s", r.code, r.out, r.stderr)
	}
	got := s.toldUsers()
	if slices.Sort(got); !slices.Equal(got, []string{"alice", "bob"}) {
		t.Errorf("told: %q", got)
	}
}

// Settings that can't be read mean to wait, never to do without them.
func TestBrokenSettingsWait(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	b := newSandbox(t)
	whole, err := os.ReadFile(s.settings)
	if err != nil {
		t.Fatal(err)
	}
	s.login("alice", aliceIP)
	for name, spoil := range map[string]func(){
		"cut in half": func() { s.configure(string(whole[:len(whole)/2])) },
		"a key more":  func() { s.configure("hots = \"x\"\n" + string(whole)) },
		"a folder": func() {
			if err := os.Mkdir(s.settings, 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"not there": func() {},
	} {
		if err := os.RemoveAll(s.settings); err != nil {
			t.Fatal(err)
		}
		spoil()
		if r := s.deliver(); r.code != 78 || !strings.HasPrefix(r.stderr, "sshnotify: error: "+s.settings) {
			t.Errorf("%s: exit %d, want 78: %s", name, r.code, r.stderr)
		}
		if len(s.waiting()) != 1 || len(s.slack.Messages()) != 0 {
			t.Fatalf("%s: the event does not wait", name)
		}
		if err := os.RemoveAll(s.settings); err != nil {
			t.Fatal(err)
		}
	}
	// A worker that a hook started has nobody who reads its errors.
	s.configure(string(whole[:len(whole)/2]))
	r := s.do(call{
		env:    append(pamEnv("open_session", "bob", netip.MustParseAddr("203.0.113.8")), "PATH="+os.Getenv("PATH")),
		args:   []string{"hook", "--spool", s.spool, "--config", s.settings},
		within: b.within(),
	})
	if r != (result{}) {
		t.Errorf("hook: %+v", r)
	}
	b.saw("events wait, because the settings are wrong")
	until(t, "the end of the worker", func() bool { return len(s.workers()) == 0 })
	s.configure(string(whole))
	s.mustDeliver()
	if got := s.toldUsers(); len(got) != 2 {
		t.Errorf("told: %q", got)
	}
}

// Whatever lies in the spool that no hook wrote: the worker does not stumble,
// removes nothing, and tells what it can.
func TestTornAndForeignFiles(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	s.login("alice", aliceIP) // which makes the folders
	s.login("bob", netip.MustParseAddr("203.0.113.8"))
	alice, err := event.Event{
		ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Host: "db1", User: "mallory", Via: event.ViaPAM,
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	id := func() string { return event.NewID() + ".json" }
	secret := filepath.Join(s.dir, "secret")
	put := func(sub, name, text string) string {
		t.Helper()
		dir := filepath.Join(s.spool, sub)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(secret, alice, 0o600))
	torn := put("new", id(), string(alice[:len(alice)/2]))
	empty := put("new", id(), "")
	another := put("new", id(), string(alice)) // the event bears another id
	newer := put("new", id(), `{"v":99,"id":"x","what":"a later sshnotify wrote it"}`)
	huge := put("new", id(), `{"v":1,"x":"`+strings.Repeat("x", 5<<20)+`"}`)
	put("new", "README", "no event")
	put("new", "-rf *", "no event")
	put("new", "..json", "no event")
	put("cur", "core", "no event")
	tornClaim := put("cur", id(), string(alice[:len(alice)/3]))
	tornMessage := put("cur", "msg-"+id(), `{"v":1,"id":"`)
	put("tmp", "4711-torn", "{")
	must(os.Symlink(secret, filepath.Join(s.spool, "new", id())))
	must(os.Symlink("/dev/zero", filepath.Join(s.spool, "new", id())))
	must(os.Symlink(secret, filepath.Join(s.spool, "cur", id())))
	must(os.Mkdir(filepath.Join(s.spool, "new", id()), 0o700))
	must(syscall.Mkfifo(filepath.Join(s.spool, "new", id()), 0o600))

	r := s.deliver()
	if r.code != 0 && r.code != 75 {
		t.Errorf("exit %d\n%s", r.code, r.stderr)
	}
	got := s.toldUsers()
	if slices.Sort(got); !slices.Equal(got, []string{"HIGH", "alice", "bob"}) { // HIGH: what was refused
		t.Errorf("told: %q", got)
	}
	failed := s.left("failed")
	for _, name := range []string{torn, empty, another, huge, tornClaim, tornMessage} {
		if !slices.Contains(failed, name) {
			t.Errorf("%s is not kept in failed/: %q", name, failed)
		}
	}
	if !slices.Contains(s.left("cur"), newer) {
		t.Errorf("the event of a newer sshnotify does not wait: %q", s.left("cur"))
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != string(alice) {
		t.Errorf("a link was followed: %v", err)
	}
	for _, word := range []string{"README", torn, newer} {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("nothing is said of %s:\n%s", word, r.stderr)
		}
	}
	list := s.run(nil, "queue", "--config", s.settings)
	if list.code != 0 || !strings.Contains(list.out, "can't be read") {
		t.Errorf("queue: %+v", list)
	}
	// It is said once, and not in the way of what comes.
	s.login("carol", netip.MustParseAddr("203.0.113.9"))
	s.deliver()
	if got := s.toldUsers(); !slices.Contains(got, "carol") || len(got) != 4 {
		t.Errorf("told in the end: %q", got)
	}
}

// stamp matches a time as it is kept in files.
var stamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)

// shiftTimes changes every time that is kept in a folder.
func shiftTimes(t *testing.T, dir string, by time.Duration) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b = stamp.ReplaceAllFunc(b, func(old []byte) []byte {
			at, err := time.Parse(time.RFC3339Nano, string(old))
			if err != nil || at.IsZero() {
				return old
			}
			n++
			return []byte(at.Add(by).Format(time.RFC3339Nano))
		})
		return os.WriteFile(path, b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The clock is put back by an hour: all that is remembered, and an event that
// waits, are of the future. Nobody waits for an hour for that.
func TestClockThatJumpsBack(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	var mode atomic.Int32 // 0: well, 1: limited, 2: failing
	slackOptions := standin.SlackOptions{Behave: func(int, *http.Request) *standin.Answer {
		switch mode.Load() {
		case 1:
			mode.Store(0)
			return &standin.Answer{Status: 429, Header: http.Header{"Retry-After": {"1"}}}
		case 2:
			return &standin.Answer{Status: 500, Body: "rollup_error"}
		}
		return nil
	}}
	tj, provider := newThreatJammer(t, standin.ThreatJammerOptions{})
	s := newSwiftSite(t, slackOptions, provider+"[group]\nwindow = \"2s\"\n")
	mode.Store(1)
	s.login("alice", aliceIP)
	s.mustDeliver()
	mode.Store(2)
	s.login("bob", netip.MustParseAddr("203.0.113.8"))
	if r := s.deliver("--once"); r.code != 75 {
		t.Fatalf("deliver --once: exit %d, want 75\n%s", r.code, r.stderr)
	}
	asked := len(tj.Requests())
	if n := shiftTimes(t, s.state, time.Hour) + shiftTimes(t, filepath.Join(s.spool, "cur"), time.Hour); n < 10 {
		t.Fatalf("only %d times were kept", n)
	}
	mode.Store(0)
	again := pamEnv("open_session", "alice", aliceIP)
	again[0] = fmt.Sprintf("SSH_CONNECTION=%s 51299 192.0.2.5 22", aliceIP)
	s.hook(again)
	s.login("carol", netip.MustParseAddr("203.0.113.9"))
	start := time.Now()
	s.mustDeliver()
	if took := time.Since(start); took > time.Minute {
		t.Errorf("the worker waited for %v", took)
	}
	told := ""
	for _, m := range s.slack.Messages() {
		told += m.Payload.Text + " / " + m.Payload.Attachments[0].Footer + "\n"
	}
	if strings.Contains(told, "late") {
		t.Errorf("something is told late:\n%s", told)
	}
	// The repeat is counted in another message, or has one of its own.
	if strings.Count(told, "alice") != 2 || strings.Count(told, "bob →") != 1 || strings.Count(told, "carol →") != 1 {
		t.Errorf("told:\n%s", told)
	}
	if len(tj.Requests()) == asked {
		t.Error("nobody was asked after the jump")
	}
}

// A Slack that is not one: the event waits, and is told once when Slack is back.
func TestSlackThatIsNone(t *testing.T) {
	e2e(t)
	t.Parallel()
	elsewhere := trap(t)
	// These two take as long as a request may. Both wait at the same time.
	slow := map[string]standin.Answer{
		"never answers":           {Hang: true},
		"answers a byte a second": {DripBytes: true, Body: "ok"},
	}
	var wg sync.WaitGroup
	for name, a := range slow {
		wg.Go(func() { slackIsNone(t, name, a) })
	}
	for name, a := range map[string]standin.Answer{
		"redirects":             {Redirect: elsewhere.URL},
		"redirects a POST":      {Status: 307, Redirect: elsewhere.URL},
		"answers 100 MB":        {HugeBody: true},
		"answers ok and more":   {HugeBody: true, Body: "ok"},
		"is a login page":       {Body: "<html>ok</html>", Header: http.Header{"Content-Type": {"text/html"}}},
		"answers nothing":       {Body: " "},
		"says ok with 201":      {Status: 201, Body: "ok"},
		"says ok with 500":      {Status: 500, Body: "ok"},
		"says OK":               {Body: "OK"},
		"says no with 200":      {Body: "no_service"},
		"closes the connection": {Drop: true},
	} {
		slackIsNone(t, name, a)
	}
	wg.Wait()
}

func slackIsNone(t *testing.T, name string, a standin.Answer) {
	t.Helper()
	var back atomic.Bool
	s := newSwiftSite(t, standin.SlackOptions{Behave: func(int, *http.Request) *standin.Answer {
		if back.Load() {
			return nil
		}
		return &a
	}}, "")
	s.login("alice", aliceIP)
	p := s.start(call{args: []string{"deliver", "--once", "--spool", s.spool, "--config", s.settings}})
	most := 0.0
	for running := true; running; {
		select {
		case <-p.ended:
			running = false
		case <-time.After(2 * time.Millisecond):
			// Not the rusage: that starts with what the test's own process has.
			most = max(most, peakMiB(p.cmd.Process.Pid))
		}
	}
	if r := p.result(); r.code != 75 {
		t.Errorf("%s: deliver --once: exit %d, want 75\n%s", name, r.code, r.stderr)
	}
	if most > 64 {
		t.Errorf("%s: the worker took %.0f MiB", name, most)
	}
	if list := s.run(nil, "queue", "--config", s.settings).out; !strings.Contains(list, "waiting; slack: waiting (") {
		t.Errorf("%s: queue says %q", name, list)
	}
	back.Store(true)
	if r := s.run(nil, "queue", "retry", "--no-worker", "--config", s.settings); r.code != 0 {
		t.Errorf("%s: queue retry: %+v", name, r)
	}
	if r := s.deliver("--once"); r.code != 0 {
		t.Errorf("%s: deliver --once when Slack is back: exit %d\n%s", name, r.code, r.stderr)
	}
	if got := s.toldUsers(); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("%s: told: %q", name, got)
	}
}

// The host's spool belongs to a service: what root runs on it becomes that user
// and leaves no file that the service can't use.
func TestRootBecomesTheSpoolsOwner(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lacking(t, "root to run as somebody else")
	}
	s := newSwiftSite(t, standin.SlackOptions{Behave: func(n int, _ *http.Request) *standin.Answer {
		if n == 1 {
			return &standin.Answer{Status: 500, Body: "rollup_error"}
		}
		return nil
	}}, "")
	for _, f := range []struct {
		sub  string
		uid  int
		mode os.FileMode
	}{
		{"", 0, 0o750}, {"tmp", 0, 0o710 | os.ModeSetgid}, {"new", 0, 0o770 | os.ModeSetgid}, {"cur", nobody, 0o700}, {"failed", nobody, 0o700},
	} {
		dir := filepath.Join(s.spool, f.sub)
		err := os.MkdirAll(dir, 0o700)
		if err == nil {
			err = os.Chown(dir, f.uid, nobody)
		}
		if err == nil {
			err = os.Chmod(dir, f.mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.login("alice", aliceIP)
	if r := s.deliver("--once"); r.code != 75 {
		t.Fatalf("deliver --once: exit %d, want 75\n%s", r.code, r.stderr)
	}
	if r := s.run(nil, "queue", "retry", "--no-worker", "--config", s.settings); r.code != 0 {
		t.Fatalf("queue retry: %+v", r)
	}
	for _, dir := range []string{filepath.Join(s.spool, "cur"), s.state} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if st := info.Sys().(*syscall.Stat_t); st.Uid != nobody {
				t.Errorf("%s belongs to %d", path, st.Uid)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	// The service itself carries on; it may not look at root's settings here.
	readable := filepath.Join(s.dir, "service.toml")
	b, err := os.ReadFile(s.settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(readable, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(readable, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	r := s.do(call{args: []string{"deliver", "--once", "--spool", s.spool, "--config", readable}, uid: nobody})
	if r.code != 0 {
		t.Errorf("the service: exit %d\n%s", r.code, r.stderr)
	}
	if got := s.toldUsers(); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("told: %q", got)
	}
}
