package history

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// comes returns one more login of who came before, so long after midnight of
// the first day.
func comes(n int, of Entry, after time.Duration) Entry {
	of.ID, of.Time = testID(n), day0.Truncate(24*time.Hour).Add(after)
	return of
}

func TestWhoIsUsual(t *testing.T) {
	const day = 24 * time.Hour
	alice := login(0, "alice", "203.0.113.7", 0)
	alice.Method = "publickey"
	password := alice
	password.Key, password.Method = "", "password"
	laptop := alice
	laptop.Key = "SHA256:laptop"
	elsewhere := alice
	elsewhere.IP, elsewhere.ASN, elsewhere.ASName = netip.MustParseAddr("198.51.100.9"), 64999, "ELSEWHERE"
	burglar := alice
	burglar.Untaught, burglar.Severity = true, event.High
	otherAS := alice
	otherAS.ASN, otherAS.IP = 64777, netip.MustParseAddr("2001:db8::7")
	office := func(ip string) Entry {
		e := alice
		e.IP, e.ASN, e.ASName, e.Named = netip.MustParseAddr(ip), 0, "office", "office"
		return e
	}
	cert := func(serial int) Entry {
		e := alice
		e.Key, e.CA, e.KeyID = fmt.Sprintf("SHA256:daily%d", serial), "SHA256:ca", "alice@example.com"
		return e
	}
	tests := []struct {
		name   string
		logins []Entry
		asks   Entry
		want   event.PairState
	}{
		{"never", nil, comes(9, alice, 5*day), ""},
		{"two days", []Entry{comes(1, alice, 8*time.Hour), comes(2, alice, day+8*time.Hour)}, comes(9, alice, 5*day), event.PairNew},
		{"three days", []Entry{comes(1, alice, 8*time.Hour), comes(2, alice, day+8*time.Hour), comes(3, alice, 2*day+8*time.Hour)}, comes(9, alice, 5*day), event.PairUsual},
		{"three days within 26 hours", []Entry{comes(1, alice, 23*time.Hour), comes(2, alice, day+8*time.Hour), comes(3, alice, 2*day+time.Hour)}, comes(9, alice, 5*day), event.PairNew},
		{"many times in one day", []Entry{comes(1, alice, time.Hour), comes(2, alice, 2*time.Hour), comes(3, alice, 3*time.Hour)}, comes(9, alice, 5*day), event.PairNew},
		{"a password, for ever", []Entry{comes(1, password, 0), comes(2, password, day), comes(3, password, 2*day), comes(4, password, 3*day)}, comes(9, password, 5*day), event.PairNew},
		{"a stranger who comes again and again", []Entry{comes(1, burglar, 0), comes(2, burglar, day), comes(3, burglar, 2*day), comes(4, burglar, 3*day)}, comes(9, alice, 5*day), event.PairNew},
		{"a second key while all is new", []Entry{comes(1, alice, 0), comes(2, laptop, day), comes(3, laptop, 2*day), comes(4, laptop, 3*day)}, comes(9, laptop, 5*day), event.PairUsual},
		{"a new key of somebody known", []Entry{comes(1, alice, 0), comes(2, laptop, 20*day), comes(3, laptop, 21*day), comes(4, laptop, 22*day)}, comes(9, laptop, 25*day), event.PairNew},
		{"her key from elsewhere", []Entry{comes(1, alice, 0), comes(2, alice, day), comes(3, alice, 2*day)}, comes(9, elsewhere, 5*day), ""},
		{"another number of the organisation, by IPv6", []Entry{comes(1, alice, 0), comes(2, alice, day), comes(3, alice, 2*day)}, comes(9, otherAS, 5*day), event.PairUsual},
		{"a named network with several addresses", []Entry{comes(1, office("192.0.2.7"), 0), comes(2, office("198.51.100.7"), day), comes(3, office("2001:db8:1::7"), 2*day)}, comes(9, office("192.0.2.200"), 5*day), event.PairUsual},
		{"a certificate whose key is new each day", []Entry{comes(1, cert(1), 0), comes(2, cert(2), day), comes(3, cert(3), 2*day)}, comes(9, cert(9), 5*day), event.PairUsual},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, Options{})
			record(t, d, tt.logins...)
			if m := recall(t, d, tt.asks); m.Pair.State != tt.want {
				t.Errorf("it is %q, not %q: %+v", m.Pair.State, tt.want, m.Pair)
			}
		})
	}
}

