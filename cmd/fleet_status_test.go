package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
)

func TestFleetStatus(t *testing.T) {
	now := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	beat := now.Add(-2 * time.Minute)
	well := func(name string) hub.Host {
		return hub.Host{
			Name: name, Kind: hub.KindHost, Joined: now.Add(-48 * time.Hour), Expires: now.Add(60 * 24 * time.Hour), Beaten: beat,
			Beat: fleet.Beat{Time: beat, Number: 7, Version: "1.2.0", Settings: "0123456789abcdef"}, Have: 7,
		}
	}
	heard := func(h *hub.Host, at time.Time) { h.Beaten, h.Beat.Time = at, at }
	for _, row := range []struct {
		situation string
		change    func(*hub.Host)
		state     hostState
		want      string
	}{
		{"all is well", func(*hub.Host) {}, hostWell, ""},
		{"no beat for a while", func(h *hub.Host) { heard(h, now.Add(-17*time.Minute)) }, hostFail, "silent"},
		{"one beat was lost", func(h *hub.Host) { heard(h, now.Add(-10*time.Minute)) }, hostWell, ""},
		{"it joined, and was never heard of", func(h *hub.Host) { h.Beaten, h.Beat = time.Time{}, fleet.Beat{} }, hostFail, "never heard of"},
		{"it has just joined", func(h *hub.Host) { h.Beaten, h.Beat, h.Joined = time.Time{}, fleet.Beat{}, now.Add(-time.Minute) }, hostWell, ""},
		{"a gap", func(h *hub.Host) { h.Gap = true }, hostFail, "events are missing"},
		{"stopped, and something was taken away", func(h *hub.Host) { h.Gap = true; heard(h, now.Add(-time.Hour)) }, hostFail, "events are missing, silent"},
		{"a certificate that was not renewed", func(h *hub.Host) { h.Expires = now.Add(13 * 24 * time.Hour) }, hostLook, "its certificate ends soon"},
		{"a certificate that has ended", func(h *hub.Host) { h.Expires = now.Add(-time.Hour) }, hostFail, "its certificate has ended"},
		{"by a token, without a certificate", func(h *hub.Host) { h.Kind, h.Expires = hub.KindBearer, time.Time{} }, hostWell, ""},
		{"the hub takes nothing of it", func(h *hub.Host) { h.Beat.Waiting, h.Beat.Oldest = 3, beat.Add(-11*time.Minute) }, hostLook, "events wait"},
		{"what has just come waits", func(h *hub.Host) { h.Beat.Waiting, h.Beat.Oldest = 3, beat.Add(-time.Second) }, hostWell, ""},
		{"dead letters", func(h *hub.Host) { h.Beat.Dead = 2 }, hostLook, "dead letters: 2"},
		{"a clock that is slow", func(h *hub.Host) { h.Beat.Time = beat.Add(-time.Hour) }, hostLook, "its clock is slow"},
		{"a clock of the year 9999", func(h *hub.Host) { h.Beat.Time = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }, hostLook, "its clock is fast"},
		{"it tells by itself", func(h *hub.Host) { h.Beat.Alone = true }, hostLook, "it tells by itself"},
		{"an older version", func(h *hub.Host) { h.Beat.Version = "1.1.0" }, hostLook, "another version"},
		{"revoked, and silent of course", func(h *hub.Host) { h.Revoked, h.Beaten = now, now.Add(-time.Hour) }, hostRevoked, "revoked"},
	} {
		t.Run(row.situation, func(t *testing.T) {
			h := well("web1")
			row.change(&h)
			got := statusOf(h, "1.2.0", now)
			if text := strings.Join(got.Problems, ", "); got.State != row.state || text != row.want {
				t.Errorf("%v %q, want %v %q", got.State, text, row.state, row.want)
			}
		})
	}

	t.Run("the worst is first", func(t *testing.T) {
		old, silent, both, out := well("a-old"), well("b-silent"), well("c-both"), well("0-revoked")
		old.Beat.Version = "1.1.0"
		heard(&silent, now.Add(-time.Hour))
		both.Gap = true
		heard(&both, now.Add(-time.Hour))
		out.Revoked = now
		var names []string
		for _, h := range statuses([]hub.Host{out, old, silent, well("z"), well("y"), both}, "1.2.0", now) {
			names = append(names, h.Name)
		}
		if d := cmp.Diff([]string{"c-both", "b-silent", "a-old", "y", "z", "0-revoked"}, names); d != "" {
			t.Error(d)
		}
	})

	t.Run("what a host says stays text", func(t *testing.T) {
		h := well("web1")
		h.Beat.Version, h.Beat.Settings = "1.2.0\x1b[2J\n", strings.Repeat("é", 999)
		got := statusOf(h, "1.2.0", now)
		if strings.ContainsAny(got.Version, "\x1b\n") || len([]rune(got.Settings)) > maxSaid+1 {
			t.Errorf("%q %q", got.Version, got.Settings)
		}
	})
}

func TestFleetTokenOptions(t *testing.T) {
	for _, row := range []struct {
		situation string
		o         fleetTokenOptions
		want      string // of the error; empty: none
	}{
		{"a token for any host", fleetTokenOptions{uses: 1}, ""},
		{"for one host with labels", fleetTokenOptions{uses: 1, name: "web1", labels: []string{"env=prod", "role=web"}, life: "30m"}, ""},
		{"for many", fleetTokenOptions{uses: 300, life: "1d"}, ""},
		{"a name with a dot", fleetTokenOptions{uses: 1, name: "web1.example.com"}, "is not made of lower-case letters"},
		{"a name for many", fleetTokenOptions{uses: 2, name: "web1"}, "a name is one host's"},
		{"for nobody", fleetTokenOptions{}, "--uses must be 1 or more"},
		{"without an end", fleetTokenOptions{uses: 1, life: "1y"}, "is not a time"},
		{"for too long", fleetTokenOptions{uses: 1, life: "31d"}, "at most 30d"},
		{"a label without a value", fleetTokenOptions{uses: 1, labels: []string{"env"}}, "is not a label"},
		{"both a standby's and a bearer's", fleetTokenOptions{uses: 1, standby: true, bearer: true}, "mutually exclusive"},
		{"a bearer token of nobody", fleetTokenOptions{uses: 1, bearer: true}, "needs --name"},
		{"a bearer token with an end", fleetTokenOptions{uses: 1, bearer: true, name: "web1", life: "1h"}, "until it is revoked"},
	} {
		t.Run(row.situation, func(t *testing.T) {
			_, err := row.o.options()
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want) || exitCode(err) != exitUsage) {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}
