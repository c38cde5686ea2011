package policy

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

func TestParseHours(t *testing.T) {
	for s, want := range map[string]string{
		"22:00-06:00":           "22:00-06:00",
		"mon-fri 08:00-18:00":   "mon,tue,wed,thu,fri 08:00-18:00",
		" Mon-FRI  08:00-18:00": "mon,tue,wed,thu,fri 08:00-18:00",
		"sat-sun":               "sat,sun 00:00-24:00",
		"fri-mon":               "mon,fri,sat,sun 00:00-24:00",
		"wed":                   "wed 00:00-24:00",
		"mon,wed,fri-sat":       "mon,wed,fri,sat 00:00-24:00",
		"mon-sun":               "00:00-24:00",
		"00:00-24:00":           "00:00-24:00",
		"22:00-24:00":           "22:00-24:00",
		"22:00-00:00":           "22:00-00:00",
		"23:59-00:01":           "23:59-00:01",
	} {
		h, err := ParseHours(s)
		if err != nil || h.String() != want {
			t.Errorf("%q: %q %v, want %q", s, h, err, want)
		}
		again, err := ParseHours(h.String())
		if err != nil || again != h {
			t.Errorf("%q: written as %q, which is %v %v", s, h, again, err)
		}
	}
	for _, s := range []string{
		"", " ", "22-06", "22:00", "22:00-", "-06:00", "22:00-06:00-07:00", "24:00-06:00", "08:00-08:00", "25:00-06:00", "08:60-09:00",
		"8:00-18:00", "08:00-18:0", "08:00 - 18:00", "monday", "mon-", "-mon", "mon,,tue", "mo", "mon-fri mon-fri", "08:00-18:00 mon",
		"mon 08:00-18:00 tue", "24:01-06:00", "08:00-24:01", "+8:00-18:00", "０8:00-18:00",
	} {
		if h, err := ParseHours(s); err == nil || h != (Hours{}) {
			t.Errorf("%q: %v", s, h)
		}
	}
	var none Hours
	if none.Contain(now) {
		t.Error("no hours hold a time")
	}
}

// A week of logins, one every quarter of an hour, around each kind of change of
// the clock: in and out by what the clock on the wall shows.
func TestHoursAroundChangesOfTheClock(t *testing.T) {
	for _, tt := range []struct {
		name, zone, around string
		logins             int // quarters of an hour that are in "22:00-06:00", every day of seven
		skipped, repeated  string
	}{
		{"no change", "UTC", "2026-06-10", 7 * 32, "", ""},
		{"Dublin, forward", "Europe/Dublin", "2026-03-29", 7*32 - 4, "01:", ""},
		{"Dublin, back", "Europe/Dublin", "2026-10-25", 7*32 + 4, "", "01:"},
		{"New York, back", "America/New_York", "2026-11-01", 7*32 + 4, "", "01:"},
		{"Lord Howe, forward by half an hour", "Australia/Lord_Howe", "2026-10-04", 7*32 - 2, "02:00", ""},
		{"Cairo, forward at midnight", "Africa/Cairo", "2026-04-24", 7*32 - 4, "00:", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			day, err := time.ParseInLocation(time.DateOnly, tt.around, zone)
			if err != nil {
				t.Fatal(err)
			}
			noon := func(d int) time.Time { return time.Date(day.Year(), day.Month(), day.Day()+d, 12, 0, 0, 0, zone) }
			s := household()
			s.Zone = zone
			s.Rules = []Rule{{Name: "night", Hours: hours(t, "22:00-06:00")}, {Name: "day"}}
			night := 0
			walls := map[string]int{} // of the day around
			for at := noon(-3); at.Before(noon(4)); at = at.Add(15 * time.Minute) {
				v := Judge(everyday(func(in *Input) { in.Event.Time = at.UTC() }), s)
				wall := at.Format("15:04")
				if want := wall >= "22:00" || wall < "06:00"; (v.Rule == "night") != want {
					t.Fatalf("%v: rule %s", at, v.Rule)
				}
				if v.Rule == "night" {
					night++
				}
				if at.Day() == day.Day() {
					walls[wall]++
				}
			}
			if night != tt.logins {
				t.Errorf("%d logins at night, want %d", night, tt.logins)
			}
			for wall, n := range walls {
				if (n == 2) != (tt.repeated != "" && strings.HasPrefix(wall, tt.repeated)) || tt.skipped != "" && strings.HasPrefix(wall, tt.skipped) {
					t.Errorf("%s was there %d times", wall, n)
				}
			}
		})
	}
}

