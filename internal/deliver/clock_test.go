package deliver

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
)

// Each bubble's clock starts anew: what the first worker wrote at the end of a
// long time lies far in the future of the second.
func TestClockSetBackFarHoldsNothing(t *testing.T) {
	dir := quickDir(t)
	bubble := func(f func(b *bench, d *fakeDest)) {
		synctest.Test(t, func(t *testing.T) {
			d := &fakeDest{name: "slack", pace: time.Second}
			b := newBench(t, d)
			b.dirs(dir)
			f(b, d)
		})
	}
	bubble(func(b *bench, d *fakeDest) {
		time.Sleep(30 * 24 * time.Hour)
		b.put(login("deploy", 7, 100))
		b.mustRun()
	})
	bubble(func(b *bench, d *fakeDest) {
		b.put(login("deploy", 7, 101))
		for range 5 { // a timer
			_ = b.run(Once)
			time.Sleep(5 * time.Minute)
		}
		if len(d.got) != 1 {
			t.Errorf("%d messages in 25 minutes", len(d.got))
		}
		b.put(login("deploy", 7, 100)) // its id is from a month ahead; it is no reason to keep it for ever
		time.Sleep(time.Minute)
	})
}

func TestClockSetBackDoesNotPutOffGivingUp(t *testing.T) {
	dir := quickDir(t)
	e := login("deploy", 7, 100)
	for _, ahead := range []time.Duration{365 * 24 * time.Hour, 0} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, &fakeDest{name: "slack", pace: time.Second, fail: func(int, event.Alert) error { return again() }})
			b.dirs(dir)
			time.Sleep(ahead)
			if ahead > 0 {
				b.put(e)
			} else {
				time.Sleep(time.Hour)
			}
			_ = b.run(Once)
			data, err := os.ReadFile(filepath.Join(b.dir, "cur", eventFile(e.ID)))
			if err != nil {
				t.Fatal(err)
			}
			r, err := DecodeRecord(data)
			if err != nil || len(r.Deliveries) != 1 {
				t.Fatal(r.Deliveries, err)
			}
			if since := r.Deliveries[0].Since; since.After(time.Now()) {
				t.Errorf("tried since %v, and it is %v", since, time.Now())
			}
		})
	}
}

// The limit that this worker itself wrote down, before the clock was set back,
// is no newer one of another's.
func TestOwnLimitIsNotTakenForAnothers(t *testing.T) {
	dir := quickDir(t)
	d := &fakeDest{name: "slack", pace: time.Second}
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	o := newDestQueue(Target{Dest: d}, openStore(t, dir), time.UTC, at)
	o.doc.Limited = state.CooldownFor(at, 30*time.Minute)
	if err := o.save(at); err != nil {
		t.Fatal(err)
	}
	// 40 minutes later by the monotonic clock: it is over. The other clock
	// says 11:40.
	o.doc.Limited = state.Cooldown{}
	back := at.Add(-20 * time.Minute)
	if err := o.save(back); err != nil {
		t.Fatal(err)
	}
	if left := o.doc.Limited.Left(back); left != 0 {
		t.Errorf("a limit that is over came back for %v", left)
	}
	// Another process's is kept.
	other := newDestQueue(Target{Dest: d}, openStore(t, dir), time.UTC, back)
	other.doc.Limited = state.CooldownFor(back, 10*time.Minute)
	if err := other.save(back); err != nil {
		t.Fatal(err)
	}
	if err := o.save(back); err != nil {
		t.Fatal(err)
	}
	if left := o.doc.Limited.Left(back); left != 10*time.Minute {
		t.Errorf("of another's limit of ten minutes %v is left", left)
	}
}
