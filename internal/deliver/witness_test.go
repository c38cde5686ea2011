package deliver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
)

// su makes up root's session that alice opened by su, as the hook reports it.
func su(pid int) event.Event {
	e := login("root", 7, pid)
	e.Service, e.Login.By, e.Remote = "su", "alice", event.Remote{}
	return e
}

// witnessOf is what the log says of a login's session.
func witnessOf(e event.Event) event.Event {
	return event.Event{
		ID: event.NewID(), Kind: event.KindWitness, Time: e.Time.Add(20 * time.Millisecond), Host: "db1", User: e.User, Witness: event.Witness{By: e.Login.By},
		Service: e.Service, Via: event.ViaWatch, Session: event.Session{PID: e.Session.PID},
	}
}

// told sorts messages into those of logins and those of missed ones.
func (d *fakeDest) told() (logins, missed int) {
	for _, a := range d.alerts() {
		switch a.Event.Kind {
		case event.KindLogin:
			logins += a.Count
		case event.KindWitness:
			missed += a.Count
		}
	}
	return logins, missed
}

func TestWitness(t *testing.T) {
	for _, row := range []struct {
		name           string
		logins, missed int
		of             func(b *bench)
	}{
		{"the hook missed it", 0, 1, func(b *bench) { b.put(witnessOf(su(100))) }},
		{"the hook was first", 1, 0, func(b *bench) {
			e := su(100)
			b.put(e)
			time.Sleep(3 * time.Second)
			b.put(witnessOf(e))
		}},
		{"both at once", 1, 0, func(b *bench) { b.put(witnessOf(su(100)), su(100)) }},
		{"the hook took its time", 1, 0, func(b *bench) {
			e := su(100)
			b.put(witnessOf(e))
			time.Sleep(55 * time.Second)
			b.put(e)
		}},
		{"nobody noticed that the login came", 1, 0, func(b *bench) {
			time.Sleep(5 * time.Second)
			e := su(100)
			b.put(witnessOf(e))
			time.Sleep(3*watchedPollEvery - 2*time.Second) // since the last look by itself
			b.pile([]event.Event{e})
		}},
		{"the hook took too long", 1, 1, func(b *bench) {
			e := su(100)
			b.put(witnessOf(e))
			time.Sleep(2 * time.Minute)
			b.put(e)
		}},
		{"another process", 1, 1, func(b *bench) { b.put(su(100), witnessOf(su(101))) }},
		{"another service", 1, 1, func(b *bench) {
			w := witnessOf(su(100))
			w.Service = "sudo"
			b.put(su(100), w)
		}},
		{"another user", 1, 1, func(b *bench) {
			w := witnessOf(su(100))
			w.User = "bob"
			b.put(su(100), w)
		}},
		{"the process of an hour ago", 1, 1, func(b *bench) {
			b.put(su(100))
			time.Sleep(time.Hour)
			b.put(witnessOf(su(100)))
		}},
		{"a process's number that came back within the minute", 1, 1, func(b *bench) {
			e := su(100)
			b.put(e, witnessOf(e))
			time.Sleep(20 * time.Second)
			b.put(witnessOf(su(100)))
		}},
		{"its logout alone", 0, 1, func(b *bench) {
			e := su(100)
			b.put(witnessOf(e))
			time.Sleep(time.Second)
			b.put(logout(e))
		}},
		{"a shell's report", 1, 1, func(b *bench) {
			e := su(100)
			e.Via = event.ViaShell
			b.put(e, witnessOf(e))
		}},
		{"twice in the log", 0, 1, func(b *bench) {
			w := witnessOf(su(100))
			b.put(w)
			w.ID, w.Time = event.NewID(), w.Time.Add(-900*time.Millisecond)
			b.put(w)
		}},
		{"in two logs, one without the process", 0, 1, func(b *bench) {
			w := witnessOf(su(100))
			b.put(w)
			w.ID, w.Session.PID = event.NewID(), 0
			b.put(w)
		}},
		{"reported, and in two logs", 1, 0, func(b *bench) {
			e := su(100)
			w := witnessOf(e)
			b.put(e, w)
			w.ID, w.Session.PID = event.NewID(), 0
			b.put(w)
		}},
		{"three of which two were reported, in a log without processes", 2, 1, func(b *bench) {
			for i := range 3 {
				w := witnessOf(su(100 + i))
				w.Session.PID = 0
				b.put(w)
				if i != 1 {
					b.put(su(100 + i))
				}
				time.Sleep(time.Second)
			}
		}},
		{"one that the settings ignore", 0, 0, func(b *bench) {
			e := su(100)
			e.User = "backup"
			b.put(e, witnessOf(e))
		}},
		{"the watcher reads on after an hour", 1, 0, func(b *bench) {
			e := su(100)
			b.put(e)
			time.Sleep(time.Hour)
			w := witnessOf(e)
			b.put(w)
		}},
		{"the clock was set back", 0, 1, func(b *bench) {
			w := witnessOf(su(100))
			w.Time = w.Time.Add(6 * time.Hour)
			b.put(w)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.NotifyLogout, b.set.Window = "none", 0
				b.set.Policy.Rules = policy.Rules{{User: []string{"backup"}, Ignore: true}}
				stop := start(t, b.job(Follow))
				row.of(b)
				time.Sleep(3 * time.Minute)
				stop()
				if logins, missed := d.told(); logins != row.logins || missed != row.missed {
					t.Errorf("told: %d logins, %d missed ones, want %d and %d\n%s", logins, missed, row.logins, row.missed, b.log.String())
				}
				if left := b.files("cur"); len(left) > 0 {
					t.Errorf("left in the queue: %q", left)
				}
			})
		})
	}
}

