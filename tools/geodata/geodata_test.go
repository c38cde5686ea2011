package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/oschwald/maxminddb-golang/v2"
)

// spans reads "from-to asn country" lines; - is none.
func spans(t *testing.T, text string) []span {
	t.Helper()
	var out []span
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' }) {
		var rng, asn, country string
		if _, err := fmt.Sscan(line, &rng, &asn, &country); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lo, hi, _ := strings.Cut(rng, "-")
		s := span{lo: netip.MustParseAddr(lo), hi: netip.MustParseAddr(hi)}
		if asn != "-" {
			fmt.Sscan(asn, &s.asn)
			s.name = "AS " + asn
		}
		if country != "-" {
			s.country = country
		}
		out = append(out, s)
	}
	return out
}

func show(spans []span) string {
	var out []string
	for _, s := range spans {
		asn, country := "-", "-"
		if s.asn != 0 {
			asn = fmt.Sprint(s.asn)
		}
		if s.country != "" {
			country = s.country
		}
		out = append(out, fmt.Sprintf("%v-%v %s %s", s.lo, s.hi, asn, country))
	}
	return strings.Join(out, ", ")
}

func TestOverlay(t *testing.T) {
	for _, row := range []struct{ name, a, b, want string }{
		{"nothing", "", "", ""},
		{"no countries", "192.0.2.0-192.0.2.9 64500 -", "", "192.0.2.0-192.0.2.9 64500 -"},
		{"the same range", "192.0.2.0-192.0.2.9 64500 -", "192.0.2.0-192.0.2.9 - DE", "192.0.2.0-192.0.2.9 64500 DE"},
		{"apart", "192.0.2.0-192.0.2.9 64500 -", "192.0.2.20-192.0.2.29 - DE", "192.0.2.0-192.0.2.9 64500 -, 192.0.2.20-192.0.2.29 - DE"},
		{"apart, the other way round", "192.0.2.20-192.0.2.29 64500 -", "192.0.2.0-192.0.2.9 - DE", "192.0.2.0-192.0.2.9 - DE, 192.0.2.20-192.0.2.29 64500 -"},
		{"one country within a network", "192.0.2.0-192.0.2.9 64500 -", "192.0.2.3-192.0.2.5 - DE",
			"192.0.2.0-192.0.2.2 64500 -, 192.0.2.3-192.0.2.5 64500 DE, 192.0.2.6-192.0.2.9 64500 -"},
		{"two networks within a country", "192.0.2.1-192.0.2.3 64500 -, 192.0.2.5-192.0.2.6 64501 -", "192.0.2.0-192.0.2.9 - DE",
			"192.0.2.0-192.0.2.0 - DE, 192.0.2.1-192.0.2.3 64500 DE, 192.0.2.4-192.0.2.4 - DE, 192.0.2.5-192.0.2.6 64501 DE, 192.0.2.7-192.0.2.9 - DE"},
		{"half and half", "192.0.2.0-192.0.2.5 64500 -", "192.0.2.4-192.0.2.9 - DE",
			"192.0.2.0-192.0.2.3 64500 -, 192.0.2.4-192.0.2.5 64500 DE, 192.0.2.6-192.0.2.9 - DE"},
		{"neighbours that are alike", "192.0.2.0-192.0.2.4 64500 -, 192.0.2.5-192.0.2.9 64500 -", "192.0.2.0-192.0.2.6 - DE, 192.0.2.7-192.0.2.9 - DE",
			"192.0.2.0-192.0.2.9 64500 DE"},
		{"alike, with a hole", "192.0.2.0-192.0.2.4 64500 -, 192.0.2.6-192.0.2.9 64500 -", "", "192.0.2.0-192.0.2.4 64500 -, 192.0.2.6-192.0.2.9 64500 -"},
		{"the last address there is", "255.255.255.0-255.255.255.255 64500 -", "255.255.255.255-255.255.255.255 - DE",
			"255.255.255.0-255.255.255.254 64500 -, 255.255.255.255-255.255.255.255 64500 DE"},
		{"IPv6", "2001:db8::-2001:db8::ffff 64500 -", "2001:db8::8-2001:db8::f - DE",
			"2001:db8::-2001:db8::7 64500 -, 2001:db8::8-2001:db8::f 64500 DE, 2001:db8::10-2001:db8::ffff 64500 -"},
	} {
		if got := show(overlay(spans(t, row.a), spans(t, row.b))); got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.name, got, row.want)
		}
	}
}

