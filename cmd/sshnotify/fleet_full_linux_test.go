package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// tmpfs mounts a folder in memory of some bytes.
func tmpfs(t testing.TB, path string, size int) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", size)); err != nil {
		lacking(t, "right to mount a tmpfs: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fill takes all room of a folder, and returns what gives it back.
func fill(t testing.TB, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filling")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for b := make([]byte, size); err == nil; {
			_, err = f.Write(b)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A host whose disk is full keeps its events in the spool, and hands them over once
// there is room.
func TestFleetFullDiskAtAHost(t *testing.T) {
	e2e(t)
	t.Parallel()
	dir := swiftDir(t)
	h := newFleetHub(t, dir, toldSettings)
	host := filepath.Join(dir, "host")
	tmpfs(t, filepath.Join(host, "state"), 4<<20)
	r := newRealHost(t, host, "web1", h, "")
	r.work()
	want := map[string]bool{r.comes(): true}
	settled(t, h, nil, 1, patience)
	free := fill(t, r.state)
	for range 20 {
		want[r.comes()] = true
	}
	time.Sleep(2 * time.Second) // for its worker to meet that
	free()
	want[r.comes()] = true
	settled(t, h, nil, len(want), 2*patience)
	until(t, "an empty spool", func() bool { return len(r.left("new"))+len(r.left("cur")) == 0 })
	if dead := r.left("failed"); len(dead) > 0 {
		t.Errorf("dead letters: %q", dead)
	}
	oracle(t, h, nil, want, 0)
}

// A hub whose disk is full stays, acknowledges nothing that it can't keep, and takes it
// once there is room.
func TestFleetFullDiskAtTheHub(t *testing.T) {
	e2e(t)
	t.Parallel()
	dir := swiftDir(t)
	tmpfs(t, filepath.Join(dir, "state"), 8<<20)
	h := newFleetHub(t, dir, toldSettings)
	hosts := h.mustJoin("web1", "web2")
	hosts[0].logins(t, 5)
	settled(t, h, hosts, 5, patience)
	free := fill(t, h.state)
	busy := func(when string, most int) {
		t.Helper()
		for range most {
			if len(hosts[1].batch()) == 0 {
				for range 100 {
					hosts[1].login(time.Now())
				}
			}
			lines := hosts[1].batch()
			a, err := hosts[1].events(t.Context(), lines)
			switch {
			case err != nil:
				t.Fatalf("%s: %v\n%s", when, err, h.log.String())
			case a.status == http.StatusOK:
				hosts[1].taken(lines, a, 0)
			case a.status == http.StatusServiceUnavailable && a.retryAfter != "":
				return
			default:
				t.Fatalf("%s: %d %s, Retry-After %q", when, a.status, a.body, a.retryAfter)
			}
		}
		t.Fatalf("%s: a full disk was never felt", when)
	}
	busy("while it runs", 19) // with 20 it had enough of this host
	h.kill()
	h.launch()
	busy("after a start", 10)
	for range 3 { // it remembers for a while that it can't write
		busy("soon after", 1)
	}
	free()
	for _, s := range hosts {
		s.logins(t, 3)
	}
	settled(t, h, hosts, int(hosts[0].n+hosts[1].n), 2*patience)
	h.told.mu.Lock()
	h.told.lines = deleteAlerts(h.told.lines, "") // the hub may tell of its own trouble
	h.told.mu.Unlock()
	oracle(t, h, hosts, nil, 1)
}
