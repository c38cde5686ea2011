package dns

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/event"
)

const (
	v4Name = "1.2.0.192.origin.asn.cymru.com."
	v6Name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.origin6.asn.cymru.com."
	asName = "AS64500.asn.cymru.com."
	named  = "64500 | US | arin | 2002-01-04 | EXAMPLE-NET - Example Networks, Inc., US"
)

func TestCymru(t *testing.T) {
	network := event.Network{ASN: 64500, Name: "EXAMPLE-NET", Description: "Example Networks, Inc.", Source: "Team Cymru"}
	plain := []string{"64500 | 192.0.2.0/24 | US | arin | 1998-09-25"}
	for _, row := range []struct {
		name    string
		s       *server
		ip      string
		want    event.Network
		problem string
	}{
		{"IPv4", &server{txt: map[string][]string{v4Name: plain, asName: {named}}}, "192.0.2.1", network, ""},
		{"mapped into IPv6", &server{txt: map[string][]string{v4Name: plain, asName: {named}}}, "::ffff:192.0.2.1", network, ""},
		{"IPv6 with a zone", &server{txt: map[string][]string{v6Name: {"64500 | 2001:db8::/32 | US | arin | "}, asName: {named}}}, "2001:db8::1%eth0", network, ""},
		{"not announced", &server{}, "192.0.2.1", event.Network{}, ""},
		{"there is the name, and no text", &server{a: map[string][]string{v4Name: {"127.0.0.1"}}}, "192.0.2.1", event.Network{}, ""},
		{"several systems announce it", &server{txt: map[string][]string{v4Name: {"64511 64500 | 192.0.2.0/24 | US | arin | 1998-09-25"}, asName: {named}}}, "192.0.2.1", network, ""},
		{"the narrowest network counts", &server{txt: map[string][]string{
			v4Name: {"64400 | 192.0.0.0/16 | US | arin | ", "64500 | 192.0.2.0/24 | US | arin | ", "64300 | 192.0.0.0/22 | US | arin | "}, asName: {named}}}, "192.0.2.1", network, ""},
		{"one answer of two makes sense", &server{txt: map[string][]string{v4Name: append([]string{"v=spf1 -all"}, plain...), asName: {"hello", named}}}, "192.0.2.1", network, ""},
		{"a name without a description", &server{txt: map[string][]string{v4Name: plain, asName: {"64500 | US | arin | 2002-01-04 | EXAMPLE-NET, US"}}},
			"192.0.2.1", event.Network{ASN: 64500, Name: "EXAMPLE-NET", Source: "Team Cymru"}, ""},
		{"a name with a bar and something hidden in it", &server{txt: map[string][]string{v4Name: plain, asName: {"64500 | US | arin | 2002-01-04 | A | B\u202e\n, IE"}}},
			"192.0.2.1", event.Network{ASN: 64500, Name: `A | B\u202e\u000a, IE`, Source: "Team Cymru"}, ""},
		{"the system has no name", &server{txt: map[string][]string{v4Name: plain}}, "192.0.2.1", event.Network{ASN: 64500, Source: "Team Cymru"}, ""},
		{"the name fails: the number is known", &server{txt: map[string][]string{v4Name: plain}, codes: map[string]dnsmessage.RCode{asName: dnsmessage.RCodeServerFailure}},
			"192.0.2.1", event.Network{ASN: 64500, Source: "Team Cymru"}, "no answer"},
		{"the name of another system", &server{txt: map[string][]string{v4Name: plain, asName: {"64501 | US | arin | 2002-01-04 | X, US"}}},
			"192.0.2.1", event.Network{ASN: 64500, Source: "Team Cymru"}, "makes no sense"},
		{"a name server that is out of order", &server{codes: map[string]dnsmessage.RCode{v4Name: dnsmessage.RCodeServerFailure}}, "192.0.2.1", event.Network{}, "no answer"},
		{"one that refuses", &server{codes: map[string]dnsmessage.RCode{v4Name: dnsmessage.RCodeRefused}}, "192.0.2.1", event.Network{}, "no answer"},
		{"another network", &server{txt: map[string][]string{v4Name: {"64500 | 198.51.100.0/24 | US | arin | "}}}, "192.0.2.1", event.Network{}, "makes no sense"},
		{"no number", &server{txt: map[string][]string{v4Name: {"AS64500 | 192.0.2.0/24 | US | arin | "}}}, "192.0.2.1", event.Network{}, "makes no sense"},
		{"a number that is too big", &server{txt: map[string][]string{v4Name: {"4294967296 | 192.0.2.0/24 | US | arin | "}}}, "192.0.2.1", event.Network{}, "makes no sense"},
		{"too few fields", &server{txt: map[string][]string{v4Name: {"64500 | 192.0.2.0/24"}}}, "192.0.2.1", event.Network{}, "makes no sense"},
		{"somebody else's text", &server{txt: map[string][]string{v4Name: {"this domain is for sale"}}}, "192.0.2.1", event.Network{}, "makes no sense"},
		{"empty fields", &server{txt: map[string][]string{v4Name: {"||||"}}}, "192.0.2.1", event.Network{}, "makes no sense"},
	} {
		s := row.s.start(t)
		c, err := NewCymru(Options{Server: s.addr})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Lookup(t.Context(), netip.MustParseAddr(row.ip))
		if diff := cmp.Diff(event.Facts{Network: row.want}, got); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
		check(t, row.name, err, row.problem)
		for _, q := range s.questions() {
			if !strings.HasPrefix(q, "TXT ") || !strings.HasSuffix(q, ".asn.cymru.com.") {
				t.Errorf("%s: asked %s", row.name, q)
			}
		}
	}
}

