package attack

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/tools/loggen"
)

// replay reads a made log, and returns what was found and how many attempts of whom.
func replay(tb testing.TB, lines []string, zone *time.Location, now time.Time) ([]Finding, map[netip.Addr]int) {
	tb.Helper()
	p, g := parse.New(parse.Options{Zone: zone, Now: func() time.Time { return now }}), newEngine(tb, Options{})
	var found []Finding
	counted := map[netip.Addr]int{}
	for _, l := range lines {
		r := p.Parse(line.Line{Text: l})
		if r.Outcome == parse.Failure {
			counted[r.IP] += r.Count
		}
		found = append(found, g.Take(r)...)
	}
	return append(found, g.Close()...), counted
}

func made(tb testing.TB, o loggen.Options) ([]string, loggen.Stats) {
	tb.Helper()
	var b bytes.Buffer
	stats, err := loggen.Write(&b, o)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), stats
}

func BenchmarkReplay(b *testing.B) {
	lines, stats := made(b, loggen.Options{})
	b.ReportAllocs()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		p, g := parse.New(parse.Options{Now: func() time.Time { return now }}), newEngine(b, Options{})
		attempts := 0
		for _, l := range lines {
			r := p.Parse(line.Line{Text: l})
			if r.Outcome == parse.Failure {
				attempts += r.Count
			}
			g.Take(r)
		}
		if attempts != stats.Attempts {
			b.Fatal(attempts)
		}
	}
	b.ReportMetric(float64(len(lines))*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
