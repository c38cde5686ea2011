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
	"github.com/sshnotify/sshnotify/internal/standin"
)

// fakeMemory knows users that it was told of, in a process's memory.
type fakeMemory struct {
	logins  map[string]event.Event // by id
	quiet   map[string]bool
	digests map[string]bool           // queued
	told    map[string]bool           // in one of them
	worst   map[string]event.Severity // by id, of those that teach nothing
	err     error                     // of all that it is asked
	lost    error                     // of what it is to keep
	asked   int
}

func newFakeMemory(known ...string) *fakeMemory {
	m := &fakeMemory{logins: map[string]event.Event{}, quiet: map[string]bool{}, digests: map[string]bool{}, told: map[string]bool{}, worst: map[string]event.Severity{}}
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
		Host: seen, User: seen, UserHost: seen, Address: seen, Network: seen, Country: seen, Key: seen, HostNetwork: seen, HostCountry: seen,
		Pair: pairSeen(seen),
	}, m.err
}

func pairSeen(s event.Seen) event.Pair {
	if s.Count == 0 {
		return event.Pair{}
	}
	return event.Pair{State: event.PairUsual, Since: s.First, First: s.First, Last: s.Last, Days: 3, Count: s.Count}
}

func (m *fakeMemory) Remember(e event.Event, _ event.Facts, v event.Verdict, t policy.Telling) error {
	if err := errors.Join(m.err, m.lost); err != nil {
		return err
	}
	m.logins[e.ID] = e
	if !t.Teaches {
		m.worst[e.ID] = v.Severity
	}
	if t.When != policy.Now {
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
		b.set.Memory, b.set.Policy.Notify, b.set.DigestAt = m, policy.NotifyUnusual, 8*time.Hour
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
		if at := d.at[1].Sub(begin); at != 8*time.Hour+digestSettles {
			t.Errorf("it came after %v, not just after eight", at)
		}
		time.Sleep(24 * time.Hour)
		if n := len(d.alerts()); n != 2 {
			t.Errorf("%d messages: a digest of nothing", n)
		}
	})
}

// Nobody knows what a blue bar means: the first message that has one says it,
// whichever worker sends it.
func TestTheFirstBlueBarIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(int, event.Alert) error {
			if tries++; tries == 2 {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		b.set.Memory, b.set.Policy.Notify = newFakeMemory("alice", "bob"), policy.NotifyAll
		b.put(login("mallory", 1, 100))
		b.mustRun()
		b.put(login("alice", 2, 101))
		b.mustRun()
		b.put(login("bob", 3, 102))
		b.mustRun()
		var explained []string
		for _, a := range d.alerts() {
			if a.NewBar {
				explained = append(explained, a.Event.User)
			}
		}
		if len(d.alerts()) != 3 || !cmp.Equal(explained, []string{"alice"}) {
			t.Errorf("of %d messages, those of %v explain their bar", len(d.alerts()), explained)
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
		b.set.Memory, b.set.Policy.Notify, b.set.DigestAt = m, policy.NotifyUnusual, 8*time.Hour
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

// The watcher makes its part of a digest at the same time of day, and may be late.
func TestADayHasOneDigest(t *testing.T) {
	attempts := func(n int) event.Event {
		return event.Event{
			ID: event.NewID(), Kind: event.KindDigest, Time: time.Now(), Host: "web1", Via: event.ViaWatch,
			Digest: &event.Digest{Of: event.KindAttempt, Failures: &event.Failures{Attempts: n}},
		}
	}
	for _, row := range []struct {
		name   string
		logins bool // so that there is a digest without the watcher's part
		late   time.Duration
		want   []int // attempts of the digests of two days; 0: it tells of logins alone
	}{
		{"in time", true, 0, []int{300, 0}},
		{"a busy watcher's, after the digest was told", true, 5 * time.Minute, []int{0, 300}},
		{"the same, and there was nothing else to tell", false, 5 * time.Minute, []int{300}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.late > 0 {
				standin.Gate(t)
			}
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.Memory, b.set.Policy.Notify, b.set.DigestAt = newFakeMemory("alice"), policy.NotifyUnusual, 8*time.Hour
				stop := start(t, b.job(Follow))
				defer func() { stop() }()
				if row.logins {
					b.put(login("alice", 1, 100))
				}
				time.Sleep(8*time.Hour + row.late)
				b.put(attempts(300))
				time.Sleep(time.Hour)
				stop() // the next worker has it, too
				stop = start(t, b.job(Follow))
				if row.logins {
					b.put(login("alice", 2, 101))
				}
				time.Sleep(24 * time.Hour)
				var got []int
				for _, a := range d.alerts() {
					n := 0
					if f := a.Event.Digest.Failures; f != nil {
						n = f.Attempts
					}
					got = append(got, n)
				}
				if !cmp.Equal(got, row.want) {
					t.Errorf("attempts of the digests: %v, not %v", got, row.want)
				}
			})
		})
	}
}

func TestQuietIsNeverOdd(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b *bench, m *fakeMemory, e *event.Event)
		told   bool
	}{
		{"usual", func(*bench, *fakeMemory, *event.Event) {}, false},
		{"every login is wanted", func(b *bench, _ *fakeMemory, _ *event.Event) { b.set.Policy.Notify = policy.NotifyAll }, true},
		{"a user whom nobody has seen", func(_ *bench, m *fakeMemory, _ *event.Event) { clear(m.logins) }, true},
		{"a forged address", func(_ *bench, _ *fakeMemory, e *event.Event) { e.Flags = []event.Flag{event.FlagAddressMismatch} }, true},
		{"a high risk", func(b *bench, _ *fakeMemory, e *event.Event) { b.rate(e.Remote.IP, 90) }, true},
		{"no memory", func(b *bench, _ *fakeMemory, _ *event.Event) { b.set.Memory = nil }, true},
		{"a memory that fails", func(_ *bench, m *fakeMemory, _ *event.Event) { m.err = errors.New("locked") }, true},
		{"a memory that keeps nothing", func(_ *bench, m *fakeMemory, _ *event.Event) { m.lost = errors.New("disk full") }, true},
		{"ignored", func(b *bench, _ *fakeMemory, _ *event.Event) {
			b.set.Policy.Notify, b.set.Policy.Ignored.Users = policy.NotifyAll, []string{"alice"}
		}, false},
		{"ignored, and never seen", func(b *bench, m *fakeMemory, _ *event.Event) {
			b.set.Policy.Ignored.Users = []string{"alice"}
			clear(m.logins)
		}, true},
		{"ignored, and the memory keeps nothing", func(b *bench, m *fakeMemory, _ *event.Event) {
			m.lost, b.set.Policy.Ignored.Users = errors.New("disk full"), []string{"alice"}
		}, false},
		{"ignored by a rule", func(b *bench, _ *fakeMemory, _ *event.Event) {
			b.set.Policy.Notify = policy.NotifyAll
			b.set.Policy.Rules = []policy.Rule{{User: []string{"alice"}, Ignore: true}}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack"}
				b := newBench(t, d)
				m := newFakeMemory("alice")
				b.set.Memory, b.set.Policy.Notify = m, policy.NotifyUnusual
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
