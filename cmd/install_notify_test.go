package cmd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// pastLog is an auth.log of the last days.
func pastLog(days int) string {
	now := time.Now().UTC()
	return logOf(now.AddDate(0, 0, -days), now)
}

// logOf is an auth.log in which alice comes each morning, and ci every quarter of an
// hour.
func logOf(from, to time.Time) string {
	var b strings.Builder
	accepted := func(at time.Time, user, ip string) {
		fmt.Fprintf(&b, "%s web1 sshd[%d]: Accepted publickey for %s from %s port 4%d ssh2: ED25519 SHA256:t71VwRt4GwzMQ6puV/na3wZg6dHU4n4Jee5DpAfUVK4\n",
			at.Format("2006-01-02T15:04:05.000000-07:00"), at.Unix()%30000+2, user, ip, at.Unix()%1000+1000)
	}
	for at := from.Truncate(15 * time.Minute); at.Before(to); at = at.Add(15 * time.Minute) {
		accepted(at, "ci", "198.51.100.9")
		if at.Hour() == 9 && at.Minute() == 0 {
			accepted(at.Add(5*time.Minute), "alice", "203.0.113.7")
		}
	}
	return b.String()
}

func TestInstallAsksWhichLoginsAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		log     string
		answers []string
		said    []string
		want    string
	}{
		"Enter":               {pastLog(4), []string{""}, []string{"logins of the last 4 days would have made:\n", "1 auto", "2 unusual", "3 all", "[auto]: "}, "auto"},
		"a number":            {pastLog(4), []string{"2"}, nil, "unusual"},
		"a name":              {pastLog(4), []string{"all"}, nil, "all"},
		"a wrong answer":      {pastLog(4), []string{"some", "3"}, []string{"1, 2 or 3 [auto]: 1, 2 or 3 [auto]: "}, "all"},
		"nothing to show":     {"", []string{""}, []string{"(" + errNoPast.Error() + ")", "1 auto", "odd ones at once"}, "auto"},
		"logins of others":    {strings.ReplaceAll(pastLog(4), "for alice", "for bob"), []string{""}, []string{"(" + errNoPast.Error() + ")"}, "auto"},
		"a log long ago":      {logOf(time.Now().UTC().AddDate(-3, 0, 0), time.Now().UTC().AddDate(-3, 0, 1)), []string{""}, []string{"("}, "auto"},
		"a log of the future": {logOf(time.Now().UTC().AddDate(40, 0, 0), time.Now().UTC().AddDate(40, 0, 1)), []string{""}, []string{"("}, "auto"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAccount(t)
			p.write("var/log/auth.log", c.log)
			p.answers(c.answers...)
			p.in = madeUpWebhook
			if err := p.install(func(o *installOptions) { o.webhookFile, o.noTest = "-", true }); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.said {
				if !strings.Contains(p.said.String(), want) {
					t.Errorf("%q is not said:\n%s", want, p.said.String())
				}
			}
			if settings := p.read(".config/sshnotify/config.toml"); !strings.Contains(settings, "\nnotify = \""+c.want+"\"\n") {
				t.Errorf("not %s:\n%s", c.want, settings)
			}

			// What was chosen stays, and is not asked again.
			once := p.snapshot()
			p.answers()
			if err := p.install(func(o *installOptions) { o.noTest = true }); err != nil || strings.Contains(p.said.String(), "[auto]") {
				t.Errorf("the second time: %v, asked %s", err, p.said.String())
			}
			if now := p.snapshot(); len(now) != len(once) {
				t.Error("the second time changed something")
			}
		})
	}
}

