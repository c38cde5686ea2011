package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

// fakeHub is a hub in memory.
type fakeHub struct {
	has     map[string]map[int64]bool // by numbering
	batches [][]int64
	fail    func(Batch) error
	reject  int64
}

func (h *fakeHub) have(numbering string) (n int64) {
	for h.has[numbering][n+1] {
		n++
	}
	return n
}

func (h *fakeHub) HandOver(_ context.Context, b Batch) (a Answer, err error) {
	var numbers []int64
	for _, l := range b.Lines {
		numbers = append(numbers, l.Number)
	}
	h.batches = append(h.batches, numbers)
	if h.fail != nil {
		if err := h.fail(b); err != nil {
			return a, err
		}
	}
	if h.has == nil {
		h.has = map[string]map[int64]bool{}
	}
	if h.has[b.Numbering] == nil {
		h.has[b.Numbering] = map[int64]bool{}
	}
	for _, n := range numbers {
		h.has[b.Numbering][n] = true
		if n == h.reject {
			a.Rejected = append(a.Rejected, Rejected{Number: n, Why: "no login"})
		}
	}
	a.Have = h.have(b.Numbering)
	return a, nil
}

func (h *fakeHub) Beat(_ context.Context, b Beat) (BeatAnswer, error) {
	return BeatAnswer{Have: h.have(b.Numbering)}, nil
}

func (h *fakeHub) Close() {}

func (h *fakeHub) sent() (all []int64) { return slices.Concat(h.batches...) }

func handed(names ...string) (all []Handed) {
	for _, n := range names {
		all = append(all, Handed{n, []byte(`{"id":"` + n + `"}`)})
	}
	return all
}

func again() error { return &Error{Class: Again, Err: errors.New("the hub is away")} }

func openDB(t *testing.T) *store.DB {
	db := storetest.Open(t, t.TempDir())
	db.BePatient(30)
	return db
}

func mustHandOver(t *testing.T, o *Outbox, events []Handed) []Rejected {
	t.Helper()
	n, a, err := o.HandOver(t.Context(), events)
	if err != nil || n != len(events) {
		t.Fatalf("HandOver = %d, %v; want %d", n, err, len(events))
	}
	return a.Rejected
}

func TestNumbersHaveNoGap(t *testing.T) {
	db, h := openDB(t), &fakeHub{}
	mustHandOver(t, NewOutbox(db, h), handed("a", "b"))

	h.fail = func(Batch) error { return again() }
	o := NewOutbox(db, h) // the next worker goes on
	if _, _, err := o.HandOver(t.Context(), handed("c", "d")); err == nil {
		t.Fatal("a hub that is away took something")
	}
	if _, _, err := o.HandOver(t.Context(), handed("e", "c")); err == nil { // fresh, and before the rest
		t.Fatal("a hub that is away took something")
	}
	h.fail = nil
	o = NewOutbox(db, h) // killed before there was an answer
	mustHandOver(t, o, handed("e"))
	mustHandOver(t, o, handed("c", "d", "f"))
	want := []int64{1, 2, 3, 4, 5, 3, 5, 3, 4, 6}
	if d := cmp.Diff(want, h.sent()); d != "" {
		t.Errorf("numbers (-want +got):\n%s", d)
	}
	if n := h.have(o.run.Name); n != 6 {
		t.Errorf("the hub has all up to %d, want 6", n)
	}
}

func TestAnEventThatTheHubHasKeepsItsNumber(t *testing.T) {
	db, h := openDB(t), &fakeHub{}
	mustHandOver(t, NewOutbox(db, h), handed("a", "b"))
	mustHandOver(t, NewOutbox(db, h), handed("b")) // a kill left it in the spool
	if d := cmp.Diff([]int64{1, 2, 2}, h.sent()); d != "" {
		t.Errorf("numbers (-want +got):\n%s", d)
	}
}

func TestAHubThatLostItsDisk(t *testing.T) {
	db, h := openDB(t), &fakeHub{}
	o := NewOutbox(db, h)
	mustHandOver(t, o, handed("a", "b", "c"))
	clear(h.has[o.run.Name])
	h.has[o.run.Name][1] = true // of yesterday's copy
	h.batches = nil
	if err := o.Beat(t.Context(), Beat{}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int64{2, 3}, h.sent()); d != "" {
		t.Errorf("sent again (-want +got):\n%s", d)
	}
}

func TestWhatTheHostHasNoMoreIsNotSentForEver(t *testing.T) {
	db, h := openDB(t), &fakeHub{}
	o := NewOutbox(db, h)
	now := time.Now()
	o.now = func() time.Time { return now }
	mustHandOver(t, o, handed("a", "b"))
	now = now.Add(keepFor + time.Minute)
	mustHandOver(t, o, handed("c")) // which forgets the others
	h.has, h.batches = nil, nil
	for range 3 {
		if err := o.Beat(t.Context(), Beat{}); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]int64{3}, h.sent()); d != "" {
		t.Errorf("sent again (-want +got):\n%s", d)
	}
}

