package cmd

import (
	"slices"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
)

func TestInstallOffersDestinations(t *testing.T) {
	const mailSettings = "[destination.mail]\nserver = \"mail.example.com:587\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\nusername = \"alerts\"\npassword_file = \"DIR/mail.password\"\n"
	for name, c := range map[string]struct {
		answers []string
		want    string // in the settings; DIR is their folder
		secrets map[string]string
		asked   string
	}{
		"Enter is Slack":       {[]string{"", madeUpWebhook}, "[destination.slack]\nwebhook_url_file = \"DIR/slack.url\"\n", map[string]string{"slack.url": madeUpWebhook}, "1 Slack, 2 mail, 3 Telegram, 4 ntfy, 5 Discord, 6 Teams, 7 webhook\n[1]: "},
		"mail":                 {[]string{"2", "mail.example.com:587", "a@example.com", "b@example.com", "alerts", "MadeUpSecret"}, mailSettings, map[string]string{"mail.password": "MadeUpSecret"}, "SMTP server"},
		"mail of this host":    {[]string{"mail", "", "a@example.com", "b@example.com", ""}, "server = \"localhost\"\ntls = \"none\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"\n", nil, "[localhost]: "},
		"mail, a typing error": {[]string{"2", "mail.example.com", "a", "b@example.com", "", "mail.example.com", "a@example.com", "b@example.com", ""}, "from = \"a@example.com\"", nil, "from: must be a mail address"},
		"Telegram":             {[]string{"telegram", "123456:MadeUpSecret", "-1001234"}, "[destination.telegram]\ntoken_file = \"DIR/telegram.token\"\nchat = \"-1001234\"\n", map[string]string{"telegram.token": "123456:MadeUpSecret"}, "@BotFather"},
		"ntfy":                 {[]string{"4", "ssh-x", "", ""}, "[destination.ntfy]\ntopic = \"ssh-x\"\nurl = \"https://ntfy.sh\"\n", nil, "Access token (not shown; Enter for none): "},
		"ntfy with a token":    {[]string{"4", "", "https://ntfy.example.com", "tk_MadeUpSecret"}, "token_file = \"DIR/ntfy.token\"\n", map[string]string{"ntfy.token": "tk_MadeUpSecret"}, "Topic [ssh-"},
		"Discord":              {[]string{"5", "https://discord.com/api/webhooks/1/MadeUpSecret"}, "[destination.discord]\nwebhook_url_file = \"DIR/discord.url\"\n", map[string]string{"discord.url": "https://discord.com/api/webhooks/1/MadeUpSecret"}, "Integrations"},
		"Teams":                {[]string{"6", "https://prod.example.com/workflows/1?sig=MadeUpSecret"}, "[destination.teams]\nwebhook_url_file = \"DIR/teams.url\"\n", map[string]string{"teams.url": "https://prod.example.com/workflows/1?sig=MadeUpSecret"}, "workflow"},
		"webhook":              {[]string{"7", "https://alerts.example.com/MadeUpSecret", ""}, "[destination.webhook]\nurl_file = \"DIR/webhook.url\"\nsecret_file = \"DIR/webhook.secret\"\n", map[string]string{"webhook.url": "https://alerts.example.com/MadeUpSecret"}, "(not shown; Enter makes one)"},
		"no such number":       {[]string{"9", "x", "1", madeUpWebhook}, "[destination.slack]", nil, "[1]: [1]: "},
	} {
		t.Run(name, func(t *testing.T) {
			p := newAccount(t)
			p.answers(append(c.answers, "", "")...) // auto
			if err := p.install(func(o *installOptions) { o.noTest = true }); err != nil {
				t.Fatalf("%v\n%s", err, p.said.String())
			}
			dir := p.home + "/.config/sshnotify"
			if got := p.read(".config/sshnotify/config.toml"); !strings.Contains(got, strings.ReplaceAll(c.want, "DIR", dir)) {
				t.Errorf("settings:\n%s\nwithout\n%s", got, c.want)
			}
			for file, want := range c.secrets {
				if got := p.read(".config/sshnotify/" + file); got != want+"\n" {
					t.Errorf("%s holds %q", file, got)
				}
			}
			if !strings.Contains(p.said.String(), c.asked) {
				t.Errorf("%q is not said:\n%s", c.asked, p.said.String())
			}
			p.noSecret()
			s, err := config.Load(dir + "/config.toml")
			if err != nil || len(s.Destinations) != 1 {
				t.Errorf("%v: %+v", err, s.Destinations)
			}
			if err := p.uninstall(func(o *uninstallOptions) { o.purge, o.yes = true, true }); err != nil {
				t.Fatal(err)
			}
			if after := p.snapshot(); len(after) != 2 {
				t.Errorf("uninstall leaves %v", after)
			}
		})
	}
}

// A package's settings stay, and where alerts go is beside them.
func TestInstallAddsADestination(t *testing.T) {
	p := newAccount(t)
	p.write(".config/sshnotify/config.toml", "# nothing yet\n")
	p.answers("0", "") // the system log, auto
	if err := p.install(nil); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.snapshot()[p.home+"/.config/sshnotify/conf.d/slack.toml"]; ok || !strings.Contains(p.said.String(), "0 the system log only") {
		t.Errorf("asked %s", p.said.String())
	}
	p.answers("ntfy", "ssh-x", "", "")
	if err := p.install(func(o *installOptions) { o.noTest = true }); err != nil {
		t.Fatal(err)
	}
	if got := p.read(".config/sshnotify/conf.d/ntfy.toml"); !strings.Contains(got, "[destination.ntfy]\ntopic = \"ssh-x\"\n") {
		t.Error(got)
	}
	if p.read(".config/sshnotify/config.toml") != "# nothing yet\n" || !strings.Contains(p.read(".config/sshnotify/conf.d/notify.toml"), "notify = \"auto\"\n") {
		t.Error("the settings are not as they should be")
	}
}

// What install asks for, the registry knows; and it asks for all that must be there.
func TestOffers(t *testing.T) {
	all := offers()
	if len(all) != 7 {
		t.Errorf("%d are offered", len(all))
	}
	for _, o := range all {
		i := slices.IndexFunc(channel.Types(), func(t channel.Type) bool { return t.Name == o.typ })
		keys := channel.Types()[i].Keys()
		for _, q := range o.questions {
			if !slices.ContainsFunc(keys, func(k channel.Key) bool { return k.Name == q.key }) {
				t.Errorf("%s has no key %s", o.typ, q.key)
			}
		}
		for _, k := range keys {
			if k.Required && !slices.ContainsFunc(o.questions, func(q question) bool { return q.key == k.Name }) {
				t.Errorf("%s needs %s, which is not asked for", o.typ, k.Name)
			}
		}
	}
}
