package deliver

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
)

// snapshot is what a kill would leave: the spool and the state folder at one
// moment, and what had been told by then.
type snapshot struct {
	name   string
	spool  string
	state  string
	told   map[string]map[string]int // destination → user → count
	lastID string                    // of a message that just arrived and is not marked as told
	dest   string                    // where
}

// camera takes a snapshot whenever the worker logs that a message arrived or
// did not, before it has written that down.
type camera struct {
	slog.Handler
	b     *bench
	dests []*fakeDest
	taken *[]snapshot
}

func (c camera) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "delivered" || r.Message == "delivery failed" {
		s := snapshot{name: fmt.Sprint(len(*c.taken), " ", r.Message), told: make(map[string]map[string]int)}
		r.Attrs(func(a slog.Attr) bool {
			switch {
			case a.Key == "destination":
				s.dest = a.Value.String()
			case a.Key == "id" && r.Message == "delivered":
				s.lastID = a.Value.String()
			}
			return true
		})
		for _, d := range c.dests {
			s.told[d.name] = counted(d.alerts())
		}
		root := quickDir(c.b.t)
		s.spool, s.state = filepath.Join(root, "spool"), filepath.Join(root, "state")
		copyDir(c.b.t, s.spool, c.b.dir)
		copyDir(c.b.t, s.state, c.b.state)
		*c.taken = append(*c.taken, s)
	}
	return c.Handler.Handle(ctx, r)
}

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A worker is killed at each of its steps. The next one loses nothing, and what
// it tells again has the same id.
func TestKillAtAnyStepLosesNothing(t *testing.T) {
	for _, row := range []struct {
		name   string
		logins int
		second func(n int, a event.Alert) error // of the second destination
	}{
		{"one login", 1, func(int, event.Alert) error { return nil }},
		{"one login, a destination fails once", 1, failsOnce},
		{"one login, a destination refuses it", 1, func(int, event.Alert) error { return bug() }},
		{"a digest", 30, func(int, event.Alert) error { return nil }},
		{"a digest, a destination fails once", 30, failsOnce},
		{"a digest, a destination refuses it", 30, func(int, event.Alert) error { return bug() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			var taken []snapshot
			ids := make(map[string]string) // user → event
			synctest.Test(t, func(t *testing.T) {
				one := &fakeDest{name: "one", pace: time.Second}
				two := &fakeDest{name: "two", pace: time.Second, fail: row.second}
				three := neverDest(failsByTurns)
				b := newBench(t, one, two, three)
				for i := range row.logins {
					e := login(fmt.Sprintf("user%02d", i), byte(i), 100+i)
					ids[e.User] = e.ID
					b.put(e)
				}
				j := b.job(UntilEmpty)
				j.Log = slog.New(camera{j.Log.Handler(), b, []*fakeDest{one, two, three}, &taken})
				if err := Run(t.Context(), j); err != nil {
					t.Fatal(err)
				}
				last := snapshot{name: "at the end", spool: b.dir, state: b.state, told: map[string]map[string]int{}}
				for _, d := range []*fakeDest{one, two, three} {
					last.told[d.name] = counted(d.alerts())
				}
				taken = append(taken, last)
				if len(taken) < 2 {
					t.Fatalf("the worker was killed at %d steps", len(taken))
				}
				// The rest is looked at while the folders are there.
				for i, s := range taken {
					check(t, s, s.state, ids)
					if i+1 < len(taken) {
						// The list of told events may be behind the spool. It is never
						// ahead of it by a dead letter, which is moved first.
						next := taken[i+1]
						next.name += ", its list older"
						next.lastID = ""
						check(t, next, s.state, ids)
					}
				}
			})
		})
	}
}

// neverDest is a destination that nothing may be sent to twice.
func neverDest(fail func(int, event.Alert) error) *fakeDest {
	return &fakeDest{name: "three", pace: time.Second, retry: channel.Never, fail: fail}
}

func failsByTurns(n int, _ event.Alert) error {
	if n%2 == 1 {
		return again()
	}
	return nil
}

func failsOnce(n int, _ event.Alert) error {
	if n == 1 {
		return again()
	}
	return nil
}

// check runs a worker on a copy of a snapshot.
func check(t *testing.T, s snapshot, state string, ids map[string]string) {
	t.Helper()
	one, two := &fakeDest{name: "one", pace: time.Second}, &fakeDest{name: "two", pace: time.Second}
	three := neverDest(nil)
	b := newBench(t, one, two, three)
	root := quickDir(t)
	b.dirs(root)
	copyDir(t, b.dir, s.spool)
	copyDir(t, b.state, state)
	b.mustRun()
	if left := b.files("cur"); len(left) > 0 {
		t.Errorf("%s: left in cur/: %v", s.name, left)
	}
	for user, n := range counted(three.got) {
		if n+s.told[three.name][user] > 1 {
			t.Errorf("%s: %s heard of %s twice, which costs money", s.name, three.name, user)
		}
	}
	dead := b.files("failed")
	for _, d := range []*fakeDest{one, two} {
		now := counted(d.got)
		for user, id := range ids {
			if s.told[d.name][user]+now[user] == 0 && !slices.Contains(dead, eventFile(id)) {
				t.Errorf("%s: %s never heard of %s", s.name, d.name, user)
			}
			if now[user] > 1 {
				t.Errorf("%s: %s heard of %s %d times by one worker", s.name, d.name, user, now[user])
			}
		}
		if s.lastID != "" && d.name == s.dest && !slices.ContainsFunc(d.got, func(a event.Alert) bool { return a.ID == s.lastID }) {
			t.Errorf("%s: %s got %s again under another id", s.name, d.name, s.lastID)
		}
	}
}
