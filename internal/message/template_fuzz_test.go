package message_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel/form"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/slackmsg"
)

// Whatever the owner's template is, and whatever stands for its values: what acts in
// a form is what acts in the template.
func FuzzTemplates(f *testing.F) {
	for _, template := range []string{
		"<!here> {headline}", "{user} on {host}: {reasons}", "[wiki](https://wiki.example/{user}?h={host}) {user}", "<https://wiki.example/{user}|{host}>",
		"*{user}* _{host}_ `{user}`", "@{user}", "{user}.{host}", ":{user}: x", "<a href=\"https://x.example/{user}\">{host}</a>", "> {user}\t{host}", "{user}, {host}", "{user} @ops", "a://b/{user} {host}",
	} {
		for _, value := range []string{"<!channel>", "@all", "https://evil.example/", "x|y>", "evil.example", "`\\`*_~", ":skull:", "\"><b>", "a\nb", "..", "＠all", "[x](//evil.example)"} {
			f.Add(template, value)
		}
	}
	link := regexp.MustCompile(`[a-zA-Z]://`)
	escaped := regexp.MustCompile(`\\.`)
	acts := map[string][]string{
		"slack": {"<", ">", "\n"}, "markdown": {"<", ">", "@", "＠", "](", "\n"}, "html": {"<", ">", "\"", "\n"},
		"at": {"@", "＠", "\n"}, "post": {"@", "＠", "\n"}, "chat": {"@", "＠", "](", "\n"},
	}
	names := regexp.MustCompile(`\{[a-z_]*\}`)
	f.Fuzz(func(t *testing.T, template, value string) {
		if message.TemplateProblem(template) != "" || strings.ContainsAny(template, "\r\n\x00") || len(template) > 500 {
			return
		}
		now := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
		value = event.Clean(value, 200)
		a := event.Alert{
			ID: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", Count: 1, First: now, Last: now, Person: value,
			Event: event.Event{Kind: event.KindLogin, Time: now, Host: value, User: value, Service: "sshd",
				Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")}, Login: event.Login{Auth: event.Auth{Method: value, Fingerprint: value}}},
			Facts:   event.Facts{Name: value, Place: event.Place{City: value}, Network: event.Network{Name: value}},
			Verdict: event.Verdict{Severity: event.High, Reasons: []string{value}, Rule: value},
			Own:     event.Words{Headline: template},
		}
		own := names.ReplaceAllString(template, "")
		m := message.New(a)
		got := map[string]string{"slack": slackmsg.Build(m).Text}
		for _, name := range []form.Form{form.Markdown, form.HTML, form.At, form.Post, form.Chat} {
			got[string(name)] = name.Line(m.Headline.Fit(name.Count(), 400))
		}
		for in, text := range got {
			if in == "markdown" {
				text = escaped.ReplaceAllString(text, "")
			}
			for _, mark := range acts[in] {
				if n, ours := strings.Count(text, mark), strings.Count(own, mark); n > ours {
					t.Errorf("%s: %d of %q, where %q has %d: %q", in, n, mark, template, ours, text)
				}
			}
			if n, ours := len(link.FindAllString(text, -1)), len(link.FindAllString(own, -1)); n > ours {
				t.Errorf("%s: %d links, where %q has %d: %q", in, n, template, ours, text)
			}
		}
	})
}
