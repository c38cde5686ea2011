package publish

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// press is a publisher whose output is looked at.
func press(t *testing.T, change func(*Settings)) (*Publisher, string) {
	t.Helper()
	dir := t.TempDir()
	c := Settings{Destinations: []string{"world"}, Dir: filepath.Join(dir, "www"), Names: true, PerHour: 3, MinAttempts: 5}
	if change != nil {
		change(&c)
	}
	place := func(netip.Addr) (string, string, uint32) { return "EXAMPLE-NET", "IE", 64500 }
	ours := func() Names { return Names{Words: []string{"alice"}} }
	return New(c, dir, place, ours, slog.New(slog.DiscardHandler)), dir
}

func endedAttack(ip string) attack.Finding {
	a := netip.MustParseAddr(ip)
	net, _ := a.Prefix(a.BitLen())
	at := time.Now().UTC().Add(-time.Hour)
	return attack.Finding{
		Kind: attack.Ended, Attack: "a1" + ip, By: attack.ByAddress, IP: a, Network: net, Attempts: 214, First: at, Last: at.Add(time.Minute), Time: at.Add(11 * time.Minute),
		Names:    attack.Tally{Most: []attack.Count{{Name: "root", N: 200}, {Name: "alice", N: 10}, {Name: "<!channel>@x", N: 4}}},
		Services: attack.Tally{Most: []attack.Count{{Name: "sshd", N: 214}}}, Hosts: attack.Tally{Most: []attack.Count{{Name: "db1", N: 214}}},
	}
}

// What everybody reads has the address as it is, names that mean nothing to
// anybody, and neither a host nor a user of ours.
func TestPublished(t *testing.T) {
	p, dir := press(t, nil)
	f := endedAttack("203.0.113.7")
	got := p.Ended(f)
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	e := got[0]
	if e.Host != "" || e.User != "" || e.Labels != nil || !e.Attack.Public || !slices.Equal(e.Attack.Only, []string{"world"}) || !event.ValidID(e.ID) || e.Via != event.ViaWatch || e.Kind != event.KindAttack {
		t.Errorf("%+v, %+v", e, e.Attack)
	}
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"the event": string(data)}
	for _, name := range []string{"www/index.html", "www/feed.json", "published.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	for name, text := range texts {
		if !strings.Contains(text, "203.0.113.7") || !strings.Contains(text, "214") || !strings.Contains(text, "root") {
			t.Errorf("%s lacks something: %s", name, text)
		}
		for _, bad := range []string{"alice", "db1", "<!channel", "@x"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q: %s", name, bad, text)
			}
		}
	}
	if again := p.Ended(f); again != nil {
		t.Errorf("published twice in a day: %+v", again)
	}
}

func TestNotPublished(t *testing.T) {
	change := func(how func(*attack.Finding)) attack.Finding {
		f := endedAttack("203.0.113.7")
		how(&f)
		return f
	}
	for name, f := range map[string]attack.Finding{
		"an account that is attacked": change(func(f *attack.Finding) { f.By, f.User = attack.ByUser, "alice" }),
		"a network":                   change(func(f *attack.Finding) { f.By = attack.ByNetwork }),
		"no address":                  change(func(f *attack.Finding) { f.IP = netip.Addr{} }),
		"few attempts":                change(func(f *attack.Finding) { f.Attempts = 4 }),
		"a private address":           endedAttack("192.168.1.7"),
		"this host":                   endedAttack("127.0.0.1"),
		"a link":                      endedAttack("fe80::1"),
	} {
		p, dir := press(t, nil)
		if got := p.Ended(f); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "www")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a page is written, %v", name, err)
		}
	}
}

