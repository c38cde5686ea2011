package cmd

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// chosen is where alerts shall go: a type of destinations with its settings.
type chosen struct {
	typ    string
	values []value
}

// value is one of its settings.
type value struct {
	key, text string
	secret    bool // it stands in a file of its own
}

// slackAt is a webhook of Slack's.
func slackAt(url outbound.Secret) *chosen {
	return &chosen{channel.SlackType, []value{{"webhook_url", url.Reveal(), true}}}
}

// secretFile is where a secret stands, beside the settings: slack.url, mail.password.
func (d *chosen) secretFile(dir string, v value) string {
	return filepath.Join(dir, d.typ+"."+v.key[strings.LastIndexByte(v.key, '_')+1:])
}

// text is the table of the settings, with secrets in files of a folder.
func (d *chosen) text(dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[destination.%s]\n", d.typ)
	for _, v := range d.values {
		if v.secret {
			fmt.Fprintf(&b, "%s_file = %s\n", v.key, strconv.Quote(d.secretFile(dir, v)))
		} else {
			fmt.Fprintf(&b, "%s = %s\n", v.key, strconv.Quote(v.text))
		}
	}
	return b.String()
}

// secrets are the files for its secrets. An earlier try may have left others, which
// no settings name.
func (d *chosen) secrets(dir string) (files []install.FileText) {
	for _, v := range d.values {
		if v.secret {
			files = append(files, install.FileText{Path: d.secretFile(dir, v), Content: []byte(v.text + "\n"), Secret: true, Replace: true})
		}
	}
	return files
}

// settings are those that name nothing else, read as they will be.
func (d *chosen) settings() (config.Config, error) {
	dir, err := os.MkdirTemp("", "sshnotify-install-")
	if err != nil {
		return config.Config{}, err
	}
	defer os.RemoveAll(dir)
	main := filepath.Join(dir, "config.toml")
	for _, f := range append(d.secrets(dir), install.FileText{Path: main, Content: []byte(d.text(dir))}) {
		if err := os.WriteFile(f.Path, f.Content, 0o600); err != nil {
			return config.Config{}, err
		}
	}
	return config.Load(main)
}

// question is a setting that install asks for.
type question struct {
	key, ask string
	usual    func() string // what Enter means; nil: none, where the setting may be missing
	with     string        // asked only where this one was answered
	secret   bool
	optional bool
}

// offer is a type of destinations that install asks about.
type offer struct {
	typ, name string
	how       string // what it is that is asked for, and who makes it
	questions []question
}

// offers returns the types that install asks about, in the order in which it lists
// them. What is a secret, and what may be missing, the registry knows.
func offers() []offer {
	own := func(s string) func() string { return func() string { return s } }
	all := []offer{
		{channel.SlackType, "Slack", "Alerts go to Slack by an incoming webhook: https://api.slack.com/apps makes one.", []question{{key: "webhook_url", ask: "Webhook URL"}}},
		{channel.MailType, "mail", "", []question{
			{key: "server", ask: "SMTP server, with :PORT if it is not 587; or localhost", usual: own("localhost")},
			{key: "from", ask: "Sender's address"},
			{key: "to", ask: "Recipient's address"},
			{key: "username", ask: "User name there"},
			{key: "password", ask: "Password", with: "username"},
		}},
		{"telegram", "Telegram", "@BotFather makes a bot. Send it a message first, or add it to the group.", []question{{key: "token", ask: "Its token"}, {key: "chat", ask: "Id of the chat, or @name of the channel"}}},
		{"ntfy", "ntfy", "Whoever knows a topic can read it. Subscribe to yours in the app.", []question{
			{key: "topic", ask: "Topic", usual: func() string { return "ssh-" + strings.ToLower(rand.Text()[:12]) }},
			{key: "url", ask: "Server", usual: own("https://ntfy.sh")},
			{key: "token", ask: "Access token"},
		}},
		{"discord", "Discord", "The channel's settings make a webhook, under Integrations.", []question{{key: "webhook_url", ask: "Webhook URL"}}},
		{"teams", "Teams", `A workflow of Teams that begins with "When a Teams webhook request is received" has a URL.`, []question{{key: "webhook_url", ask: "Its URL"}}},
		{channel.WebhookType, "webhook", "JSON is posted to a program of your own, signed as Standard Webhooks.", []question{
			{key: "url", ask: "Its URL"},
			{key: "secret", ask: "Secret to sign with", usual: newSigningSecret},
		}},
	}
	types := channel.Types()
	return slices.DeleteFunc(all, func(o offer) bool {
		i := slices.IndexFunc(types, func(t channel.Type) bool { return t.Name == o.typ })
		if i < 0 {
			return true
		}
		for _, k := range types[i].Keys() {
			for j := range o.questions {
				if q := &o.questions[j]; q.key == k.Name {
					q.secret, q.optional = k.Secret, !k.Required && o.typ != channel.SlackType
				}
			}
		}
		return false
	})
}

