package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// atOnce is what a login that waits for nothing stays below, however busy the machine:
// what hangs in these tests hangs for ever. The benchmark says what a login takes.
const atOnce = time.Minute

func TestPromise1TheHookAsksNobody(t *testing.T) { eachHook(t, testPromise1TheHookAsksNobody) }

func testPromise1TheHookAsksNobody(t *testing.T, small bool) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	s.small = small
	s.login("bob", netip.MustParseAddr("203.0.113.8")) // the first hook makes the folders
	file := filepath.Join(s.dir, "trace")
	r := s.do(call{
		env:    pamEnv("open_session", "alice", aliceIP),
		within: traced(t, file, "%network,%file,fsync"),
		args:   []string{"hook", "--spool", s.spool, "--config", s.settings, "--no-worker"},
	})
	if r != (result{}) {
		t.Errorf("the hook must be silent and exit 0: %+v", r)
	}
	if n := len(s.left("new")); n != 2 {
		t.Fatalf("%d events in the spool, want 2", n)
	}
	calls := trace(t, file)
	for _, name := range []string{"socket", "connect", "sendto", "sendmsg", "bind"} {
		if lines := calls[name]; len(lines) > 0 {
			t.Errorf("the hook uses a socket: %s", lines)
		}
	}
	// Whatever else it opens, it must be known to be harmless: no settings, no
	// resolver, no name service, no time zone, nothing of a home.
	harmless := func(path string) bool {
		for _, dir := range []string{"/proc/", "/sys/", "/dev/null"} {
			if strings.HasPrefix(path, dir) {
				return true
			}
		}
		return path == binary || path == smallHook || path == s.spool || !strings.HasPrefix(path, "/") // within the spool
	}
	opened := slices.Concat(paths(calls["open"]), paths(calls["openat"]), paths(calls["stat"]), paths(calls["newfstatat"]), paths(calls["readlink"]), paths(calls["readlinkat"]))
	if len(opened) < 5 {
		t.Errorf("strace saw the hook open only %q", opened)
	}
	for _, path := range opened {
		if !harmless(path) {
			t.Errorf("the hook looks at %s", path)
		}
	}
	if order := callOrder(t, file, "fsync", "linkat", "renameat2", "unlinkat"); !slices.Equal(order, []string{"fsync", "linkat", "unlinkat", "fsync"}) {
		t.Errorf("the event is not synced, published, and its folder synced, but %v", order)
	}
}

// callOrder returns the names of some system calls in the order in which they
// were made.
func callOrder(t *testing.T, file string, names ...string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for line := range strings.Lines(string(b)) {
		if m := syscallName.FindStringSubmatch(line); m != nil && slices.Contains(names, m[1]) && !strings.Contains(line, "resumed>") {
			order = append(order, m[1])
		}
	}
	return order
}

// Whatever is in the environment and on the command line, the login goes on,
// at once and unseen.
func TestPromise1ALoginNeverWaits(t *testing.T) { eachHook(t, testPromise1ALoginNeverWaits) }

