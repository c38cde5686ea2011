package history

import (
	"errors"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// What was not theirs is new, whatever it was told as and whoever has acknowledged
// it, and waits for an answer.
func TestDeny(t *testing.T) {
	for _, tc := range []struct {
		name string
		told event.Severity
		acks int
	}{
		{"a medium one, which taught", event.Medium, 0},
		{"a high one", event.High, 0},
		{"a critical one", event.Critical, 0},
		{"a medium one that was acknowledged", event.Medium, 1},
		{"a high one that was acknowledged twice", event.High, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := open(t, Options{})
			e := comes(1, login(0, "alice", "203.0.113.7", 0), 8*time.Hour)
			e.Severity, e.Told, e.Untaught, e.Reasons = tc.told, true, tc.told >= event.High, []string{"new_country"}
			record(t, d, e)
			for i := range tc.acks {
				again := comes(2+i, e, time.Duration(9+i)*time.Hour)
				again.Severity, again.Told, again.Untaught = event.High, true, true
				record(t, d, again)
				if changed, err := d.Acknowledge(t.Context(), Acknowledgement{Time: again.Time, Event: again.ID, By: "root"}); err != nil || !changed {
					t.Fatal(changed, err)
				}
			}
			for range 2 {
				if err := d.Deny(t.Context(), e.ID, e.Time.Add(24*time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			m := recall(t, d, comes(9, login(0, "alice", "203.0.113.7", 0), 34*time.Hour))
			if m.Pair.State != event.PairNew || m.Network.Count != 0 || m.Address.Count != 0 || m.Pair.Unanswered == 0 {
				t.Errorf("%+v", m)
			}
			waits, err := d.Unanswered(t.Context(), Filter{}, false, 9)
			if err != nil || len(waits) != 1 {
				t.Errorf("waits: %+v, %v", waits, err)
			}
			found, err := d.Find(t.Context(), e.ID, 2)
			if err != nil || len(found) != 1 || found[0].Severity != event.Critical || !found[0].Untaught {
				t.Errorf("%+v, %v", found, err)
			}
			// Who finds that it was theirs after all says so.
			if changed, err := d.Acknowledge(t.Context(), Acknowledgement{Time: e.Time, Event: e.ID, By: "root"}); err != nil || !changed {
				t.Error(changed, err)
			}
		})
	}
	if err := open(t, Options{}).Deny(t.Context(), "NOSUCH", time.Now()); !errors.Is(err, ErrNoLogin) {
		t.Errorf("a login that never was: %v", err)
	}
}
