package deliver

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

func TestRepeatsWithinTheWindowAreOneMessage(t *testing.T) {
	for _, row := range []struct {
		name   string
		window time.Duration
		want   []int // counts of the messages
	}{
		{"ten minutes", 10 * time.Minute, []int{1, 5}},
		{"grouping switched off", 0, []int{1, 1, 1, 1, 1, 1}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.Window = row.window
				stop := start(t, b.job(Follow))
				begin := time.Now()
				for i := range 6 {
					b.put(login("deploy", 7, 100+i))
					time.Sleep(20 * time.Second)
				}
				time.Sleep(15 * time.Minute)
				stop()
				var got []int
				for _, a := range d.got {
					got = append(got, a.Count)
				}
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Errorf("counts: %s", diff)
				}
				if d.at[0].Sub(begin) > time.Second {
					t.Errorf("the first was told after %v", d.at[0].Sub(begin))
				}
				if row.window > 0 {
					if after := d.at[1].Sub(d.at[0]); after < row.window || after > row.window+2*time.Second {
						t.Errorf("the repeats were told %v after the first", after)
					}
				}
			})
		})
	}
}

// The window is known to the next worker, too: one that is started for each
// login is the usual case without a service.
func TestWindowOutlivesTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.put(login("deploy", 7, 100))
		b.mustRun()
		time.Sleep(time.Minute)
		b.put(login("deploy", 7, 101), login("deploy", 7, 102))
		if err := b.run(Once); err == nil {
			t.Error("--once says that nothing waits, but repeats do")
		}
		if len(d.got) != 1 {
			t.Fatalf("%d messages within the window", len(d.got))
		}
		b.mustRun()
		if len(d.got) != 2 || d.got[1].Count != 2 {
			t.Errorf("got %d messages, the last counts %d; want 2 and 2", len(d.got), d.got[len(d.got)-1].Count)
		}
	})
}

// Repeats that are held say nothing in a stranger's message, and are told as
// what they are once their window ends: not late, because that is what the
// owner chose.
func TestRepeatsAreAMessageOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		stop := start(t, b.job(Follow))
		for i := range 4 {
			b.put(login("deploy", 7, 100+i))
			time.Sleep(20 * time.Second)
		}
		b.put(login("alice", 8, 200))
		time.Sleep(time.Minute)
		if got := d.alerts(); len(got) != 2 || got[1].Event.User != "alice" || got[1].Count != 1 {
			t.Fatalf("%d messages, want deploy's first and alice's", len(got))
		}
		time.Sleep(15 * time.Minute)
		stop()
		got := d.got[len(d.got)-1]
		if len(d.got) != 3 || got.Event.User != "deploy" || got.Count != 3 || !got.More || len(got.Refs) != 3 || got.Late > 5*time.Second {
			t.Errorf("%d messages, the last tells %d of %s (more: %v, %d refs), %v late", len(d.got), got.Count, got.Event.User, got.More, len(got.Refs), got.Late)
		}
	})
}

// A stranger behind a known NAT must not hide behind the owner's login.
func TestWorseRepeatIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		stop := start(t, b.job(Follow))
		e := login("alice", 7, 100)
		b.put(e)
		time.Sleep(5 * time.Second)
		b.rate(e.Remote.IP, 99)
		b.put(login("alice", 7, 101))
		time.Sleep(5 * time.Second)
		stop()
		if len(d.got) != 2 || d.got[1].Verdict.Severity != event.High {
			t.Errorf("got %d messages in five seconds, want the high one at once", len(d.got))
		}
	})
}

// A hundred users' logins from a hundred addresses wait, after an outage.
func TestBacklogIsToldInTwoMinutes(t *testing.T) {
	standin.Gate(t)
	const logins, users = 10_000, 100
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.score = make(map[addr]int)
		for i := range users {
			b.score[netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})] = 10
		}
		high := netip.MustParseAddr("192.0.2.200")
		b.score[high] = 95
		want := make(map[string]int)
		var backlog []event.Event
		for i := range logins {
			user := fmt.Sprintf("user%02d", i%users)
			e := login(user, byte(i/users), 1000+i)
			want[user]++
			backlog = append(backlog, e)
		}
		b.pile(append(backlog, login("root", 200, 99))) // the high one is the newest
		want["root"] = 1
		begin := time.Now()
		b.mustRun()
		if took := time.Since(begin); took > 2*time.Minute {
			t.Errorf("told in %v", took)
		}
		if len(d.got) > 120 {
			t.Errorf("%d messages", len(d.got))
		}
		if diff := cmp.Diff(want, counted(d.got)); diff != "" {
			t.Errorf("every login once: %s", diff)
		}
		if d.got[0].Event.User != "root" {
			t.Errorf("the first message is about %q, want the high one", d.got[0].Event.User)
		}
		for _, a := range d.got {
			if len(a.Rows) > digestRows {
				t.Errorf("a digest of %d lines", len(a.Rows))
			}
		}
	})
}

func TestManyHighOnesAreADigest(t *testing.T) {
	for _, row := range []struct{ high, alone, digests int }{
		{maxHighAlone, maxHighAlone, 0},
		{maxHighAlone + 1, 0, 1},
	} {
		t.Run(fmt.Sprint(row.high), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.score = make(map[addr]int)
				for i := range row.high {
					e := login("root", byte(i), 100+i)
					b.score[e.Remote.IP] = 99
					b.put(e)
				}
				b.mustRun()
				alone, digests := 0, 0
				for _, a := range d.got {
					if len(a.Rows) > 0 {
						digests++
					} else {
						alone++
					}
				}
				if alone != row.alone || digests != row.digests {
					t.Errorf("%d alone and %d digests, want %d and %d", alone, digests, row.alone, row.digests)
				}
			})
		})
	}
}

// A worker that dies between writing a digest down and hearing that it arrived
// sends the same one again: same id, same members, whatever came since.
func TestDigestStaysTheSameInEveryRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first event.Alert
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(n int, a event.Alert) error {
			if n == 1 {
				first = a
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		for i := range 30 {
			b.put(login(fmt.Sprintf("user%02d", i), byte(i), 100+i))
		}
		_ = b.run(Once)
		for i := range 30 {
			b.put(login(fmt.Sprintf("late%02d", i), byte(i), 200+i))
		}
		time.Sleep(time.Minute)
		b.mustRun()
		var retried *event.Alert
		for i := range d.got {
			if d.got[i].ID == first.ID {
				retried = &d.got[i]
			}
		}
		if retried == nil {
			t.Fatal("the digest that failed was not sent again")
		}
		if diff := cmp.Diff(counted([]event.Alert{first}), counted([]event.Alert{*retried})); diff != "" {
			t.Errorf("it changed: %s", diff)
		}
		for user, n := range counted(d.got) {
			if n != 1 {
				t.Errorf("%s was counted %d times", user, n)
			}
		}
		if got := len(counted(d.got)); got != 60 {
			t.Errorf("%d users were told of, want 60", got)
		}
	})
}