func TestMissedMessage(t *testing.T) {
	for _, row := range []struct {
		service, user string
		want          event.Severity
	}{
		{"su", "root", event.High}, {"sudo", "root", event.High}, {"sshd", "alice", event.High}, {"su-l", "postgres", event.Medium},
	} {
		t.Run(row.service, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.Memory = nobodyMayAsk{t}
				w := witnessOf(su(100))
				w.Service, w.User = row.service, row.user
				began := time.Now()
				b.put(w)
				b.mustRun()
				if len(d.got) != 1 || d.got[0].Verdict.Severity != row.want || len(d.got[0].Verdict.Reasons) != 1 {
					t.Fatalf("told: %+v", d.got)
				}
				if took := d.at[0].Sub(began); took < witnessWait || took > witnessWait+5*time.Second {
					t.Errorf("told after %v", took)
				}
			})
		})
	}
}

// nobodyMayAsk is a memory that a witness must not come near.
type nobodyMayAsk struct{ t *testing.T }

func (m nobodyMayAsk) Recall(e event.Event, _ event.Facts) (event.Memory, error) {
	m.t.Errorf("the memory is asked of a %s", e.Kind)
	return event.Memory{}, nil
}

func (m nobodyMayAsk) Remember(e event.Event, _ event.Facts, _ event.Verdict, _ policy.Telling) error {
	m.t.Errorf("a %s is remembered", e.Kind)
	return nil
}

func (m nobodyMayAsk) Digest(time.Time) (Digest, error) { return Digest{}, nil }
func (m nobodyMayAsk) Digested(string) error            { return nil }

// A worker that ends, or is killed, within the minute leaves the judgement to
// the next.
func TestWitnessOutlivesTheWorker(t *testing.T) {
	for _, row := range []struct {
		name           string
		logins, missed int
		before, after  func(b *bench, e event.Event)
	}{
		{"the login was done with", 1, 0,
			func(b *bench, e event.Event) { b.put(e) },
			func(b *bench, e event.Event) { b.put(witnessOf(e)) }},
		{"the witness waited, and the login came", 1, 0,
			func(b *bench, e event.Event) { b.put(witnessOf(e)) },
			func(b *bench, e event.Event) { b.put(e) }},
		{"the witness waited, and nothing came", 0, 1,
			func(b *bench, e event.Event) { b.put(witnessOf(e)) },
			func(*bench, event.Event) {}},
		{"matched, and read from the log again", 1, 0,
			func(b *bench, e event.Event) { w := witnessOf(e); w.ID = event.LoginID(e.Session, "w"); b.put(e, w) },
			func(b *bench, e event.Event) { w := witnessOf(e); w.ID = event.LoginID(e.Session, "w"); b.put(w) }},
		{"matched, and the process's number came back", 1, 1,
			func(b *bench, e event.Event) { b.put(e, witnessOf(e)) },
			func(b *bench, e event.Event) { w := witnessOf(e); w.Time = w.Time.Add(20 * time.Second); b.put(w) }},
		{"told, and another log has it too", 0, 1,
			func(b *bench, e event.Event) { b.put(witnessOf(e)); time.Sleep(90 * time.Second) },
			func(b *bench, e event.Event) { w := witnessOf(e); w.Session.PID = 0; b.put(w) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.Window = 0
				e := su(100)
				stop := start(t, b.job(Follow))
				row.before(b, e)
				time.Sleep(10 * time.Second)
				stop()
				time.Sleep(20 * time.Second)
				row.after(b, e)
				b.mustRun()
				if logins, missed := d.told(); logins != row.logins || missed != row.missed {
					t.Errorf("told: %d logins, %d missed ones\n%s", logins, missed, b.log.String())
				}
			})
		})
	}
}

