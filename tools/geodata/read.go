package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/sshnotify/sshnotify/internal/event"
)

// maxName is how much is kept of a system's name, in characters.
const maxName = 100

// read puts the two packages in dir together: IPv4 first, each family sorted
// and disjoint.
func read(dir string) ([]span, error) {
	asn, err := asnPackage.open(dir, "asn-ipv4.csv", "asn-ipv6.csv")
	if err != nil {
		return nil, err
	}
	country, err := countryPackage.open(dir, "iptoasn-country.mmdb")
	if err != nil {
		return nil, err
	}
	country4, country6, err := readCountries(country["iptoasn-country.mmdb"])
	if err != nil {
		return nil, fmt.Errorf("iptoasn-country.mmdb: %w", err)
	}
	var out []span
	for _, family := range []struct {
		file      string
		countries []span
	}{{"asn-ipv4.csv", country4}, {"asn-ipv6.csv", country6}} {
		systems, err := readSystems(asn[family.file])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", family.file, err)
		}
		out = append(out, overlay(systems, family.countries)...)
	}
	// The relays of 6to4 and Teredo are announced by whoever runs one: that is
	// not where such an address is.
	return without(out,
		netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("2001::/32"),
		netip.MustParsePrefix("2002::/16")), nil
}

// readSystems reads lines of first address, last address, number, name.
func readSystems(b []byte) ([]span, error) {
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord, r.ReuseRecord = 4, true
	var out []span
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return tidy(out)
		}
		if err != nil {
			return nil, err
		}
		line, _ := r.FieldPos(0)
		lo, err1 := netip.ParseAddr(row[0])
		hi, err2 := netip.ParseAddr(row[1])
		n, err3 := strconv.ParseUint(row[2], 10, 32)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if lo.Is4() != hi.Is4() || hi.Less(lo) {
			return nil, fmt.Errorf("line %d: no range", line)
		}
		if n != 0 {
			out = append(out, span{lo, hi, record{asn: uint32(n), name: event.Clean(row[3], maxName)}})
		}
	}
}

// readCountries reads a file with country_code and nothing else.
func readCountries(b []byte) (v4, v6 []span, err error) {
	db, err := maxminddb.OpenBytes(b)
	if err != nil {
		return nil, nil, err
	}
	for found := range db.Networks() {
		var v struct {
			Code string `maxminddb:"country_code"`
		}
		if err := found.Decode(&v); err != nil {
			return nil, nil, err
		}
		if !isCountry(v.Code) {
			continue
		}
		p := found.Prefix()
		s := span{p.Addr(), last(p), record{country: v.Code}}
		if p.Addr().Is4() {
			v4 = append(v4, s)
		} else {
			v6 = append(v6, s)
		}
	}
	return v4, v6, nil
}

// isCountry leaves out what the registries write for no country in particular:
// EU and AP are where somebody registered.
func isCountry(code string) bool {
	return len(code) == 2 && 'A' <= code[0] && code[0] <= 'Z' && 'A' <= code[1] && code[1] <= 'Z' &&
		code != "EU" && code != "AP" && code != "ZZ"
}

// last gives a prefix's last address.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		if left := p.Bits() - 8*i; left < 8 {
			b[i] |= 0xff >> max(left, 0)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
