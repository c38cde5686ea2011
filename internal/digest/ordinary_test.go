package digest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

var limits = Limits{PerDay: 10, Window: 10 * time.Minute}

// A story is who comes when, in the order of time.
type coming struct {
	user string
	at   time.Duration // since the first midnight
}

func every(user string, from, step, until time.Duration) (out []coming) {
	for at := from; at < until; at += step {
		out = append(out, coming{user, at})
	}
	return out
}

func merge(lists ...[]coming) (out []coming) {
	for len(lists) > 0 {
		first := -1
		for i, l := range lists {
			if len(l) > 0 && (first < 0 || l[0].at < lists[first][0].at) {
				first = i
			}
		}
		if first < 0 {
			return out
		}
		out = append(out, lists[first][0])
		lists[first] = lists[first][1:]
	}
	return out
}

// days is somebody's working days: at 9, 13 and 17 o'clock.
func days(user string, n int) (out []coming) {
	for d := range n {
		for _, h := range []int{9, 13, 17} {
			out = append(out, coming{user, time.Duration(24*d+h) * time.Hour})
		}
	}
	return out
}

// A host with few logins has each of them told, also beside a job that comes every ten
// minutes, which is no person's from its fourth login in an hour on.
func TestFew(t *testing.T) {
	var o Ordinary
	admin, job := Pair{User: "anna"}, Pair{User: "cron"}
	few := func(p Pair, at time.Duration) bool {
		o.Take(p, start.Add(at), false, 0, Limits{PerDay: 10})
		return o.Few(p, start.Add(at), Limits{PerDay: 10})
	}
	var told []string
	for m := 0; m < 24*60; m += 10 {
		at := time.Duration(m) * time.Minute
		if few(job, at) {
			told = append(told, fmt.Sprint("cron ", at))
		}
		if m == 8*60 || m == 13*60 || m == 20*60 {
			if few(admin, at+time.Minute) {
				told = append(told, fmt.Sprint("anna ", at))
			}
		}
	}
	if want := "[cron 0s cron 10m0s cron 20m0s anna 8h0m0s anna 13h0m0s anna 20h0m0s]"; fmt.Sprint(told) != want {
		t.Errorf("told are %v, want %v", told, want)
	}
	o = Ordinary{}
	for i := range 11 {
		if got := few(Pair{User: fmt.Sprint(i)}, time.Duration(i)*time.Hour); got != (i < 10) {
			t.Errorf("login %d of as many people: %v", i+1, got)
		}
	}
}

func TestManyNew(t *testing.T) {
	var o Ordinary
	for _, row := range []struct {
		user string
		at   time.Duration
		many bool
	}{
		{"alice", 0, false}, {"bob", time.Hour, false}, {"bob", 2 * time.Hour, false}, {"carol", 3 * time.Hour, true},
		{"alice", 4 * time.Hour, true}, {"dave", 25 * time.Hour, false}, {"erin", 50 * time.Hour, false},
	} {
		if got := o.TakeNew(Pair{User: row.user}, start.Add(row.at), Limits{PerDay: 2}); got != row.many {
			t.Errorf("%s after %v: %v", row.user, row.at, got)
		}
	}
}

// What an import brought counts for how often a pair comes.
func TestFrequentAfterAnImport(t *testing.T) {
	var o Ordinary
	if each, often := o.Take(Pair{User: "ci"}, start, true, 24, limits); each || !often {
		t.Errorf("one by one: %v, frequent: %v", each, often)
	}
}

func TestOrdinary(t *testing.T) {
	const h = time.Hour
	tests := []struct {
		name string
		come []coming
		// told says how many of a user's logins are told one by one.
		told map[string]int
		mode bool // of the host, at the end: in the digest
		says []event.ModeChange
	}{
		{"one admin with three logins a day", days("alice", 5), map[string]int{"alice": 15}, false, nil},
		{"ten logins in a day are told", every("alice", 0, h, 10*h), map[string]int{"alice": 10}, false, nil},
		{"the eleventh is not", every("alice", 0, h, 11*h), map[string]int{"alice": 10}, true, []event.ModeChange{{To: event.ModeDigest, Count: 11}}},
		{"one who comes hourly counts like others", every("alice", 0, h, 72*h), map[string]int{"alice": 10}, true, []event.ModeChange{{To: event.ModeDigest, Count: 24}}},
		{"repeats count once", every("alice", 0, time.Minute, 20*time.Minute), map[string]int{"alice": 20}, false, nil},
		{
			"a job every half hour is in the digest, and its admin is not",
			merge(every("cron", 0, h/2, 5*24*h), days("alice", 5)),
			// In its first hours nobody can tell a job from somebody busy.
			map[string]int{"cron": 10, "alice": 14}, false,
			[]event.ModeChange{{To: event.ModeDigest, User: "cron", From: "net", Count: 25}},
		},
		{
			"three days in a row below the limit",
			merge(every("alice", 0, h, 12*h), days("bob", 6)),
			map[string]int{"alice": 10, "bob": 7}, false, nil,
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			var o Ordinary
			told := map[string]int{}
			for _, c := range tc.come {
				b, err := json.Marshal(o) // between any two a worker may end
				if err != nil {
					t.Fatal(err)
				}
				o = Ordinary{}
				if err := json.Unmarshal(b, &o); err != nil {
					t.Fatal(err)
				}
				if each, _ := o.Take(Pair{User: c.user, From: "net"}, start.Add(c.at), true, 0, limits); each {
					told[c.user]++
				}
			}
			if !reflect.DeepEqual(told, tc.told) {
				t.Errorf("told one by one: %v, want %v", told, tc.told)
			}
			if o.Digest != tc.mode {
				t.Errorf("in the digest: %v", o.Digest)
			}
			if says := o.Changes(); !reflect.DeepEqual(says, tc.says) {
				t.Errorf("says %+v, want %+v", says, tc.says)
			}
			if says := o.Changes(); says != nil {
				t.Errorf("says it again: %+v", says)
			}
		})
	}
}

