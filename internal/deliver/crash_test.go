package deliver

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// A worker was killed after Slack had a login's message. The next one finds so
// many others that they become a digest: the login's copy must be the same
// message, not a line of that.
func TestKilledWhileSendingOneStaysOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		e := login("alice", 7, 100)
		path := filepath.Join(b.dir, "cur", eventFile(e.ID))
		var then []byte // what a kill during the first POST leaves
		d.fail = func(n int, _ event.Alert) (err error) {
			if n == 1 {
				then, err = os.ReadFile(path)
			}
			return err
		}
		b.put(e)
		b.mustRun()
		if err := os.RemoveAll(b.state); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, then, 0o600); err != nil {
			t.Fatal(err)
		}
		for i := range byte(maxAlone + 5) {
			b.put(login("bob"+string('a'+rune(i)), 8+i, 200+int(i)))
		}
		b.mustRun()
		copies := 0
		for _, a := range d.got {
			for _, r := range a.Rows {
				if r.User == "alice" {
					t.Error("alice is in a digest")
				}
			}
			if a.ID == e.ID {
				copies++
			}
		}
		if copies != 2 {
			t.Errorf("%d messages with the login's id, want the first and its copy", copies)
		}
	})
}

// Without a worker the list of told events must still let a dead letter through.
func TestRetryWithoutAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", fail: func(n int, _ event.Alert) error {
			if n <= 2 {
				return bug()
			}
			return nil
		}}
		b := newBench(t, d)
		e := login("alice", 7, 100)
		b.put(e, login("bob", 8, 101))
		b.mustRun()
		torn := eventFile(event.NewID())
		if err := os.WriteFile(filepath.Join(b.dir, "failed", torn), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := b.spool.Lock(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := Carry(q, nil, Request{Op: OpRetry}); err != nil {
			t.Error(err)
		}
		if err := q.Unlock(); err != nil {
			t.Error(err)
		}
		b.mustRun()
		if len(d.got) != 2 {
			t.Errorf("%d of 2 dead letters arrived", len(d.got))
		}
		if left := b.files("failed"); len(left) != 1 || left[0] != torn {
			t.Errorf("in failed/: %v, want the torn one", left)
		}
	})
}

// Retry without a worker makes what waits for a back-off due.
func TestRetryEndsABackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", fail: func(n int, _ event.Alert) error {
			if n == 1 {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		b.put(login("alice", 7, 100))
		_ = b.run(Once) // something waits
		q, err := b.spool.Lock(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := Carry(q, nil, Request{Op: OpRetry}); err != nil {
			t.Error(err)
		}
		if err := q.Unlock(); err != nil {
			t.Error(err)
		}
		start := time.Now()
		b.mustRun()
		if took := time.Since(start); len(d.got) != 1 || took > 0 {
			t.Errorf("told %d after %v, want 1 at once", len(d.got), took)
		}
	})
}

func TestGreenIsForWhatIsAllSafe(t *testing.T) {
	green := event.Verdict{Knowledge: event.Known}
	grey := event.Verdict{Knowledge: event.Unknown}
	yellow := event.Verdict{Severity: event.Medium}
	at := time.Unix(1e9, 0)
	for _, row := range []struct {
		name     string
		verdicts []event.Verdict
		want     event.Verdict
	}{
		{"all are safe", []event.Verdict{green, green}, green},
		{"the last is not known", []event.Verdict{green, green, grey}, grey},
		{"the first is not known", []event.Verdict{grey, green}, grey},
		{"one is worse than not known", []event.Verdict{green, grey, yellow, green}, yellow},
	} {
		for _, isDigest := range []bool{false, true} {
			m := &message{Digest: isDigest}
			for i, v := range row.verdicts {
				e := login("alice", byte(i), 100+i)
				e.Time = at.Add(time.Duration(i) * time.Second)
				m.show(&item{e: e, verdict: v})
			}
			w := &worker{Job: &Job{}}
			if got := w.alert(m, at).Verdict; !reflect.DeepEqual(got, row.want) {
				t.Errorf("%s (digest: %v): %+v, want %+v", row.name, isDigest, got, row.want)
			}
		}
	}
}
