package message

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
)

// A day on which everything happened, with names as long as they get, is still
// read on a phone.
func TestADayFitsAPhone(t *testing.T) {
	long := func(i int) string { return fmt.Sprintf("%d-%s", i, strings.Repeat("長", 120)) }
	at := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	var d event.Digest
	f := &event.Failures{Attempts: 4_000_000, Addresses: 18_000, Accounts: 9_000, NewAddresses: 17_000}
	for i := range 200 {
		ip := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		d.Rows = append(d.Rows, event.Row{User: long(i), Host: long(i), Kind: event.KindLogin, Count: 4000, IPs: []netip.Addr{ip}, MoreIPs: 99, Reason: long(i)})
		d.Counted = append(d.Counted, event.Row{User: long(i), Host: long(i), Kind: event.KindLogin, Count: 4000, IPs: []netip.Addr{ip}, Reason: long(i)})
		d.Unanswered = append(d.Unanswered, event.Unanswered{Ref: "7K3F", User: long(i), From: long(i), Severity: event.High, Since: at, Count: 9, Reasons: []string{long(i), long(i)}})
		pair := event.PairRow{User: long(i), From: long(i), Key: long(i), Ref: "7K3F", Days: 3}
		d.Promoted, d.Learned = append(d.Promoted, pair), append(d.Learned, pair)
		d.Modes = append(d.Modes, event.ModeChange{To: event.ModeDigest, User: long(i), From: long(i), Count: 144})
		f.Names.Most = append(f.Names.Most, event.Count{Name: long(i), N: 9})
		f.Countries.Most = append(f.Countries.Most, event.Count{Name: long(i), N: 9})
		f.NewNames, f.NewNetworks = append(f.NewNames, long(i)), append(f.NewNetworks, long(i))
	}
	d.Of, d.Failures, d.First, d.Last, d.MoreUnanswered, d.Offer = event.KindDigest, f, at.Add(-24*time.Hour), at, 99, "/etc/sshnotify/upgraded.toml"
	a := event.Alert{ID: "D1G3", Event: event.Event{Kind: event.KindDigest, Time: at, Host: "web1", Digest: &d}, Rows: d.Rows, First: d.First, Last: d.Last}
	// Without the headline, which is the notification's, and the bar.
	_, text, _ := strings.Cut(New(a).Plain(false), "\n")
	text = strings.ReplaceAll(text, "▌ ", "")
	if n := strings.Count(text, "\n"); n > 30 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	if n := utf8.RuneCountInString(text); n > 3000 {
		t.Errorf("%d characters:\n%s", n, text)
	}
	for _, what := range []string{"Waits for an answer", "Ordinary logins", "Failed logins", "Usual from now on"} {
		if !strings.Contains(text, what) {
			t.Errorf("nothing of %q in\n%s", what, text)
		}
	}
}