func TestTidy(t *testing.T) {
	for _, row := range []struct{ name, in, want string }{
		{"in order", "192.0.2.0-192.0.2.4 1 -, 192.0.2.5-192.0.2.9 2 -", "192.0.2.0-192.0.2.4 1 -, 192.0.2.5-192.0.2.9 2 -"},
		{"out of order", "192.0.2.5-192.0.2.9 2 -, 192.0.2.0-192.0.2.4 1 -", "192.0.2.0-192.0.2.4 1 -, 192.0.2.5-192.0.2.9 2 -"},
		{"overlapping", "192.0.2.0-192.0.2.6 1 -, 192.0.2.4-192.0.2.9 2 -", "192.0.2.0-192.0.2.3 1 -, 192.0.2.4-192.0.2.9 2 -"},
		{"one within the other", "192.0.2.0-192.0.2.9 1 -, 192.0.2.4-192.0.2.5 2 -", "error"},
		{"twice the same", "192.0.2.0-192.0.2.9 1 -, 192.0.2.0-192.0.2.9 2 -", "error"},
	} {
		got, err := tidy(spans(t, row.in))
		text := show(got)
		if err != nil {
			text = "error"
		}
		if text != row.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", row.name, text, err, row.want)
		}
	}
}

func TestReadSystems(t *testing.T) {
	got, err := readSystems([]byte("192.0.2.0,192.0.2.255,64500,\"Example, \u202eInc.\"\n198.51.100.0,198.51.100.7,0,Not routed\n"))
	want := []span{{netip.MustParseAddr("192.0.2.0"), netip.MustParseAddr("192.0.2.255"), record{asn: 64500, name: `Example, \u202eInc.`}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(span{}, record{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for name, text := range map[string]string{
		"a column is missing":      "192.0.2.0,192.0.2.255,64500\n",
		"no address":               "192.0.2.256,192.0.2.255,64500,X\n",
		"a number that is too big": "192.0.2.0,192.0.2.255,4294967296,X\n",
		"the end before the start": "192.0.2.9,192.0.2.0,64500,X\n",
		"two families":             "192.0.2.9,2001:db8::,64500,X\n",
	} {
		if got, err := readSystems([]byte(text)); err == nil {
			t.Errorf("%s was read as %s", name, show(got))
		}
	}
}

func TestLast(t *testing.T) {
	for prefix, want := range map[string]string{
		"192.0.2.0/24": "192.0.2.255", "192.0.2.4/30": "192.0.2.7", "192.0.2.1/32": "192.0.2.1", "0.0.0.0/0": "255.255.255.255",
		"2001:db8::/33": "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff", "2001:db8::1/128": "2001:db8::1",
	} {
		if got := last(netip.MustParsePrefix(prefix)).String(); got != want {
			t.Errorf("%s ends at %s, want %s", prefix, got, want)
		}
	}
}

func TestWrite(t *testing.T) {
	in := spans(t, "192.0.2.0-192.0.2.130 64500 DE, 192.0.2.131-192.0.2.140 64501 -, 198.51.100.0-198.51.100.9 - IE, 2001:db8::-2001:db8::ffff 64500 DE")
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := write(w, in, dataDate); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same ranges gave different bytes")
	}
	db, err := maxminddb.OpenBytes(a.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Verify(); err != nil {
		t.Error(err)
	}
	if !db.Metadata.BuildTime().Equal(dataDate) {
		t.Errorf("built %v", db.Metadata.BuildTime())
	}
	for ip, want := range map[string]map[string]any{
		"192.0.2.0":     {"autonomous_system_number": uint64(64500), "autonomous_system_organization": "AS 64500", "country_code": "DE"},
		"192.0.2.130":   {"autonomous_system_number": uint64(64500), "autonomous_system_organization": "AS 64500", "country_code": "DE"},
		"192.0.2.131":   {"autonomous_system_number": uint64(64501), "autonomous_system_organization": "AS 64501"},
		"192.0.2.141":   nil,
		"198.51.100.9":  {"country_code": "IE"},
		"2001:db8::abc": {"autonomous_system_number": uint64(64500), "autonomous_system_organization": "AS 64500", "country_code": "DE"},
	} {
		var got map[string]any
		if err := db.Lookup(netip.MustParseAddr(ip)).Decode(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", ip, diff)
		}
	}
}

// A package that somebody has changed is not used.
func TestOpen(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "package/a.csv", Mode: 0o644, Size: 2}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("hi"))
	w.Close()
	z.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.tgz"), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b.Bytes())
	good := pack{file: "p.tgz", integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}
	files, err := good.open(dir, "a.csv")
	if err != nil || string(files["a.csv"]) != "hi" {
		t.Errorf("%q, %v", files, err)
	}
	if _, err := good.open(dir, "b.csv"); err == nil {
		t.Error("a file that is missing was no error")
	}
	bad := pack{file: "p.tgz", integrity: asnPackage.integrity}
	if _, err := bad.open(dir, "a.csv"); err == nil {
		t.Error("a package with another sum was taken")
	}
}
