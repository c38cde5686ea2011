package deliver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// night is from ten to seven.
func night(t *testing.T) policy.Quiet {
	t.Helper()
	h, err := policy.ParseHours("22:00-07:00")
	if err != nil {
		t.Fatal(err)
	}
	return policy.Quiet{Hours: []policy.Hours{h}}
}

// timed lists who was told of when, a message each.
func (d *fakeDest) timed() (all []string) {
	for i, a := range d.alerts() {
		what := a.Event.User
		if a.Event.Alert != nil {
			what = a.Event.Alert.Title
		}
		var users []string
		for _, r := range a.Rows {
			users = append(users, r.User)
		}
		slices.Sort(users)
		s := d.at[i].UTC().Format("15:04:05 ") + what
		if len(users) > 0 {
			s += fmt.Sprint(users)
		}
		if a.Quiet {
			s += " held"
		}
		if a.Late > time.Minute {
			s += " late"
		}
		all = append(all, s)
	}
	return all
}

func critical(title string) event.Event {
	return event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Host: "db1", Alert: &event.Note{Severity: event.Critical, Title: title}}
}

// At night only what is critical is told; the rest comes at seven in one message,
// and a file, which nobody sleeps beside, has all of it at once.
func TestQuietHours(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) { // it is midnight
		d, file := &fakeDest{name: "phone", pace: time.Second}, &fakeDest{name: "file"}
		b := newBench(t, d, file)
		b.set.Targets[0].Quiet = night(t)
		stop := start(t, b.job(Follow))
		at := func(after time.Duration, e func() event.Event) {
			time.Sleep(after - time.Since(time.Now().Truncate(24*time.Hour)))
			b.put(e())
			synctest.Wait()
		}
		of := func(user string, n byte) func() event.Event {
			return func() event.Event { return login(user, n, int(n)) }
		}
		at(time.Hour, of("alice", 1))
		at(2*time.Hour, func() event.Event { return critical("fire") })
		at(7*time.Hour-time.Second, of("bob", 2))
		at(7*time.Hour+time.Minute, of("carol", 3))
		at(22*time.Hour-time.Second, of("dave", 4))
		at(22*time.Hour, of("erin", 5))
		time.Sleep(10 * time.Hour)
		stop()
		want := []string{"02:00:00 fire", "07:00:00 [alice bob] held", "07:01:00 carol", "21:59:59 dave", "07:00:00 erin held"}
		if got := d.timed(); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		if n := len(file.alerts()); n != 6 {
			t.Errorf("the file has %d", n)
		}
	})
}

// It holds also for what a worker left, for what came while none was there, and
// for what failed in the evening.
func TestQuietHoursOverTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "phone", pace: time.Second}
		b := newBench(t, d)
		b.set.Targets[0].Quiet = night(t)
		time.Sleep(21*time.Hour + 59*time.Minute)
		d.fail = func(int, event.Alert) error { return again() }
		b.put(login("alice", 1, 1))
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		d.fail = nil
		time.Sleep(time.Hour)
		b.put(login("bob", 2, 2))
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		if n := len(d.alerts()); n != 0 {
			t.Errorf("%d were told at night", n)
		}
		time.Sleep(time.Hour)
		b.put(login("carol", 3, 3))
		time.Sleep(8 * time.Hour) // nobody is there at seven
		b.mustRun()
		got := d.timed()
		slices.Sort(got)
		if want := []string{"07:59:00 alice late", "07:59:01 [bob carol] held"}; len(got) != 2 || got[0][9:] != want[0][9:] && got[1][9:] != want[0][9:] {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// Whoever asks for all of it now gets it.
func TestFlushBreaksTheQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "phone", pace: time.Second}
		b := newBench(t, d)
		b.set.Targets[0].Quiet = night(t)
		b.put(login("alice", 1, 1))
		j := b.job(Once)
		j.Flush = true
		if err := Run(t.Context(), j); err != nil || len(d.alerts()) != 1 {
			t.Errorf("%v, and %d were told", err, len(d.alerts()))
		}
	})
}

