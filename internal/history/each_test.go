package history

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Each and List say the same of the same logins, parts or not.
func TestEachIsWhatIsListed(t *testing.T) {
	d := open(t, Options{})
	record(t, d, comes(1, login(0, "alice", "203.0.113.7", 0), time.Hour), comes(2, login(0, "bob", "2001:db8::7", 0), time.Hour))
	thief := login(3, "erin", "198.51.100.66", 60)
	thief.Untaught, thief.Severity, thief.Reasons = true, 2, []string{"new_country"}
	certified := login(4, "carol", "198.51.100.7", 70)
	certified.CA, certified.KeyID = "SHA256:ca", "carol@example.com"
	late := login(5, "dave", "198.51.100.8", 80)
	late.Late = true
	record(t, d, thief, certified, late)
	for _, row := range []struct {
		situation    string
		since, until time.Time
		want         int
	}{
		{"all", time.Time{}, time.Now().AddDate(100, 0, 0), 5},
		{"none", time.Now().AddDate(99, 0, 0), time.Now().AddDate(100, 0, 0), 0},
		{"from a login on", thief.Time, time.Now().AddDate(100, 0, 0), 3},
		{"until before a login", time.Time{}, thief.Time, 2},
	} {
		t.Run(row.situation, func(t *testing.T) {
			var got, want []Entry
			if err := d.Each(t.Context(), row.since, row.until, func(e Entry) error { got = append(got, e); return nil }); err != nil {
				t.Fatal(err)
			}
			for e, err := range d.List(t.Context(), Filter{Since: row.since, Until: row.until}) {
				if err != nil {
					t.Fatal(err)
				}
				e.Port = 0
				want = append(want, e)
			}
			slices.Reverse(want)
			if diff := gocmp.Diff(want, got, gocmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" || len(got) != row.want {
				t.Errorf("%d logins: %s", len(got), diff)
			}
		})
	}
	stop := errors.New("enough")
	n := 0
	if err := d.Each(t.Context(), time.Time{}, time.Now().AddDate(100, 0, 0), func(Entry) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d logins after an error, %v", n, err)
	}
}
