package message

import (
	"flag"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// days are digests by how much there is of each section: one of it, two, many,
// and what is there without what is mostly beside it.
func days() []struct {
	name string
	d    event.Digest
} {
	at := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	id := "7K3F2QX0ZM4Y8V1T5R9W6P3N0B"
	ip := netip.MustParseAddr
	rows := func(users ...string) (out []event.Row) {
		for i, u := range users {
			out = append(out, event.Row{User: u, Host: "web1", Kind: event.KindLogin, Count: i*i*700 + 1, IPs: []netip.Addr{ip("203.0.113.7")}})
		}
		return out
	}
	waits := func(n int) event.Unanswered {
		return event.Unanswered{Ref: id, User: "erin", From: "Germany", Severity: event.High, Reasons: []string{"Tor exit"}, Since: at.Add(-time.Hour), Count: n}
	}
	pair := event.PairRow{User: "bob", From: "EXAMPLE-MOBILE", Key: keyAlice, Days: 3, Ref: id}
	tally := func(names ...string) (t event.Tally) {
		for i, n := range names {
			t.Most = append(t.Most, event.Count{Name: n, N: 1000 - i})
		}
		return t
	}
	worst := event.Row{Host: "web1", Kind: event.KindAttempt, Count: 1214, Attacker: &event.Attacker{
		Network: netip.MustParsePrefix("203.0.113.7/32"), ISP: "EXAMPLE-NET", Country: "IE", Names: tally("root"),
	}}
	return []struct {
		name string
		d    event.Digest
	}{
		{"one login", event.Digest{Rows: rows("alice")}},
		{"two users", event.Digest{Rows: rows("alice", "bob")}},
		{"many users", event.Digest{Rows: append(rows("alice", "bob", "carol"), event.Row{Host: "web1", Kind: event.KindLogin, Count: 40, More: 12})}},
		{"one more user", event.Digest{Rows: append(rows("alice"), event.Row{Host: "web1", Kind: event.KindLogin, Count: 1, More: 1})}},
		{"one waits", event.Digest{Unanswered: []event.Unanswered{waits(1)}}},
		{"two wait", event.Digest{Unanswered: []event.Unanswered{waits(1), waits(1200)}}},
		{"many wait", event.Digest{Unanswered: []event.Unanswered{waits(2)}, MoreUnanswered: 1200}},
		{"only more wait", event.Digest{MoreUnanswered: 1}},
		{"one failure", event.Digest{Failures: &event.Failures{Attempts: 1, Addresses: 1, Accounts: 1, Names: tally("root"), Worst: []event.Row{{Host: "web1", Kind: event.KindAttempt, Count: 1, Attacker: worst.Attacker}}}}},
		{"failures without an address", event.Digest{Failures: &event.Failures{Attempts: 9, Accounts: 2, Names: tally("root", "admin"), NewNames: []string{"admin"}}}},
		{"failures without a name", event.Digest{Failures: &event.Failures{Attempts: 9, Addresses: 2, Countries: tally("CN"), NewAddresses: 1, NewNetworks: []string{"EXAMPLE-NET"}}}},
		{"failures of which nothing more is known", event.Digest{Failures: &event.Failures{Attempts: 2}}},
		{"many failures", event.Digest{Failures: &event.Failures{
			Attempts: 3023, Addresses: 1250, Accounts: 41, Names: tally("root", "admin", "ubnt", "pi", "oracle"),
			Countries: tally("CN", "NL"), Networks: event.Tally{Most: tally("EXAMPLE-NET").Most, Rest: 2023},
			NewAddresses: 1031, NewNames: []string{"oracle", "ubnt"}, NewNetworks: []string{"EXAMPLE-NET", "EXAMPLE-CLOUD"}, Worst: []event.Row{worst},
		}}},
		{"one became usual", event.Digest{Promoted: []event.PairRow{pair}}},
		{"many became usual", event.Digest{Promoted: []event.PairRow{pair, pair, {More: 1200}}}},
		{"one learned", event.Digest{Learned: []event.PairRow{{User: "carol", From: "EXAMPLE-NET", Key: "password", Days: 1}}}},
		{"one counted", event.Digest{Counted: []event.Row{{User: "backup", Host: "web1", Kind: event.KindLogin, Count: 1, Reason: "left out by a rule", Refs: []string{id}}}}},
		{"many counted", event.Digest{Counted: []event.Row{{User: "backup", Host: "web1", Kind: event.KindLogin, Count: 2400, IPs: []netip.Addr{ip("192.0.2.9")}, MoreIPs: 1, Refs: []string{id, id}}}}},
		{"a host gets busy", event.Digest{Modes: []event.ModeChange{{To: event.ModeDigest, Count: 31}}}},
		{"a host gets calm", event.Digest{Modes: []event.ModeChange{{To: event.ModeEach}}}},
		{"a robot of a user", event.Digest{Modes: []event.ModeChange{{To: event.ModeDigest, User: "ci", From: "EXAMPLE-CLOUD", Count: 144}, {To: event.ModeEach, User: "ci"}}}},
		{"after an upgrade", event.Digest{Offer: "/etc/sshnotify/upgraded.toml"}},
	}
}

// testdata/days.txt has them all, to be read.
func TestDays(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	wrong := regexp.MustCompile(`(^| )0 |(^| )1 \w+s\b( from| tried| wait|$)|\(\)|  `)
	var b strings.Builder
	for _, tt := range days() {
		d := tt.d
		d.Of, d.First, d.Last = event.KindDigest, at.Add(-24*time.Hour), at
		a := event.Alert{ID: "D1G3", Event: event.Event{Kind: event.KindDigest, Time: at, Host: "web1", Digest: &d}, Rows: d.Rows, First: d.First, Last: d.Last}
		text := New(a).Plain(false)
		b.WriteString("-- " + tt.name + "\n" + text)
		if bad := wrong.FindString(text); bad != "" {
			t.Errorf("%s: %q in\n%s", tt.name, bad, text)
		}
	}
	const path = "testdata/days.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("go test ./internal/message -update rewrites %s (-want +got):\n%s", path, diff)
	}
}
