package history

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/store"
)

var sameAddr = gocmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// model is the memory as it would be without a thought for speed: a list.
type model struct {
	o   Options
	all []Entry
}

func (m *model) record(e Entry) {
	e = e.normal()
	i := slices.IndexFunc(m.all, func(o Entry) bool { return o.ID == e.ID })
	if i < 0 {
		m.all = append(m.all, e)
	} else if old := &m.all[i]; e.Severity > old.Severity {
		old.Severity, old.Reasons, old.Told, old.Untaught, old.Usual = e.Severity, e.Reasons, e.Told, old.Untaught || e.Untaught, old.Usual && e.Usual
	}
}

func (m *model) forget(f Filter) int {
	n := len(m.all)
	m.all = slices.DeleteFunc(m.all, func(e Entry) bool { return f.picks(e) })
	return n - len(m.all)
}

func (f Filter) picks(e Entry) bool {
	return (f.User == "" || f.User == e.User) && (f.Host == "" || f.Host == e.Host) && (f.Key == "" || f.Key == e.Key) &&
		(!f.IP.IsValid() || f.IP.Contains(e.IP)) && (f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until))
}

func (m *model) list(f Filter) []Entry {
	var out []Entry
	for _, e := range slices.Backward(m.all) { // the later recorded first, where times agree
		if f.picks(e) {
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return b.Time.Compare(a.Time) })
	if f.Limit > 0 && len(out) > f.Limit {
		out = out[:f.Limit]
	}
	return out
}

func (m *model) recall(e Entry) event.Memory {
	e = e.normal()
	var before []Entry // the oldest first
	for _, o := range slices.Backward(m.list(Filter{Until: e.Time})) {
		if o.ID != e.ID {
			before = append(before, o)
		}
	}
	mem := event.Memory{Known: true}
	if len(before) > 0 {
		mem.Since = before[0].Time
	}
	networks := map[string]bool{}
	var user []Entry
	keyUsers := map[string]time.Time{}
	for _, o := range before {
		u := o.User == e.User
		count(&mem.Host, o, o.Host == e.Host)
		count(&mem.User, o, u)
		count(&mem.UserHost, o, u && o.Host == e.Host)
		count(&mem.Address, o, u && o.IP == e.IP && e.IP.IsValid())
		count(&mem.Network, o, u && networkIn(o) == networkIn(e) && networkIn(e) != "")
		count(&mem.Country, o, u && o.Place.Country == e.Place.Country && e.Place.Country != "")
		count(&mem.HostNetwork, o, networkIn(o) == networkIn(e) && networkIn(e) != "")
		count(&mem.HostCountry, o, o.Place.Country == e.Place.Country && e.Place.Country != "")
		count(&mem.Key, o, u && o.Key == e.Key && e.Key != "")
		if u {
			user = append(user, o)
			if networkIn(o) != "" && networkIn(o) != networkIn(e) {
				networks[networkIn(o)] = true
			}
		} else if o.Key == e.Key && e.Key != "" {
			keyUsers[o.User] = o.Time
		}
	}
	mem.Networks = len(networks)
	for name := range keyUsers {
		mem.KeyUsers = append(mem.KeyUsers, name)
	}
	slices.SortFunc(mem.KeyUsers, func(a, b string) int {
		return cmp.Or(keyUsers[b].Compare(keyUsers[a]), cmp.Compare(a, b))
	})
	mem.KeyUsers = mem.KeyUsers[:min(len(mem.KeyUsers), 5)]
	if len(user) == 0 {
		return mem
	}
	last := user[len(user)-1]
	mem.Last = &event.Past{Time: last.Time, IP: last.IP, ASN: last.ASN, Place: last.Place, Traits: last.Traits}
	near := 0
	user = user[max(0, len(user)-habit):]
	for _, o := range user {
		if within(o.Time, e.Time, m.o.Zone) {
			near++
		}
	}
	mem.HourShare = float64(near) / float64(len(user))
	return mem
}

func networkIn(e Entry) string {
	_, n := e.networkNames()
	return n
}

func count(s *event.Seen, o Entry, yes bool) {
	if !yes {
		return
	}
	if s.Count++; s.Count == 1 {
		s.First = o.Time
	}
	s.Last = o.Time
}

// within reports whether the clocks on the wall are at most an hour apart.
func within(a, b time.Time, zone *time.Location) bool {
	seconds := func(t time.Time) int { t = t.In(zone); return t.Hour()*3600 + t.Minute()*60 + t.Second() }
	d := (seconds(a) - seconds(b) + 86400) % 86400
	return d <= 3600 || d >= 86400-3600
}

func open(tb testing.TB, o Options) *DB {
	tb.Helper()
	return openAt(tb, filepath.Join(tb.TempDir(), "history.db"), o)
}

