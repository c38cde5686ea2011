package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the commands of a host and of its hub say to each other: whether the hub lets the
// host in, that a bearer token ends no certificate unasked, and that either knows an
// event by the other's id.
func TestFleetCommands(t *testing.T) {
	e2e(t)
	t.Parallel()
	dir := swiftDir(t)
	h := newFleetHub(t, dir, toldSettings)
	if err := os.Mkdir(filepath.Join(dir, "host"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRealHost(t, filepath.Join(dir, "host"), "web1", h, "")
	at := func(s *site, args ...string) result {
		t.Helper()
		return s.run(nil, append(args, "--config", s.settings)...)
	}
	letIn := func() {
		t.Helper()
		if got := at(r.site, "test"); got.code != 0 || !strings.Contains(got.out, "the hub: ok (") || !strings.Contains(got.stderr, `sshnotify alert "A test"`) {
			t.Errorf("test at the host: %+v", got)
		}
	}
	letIn()
	if got := at(h.site, "fleet", "token", "--bearer", "--name", "web1"); got.code != 1 || got.out != "" ||
		!strings.Contains(got.stderr, "web1 has a certificate") || !strings.Contains(got.stderr, "hint: if that is what you want: sudo sshnotify fleet revoke web1") {
		t.Errorf("a bearer token for a host that joined: %+v", got)
	}
	letIn()
	if got := at(h.site, "fleet", "status", "--json"); got.code != 0 || !strings.Contains(got.out, `"running": true`) {
		t.Errorf("fleet status while the hub runs: %+v", got)
	}

	key := r.comes()
	r.work()
	until(t, "the login at the hub", func() bool { _, ok := h.told.seen(key); return ok })
	ref := h.told.read()[0].Refs[0]
	id := func(s *site) (id string) {
		t.Helper()
		until(t, "the event to be known", func() bool {
			var known struct{ ID string }
			got := at(s, "show", ref, "--json")
			err := json.Unmarshal([]byte(got.out), &known)
			id = known.ID
			return got.code == 0 && err == nil
		})
		return id
	}
	atHost, atHub := id(r.site), id(h.site)
	if atHost == atHub || !strings.HasPrefix(atHub, atHost[:8]) {
		t.Fatalf("the host calls it %s, the hub %s", atHost, atHub)
	}
	for _, row := range []struct {
		where string
		at    *site
		id    string
	}{{"the host's id at the hub", h.site, atHost}, {"a part of it", h.site, atHost[:12]}, {"the hub's id at the host", r.site, strings.ToLower(atHub)}} {
		if got := at(row.at, "show", row.id); got.code != 0 || !strings.Contains(got.out, "real1") {
			t.Errorf("%s: %+v", row.where, got)
		}
	}
	if got := at(h.site, "ack", atHost, "--no-worker"); got.code != 0 || !strings.Contains(got.out, "acknowledged: ") {
		t.Errorf("ack of the host's id at the hub: %+v", got)
	}
	if got := at(h.site, "show", "ZZZZZZZZZZZZ"); got.code != 1 {
		t.Errorf("an id that nobody has: %+v", got)
	}
}
