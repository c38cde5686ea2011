package history

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// What was acknowledged may be told as high again, after a forgotten password; then
// it waits for an answer, and can have one.
func TestAcknowledgeAgain(t *testing.T) {
	d := open(t, Options{})
	alice := login(0, "alice", "203.0.113.7", 0)
	alice.Key, alice.Method = "", "password"
	guessed := comes(2, alice, 30*time.Hour)
	guessed.Untaught, guessed.Severity, guessed.Told, guessed.Reasons = true, event.Critical, true, []string{"after_failures"}
	record(t, d, comes(1, alice, 8*time.Hour))
	for i, id := range []string{testID(1), guessed.ID} {
		if i == 1 {
			record(t, d, guessed)
		}
		if changed, err := d.Acknowledge(t.Context(), Acknowledgement{Time: guessed.Time, Event: id}); err != nil || !changed {
			t.Fatalf("time %d: %v, %v", i+1, changed, err)
		}
	}
	m := recall(t, d, comes(9, alice, 31*time.Hour))
	if m.Pair.State != event.PairAcknowledged || m.Pair.Unanswered != 0 || m.Pair.Count != 2 {
		t.Errorf("%+v", m.Pair)
	}
	if changed, err := d.Unacknowledge(t.Context(), guessed.ID, guessed.Time); err != nil || !changed {
		t.Errorf("taken back: %v, %v", changed, err)
	}
	if m := recall(t, d, comes(9, alice, 31*time.Hour)); m.Pair.State != event.PairAcknowledged || m.Pair.Count != 1 {
		t.Errorf("taken back, it is %+v", m.Pair)
	}
}

// What somebody has said is theirs is usual, and nothing else is; taken back, it
// is as if nobody had said so.
func TestAcknowledge(t *testing.T) {
	ctx := context.Background()
	d := open(t, Options{})
	burglar := login(0, "alice", "203.0.113.7", 0)
	burglar.Method, burglar.Untaught, burglar.Severity, burglar.Told = "publickey", true, event.High, true
	burglar.Reasons = []string{"new_country"}
	first, second := comes(1, burglar, 8*time.Hour), comes(2, burglar, 20*time.Hour)
	record(t, d, first, second)
	asks := comes(9, burglar, 26*time.Hour)
	asks.Untaught = false
	other := asks
	other.User, other.Key = "bob", "SHA256:bob"

	before := recall(t, d, asks)
	if before.Pair.State != event.PairNew || before.Pair.Unanswered != 2 || before.Network.Count != 0 || before.Warned == nil {
		t.Fatalf("before: %+v", before)
	}
	if m := recall(t, d, other); m.Warned == nil {
		t.Error("the next user from there is not warned of")
	}
	open, err := d.Unanswered(ctx, Filter{User: "alice"}, false, 10)
	if err != nil || len(open) != 1 || open[0].ID != second.ID {
		t.Errorf("waiting: %v, %v", open, err)
	}

	a := Acknowledgement{Time: second.Time.Add(time.Hour), Event: first.ID, By: "root", Session: "192.0.2.1", Note: "in Malta"}
	for i, want := range []bool{true, false} {
		if changed, err := d.Acknowledge(ctx, a); err != nil || changed != want {
			t.Fatalf("time %d: %v, %v", i+1, changed, err)
		}
	}
	m := recall(t, d, asks)
	if m.Pair.State != event.PairAcknowledged || m.Pair.Unanswered != 0 || m.Network.Count != 2 || m.Warned != nil {
		t.Errorf("acknowledged: %+v", m)
	}
	if got := m.Pair.Standing; len(got) != 1 || got[0] != "new_country" {
		t.Errorf("it stands with %v", got)
	}
	if m := recall(t, d, other); m.Warned != nil || m.Pair.State != "" {
		t.Errorf("somebody else: %+v", m)
	}
	if open, err := d.Unanswered(ctx, Filter{}, false, 10); err != nil || len(open) != 0 {
		t.Errorf("still waiting: %v, %v", open, err)
	}
	said, err := d.Acknowledgements(ctx, second.ID)
	if err != nil || len(said) != 1 || said[0].By != "root" || said[0].Note != "in Malta" || said[0].Session != "192.0.2.1" || !said[0].Undone.IsZero() {
		t.Errorf("it was said %+v, %v", said, err)
	}

	for i, want := range []bool{true, false} {
		if changed, err := d.Unacknowledge(ctx, second.ID, a.Time.Add(time.Hour)); err != nil || changed != want {
			t.Fatalf("back, time %d: %v, %v", i+1, changed, err)
		}
	}
	m = recall(t, d, asks)
	if m.Pair.State != event.PairNew || m.Network.Count != 0 || m.Warned == nil {
		t.Errorf("taken back: %+v", m)
	}
	if said, _ := d.Acknowledgements(ctx, first.ID); len(said) != 1 || said[0].Undone.IsZero() {
		t.Errorf("it was said %+v", said)
	}
	if _, err := d.Acknowledge(ctx, Acknowledgement{Time: a.Time, Event: "NOSUCH"}); !errors.Is(err, ErrNoLogin) {
		t.Errorf("a login that never was: %v", err)
	}
}

// One who was warned of for the address or key alone warns of nobody else, or a
// stolen key would make strangers of a whole office one after the other.
func TestAWarningIsNotHandedOn(t *testing.T) {
	d := open(t, Options{})
	stolen := login(0, "hugo", "203.0.113.7", 0)
	stolen.Untaught, stolen.Severity, stolen.Reasons = true, event.High, []string{"new_country"}
	office := login(0, "hugo", "198.51.100.9", 0)
	office.Untaught, office.Severity, office.Reasons = true, event.High, []string{"warned", "unusual_hour"}
	record(t, d, comes(1, stolen, 8*time.Hour), comes(2, office, 9*time.Hour))
	colleague := login(0, "gina", "198.51.100.9", 0)
	colleague.Key = "SHA256:gina"
	if m := recall(t, d, comes(9, colleague, 10*time.Hour)); m.Warned != nil {
		t.Errorf("a colleague is warned of: %+v", m.Warned)
	}
	if m := recall(t, d, comes(9, office, 10*time.Hour)); m.Warned == nil {
		t.Error("the stolen key is not warned of any more")
	}
}