func testPromise1ALoginNeverWaits(t *testing.T, small bool) {
	t.Parallel()
	usual := pamEnv("open_session", "alice", aliceIP)
	with := func(more ...string) []string { return append(more, usual...) }
	line := func(more ...string) []string {
		return append([]string{"hook", "--no-worker", "--spool", "SPOOL"}, more...)
	}
	for name, row := range map[string]struct {
		env    []string
		args   []string // nil: the usual ones
		untold bool     // there is nothing to tell
	}{
		"a usual login":                     {env: usual},
		"no environment":                    {env: []string{}, untold: true},
		"garbage for an environment":        {env: []string{"", "=", "==", "PAM_TYPE", "\xff\xfe=\x01", "PAM_SERVICE=sshd", "PAM_TYPE=\x1b[31m"}, untold: true},
		"a session of no SSH":               {env: []string{"PAM_SERVICE=cron", "PAM_TYPE=open_session", "PAM_USER=root"}, untold: true},
		"addresses that are none":           {env: []string{"PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_RHOST=%s%n", "SSH_CONNECTION= 1 2 ", "PAM_TYPE=open_session"}},
		"an environment of 64 KiB":          {env: with("BALLAST=" + strings.Repeat("A", 64<<10))},
		"a thousand variables":              {env: with(ballast(1000)...)},
		"a user of 64 KiB":                  {env: pamEnv("open_session", strings.Repeat("a", 64<<10), aliceIP)},
		"a user that is no UTF-8":           {env: pamEnv("open_session", "al\xff\xc3ce", aliceIP)},
		"a memory limit of a byte":          {env: with("GOMEMLIMIT=1B", "GOGC=off")},
		"a collector that never rests":      {env: with("GOGC=1", "GOMAXPROCS=1")},
		"a Go that debugs":                  {env: with("GODEBUG=gctrace=1,netdns=cgo+2,panicnil=1", "GOTRACEBACK=crash")},
		"a Go that debugs nonsense":         {env: with("GODEBUG=\xff=,,==", "GOTRACEBACK=\xff", "GORACE=x")},
		"a time zone that never ends":       {env: with("TZ=/dev/zero", "ZONEINFO=/dev/zero")},
		"preloads, proxies and homes":       {env: with("LD_PRELOAD=/proc/nonexistent.so", "HTTPS_PROXY=http://192.0.2.1:1", "HOME=/dev/null", "XDG_CONFIG_HOME=/proc", "SSL_CERT_FILE=/dev/zero", "TMPDIR=/proc/nonexistent")},
		"a flag that is none":               {env: usual, args: []string{"hook", "--no-worker", "--frobnicate", "--spool", "SPOOL"}},
		"a wrong flag after the right ones": {env: usual, args: line("-z")},
		"a flag without its value":          {env: usual, args: []string{"hook", "--no-worker", "--spool"}},
		"a flag with a wrong value":         {env: usual, args: []string{"hook", "--no-worker=maybe", "--spool", "SPOOL"}},
		"words that belong nowhere":         {env: usual, args: line("deliver", "now")},
		"flags of all commands":             {env: usual, args: line("--log-level", "debug", "--config", "/proc/nonexistent")},
		"settings before the command":       {env: usual, args: append([]string{"--config", "/proc/nonexistent"}, line()...)},
		"a flag that is none, after those":  {env: usual, args: append([]string{"--config", "/proc/nonexistent"}, line("--frobnicate")...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSwiftSite(t, standin.SlackOptions{}, "")
			s.small = small
			b := newSandbox(t) // where the flag is not understood, the host's own spool is taken
			if row.args == nil {
				row.args = line()
			}
			c := call{env: row.env, args: s.named(row.args...)}
			if !slices.Contains(row.args, "SPOOL") || strings.HasPrefix(name, "a flag") {
				c.within = b.within("mount -t tmpfs none /var/spool")
			}
			// A worker that a wrong flag lets start would take the event away.
			lock, err := spool.Open(spool.Options{Dir: s.spool, UID: os.Getuid()}).Lock(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Unlock()
			start := time.Now()
			r := s.do(c)
			if took := time.Since(start); took > atOnce {
				t.Errorf("the login waited for %v", took)
			}
			if r != (result{}) {
				t.Errorf("the hook must be silent and exit 0: %+v", r)
			}
			got := append(s.waiting(), events(t, filepath.Join(b.run, "sshnotify", "new"))...)
			if row.untold != (len(got) == 0) || len(got) > 1 {
				t.Fatalf("events in the spool: %+v, want one: %v", got, !row.untold)
			}
			if !row.untold && !slices.Contains(row.env, "PAM_RHOST=%s%n") && got[0].Remote.IP != aliceIP {
				t.Errorf("the login is told from %v", got[0].Remote.IP)
			}
		})
	}
}

// named puts the site's spool where SPOOL stands.
func (s *site) named(args ...string) []string {
	var out []string
	for _, a := range args {
		out = append(out, strings.ReplaceAll(a, "SPOOL", s.spool))
	}
	return out
}

func ballast(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("V%d=%s", i, strings.Repeat("x", 64)))
	}
	return out
}

// Where an event is after a hook on a broken host.
const (
	inSpool    = "the spool"
	inOverflow = "the overflow"
	inLog      = "the system log"
	nowhere    = "" // nothing can be done about it
)

// A host on which something is broken: the login goes on, and the event is kept
// somewhere as long as there is any place for it.
func TestPromise1OnABrokenHost(t *testing.T) { eachHook(t, testPromise1OnABrokenHost) }

