package history

import (
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// on returns logins as they came to another host.
func on(host string, logins ...Entry) []Entry {
	for i := range logins {
		logins[i].Host = host
	}
	return logins
}

// At a hub each host may lie: what one or two have reported is usual there alone.
func TestWhatOneHostReportsIsUsualThere(t *testing.T) {
	const day = 24 * time.Hour
	alice := login(0, "alice", "203.0.113.7", 0)
	days := func(host string, first int) []Entry {
		return on(host, comes(first, alice, 8*time.Hour), comes(first+1, alice, day+8*time.Hour), comes(first+2, alice, 2*day+8*time.Hour))
	}
	late := func(host string, first int) []Entry {
		all := days(host, first)
		for i := range all {
			all[i].Late = true
		}
		return all
	}
	for _, row := range []struct {
		situation string
		logins    []Entry
		ack       bool // of the first
		asks      string
		want      event.PairState
		elsewhere bool
	}{
		{"there itself", days("web1", 1), false, "web1", event.PairUsual, false},
		{"another host", days("web1", 1), false, "web2", event.PairNew, true},
		{"there itself, with a name of two words", days("web server", 1), false, "web server", event.PairUsual, false},
		{"another host, after a second reported it once", append(days("web1", 1), on("web3", comes(9, alice, 3*day))...), false, "web2", event.PairNew, true},
		{"the second itself", append(days("web1", 1), on("web3", comes(9, alice, 3*day))...), false, "web3", event.PairUsual, false},
		{"another host, after two more reported it once", append(append(days("web1", 1), on("web3", comes(9, alice, 3*day))...), on("web4", comes(10, alice, 3*day+time.Hour))...), false, "web2", event.PairUsual, false},
		{"another host, after the second reported it again and again", append(days("web1", 1), days("web3", 10)...), false, "web2", event.PairNew, true},
		{"another host, after a second reported it late", append(days("web1", 1), late("web3", 10)...), false, "web2", event.PairNew, true},
		{"another host, acknowledged", days("web1", 1), true, "web2", event.PairAcknowledged, false},
		{"all of it late", late("web1", 1), false, "web1", event.PairNew, false},
	} {
		t.Run(row.situation, func(t *testing.T) {
			d := open(t, Options{})
			record(t, d, row.logins...)
			if row.ack {
				if changed, err := d.Acknowledge(t.Context(), Acknowledgement{Time: row.logins[0].Time, Event: row.logins[0].ID}); err != nil || !changed {
					t.Fatal(changed, err)
				}
			}
			asks := comes(99, alice, 5*day)
			asks.Host = row.asks
			p := recall(t, d, asks).Pair
			if row.want == event.PairNew && p.State == "" {
				p.State = event.PairNew // never seen, as far as it counts
			}
			if p.State != row.want || p.Elsewhere != row.elsewhere {
				t.Errorf("it is %q, elsewhere %v: %+v", p.State, p.Elsewhere, p)
			}
		})
	}
}

// A stranger is told on each host that they come to, and what was told of them on
// one warns the others in its name.
func TestWhatWasToldOnOneHost(t *testing.T) {
	thief := login(1, "erin", "198.51.100.66", 60)
	thief.Host, thief.Untaught, thief.Told, thief.Severity, thief.Reasons = "web1", true, true, event.High, []string{"new_country"}
	late := thief
	late.Untaught, late.Late = false, true
	for _, row := range []struct {
		situation  string
		told       Entry
		asks       string
		wasTold    bool
		warned     bool
		warnedHost string
	}{
		{"the same host", thief, "web1", true, true, ""},
		{"another host", thief, "web2", false, true, "web1"},
		{"the same host, late", late, "web1", true, false, ""},
		{"another host, late", late, "web2", false, false, ""},
	} {
		t.Run(row.situation, func(t *testing.T) {
			d := open(t, Options{})
			record(t, d, row.told)
			again := login(2, "erin", "198.51.100.66", 90)
			again.Host = row.asks
			m := recall(t, d, again)
			if told := !m.Pair.Told.IsZero(); told != row.wasTold {
				t.Errorf("told: %+v", m.Pair)
			}
			switch {
			case (m.Warned != nil) != row.warned:
				t.Errorf("warned: %+v", m.Warned)
			case row.warned && m.Warned.Host != row.warnedHost:
				t.Errorf("warned of %q", m.Warned.Host)
			}
		})
	}
}
