package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// floodOf is a log of somebody who tries five times, of so many others who try
// once each, and of the first one, who gets in.
func floodOf(addresses int) string {
	var b strings.Builder
	n := 0
	line := func(format string, args ...any) {
		at := time.Date(2026, 11, 20, 2, 0, 0, n*10_000_000, time.UTC)
		n++
		fmt.Fprintf(&b, "%s db1 sshd[%d]: %s\n", at.Format("2006-01-02T15:04:05.000000-07:00"), n, fmt.Sprintf(format, args...))
	}
	for range 5 {
		line("Failed password for root from 203.0.113.7 port 1000 ssh2")
	}
	for i := range addresses {
		from := fmt.Sprintf("10.0.%d.%d", i/2>>8&255, i/2&255)
		if i%2 == 1 {
			from = fmt.Sprintf("2001:db8:1:%x::1", i)
		}
		line("Failed password for invalid user admin from %s port 1000 ssh2", from)
	}
	line("Accepted password for root from 203.0.113.7 port 1001 ssh2")
	return b.String()
}

// More addresses than memory is kept for: what is given up is said in the log, told
// once, and in the table; and who gets in meanwhile is told.
func TestReplayOfAFlood(t *testing.T) {
	const addresses = 22_000
	log := floodOf(addresses)
	for _, args := range [][]string{{"watch", "--replay", "-"}, {"watch", "--replay", "-", "--json"}} {
		var out, said bytes.Buffer
		a := &app{in: strings.NewReader(log), out: &out, err: &said, uid: 1000, places: paths.User{UID: 1000, Home: t.TempDir()}}
		if code := a.run(t.Context(), args); code != exitDone {
			t.Fatal(code, said.String())
		}
		told := regexp.MustCompile(`(?:flood: |"addresses":\{"n":)([\d,]+)(?: addresses, |,"attempts":)([\d,]+\d)`).FindAllStringSubmatch(out.String(), -1)
		if len(told) != 1 {
			t.Fatalf("told %d times:\n%s", len(told), out.String())
		}
		n, _ := strconv.Atoi(strings.ReplaceAll(told[0][1], ",", ""))
		if n < 1000 || n > addresses || told[0][2] != told[0][1] {
			t.Errorf("%s", told[0][0])
		}
		want := []string{`(?m)HIGH      flood: `, `(?m)CRITICAL  root from 203\.0\.113\.7: got in after 5 failures`,
			fmt.Sprintf(`(?m)^flood: addresses given up  %d `, n), fmt.Sprintf(`(?m)^flood: their attempts      %d `, n)}
		if len(args) > 3 {
			want = []string{`"severity":"high","phase":"flooded"`, `"severity":"critical","phase":"success-after",.*"from_address":5,`}
			for line := range strings.Lines(out.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("no JSON: %s", line)
				}
			}
		}
		for _, w := range want {
			if !regexp.MustCompile(w).MatchString(out.String()) {
				t.Errorf("%s is not said:\n%s", w, out.String())
			}
		}
		for _, w := range []string{"attempts are given up", fmt.Sprintf("flood: %d,%03d addresses, %[1]d,%03[2]d attempts", n/1000, n%1000)} {
			if strings.Count(said.String(), w) != 1 {
				t.Errorf("%q is not logged once:\n%s", w, said.String())
			}
		}
	}
}

func TestDoctorOfAFlood(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	flood := func(ago time.Duration, change func(*attack.Flood)) attack.Flood {
		f := attack.Flood{First: now.Add(-ago - time.Hour), Last: now.Add(-ago), Addresses: attack.Lost{N: 17252, Attempts: 138016}}
		change(&f)
		return f
	}
	same := func(*attack.Flood) {}
	for name, c := range map[string]struct {
		flood attack.Flood
		want  string // empty: nothing is said
	}{
		"none":              {attack.Flood{}, ""},
		"today":             {flood(time.Hour, same), "17,252 addresses, 138,016 attempts were given up, from 2026-11-21 10:00:00 to 2026-11-21 11:00:00"},
		"long ago":          {flood(8*24*time.Hour, same), ""},
		"of accounts":       {flood(time.Hour, func(f *attack.Flood) { f.Addresses, f.Accounts = attack.Lost{}, attack.Lost{N: 3, Attempts: 9} }), "3 accounts, 9 attempts were given up"},
		"the clock is back": {flood(-time.Hour, same), "17,252 addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.flood.Any() {
				if err := state.Write(filepath.Join(dir, watch.FloodFile), c.flood); err != nil {
					t.Fatal(err)
				}
			}
			r := doctor.Run(t.Context(), doctor.Target{Now: now}, []doctor.Check{watch.Check(dir, nil, false, nil)})
			var got []doctor.Result
			for _, r := range r.Results {
				if r.Name == "flood" {
					got = append(got, r)
				}
			}
			if c.want == "" {
				if len(got) > 0 {
					t.Errorf("%+v", got)
				}
				return
			}
			if len(got) != 1 || got[0].State != doctor.Warn || !strings.Contains(got[0].Message, c.want) || got[0].Hint == "" {
				t.Errorf("%+v", got)
			}
		})
	}
}
