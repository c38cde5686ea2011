package deliver

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Its members are still being looked up when a backlog waits no longer.
func TestDigestOfAnEarlierWorkerIsNotForgottenBehindSlowLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(n int, _ event.Alert) error {
			if n == 1 {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		for i := range 30 {
			b.put(login(fmt.Sprintf("user%02d", i), byte(i), 100+i))
		}
		_ = b.run(Once)
		quick := b.set.Enrich
		b.set.Enrich = func(ctx context.Context, ip netip.Addr) event.Facts {
			time.Sleep(3 * time.Second)
			return quick(ctx, ip)
		}
		begin := time.Now()
		b.mustRun()
		if len(counted(d.got)) != 30 {
			t.Errorf("%d users were told", len(counted(d.got)))
		}
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// Messages that always fail (a proxy does not like a word in them) must not
// silence the rest, however severe they are.
func TestMessagesThatAlwaysFailStopNoOthers(t *testing.T) {
	for _, row := range []struct {
		name   string
		poison int
		score  int
		err    func() error
		within time.Duration
	}{
		{"one, of high severity", 1, 99, again, time.Minute},
		{"one, and it looks as if the destination were broken", 1, 99, broken, 6 * time.Minute},
		{"two, of high severity", 2, 99, again, time.Minute},
		{"five, of low severity", 5, 1, again, 12 * time.Hour},
		{"five, of high severity", 5, 99, again, 12 * time.Hour},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second, fail: func(_ int, a event.Alert) error {
					if a.Event.User == "poison" {
						return row.err()
					}
					return nil
				}}
				b := newBench(t, d)
				b.score = make(map[addr]int)
				stop := start(t, b.job(Follow))
				for i := range row.poison {
					e := login("poison", byte(i), 100+i)
					b.mu.Lock()
					b.score[e.Remote.IP] = row.score
					b.mu.Unlock()
					b.put(e)
				}
				time.Sleep(3 * time.Second)
				b.put(login("alice", 200, 200))
				time.Sleep(row.within)
				if len(d.alerts()) != 1 {
					t.Errorf("a good message was not told within %v", row.within)
				}
				// From here on there is no long wait.
				b.put(login("bob", 201, 201))
				time.Sleep(time.Hour)
				stop()
				if len(d.got) != 2 {
					t.Errorf("the next good one was not told within an hour")
				}
				if d.tries > 500 {
					t.Errorf("%d tries", d.tries)
				}
			})
		})
	}
}

// One message that always fails, and nothing else for hours, says nothing about
// the next.
func TestMessageThatAlwaysFailsDoesNotDelayTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(_ int, a event.Alert) error {
			if a.Event.User == "poison" {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		stop := start(t, b.job(Follow))
		b.put(login("poison", 7, 100))
		time.Sleep(12 * time.Hour)
		b.put(login("alice", 8, 101))
		time.Sleep(10 * time.Second)
		stop()
		if len(d.got) != 1 {
			t.Error("it was not told within ten seconds")
		}
	})
}

// A steady stream of new logins must not keep back one that failed once.
func TestFailedMessageIsToldDespiteASteadyStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(n int, _ event.Alert) error {
			if n == 1 {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		b.set.Window = time.Second
		stop := start(t, b.job(Follow))
		b.put(login("first", 250, 99))
		for i := range 200 {
			time.Sleep(500 * time.Millisecond)
			b.put(login(fmt.Sprintf("user%03d", i), byte(i), 100+i))
		}
		stop()
		if counted(d.got)["first"] != 1 {
			t.Error("the first was not told while others came")
		}
	})
}

// One destination is broken for days; the other still hears of logouts.
func TestBrokenDestinationHoldsUpNoLogoutOfTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := &fakeDest{name: "bad", pace: time.Second, fail: func(int, event.Alert) error { return again() }}
		good := &fakeDest{name: "good", pace: time.Second}
		b := newBench(t, bad, good)
		b.set.NotifyLogout = "all"
		stop := start(t, b.job(Follow))
		in := login("alice", 7, 100)
		b.put(in)
		time.Sleep(time.Minute)
		b.put(logout(in))
		time.Sleep(time.Minute)
		if got := good.alerts(); len(got) != 2 || got[1].LoginID != in.ID || got[1].Lasted.Round(time.Minute) != time.Minute {
			t.Errorf("the good destination got %d messages, want login and logout", len(got))
		}
		bad.mu.Lock()
		bad.fail = nil
		bad.mu.Unlock()
		time.Sleep(time.Hour)
		stop()
		if len(bad.got) != 2 || bad.got[0].Event.Kind != event.KindLogin {
			t.Errorf("the other one got %d messages in the end, want login, then logout", len(bad.got))
		}
		if len(good.got) != 2 {
			t.Errorf("the good one got %d", len(good.got))
		}
		b.alive = func(event.Session) (bool, bool) { return false, true }
		b.mustRun()
		if len(good.got) != 2 {
			t.Error("an ended session was told as ended once more")
		}
	})
}
