package cmd

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

func TestAttackerScore(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		attempts int
		ago      time.Duration
		want     int
	}{
		"five attempts, now":            {5, 0, 70},
		"none, which can't be":          {0, 0, 70},
		"one":                           {1, 0, 70},
		"ten":                           {10, 0, 74},
		"a hundred":                     {100, 0, 87},
		"a million":                     {1_000_000, 0, 95},
		"five, half a month ago":        {5, 15 * day, 53},
		"five, a month ago":             {5, 30 * day, 35},
		"five, a year ago":              {5, 365 * day, 35},
		"a million, a month ago":        {1_000_000, 30 * day, 48},
		"tomorrow, by a clock set back": {5, -day, 70},
	} {
		if got := attackerScore(c.attempts, c.ago); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// knownWriter writes what a watcher knows, with a time of its own for each.
type knownWriter struct {
	t    *testing.T
	file string
	at   time.Time
}

func (w *knownWriter) raw(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.file, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.at = w.at.Add(time.Second)
	if err := os.Chtimes(w.file, w.at, w.at); err != nil {
		w.t.Fatal(err)
	}
}

func (w *knownWriter) write(attempts int, last time.Time, networks ...string) {
	w.t.Helper()
	k := attack.Known{V: 1, Time: last, Attackers: []attack.Attacker{}}
	for _, n := range networks {
		k.Attackers = append(k.Attackers, attack.Attacker{Network: netip.MustParsePrefix(n), Attempts: attempts, Attacks: 1, First: last, Last: last})
	}
	data, err := json.Marshal(k)
	if err != nil {
		w.t.Fatal(err)
	}
	w.raw(string(data))
}

func TestAttackers(t *testing.T) {
	dir := t.TempDir()
	p := newAttackers(config.Config{}, dir)
	if want := filepath.Join(dir, "watch", "known.json"); p.file != want {
		t.Fatalf("the file is %s, want %s", p.file, want)
	}
	if err := os.Mkdir(filepath.Dir(p.file), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	p.now = func() time.Time { return now }
	w := &knownWriter{t: t, file: p.file, at: now}
	ask := func(ip string) (event.Facts, error) {
		t.Helper()
		return p.Lookup(t.Context(), netip.MustParseAddr(ip))
	}
	score := func(ip string) int {
		t.Helper()
		f, err := ask(ip)
		if err != nil {
			t.Fatal(err)
		}
		if f.Risk == nil {
			return -1
		}
		return f.Risk.Score
	}

	if got := score("203.0.113.7"); got != -1 {
		t.Errorf("nobody watches, and it is %d", got)
	}
	w.write(10, now, "203.0.113.7/32", "2001:db8::/64")
	if got := score("203.0.113.7"); got != -1 {
		t.Errorf("the file is looked at more than once a second: %d", got)
	}
	now = now.Add(time.Second)
	f, err := ask("203.0.113.7")
	want := event.Facts{Risk: &event.Risk{Provider: "This host", Known: true, Score: 74, Reason: "10 failed logins here, the last on 20 Nov 12:00 UTC"}}
	if d := cmp.Diff(want, f); d != "" || err != nil {
		t.Error(d, err)
	}
	for ip, want := range map[string]int{"::ffff:203.0.113.7": 74, "2001:db8::77": 74, "203.0.113.8": -1, "2001:db8:0:1::1": -1} {
		if got := score(ip); got != want {
			t.Errorf("%s: %d, want %d", ip, got, want)
		}
	}

	// The watcher replaces it.
	now = now.Add(time.Second)
	w.write(5, now, "198.51.100.9/32")
	if a, b := score("203.0.113.7"), score("198.51.100.9"); a != -1 || b != 70 {
		t.Errorf("replaced: %d and %d", a, b)
	}

	// A file that is no such thing is an error, for as long as it is there, and
	// of everybody.
	for name, text := range map[string]string{
		"torn": `{"v":1,"time":"2026-11-20T12:`, "of another version": `{"v":2,"time":"2026-11-20T12:00:00Z","attackers":[]}`,
		"empty": "", "too large": strings.Repeat(" ", maxKnownFile+1),
	} {
		now = now.Add(time.Second)
		w.raw(text)
		for range 2 {
			if f, err := ask("198.51.100.9"); err == nil || f.Risk != nil || !strings.Contains(err.Error(), "known.json: ") {
				t.Errorf("%s: %+v, error %v", name, f, err)
			}
		}
	}
	now = now.Add(time.Second)
	w.write(5, now, "198.51.100.9/32")
	if got := score("198.51.100.9"); got != 70 {
		t.Errorf("mended: %d", got)
	}

	// It goes, and the same one comes back.
	if err := os.Rename(p.file, p.file+"~"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if got := score("198.51.100.9"); got != -1 {
		t.Errorf("gone: %d", got)
	}
	if err := os.Rename(p.file+"~", p.file); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	if got := score("198.51.100.9"); got != 70 {
		t.Errorf("back: %d", got)
	}

	// A clock that is set back stops no look at it; after 30 days it is forgotten.
	now = now.Add(-time.Hour)
	w.write(5, now, "203.0.113.7/32")
	if got := score("203.0.113.7"); got != 70 {
		t.Errorf("the clock was set back: %d", got)
	}
	now = now.Add(29 * 24 * time.Hour)
	if got := score("203.0.113.7"); got != 36 {
		t.Errorf("after 29 days: %d", got)
	}
	now = now.Add(24 * time.Hour)
	if got := score("203.0.113.7"); got != -1 {
		t.Errorf("after 30 days: %d", got)
	}
}

func TestWatchDir(t *testing.T) {
	for name, c := range map[string]struct{ named, state, want string }{
		"an account's": {"", "/home/alice/.local/state/sshnotify", "/home/alice/.local/state/sshnotify/watch"},
		"the host's":   {"", (paths.User{}).StateDir(), hostWatchState},
		"named":        {"/srv/watch", (paths.User{}).StateDir(), "/srv/watch"},
	} {
		if got := watchDir(config.Config{Watching: config.Watching{Watch: config.Watch{StateDir: c.named}}}, c.state); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
