package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

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
