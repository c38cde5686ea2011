package deliver

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/store"
)

// What sshnotify 0bded0c left is taken over: the list of delivered events (with
// a line that a power cut tore), a destination's pause, and a message under way.
func TestFilesOfAnEarlierVersionAreTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 28, 16, 56, 0, 0, time.UTC)))
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		for _, dir := range []string{b.state, filepath.Join(b.dir, "new")} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		copyTo := func(from, to, more string) {
			data, err := os.ReadFile(filepath.Join("testdata/version0", from))
			if err == nil {
				err = os.WriteFile(to, append([]byte(more), data...), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := os.CopyFS(filepath.Join(b.dir, "cur"), os.DirFS("testdata/version0/cur")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(b.dir, "cur"), 0o700); err != nil {
			t.Fatal(err)
		}
		list := filepath.Join(b.state, "told-"+spoolKey(b.dir)+".jsonl")
		copyTo("state/told.jsonl", list, `{"id":"7K3F00000000`)
		copyTo("state/destination-slack.json", filepath.Join(b.state, "destination-slack.json"), "")
		pause := filepath.Join(b.state, "destination-slack.json")
		slack := state.Read[DestinationState](pause)
		slack.Limited = state.CooldownFor(time.Now(), time.Hour)
		if err := state.Write(pause, slack); err != nil {
			t.Fatal(err)
		}
		quota := `{"owner":"0123456789","months":[{"f":1795262400,"l":1795262400,"n":4999}]}`
		if err := os.WriteFile(filepath.Join(b.state, "provider-threatjammer.json"), []byte(quota), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(b.state, "cache", "threatjammer"), 0o700); err != nil {
			t.Fatal(err)
		}
		stays := filepath.Join(b.state, "cache", "album", "photo.jpg") // nobody's answer
		for _, path := range []string{stays, filepath.Join(b.state, "cache", "threatjammer", "203.0.113.7.json")} {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		alice := login("alice", 7, 100)
		alice.ID = "7K3F0000000000000000000010" // in the list
		b.put(alice)
		began := time.Now()
		b.mustRun()
		got := counted(d.alerts())
		if got["alice"] != 0 || got["bob"] != 2 || got["carol"] != 1 {
			t.Errorf("delivered: %v", got)
		}
		if first := d.at[0].Sub(began); first < time.Hour {
			t.Errorf("sent after %v of a pause of an hour", first)
		}
		if !slices.ContainsFunc(d.alerts(), func(a alert) bool { return a.ID == "61PMYK25R0RBGFM3YMPR4RESA8" && a.Count == 2 }) {
			t.Errorf("the message under way got another id: %+v", d.alerts())
		}
		if kept, err := store.Load[map[string]any](t.Context(), openStore(t, b.state), "provider", "threatjammer"); err != nil || kept["owner"] != "0123456789" {
			t.Errorf("the quota became %v, %v", kept, err)
		}
		entries, err := os.ReadDir(b.state)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "history.db") && e.Name() != "cache" {
				t.Errorf("%s is left", e.Name())
			}
		}
		left, _ := filepath.Glob(filepath.Join(b.state, "cache", "*", "*"))
		if !slices.Equal(left, []string{stays}) {
			t.Errorf("%q are left of the answers, want %q alone", left, stays)
		}
		if err != nil {
			t.Error(err)
		}
		// They are taken over once: what is in the database now is newer.
		b.put(alice)
		b.mustRun()
		if n := len(d.alerts()); n != 2 {
			t.Errorf("%d messages", n)
		}
	})
}