// In quiet hours the fallback of a destination that is out of order is held by its own
// hours alone.
func TestQuietHoursOfAFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		main, other := &fakeDest{name: "main", pace: time.Second}, &fakeDest{name: "other", pace: time.Second}
		main.fail = func(int, event.Alert) error {
			return &channel.Error{Class: channel.Broken, Err: errors.New("no")}
		}
		b := newBench(t, main, other)
		b.set.Targets[0].Fallback, b.set.Targets[1].Quiet = "other", night(t)
		b.set.Targets[1].MinSeverity = event.Critical
		e := login("alice", 1, 1)
		b.rate(e.Remote.IP, 99)
		b.put(e)
		stop := start(t, b.job(Follow))
		time.Sleep(7*time.Hour - time.Second)
		if n := len(other.alerts()); n != 0 {
			t.Errorf("%d were told at night", n)
		}
		time.Sleep(time.Minute)
		stop()
		if got := other.timed(); !slices.Equal(got, []string{"07:00:00 alice held"}) {
			t.Errorf("told %q", got)
		}
	})
}

func TestQuietUntil(t *testing.T) {
	at := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	seven := at.Add(4 * time.Hour)
	q := night(t)
	for _, tt := range []struct {
		name  string
		r     Record
		quiet map[string]policy.Quiet
		want  time.Time
	}{
		{"new, and all are quiet", Record{}, map[string]policy.Quiet{"a": q}, seven},
		{"new, and one is not", Record{}, map[string]policy.Quiet{"a": q, "b": {}}, time.Time{}},
		{"the one that is not has it", Record{Deliveries: []delivery{{Dest: "a"}, {Dest: "b", Done: at}}}, map[string]policy.Quiet{"a": q, "b": {}}, seven},
		{"critical", Record{Verdict: event.Verdict{Severity: event.Critical}}, map[string]policy.Quiet{"a": q}, time.Time{}},
	} {
		if got := QuietUntil(tt.r, tt.quiet, at); !got.Equal(tt.want) {
			t.Errorf("%s: until %v, want %v", tt.name, got, tt.want)
		}
	}
}

// The night in which the clocks go forward is quiet by the clock on the wall, and so
// an hour shorter: both edges are those of that night.
func TestQuietHoursInTheShortestNight(t *testing.T) {
	dublin, err := time.LoadLocation("Europe/Dublin")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "phone", pace: time.Second}
		b := newBench(t, d)
		b.set.Targets[0].Quiet = night(t)
		b.set.Targets[0].Quiet.Zone = dublin
		time.Sleep(time.Until(time.Date(2000, 3, 25, 20, 0, 0, 0, time.UTC)))
		stop := start(t, b.job(Follow))
		for i, at := range []time.Time{
			time.Date(2000, 3, 25, 21, 59, 59, 0, time.UTC), time.Date(2000, 3, 25, 22, 0, 0, 0, time.UTC),
			time.Date(2000, 3, 26, 1, 0, 0, 0, time.UTC), time.Date(2000, 3, 26, 5, 59, 59, 0, time.UTC), time.Date(2000, 3, 26, 6, 1, 0, 0, time.UTC),
		} {
			time.Sleep(time.Until(at))
			b.put(login(fmt.Sprint("user", i), byte(i+1), i+1))
		}
		time.Sleep(time.Minute)
		stop()
		if got, want := d.timed(), []string{"21:59:59 user0", "06:00:00 [user1 user2 user3] held", "06:01:00 user4"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// Nothing that holds other events holds a critical one: quiet hours, a silence, what
// is told in the window of repeats, and a budget that is used up, one by one and all
// together.
func TestCriticalIsNeverHeld(t *testing.T) {
	all := []string{"quiet", "silence", "window", "budget"}
	for _, holds := range append([][]string{all}, []string{"quiet"}, []string{"silence"}, []string{"window"}, []string{"budget"}) {
		t.Run(fmt.Sprint(holds), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it is midnight
				d := &fakeDest{name: "phone", pace: time.Second}
				b := newBench(t, d)
				if slices.Contains(holds, "window") {
					b.set.Window = 24 * time.Hour
				}
				if slices.Contains(holds, "budget") {
					d.perDay = 5
				}
				stop := start(t, b.job(Follow))
				for i := range 4 { // all that the budget has for these
					b.put(login(fmt.Sprint("user", i), byte(i+1), i+1))
					time.Sleep(time.Minute)
				}
				stop()
				if slices.Contains(holds, "quiet") {
					b.set.Targets[0].Quiet = night(t)
				}
				if slices.Contains(holds, "silence") {
					b.silence(event.Silence{})
				}
				before := len(d.alerts())
				stop = start(t, b.job(Follow))
				time.Sleep(time.Minute)
				b.put(login("user0", 1, 1)) // held, whatever it is by
				time.Sleep(time.Second)
				b.put(critical("fire"))
				time.Sleep(time.Minute)
				stop()
				told := d.timed()[before:]
				if !slices.ContainsFunc(told, func(s string) bool { return strings.HasSuffix(s, " fire") }) {
					t.Errorf("the critical one is not among %q", told)
				}
				if slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "user0") }) {
					t.Errorf("%q holds nothing: %q", holds, told)
				}
			})
		})
	}
}

