package message

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

func ownAlert() event.Alert {
	now := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	return event.Alert{
		ID: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", Count: 1, First: now, Last: now,
		Event: event.Event{
			Kind: event.KindLogin, Time: now, Host: "db1.example.com", User: "root", Service: "sshd",
			Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")}, Login: event.Login{Auth: event.Auth{Method: "password"}},
		},
		Facts:   event.Facts{Place: event.Place{Country: "BG"}},
		Verdict: event.Verdict{Severity: event.High, Reasons: []string{"first login from Bulgaria", "at 2 in the morning"}},
	}
}

func TestTemplates(t *testing.T) {
	for _, tc := range []struct {
		name   string
		own    event.Words
		change func(*event.Alert)
		want   string // headline and lines
		silent string
	}{
		{"none", event.Words{}, nil, "HIGH root → db1 from Bulgaria: first login from Bulgaria, 02:15\nWhy: first login from Bulgaria; at 2 in the morning", ""},
		{"a mention before the built-in headline", event.Words{Headline: "<!here> {headline}"}, nil, "<!here> HIGH root → db1 from Bulgaria: first login from Bulgaria, 02:15\nWhy: first login from Bulgaria; at 2 in the morning", ""},
		{"values", event.Words{Headline: "{user} on {host} from {from} ({ip})"}, nil, "root on db1.example.com from Bulgaria (203.0.113.7)\nWhy: first login from Bulgaria; at 2 in the morning", ""},
		{"lines before and after the built-in ones", event.Words{Text: "On call: @anna\n{body}\nRisk {risk}\nRef {ref}\n"}, nil, "HIGH root → db1 from Bulgaria: first login from Bulgaria, 02:15\nOn call: @anna\nWhy: first login from Bulgaria; at 2 in the morning\nRef 7K3F", ""},
		{"a value that a link has", event.Words{Text: "https://wiki.example/{user}?ip={ip}"}, func(a *event.Alert) { a.Event.User = "x/../<y|z>&_" },
			"HIGH x/../<y|z>&_ → db1 from Bulgaria: first login from Bulgaria, 02:15\nhttps://wiki.example/x%2F..%2F%3Cy%7Cz%3E%26%5F?ip=203.0.113.7", ""},
		{"a value that is a path to elsewhere", event.Words{Text: "https://wiki.example/{user}/x"}, func(a *event.Alert) { a.Event.User = ".." },
			"HIGH .. → db1 from Bulgaria: first login from Bulgaria, 02:15\nhttps://wiki.example/--/x", ""},
		{"no value of any name in it", event.Words{Headline: "{lasted} for {pattern}", Text: "{lasted}\n{rule}"}, nil, "HIGH root → db1 from Bulgaria: first login from Bulgaria, 02:15\nWhy: first login from Bulgaria; at 2 in the morning", "headline text"},
		{"a line without a value is left out", event.Words{Text: "Rule: {rule}\nUser: {user}"}, nil, "HIGH root → db1 from Bulgaria: first login from Bulgaria, 02:15\nUser: root", ""},
		{"names in braces that somebody is called", event.Words{Headline: "{user} logged in"}, func(a *event.Alert) { a.Event.User = "{host} {nobody}" }, "{host} {nobody} logged in\nWhy: first login from Bulgaria; at 2 in the morning", ""},
		{"a name of several lines", event.Words{Text: "User: {user}"}, func(a *event.Alert) { a.Event.User = "a\nWhy: all is well" }, "HIGH a\\u000aWhy: all is well → db1 from Bulgaria: first login from Bulgaria\nUser: a\\u000aWhy: all is well", ""},
		{"names that are long", event.Words{Headline: "{user} on {host}, all of it"}, func(a *event.Alert) { a.Event.User, a.Event.Host = strings.Repeat("u", 90), strings.Repeat("h", 90) },
			"uuuuuuuuuuuuuuuuuuuuuuu… on hhhhhhhhhhhhhhhhhhhhhhh…, all of it\nWhy: first login from Bulgaria; at 2 in the morning", ""},
		{"words of one's own that are too long", event.Words{Headline: strings.Repeat("word ", 14) + "<https://wiki.example/a page|the page> {user}"}, nil,
			strings.TrimSpace(strings.Repeat("word ", 14)) + "…\nWhy: first login from Bulgaria; at 2 in the morning", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := ownAlert()
			a.Own = tc.own
			if tc.change != nil {
				tc.change(&a)
			}
			m := New(a)
			got := []string{m.Short()}
			for _, l := range m.Body(Form{}, 700, 5) {
				text := l.Text()
				if tc.own.Text == "" || !strings.HasPrefix(text, "Connected") && !strings.HasPrefix(text, "Authenticated") {
					got = append(got, text)
				}
			}
			if tc.own.Text == "" || tc.silent != "" {
				got = got[:2] // the rest is built in
			}
			if got := strings.Join(got, "\n"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if got := strings.Join(Silent(a), " "); got != tc.silent {
				t.Errorf("silent: %q, want %q", got, tc.silent)
			}
		})
	}
}

