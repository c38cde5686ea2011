package hub

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

func (s *served) exec(query string, args ...any) {
	s.t.Helper()
	err := s.o.DB.Write(s.t.Context(), store.BatchLimit, func(t *store.Tx) error {
		_, err := t.Exec(query, args...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// waits puts so many events of a host, of so many bytes each, before the worker.
func (s *served) waits(host string, n, bytes int, at time.Time) {
	s.t.Helper()
	s.exec(`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ?)
		INSERT INTO fleet_event(id, host, run, number, time, received, data)
		SELECT ? || '-' || i, (SELECT n FROM fleet_host WHERE name = ?), 0, i, ?, ?, zeroblob(?) FROM c`,
		n, fmt.Sprint(host, at.UnixNano()), host, at.UnixMilli(), at.UnixMilli(), bytes)
}

// A host that hands over without end while nothing can be told does not fill the hub's
// disk: it keeps what is beyond its share, and others don't notice.
func TestWhatWaitsOfAHostIsLimited(t *testing.T) {
	standin.Gate(t)
	for _, row := range []struct {
		situation string
		n, bytes  int
	}{
		{"many small ones", maxWaits - 1, 1},
		{"few large ones", 64, maxWaitsBytes/64 - 1},
	} {
		t.Run(row.situation, func(t *testing.T) {
			s := serve(t, openDB(t))
			liar, other := s.join("web1", TokenOptions{}), s.join("web2", TokenOptions{})
			s.waits("web1", row.n, row.bytes, time.Now())
			refused := func(n int64) bool {
				t.Helper()
				_, err := liar.HandOver(t.Context(), batchFrom(t, "n", n, loginOf("mallory")))
				e, _ := errors.AsType[*fleet.Error](err)
				if err != nil && (e == nil || e.Class != fleet.Again || e.RetryAfter != recountAfter) {
					t.Fatal(err)
				}
				return err != nil
			}
			if refused(1) {
				t.Fatal("it has room")
			}
			if !refused(2) {
				t.Error("it may have more wait than its share")
			}
			other.hand(batchFrom(t, "n", 1, loginOf("alice")))
			s.exec(`UPDATE fleet_event SET data = NULL`)
			s.ahead.Store(int64(recountAfter))
			if refused(2) {
				t.Error("it is refused though nothing waits")
			}
		})
	}
}

// The events of a host that hands over more than all others are no reason to leave
// theirs behind: hosts take turns, and none has more of the worker's room than its share.
func TestHostsTakeTurnsAtTheWorker(t *testing.T) {
	s := serve(t, openDB(t))
	for _, name := range []string{"flood", "web1", "web2"} {
		s.join(name, TokenOptions{})
	}
	now := time.Now()
	s.waits("flood", 100, 1, now.Add(-2*time.Minute))
	s.waits("web1", 2, 1, now.Add(-time.Minute))
	s.waits("web2", 2, 1, now)
	s.inbox.most = 20
	claim := func(limit int) (hosts map[string]int, more bool) {
		t.Helper()
		ids, more, err := s.inbox.Claim(true, limit)
		if err != nil {
			t.Fatal(err)
		}
		hosts = map[string]int{}
		for _, id := range ids {
			hosts[id[:4]]++
		}
		return hosts, more
	}
	if got, more := claim(6); got["floo"] != 2 || got["web1"] != 2 || got["web2"] != 2 || !more {
		t.Errorf("the first six: %v, more: %v", got, more)
	}
	if got, more := claim(1000); got["floo"] != 18 || len(got) != 1 || more {
		t.Errorf("up to its share: %v, more: %v", got, more)
	}
	s.waits("web1", 1, 1, now)
	if got, more := claim(1000); got["web1"] != 1 || len(got) != 1 || more {
		t.Errorf("beside a flood that has its share: %v, more: %v", got, more)
	}
	select {
	case <-s.inbox.Changed():
	default:
	}
	all, err := s.inbox.Claimed()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range all {
		if _, err := s.inbox.Remove(w.ID); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-s.inbox.Changed():
	default:
		t.Error("the worker does not hear that there is room for more of a host")
	}
	if got, _ := claim(1000); got["floo"] != 20 {
		t.Errorf("once it has room again: %v", got)
	}
}

// With fewer to have than hosts that wait, each has its turn.
func TestEveryHostHasItsTurn(t *testing.T) {
	s := serve(t, openDB(t))
	const hosts = 5
	for i := range hosts {
		name := fmt.Sprintf("web%d", i)
		s.join(name, TokenOptions{})
		s.waits(name, 3, 1, time.Now())
	}
	var got []string
	for range hosts {
		ids, more, err := s.inbox.Claim(true, 1)
		if err != nil || len(ids) != 1 || !more {
			t.Fatal(ids, more, err)
		}
		got = append(got, ids[0][:4])
	}
	slices.Sort(got)
	if want := []string{"web0", "web1", "web2", "web3", "web4"}; !slices.Equal(got, want) {
		t.Errorf("one each of %v", got)
	}
}

// Nor does it fill the disk with what is done with, whatever numbers it gives that.
func TestWhatIsDoneWithOfAHostIsLimited(t *testing.T) {
	standin.Gate(t)
	s := serve(t, openDB(t))
	s.join("web1", TokenOptions{})
	s.join("web2", TokenOptions{})
	const more = 3*pruneMost + 1
	s.waits("web1", keepOfHost+more, 1, time.Now())
	s.waits("web2", more, 1, time.Now())
	s.exec(`UPDATE fleet_event SET data = NULL WHERE number <> 7`)
	s.exec(`UPDATE fleet_event SET run = number % 7`)
	s.pruneHosts(t.Context())
	for host, want := range map[string]int{"web1": keepOfHost + 1, "web2": more} { // and the one that waits
		var n int
		err := s.o.DB.Read(t.Context(), store.BatchLimit, func(t *store.Tx) error {
			_, err := t.One([]any{&n}, `SELECT count(*) FROM fleet_event WHERE host = (SELECT n FROM fleet_host WHERE name = ?)`, host)
			return err
		})
		if err != nil || n != want {
			t.Errorf("%s: %d are kept, want %d, %v", host, n, want, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.byName["web1"]; !m.counted || m.rows != 0 {
		t.Errorf("it is looked at again and again: %+v", m.rows)
	}
}