// The hook's word of a login is judged before the watcher's, that failures came
// before it.
func TestAWorseVerdictComesLater(t *testing.T) {
	const day = 24 * time.Hour
	alice := login(0, "alice", "203.0.113.7", 0)
	alice.Method = "publickey"
	for _, imported := range []bool{false, true} {
		t.Run(fmt.Sprintf("imported %v", imported), func(t *testing.T) {
			d := open(t, Options{})
			third := comes(3, alice, 2*day+8*time.Hour)
			record(t, d, comes(1, alice, 8*time.Hour), comes(2, alice, day+8*time.Hour))
			if imported {
				third.Source, third.ID = SourceAuthLog, testID(4)
			}
			record(t, d, third)
			if m := recall(t, d, comes(9, alice, 2*day+9*time.Hour)); m.Pair.State != event.PairUsual {
				t.Fatalf("%+v", m.Pair)
			}
			worse := comes(3, alice, 2*day+8*time.Hour)
			worse.Severity, worse.Untaught, worse.Told, worse.Usual, worse.Reasons = event.Critical, true, true, false, []string{"after_failures"}
			record(t, d, worse, worse)
			m := recall(t, d, comes(9, alice, 2*day+9*time.Hour))
			if m.Pair.State != event.PairNew || m.Pair.Count != 2 || m.Pair.ToldSeverity != event.Critical || m.Pair.Unanswered != 1 || m.Warned == nil {
				t.Errorf("it taught: %+v, warned %+v", m.Pair, m.Warned)
			}
		})
	}
}

// What a host learnt while it was young, and how often a pair came lately.
func TestLearned(t *testing.T) {
	const day = 24 * time.Hour
	d := open(t, Options{})
	alice, bob := login(0, "alice", "203.0.113.7", 0), login(0, "bob", "198.51.100.9", 0)
	thief := bob
	thief.User, thief.Untaught, thief.Severity = "dave", true, event.High
	midnight := day0.Truncate(day)
	record(t, d, comes(1, alice, 8*time.Hour), comes(2, alice, day+8*time.Hour), comes(3, bob, day+9*time.Hour), comes(4, thief, day+10*time.Hour))
	for i := range 30 {
		record(t, d, comes(100+i, bob, 2*day+time.Duration(i)*time.Minute))
	}
	for _, row := range []struct {
		name string
		from time.Duration
		want []string
	}{
		{"the first day", 0, []string{"alice"}},
		{"the second, but no thief", day, []string{"bob"}},
		{"the third", 2 * day, nil},
	} {
		var got []string
		pairs, more, err := d.Learned(t.Context(), midnight.Add(row.from), midnight.Add(row.from+day), 10)
		for _, p := range pairs {
			got = append(got, p.User)
			if p.Name != "EXAMPLE-NET" || p.First == "" {
				t.Errorf("%+v", p)
			}
		}
		if err != nil || more != 0 || fmt.Sprint(got) != fmt.Sprint(row.want) {
			t.Errorf("%s: %v and %d, %v, want %v", row.name, got, more, err, row.want)
		}
	}
	if n := recall(t, d, comes(9, bob, 2*day+time.Hour)).Pair.Today; n != 24 {
		t.Errorf("bob came %d times in the day before, as far as it is counted", n)
	}
	if n := recall(t, d, comes(9, bob, 3*day+time.Hour)).Pair.Today; n != 0 {
		t.Errorf("bob came %d times in the day before", n)
	}
}

// An import may bring the newest logins first.
func TestUsualSinceOfAnImportBackwards(t *testing.T) {
	const day = 24 * time.Hour
	d := open(t, Options{})
	alice := login(0, "alice", "203.0.113.7", 0)
	for i := 9; i >= 0; i-- {
		record(t, d, comes(i, alice, time.Duration(i)*day))
	}
	if m := recall(t, d, comes(99, alice, 20*day)); !m.Pair.Since.Equal(day0.Truncate(day).Add(2 * day)) {
		t.Errorf("usual since %v", m.Pair.Since)
	}
}

