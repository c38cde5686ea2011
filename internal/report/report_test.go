package report

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
)

func TestUnusual(t *testing.T) {
	for _, row := range []struct {
		situation string
		e         history.Entry
		want      bool
	}{
		{"usual", history.Entry{Source: history.SourceSeen}, false},
		{"medium", history.Entry{Source: history.SourceSeen, Severity: event.Medium}, true},
		{"a new country, made low by the settings", history.Entry{Source: history.SourceSeen, Reasons: []string{"new_country"}}, true},
		{"all is new on a young host", history.Entry{Source: history.SourceSeen, Reasons: []string{"young", "new_country"}}, false},
		{"not usual yet", history.Entry{Source: history.SourceSeen, Reasons: []string{"new_pair", "hosting"}}, false},
		{"a score that did not come", history.Entry{Source: history.SourceSeen, Reasons: []string{"risk_unknown", "rule:ci"}}, false},
		{"imported, and never judged", history.Entry{Source: history.SourceWtmp, Severity: event.Medium}, false},
	} {
		if got := Unusual(row.e); got != row.want {
			t.Errorf("%s: %v", row.situation, got)
		}
	}
}

// What is not known is never shown as if all were well.
func TestSentence(t *testing.T) {
	at := sampleNow.Add(-time.Hour)
	usual := history.Entry{ID: "A0000000000000000000000000", Time: at, User: "alice", Host: "db1", Source: history.SourceSeen}
	odd := usual
	odd.Severity, odd.User, odd.Place.Country = event.High, "root", "BG"
	worse := odd
	worse.Severity, worse.Place.Country, worse.IP = event.Critical, "", netip.MustParseAddr("203.0.113.7")
	imported := usual
	imported.Source = history.SourceJournal
	for _, row := range []struct {
		situation string
		logins    []history.Entry
		alarms    int
		want      string
	}{
		{"nobody came", nil, 0, "No login is remembered of this time."},
		{"nobody came, and an old alert waits", nil, 1, "No login is remembered of this time; 1 alert needs an answer."},
		{"usual ones", []history.Entry{usual, usual}, 0, "Nothing was unusual: 2 logins of 1 person."},
		{"one that was unusual", []history.Entry{usual, odd}, 1, "1 of 2 logins was unusual, the worst high: root to db1 from Bulgaria, 30 Nov 2026, 07:00; 1 alert needs an answer."},
		{"two, of which one is worse", []history.Entry{worse, odd}, 2, "2 of 2 logins were unusual, the worst critical: root to db1 from 203.0.113.7, 30 Nov 2026, 07:00; 2 alerts need an answer."},
		{"only earlier records", []history.Entry{imported}, 0, "What was unusual is not known: 1 login of 1 person, all from earlier records."},
		{"some earlier records", []history.Entry{imported, usual}, 0, "Nothing unusual was seen: 2 logins of 1 person, of which 1 are from earlier records and were never judged."},
	} {
		b := NewBuilder(Options{Since: sampleNow.AddDate(0, 0, -30), Now: sampleNow})
		for _, e := range row.logins {
			b.Add(e)
		}
		if got := b.Page(Rest{Alarms: make([]history.Alarm, row.alarms)}).Sentence; got != row.want {
			t.Errorf("%s: %q", row.situation, got)
		}
	}
}

// A login is the person's whose key it was made with; else its account's, if that is
// one person's.
func TestWhoseLoginsAre(t *testing.T) {
	people := map[string]Person{"Alice": {Keys: []string{key(1)}}, "Bob": {Keys: []string{key(2)}, Accounts: []string{"shared", "bob"}}, "Carol": {Accounts: []string{"shared", "carol"}}}
	for _, row := range []struct {
		situation, user, key, want string
		unowned                    bool
	}{
		{"her key, her account", "alice", key(1), "Alice", false},
		{"her key, another's account", "bob", key(1), "Alice", false},
		{"no key, an account of one", "CAROL", "", "Carol", false},
		{"no key, an account of two", "shared", "", "shared", false},
		{"a stranger's key, an account of one", "carol", key(7), "Carol", true},
		{"a stranger", "eve", key(7), "eve", true},
	} {
		b := NewBuilder(Options{Since: sampleNow.AddDate(0, 0, -1), Now: sampleNow, People: people})
		b.Add(history.Entry{ID: "A", Time: sampleNow, User: row.user, Host: "db1", Key: row.key})
		p := b.Page(Rest{})
		if p.People[0].Name != row.want || len(p.Keys) == 1 != row.unowned || len(p.People) < 3 {
			t.Errorf("%s: %+v, %+v", row.situation, p.People, p.Keys)
		}
	}
}

