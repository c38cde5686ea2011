package parse_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/tools/loggen"
)

func generate(tb testing.TB, o loggen.Options) ([]string, loggen.Stats) {
	tb.Helper()
	var b bytes.Buffer
	stats, err := loggen.Write(&b, o)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), stats
}

func november() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

func BenchmarkParse(b *testing.B) {
	for name, o := range map[string]loggen.Options{
		"traditional": {},
		"rfc3339":     {Format: loggen.RFC3339, Program: "sshd-session"},
	} {
		b.Run(name, func(b *testing.B) {
			lines, stats := generate(b, o)
			b.ReportAllocs()
			for b.Loop() {
				p := parse.New(parse.Options{Now: november})
				attempts := 0
				for _, l := range lines {
					if r := p.Parse(line.Line{Text: l}); r.Outcome == parse.Failure {
						attempts += r.Count
					}
				}
				if attempts != stats.Attempts {
					b.Fatalf("%d attempts, %d are in the log", attempts, stats.Attempts)
				}
			}
			b.ReportMetric(float64(len(lines))*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
