package mmdb

import (
	"net/netip"
	"os"
	"testing"
)

// The built-in database is as large as GeoLite2-ASN. SSHNOTIFY_BENCH_MMDB names
// a larger file, which is mapped.
func benchFile() string {
	if path := os.Getenv("SSHNOTIFY_BENCH_MMDB"); path != "" {
		return path
	}
	return "../builtin/builtin.mmdb"
}

func benchProvider(b *testing.B) *Provider {
	b.Helper()
	p, err := New(Options{Name: "geo", Path: benchFile()})
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Check(); err != nil {
		b.Fatal(err)
	}
	return p
}

func BenchmarkOpen(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		benchProvider(b).Close()
	}
}

func BenchmarkLookup(b *testing.B) {
	p := benchProvider(b)
	defer p.Close()
	ip := netip.MustParseAddr("8.8.8.8")
	b.ReportAllocs()
	for b.Loop() {
		if f, err := p.Lookup(b.Context(), ip); err != nil || f.Place.Country != "US" {
			b.Fatal(f, err)
		}
	}
}
