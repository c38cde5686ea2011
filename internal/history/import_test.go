package history

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// from is a login of alice as a source tells it, some milliseconds after day0.
func from(s Source, ms int, change func(*Entry)) Entry {
	e := Entry{Time: day0.Add(time.Duration(ms) * time.Millisecond), Host: "db1", User: "alice", Service: "sshd", IP: netip.MustParseAddr("203.0.113.7"), Source: s}
	if s != SourceWtmp {
		e.Port, e.Method, e.Key = 51234, "publickey", "SHA256:one"
	}
	if change != nil {
		change(&e)
	}
	return e
}

func TestOneLoginOfManySources(t *testing.T) {
	standin.Gate(t)
	port := func(p uint16) func(*Entry) { return func(e *Entry) { e.Port = p } }
	for _, row := range []struct {
		name    string
		entries []Entry
		want    int
	}{
		{"the journal, auth.log and wtmp", []Entry{from(SourceJournal, 0, nil), from(SourceAuthLog, 0, nil), from(SourceWtmp, 700, nil)}, 1},
		{"wtmp first", []Entry{from(SourceWtmp, 700, nil), from(SourceAuthLog, -300, nil), from(SourceJournal, 0, nil)}, 1},
		{"two seconds apart", []Entry{from(SourceJournal, 0, nil), from(SourceWtmp, 2000, nil)}, 1},
		{"more than that", []Entry{from(SourceJournal, 0, nil), from(SourceWtmp, 2001, nil)}, 2},
		{"two connections at the same time", []Entry{from(SourceJournal, 0, nil), from(SourceJournal, 100, port(4000))}, 2},
		{"two of them in both logs", []Entry{from(SourceJournal, 0, nil), from(SourceJournal, 100, port(4000)), from(SourceAuthLog, 0, nil), from(SourceAuthLog, 0, port(4000))}, 2},
		{"two terminals in wtmp", []Entry{from(SourceWtmp, 0, nil), from(SourceWtmp, 300, nil)}, 2},
		{"two terminals and two lines", []Entry{from(SourceJournal, 0, nil), from(SourceJournal, 250, port(4000)), from(SourceWtmp, 50, nil), from(SourceWtmp, 300, nil)}, 2},
		{"another user", []Entry{from(SourceJournal, 0, nil), from(SourceWtmp, 0, func(e *Entry) { e.User = "bob" })}, 2},
		{"another address", []Entry{from(SourceJournal, 0, nil), from(SourceWtmp, 0, func(e *Entry) { e.IP = netip.MustParseAddr("203.0.113.8") })}, 2},
		{"another host", []Entry{from(SourceJournal, 0, nil), from(SourceWtmp, 0, func(e *Entry) { e.Host = "web1" })}, 2},
		{"the host's full name", []Entry{from(SourceJournal, 0, nil), from(SourceWtmp, 0, func(e *Entry) { e.Host = "DB1.example.com" })}, 1},
		{"another key", []Entry{from(SourceJournal, 0, nil), from(SourceAuthLog, 0, func(e *Entry) { e.Key, e.Port = "SHA256:two", 0 })}, 2},
		{"the hook saw it", []Entry{from(SourceSeen, 0, func(e *Entry) { e.ID = testID(1) }), from(SourceJournal, -20, nil), from(SourceWtmp, 300, nil)}, 1},
		{"the hook's event comes late", []Entry{from(SourceJournal, -20, nil), from(SourceWtmp, 300, nil), from(SourceSeen, 0, func(e *Entry) { e.ID = testID(1) })}, 1},
		{"the hook saw two", []Entry{from(SourceSeen, 0, func(e *Entry) { e.ID = testID(1) }), from(SourceSeen, 0, func(e *Entry) { e.ID = testID(2) })}, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := open(t, Options{})
			run := func(entries []Entry) {
				for _, e := range entries {
					if e.Source == SourceSeen {
						record(t, d, e)
					} else if _, _, err := d.Import(t.Context(), each(e)); err != nil {
						t.Fatal(err)
					}
				}
			}
			run(row.entries)
			got := list(t, d, Filter{})
			if len(got) != row.want {
				t.Fatalf("%d logins, want %d: %+v", len(got), row.want, got)
			}
			// Whatever of it is read once more, and in whatever order.
			back := slices.Clone(row.entries)
			slices.Reverse(back)
			run(back)
			again := list(t, d, Filter{})
			if diff := gocmp.Diff(got, again, sameAddr); diff != "" {
				t.Errorf("the second time: %s", diff)
			}
			if row.want == 1 && (got[0].Key != "SHA256:one" || got[0].Port != 51234 || got[0].Method != "publickey") {
				t.Errorf("something was lost: %+v", got[0])
			}
			checkCounters(t, d)
		})
	}
}

func TestSeenTakesThePlaceOfAnImport(t *testing.T) {
	d := open(t, Options{})
	if _, _, err := d.Import(t.Context(), each(from(SourceJournal, 0, nil))); err != nil {
		t.Fatal(err)
	}
	e := from(SourceSeen, 10, func(e *Entry) { e.ID, e.Usual, e.Host = testID(1), true, "db1.example.com" })
	record(t, d, e)
	if got := list(t, d, Filter{}); len(got) != 1 || got[0].ID != e.ID || got[0].Source != SourceSeen || got[0].Host != e.Host {
		t.Errorf("%+v", got)
	}
	rows, err := d.Undigested(t.Context(), day0.Add(time.Hour))
	if len(rows) != 1 || err != nil {
		t.Errorf("%+v, %v", rows, err)
	}
	if m := recall(t, d, e); m.User.Count != 0 {
		t.Errorf("it remembers itself: %+v", m)
	}
}

func TestImportThatBreaksOff(t *testing.T) {
	d := open(t, Options{})
	broken := errors.New("read error")
	added, known, err := d.Import(t.Context(), func(yield func(Entry, error) bool) {
		one, again := from(SourceWtmp, 0, nil), from(SourceWtmp, 0, nil)
		_ = yield(one, nil) && yield(again, nil) && yield(Entry{}, broken)
	})
	if added != 1 || known != 1 || !errors.Is(err, broken) {
		t.Error(added, known, err)
	}
}

// Two import at the same time, as two processes would: nobody starves.
func TestTwoImportAtOnce(t *testing.T) {
	d := open(t, Options{})
	other := openAt(t, d.store.Path(), Options{})
	var wg sync.WaitGroup
	for i, d := range []*DB{d, other} {
		wg.Go(func() {
			var all []Entry
			for n := range 3 * batch {
				all = append(all, login(i*10_000+n, fmt.Sprint("user", i), "203.0.113.7", n))
			}
			if added, known, err := d.Import(t.Context(), each(all...)); added != len(all) || known != 0 || err != nil {
				t.Error(added, known, err)
			}
		})
	}
	wg.Wait()
	checkCounters(t, d)
}
