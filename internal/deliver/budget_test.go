package deliver

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// A budget keeps a fifth for what is critical; what is over it is told the next day
// in one message, and said once. Workers that come and go keep count.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, log := &fakeDest{name: "phone", pace: time.Second, perDay: 5}, &fakeDest{name: "log"}
		b := newBench(t, d, log)
		b.set.Zone = time.UTC
		b.score = map[netip.Addr]int{}
		put := func(n, score int) {
			e := login(fmt.Sprintf("user%d", n), byte(n), 100+n)
			b.score[e.Remote.IP] = score
			b.put(e)
			b.run(Once)
			time.Sleep(time.Minute)
		}
		for n := range 8 {
			put(n, 1)
		}
		if n := len(d.alerts()); n != 4 {
			t.Fatalf("%d of 8 told", n)
		}
		put(8, 100)
		first := len(d.alerts())
		b.mustRun()
		told := map[string]bool{}
		for i, a := range d.alerts() {
			if i >= first && d.at[i].UTC().Day() == d.at[0].UTC().Day() {
				t.Errorf("message %d is over the budget: %v", i, d.at[i])
			}
			told[a.ID] = true
			for _, id := range a.Refs {
				told[id] = true
			}
		}
		logins, notes := 0, 0
		for _, a := range log.alerts() {
			if a.Event.Kind == event.KindAlert {
				notes++
			} else if logins++; !told[a.ID] {
				t.Errorf("%s was lost", a.Event.User)
			}
		}
		if logins != 9 || notes != 1 || len(d.alerts()) > first+1 {
			t.Errorf("%d logins, %d notes, %d messages after the day's %d", logins, notes, len(d.alerts())-first, first)
		}
	})
}

// What is high or critical and has no room in the day's budget is told by the fallback.
func TestBudgetFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		phone, other := &fakeDest{name: "phone", pace: time.Second, perDay: 5}, &fakeDest{name: "other", pace: time.Second}
		b := newBench(t, phone, other)
		b.set.Zone = time.UTC
		b.set.Targets[0].Fallback = "other"
		b.set.Targets[1].Users = []string{"nobody"}
		b.score = map[netip.Addr]int{}
		put := func(user string, n, score int) {
			e := login(user, byte(n), 100+n)
			b.score[e.Remote.IP] = score
			b.put(e)
			b.run(Once)
			time.Sleep(time.Minute)
		}
		for n := range 4 {
			put(fmt.Sprintf("user%d", n), n, 1)
		}
		put("low", 4, 1)
		put("high", 5, 99)
		var got []string
		for _, a := range other.alerts() {
			if a.Event.Kind == event.KindLogin {
				got = append(got, a.Event.User)
			}
		}
		if len(phone.alerts()) != 4 || len(got) != 1 || got[0] != "high" {
			t.Errorf("%d told by phone, the fallback got %v", len(phone.alerts()), got)
		}
		db := openStore(t, b.state)
		defer db.Close()
		day := ReadBudgets(db, map[string]int{"phone": 5}, time.UTC)
		if said := day.Say("phone", time.Now()); said != "4 of today's 5 messages sent, 1 kept for critical ones" || !day.Full("phone", time.Now()) {
			t.Error(said)
		}
	})
}