// However long the values are, the length is that of the channel.
func TestTemplatesKeepTheLength(t *testing.T) {
	a := ownAlert()
	long := strings.Repeat("word ", 200)
	a.Event.User, a.Event.Host, a.Person, a.Verdict.Rule = long, long, long, long
	a.Verdict.Reasons = []string{long, long}
	for _, own := range []event.Words{
		{Headline: "<!here> {headline}", Text: "{user}\n{body}\n{host}"},
		{Headline: "{user} {host} {person} {rule}", Text: strings.Repeat("{reasons}\n", 30)},
		{Headline: long, Text: strings.Repeat("x", 500) + "\n" + strings.Repeat("y", 500) + "\n{body}"},
	} {
		a.Own = own
		m := New(a)
		for _, most := range []int{80, 160, 250} {
			if n := (Form{}).Width(m.Headline.Fit(Form{}, most)...); n > most || n == 0 {
				t.Errorf("%q: a headline of %d, at most %d", own.Headline, n, most)
			}
		}
		for _, most := range []int{250, 700, 4000} {
			lines := m.Body(Form{}, most, 5)
			if n := (Form{}).total(lines); n > most || n == 0 {
				t.Errorf("%.40q: a text of %d, at most %d", own.Text, n, most)
			}
		}
	}
}

func TestWhatATemplateMayNot(t *testing.T) {
	for line, want := range map[string]string{
		"{usr}":                              "there is no {usr}",
		"{user":                              "{ without a name",
		"a } b":                              "} without {",
		"x {body}":                           "{body} is of several lines",
		"<@{user}>":                          "{user} may not stand within <…>",
		"<!{user}>":                          "{user} may not stand within <…>",
		`<a href="{user}">x</a>`:             "{user} may not stand within <…>",
		"@{user}":                            "{user} may not follow",
		"#{user}":                            "{user} may not follow",
		"&{user};":                           "{user} may not follow",
		":{user}:":                           "{user} may not follow",
		"www.{host}":                         "{host} may not follow",
		"{user}{host}":                       "{user} may not stand before",
		"{user}.example.com":                 "{user} may not stand before",
		"{user}.{host}":                      "{user} may not stand before",
		"{user}@{host}":                      "{user} may not stand before",
		"[x]({user})":                        "{user} may not be where a link leads",
		"https://{host}/":                    "{host} may not be where a link leads",
		"https://wiki{host}/":                "{host} may not be where a link leads",
		"https://wiki.example/{headline}":    "{headline} is no part of a link",
		"<https://wiki.example|{user}>":      "{user} may not stand within <…>",
		"{user} on {host}. From {ip}, {by}!": "",
		"*{user}* ({host}), \"{person}\"":    "",
		"<https://wiki.example/{host}?u={user}|runbook> {user}": "",
		`<a href="https://wiki.example/{host}">wiki</a>`:        "",
		"[wiki](https://wiki.example/{host})":                   "",
		"[{user}](https://wiki.example/)":                       "",
		"<!subteam^S1|ops> {headline}":                          "",
		":rotating_light: {headline}":                           "",
	} {
		problem, _ := checkLine(line)
		if (want == "") != (problem == "") || !strings.Contains(problem, want) {
			t.Errorf("%s: %q, want %q", line, problem, want)
		}
	}
}

func TestWhichTemplateHolds(t *testing.T) {
	ts := Templates{
		{MinSeverity: event.Critical, Headline: "critical"},
		{Kinds: []event.Kind{event.KindLogin}, MinSeverity: event.High, Headline: "login"},
		{Kinds: []event.Kind{event.KindDigest, event.KindAttack}, Headline: "digest"},
	}
	for want, change := range map[string]func(*event.Alert){
		"login":    func(*event.Alert) {},
		"critical": func(a *event.Alert) { a.Verdict.Severity = event.Critical },
		"digest":   func(a *event.Alert) { a.Event.Kind = event.KindDigest },
		"":         func(a *event.Alert) { a.Verdict.Severity = event.Medium },
	} {
		a := ownAlert()
		change(&a)
		if got := ts.Of(a).Headline; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	a := ownAlert()
	a.Test = true
	for headline, want := range map[string]string{"{user} is here": "", "<!here> {headline}": "<!here> {headline}"} {
		if got := (Templates{{Headline: headline, Text: "x"}}).Of(a); got != (event.Words{Headline: want, Text: "x"}) {
			t.Errorf("%s: a test has %+v", headline, got)
		}
	}
	a.Event.Kind, a.Event.Attack = event.KindAttack, &event.Attack{Note: event.Note{Public: true}}
	if got := ts.Of(a); got != (event.Words{}) {
		t.Errorf("strangers read %+v", got)
	}
}