// Settings that are loaded anew at night hold for what waits: it is told when the new
// hours end, at once where there are none, and by the others where the destination that
// a rule named for it is gone.
func TestReloadInQuietHours(t *testing.T) {
	standin.Gate(t)
	early, err := policy.ParseHours("22:00-05:00")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Target)
		want   []string // told to the phone
		other  []string
	}{
		{"as they were", func(*Target) {}, []string{"07:00:00 [alice bob] held"}, []string{"03:00:00 bob"}},
		{"shorter", func(p *Target) { p.Quiet.Hours = []policy.Hours{early} }, []string{"05:00:00 [alice bob] held"}, []string{"03:00:00 bob"}},
		{"none any more", func(p *Target) { p.Quiet = policy.Quiet{} }, []string{"02:00:00 alice late", "03:00:00 bob"}, []string{"03:00:00 bob"}},
		{"the destination gone", nil, nil, []string{"02:00:00 alice late", "03:00:00 bob"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // it is midnight
				phone, other := &fakeDest{name: "phone", pace: time.Second}, &fakeDest{name: "other", pace: time.Second}
				b := newBench(t, phone, other)
				b.set.Targets[0].Quiet = night(t)
				b.set.Policy.Rules = policy.Rules{{User: []string{"alice"}, Destination: []string{"phone"}}}
				after := b.set
				after.Targets = slices.Clone(b.set.Targets)
				if tt.change == nil {
					after.Targets = after.Targets[1:]
				} else {
					tt.change(&after.Targets[0])
				}
				var settings atomic.Pointer[Settings]
				settings.Store(&b.set)
				reload := make(chan struct{})
				j := b.job(Follow)
				j.Reload = reload
				j.Load = func() (Settings, error) { return *settings.Load(), nil }
				stop := start(t, j)
				time.Sleep(time.Hour)
				b.put(login("alice", 1, 1))
				time.Sleep(time.Hour)
				settings.Store(&after)
				reload <- struct{}{}
				time.Sleep(time.Hour)
				b.put(login("bob", 2, 2))
				time.Sleep(6 * time.Hour)
				stop()
				if got := phone.timed(); !slices.Equal(got, tt.want) {
					t.Errorf("the phone was told %q, want %q", got, tt.want)
				}
				if got := other.timed(); !slices.Equal(got, tt.other) {
					t.Errorf("the other was told %q, want %q", got, tt.other)
				}
			})
		})
	}
}