func TestDaysAndWeeks(t *testing.T) {
	zone := time.FixedZone("", -5*60*60)
	now := time.Date(2026, 3, 10, 3, 0, 0, 0, time.UTC) // still the 9th there
	b := NewBuilder(Options{Since: now.AddDate(0, 0, -2), Now: now, Zone: zone})
	for _, at := range []time.Time{now.AddDate(0, 0, -3), now.AddDate(0, 0, -2), now.Add(-time.Hour), now, now.Add(time.Second)} {
		b.Add(history.Entry{Time: at, User: "alice", Host: "db1"})
	}
	want := []Day{{"2026-03-07", 1, 0}, {"2026-03-08", 0, 0}, {"2026-03-09", 2, 0}}
	if diff := gocmp.Diff(want, b.Page(Rest{}).Days); diff != "" {
		t.Error(diff)
	}
	for _, days := range []int{maxBars, maxBars + 1, 365} {
		b := NewBuilder(Options{Since: now.AddDate(0, 0, 1-days), Now: now})
		for d := range days {
			b.Add(history.Entry{Time: now.AddDate(0, 0, 1-days+d), User: "alice", Host: "db1"})
		}
		p, n := b.Page(Rest{}), 0
		for _, d := range p.Days {
			n += d.Logins
		}
		if n != days || p.Weeks != (days > maxBars) || len(p.Days) > maxBars {
			t.Errorf("%d days: %d bars with %d logins", days, len(p.Days), n)
		}
	}
}

// year adds a year of a hundred hosts, whose names are as long as people make them.
func year(add func(history.Entry), perDay int) {
	rnd := rand.New(rand.NewPCG(3, 4))
	codes := []string{"IE", "GB", "DE", "FR", "US", "IN", "NG", "BR", "JP", "AU"}
	n := 0
	for d := range 365 {
		for i := range 100 * perDay {
			at := sampleNow.AddDate(0, 0, d-365).Add(time.Duration(i) * 24 * time.Hour / time.Duration(100*perDay))
			u := rnd.IntN(400)
			n++
			e := history.Entry{ID: fmt.Sprintf("%026X", n), Time: at, Host: fmt.Sprintf("web-%d.%s.example.com", rnd.IntN(100), strings.Repeat("rack", 3)), User: fmt.Sprintf("firstname.lastname%d", u),
				Service: "sshd", Method: "publickey", Key: key(u), IP: netip.AddrFrom4([4]byte{203, 0, byte(u), byte(rnd.IntN(4))}), ASN: uint32(64496 + u%200), ASName: fmt.Sprintf("EXAMPLE-NETWORK-%d", u%200), Source: history.SourceSeen,
				Place: event.Place{City: fmt.Sprintf("City %d", u%90), Country: codes[u%10], Point: &event.Point{Lat: float64(u%120 - 50), Lon: float64(u%300 - 140)}}, Usual: true}
			if rnd.IntN(200) == 0 {
				e.Severity, e.Reasons = event.High, []string{"new_country", "unknown_key", "unusual_hour"}
			}
			add(e)
		}
	}
}

func TestYearOfAHundredHostsIsSmall(t *testing.T) {
	b := NewBuilder(Options{Since: sampleNow.AddDate(0, 0, -365), Now: sampleNow})
	year(b.Add, 2)
	_, r := sample(false)
	p := b.Page(r)
	if n := len(draw(t, p)); n > 500<<10 || p.Logins != 365*200 || len(p.People) != maxPeople || p.MorePeople != 200 || len(p.UnusualLogins) != maxUnusual || len(p.Hosts) < 100 {
		t.Errorf("%d bytes, %d logins, %d people and %d, %d unusual ones, %d hosts", n, p.Logins, len(p.People), p.MorePeople, len(p.UnusualLogins), len(p.Hosts))
	}
}
