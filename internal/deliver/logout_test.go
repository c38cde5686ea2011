package deliver

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestLogoutIsToldAsTheSettingsSay(t *testing.T) {
	for _, row := range []struct {
		name   string
		notify string
		score  int
		want   int // messages
	}{
		{"alerted, its login was low", "alerted", 3, 1},
		{"alerted, its login was medium", "alerted", 50, 2},
		{"all", "all", 3, 2},
		{"none", "none", 99, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.NotifyLogout = row.notify
				in := login("root", 7, 100)
				b.score = map[addr]int{in.Remote.IP: row.score}
				b.put(in)
				b.mustRun()
				time.Sleep(4 * time.Minute)
				b.put(logout(in))
				b.mustRun()
				if len(d.got) != row.want {
					t.Fatalf("%d messages, want %d", len(d.got), row.want)
				}
				if row.want == 2 {
					out := d.got[1]
					if out.LoginID != in.ID || out.Lasted.Round(time.Minute) != 4*time.Minute || out.Verdict.Severity != d.got[0].Verdict.Severity {
						t.Errorf("the logout of %s: of %s after %v, %v", in.ID, out.LoginID, out.Lasted, out.Verdict.Severity)
					}
				}
			})
		})
	}
}

// Both wait in the spool after an outage: the login goes first, though the
// logout's name sorts before it.
func TestLogoutWaitsForItsLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := 3
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(n int, _ event.Alert) error {
			if n <= fails {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		b.set.NotifyLogout = "all"
		for i := range 5 {
			in := login("root", byte(i), 100+i)
			b.put(in)
			time.Sleep(time.Second)
			b.put(logout(in))
		}
		b.mustRun()
		seen := make(map[int]bool)
		for _, a := range d.got {
			if a.Event.Kind == event.KindLogin {
				seen[a.Event.Session.PID] = true
			} else if !seen[a.Event.Session.PID] {
				t.Errorf("the logout of %d was told before its login", a.Event.Session.PID)
			}
		}
		if len(d.got) != 10 {
			t.Errorf("%d messages, want 10", len(d.got))
		}
	})
}

func TestSessionWithoutALogoutIsToldAsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		var gone, unsure atomic.Bool
		b.alive = func(event.Session) (bool, bool) { return !gone.Load(), !unsure.Load() }
		in := login("root", 7, 100)
		b.score = map[addr]int{in.Remote.IP: 99}
		stop := start(t, b.job(Follow))
		b.put(in)
		time.Sleep(time.Minute)
		unsure.Store(true) // hidden by hidepid: nothing is known
		gone.Store(true)
		time.Sleep(time.Minute)
		if len(d.alerts()) != 1 {
			t.Fatal("a session that can't be seen was told as ended")
		}
		unsure.Store(false)
		time.Sleep(time.Minute)
		b.put(logout(in)) // it comes late, after all
		time.Sleep(time.Minute)
		stop()
		if len(d.got) != 2 {
			t.Fatalf("%d messages, want the login and its end", len(d.got))
		}
		if out := d.got[1]; out.Event.Kind != event.KindLogout || !out.Event.Has(event.FlagNoLogout) || out.LoginID != in.ID {
			t.Errorf("got %+v", out.Event)
		}
	})
}

func TestIgnoredLoginIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.set.NotifyLogout = "all"
		b.set.Policy.Ignored.Users = []string{"backup"}
		usual, odd := login("backup", 7, 100), login("backup", 7, 101)
		odd.Flags = []event.Flag{event.FlagAddressMismatch}
		b.put(usual, logout(usual), odd)
		b.mustRun()
		if len(d.got) != 1 || !d.got[0].Event.Has(event.FlagAddressMismatch) {
			t.Errorf("%d messages, want the odd one alone", len(d.got))
		}
	})
}

// A session of days, without a service: the worker that comes for the logout
// finds its sshd gone.
func TestLogoutAfterDays(t *testing.T) {
	for _, reported := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := &fakeDest{name: "slack", pace: time.Second}
			b := newBench(t, d)
			alive := true
			b.alive = func(event.Session) (bool, bool) { return alive, true }
			in := login("root", 7, 100)
			b.score = map[addr]int{in.Remote.IP: 99}
			b.put(in)
			b.mustRun()
			time.Sleep(72 * time.Hour)
			alive = false
			if reported {
				b.put(logout(in))
			}
			b.mustRun()
			b.mustRun()
			if len(d.got) != 2 || d.got[1].LoginID != in.ID || d.got[1].Event.Has(event.FlagNoLogout) == reported {
				t.Errorf("logout reported %v: %d messages, want the login and its end", reported, len(d.got))
			}
			time.Sleep(30 * 24 * time.Hour)
			b.mustRun()
			if len(d.got) != 2 {
				t.Errorf("logout reported %v: %d messages a month later", reported, len(d.got))
			}
		})
	}
}

// The logout was claimed and judged before its login came: no end is told
// once more.
func TestLogoutThatCameBeforeItsLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.alive = func(event.Session) (bool, bool) { return false, true }
		b.set.NotifyLogout = "all"
		in := login("root", 7, 100)
		b.put(logout(in))
		b.mustRun()
		b.put(in)
		b.mustRun()
		for range 20 {
			time.Sleep(24 * time.Hour)
			b.mustRun()
		}
		if len(d.got) != 2 {
			t.Errorf("%d messages, want 2", len(d.got))
		}
	})
}
