package config

import (
	"strings"
	"testing"
)

func TestUnmatched(t *testing.T) {
	const (
		log = "[destination.all]\ntype='log'\n"
		x   = "[destination.bird]\ntype='x'\nconsumer_key='aaaaaaaaaaaa'\nconsumer_secret='bbbbbbbbbbbb'\ntoken_file='x.token'\n"
	)
	for _, tt := range []struct{ name, text, want string }{
		{"nothing said", "", ""},
		{"everything to all", log, ""},
		{"logouts, of which there are none", log + "[destination.x]\ntype='log'\nkinds='logout'\n", "destination.x: nothing reaches it: it gets logouts alone"},
		{"logouts", "[login]\nnotify_logout='all'\n" + log + "[destination.x]\ntype='log'\nkinds='logout'\n", ""},
		{"severe digests", log + "[destination.x]\ntype='log'\ndigest='only'\nmin_severity='high'\n", "destination.x: nothing reaches it: it gets digests alone"},
		{"that a rule sends logins to", log + "[destination.x]\ntype='log'\ndigest='only'\nmin_severity='high'\n[[rule]]\nuser='root'\ndestination='x'\n", ""},
		{"that a pattern sends matches to", log + "[destination.x]\ntype='log'\ndigest='only'\nmin_severity='high'\n[[pattern]]\nname='a'\nmatch='b'\ndestination='x'\n", ""},
		{"digests of a user", log + "[destination.x]\ntype='log'\nkinds='digest'\nusers='root'\n", "destination.x: nothing reaches it: it gets digests alone, which are of no user"},
		{"matches of no pattern", log + "[destination.x]\ntype='log'\nkinds='match'\n", "destination.x: nothing reaches it: it gets matches alone"},
		{"matches", log + "[destination.x]\ntype='log'\nkinds='match'\n[[pattern]]\nname='a'\nmatch='b'\n", ""},
		{"quiet hours of what is critical", log + "[destination.x]\ntype='log'\nmin_severity='critical'\nquiet='22:00-07:00'\n", "destination.x: quiet holds nothing"},
		{"reminders of digests", log + "[destination.x]\ntype='log'\ndigest='only'\nremind='1h'\n", "destination.x: remind does nothing"},
		{"reminders of logins after failures", log + "[destination.x]\ntype='log'\nkinds='attack'\nremind='1h'\n", ""},
		{"each has its users", "[destination.a]\ntype='log'\nusers='a'\n[destination.b]\ntype='log'\nusers='b'\ndigest='none'\n[destination.c]\ntype='log'\ndigest='only'\n", "no destination gets all that is critical"},
		{"the kinds that can be critical", "[destination.a]\ntype='log'\nkinds=['login','attack','match','alert','witness', 'gate','digest']\n", ""},
		{"no digest", log + "digest='none'\n", "no destination gets the daily digest"},
		{"no digest, and each login is told", "notify='all'\n" + log + "digest='none'\n", ""},
		{"a digest of one host", log + "digest='none'\n[destination.x]\ntype='log'\nhosts='db*'\n", ""},
		{"a message that all is well to nobody", "[destination.a]\ntype='log'\nmin_severity='medium'\n[destination.b]\ntype='log'\ndigest='only'\n[heartbeat]\nmessage='daily'\n", "no destination gets the message of [heartbeat]"},
		{"a message that all is well to who is named", "[destination.a]\ntype='log'\nmin_severity='medium'\n[destination.b]\ntype='log'\ndigest='only'\n[heartbeat]\nmessage='daily'\ndestination='a'\n", ""},
		{"a report to nobody", "notify='all'\n" + log + "digest='none'\n[report]\nevery='mon 08:00'\n", "no destination gets the report of [report]"},
		{"a report to who is named", "notify='all'\n" + log + "digest='none'\n[report]\nevery='mon 08:00'\ndestination='all'\n", ""},
		{"posts that name users and hosts", x, "destination.bird: its posts tell"},
		{"messages to one reader", x + "to='2244994945'\n", ""},
		{"posts of attackers", log + x + "[publish]\ndestination='bird'\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load(write(t, t.TempDir(), "c.toml", tt.text, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(c.Unmatched(), "\n")
			if (tt.want == "") != (got == "") || !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