func testPromise1OnABrokenHost(t *testing.T, small bool) {
	t.Parallel()
	line := []string{"hook", "--no-worker", "--spool", "SPOOL"}
	elsewhere := []string{"hook", "--no-worker", "--spool", "SPOOL/gone"}
	noRun := "mount -o remount,ro,bind /run"
	for name, row := range map[string]struct {
		mounts []string
		args   []string
		kept   string
	}{
		"a spool that is not there":       {args: elsewhere, kept: inOverflow},
		"a spool that is a file":          {args: []string{"hook", "--no-worker", "--spool", "/etc/passwd"}, kept: inOverflow},
		"a spool that is read-only":       {mounts: []string{"mount -t tmpfs none SPOOL", "mount -o remount,ro,bind SPOOL"}, args: line, kept: inOverflow},
		"a disk that is full":             {mounts: []string{"mount -t tmpfs -o size=64k none SPOOL", "dd if=/dev/zero of=SPOOL/full bs=4k 2>/dev/null || :"}, args: line, kept: inOverflow},
		"a disk without inodes":           {mounts: []string{"mount -t tmpfs -o nr_inodes=3 none SPOOL", "touch SPOOL/a SPOOL/b"}, args: line, kept: inOverflow},
		"no spool, and a worker to start": {args: []string{"hook", "--spool", "SPOOL/gone"}, kept: inOverflow},
		"neither spool nor /run":          {mounts: []string{noRun}, args: elsewhere, kept: inLog},
		"no /proc":                        {mounts: []string{"mount -t tmpfs none /proc"}, args: line, kept: inSpool},
		"no /etc/passwd":                  {mounts: []string{"mount --bind /dev/null /etc/passwd"}, args: line, kept: inSpool},
		"closed standard descriptors":     {mounts: []string{"exec <&- >&- 2>&-"}, args: line, kept: inSpool},
		"output on a full disk":           {mounts: []string{"exec >/dev/full 2>&1"}, args: line, kept: inSpool},
		"a system log that hangs":         {args: elsewhere, kept: inOverflow},
		"nothing but a log that hangs":    {mounts: []string{noRun}, args: elsewhere, kept: nowhere},
		"nothing at all":                  {mounts: []string{"rm /run/log", noRun}, args: elsewhere, kept: nowhere},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSwiftSite(t, standin.SlackOptions{}, "")
			s.small = small
			b := newSandbox(t)
			if strings.HasSuffix(name, "that hangs") {
				b.hang()
			}
			start := time.Now()
			r := s.do(call{
				env:  append([]string{"PATH=" + os.Getenv("PATH")}, pamEnv("open_session", "alice", aliceIP)...),
				args: s.named(row.args...), within: b.within(s.named(row.mounts...)...),
			})
			if took := time.Since(start); took > atOnce {
				t.Errorf("the login waited for %v", took)
			}
			if r != (result{}) {
				t.Errorf("the hook must be silent and exit 0: %+v", r)
			}
			over, err := filepath.Glob(filepath.Join(b.run, "sshnotify*", "new"))
			if err != nil {
				t.Fatal(err)
			}
			var kept []event.Event
			switch row.kept {
			case inSpool:
				kept = s.waiting()
			case inOverflow:
				if len(over) != 1 {
					t.Fatalf("overflow folders: %q", over)
				}
				kept = events(t, over[0])
			case inLog:
				b.saw(`"user":"alice"`)
				kept = []event.Event{loggedEvent(t, b.logged())}
			}
			if row.kept != nowhere && (len(kept) != 1 || kept[0].User != "alice" || kept[0].Remote.IP != aliceIP) {
				t.Errorf("in %s: %+v", row.kept, kept)
			}
			if row.kept == inOverflow && !strings.HasSuffix(name, "that hangs") {
				b.saw("can't take events, this one is kept in /run/sshnotify")
			}
		})
	}
}

// loggedEvent reads the event at the end of the system log: all of it is there.
func loggedEvent(t *testing.T, log string) event.Event {
	t.Helper()
	_, raw, _ := strings.Cut(log, ": {")
	e, err := event.Decode([]byte("{" + strings.TrimSuffix(raw, `\u000a`)))
	if err != nil {
		t.Fatalf("%v in %q", err, log)
	}
	return e
}

// hang makes the system log one that nobody reads any more, full to its limit.
func (b *sandbox) hang() {
	b.t.Helper()
	if err := b.log.Close(); err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(b.run, "log")
	if err := os.Remove(path); err != nil {
		b.t.Fatal(err)
	}
	b.listen()
	c, err := net.Dial("unixgram", path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	for err == nil {
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, err = c.Write([]byte("x"))
	}
}

// Services that hang hold up the worker, and nobody else.
func TestPromise1WithServicesThatHang(t *testing.T) { eachHook(t, testPromise1WithServicesThatHang) }

func testPromise1WithServicesThatHang(t *testing.T, small bool) {
	t.Parallel()
	_, provider := newThreatJammer(t, standin.ThreatJammerOptions{Hang: true})
	s := newSwiftSite(t, standin.SlackOptions{Hang: true}, provider+"[enrich]\ntimeout = \"200ms\"\n")
	s.small = small
	for i := range 3 {
		start := time.Now()
		r := s.do(call{
			env:  pamEnv("open_session", "alice", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})),
			args: []string{"hook", "--spool", s.spool, "--config", s.settings},
		})
		if took := time.Since(start); r != (result{}) || took > atOnce {
			t.Errorf("login %d waited for %v: %+v", i, took, r)
		}
	}
	if err := s.slack.WaitRequests(t.Context(), 1); err != nil {
		t.Errorf("the worker did not get as far as Slack: %v", err)
	}
}
