package deliver

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
)

// While a destination is out, its fallback tells what is high, what came before and
// what comes after; the rest waits. The destination gets all of it later.
func TestFallback(t *testing.T) {
	for _, class := range []channel.Class{channel.Broken, channel.Quota, channel.Again} {
		t.Run(class.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				main, other := &fakeDest{name: "main", pace: time.Second}, &fakeDest{name: "other", pace: time.Second}
				main.fail = func(int, event.Alert) error {
					if time.Since(start) < time.Hour {
						return &channel.Error{Class: class, Err: errors.New("no")}
					}
					return nil
				}
				b := newBench(t, main, other)
				b.set.Targets[0].Fallback = "other"
				b.set.Targets[1].MinSeverity = event.Critical
				b.score = map[netip.Addr]int{}
				for n := range byte(4) {
					e := login("alice", n+1, 100+int(n))
					if n%2 == 0 {
						b.score[e.Remote.IP] = 99
					} else {
						b.score[e.Remote.IP] = 1
					}
					b.put(e)
					if err := b.run(Once); !errors.Is(err, ErrWaiting) {
						t.Fatal(err)
					}
				}
				told := 0
				for _, a := range other.alerts() {
					if a.Event.Kind == event.KindLogin {
						told++
					}
				}
				if want := map[bool]int{true: 2}[class != channel.Again]; told != want {
					t.Errorf("the fallback got %d, want %d", told, want)
				}
				b.mustRun()
				all := map[string]bool{}
				for _, a := range main.alerts() {
					all[a.ID] = true
					for _, id := range a.Refs {
						all[id] = true
					}
				}
				if len(all) < 4 {
					t.Errorf("the destination got %d", len(all))
				}
			})
		})
	}
}

// A server that answers nobody for half an hour is out of order, too: others tell
// what is high, that it is so, and that it is over.
func TestFallbackOfALateDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		main, other := &fakeDest{name: "main", pace: time.Second}, &fakeDest{name: "other", pace: time.Second}
		main.fail = func(int, event.Alert) error {
			if time.Since(start) < 3*time.Hour {
				return again()
			}
			return nil
		}
		b := newBench(t, main, other)
		b.set.Targets[0].Fallback = "other"
		b.set.Targets[1].Fallback = "main" // each is the other's
		b.set.Targets[1].Users = []string{"nobody"}
		e := login("alice", 1, 100)
		b.score = map[netip.Addr]int{e.Remote.IP: 99}
		b.put(e)
		b.mustRun()
		var got []string
		for i, a := range other.alerts() {
			what := a.Event.User
			if a.Event.Kind == event.KindAlert {
				what = a.Event.Alert.Title
			}
			got = append(got, what)
			if since := other.at[i].Sub(start); since < lateAfter || since > 4*time.Hour {
				t.Errorf("%s was told after %v", what, since)
			}
		}
		slices.Sort(got)
		if want := []string{"alice", "sshnotify can't reach its destination main", "sshnotify reaches its destination main again"}; !slices.Equal(got, want) {
			t.Errorf("the other got %q, want %q", got, want)
		}
		if n := len(main.alerts()); n != 1 {
			t.Errorf("it got %d itself", n)
		}
	})
}

// One that comes and goes is reported once an hour, and a report that can't be
// told is not reported.
func TestReportsOfDestinations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flaky, other := &fakeDest{name: "flaky", pace: time.Second}, &fakeDest{name: "other", pace: time.Second}
		flaky.fail = func(n int, _ event.Alert) error {
			if n%2 == 1 {
				return broken()
			}
			return nil
		}
		other.fail = func(_ int, a event.Alert) error {
			if a.Event.Kind == event.KindAlert {
				return bug()
			}
			return nil
		}
		b := newBench(t, flaky, other)
		for n := range byte(10) { // one every five minutes
			b.put(login("alice", n+1, 100+int(n)))
			b.mustRun()
		}
		reports := 0
		for _, said := range b.said() {
			if strings.Contains(said, "can't be delivered to other") {
				reports++
			}
		}
		if reports != 2 {
			t.Errorf("%d reports, want that it is broken, and that it works", reports)
		}
		for _, a := range flaky.alerts() {
			if a.Event.Kind == event.KindAlert {
				t.Errorf("a report of a report: %s", a.Event.Alert.Title)
			}
		}
	})
}

// What is high and for nobody is said all the same.
func TestForNobody(t *testing.T) {
	d := &fakeDest{name: "d"}
	b := newBench(t, d)
	b.set.Targets[0].Users = []string{"bob"}
	e := login("alice", 1, 100)
	b.score = map[netip.Addr]int{e.Remote.IP: 99}
	b.put(e, login("carol", 2, 101))
	b.mustRun()
	if said := strings.Join(b.said(), "\n"); !strings.Contains(said, "of alice is high, and no destination of the settings gets it") || strings.Contains(said, "carol") {
		t.Errorf("said %q", said)
	}
}
