package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// A worker is started for each login here, as where a hook does it: what one
// counted the next must know.
func TestOrdinaryLoginsAreToldOneByOneWhileTheyAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		m := newFakeMemory("alice", "bob")
		b.set.Memory, b.set.Policy.Notify, b.set.OrdinaryPerDay, b.set.DigestAt = m, policy.NotifyAuto, 2, 8*time.Hour
		for i, user := range []string{"alice", "bob", "bob", "mallory"} {
			b.put(login(user, 1, 100+i))
			b.mustRun()
			time.Sleep(time.Hour)
		}
		if got, want := counted(d.alerts()), (map[string]int{"alice": 1, "bob": 1, "mallory": 1}); !cmp.Equal(got, want) {
			t.Errorf("told %v, want %v", got, want)
		}
		time.Sleep(8 * time.Hour)
		b.put(login("mallory", 1, 200))
		b.mustRun()
		all := d.alerts()
		var digests []event.Alert
		for _, a := range all {
			if a.Event.Kind == event.KindDigest {
				digests = append(digests, a)
			}
		}
		if len(digests) != 1 || len(digests[0].Rows) != 1 || digests[0].Rows[0].User != "bob" {
			t.Fatalf("digests: %+v", digests)
		}
		if got, want := digests[0].Event.Digest.Modes, []event.ModeChange{{To: event.ModeDigest, Count: 3}}; !cmp.Equal(got, want) {
			t.Errorf("the digest says %+v, want %+v", got, want)
		}
		for i := range 3 {
			time.Sleep(24 * time.Hour)
			b.put(login("alice", 1, 300+i))
			b.mustRun()
		}
		if got := counted(d.alerts())["alice"]; got < 2 {
			t.Errorf("alice is told %d times: ordinary logins are still in the digest", got)
		}
	})
}