// openAt opens a history that has time, whatever else the machine does.
func openAt(tb testing.TB, path string, o Options) *DB {
	tb.Helper()
	d, err := Open(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	d.store.BePatient(60)
	tb.Cleanup(func() { d.Close() })
	return d
}

func testID(n int) string { return fmt.Sprintf("%026d", n) }

// checkCounters holds every counter in the file against the logins in it.
func checkCounters(t *testing.T, d *DB) {
	t.Helper()
	err := d.store.Read(t.Context(), time.Minute, func(tx *store.Tx) error {
		for k := range kinds {
			var bad int
			if _, err := tx.One([]any{&bad}, `SELECT count(*) FROM grp g WHERE kind = ? AND (n <= 0 OR n <> (SELECT count(*) FROM login WHERE `+k.column()+` = g.id))`, k); err != nil {
				return err
			}
			if bad > 0 {
				t.Errorf("%d counters of %s are wrong", bad, k.column())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever is recorded, forgotten and pruned, in whatever order: the memory
// answers as a list of all logins would.
func TestMemoryAgreesWithAList(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin") // has a summer time
	if err != nil {
		t.Skip(err)
	}
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 4))
			start := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC)
			now := start.AddDate(0, 0, 12)
			o := Options{Keep: 10 * 24 * time.Hour, Learning: 24 * time.Hour, Zone: zone, Now: func() time.Time { return now }}
			d := open(t, o)
			m := model{o: o}
			next := 0
			random := func() Entry {
				e := Entry{
					ID: testID(next), Host: pick(rnd, "db1.example.com", "web1.example.com"), User: pick(rnd, "alice", "bob", "root", ""), Service: "sshd",
					// Few different times, so that some agree.
					Time: start.Add(time.Duration(rnd.IntN(12*24*20)) * 3 * time.Minute), Method: pick(rnd, "publickey", "password"),
					Key: pick(rnd, "", "SHA256:one", "SHA256:two"), Usual: rnd.IntN(2) == 0, Severity: event.Severity(rnd.IntN(4)), Source: SourceSeen,
				}
				switch rnd.IntN(5) {
				case 0: // no address
				case 1:
					e.IP = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, byte(rnd.IntN(3)), 15: byte(rnd.IntN(3))})
				default:
					e.IP = netip.AddrFrom4([4]byte{203, 0, 113, byte(rnd.IntN(4))})
					e.ASN = uint32(pick(rnd, 0, 64500, 64501))
				}
				e.Place.Country = pick(rnd, "", "IE", "BG")
				if e.Place.Country == "IE" {
					e.Place.City, e.Place.Point = "Dublin", &event.Point{Lat: 53.3, Lon: -6.2, Accuracy: 20}
				}
				e.Traits.Tor = pick(rnd, "", "", "list")
				next++
				return e
			}
			for step := range 160 {
				switch rnd.IntN(40) {
				case 0:
					f := pick(rnd, Filter{User: "alice"}, Filter{IP: netip.MustParsePrefix("203.0.113.2/31")}, Filter{Host: "web1.example.com", User: "bob"},
						Filter{Key: "SHA256:two"}, Filter{User: "root", Key: "SHA256:one"}, Filter{IP: netip.MustParsePrefix("2001:db8:100::/40")},
						Filter{Since: start.AddDate(0, 0, 11)}, Filter{Until: start.AddDate(0, 0, 1), Host: "db1.example.com"})
					got, err := d.Forget(t.Context(), f)
					if want := m.forget(f); err != nil || got != want {
						t.Fatalf("step %d: forgot %d, want %d; %v", step, got, want, err)
					}
				case 1:
					got, err := d.Prune(t.Context())
					if want := m.forget(Filter{Until: now.Add(-o.Keep)}); err != nil || got != want {
						t.Fatalf("step %d: pruned %d, want %d; %v", step, got, want, err)
					}
				default:
					e := random()
					if len(m.all) > 0 && rnd.IntN(10) == 0 {
						e.ID = m.all[rnd.IntN(len(m.all))].ID // again, and something else is claimed of it
					}
					if err := d.Record(t.Context(), e); err != nil {
						t.Fatal(err)
					}
					m.record(e)
				}
				e := random()
				if len(m.all) > 0 && rnd.IntN(2) == 0 {
					e = m.all[rnd.IntN(len(m.all))] // is remembered itself
					if rnd.IntN(4) == 0 {
						e.Time = e.Time.Add(time.Hour)
					}
				}
				got, err := d.Recall(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(m.recall(e), got, sameAddr, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(event.Memory{}, "Young", "Pair")); diff != "" {
					t.Fatalf("step %d, of %+v: -want +got\n%s", step, e, diff)
				}
			}
			checkCounters(t, d)
			for _, f := range []Filter{{}, {Limit: 7}, {User: "bob"}, {IP: netip.MustParsePrefix("203.0.113.0/30"), Limit: 20}, {Key: "SHA256:one", Host: "db1.example.com"}, {Since: start.AddDate(0, 0, 3), Until: start.AddDate(0, 0, 8)}} {
				var got []Entry
				for e, err := range d.List(t.Context(), f) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, e)
				}
				if diff := gocmp.Diff(m.list(f), got, sameAddr, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("list %+v: -want +got\n%s", f, diff)
				}
			}
		})
	}
}

func pick[T any](rnd *rand.Rand, of ...T) T { return of[rnd.IntN(len(of))] }