func TestPublisherSettings(t *testing.T) {
	if p, _ := press(t, func(c *Settings) { c.Destinations, c.Dir = nil, "" }); p != nil {
		t.Error("a publisher without a place to publish")
	}
	p, dir := press(t, func(c *Settings) { c.Destinations, c.Names = nil, false })
	if got := p.Ended(endedAttack("203.0.113.7")); got != nil {
		t.Errorf("an event for nobody: %+v", got)
	}
	feed, err := os.ReadFile(filepath.Join(dir, "www/feed.json"))
	if err != nil || strings.Contains(string(feed), "root") {
		t.Errorf("%s, %v", feed, err)
	}
	p, dir = press(t, func(c *Settings) { c.Dir = "" })
	if got := p.Ended(endedAttack("203.0.113.7")); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	p.Age(time.Now())
	if _, err := os.Stat(filepath.Join(dir, "www")); err == nil {
		t.Error("a page without a place for it")
	}
	// No more than so many an hour.
	p, _ = press(t, nil)
	n := 0
	for _, ip := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"} {
		n += len(p.Ended(endedAttack(ip)))
	}
	if n != 3 {
		t.Errorf("%d in an hour", n)
	}
}

// The page is there from the start, and what is old goes from it without an
// attack.
func TestPublishedPageAges(t *testing.T) {
	p, dir := press(t, nil)
	page := filepath.Join(dir, "www/index.html")
	has := func() bool {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(b), "203.0.113.7")
	}
	now := time.Now()
	p.Age(now)
	if has() {
		t.Error("it has what nobody published")
	}
	p.Ended(endedAttack("203.0.113.7"))
	p.Age(now.Add(time.Hour))
	if !has() {
		t.Error("it lacks what was published")
	}
	p.Age(now.Add(8 * 24 * time.Hour))
	if has() {
		t.Error("it has what is a week old")
	}
}

// Whatever was tried that holds a name of ours stays here; what only looks a little
// like one is told.
func TestNoNameOfOurs(t *testing.T) {
	ours := Names{
		Words: []string{"bin", "www-data"},
		Parts: []string{"alice", "al", "db1.example.com", "db1", "example", "q+Zm3kfingerprint", ""},
	}
	for tried, want := range map[string]bool{
		"alice": true, "ALICE": true, "Alice": true, "alice@corp": true, `CORP\alice`: true, "alice2": true, "malicexyz": true, "svc-alice-backup": true,
		"al": true, "al@corp": true, "oracle-al": true, "oracle": false, "portal": false,
		"bin": true, "BIN": true, "bin/sh": true, "robin": false, "binary bin": true,
		"www-data": true, "x.www-data": true, "www": false, "www-database": false,
		"db1": true, "root@DB1.Example.com": true, "db10": true, "admin-example": true, "SHA256:Q+zm3kfingerprint": true,
		"root": false, "admin": false, "": false, "ali": false, "\xff": false,
	} {
		if got := ours.in(tried); got != want {
			t.Errorf("%q: %v", tried, got)
		}
	}
}

// A post's words are counted as X counts them, and a list of names that is too long says
// that there are others.
func TestTextFits(t *testing.T) {
	base := Entry{IP: netip.MustParseAddr("2001:db8:1234:5678:9abc:def0:1234:5678"), Service: "sshd", Attempts: 99999, First: time.Now().Add(-time.Hour), Last: time.Now(),
		ASN: 64500, Country: "IE"}
	for name, tc := range map[string]struct {
		names []string
		want  string // the end; empty: no names
	}{
		"all of them":               {[]string{"root", "admin", "test"}, "; names tried: root, admin, test"},
		"letters that count two":    {strings.Fields("管理 者管理者管理者管理者 者者者者者者者者者者 理理理理理理理理理理 ユユユユユユユユユユ ロロロロロロロロロロ"), " and others"},
		"twenty":                    {strings.Fields("a1b2c3d4e5 a2b2c3d4e5 a3b2c3d4e5 a4b2c3d4e5 a5b2c3d4e5 a6b2c3d4e5 a7b2c3d4e5 a8b2c3d4e5 a9b2c3d4e5 b1b2c3d4e5 b2b2c3d4e5 b3b2c3d4e5"), " and others"},
		"nothing":                   {nil, "(IE)"},
		"the last takes the room":   {[]string{strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("c", 30)}, " and others"},
		"a name that is a sentence": {[]string{strings.Repeat("wide ", 60)}, "…"},
	} {
		e := base
		e.Names = tc.names
		_, text := Text(e)
		if n := width(text); n > maxText || !strings.HasSuffix(text, tc.want) {
			t.Errorf("%s: %d: %s", name, n, text)
		}
	}
}
