package strictoml

import "testing"

func TestDidYouMean(t *testing.T) {
	words := []string{"api_key", "api_key_file", "type", "url"}
	for s, want := range map[string]string{
		"api_kye":      `did you mean "api_key"?`, // swapped
		"apikey":       `did you mean "api_key"?`,
		"API_KEY":      `did you mean "api_key"?`,
		"api_key_fil":  `did you mean "api_key_file"?`,
		"uri":          `did you mean "url"?`,
		"typ":          `did you mean "type"?`,
		"webhook_url":  "",
		"":             "",
		"completely_x": "",
	} {
		if got := didYouMean(s, words); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"host", "host", 0}, {"hsot", "host", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("%s, %s: %d, want %d", row.a, row.b, got, row.want)
		}
	}
}

func TestShellWord(t *testing.T) {
	for s, want := range map[string]string{
		"/etc/sshnotify/slack.url": "/etc/sshnotify/slack.url",
		"/a b/$(c)":                "'/a b/$(c)'",
		"it's":                     `'it'\''s'`,
		"-rf":                      "'-rf'",
		"":                         "''",
	} {
		if got := ShellWord(s); got != want {
			t.Errorf("%s: %s, want %s", s, got, want)
		}
	}
}

// What helps, and is no secret, is shown.
func TestWhatIsShown(t *testing.T) {
	for s, want := range map[string]string{
		"": ", not empty", "hgih": `, not "hgih"`, "5h1d": `, not "5h1d"`, "192.0.2.0/33": `, not "192.0.2.0/33"`, "::ffff:192.0.2.0/90": `, not "::ffff:192.0.2.0/90"`,
		"the office": `, not "the office"`, "/usr/bin/x": `, not "/usr/bin/x"`, "hunter2": "", "KEY": "", "deadbeef:1": "",
	} {
		if got := Not(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	for key, want := range map[string]string{"slack": "slack", "slack-2024": "slack-2024", "db1_prod": "db1_prod", "webhook_url_file": "webhook_url_file", "a1b2c3": `"…"`, "xoxb-123456789": `"…"`} {
		if got := joinPath("", key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}
