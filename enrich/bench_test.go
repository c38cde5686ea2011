package enrich

import (
	"fmt"
	"testing"
	"time"
)

func BenchmarkParseService(b *testing.B) {
	raw, err := shipped.ReadFile("services/threatjammer.toml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := ParseService("threatjammer", raw); err != nil {
			b.Fatal(err)
		}
	}
}

// A look-up whose answer is kept.
func BenchmarkCachedLookup(b *testing.B) {
	s := &fakeService{good: serviceBody(b, "abuseipdb-good")}
	dir := b.TempDir()
	e := New(Options{Providers: []Provider{newService(b, "abuseipdb", s, dir, HTTPOptions{})}, CacheTTL: time.Hour, Store: testStore(b, dir)})
	e.Lookup(b.Context(), publicIP)
	for b.Loop() {
		e.Lookup(b.Context(), publicIP)
	}
}

// Reading the answers of the services, the longest among them.
func BenchmarkReadAnswer(b *testing.B) {
	for _, name := range []string{"abuseipdb", "crowdsec", "virustotal"} {
		b.Run(name, func(b *testing.B) {
			s := &fakeService{good: serviceBody(b, name+"-good")}
			p := newService(b, name, s, "", HTTPOptions{})
			form := &p.file.form.Requests[0]
			for b.Loop() {
				if _, err := form.read(answerFrom(b, p.file, form, s.good)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Five providers that answer at once, which is what the engine itself costs.
func BenchmarkEngine(b *testing.B) {
	var providers []Provider
	for i := range 5 {
		providers = append(providers, local{stub{fmt.Sprint("p", i), says(answerCases[0].want)}})
	}
	e := New(Options{Providers: providers})
	for b.Loop() {
		e.Lookup(b.Context(), publicIP)
	}
}
