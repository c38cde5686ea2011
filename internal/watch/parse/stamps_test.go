package parse_test

import (
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Skip(err)
	}
	return z
}

func TestTimes(t *testing.T) {
	for _, tt := range []struct {
		name, stamp, want, zone string
		now                     time.Time
	}{
		{"RFC 3339", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z", "UTC", november()},
		{"RFC 3339 with an offset", "2026-11-20T10:00:00.123456+01:00", "2026-11-20T09:00:00.123456Z", "Asia/Tokyo", november()},
		{"an offset without a colon", "2026-11-20 10:00:00.5-0730", "2026-11-20T17:30:00.5Z", "UTC", november()},
		{"proftpd's, in the zone of the host", "2026-11-20 10:00:00,124", "2026-11-20T09:00:00.124Z", "Europe/Berlin", november()},
		{"slashes", "2026/11/20 10:00:00", "2026-11-20T10:00:00Z", "UTC", november()},
		{"epoch", "1763632800", "2025-11-20T10:00:00Z", "UTC", november()},
		{"epoch with a fraction", "1763632800.25", "2025-11-20T10:00:00.25Z", "UTC", november()},
		{"syslog", "Nov 20 10:00:00", "2026-11-20T10:00:00Z", "UTC", november()},
		{"syslog in summer", "Jul  4 10:00:00", "2026-07-04T08:00:00Z", "Europe/Berlin", november()},
		{"syslog with a fraction", "Nov 20 10:00:00.250", "2026-11-20T10:00:00.25Z", "UTC", november()},
		{"syslog with a year", "Nov 20 2020 10:00:00", "2020-11-20T10:00:00Z", "UTC", november()},
		{"the day of a single space", "Nov 2 10:00:00", "2026-11-02T10:00:00Z", "UTC", november()},
		{"later this year is last year", "Dec 10 10:00:00", "2025-12-10T10:00:00Z", "UTC", november()},
		{"a clock that is an hour ahead", "Nov 21 13:00:00", "2026-11-21T13:00:00Z", "UTC", november()},
		{"a day ahead, to the second", "Nov 22 12:00:00", "2026-11-22T12:00:00Z", "UTC", november()},
		{"a second more", "Nov 22 12:00:01", "2025-11-22T12:00:01Z", "UTC", november()},
		{"New Year's Eve, read on New Year's Day", "Dec 31 23:59:59", "2026-12-31T23:59:59Z", "UTC", time.Date(2027, 1, 1, 0, 0, 5, 0, time.UTC)},
		{"New Year's Day, read on New Year's Eve by a clock that is behind", "Jan  1 00:00:05", "2027-01-01T00:00:05Z", "UTC", time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)},
		{"a leap day", "Feb 29 10:00:00", "2024-02-29T10:00:00Z", "UTC", november()},
		{"a leap day, eight years back", "Feb 29 10:00:00", "2096-02-29T10:00:00Z", "UTC", time.Date(2103, 5, 1, 0, 0, 0, 0, time.UTC)},
		{"vsftpd's", "Fri Nov 20 10:00:00 2026", "2026-11-20T09:00:00Z", "Europe/Berlin", november()},
		{"an hour that never was", "Mar 29 02:30:00", "2026-03-29T01:30:00Z", "Europe/Berlin", november()},
		{"no day", "Nov 31 10:00:00", "", "UTC", november()},
		{"no month", "Foo 20 10:00:00", "", "UTC", november()},
		{"no hour", "Nov 20 25:00:00", "", "UTC", november()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := parse.Options{Zone: zone(t, tt.zone), Now: func() time.Time { return tt.now }}
			r := parse.Explain(line.Line{Text: tt.stamp + " web1 sshd[1]: Invalid user x from 203.0.113.7"}, o)
			got := ""
			if !r.Time.IsZero() {
				got = r.Time.Format(time.RFC3339Nano)
			}
			if got != tt.want {
				t.Errorf("%s, not %s", got, tt.want)
			}
		})
	}
}

// The hour that comes twice: what was logged goes forward.
func TestTheHourThatComesTwice(t *testing.T) {
	p := parse.New(parse.Options{Zone: zone(t, "Europe/Berlin"), Now: november})
	for _, tt := range []struct{ stamp, want string }{
		{"Oct 25 01:59:00", "2026-10-24T23:59:00Z"},
		{"Oct 25 02:01:00", "2026-10-25T00:01:00Z"},
		{"Oct 25 02:58:00", "2026-10-25T00:58:00Z"},
		{"Oct 25 02:02:00", "2026-10-25T01:02:00Z"},
		{"Oct 25 02:59:00", "2026-10-25T01:59:00Z"},
		{"Oct 25 03:01:00", "2026-10-25T02:01:00Z"},
	} {
		r := p.Parse(line.Line{Text: tt.stamp + " web1 sshd[1]: Invalid user x from 203.0.113.7"})
		if got := r.Time.Format(time.RFC3339); got != tt.want {
			t.Errorf("%s is %s, not %s", tt.stamp, got, tt.want)
		}
	}
}

// Two years, in zones that turn their clocks oddly, is what the
// standard library says.
func TestTimesAgreeWithTheStandardLibrary(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu"} {
		z := zone(t, name)
		p := parse.New(parse.Options{Zone: z, Now: november})
		for at := time.Date(2024, 1, 1, 0, 7, 9, 0, time.UTC); at.Year() < 2026; at = at.Add(17 * time.Minute) {
			r := p.Parse(line.Line{Text: at.In(z).Format("2006-01-02T15:04:05") + " web1 sshd[1]: Server listening on x"})
			if !r.Time.Equal(at) {
				t.Fatalf("%s: %s is %s, not %s", name, at.In(z), r.Time, at)
			}
		}
	}
}
