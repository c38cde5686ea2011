package deliver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// One host that reports without end fills neither memory nor database, and makes
// nothing of others be forgotten.
func TestOneHostDoesNotFillTheDeliveredLog(t *testing.T) {
	db := openStore(t, t.TempDir())
	now := time.Now()
	l, err := openDeliveryLog(db, "spool", now, nil)
	if err != nil {
		t.Fatal(err)
	}
	of := func(from string, n int) *Delivered {
		s := event.Session{PID: n + 1, Start: 1, Boot: from}
		return &Delivered{ID: event.LoginID(s, "alice"), From: from, Kind: event.KindLogin, At: now.Add(time.Duration(n) * time.Millisecond), Session: s}
	}
	const more = 5
	quiet, own := of("quiet", 0), of("", 0)
	l.put(quiet)
	l.put(own)
	l.unsaved = append(l.unsaved, quiet, own)
	for n := range deliveredOfHost {
		d := of("liar", n)
		l.put(d)
		l.unsaved = append(l.unsaved, d)
	}
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
	for n := range more {
		if err := l.add(of("liar", deliveredOfHost+n)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := openDeliveryLog(db, "spool", now, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*deliveryLog{"in memory": l, "in the database": again} {
		if len(l.byID) != deliveredOfHost+2 || !l.has(quiet.ID) || !l.has(own.ID) {
			t.Errorf("%s: %d events", name, len(l.byID))
		}
		oldest, next := of("liar", more-1), of("liar", more)
		if l.has(oldest.ID) || l.session(oldest.Session) != nil || !l.has(next.ID) || l.session(next.Session) == nil {
			t.Errorf("%s: it is not the oldest that went", name)
		}
	}
	if err := again.prune(now.Add(2 * deliveredFor)); err != nil || len(again.byID)+len(again.byHost) != 0 {
		t.Errorf("two days later: %d of %d hosts, %v", len(again.byID), len(again.byHost), err)
	}
}

// In a log what just happened does not stand behind all that comes late.
func TestWhatIsFreshGoesFirstIntoALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "file"}
		b := newBench(t, d)
		at := func(age time.Duration) func(*event.Event) {
			return func(e *event.Event) { e.Time = time.Now().Add(-age) }
		}
		var all []Record
		for i := range 4 {
			all = append(all, onHost("web1", login(fmt.Sprintf("late%d", i), 7, 100+i), at(time.Hour-time.Duration(i)*time.Minute)))
		}
		all = append(all, onHost("web2", login("fresh0", 7, 100), at(time.Minute)), onHost("web2", login("fresh1", 7, 101), at(time.Second)))
		b.hand(all...)
		b.mustRun()
		var got []string
		for _, a := range d.alerts() {
			got = append(got, a.Event.User)
		}
		if diff := cmp.Diff([]string{"fresh0", "fresh1", "late0", "late1", "late2", "late3"}, got); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}
