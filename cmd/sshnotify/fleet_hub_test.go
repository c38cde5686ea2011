package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// fleetHub is a real hub: a folder, an address, and the process that has both
// now. It may be killed and started again.
type fleetHub struct {
	*site
	address string // of 127.0.0.1
	told    *toldFile

	mu   sync.Mutex
	cmd  *exec.Cmd
	gone chan struct{} // closed once cmd has ended
	log  text
	cost cost // of the processes before
}

// cost is what processes took of the machine.
type cost struct {
	cpu  time.Duration
	peak float64 // MiB, of the largest
}

// toldSettings route everything to a file of JSON Lines, each event by itself.
const toldSettings = "notify = \"all\"\n[group]\nwindow = \"0s\"\n[login]\nnotify_logout = \"all\"\n[watch]\nnotify = \"each\"\n[history]\nenabled = true\n"

// newFleetHub makes a hub and starts it. more is added to the settings.
func newFleetHub(t testing.TB, dir, more string) *fleetHub {
	t.Helper()
	h := &fleetHub{address: freeAddress(t)}
	toldDir := filepath.Join(dir, "told")
	if err := os.MkdirAll(toldDir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.told = &toldFile{path: filepath.Join(toldDir, "told.jsonl"), first: make(map[string]time.Time)}
	h.site = siteIn(t, dir, standin.SlackOptions{}, more)
	h.configure(fmt.Sprintf("host = \"hub\"\ntime_zone = \"UTC\"\nstate_dir = %q\nspool_dir = %q\n%s\n[hub]\nlisten = %q\nnames = [\"localhost\", \"127.0.0.1\"]\n[destination.told]\ntype = \"file\"\npath = %q\n",
		h.state, h.spool, more, h.address, h.told.path))
	t.Cleanup(func() { h.kill() })
	h.launch()
	return h
}

// freeAddress returns an address of 127.0.0.1 that nobody listens at.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (h *fleetHub) url() string { return "https://" + h.address }

// launch starts the hub, and waits until it answers.
func (h *fleetHub) launch() {
	h.t.Helper()
	h.begin()
	probe := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		r, err := probe.Get(h.url() + "/healthz")
		if err == nil {
			r.Body.Close()
			return
		}
		select {
		case <-h.ended():
			h.t.Fatalf("the hub has ended:\n%s", h.log.String())
		default:
		}
		if time.Now().After(end) {
			h.t.Fatalf("the hub does not answer: %v\n%s", err, h.log.String())
		}
	}
}

// begin starts the hub.
func (h *fleetHub) begin() {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cmd = exec.Command(binary, "hub", "--config", h.settings)
	h.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir}
	h.cmd.Stdout, h.cmd.Stderr = &h.log, &h.log
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.gone = make(chan struct{})
	go func(c *exec.Cmd, gone chan struct{}) {
		_ = c.Wait() // it is killed
		close(gone)
	}(h.cmd, h.gone)
}

func (h *fleetHub) ended() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

// kill ends the hub as a power cut would end its process, and reports whether it
// ran until then.
func (h *fleetHub) kill() bool { return h.signal(syscall.SIGKILL) }

// stop ends the hub as a service manager does.
func (h *fleetHub) stop() bool { return h.signal(syscall.SIGTERM) }

// lookAtHosts lets the hub look at once whether there is something to tell of the
// hosts, which it does each minute, and before it ends.
func (h *fleetHub) lookAtHosts() {
	h.t.Helper()
	h.stop()
	h.launch()
}

func (h *fleetHub) signal(sig syscall.Signal) bool {
	h.mu.Lock()
	cmd, gone := h.cmd, h.gone
	h.cmd = nil
	h.mu.Unlock()
	if cmd == nil {
		return false
	}
	spent, peak := cpuTime(cmd.Process.Pid), peakMiB(cmd.Process.Pid)
	h.mu.Lock()
	h.cost.cpu += spent
	h.cost.peak = max(h.cost.peak, peak)
	h.mu.Unlock()
	_ = cmd.Process.Signal(sig) // it may be over
	<-gone
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return sig != syscall.SIGKILL || status.Signaled()
}

// spent is what the hub has cost until now.
func (h *fleetHub) spent() cost {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.cost
	if h.cmd != nil {
		c.cpu += cpuTime(h.cmd.Process.Pid)
		c.peak = max(c.peak, peakMiB(h.cmd.Process.Pid))
	}
	return c
}

func (h *fleetHub) pid() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cmd.Process.Pid
}

// cpuTime reads utime and stime of proc(5); 0 if the process has ended.
func cpuTime(pid int) time.Duration {
	const perSecond = 100 // USER_HZ, which is the same wherever Go runs on Linux
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] {
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / perSecond
}

// token makes one to join with.
func (h *fleetHub) token(args ...string) string {
	h.t.Helper()
	r := h.run(nil, append([]string{"fleet", "token", "--config", h.settings}, args...)...)
	for _, word := range strings.Fields(r.out) {
		if strings.HasPrefix(word, "sshn1.") {
			return word
		}
	}
	h.t.Fatalf("fleet token: no token in %+v", r)
	return ""
}

// toldLine is what the tests look at in a line of the file destination; see
// docs/payload.schema.json.
type toldLine struct {
	ID       string            `json:"id"`
	Kind     string            `json:"kind"`
	Severity string            `json:"severity"`
	Headline string            `json:"headline"`
	Host     string            `json:"host"`
	Labels   map[string]string `json:"labels"`
	User     string            `json:"user"`
	Refs     []string          `json:"refs"`
	Time     time.Time         `json:"time"`
	Title    string            `json:"title"`
	Text     string            `json:"text"`
	Keys     []string          `json:"reason_keys"`
}

// key names an event of the simulated fleet, in which a user logs in once.
func (l toldLine) key() string { return l.Host + "/" + l.User }

// toldFile is the file to which the hub tells everything: the witness of what
// came of each event.
type toldFile struct {
	path string

	mu     sync.Mutex
	offset int64
	lines  []toldLine
	broken []string             // lines that are no JSON: a kill may cut one off
	first  map[string]time.Time // when a key was first seen
}

// read takes in what was added.
func (f *toldFile) read() []toldLine {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && int64(len(b)) <= f.offset {
		return f.lines
	}
	if err != nil {
		f.broken = append(f.broken, err.Error())
		return f.lines
	}
	now := time.Now()
	for line := range bytes.Lines(b[f.offset:]) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		f.offset += int64(len(line))
		var l toldLine
		if err := json.Unmarshal(line, &l); err != nil {
			f.broken = append(f.broken, string(line))
			continue
		}
		f.lines = append(f.lines, l)
		if _, ok := f.first[l.key()]; !ok {
			f.first[l.key()] = now
		}
	}
	return f.lines
}

// seen is when an event was first told, and whether it was.
func (f *toldFile) seen(key string) (time.Time, bool) {
	f.read()
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.first[key]
	return at, ok
}

// logins returns what was told of logins by their keys, and everything else.
func (f *toldFile) logins() (byKey map[string][]toldLine, other []toldLine) {
	byKey = make(map[string][]toldLine)
	for _, l := range f.read() {
		if l.Kind == "login" {
			byKey[l.key()] = append(byKey[l.key()], l)
		} else {
			other = append(other, l)
		}
	}
	return byKey, other
}
