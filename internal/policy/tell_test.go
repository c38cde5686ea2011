package policy

import (
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// TestTell holds what is told at once, what waits for the daily digest, and how
// often somebody is told of what nobody answers.
func TestTell(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	high := func(told time.Duration, unanswered int) event.Pair {
		return event.Pair{State: event.PairNew, Told: ago(told), ToldSeverity: event.High, ToldReasons: []string{"new_country"}, Unanswered: unanswered}
	}
	usual := event.Pair{State: event.PairUsual}
	told := func(p event.Pair, d time.Duration) event.Pair {
		p.Told, p.ToldSeverity, p.ToldReasons = ago(d), event.Low, []string{"new_pair"}
		return p
	}
	whys := map[string]When{}
	for _, row := range []struct {
		name     string
		pair     event.Pair
		severity event.Severity
		keys     []string
		in       Input
		notify   string
		want     When
	}{
		{"usual, and few come", usual, event.Low, nil, Input{OneByOne: true}, NotifyAuto, Now},
		{"usual, and many come", usual, event.Low, nil, Input{}, NotifyAuto, Digest},
		{"usual, and more often than hourly", usual, event.Low, nil, Input{OneByOne: true, Frequent: true}, NotifyAuto, Digest},
		{"usual, where only the unusual is told", usual, event.Low, nil, Input{OneByOne: true, Few: true}, NotifyUnusual, Digest},
		{"usual, where each is told", usual, event.Low, nil, Input{}, NotifyAll, Now},
		{"new, and never told", event.Pair{}, event.Low, []string{"new_pair"}, Input{}, NotifyAuto, Now},
		{"new, and told an hour ago", told(event.Pair{State: event.PairNew}, time.Hour), event.Low, []string{"new_pair"}, Input{}, NotifyAuto, Digest},
		{"the same on a host with few logins", told(event.Pair{State: event.PairNew}, time.Hour), event.Low, []string{"new_pair"}, Input{Few: true}, NotifyAuto, Now},
		{"the same where only the unusual is told", told(event.Pair{State: event.PairNew}, time.Hour), event.Low, []string{"new_pair"}, Input{Few: true}, NotifyUnusual, Digest},
		{"new, and told yesterday", told(event.Pair{State: event.PairNew}, 13*time.Hour), event.Low, []string{"new_pair"}, Input{}, NotifyAuto, Now},
		{"a new reason for somebody usual", told(usual, time.Hour), event.Medium, []string{"absent"}, Input{}, NotifyAuto, Now},
		{"high, never told", event.Pair{}, event.High, []string{"new_country"}, Input{}, NotifyAuto, Now},
		{"high, told five hours ago", high(5*time.Hour, 1), event.High, []string{"new_country"}, Input{}, NotifyAuto, Digest},
		{"high, told six hours ago", high(6*time.Hour, 1), event.High, []string{"new_country"}, Input{}, NotifyAuto, Now},
		{"high, told twice, the last 23 hours ago", high(23*time.Hour, 2), event.High, []string{"new_country"}, Input{}, NotifyAuto, Digest},
		{"high, told twice, the last a day ago", high(day, 2), event.High, []string{"new_country"}, Input{}, NotifyAuto, Now},
		{"high, told six times, the last a day ago", high(day, 6), event.High, []string{"new_country"}, Input{}, NotifyAuto, Now},
		{"high, told seven times, the last six days ago", high(6*day, 7), event.High, []string{"new_country"}, Input{}, NotifyAuto, Digest},
		{"high, told seven times, the last a week ago", high(7*day, 7), event.High, []string{"new_country"}, Input{}, NotifyAuto, Now},
		{"high with a new reason, told a minute ago", high(time.Minute, 3), event.High, []string{"new_country", "tor"}, Input{}, NotifyAuto, Now},
		{"critical, where high was told", high(time.Minute, 3), event.Critical, []string{"new_country"}, Input{}, NotifyAuto, Now},
		{"high and unanswered, where each is told", high(time.Minute, 3), event.High, []string{"new_country"}, Input{}, NotifyAll, Now},
	} {
		t.Run(row.name, func(t *testing.T) {
			in := row.in
			in.Event = event.Event{Kind: event.KindLogin, Time: now, User: "alice"}
			in.Memory = event.Memory{Known: true, Pair: row.pair}
			v := event.Verdict{Severity: row.severity, Keys: row.keys}
			got := Tell(in, v, Settings{Notify: row.notify})
			if got.When != row.want || got.Why == "" {
				t.Errorf("told %v (%s), want %v", got.When, got.Why, row.want)
			}
			// Each decision has words of its own.
			if before, ok := whys[got.Why]; ok && before != got.When {
				t.Errorf("%q is why it is told %v, and %v", got.Why, got.When, before)
			}
			whys[got.Why] = got.When
		})
	}
	young, old := event.Memory{Known: true, Young: true}, event.Memory{Known: true}
	others := func(m event.Memory, network, country int) event.Memory {
		m.HostNetwork.Count, m.HostCountry.Count = network, country
		return m
	}
	first := event.Verdict{Severity: event.Medium, Keys: []string{"first_login"}}
	for _, row := range []struct {
		name   string
		memory event.Memory
		v      event.Verdict
		method string
		want   When
	}{
		{"a student's first login, from the campus", others(young, 9, 9), first, "password", Digest},
		{"the same by key, by a carrier of the country", others(young, 0, 9), first, "publickey", Digest},
		{"the same by password: it may be guessed", others(young, 0, 9), first, "password", Now},
		{"by key from a country where nobody came from", others(young, 0, 0), first, "publickey", Now},
		{"by key from Tor", others(young, 9, 9), event.Verdict{Severity: event.High, Keys: []string{"tor", "first_login"}}, "publickey", Now},
		{"with a key that nobody knows", others(young, 9, 9), event.Verdict{Severity: event.Medium, Keys: []string{"unknown_key", "first_login"}}, "publickey", Now},
		{"on a host that is not young", others(old, 9, 9), first, "publickey", Now},
		{"there, of somebody known", others(old, 9, 9), event.Verdict{Keys: []string{"new_pair"}}, "password", Digest},
	} {
		t.Run("one of many new: "+row.name, func(t *testing.T) {
			in := Input{Event: event.Event{Kind: event.KindLogin, Time: now, User: "alice", Login: event.Login{Auth: event.Auth{Method: row.method}}}, Memory: row.memory}
			in.Facts.Place.Country = "DE"
			if got := Tell(in, row.v, Settings{Notify: NotifyAuto}); got.When != Now {
				t.Errorf("where it is one of few, told %v (%s)", got.When, got.Why)
			}
			in.ManyNew = true
			if got := Tell(in, row.v, Settings{Notify: NotifyAuto}); got.When != row.want || got.Why == "" {
				t.Errorf("told %v (%s), want %v", got.When, got.Why, row.want)
			}
			if got := Tell(in, row.v, Settings{Notify: NotifyAll}); got.When != Now {
				t.Errorf("with all, told %v", got.When)
			}
		})
	}
	t.Run("with no memory, whatever the settings", func(t *testing.T) {
		in := Input{Event: event.Event{Kind: event.KindLogin, Time: now}}
		if got := Tell(in, event.Verdict{}, Settings{Notify: NotifyUnusual}); got.When != Now {
			t.Errorf("told %v", got.When)
		}
	})
}
