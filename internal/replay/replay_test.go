package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/records"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// person is a destination that somebody reads; nothing may be sent to it.
type person struct {
	channel.Channel
	t    *testing.T
	name string
}

func (p person) Name() string           { return p.name }
func (p person) Traits() channel.Traits { return channel.Traits{Pace: time.Second} }
func (p person) Send(context.Context, event.Alert) (event.Receipt, error) {
	p.t.Error("a replay sent something")
	return nil, nil
}

// play plays logs, each a record, and returns a line for each message.
func play(t *testing.T, set deliver.Settings, logs ...string) (told []string, c Counts) {
	t.Helper()
	h := records.Host{Root: "/", Most: 1 << 20, Zone: time.UTC, Now: func() time.Time { return time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }}
	var names []string
	for i, log := range logs {
		name := filepath.Join(t.TempDir(), fmt.Sprint("log", i))
		if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	attacks, err := attack.New(attack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	silent := slog.New(slog.DiscardHandler)
	set.Policy = policy.DefaultSettings()
	set.DigestAt = 8 * time.Hour
	p := Player{
		Watcher: &watch.Watcher{Settings: watch.Settings{Host: "here", DigestAt: 8 * time.Hour}, Parser: parse.New(parse.Options{}), Attacks: attacks, Pending: new(watch.PendingDigest), Log: silent},
		Host:    "here",
		Judges: []Judge{{Worker: deliver.NewReplay(set, "here", silent), Told: func(m *deliver.Told) error {
			l := LineOf(m)
			told = append(told, fmt.Sprintf("%s %s %s %s ×%d to %s", l.Time.Format("2 Jan 15:04:05"), l.Severity, l.Kind, strings.Join(l.Users, ","), l.Events, strings.Join(l.Destinations, ",")))
			return nil
		}}},
	}
	c, bad, err := p.Play(t.Context(), h.Open(t.Context(), names, "", time.Time{}))
	for r, err := range bad {
		t.Errorf("%s: %v", r.Name, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return told, c
}

func accepted(at, user string, pid int) string {
	return fmt.Sprintf("2026-11-%s+00:00 web1 sshd[%d]: Accepted publickey for %s from 203.0.113.7 port 4%d ssh2: ED25519 SHA256:t71VwRt4GwzMQ6puV/na3wZg6dHU4n4Jee5DpAfUVK4\n", at, pid, user, pid)
}

func failed(at, user string, pid int) string {
	return fmt.Sprintf("2026-11-%s+00:00 web1 sshd[%d]: Failed password for %s from 198.51.100.9 port 4%d ssh2\n", at, pid, user, pid)
}

func entry(at time.Time, pid int, message string) string {
	return fmt.Sprintf(`{"__CURSOR":"s=1;i=%d","__REALTIME_TIMESTAMP":"%d","_TRANSPORT":"syslog","SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_UID":"0","_CAP_EFFECTIVE":"1ffffffffff","_SYSTEMD_UNIT":"ssh.service","_PID":"%d","_HOSTNAME":"web1","MESSAGE":"%s"}`+"\n",
		pid, at.UnixMicro(), pid, message)
}

func TestReplay(t *testing.T) {
	one := accepted("02T09:00:00.5", "alice", 100)
	_, said, _ := strings.Cut(strings.TrimSpace(one), "]: ")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, one)
	z.Close()
	tests := []struct {
		name   string
		set    deliver.Settings
		logs   []string
		logins int
		want   []string
	}{
		{"one login", deliver.Settings{}, []string{one}, 1, []string{
			"2 Nov 09:00:00 low login alice ×1 to slack",
		}},
		{"of a packed log", deliver.Settings{}, []string{zipped.String()}, 1, []string{
			"2 Nov 09:00:00 low login alice ×1 to slack",
		}},
		{"that the journal has, too", deliver.Settings{}, []string{one, entry(time.Date(2026, 11, 2, 9, 0, 0, 600e6, time.UTC), 100, said)}, 1, []string{
			"2 Nov 09:00:00 low login alice ×1 to slack",
		}},
		{"of the journal alone", deliver.Settings{}, []string{entry(time.Date(2026, 11, 2, 9, 0, 0, 600e6, time.UTC), 100, said)}, 1, []string{
			"2 Nov 09:00:00 low login alice ×1 to slack",
		}},
		{"rotated logs in any order", deliver.Settings{}, []string{accepted("03T09:00:00.5", "bob", 101), one}, 2, []string{
			"2 Nov 09:00:00 low login alice ×1 to slack",
			"3 Nov 09:00:00 low login bob ×1 to slack",
		}},
		{"repeats within the window are held together", deliver.Settings{Window: 10 * time.Minute}, []string{
			one + accepted("02T09:01:00", "alice", 101) + accepted("02T09:02:00", "alice", 102),
		}, 3, []string{
			"2 Nov 09:00:00 low login alice ×1 to slack",
			"2 Nov 09:10:00 low login alice ×2 to slack",
		}},
		{"an attack stands in the digest of the next morning", deliver.Settings{}, []string{
			failed("02T10:00:00", "root", 1) + failed("02T10:00:10", "root", 2) + failed("02T10:00:20", "root", 3) + failed("02T10:00:30", "root", 4) + failed("02T10:00:40", "root", 5) + failed("02T10:00:50", "root", 6),
		}, 0, []string{
			"3 Nov 08:00:00 low digest  ×6 to slack",
		}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			tc.set.Targets = []deliver.Target{{Dest: person{t: t, name: "slack"}}}
			got, c := play(t, tc.set, tc.logs...)
			if !slices.Equal(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			if len(c.Logins) != tc.logins {
				t.Errorf("%d logins, want %d", len(c.Logins), tc.logins)
			}
		})
	}
}

// Somebody who wants some of it only, and no attacks.
func TestReplayOfOne(t *testing.T) {
	log := accepted("02T09:00:00.5", "alice", 100) + accepted("03T09:00:00", "alice", 101) + accepted("03T10:00:00", "bob", 102) + accepted("04T09:00:00", "alice", 103)
	for i := range 9 {
		log += failed(fmt.Sprintf("03T11:00:0%d", i), "root", 200+i)
	}
	at := func(day int) time.Time { return time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC) }
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	h := records.Host{Root: "/", Most: 1 << 20, Zone: time.UTC, Now: func() time.Time { return at(10) }}
	p := Player{Host: "here", Since: at(3), Until: at(4), User: "alice"}
	told := make([]int, 2)
	for i := range told {
		set := deliver.Settings{Policy: policy.DefaultSettings(), Targets: []deliver.Target{{Dest: person{t: t, name: "slack"}}}}
		p.Judges = append(p.Judges, Judge{Worker: deliver.NewReplay(set, "here", slog.New(slog.DiscardHandler)), Told: func(m *deliver.Told) error {
			if m.Alert.Event.User != "alice" || m.Alert.Event.Kind != event.KindLogin {
				t.Errorf("told %+v", m.Alert.Event)
			}
			told[i]++
			return nil
		}})
	}
	c, _, err := p.Play(t.Context(), h.Open(t.Context(), []string{name}, "", time.Time{}))
	if err != nil || len(c.Logins) != 1 || told[0] != 1 || told[1] != 1 {
		t.Errorf("%v, played %v, told %v", err, c.Logins, told)
	}
}

func TestReplayNamesEachDestinationOnce(t *testing.T) {
	set := deliver.Settings{Targets: []deliver.Target{
		{Dest: person{t: t, name: "slack"}}, {Dest: person{t: t, name: "phone"}, Route: policy.Route{MinSeverity: event.High}}, {Dest: person{t: t, name: "mail"}},
	}}
	got, _ := play(t, set, accepted("02T09:00:00", "alice", 100))
	if want := []string{"2 Nov 09:00:00 low login alice ×1 to slack,mail"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTally(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	tally := Tally{Zone: time.UTC}
	tally.Add(Line{Time: at(2, 9), Kind: event.KindLogin, Users: []string{"alice"}})
	tally.Add(Line{Time: at(2, 23), Kind: event.KindLogin, Severity: event.High, Users: []string{"alice"}})
	tally.Add(Line{Time: at(3, 8), Kind: event.KindDigest, Users: []string{"ci"}})
	var b strings.Builder
	err := tally.Print(&b, Counts{Lines: 9, Failures: 4, First: at(2, 9), Last: at(3, 7), Logins: []Login{
		{at(2, 9), "alice"}, {at(2, 23), "alice"}, {at(3, 1), "ci"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `2 Nov 2026 09:00 to 3 Nov 2026 07:00 (UTC): logins: 3, failed attempts: 4

                 day  logins  messages  critical  high  medium  low
          2026-11-02       2         2         0     1       0    1
          2026-11-03       1         1         0     0       0    1
                 all       3         3         0     1       0    2
  at night (22 to 6)       2         1         0     1       0    0

   user  logins  messages
  alice       2         2
     ci       1         0
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// A replay has quiet hours as a worker has them.
func TestReplayInQuietHours(t *testing.T) {
	h, err := policy.ParseHours("22:00-07:00")
	if err != nil {
		t.Fatal(err)
	}
	set := deliver.Settings{Targets: []deliver.Target{{Dest: person{t: t, name: "phone"}, Quiet: policy.Quiet{Hours: []policy.Hours{h}}}}}
	got, _ := play(t, set, accepted("02T23:00:00", "alice", 100)+accepted("03T01:00:00", "bob", 101)+accepted("03T07:00:30", "carol", 102))
	if want := []string{"3 Nov 07:00:00 low login alice,bob ×2 to phone", "3 Nov 07:00:30 low login carol ×1 to phone"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