func check(t *testing.T, name string, err error, problem string) {
	t.Helper()
	if problem == "" {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	e, ok := err.(*Error)
	if !ok || !strings.Contains(e.Error(), problem) {
		t.Errorf("%s: %v, want %s", name, err, problem)
	}
}

func TestTor(t *testing.T) {
	const exit = "1.2.0.192.dnsel.torproject.org."
	for _, row := range []struct {
		name    string
		s       *server
		ip      string
		want    string
		problem string
		asked   int
	}{
		{"an exit", &server{a: map[string][]string{exit: {"127.0.0.2"}}}, "192.0.2.1", "Tor Project", "", 1},
		{"the same, mapped", &server{a: map[string][]string{exit: {"127.0.0.2"}}}, "::ffff:192.0.2.1", "Tor Project", "", 1},
		{"none", &server{}, "192.0.2.1", "", "", 1},
		{"IPv6 is not asked about", &server{}, "2001:db8::1", "", "", 0},
		{"a name server that sells missing names", &server{a: map[string][]string{exit: {"203.0.113.80"}}}, "192.0.2.1", "", "makes no sense", 1},
		{"one that says both", &server{a: map[string][]string{exit: {"127.0.0.2", "203.0.113.80"}}}, "192.0.2.1", "", "makes no sense", 1},
		{"one that is out of order", &server{codes: map[string]dnsmessage.RCode{exit: dnsmessage.RCodeServerFailure}}, "192.0.2.1", "", "no answer", -1},
	} {
		s := row.s.start(t)
		p, err := NewTor(Options{Server: s.addr})
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Lookup(t.Context(), netip.MustParseAddr(row.ip))
		if diff := cmp.Diff(event.Facts{Traits: event.Traits{Tor: row.want}}, got); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
		check(t, row.name, err, row.problem)
		if asked := s.questions(); row.asked >= 0 && len(asked) != row.asked {
			t.Errorf("%s: asked %v", row.name, asked)
		}
	}
}

func TestBoth(t *testing.T) {
	names := map[string]bool{v4Name: true, "1.2.0.192.dnsel.torproject.org.": true}
	silent, junk := (&server{silent: names}).start(t), (&server{junk: names}).start(t)
	make2 := func(server string) []enrich.Provider {
		c, err1 := NewCymru(Options{Server: server})
		p, err2 := NewTor(Options{Server: server})
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		return []enrich.Provider{c, p}
	}
	ip := netip.MustParseAddr("192.0.2.1")
	for _, p := range make2(silent.addr) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := p.Lookup(ctx, ip)
		check(t, p.Info().Name+": no answer", err, "timed out")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", p.Info().Name, err)
		}
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		_, err = p.Lookup(ctx, ip)
		check(t, p.Info().Name+": cancelled", err, "cancelled")
		if f, err := p.Lookup(t.Context(), netip.Addr{}); err != nil || !cmp.Equal(f, event.Facts{}) {
			t.Errorf("%s: no address at all: %+v, %v", p.Info().Name, f, err)
		}
		if info := p.Info(); info.Local || info.GivesRisk || info.Name == "" || info.Title == "" {
			t.Errorf("%s says of itself what it is not", p.Info().Name)
		}
	}
	for _, p := range make2(junk.addr) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		f, err := p.Lookup(ctx, ip)
		if err == nil || !cmp.Equal(f, event.Facts{}) {
			t.Errorf("%s: junk gave %+v, %v", p.Info().Name, f, err)
		}
		cancel()
	}
}

func TestServers(t *testing.T) {
	for server, good := range map[string]bool{"": true, "192.0.2.53": true, "192.0.2.53:5353": true, "2001:db8::53": true, "[2001:db8::53]:53": true,
		"ns.example.com": false, "192.0.2.53:": false, "udp://192.0.2.53": false} {
		if _, err := NewCymru(Options{Server: server}); (err == nil) != good {
			t.Errorf("%q: %v", server, err)
		}
	}
}

func FuzzCymru(f *testing.F) {
	f.Add("64500 | 192.0.2.0/24 | US | arin | 1998-09-25", uint32(64500))
	f.Add("64500 64501 | 2001:db8::/32 | US | arin | ", uint32(1))
	f.Add(named, uint32(64500))
	f.Fuzz(func(t *testing.T, answer string, asn uint32) {
		asns, prefix, err := parseOrigin(answer)
		if err == nil && (len(asns) == 0 || asns[0] == 0 || !prefix.IsValid()) {
			t.Fatalf("%q: %v %v", answer, asns, prefix)
		}
		origin([]string{answer, answer}, netip.MustParseAddr("192.0.2.1"))
		name, description, _ := systemName(answer, asn)
		if strings.ContainsAny(name+description, "\n\x00\x1b\u202e") {
			t.Fatalf("%q: %q, %q", answer, name, description)
		}
	})
}
