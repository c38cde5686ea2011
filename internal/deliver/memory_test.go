package deliver

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// fakeMemory knows users that it was told of, in a process's memory.
type fakeMemory struct {
	logins  map[string]event.Event // by id
	quiet   map[string]bool
	digests map[string]bool // queued
	told    map[string]bool // in one of them
	err     error           // of all that it is asked
	lost    error           // of what it is to keep
	asked   int
}

func newFakeMemory(known ...string) *fakeMemory {
	m := &fakeMemory{logins: map[string]event.Event{}, quiet: map[string]bool{}, digests: map[string]bool{}, told: map[string]bool{}}
	for i, u := range known {
		e := login(u, 1, 9000+i)
		e.Time = e.Time.Add(-100 * 24 * time.Hour)
		m.logins[e.ID] = e
	}
	return m
}

func (m *fakeMemory) Recall(e event.Event, _ event.Facts) (event.Memory, error) {
	m.asked++
	seen := event.Seen{}
	for _, o := range m.logins {
		if o.User == e.User && o.ID != e.ID {
			seen.Count++
		}
	}
	return event.Memory{
		Known: true, Since: time.Now().Add(-100 * 24 * time.Hour),
		Host: seen, User: seen, UserHost: seen, Address: seen, Network: seen, Country: seen, Key: seen,
	}, m.err
}

func (m *fakeMemory) Remember(e event.Event, _ event.Facts, _ event.Verdict, quiet bool) error {
	if err := errors.Join(m.err, m.lost); err != nil {
		return err
	}
	m.logins[e.ID] = e
	if quiet {
		m.quiet[e.ID] = true
	}
	return nil
}

func (m *fakeMemory) Digest(before time.Time) (Digest, error) {
	d := Digest{ID: event.LoginID(event.Session{}, before.String())}
	if m.err != nil || m.digests[d.ID] {
		return Digest{}, m.err
	}
	for id := range m.quiet {
		if m.told[id] {
			continue
		}
		if e := m.logins[id]; e.Time.Before(before) {
			d.Rows = append(d.Rows, event.Row{User: e.User, Host: e.Host, Kind: event.KindLogin, Count: 1})
		}
	}
	return d, nil
}

func (m *fakeMemory) Digested(id string) error {
	m.digests[id] = true
	maps.Copy(m.told, m.quiet)
	return m.err
}

func TestUsualLoginsWaitForTheDigest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		m := newFakeMemory("alice")
		b.set.Memory, b.set.Unusual, b.set.DigestAt = m, true, 8*time.Hour
		stop := start(t, b.job(Follow))
		defer stop()
		begin := time.Now() // midnight, in synctest's time
		b.put(login("alice", 1, 100), login("mallory", 2, 101))
		time.Sleep(time.Minute)
		if got := counted(d.alerts()); !cmp.Equal(got, map[string]int{"mallory": 1}) {
			t.Errorf("told at once: %v", got)
		}
		if len(m.logins) != 3 {
			t.Errorf("remembered are %d logins, not 3", len(m.logins))
		}
		time.Sleep(23 * time.Hour)
		all := d.alerts()
		if len(all) != 2 || len(all[1].Rows) != 1 || all[1].Rows[0].User != "alice" || all[1].Verdict.Knowledge != event.Usual {
			t.Fatalf("the digest: %+v", all)
		}
		if at := d.at[1].Sub(begin); at != 8*time.Hour {
			t.Errorf("it came after %v, not at eight", at)
		}
		time.Sleep(24 * time.Hour)
		if n := len(d.alerts()); n != 2 {
			t.Errorf("%d messages: a digest of nothing", n)
		}
	})
}

// A kill after the digest is queued, and before the memory knows that, leads to
// the same digest again.
func TestADigestIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		m := newFakeMemory("alice")
		b.set.Memory, b.set.Unusual, b.set.DigestAt = m, true, 8*time.Hour
		b.put(login("alice", 1, 100))
		b.mustRun()
		for range 3 {
			time.Sleep(8 * time.Hour) // eight, sixteen, midnight: one digest
			clear(m.digests)
			clear(m.told)
			b.mustRun()
		}
		if n := len(d.alerts()); n != 1 {
			t.Errorf("%d messages, not one digest", n)
		}
	})
}

