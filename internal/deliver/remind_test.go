package deliver

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// Who asks for it is reminded of what is high until it is acknowledged, for a day at
// most, not at night, and by any worker but once.
func TestReminders(t *testing.T) {
	for _, tt := range []struct {
		name    string
		ack     time.Duration // after which it is acknowledged; 0: never
		score   int
		remind  time.Duration
		perDay  int
		atNight bool
		restart bool
		want    []string
	}{
		{"acknowledged after two", 5 * time.Hour / 2, 99, time.Hour, 0, false, false, []string{"01:00", "02:00"}},
		{"for a day", 0, 99, 10 * time.Hour, 0, false, false, []string{"10:00", "20:00"}},
		{"to the end of the day", 0, 99, 12 * time.Hour, 0, false, false, []string{"12:00", "00:00"}},
		{"not in quiet hours", 0, 99, 5 * time.Hour, 0, true, false, []string{"10:00", "15:00", "20:00"}},
		{"of what is low there is none", 0, 1, time.Hour, 0, false, false, nil},
		{"what the budget pays for", 0, 99, 6 * time.Hour, 3, false, false, []string{"06:00", "00:00"}},
		{"by another worker", 0, 99, 10 * time.Hour, 0, false, true, []string{"10:00", "20:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.ack == 0 {
				standin.Gate(t)
			}
			synctest.Test(t, func(t *testing.T) { // it is midnight
				begun := time.Now()
				d, other := &fakeDest{name: "phone", pace: time.Second, perDay: tt.perDay}, &fakeDest{name: "other"}
				b := newBench(t, d, other)
				b.set.Targets[0].Remind = tt.remind
				b.set.Answered = func(string) (bool, error) { return tt.ack > 0 && time.Since(begun) > tt.ack, nil }
				e := login("root", 1, 1)
				b.rate(e.Remote.IP, tt.score)
				b.put(e)
				if tt.atNight {
					b.mustRun() // before the hours are set
					b.set.Targets[0].Quiet = night(t)
				}
				for range map[bool]int{false: 1, true: 2}[tt.restart] {
					stop := start(t, b.job(Follow))
					time.Sleep(18 * time.Hour)
					stop()
				}
				stop := start(t, b.job(Follow))
				time.Sleep(8 * time.Hour)
				stop()
				var got []string
				for i, a := range d.alerts() {
					if a.Event.Kind == event.KindAlert {
						got = append(got, d.at[i].UTC().Format("15:04"))
						if !strings.HasPrefix(a.Event.Alert.Title, "Not acknowledged: login of root from 192.0.2.1 (ref "+event.Ref(e.ID)+")") || a.Verdict.Severity != event.High {
							t.Errorf("%s: %q", a.Verdict.Severity, a.Event.Alert.Title)
						}
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("reminded at %q, want %q", got, tt.want)
				}
				if n := len(other.alerts()); n != 1 {
					t.Errorf("the other destination got %d", n)
				}
			})
		})
	}
}

// What the watcher tells of a login after failures is reminded of as the login is,
// once for both, and is acknowledged as the login.
func TestRemindersOfALoginAfterFailures(t *testing.T) {
	standin.Gate(t)
	in := func(b *bench, es ...event.Event) { b.put(es...); b.mustRun() }
	for _, tt := range []struct {
		name  string
		score int
		do    func(b *bench, hook, watcher event.Event)
		asked string // the login that may be acknowledged
		ref   string // that is named
	}{
		{"the hook first", 1, func(b *bench, hook, watcher event.Event) { in(b, hook); time.Sleep(3 * time.Second); in(b, watcher) }, "hook", "watcher"},
		{"the hook first, as high", 99, func(b *bench, hook, watcher event.Event) { in(b, hook); time.Sleep(3 * time.Second); in(b, watcher) }, "hook", "watcher"},
		{"the watcher first", 1, func(b *bench, hook, watcher event.Event) { in(b, watcher); time.Sleep(3 * time.Second); in(b, hook) }, "hook", "watcher"},
		{"both at once", 1, func(b *bench, hook, watcher event.Event) { in(b, hook, watcher) }, "hook", "hook"},
		{"the watcher alone", 1, func(b *bench, _, watcher event.Event) { in(b, watcher) }, "watcher", "watcher"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "phone", pace: time.Second}
				b := newBench(t, d)
				b.set.Targets[0].Remind = time.Hour
				hook := login("root", 1, 1)
				watcher := word(hook, nil)
				ids := map[string]string{"hook": hook.ID, "watcher": watcher.ID}
				b.rate(hook.Remote.IP, tt.score)
				var asked []string
				b.set.Answered = func(id string) (bool, error) { asked = append(asked, id); return len(asked) > 2, nil }
				tt.do(b, hook, watcher)
				stop := start(t, b.job(Follow))
				time.Sleep(5 * time.Hour)
				stop()
				if want := ids[tt.asked]; len(asked) < 3 || slices.ContainsFunc(asked, func(id string) bool { return id != want }) {
					t.Errorf("asked of %q, want %q", asked, want)
				}
				reminders := 0
				for _, a := range d.alerts() {
					if a.Event.Kind == event.KindAlert {
						reminders++
						if !strings.Contains(a.Event.Alert.Title, "(ref "+event.Ref(ids[tt.ref])+")") || a.Verdict.Severity != event.Critical {
							t.Errorf("%s: %q", a.Verdict.Severity, a.Event.Alert.Title)
						}
					}
				}
				if reminders != 2 {
					t.Errorf("%d reminders", reminders)
				}
			})
		})
	}
}