func TestWhatIsOnItsWayIsNotLost(t *testing.T) {
	db, h := openDB(t), &fakeHub{fail: func(b Batch) error {
		if b.Lines[0].Number == 1 {
			return again()
		}
		return nil
	}}
	o := NewOutbox(db, h)
	if _, _, err := o.HandOver(t.Context(), handed("a")); err == nil {
		t.Fatal("a hub that is away took something")
	}
	mustHandOver(t, o, handed("b")) // have is 0: 1 waits at the host
	if d := cmp.Diff([]int64{1, 2}, h.sent()); d != "" {
		t.Errorf("sent (-want +got):\n%s", d)
	}
	// Somebody drops it: the hub misses its number, and gets it.
	h.fail = nil
	o.Settle(t.Context(), func(string) bool { return false })
	mustHandOver(t, o, handed("c"))
	if n := h.have(o.run.Name); n != 3 {
		t.Errorf("the hub has all up to %d, want 3", n)
	}
}

func TestARejectedEvent(t *testing.T) {
	db, h := openDB(t), &fakeHub{reject: 2}
	o := NewOutbox(db, h)
	rejected := mustHandOver(t, o, handed("a", "b", "c"))
	if d := cmp.Diff([]Rejected{{2, "b", "no login"}}, rejected); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	h.has, h.batches = nil, nil
	if err := o.Beat(t.Context(), Beat{}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int64{1, 3}, h.sent()); d != "" {
		t.Errorf("sent again (-want +got):\n%s", d)
	}
}

func TestABatchThatIsTooLarge(t *testing.T) {
	db, h := openDB(t), &fakeHub{fail: func(b Batch) error {
		if len(b.Lines) > 1 || b.Lines[0].Number == 3 {
			return &Error{Class: TooLarge, Err: errors.New("HTTP 413")}
		}
		return nil
	}}
	o := NewOutbox(db, h)
	for left := handed("a", "b", "c", "d"); len(left) > 0; {
		n, a, err := o.HandOver(t.Context(), left)
		if err != nil {
			t.Fatal(err)
		}
		if left[0].ID == "c" != (len(a.Rejected) == 1) {
			t.Errorf("%s: rejected %v", left[0].ID, a.Rejected)
		}
		left = left[n:]
	}
}

func TestARequestHasAsMuchAsFits(t *testing.T) {
	var many, big []Handed
	for i := range 150 {
		many = append(many, Handed{fmt.Sprint(i), []byte("{}")})
		big = append(big, Handed{fmt.Sprint(i), []byte(strings.Repeat("x", event.MaxSize))})
	}
	if n := len(fitting(many)); n != MaxBatch {
		t.Errorf("%d small ones go with one request, want %d", n, MaxBatch)
	}
	if n := len(fitting(big)); n < 20 || n*event.MaxSize > MaxBody {
		t.Errorf("%d large ones go with one request", n)
	}
}

func TestHowMuchIsKept(t *testing.T) {
	for name, tc := range map[string]struct {
		size, rounds int
	}{
		"rows":  {2, 15},
		"bytes": {event.MaxSize - 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			db, h := openDB(t), &fakeHub{}
			o := NewOutbox(db, h)
			for round := range tc.rounds {
				var all []Handed
				for i := range MaxBatch {
					all = append(all, Handed{fmt.Sprint(round, " ", i), []byte(`"` + strings.Repeat("x", tc.size) + `"`)})
				}
				for len(all) > 0 {
					n, _, err := o.HandOver(t.Context(), all)
					if err != nil {
						t.Fatal(err)
					}
					all = all[n:]
				}
			}
			var rows, size int64
			err := db.Read(t.Context(), time.Minute, func(tx *store.Tx) error {
				_, err := tx.One([]any{&rows, &size}, `SELECT count(*), sum(length(data)) FROM fleet_sent`)
				return err
			})
			if err != nil || rows == 0 || rows > keepRows || size > keepBytes {
				t.Errorf("%d rows of %d bytes, %v", rows, size, err)
			}
		})
	}
}

func TestWithoutADatabase(t *testing.T) {
	dir := t.TempDir()
	db := storetest.Open(t, dir+"/no/\x00/folder")
	h := &fakeHub{}
	o := NewOutbox(db, h)
	var err error
	for range unreadPatience {
		_, _, err = o.HandOver(t.Context(), handed("a", "b"))
	}
	if err != nil {
		t.Fatal(err)
	}
	mustHandOver(t, o, handed("c"))
	if d := cmp.Diff([]int64{1, 2, 3}, h.sent()); d != "" {
		t.Errorf("numbers (-want +got):\n%s", d)
	}
}
