package deliver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
)

// mailDest has recipients, each of whom gets a message of their own, as mail has.
type mailDest struct {
	fakeDest
	to      []string
	refuses func(to string) *channel.Error
	inbox   map[string][]string // ids, by recipient
}

func (d *mailDest) Send(_ context.Context, a event.Alert) (event.Receipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	reached := slices.Clone(a.Reached)
	var failed *channel.Error
	for _, to := range d.to {
		if slices.Contains(reached, to) {
			continue
		}
		if e := d.refuses(to); e != nil {
			failed = e
			continue
		}
		d.inbox[to] = append(d.inbox[to], a.ID)
		reached = append(reached, to)
	}
	if failed != nil {
		failed.Reached = reached
		return nil, failed
	}
	return nil, nil
}

// onceEach complains of whoever got a message twice, or not all that they should.
func (d *mailDest) onceEach(t *testing.T, want map[string]int) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for to, n := range want {
		ids := slices.Clone(d.inbox[to])
		slices.Sort(ids)
		if all := len(ids); all != n || len(slices.Compact(ids)) != n {
			t.Errorf("%s got %d messages, want %d: %q", to, all, n, d.inbox[to])
		}
	}
}

func newMailDest(refuses func(to string) *channel.Error) *mailDest {
	return &mailDest{fakeDest: fakeDest{name: "mail", pace: time.Second}, to: []string{"a", "b", "c"}, refuses: refuses, inbox: map[string][]string{}}
}

// One recipient's server wants the mail to come again. The others have it, and do
// not get it once more: not from this worker, and not from the next one.
func TestRecipientsGetAMessageOnce(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events int // one is its own message, several are one
	}{{"one event", 1}, {"a burst", 40}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				well := false
				d := newMailDest(func(to string) *channel.Error {
					if to == "b" && !well {
						return &channel.Error{Class: channel.Again, Err: errors.New("greylisted")}
					}
					return nil
				})
				b := newBench(t, d)
				for i := range tc.events {
					b.put(login(fmt.Sprintf("user%d", i), 7, 100+i))
				}
				b.run(Once)
				b.run(Once)
				d.onceEach(t, map[string]int{"a": 1, "b": 0, "c": 1})
				well = true
				time.Sleep(time.Hour)
				b.mustRun()
				d.onceEach(t, map[string]int{"a": 1, "b": 1, "c": 1})
			})
		})
	}
}

// A dead letter that is tried again goes to those who have not got it.
func TestDeadLetterGoesToWhoHasItNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := false
		d := newMailDest(func(to string) *channel.Error {
			if to == "b" && !well {
				return &channel.Error{Class: channel.Bug, Err: errors.New("no such user")}
			}
			return nil
		})
		b := newBench(t, d)
		e := login("alice", 7, 100)
		b.put(e)
		b.mustRun()
		d.onceEach(t, map[string]int{"a": 1, "b": 0, "c": 1})
		raw, err := os.ReadFile(filepath.Join(b.dir, "failed", eventFile(e.ID)))
		if err != nil {
			t.Fatal(err)
		}
		r, err := DecodeRecord(raw)
		if err != nil {
			t.Fatal(err)
		}
		if p := r.Progress(); len(p) != 1 || !strings.Contains(p[0], "mail: given up, a, c reached (no such user)") {
			t.Errorf("%q", p)
		}
		well = true
		b.carry(Request{Op: OpRetry})
		b.mustRun()
		d.onceEach(t, map[string]int{"a": 1, "b": 1, "c": 1})
	})
}

// One recipient who is out of reach for days makes no message to the others late.
func TestOneRecipientHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMailDest(func(to string) *channel.Error {
			if to == "b" {
				return &channel.Error{Class: channel.Again, Err: errors.New("no answer")}
			}
			return nil
		})
		b := newBench(t, d)
		defer start(t, b.job(Follow))()
		for i := range 30 {
			b.put(login(fmt.Sprintf("user%d", i), 7, 100+i))
			time.Sleep(time.Minute)
			d.mu.Lock()
			n := len(d.inbox["a"])
			d.mu.Unlock()
			if n != i+1 {
				t.Fatalf("%d messages a minute after %d logins", n, i+1)
			}
		}
		d.onceEach(t, map[string]int{"a": 30, "b": 0, "c": 30})
	})
}