// newSigningSecret makes a secret of Standard Webhooks'.
func newSigningSecret() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(b)
}

// askDestination asks where alerts shall go. Where nothing is needed, it may be nil:
// the system log only.
func (o *installOptions) askDestination(ctx context.Context, q *prompter, mayBeNone bool) (*chosen, error) {
	all := offers()
	names := make([]string, len(all))
	for i, x := range all {
		names[i] = fmt.Sprintf("%d %s", i+1, x.name)
	}
	if mayBeNone {
		names = append(names, "0 the system log only")
	}
	fmt.Fprintf(q.out, "Where shall alerts go? %s\n", strings.Join(names, ", "))
	for {
		answer, err := q.line(ctx, "[1]: ")
		if err != nil || mayBeNone && answer == "0" {
			return nil, err
		}
		for i, x := range all {
			if answer == "" && i == 0 || answer == strconv.Itoa(i+1) || strings.EqualFold(answer, x.name) {
				return o.askOffer(ctx, q, x)
			}
		}
	}
}

// askOffer asks for the settings of a type until they are right.
func (o *installOptions) askOffer(ctx context.Context, q *prompter, x offer) (*chosen, error) {
	if x.how != "" {
		fmt.Fprintln(q.out, x.how)
	}
	for range askTimes {
		d := &chosen{typ: x.typ}
		answered := map[string]bool{}
		for _, ask := range x.questions {
			if ask.with != "" && !answered[ask.with] {
				continue
			}
			text, err := q.setting(ctx, ask)
			if err != nil {
				return nil, err
			}
			if text == "" && ask.optional {
				continue
			}
			answered[ask.key] = true
			d.values = append(d.values, value{ask.key, text, ask.secret})
			if x.typ == channel.MailType && ask.key == "server" && text == "localhost" {
				d.values = append(d.values, value{key: "tls", text: "none"}) // it has no certificate in this name
			}
		}
		err := o.checkChosen(d)
		if err == nil {
			return d, nil
		}
		for _, line := range plainErrors(err) {
			fmt.Fprintln(q.out, line)
		}
	}
	if x.typ == channel.SlackType {
		return nil, &usageError{withHint(errors.New("no webhook URL"), whereWebhook)}
	}
	return nil, &usageError{withHint(errors.New("nobody knows where alerts shall go"), "docs/channels.md says what each destination needs; settings by hand: sshnotify config check")}
}

// checkChosen reports what is wrong with a destination.
func (o *installOptions) checkChosen(d *chosen) error {
	if d.typ == channel.SlackType {
		url, err := checkWebhook(d.values[0].text)
		if err != nil {
			return err
		}
		d.values[0].text = url.Reveal()
		o.strangeHost(url)
	}
	_, err := d.settings()
	return err
}

// plainErrors are what is wrong with settings, by their keys: the file that they were
// tried in is gone.
func plainErrors(err error) (lines []string) {
	for _, e := range strictoml.Errors(err) {
		key := e.Key[strings.LastIndexByte(e.Key, '.')+1:]
		lines = append(lines, event.Clean(strings.TrimPrefix(key+": "+e.Message, ": "), maxProblem))
		if e.Hint != "" {
			lines = append(lines, "hint: "+event.Clean(e.Hint, maxProblem))
		}
	}
	if lines == nil {
		lines = []string{err.Error()}
	}
	return lines
}

// setting asks for one.
func (q *prompter) setting(ctx context.Context, ask question) (string, error) {
	usual, text := "", ask.ask
	switch {
	case ask.usual != nil && ask.secret:
		usual = ask.usual()
		text += " (not shown; Enter makes one): "
	case ask.usual != nil:
		usual = ask.usual()
		text += " [" + usual + "]: "
	case ask.secret && ask.optional:
		text += " (not shown; Enter for none): "
	case ask.secret:
		text += " (not shown): "
	case ask.optional:
		text += " (Enter for none): "
	default:
		text += ": "
	}
	read := q.line
	if ask.secret {
		read = q.secret
	}
	answer, err := read(ctx, text)
	if answer == "" {
		answer = usual
	}
	return answer, err
}
