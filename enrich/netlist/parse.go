package netlist

import (
	"errors"
	"net/netip"
	"strings"

	"go4.org/netipx"
)

var (
	errHTML       = errors.New("it is a web page, not a list")
	errCompressed = errors.New("it is compressed; only plain text is read")
	errNoLine     = errors.New("no line of it is an address or a network")
)

// list is what a text holds.
type list struct {
	table
	lines   int // that gave a range
	skipped int // that should have given one, and could not be understood
}

// parse reads a list: an address, a CIDR or a range (first-last) a line, after
// which anything may follow. Comments begin with # or ;. It also reads what
// ipset save writes (https://ipset.netfilter.org/ipset.man.html), Tor's list of
// exit addresses (https://metrics.torproject.org/collector.html#type-tordnsel)
// and the first column of CSV, with or without a header.
//
// A line that makes no sense is skipped and counted, as is one that would mean
// the whole internet. A list without one good line is an error.
func parse(text string) (*list, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	switch {
	case strings.HasPrefix(text, "\x1f\x8b"):
		return nil, errCompressed
	case strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "<"):
		return nil, errHTML
	}
	l := &list{}
	first := true
	for line := range strings.Lines(text) {
		entry, ok := entryOf(line)
		if !ok {
			continue
		}
		lo, hi, good := parseEntry(entry)
		if good {
			l.add(lo, hi)
			l.lines++
		} else if !first || !strings.Contains(line, ",") { // or it is the header
			l.skipped++
		}
		first = false
	}
	if l.lines == 0 {
		return nil, errNoLine
	}
	l.seal()
	return l, nil
}

// entryOf takes the address, network or range out of a line; false: there is
// nothing to take.
func entryOf(line string) (string, bool) {
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	word, rest := cutWord(line)
	switch word {
	case "":
		return "", false
	case "create", "ExitNode", "Published", "LastStatus": // ipset, Tor
		return "", false
	case "ExitAddress":
		word, rest = cutWord(rest)
	case "add":
		_, rest = cutWord(rest)
		word, rest = cutWord(rest)
	}
	if next, after := cutWord(rest); next == "-" { // a range with spaces
		last, _ := cutWord(after)
		word += "-" + last
	}
	if i := strings.IndexByte(word, ','); i >= 0 {
		word = word[:i]
	}
	return strings.Trim(word, `"'`), true
}

// cutWord returns the first word of a line and what follows it.
func cutWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t\r\n")
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// parseEntry returns the first and the last address.
func parseEntry(s string) (lo, hi netip.Addr, ok bool) {
	if strings.IndexByte(s, '/') >= 0 {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return lo, hi, false
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return lo, hi, false
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked().Addr(), netipx.PrefixLastIP(p), p.Bits() > 0
	}
	first, last, isRange := strings.Cut(s, "-")
	lo, err := netip.ParseAddr(first)
	if err != nil || lo.Zone() != "" {
		return lo, hi, false
	}
	if lo = lo.Unmap(); !isRange {
		return lo, lo, true
	}
	hi, err = netip.ParseAddr(last)
	if err != nil || hi.Zone() != "" {
		return lo, hi, false
	}
	hi = hi.Unmap()
	all := !lo.Prev().IsValid() && !hi.Next().IsValid()
	return lo, hi, lo.BitLen() == hi.BitLen() && lo.Compare(hi) <= 0 && !all
}
