package channel

import (
	"fmt"
	"net/url"
	"reflect"
	"strings"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Type is a channel as the registry lists it.
type Type struct {
	strictoml.Type[Settings]
	Retry  Retry  // as in the Traits of each channel of the type
	About  string // what it sends to, in a line
	Limits string // the service's own, in words: pace, size, a budget
}

// Types returns the channels that the settings can name, in the order in which
// they are listed. A new one is a line here, or a file in services.
func Types() []Type {
	all := native()
	for _, name := range shippedNames() {
		f, err := shippedFile(name)
		if err != nil { // a test holds that there is none such
			continue
		}
		all = append(all, Type{strictoml.Type[Settings]{Name: name, New: func(string) Settings { return newDescribed(f) }}, f.retry(), f.About, f.Limits})
	}
	return append(all, typeOf[HTTP](HTTPType, May, "a service of one's own, as a file describes it", "as the file says"))
}

// SettingsTypes returns the same types for reading settings. The file of a
// service is read no sooner than when a destination is of its type.
func SettingsTypes() []strictoml.Type[Settings] {
	var all []strictoml.Type[Settings]
	for _, t := range native() {
		all = append(all, t.Type)
	}
	for _, name := range shippedNames() {
		all = append(all, strictoml.Type[Settings]{Name: name, New: func(string) Settings {
			f, err := shippedFile(name)
			if err != nil {
				f = &serviceFile{}
			}
			return newDescribed(f)
		}})
	}
	return append(all, strictoml.Type[Settings]{Name: HTTPType, New: func(string) Settings { return new(HTTP) }})
}

// native are the types that are not described as data.
func native() []Type {
	return []Type{
		typeOf[Slack](SlackType, May, "Slack, through an incoming webhook or a bot", "one message a second"),
		typeOf[Mail](MailType, May, "mailboxes, by an SMTP server or the host's sendmail", "one message a second, a mail for each recipient"),
		typeOf[Voice](VoiceType, Never, "a phone, by a call of Twilio's that says the headline twice", "one call a second, 20 a day; each costs money"),
		typeOf[X](XType, Never, "posts or direct messages on X", "a post in 9 seconds, 280 characters, or a message a minute; 20 a day; each costs money"),
		typeOf[Webhook](WebhookType, Safe, "a program of one's own: JSON, signed as Standard Webhooks", "20 KB a message"),
		typeOf[Alertmanager](AlertmanagerType, Safe, "a Prometheus Alertmanager; a logout and an attack's end resolve their alert", "none"),
		typeOf[Exec](ExecType, May, "a program of this host, on its standard input", "20 KB a message; one is killed after 30 seconds"),
		typeOf[File](FileType, May, "a file of JSON Lines", "20 KB a line"),
		typeOf[Syslog](SyslogType, May, "a log server, by syslog (RFC 5424) over TLS, TCP or UDP", "8 KB a message, by UDP 2 KB"),
		typeOf[Journal](JournalType, May, "the host's journal, in fields of its own", "none"),
		typeOf[Log](LogType, May, "the host's system log, facility authpriv", "none"),
	}
}

// typeOf returns the type whose settings are an S with nothing set.
func typeOf[S any, P interface {
	*S
	Settings
}](name string, r Retry, about, limits string) Type {
	t := strictoml.Type[Settings]{Name: name, New: func(string) Settings { return P(new(S)) }}
	return Type{t, r, about, limits}
}

// webhookAt returns the type and the name of the service that has its webhooks at
// a host; empty: any service's may be there.
func webhookAt(host string) (typ, title string) {
	host = strings.ToLower(host)
	switch {
	case host == "hooks.slack.com", host == "hooks.slack-gov.com":
		return SlackType, "Slack"
	case host == "discord.com", host == "discordapp.com", strings.HasSuffix(host, ".discord.com"):
		return "discord", "Discord"
	case host == "chat.googleapis.com":
		return "google-chat", "Google Chat"
	case strings.HasSuffix(host, ".api.powerplatform.com"), strings.HasSuffix(host, ".webhook.office.com"), strings.HasSuffix(host, ".logic.azure.com"):
		return "teams", "Microsoft Teams"
	}
	return "", ""
}

// checkWebhook notes what is wrong with the webhook of a service, by its URL alone.
func checkWebhook(at strictoml.At, webhook, title string) {
	if err := outbound.CheckURL(webhook); err != nil {
		e := at.Fail("webhook_url", "%v", err)
		if strings.HasPrefix(webhook, "/") && at.Has("webhook_url") {
			e.Hint = "the path of a file that holds it stands under webhook_url_file"
		}
		return
	}
	u, err := url.Parse(webhook)
	if err != nil { // CheckURL has read it
		return
	}
	// Discord takes Slack's messages at a path of its own.
	typ, of := webhookAt(u.Hostname())
	if of != "" && of != title && !(title == "Slack" && typ == "discord" && strings.HasSuffix(u.Path, "/slack")) {
		at.Fail("webhook_url", "is a webhook of %s, not of %s", of, title).Hint = fmt.Sprintf("set type = %q, or copy the URL from %s", typ, title)
	}
}

// Key is one of a type's own keys.
type Key struct {
	Name     string // of a secret, NAME_file is a key as well
	Required bool
	Secret   bool
	Meaning  string
}

// Keys returns the type's own keys in the order in which they are documented:
// those of its struct, where the tag doc is the meaning, or what a settings'
// method of this name says.
func (t Type) Keys() []Key {
	s := t.New("")
	if k, ok := s.(interface{ Keys() []Key }); ok {
		return k.Keys()
	}
	return keysOf(reflect.TypeOf(s).Elem())
}

func keysOf(typ reflect.Type) (all []Key) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if name == "" {
			if f.Anonymous {
				all = append(all, keysOf(f.Type)...)
			}
			continue
		}
		k := Key{Name: name, Meaning: f.Tag.Get("doc")}
		for o := range strings.SplitSeq(options, ",") {
			k.Required = k.Required || o == "required"
			k.Secret = k.Secret || o == "secret" || o == "secreturl"
		}
		all = append(all, k)
	}
	return all
}
