package deliver

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// silence keeps deploy quiet for an hour from now on.
func (b *bench) silence(s event.Silence) {
	b.t.Helper()
	s.ID, s.Why, s.By = event.NewID(), "release", "root"
	s.From = time.Now()
	s.Until = s.From.Add(time.Hour)
	db := openStore(b.t, b.state)
	defer db.Close()
	if err := db.Migrate(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := AddSilence(b.t.Context(), db, s); err != nil {
		b.t.Fatal(err)
	}
}

// The first and the last moment of a silence are in it, the one after is not; the end
// is told with what it held, and critical events are told all the same.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.put(login("deploy", 1, 1)) // before
		b.mustRun()
		stop := start(t, b.job(Follow))
		time.Sleep(time.Hour)
		b.silence(event.Silence{User: "dep*"})
		begun := time.Now()
		b.put(login("deploy", 2, 2))
		time.Sleep(time.Minute)
		b.put(login("alice", 3, 3), critical("fire"))
		time.Sleep(time.Until(begun.Add(time.Hour - time.Nanosecond)))
		b.put(login("deploy", 4, 4))
		time.Sleep(time.Nanosecond)
		b.put(login("deploy", 5, 5))
		time.Sleep(time.Minute)
		stop()
		got := d.timed()
		want := []string{"00:00:00 deploy", "01:01:00 fire", "01:01:01 alice", "02:00:00 deploy", "02:00:30 End of the silence of everything of dep*"}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		last := d.alerts()[len(d.alerts())-1]
		if text := last.Event.Alert.Text; !strings.HasPrefix(text, "It held 2 logins; the worst was ") || !strings.HasSuffix(text, "Set by root: release.") {
			t.Errorf("the end says %q", text)
		}
	})
}

// A silence is of so much time, over midnight and over the change of the clocks: one
// of an hour ends at half past two on the wall where it began at half past midnight.
func TestSilenceOverMidnightAndTheChangeOfTheClock(t *testing.T) {
	dublin, err := time.LoadLocation("Europe/Dublin")
	if err != nil {
		t.Fatal(err)
	}
	for name, begin := range map[string]time.Time{
		"midnight":            time.Date(2000, 1, 2, 23, 30, 0, 0, dublin),
		"the clocks forward":  time.Date(2000, 3, 26, 0, 30, 0, 0, dublin),
		"the clocks back":     time.Date(2000, 10, 29, 1, 30, 0, 0, dublin),
		"the clocks and noon": time.Date(2000, 3, 26, 11, 30, 0, 0, dublin),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.Zone = dublin
				time.Sleep(time.Until(begin))
				b.silence(event.Silence{User: "deploy"}) // of an hour
				stop := start(t, b.job(Follow))
				time.Sleep(time.Hour - time.Nanosecond)
				b.put(login("deploy", 1, 1))
				time.Sleep(time.Nanosecond)
				b.put(login("deploy", 2, 2))
				time.Sleep(time.Minute)
				stop()
				got := d.alerts()
				if len(got) != 2 || !got[0].Event.Time.Equal(begin.Add(time.Hour)) || !strings.HasPrefix(got[1].Event.Alert.Text, "It held 1 login;") {
					t.Errorf("told %q", d.timed())
				}
			})
		})
	}
}

// A silence outlives the worker, holds what comes while none runs, also where that is
// looked at after its end, and ends with the next one.
func TestSilenceOverTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		early := login("deploy", 1, 1)
		b.put(early)
		d.fail = func(int, event.Alert) error { return again() }
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		d.fail = nil
		time.Sleep(time.Minute)
		b.silence(event.Silence{User: "deploy", Kind: event.KindLogin})
		b.put(login("deploy", 2, 2))
		b.mustRun() // what was begun before is told
		if n := len(d.alerts()); n != 1 || d.alerts()[0].ID != early.ID {
			t.Errorf("%d were told", n)
		}
		time.Sleep(59 * time.Minute)
		b.put(login("deploy", 3, 3))
		time.Sleep(time.Hour)
		b.mustRun()
		b.mustRun() // its end is told once
		if got := d.alerts(); len(got) != 2 || !strings.HasPrefix(got[1].Event.Alert.Text, "It held 2 logins") {
			t.Errorf("told %q", d.timed())
		}
	})
}

func TestWhatIsSilenced(t *testing.T) {
	now := time.Now()
	e := login("deploy", 7, 1)
	hour := event.Silence{From: now.Add(-time.Minute), Until: now.Add(time.Hour)}
	of := func(f func(*event.Silence)) event.Silence {
		s := hour
		f(&s)
		return s
	}
	own := e
	own.Kind, own.Via, own.Alert = event.KindAlert, event.ViaSelf, &event.Note{}
	public := e
	public.Kind, public.Attack = event.KindAttack, &event.Attack{Note: event.Note{Public: true}}
	digest := e
	digest.Kind = event.KindDigest
	for _, tt := range []struct {
		name string
		s    event.Silence
		e    event.Event
		v    event.Verdict
		want bool
	}{
		{"everything", hour, e, event.Verdict{Severity: event.High}, true},
		{"critical", hour, e, event.Verdict{Severity: event.Critical}, false},
		{"a user", of(func(s *event.Silence) { s.User = "dep*" }), e, event.Verdict{}, true},
		{"another user", of(func(s *event.Silence) { s.User = "alice" }), e, event.Verdict{}, false},
		{"a host, whatever the case", of(func(s *event.Silence) { s.Host = "DB?" }), e, event.Verdict{}, true},
		{"another host", of(func(s *event.Silence) { s.Host = "web*" }), e, event.Verdict{}, false},
		{"another kind", of(func(s *event.Silence) { s.Kind = event.KindLogout }), e, event.Verdict{}, false},
		{"a rule", of(func(s *event.Silence) { s.Rule = "ci" }), e, event.Verdict{Rule: "ci"}, true},
		{"no rule", of(func(s *event.Silence) { s.Rule = "ci" }), e, event.Verdict{}, false},
		{"what sshnotify says itself", hour, own, event.Verdict{}, false},
		{"a digest", hour, digest, event.Verdict{}, false},
		{"what is published", hour, public, event.Verdict{}, false},
		{"before it", of(func(s *event.Silence) { s.From = now.Add(time.Second) }), e, event.Verdict{}, false},
	} {
		if got := policy.Silences(tt.s, tt.e, tt.v); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
