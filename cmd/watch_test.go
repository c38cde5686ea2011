package cmd

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gofrs/flock"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// What no post may hold are the names of accounts, people, keys and hosts.
func TestOurNames(t *testing.T) {
	var c config.Config
	c.Host = "db1.example.com"
	c.People = policy.People{"alice": {Accounts: []string{"deploy", "root"}, Keys: []policy.Key{"SHA256:xyz"}, Email: "al.smith@example.org", Phone: "+353861234567"}}
	got := ourNames(c, "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nerin:x:1000:1000::/home/erin:/bin/sh\n")
	for _, want := range []string{"erin", "alice", "deploy", "xyz", "al.smith@example.org", "al.smith", "+353861234567", "db1.example.com", "db1", "example"} {
		if !slices.Contains(got.Parts, want) {
			t.Errorf("%q is not kept back: %q", want, got.Parts)
		}
	}
	if !slices.Equal(got.Words, []string{"daemon"}) || slices.Contains(got.Parts, "root") || slices.Contains(got.Parts, "com") {
		t.Errorf("%q", got)
	}
}

// place with a watcher of its own.
func (p *place) watcher(ctx context.Context, settings string) error {
	p.write("config.toml", "state_dir = "+quoted(filepath.Join(p.home, "state"))+"\nspool_dir = "+quoted(filepath.Join(p.home, "spool"))+"\n"+settings)
	a := p.app()
	a.configFile = filepath.Join(p.home, "config.toml")
	return (&watchOptions{app: a}).run(ctx)
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

// Two watchers with one memory would each undo what the other counts.
func TestSecondWatcherIsRefused(t *testing.T) {
	standin.Gate(t)
	p := newAccount(t)
	dir := filepath.Join(p.home, "state/watch")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		t.Fatal(ok, err)
	}
	err := p.watcher(t.Context(), "[source.auth]\npath = "+quoted(filepath.Join(p.home, "auth.log"))+"\n")
	if err == nil || !strings.Contains(err.Error(), "another sshnotify watch is already running") || exitCode(err) != exitFailed {
		t.Errorf("exit %d: %v", exitCode(err), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "attacks.jsonl")); err == nil {
		t.Error("it wrote something")
	}
	lock.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.watcher(ctx, "[source.auth]\npath = "+quoted(filepath.Join(p.home, "auth.log"))+"\n"); err != nil {
		t.Errorf("alone: %v", err)
	}
}

// A source that can't be watched is an error that names it.
func TestWatchSourceThatIsNone(t *testing.T) {
	p := newAccount(t)
	p.write("plain", "no pipe")
	err := p.watcher(t.Context(), "[source.snort]\ntype = \"pipe\"\npath = "+quoted(filepath.Join(p.home, "plain"))+"\n")
	if err == nil || !strings.Contains(err.Error(), "is not a named pipe") {
		t.Errorf("%v", err)
	}
}
