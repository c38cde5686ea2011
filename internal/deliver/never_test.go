package deliver

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// What became of an attempt says whether a message that costs money is sent again.
func TestWhatMustNotBeToldTwice(t *testing.T) {
	for _, tc := range []struct {
		name  string
		retry channel.Retry
		err   *channel.Error
		tries int
		maybe bool
	}{
		{"no answer, never again", channel.Never, &channel.Error{Class: channel.Again, Sent: true, Err: errors.New("timed out")}, 1, true},
		{"not sent at all", channel.Never, &channel.Error{Class: channel.Again, Err: errors.New("no route")}, 2, false},
		{"no answer, may be sent again", channel.May, &channel.Error{Class: channel.Again, Sent: true, Err: errors.New("timed out")}, 2, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "phone", pace: time.Second, retry: tc.retry}
				unsure := false
				d.fail = func(n int, a event.Alert) error {
					unsure = a.Unsure
					if n == 1 {
						return tc.err
					}
					return nil
				}
				b := newBench(t, d)
				e := login("alice", 7, 100)
				b.put(e)
				b.mustRun()
				if d.tries != tc.tries || unsure != (tc.tries > 1 && tc.err.Sent) {
					t.Errorf("%d tries, unsure %v", d.tries, unsure)
				}
				all, err := ReadDelivered(t.Context(), openStore(t, b.state), "", time.Time{})
				if err != nil || len(all) != 1 || len(all[0].Sent) != 1 || all[0].Sent[0].Maybe != tc.maybe {
					t.Errorf("%v, %+v", err, all)
				}
			})
		})
	}
}

// A worker that was killed between a request and its answer leaves what the next
// one must not send.
func TestAKillBetweenRequestAndAnswer(t *testing.T) {
	for _, retry := range []channel.Retry{channel.May, channel.Never} {
		t.Run(retry.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b *bench
				var onDisk []byte
				d := &fakeDest{name: "phone", pace: time.Second, retry: retry}
				e := login("alice", 7, 100)
				d.fail = func(n int, a event.Alert) error {
					if n == 1 {
						onDisk = b.onDisk(eventFile(e.ID))
						return &channel.Error{Class: channel.Again, Err: errors.New("no route")}
					}
					return nil
				}
				b = newBench(t, d)
				b.put(e)
				if err := b.run(Once); !errors.Is(err, ErrWaiting) {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(b.dir, "cur", eventFile(e.ID)), onDisk, 0o600); err != nil {
					t.Fatal(err)
				}
				d.tries = 0
				d.fail = nil
				b.mustRun()
				if want := map[channel.Retry]int{channel.May: 1}[retry]; d.tries != want {
					t.Errorf("%d tries, want %d", d.tries, want)
				}
			})
		})
	}
}

// A quota is said once, and lasts as long as the service says; a broken
// destination that asks to be left alone is, unless somebody asks for a try.
func TestPausesOfADay(t *testing.T) {
	standin.Gate(t)
	for _, tc := range []struct {
		name  string
		err   *channel.Error
		first time.Duration // when it is tried again
	}{
		{"a day's quota", &channel.Error{Class: channel.Quota, RetryAfter: 20 * time.Hour, Err: errors.New("the day's limit")}, 20 * time.Hour},
		{"a month's quota", &channel.Error{Class: channel.Quota, RetryAfter: 480 * time.Hour, Err: errors.New("the month's limit")}, 24 * time.Hour},
		{"a quota without a time", &channel.Error{Class: channel.Quota, Err: errors.New("the limit")}, time.Hour},
		{"a removed hook that is not to be tried", &channel.Error{Class: channel.Broken, RetryAfter: 24 * time.Hour, Err: errors.New("no such hook")}, 24 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, other := &fakeDest{name: "phone", pace: time.Second}, &fakeDest{name: "log"}
				d.fail = func(n int, a event.Alert) error {
					if n <= 2 {
						return tc.err
					}
					return nil
				}
				b := newBench(t, d, other)
				start := time.Now()
				b.put(login("alice", 7, 100))
				b.mustRun()
				if len(d.at) == 0 || d.at[0].Sub(start) < 2*tc.first || d.at[0].Sub(start) > 2*tc.first+time.Hour {
					t.Errorf("told after %v, want twice %v", d.at, tc.first)
				}
				var notes []string
				for _, a := range other.alerts() {
					if a.Event.Kind == event.KindAlert {
						notes = append(notes, a.Event.Alert.Title)
					}
				}
				want := []string{"sshnotify's destination phone takes no more for now"}
				if tc.err.Class == channel.Broken {
					want = []string{"sshnotify can't reach its destination phone", "sshnotify reaches its destination phone again"}
				}
				if !slices.Equal(notes, want) {
					t.Errorf("said %q, want %q", notes, want)
				}
			})
		})
	}
}

// onDisk returns a file that a worker has claimed.
func (b *bench) onDisk(name string) []byte {
	data, err := os.ReadFile(filepath.Join(b.dir, "cur", name))
	if err != nil {
		b.t.Error(err)
	}
	return data
}