// Nobody worked for an hour: what was reported meanwhile was reported, also
// where it is in the overflow.
func TestWitnessAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.set.Window = 0
		over := filepath.Join(quickDir(t), "over")
		b.spool = spool.Open(spool.Options{Dir: b.dir, Overflow: over, UID: os.Getuid()})
		for i := range 5 {
			e := su(100 + i)
			b.put(witnessOf(e))
			if i == 3 {
				if err := spoolAt(over, e); err != nil {
					t.Fatal(err)
				}
			} else if i != 4 {
				b.put(e)
			}
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		b.mustRun()
		if logins, missed := d.told(); logins != 4 || missed != 1 {
			t.Errorf("told: %d logins, %d missed ones\n%s", logins, missed, b.log.String())
		}
	})
}

// spoolAt puts an event where the hook does when the spool is full.
func spoolAt(dir string, e event.Event) error {
	data, err := e.Encode()
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, "new"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "new", e.ID+".json"), data, 0o600)
	}
	return err
}

// While new/ holds more than fits, it may hold the login, too.
func TestWitnessWaitsForAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(int, event.Alert) error {
			if up.Load() {
				return nil
			}
			return again()
		}}
		b := newBench(t, d)
		b.set.Window = 0
		j := b.job(Follow)
		j.room = 5
		for i := range 4 {
			b.put(su(200 + i))
		}
		stop := start(t, j)
		time.Sleep(time.Second)
		e := su(100)
		b.put(witnessOf(e))
		time.Sleep(time.Second)
		b.put(e)
		time.Sleep(10 * time.Minute)
		up.Store(true)
		time.Sleep(time.Hour)
		stop()
		if logins, missed := d.told(); logins != 5 || missed != 0 {
			t.Errorf("told: %d logins, %d missed ones\n%s", logins, missed, b.log.String())
		}
	})
}

// Forged lines of a plain file make few messages, and the sessions are counted.
func TestBurstOfMissedSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- Run(ctx, b.job(Follow)) }()
		const n = 300
		for i := range n {
			w := witnessOf(su(1000 + i))
			w.User = fmt.Sprint("user", i)
			b.put(w)
		}
		time.Sleep(30 * time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, missed := d.told(); missed != n || len(d.got) > crowd+2 {
			t.Errorf("%d sessions are told in %d messages", missed, len(d.got))
		}
		last := d.got[len(d.got)-1]
		if last.Count < n/2 || !last.Event.Witness.Crowd || !strings.HasPrefix(last.Event.User, "user") {
			t.Errorf("the last: %+v", last)
		}
	})
}

// A witness goes as soon as its login is here: nothing is held up by it.
func TestWitnessGoesWithItsLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		e := su(100)
		b.put(witnessOf(e))
		stop := start(t, b.job(Follow))
		time.Sleep(time.Second)
		b.put(e)
		time.Sleep(4 * time.Second)
		if left := b.files("cur"); len(left) > 0 {
			t.Errorf("left in the queue: %q", left)
		}
		stop()
	})
}

// In a log without processes a login stands for the session that is nearest.
func TestWitnessWithoutAProcessTakesTheNearest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		b.set.Window = 0
		stop := start(t, b.job(Follow))
		first := witnessOf(su(100))
		first.Session.PID = 0
		b.put(first)
		time.Sleep(50 * time.Second)
		e := su(101)
		second := witnessOf(e)
		second.Session.PID = 0
		b.put(e)
		time.Sleep(500 * time.Millisecond)
		b.put(second)
		time.Sleep(3 * time.Minute)
		stop()
		if _, missed := d.told(); missed != 1 || d.got[1].Event.ID != first.ID {
			t.Errorf("told: %+v", d.got)
		}
	})
}

// A worker that stays does not remember for ever.
func TestWitnessesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		w, err := newWorkerOf(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			e := su(100 + i)
			b.put(e, witnessOf(e), witnessOf(su(500+i)))
			if err := w.claimAll(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute)
			w.missed(time.Now())
			for _, it := range w.items {
				it.deliveries = nil
				w.finish(it, true)
			}
		}
		s := w.witnesses
		if len(s.logins) == 0 || len(s.missing) == 0 || len(s.used) == 0 {
			t.Fatalf("nothing is remembered: %+v", s)
		}
		time.Sleep(3 * 24 * time.Hour)
		w.sweep(time.Now())
		if len(s.logins)+len(s.missing)+len(s.used) > 0 {
			t.Errorf("remembered: %d logins, %d missed ones, %d uses", len(s.logins), len(s.missing), len(s.used))
		}
	})
}

// newWorkerOf gives a worker that a test drives.
func newWorkerOf(b *bench) (*worker, error) {
	q, err := b.spool.Lock(b.t.Context(), false)
	if err != nil {
		return nil, err
	}
	b.t.Cleanup(func() { q.Unlock() })
	j := b.job(Follow)
	j.room = maxItems
	return newWorker(&j, q, b.set, retryNow{})
}
