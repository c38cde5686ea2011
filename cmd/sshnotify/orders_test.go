package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/respond/order"
)

// An order, from the hub's command to root of the host and back, with a real hub and a
// real worker. What it does to a host is tried on one that may be broken.
func TestOrderFromAHub(t *testing.T) {
	e2e(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	t.Parallel()
	dir := swiftDir(t)
	hubDir, hostDir := filepath.Join(dir, "hub"), filepath.Join(dir, "web1")
	for _, d := range []string{hubDir, hostDir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	h := newFleetHub(t, hubDir, toldSettings)
	r := newRealHost(t, hostDir, "web1", h, "")
	r.comes()
	r.work()
	ref := ""
	until(t, "login at the hub", func() bool {
		for _, l := range h.told.read() {
			if l.Kind == "login" && len(l.Refs) > 0 {
				ref = l.Refs[0]
			}
		}
		return ref != ""
	})
	atHub := func(args ...string) result {
		t.Helper()
		return h.do(call{args: append(args, "--config", h.settings)})
	}
	if got := atHub("respond", ref, "--do", "evidence"); got.code != 1 || !strings.Contains(got.stderr, "web1 takes no orders") || !strings.Contains(got.stderr, "on web1: sudo sshnotify respond "+ref) {
		t.Errorf("a host that takes none: %+v", got)
	}

	ca := atHub("fleet", "ca")
	if ca.code != 0 || !strings.Contains(ca.stderr, "SHA256:") {
		t.Fatalf("fleet ca: %+v", ca)
	}
	folder := order.In(r.spool)
	for _, name := range order.Dirs() {
		if err := os.MkdirAll(filepath.Join(string(folder), name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{order.CAName: ca.out, "conf.d/respond.toml": "[respond]\nallow = [\"evidence\", \"lock\"]\nname = \"web1\"\n"} {
		if err := os.WriteFile(filepath.Join(hostDir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.worker.result0(t)
	r.work()

	// What systemd does by sshnotify-respond.path.
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			if all, err := os.ReadDir(filepath.Join(string(folder), "new")); err == nil && len(all) > 0 {
				r.start(call{args: []string{"respond", "orders", "--no-worker", "--config", r.settings, "--spool", r.spool}}).result()
			}
		}
	}()
	defer func() { close(stop); <-ended }()
	type shown struct {
		State, Said, Host string
	}
	give := func(words ...string) (x shown) {
		t.Helper()
		got := atHub(append([]string{"respond", ref, "--json", "--do"}, words...)...)
		if err := json.Unmarshal([]byte(got.out), &x); err != nil {
			t.Fatalf("%q: %+v", words, got)
		}
		if want := map[bool]int{true: 0, false: 1}[x.State == "done" || x.State == "looked"]; got.code != want {
			t.Errorf("%q: exit status %d with %q", words, got.code, x.State)
		}
		return x
	}
	until(t, "host to be known to take orders", func() bool {
		return strings.Contains(atHub("doctor", "--json").out, "hosts that take them: 1")
	})
	if x := give("evidence"); x.State != "done" || x.Host != "web1" || !strings.Contains(x.Said, "the hub has the evidence") {
		t.Errorf("evidence: %+v", x)
	}
	files, _ := filepath.Glob(filepath.Join(h.state, "evidence", "web1", ref+"*", "*.json"))
	if len(files) != 1 {
		t.Errorf("evidence at the hub: %q", files)
	}
	if x := give("lock", "--dry-run"); x.State != "looked" || !strings.Contains(x.Said, "Lock") {
		t.Errorf("a dry run: %+v", x)
	}
	if got := atHub("respond", ref, "--dry-run", "--do", "evidence"); got.code != 0 || strings.Count(got.out, "\nweb1 has it\n") != 1 {
		t.Errorf("as people read it: %+v", got)
	}
	if got := atHub("respond", ref, "--do", "end"); got.code != 1 || !strings.Contains(got.stderr, "it allows evidence, lock") {
		t.Errorf("what the hub knows not to be allowed: %+v", got)
	}
	if got := atHub("show", ref); got.code != 0 || strings.Count(got.out, "root to web1")+strings.Count(got.out, "to web1:") == 0 || !strings.Contains(got.out, filepath.Join(h.state, "evidence")) {
		t.Errorf("show: %+v", got)
	}
	// It is told who gave it, and what became of it.
	until(t, "word of the orders", func() bool {
		all := ""
		for _, l := range h.told.read() {
			all += fmt.Sprintln(l.Title, l.Text)
		}
		return strings.Contains(all, "Order to web1 about "+ref) && strings.Contains(all, "Order about "+ref+", done: evidence") && strings.Contains(all, "looked at, nothing done")
	})
}

// result0 ends a worker as a service manager does.
func (p *process) result0(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(os.Interrupt)
	<-p.ended
}
