package parse_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

func advent() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC) }

func TestZones(t *testing.T) {
	const said = " h sshd[1]: Failed password for root from 203.0.113.7 port 4000 ssh2"
	entry := func(clock string) string { return "entry " + clock } // of the journal
	for _, row := range []struct {
		name  string
		lines []string
		want  string // times in UTC, - where the machine's zone decides
	}{
		{"no line says a zone", []string{"Nov 27 10:00:00", "2026-11-27 10:00:01"}, "- -"},
		{"the zone of the line before", []string{"2026-11-27T10:00:00-05:00", "Nov 27 10:00:05"}, "15:00:00 15:00:05"},
		{"the zone of the line after", []string{"Nov 27 10:00:00", "Nov 27 10:00:05", "2026-11-27T10:00:10+05:30"}, "04:30:00 04:30:05 04:30:10"},
		{"times of UTC among those of a clock", []string{"2026-11-27T10:00:00Z", "Nov 27 05:00:03", "2026-11-27T10:00:05Z", "Nov 27 07:00:00"}, "10:00:00 10:00:03 10:00:05 12:00:00"},
		{"of a clock that is ahead", []string{"2026-11-27T10:00:00Z", "Nov 27 15:30:03", "2026-11-27T10:00:05Z", "Nov 27 16:30:00"}, "10:00:00 10:00:03 10:00:05 11:00:00"},
		{"hours later", []string{"2026-11-27T10:00:00+13:00", "Nov 27 14:10:00"}, "21:00:00 01:10:00"},
		{"the journal among them", []string{entry("10:00:00"), "Nov 27 11:00:02", "Nov 27 12:30:00"}, "10:00:00 10:00:02 11:30:00"},
		{"the journal after them", []string{"Nov 27 11:00:00", "Nov 27 12:29:50", entry("11:30:00")}, "10:00:00 11:29:50 11:30:00"},
		{"the journal long after", []string{"Nov 27 10:00:00", entry("17:40:00")}, "- 17:40:00"},
		{"summer time ends", []string{"2026-11-01T01:59:50-04:00", "Nov  1 01:59:55", "2026-11-01T01:00:01-05:00", "Nov  1 01:00:05"}, "05:59:50 05:59:55 06:00:01 06:00:05"},
		{"summer time ends without a word", []string{"2026-11-01T01:59:50-04:00", "Nov  1 01:00:05"}, "05:59:50 06:00:05"},
		{"summer time begins", []string{"2026-03-08T01:59:50-05:00", "Mar  8 03:00:05", "2026-03-08T03:00:10-04:00"}, "06:59:50 07:00:05 07:00:10"},
		{"an older part behind a newer", []string{"2026-11-27T10:00:00+01:00", "Nov 20 10:00:00", "Nov 20 10:00:01"}, "09:00:00 09:00:00 09:00:01"},
		{"a container's", []string{`{"log":"Nov 27 08:00:00` + said + `\n","stream":"stderr","time":"2026-11-27T10:00:00Z"}`, "Nov 27 10:00:01"}, "10:00:00 10:00:01"},
		{"seconds since 1970", []string{"1795773600.123456", "Nov 27 05:00:01"}, "10:00:00 10:00:01"},
		{"an old log", []string{"Dec 31 23:59:50", "2019-12-31T23:59:55-05:00", "Jan  1 00:00:05", "2020-01-01T00:00:10-05:00"}, "04:59:50 04:59:55 05:00:05 05:00:10"},
		{"lines without a time", []string{"2026-11-27T10:00:00Z", "hello", "Nov 27 10:00:01"}, "10:00:00 - 10:00:01"},
	} {
		var lines []line.Line
		for _, s := range row.lines {
			l := line.Line{Text: s + said}
			if clock, ok := strings.CutPrefix(s, "entry "); ok {
				at, err := time.Parse(time.DateTime, "2026-11-27 "+clock)
				if err != nil {
					t.Fatal(err)
				}
				l = line.Line{Text: said, Time: at, Entry: &line.Entry{Daemon: "sshd"}}
			} else if strings.HasPrefix(s, "{") {
				l.Text = s
			}
			lines = append(lines, l)
		}
		for _, zone := range []string{"UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"} {
			z := parse.NewZones(advent)
			got := slices.Concat(append(z.Take(lines), z.Rest()...)...)
			p := parse.New(parse.Options{Zone: location(t, zone), Now: advent})
			var times []string
			for i, l := range got {
				at := p.Parse(l).Time
				if l.Time.IsZero() && (parse.New(parse.Options{Now: advent}).Time(l).IsZero() || !sameEverywhere(lines[i])) {
					times = append(times, "-")
					continue
				}
				times = append(times, at.Format(time.TimeOnly))
			}
			if s := strings.Join(times, " "); s != row.want {
				t.Errorf("%s in %s: %s, not %s", row.name, zone, s, row.want)
			}
		}
	}
}

// sameEverywhere reports whether a line bears a time that no zone changes.
func sameEverywhere(l line.Line) bool {
	utc, tokyo := parse.New(parse.Options{Now: advent}), parse.New(parse.Options{Now: advent, Zone: time.FixedZone("", 9*3600)})
	return utc.Time(l).Equal(tokyo.Time(l))
}

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// Lines are held back until one says a zone, but not for ever, and none is lost.
func TestZonesHoldBack(t *testing.T) {
	z := parse.NewZones(advent)
	n, first := 0, -1
	for i := range 40_000 {
		got := z.Take([]line.Line{{Text: fmt.Sprintf("Nov 27 10:00:00 h sshd[%d]: hello", i)}})
		if n += len(slices.Concat(got...)); n > 0 && first < 0 {
			first = i
		}
	}
	rest := z.Rest()
	if n != 40_000 || len(rest) > 0 || first < 4_000 {
		t.Errorf("%d lines, the first after %d, and %d at the end", n, first, len(rest))
	}
}
