package netlist

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, row := range []struct {
		name, text     string
		lines, skipped int
		in, out        string // addresses that are on it, and that are not
	}{
		{"addresses", "192.0.2.1\n2001:db8::1\n", 2, 0, "192.0.2.1 2001:db8::1", "192.0.2.0 192.0.2.2 2001:db8:: 2001:db8::2"},
		{"networks", "192.0.2.0/25\r\n2001:db8::/33\r\n", 2, 0, "192.0.2.0 192.0.2.127 2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
			"192.0.2.128 192.0.1.255 2001:db8:8000::"},
		{"a network that names a host in it", "192.0.2.77/24", 1, 0, "192.0.2.0 192.0.2.255", "192.0.3.0"},
		{"ranges", "192.0.2.10-192.0.2.20\n198.51.100.1 - 198.51.100.3\n2001:db8::1-2001:db8::2", 3, 0,
			"192.0.2.10 192.0.2.20 198.51.100.2 2001:db8::2", "192.0.2.9 192.0.2.21 198.51.100.4 2001:db8::3"},
		{"comments", "# a list\n; of two\n\n  192.0.2.1 # one\n192.0.2.0/24;SBL1\n", 2, 0, "192.0.2.1", "198.51.100.1"},
		{"mapped addresses are IPv4", "::ffff:192.0.2.1\n::ffff:198.51.100.0/120", 2, 0, "192.0.2.1 198.51.100.255", "198.51.101.0"},
		{"with a byte order mark", "\ufeff192.0.2.1\n", 1, 0, "192.0.2.1", "192.0.2.2"},
		{"ipset save", "create bad hash:net family inet hashsize 1024\nadd bad 192.0.2.0/24\nadd bad 198.51.100.1 timeout 300\nadd bad 203.0.113.5,tcp:22\n", 3, 0,
			"192.0.2.9 198.51.100.1 203.0.113.5", "198.51.100.2"},
		{"Tor's exit addresses", "ExitNode 0011BD2485AD45D984EC4159C88FC066E5E3300E\nPublished 2026-11-20 05:12:26\nLastStatus 2026-11-20 06:00:00\nExitAddress 192.0.2.9 2026-11-20 06:04:10\n", 1, 0,
			"192.0.2.9", "192.0.2.1"},
		{"CSV with a header", "ip,first seen,\"note\"\n192.0.2.1,2026-11-20,\"a, b\"\n\"198.51.100.0/24\",x,y\n", 2, 0, "192.0.2.1 198.51.100.7", "192.0.2.2"},
		{"what follows does not matter", "192.0.2.1 port 22 open\n192.0.2.3\tx", 2, 0, "192.0.2.1 192.0.2.3", "192.0.2.2"},
		{"what makes no sense is counted", strings.Join([]string{"192.0.2.1", "example.com", "192.0.2.256", "192.0.2.0/33", "010.0.0.1", "fe80::1%eth0",
			"192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::", "::ffff:0:0/95", "-", "/", "\x00\xff"}, "\n"), 1, 11, "192.0.2.1", "192.0.2.2"},
		{"the whole internet is a mistake", "192.0.2.1\n0.0.0.0/0\n::/0\n0.0.0.0-255.255.255.255\n::ffff:0:0/96", 1, 4, "192.0.2.1", "198.51.100.1 2001:db8::1"},
		{"the highest addresses", "255.255.255.255\n255.255.255.254\nffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n128.0.0.0/1", 4, 0,
			"255.255.255.255 128.0.0.0 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "127.255.255.255"},
		{"ranges that touch, overlap and contain each other", "192.0.2.8/29\n192.0.2.0/29\n192.0.2.4-192.0.2.40\n192.0.2.6\n192.0.2.42", 5, 0,
			"192.0.2.0 192.0.2.40 192.0.2.42", "192.0.2.41 192.0.2.43"},
	} {
		l, err := parse(row.text)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if l.lines != row.lines || l.skipped != row.skipped {
			t.Errorf("%s: %d lines, %d skipped", row.name, l.lines, l.skipped)
		}
		for _, ip := range strings.Fields(row.in) {
			if !l.contains(netip.MustParseAddr(ip)) {
				t.Errorf("%s: %s is not on it", row.name, ip)
			}
		}
		for _, ip := range strings.Fields(row.out) {
			if l.contains(netip.MustParseAddr(ip)) {
				t.Errorf("%s: %s is on it", row.name, ip)
			}
		}
	}
	for name, text := range map[string]string{
		"empty": "", "comments alone": "# nothing\n\n", "a web page": " \n<!doctype html>\n192.0.2.1\n",
		"compressed": "\x1f\x8b\x08", "names": "example.com\nexample.net\n", "nothing but everything": "0.0.0.0/0\n",
	} {
		if l, err := parse(text); err == nil {
			t.Errorf("%s is a list of %d lines", name, l.lines)
		}
	}
}