// One login that was told as high warns of others from its address, unless two
// people always came from there; of IPv6 an address is a /64.
func TestWarnedButNotInAnOffice(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []struct {
		name         string
		alice, bob   []string // from where they came, a day each
		thief, carol string
		want         bool
	}{
		{"nobody came from there", nil, nil, "203.0.113.7", "203.0.113.7", true},
		{"another address", nil, nil, "203.0.113.7", "203.0.113.8", false},
		{"two people's office", []string{"203.0.113.7", "203.0.113.7", "203.0.113.7"}, []string{"203.0.113.7", "203.0.113.7", "203.0.113.7"}, "203.0.113.7", "203.0.113.7", false},
		{"one person's home", []string{"203.0.113.7", "203.0.113.7", "203.0.113.7"}, nil, "203.0.113.7", "203.0.113.7", true},
		{"two people's office by IPv6, where each day has its address",
			[]string{"2001:db8:0:7::1", "2001:db8:0:7:1::", "2001:db8:0:7:0:1:1:1"}, []string{"2001:db8:0:7::9", "2001:db8:0:7:a:b:c:d", "2001:db8:0:7::8"}, "2001:db8:0:7::66", "2001:db8:0:7:5::5", false},
		{"one person's home by IPv6", []string{"2001:db8:0:7::1", "2001:db8:0:7:1::", "2001:db8:0:7:0:1:1:1"}, nil, "2001:db8:0:7::66", "2001:db8:0:7:5::5", true},
		{"the network beside it", []string{"2001:db8:0:7::1", "2001:db8:0:7:1::", "2001:db8:0:7:0:1:1:1"}, []string{"2001:db8:0:7::9", "2001:db8:0:7:a:b:c:d", "2001:db8:0:7::8"}, "2001:db8:0:8::66", "2001:db8:0:8:5::5", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := open(t, Options{})
			n := 0
			at := func(user, ip string, after time.Duration) Entry {
				n++
				return comes(n, login(0, user, ip, 0), after)
			}
			for i, ip := range row.alice {
				record(t, d, at("alice", ip, time.Duration(i)*day))
			}
			for i, ip := range row.bob {
				record(t, d, at("bob", ip, time.Duration(i)*day+time.Hour))
			}
			thief := at("dave", row.thief, 10*day)
			thief.Untaught, thief.Severity, thief.Reasons = true, event.High, []string{"new_country"}
			record(t, d, thief)
			if got := recall(t, d, at("carol", row.carol, 10*day+time.Hour)).Warned; (got != nil) != row.want {
				t.Errorf("warned: %+v", got)
			}
		})
	}
}

// What was told as high or worse leaves all new that was new about it, and warns
// of whoever comes from there within a day.
func TestAStrangerStaysAStranger(t *testing.T) {
	d := open(t, Options{})
	erin := login(1, "erin", "203.0.113.7", 0)
	thief := login(2, "erin", "198.51.100.66", 60)
	thief.Key, thief.ASN, thief.ASName, thief.Place = erin.Key, 64666, "TOR", event.Place{Country: "DE"}
	thief.Untaught, thief.Told, thief.Severity, thief.Reasons = true, true, event.High, []string{"tor", "new_country"}
	record(t, d, erin, thief)

	again := thief
	again.ID, again.Time = testID(3), thief.Time.Add(time.Hour)
	m := recall(t, d, again)
	if m.Network.Count+m.Country.Count+m.Address.Count+m.HostNetwork.Count+m.HostCountry.Count != 0 || m.User.Count != 1 {
		t.Errorf("it has taught something: %+v", m)
	}
	if p := m.Pair; p.State != event.PairNew || !p.Told.Equal(thief.Time) || p.ToldSeverity != event.High || len(p.ToldReasons) != 2 || p.Unanswered != 1 {
		t.Errorf("what was told: %+v", p)
	}
	if w := m.Warned; w == nil || w.User != "erin" || w.By != "address" || w.Ref != event.Ref(thief.ID) {
		t.Errorf("the warning: %+v", w)
	}
	if m := recall(t, d, thief); !m.Pair.Told.IsZero() || m.Warned != nil {
		t.Errorf("judged again after a kill: %+v, %+v", m.Pair, m.Warned)
	}
	waits, more, err := d.Alarms(t.Context(), 5)
	if err != nil || more != 0 || len(waits) != 1 || !waits[0].Since.Equal(thief.Time) || waits[0].Place != "DE" || len(waits[0].Reasons) != 2 {
		t.Errorf("waiting: %+v and %d, %v", waits, more, err)
	}
	byKey := login(4, "root", "192.0.2.9", 120)
	byKey.Key = erin.Key
	if w := recall(t, d, byKey).Warned; w == nil || w.By != "key" {
		t.Errorf("with the key from elsewhere: %+v", w)
	}
	late := login(5, "root", "198.51.100.66", 60+25*60)
	if w := recall(t, d, late).Warned; w != nil {
		t.Errorf("a day later: %+v", w)
	}
	if all := list(t, d, Filter{Key: erin.Key}); len(all) != 2 || all[0].Key != erin.Key || !all[0].Untaught {
		t.Errorf("it is listed as %+v", all)
	}
}