// Every minute of a week, for hours that end on the next day.
func TestHoursOverMidnight(t *testing.T) {
	h := hours(t, "fri-sat 22:00-06:00")[0]
	in := 0
	for at := time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC); at.Day() < 23; at = at.Add(time.Minute) {
		clock := at.Format("Mon 15:04")
		want := clock >= "Fri 22:00" && clock < "Fri 24" || clock >= "Sat 00" && clock < "Sat 06:00" ||
			clock >= "Sat 22:00" && clock < "Sat 24" || clock >= "Sun 00" && clock < "Sun 06:00"
		if h.Contain(at) != want || h.Contain(at.Add(59*time.Second+999*time.Millisecond)) != want {
			t.Fatalf("%s: %v", clock, !want)
		}
		if want {
			in++
		}
	}
	if sat := hours(t, "sat 08:00-18:00")[0]; !sat.Contain(now.Add(6*time.Hour)) || sat.Contain(now.Truncate(24*time.Hour).Add(18*time.Hour)) {
		t.Error("the end is in it, or the middle is not")
	}
	if in != 2*8*60 {
		t.Errorf("%d minutes", in)
	}
}

// The edges of quiet hours, over midnight and where the clocks change.
func TestQuietEnds(t *testing.T) {
	dublin, err := time.LoadLocation("Europe/Dublin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		hours string
		at    string // RFC 3339
		want  string // when it ends; empty: it is not quiet
	}{
		{"before", "22:00-07:00", "2026-11-27T21:59:59Z", ""},
		{"from the first moment", "22:00-07:00", "2026-11-27T22:00:00Z", "2026-11-28T07:00:00Z"},
		{"after midnight", "22:00-07:00", "2026-11-28T03:15:30Z", "2026-11-28T07:00:00Z"},
		{"to the last moment", "22:00-07:00", "2026-11-28T06:59:59.9Z", "2026-11-28T07:00:00Z"},
		{"after", "22:00-07:00", "2026-11-28T07:00:00Z", ""},
		{"a weekend", "sat-sun", "2026-11-28T00:00:00Z", "2026-11-30T00:00:00Z"},
		{"a night that begins on a day of the list", "fri 22:00-07:00", "2026-11-28T06:00:00Z", "2026-11-28T07:00:00Z"},
		{"and one that does not", "fri 22:00-07:00", "2026-11-29T06:00:00Z", ""},
		{"by the clock in summer", "22:00-07:00", "2026-07-01T21:30:00Z", "2026-07-02T06:00:00Z"},
		{"the night that is an hour shorter", "22:00-07:00", "2026-03-28T22:00:00Z", "2026-03-29T06:00:00Z"},
		{"that ends in the hour which is not there", "22:00-01:30", "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"},
		{"the night that is an hour longer", "22:00-07:00", "2026-10-24T21:00:00Z", "2026-10-25T07:00:00Z"},
		{"that ends in the hour which comes twice", "22:00-01:30", "2026-10-24T23:50:00Z", "2026-10-25T00:30:00Z"},
		{"and again", "22:00-01:30", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := ParseHours(tt.hours)
			if err != nil {
				t.Fatal(err)
			}
			q := Quiet{Hours: []Hours{h}, Zone: dublin}
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			want := at
			if tt.want != "" {
				want, _ = time.Parse(time.RFC3339, tt.want)
			}
			if got := q.End(at); !got.Equal(want) || q.At(at) != (tt.want != "") {
				t.Errorf("quiet: %v until %v, want until %v", q.At(at), got, want)
			}
		})
	}
}

func TestNeverQuiet(t *testing.T) {
	now := time.Date(2026, 11, 29, 3, 0, 0, 0, time.UTC)
	if q := (Quiet{}); q.At(now) || !q.End(now).Equal(now) {
		t.Error("without hours it is quiet")
	}
}

func TestWeekly(t *testing.T) {
	for text, want := range map[string]string{
		"mon 08:00": "mon 08:00", "MON-fri  07:30": "mon,tue,wed,thu,fri 07:30", "08:00": "08:00", "sun,sat 00:00": "sat,sun 00:00", "mon-sun 23:59": "23:59",
	} {
		var w Weekly
		if err := w.UnmarshalText([]byte(text)); err != nil || w.String() != want || w.Never() {
			t.Errorf("%q: %v, %v", text, w, err)
		}
		var again Weekly
		if err := again.UnmarshalText([]byte(w.String())); err != nil || again != w {
			t.Errorf("%v read again is %v, %v", w, again, err)
		}
	}
	for _, text := range []string{"", "mon", "8:00", "08:00-09:00", "24:00", "mon 08:00 09:00", "moon 08:00", "mon- 08:00", ", 08:00", "every monday 08:00", "08:00 mon", "25:00", "08:60"} {
		w := Weekly{At: 1}
		if err := w.UnmarshalText([]byte(text)); err == nil || w != (Weekly{At: 1}) {
			t.Errorf("%q is %v", text, w)
		}
	}
	if s := (Weekly{}).String(); s != "never" || !(Weekly{}).Never() {
		t.Errorf("the zero value is %q", s)
	}
}