func TestQuietIsNeverOdd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b *bench, m *fakeMemory, e *event.Event)
		told   bool
	}{
		{"usual", func(*bench, *fakeMemory, *event.Event) {}, false},
		{"every login is wanted", func(b *bench, _ *fakeMemory, _ *event.Event) { b.set.Unusual = false }, true},
		{"a user whom nobody has seen", func(_ *bench, m *fakeMemory, _ *event.Event) { clear(m.logins) }, true},
		{"a forged address", func(_ *bench, _ *fakeMemory, e *event.Event) { e.Flags = []event.Flag{event.FlagAddressMismatch} }, true},
		{"a high risk", func(b *bench, _ *fakeMemory, e *event.Event) { b.rate(e.Remote.IP, 90) }, true},
		{"no memory", func(b *bench, _ *fakeMemory, _ *event.Event) { b.set.Memory = nil }, true},
		{"a memory that fails", func(_ *bench, m *fakeMemory, _ *event.Event) { m.err = errors.New("locked") }, true},
		{"a memory that keeps nothing", func(_ *bench, m *fakeMemory, _ *event.Event) { m.lost = errors.New("disk full") }, true},
		{"ignored", func(b *bench, _ *fakeMemory, _ *event.Event) {
			b.set.Unusual, b.set.Ignore = false, func(event.Event) bool { return true }
		}, false},
		{"ignored, and never seen", func(b *bench, m *fakeMemory, _ *event.Event) {
			b.set.Ignore = func(event.Event) bool { return true }
			clear(m.logins)
		}, true},
		{"ignored, and the memory keeps nothing", func(b *bench, m *fakeMemory, _ *event.Event) {
			m.lost, b.set.Ignore = errors.New("disk full"), func(event.Event) bool { return true }
		}, false},
		{"ignored by a rule", func(b *bench, _ *fakeMemory, _ *event.Event) {
			b.set.Unusual = false
			b.set.Policy.Rules = []policy.Rule{{User: []string{"alice"}, Ignore: true}}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack"}
				b := newBench(t, d)
				m := newFakeMemory("alice")
				b.set.Memory, b.set.Unusual = m, true
				e := login("alice", 1, 100)
				tt.change(b, m, &e)
				b.put(e)
				b.mustRun()
				if got := len(d.alerts()) == 1; got != tt.told {
					t.Errorf("told is %t\n%s", got, b.log.String())
				}
			})
		})
	}
}

// A memory that hangs on a lock would cost each event of a backlog its time.
func TestAFailingMemoryIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		m := newFakeMemory()
		m.err = errors.New("locked")
		b.set.Memory = m
		for i := range 50 {
			b.put(login("alice", byte(i), 100+i))
		}
		b.mustRun()
		if m.asked != 1 || len(d.alerts()) != 50 {
			t.Errorf("asked %d times, and %d of 50 told", m.asked, len(d.alerts()))
		}
		if len(b.said()) != 1 {
			t.Errorf("said out loud: %q", b.said())
		}
	})
}

func TestARuleNamesDestinations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slack, oncall := &fakeDest{name: "slack"}, &fakeDest{name: "oncall"}
		b := newBench(t, slack, oncall)
		b.set.Targets[1].MinSeverity = event.High
		b.set.Policy.Rules = []policy.Rule{{User: []string{"root"}, Destination: []string{"oncall"}}}
		b.put(login("root", 1, 100), login("alice", 2, 101))
		b.mustRun()
		users := func(d *fakeDest) (out []string) {
			for _, a := range d.alerts() {
				out = append(out, a.Event.User)
			}
			return out
		}
		if got := users(slack); !slices.Equal(got, []string{"alice"}) {
			t.Errorf("slack had %v", got)
		}
		if got := users(oncall); !slices.Equal(got, []string{"root"}) {
			t.Errorf("oncall had %v", got)
		}
	})
}
