package deliver

import (
	"cmp"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// What a host counted in a day is remembered once, however often it says so, and for
// so long.
func TestFailuresAreRemembered(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	w := &worker{Job: &Job{Store: openStore(t, t.TempDir()), Hostname: "hub1", Log: slog.New(slog.DiscardHandler), clock: func() time.Time { return now }}}
	keep := func(from string, n int, names ...event.Count) {
		it := &item{e: event.Event{Host: cmp.Or(from, "other"), Digest: &event.Digest{Last: now.Add(-time.Hour), Failures: &event.Failures{Attempts: n, Names: event.Tally{Most: names}}}}}
		it.from = from
		w.keepFailures(it)
	}
	check := func(situation string, want ...DayFailures) {
		t.Helper()
		got, err := ReadFailures(t.Context(), w.Store)
		slices.SortFunc(got, func(a, b DayFailures) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Host, b.Host)) })
		if diff := gocmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", situation, err, diff)
		}
	}
	at := now.Add(-time.Hour)
	check("none")
	keep("", 0)
	keep("web1", -3)
	check("none were counted")
	keep("", 7, event.Count{Name: "root", N: 5})
	keep("web1", 20)
	keep("web1", 30, event.Count{Name: "a", N: -1})
	keep("web1", 10)
	keep("liar", math.MaxInt, make([]event.Count, 100)...)
	check("the most of each host", DayFailures{"hub1", at, 7, []event.Count{{Name: "root", N: 5}}}, DayFailures{"liar", at, 1_000_000_000, make([]event.Count, 8)}, DayFailures{"web1", at, 30, []event.Count{{Name: "a", N: 0}}})
	now = now.Add(failuresFor + 24*time.Hour)
	keep("web1", 1)
	check("what is old is forgotten", DayFailures{"web1", now.Add(-time.Hour), 1, nil})
}
