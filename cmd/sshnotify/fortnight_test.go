package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// TestFortnight plays two weeks of a busy host (testdata/fortnight: five people,
// a CI account every ten minutes, 3,000 failed passwords a day) through an empty
// memory. Each odd login is told at once, as severe as it should be; nothing else
// is high; and by default all of it is few enough to be read.
func TestFortnight(t *testing.T) {
	if !endToEnd() {
		t.Skip("it takes some ten seconds each: set SSHNOTIFY_E2E=1")
	}
	list := func(text string) string {
		name := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, row := range []struct {
		name, settings string
		all            bool // each login is told or counted
	}{
		{"with the defaults", "", false},
		{"with a provider that scores the CI's address 40, and calls dave's carrier a VPN", fmt.Sprintf(
			"[provider.scores]\ntype = \"list\"\npath = %q\nscore = 40\n[provider.networks]\ntype = \"list\"\npath = %q\ntrait = \"vpn\"\n",
			list("54.93.10.20\n"), list("109.78.0.0/16\n")), false},
		{"with each login told", "notify = \"all\"\n", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.settings != "" && !soak() {
				t.Skip("a fortnight takes half a minute: set SSHNOTIFY_SOAK=1")
			}
			fortnight(t, row.settings, row.all)
		})
	}
}

func fortnight(t *testing.T, settings string, each bool) {
	b, err := os.ReadFile("../../testdata/fortnight/expect.json")
	if err != nil {
		t.Fatal(err)
	}
	var expect struct {
		Start  time.Time
		Logins int
		Odd    []struct {
			Time        time.Time
			User, IP    string
			Least, Most event.Severity
			Why         string
		}
	}
	if err := json.Unmarshal(b, &expect); err != nil {
		t.Fatal(err)
	}
	all := replayed(t, settings, "../../testdata/fortnight/auth.log.gz")
	for _, o := range expect.Odd {
		worst := toldOf(all, o.Time, o.User, o.IP)
		if worst < o.Least || worst > o.Most {
			t.Errorf("%s from %s at %v (%s) is told as %v, not %v to %v", o.User, o.IP, o.Time, o.Why, worst, o.Least, o.Most)
		}
	}
	week, logins := [2]int{}, 0
	for _, m := range all {
		if n := int(m.Time.Sub(expect.Start) / (7 * 24 * time.Hour)); n < len(week) {
			week[n]++
		}
		if !m.odd && m.Severity >= event.High {
			t.Errorf("false: %s", m.Headline)
		}
		if m.Kind != "digest" {
			logins += m.Events
		}
	}
	if each {
		if logins != expect.Logins {
			t.Errorf("%d logins are told, and %d came", logins, expect.Logins)
		}
		return
	}
	if week[0] > 60 || week[1] > 40 {
		t.Errorf("%d messages in the first week and %d in the second, not 60 and 40", week[0], week[1])
	}
}