func TestTouchingRangesAreOne(t *testing.T) {
	l, err := parse("192.0.2.0/25\n192.0.2.128/25\n192.0.3.0/24\n198.51.100.0/24\n2001:db8::/33\n2001:db8:8000::/33\n2001:db8:0:ffff:ffff:ffff:ffff:ffff\n")
	if err != nil || l.len() != 3 {
		t.Errorf("%d ranges, %v", l.len(), err)
	}
}

// A table says of each address what the list says when it is read line by line.
func FuzzParse(f *testing.F) {
	f.Add("192.0.2.0/25\n192.0.2.130-192.0.2.140\n2001:db8::/64\n", "192.0.2.135")
	f.Add("add x 192.0.2.1\n# c\nExitAddress 192.0.2.9 x\n", "192.0.2.9")
	f.Add("255.255.255.255\n0.0.0.0\n::\nffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1")
	f.Add("2001:db8::ffff:ffff:ffff:ffff\n2001:db8:0:1::", "2001:db8:0:1::")
	f.Add("a,b\n\"192.0.2.1\",x", "192.0.2.1")
	f.Fuzz(func(t *testing.T, text, address string) {
		l, err := parse(text)
		if err != nil {
			return
		}
		if l.len() < 1 || l.len() > l.lines {
			t.Fatalf("%d ranges of %d lines", l.len(), l.lines)
		}
		check := func(ip netip.Addr) {
			want := false
			for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
				if entry, ok := entryOf(line); ok {
					if lo, hi, good := parseEntry(entry); good && lo.BitLen() == ip.BitLen() && lo.Compare(ip) <= 0 && ip.Compare(hi) <= 0 {
						want = true
					}
				}
			}
			if got := l.contains(ip); got != want {
				t.Fatalf("%v: %v, and line by line %v", ip, got, want)
			}
		}
		if ip, err := netip.ParseAddr(address); err == nil {
			check(ip.Unmap().WithZone(""))
		}
		for line := range strings.Lines(text) {
			if entry, ok := entryOf(line); ok {
				if lo, hi, good := parseEntry(entry); good {
					for _, ip := range []netip.Addr{lo, hi, lo.Prev(), hi.Next()} {
						if ip.IsValid() {
							check(ip)
						}
					}
				}
			}
		}
	})
}

// many is a list of n networks, a fifth of them IPv6.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		if i%5 == 0 {
			fmt.Fprintf(&b, "2001:db8:%x:%x::/64\n", i>>8, i&0xff)
		} else {
			fmt.Fprintf(&b, "%d.%d.%d.0/25\n", 1+i>>16, i>>8&0xff, i&0xff)
		}
	}
	return b.String()
}

func BenchmarkParse100000(b *testing.B) {
	text := many(100_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if l, err := parse(text); err != nil || l.lines != 100_000 {
			b.Fatal(l, err)
		}
	}
}

func BenchmarkContains100000(b *testing.B) {
	l, err := parse(many(100_000))
	if err != nil {
		b.Fatal(err)
	}
	for _, ip := range []string{"1.128.64.1", "1.128.64.200", "2001:db8:80:5::1"} {
		addr := netip.MustParseAddr(ip)
		b.Run(ip, func(b *testing.B) {
			for b.Loop() {
				l.contains(addr)
			}
		})
	}
}

// len returns how many ranges there are.
func (t *table) len() int { return len(t.v4) + len(t.v6) }