var start = time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC)

// What is unusual is told for itself, and makes nothing ordinary.
func TestUnusualLoginsCountForTheirPairOnly(t *testing.T) {
	var o Ordinary
	for i := range 25 {
		_, isFrequent := o.Take(Pair{User: "ci"}, start.Add(time.Duration(i)*10*time.Minute), false, 0, limits)
		if want := i == 24; isFrequent != want {
			t.Errorf("login %d: frequent is %v", i+1, isFrequent)
		}
	}
	if o.Digest || len(o.Counted) > 0 {
		t.Errorf("they count: %+v", o)
	}
	if _, isFrequent := o.Take(Pair{User: "ci"}, start.Add(8*day), true, 0, limits); isFrequent {
		t.Error("it is frequent for ever")
	}
}

func TestOrdinaryIsBounded(t *testing.T) {
	standin.Gate(t)
	var o Ordinary
	for i := range 3 * maxPairs {
		o.Take(Pair{User: fmt.Sprint("user", i)}, start.Add(time.Duration(i)*time.Second), true, 0, limits)
	}
	if len(o.Pairs) > maxPairs || len(o.Counted) > maxCounted(limits) {
		t.Errorf("%d pairs, %d counted", len(o.Pairs), len(o.Counted))
	}
}

func TestDue(t *testing.T) {
	dublin, err := time.LoadLocation("Europe/Dublin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ now, due, next string }{
		{"2026-10-05T08:00:00Z", "2026-10-05T07:00:00Z", "2026-10-06T07:00:00Z"},
		{"2026-10-05T06:59:59Z", "2026-10-04T07:00:00Z", "2026-10-05T07:00:00Z"},
		{"2026-10-25T08:00:00Z", "2026-10-25T08:00:00Z", "2026-10-26T08:00:00Z"}, // the clock was set back in the night
	} {
		now, _ := time.Parse(time.RFC3339, tc.now)
		due := Due(now, 8*time.Hour, dublin)
		next := Next(due, 8*time.Hour, dublin)
		if got := due.UTC().Format(time.RFC3339); got != tc.due {
			t.Errorf("%s: due at %s, want %s", tc.now, got, tc.due)
		}
		if got := next.UTC().Format(time.RFC3339); got != tc.next {
			t.Errorf("%s: next at %s, want %s", tc.now, got, tc.next)
		}
	}
}

// Days are those of the calendar, also where a change of the clock skips the time.
func TestWeekly(t *testing.T) {
	zone := func(name string) *time.Location {
		t.Helper()
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	mondays, all := [7]bool{1: true}, [7]bool{true, true, true, true, true, true, true}
	for _, row := range []struct {
		situation, now string
		days           [7]bool
		at             time.Duration
		zone           *time.Location
		due, next      string
	}{
		{"on a Monday before", "2026-11-30T07:59:59Z", mondays, 8 * time.Hour, time.UTC, "2026-11-23T08:00:00Z", "2026-11-30T08:00:00Z"},
		{"on a Monday at the time", "2026-11-30T08:00:00Z", mondays, 8 * time.Hour, time.UTC, "2026-11-30T08:00:00Z", "2026-12-07T08:00:00Z"},
		{"on a Sunday", "2026-12-06T23:00:00Z", mondays, 8 * time.Hour, time.UTC, "2026-11-30T08:00:00Z", "2026-12-07T08:00:00Z"},
		{"each day", "2026-12-06T07:00:00Z", all, 8 * time.Hour, time.UTC, "2026-12-05T08:00:00Z", "2026-12-06T08:00:00Z"},
		{"a Monday there, and not in UTC", "2026-11-29T23:30:00Z", mondays, 5 * time.Minute, zone("Asia/Tokyo"), "2026-11-29T15:05:00Z", "2026-12-06T15:05:00Z"},
		{"over the end of summer time", "2026-10-20T12:00:00Z", mondays, 8 * time.Hour, zone("Europe/Dublin"), "2026-10-19T07:00:00Z", "2026-10-26T08:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, row.now)
		if err != nil {
			t.Fatal(err)
		}
		due := DueWeekly(now, row.days, row.at, row.zone)
		if got := due.UTC().Format(time.RFC3339); got != row.due {
			t.Errorf("%s: due at %s, want %s", row.situation, got, row.due)
		}
		if got := NextWeekly(due, row.days, row.at, row.zone).UTC().Format(time.RFC3339); got != row.next {
			t.Errorf("%s: next at %s, want %s", row.situation, got, row.next)
		}
	}
	// In Havana midnight is skipped on a Sunday in March.
	havana, sundays := zone("America/Havana"), [7]bool{0: true}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 60 {
		next := NextWeekly(at, sundays, 15*time.Minute, havana)
		if step := next.Sub(at); step <= 0 || step > 7*24*time.Hour+2*time.Hour {
			t.Fatalf("after %v comes %v", at, next)
		}
		if due := DueWeekly(next, sundays, 15*time.Minute, havana); !due.Equal(next) {
			t.Fatalf("at %v, %v is due", next, due)
		}
		at = next
	}
}