func TestInstallTakesNotify(t *testing.T) {
	unusual := func(o *installOptions) { o.noTest, o.notify = true, "unusual" }
	for name, c := range map[string]struct {
		settings, file, want, warning string
	}{
		"a new host":                   {"", "config.toml", "notify = \"unusual\"\n", ""},
		"settings that say nothing":    {"# nothing\n", "conf.d/notify.toml", "notify = \"unusual\"\n", ""},
		"settings without notify":      {"[destination.log]\n", "conf.d/notify.toml", "notify = \"unusual\"\n", ""},
		"settings that say the same":   {"notify = \"unusual\"\n[destination.log]\n", "config.toml", "notify = \"unusual\"\n", ""},
		"settings that say another":    {"notify = \"all\"\n[destination.log]\n", "config.toml", "notify = \"all\"\n", "--notify is not used"},
		"a new host, and nobody asked": {"", "config.toml", "notify = \"unusual\"\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAccount(t)
			if c.settings != "" {
				p.write(".config/sshnotify/config.toml", c.settings)
			}
			p.in = madeUpWebhook
			err := p.install(func(o *installOptions) {
				unusual(o)
				if !strings.Contains(c.settings, "destination") {
					o.webhookFile = "-"
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.read(".config/sshnotify/" + c.file); !strings.Contains(got, c.want) {
				t.Errorf("%s says %q", c.file, got)
			}
			if !strings.Contains(p.err.String(), c.warning) || c.warning == "" && p.err.Len() > 0 {
				t.Errorf("warned %q", p.err.String())
			}
			if _, err := config.Load(p.home + "/.config/sshnotify/config.toml"); err != nil {
				t.Error(err)
			}
			if strings.Contains(p.out.String(), "would have made") {
				t.Error("it was chosen already")
			}
		})
	}
}

// Without a terminal the figures are a line.
func TestInstallSaysWhatWouldHaveBeenTold(t *testing.T) {
	p := newAccount(t)
	p.write("var/log/auth.log", pastLog(4))
	p.in = madeUpWebhook
	if err := p.install(func(o *installOptions) { o.webhookFile = "-" }); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.out.String(), "logins of the last 4 days would have made: auto ") || !strings.Contains(p.out.String(), "; notify = \"auto\"\n") {
		t.Error(p.out.String())
	}
	if settings := p.read(".config/sshnotify/config.toml"); !strings.Contains(settings, "notify = \"auto\"\n") {
		t.Error(settings)
	}
}

// The three share a memory, and say what three replays do.
func TestLookBackIsReplay(t *testing.T) {
	standin.Gate(t)
	p := newAccount(t)
	p.write("var/log/auth.log", pastLog(9))
	a := p.app()
	o := installOptions{changer: changer{setter: p.setter(a)}, past: p.past(a)}
	o.system, o.past.patience = true, time.Hour
	s, err := o.accountSetup("", []string{"bash"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := o.lookBack(t.Context(), s, s.settings)
	if err != nil {
		t.Fatal(err)
	}
	for i, mode := range notifyModes() {
		c := s.settings
		c.Notify = mode
		want := foreseen{mode: mode}
		all := o.past.records.Open(t.Context(), nil, "", time.Time{})
		if _, bad, err := (&replayOptions{app: a}).play(t.Context(), c, all, func(m *deliver.Told) error {
			want.messages++
			if m.Alert.Verdict.Severity >= event.High {
				want.high++
			}
			return nil
		}); err != nil || len(bad) > 0 {
			t.Fatal(err, bad)
		}
		if l.modes[i] != want || want.messages == 0 {
			t.Errorf("%+v, want %+v", l.modes[i], want)
		}
	}

	o.past.patience = 1 // too little for all of it
	if l, err := o.lookBack(t.Context(), s, s.settings); err == nil && !l.cut {
		t.Errorf("it says nothing of what it left out: %+v", l)
	}
}

func TestOutlook(t *testing.T) {
	for want, l := range map[string]outlook{
		"the last day":     {days: 0.2},
		"the last 12 days": {days: 12.3},
		"the first 3 days of the last 30 (all of them would take too long)": {days: 2.8, cut: true},
		"the first day of the last 30 (all of them would take too long)":    {days: 0.8, cut: true},
	} {
		if got := l.span(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if n := (outlook{days: 3}).perWeek(30); n != 30 {
		t.Errorf("%d a week are made of 30 in three days", n)
	}
	if n := (outlook{days: 28}).perWeek(40); n != 10 {
		t.Errorf("%d a week", n)
	}
}
