package config

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// A secret under a wrong key, or without quotes, is in no error, key or hint,
// however short it is.
func TestSecretsInTheWrongPlace(t *testing.T) {
	secrets := []string{
		"KEY", "k3y", "abc123", "hunter2", "S3cr3t!", "1a2b3c4d", "0123456789abcdef", "deadbeefcafe", "AKIAIOSFODNN7EXAMPLE",
		"/abc+def/ghi=", "ab/cd+ef==", "Zm9vYmFy", "a.b-c_d1", "whsec_MfKQ9r8G", "xoxb-12345-abcde", "xapp-1-A012345", "tja_0a1b2c3d4e",
		"https://hooks.slack.com/services/T0/B0/x1", "https://user:pw@example.com/?token=x1", "hooks.slack.com/T0/B0", "ghp_16C7e42F292c6912E7", "KEY\nTWO", "pässw0rd",
	}
	// What may be a word anywhere else is none where a secret belongs.
	words := []string{"secretword", "two words", "12345678", "10.1.2.3", "secret.txt", "a:b:c", "UK", "5d"}
	always := map[string]string{
		"webhook_url_file": "[destination.slack]\nwebhook_url_file = %s\n",
		"api_key_file":     "[provider.greynoise]\napi_key_file = %s\n",
		"url_file":         "[provider.list]\nurl_file = %s\n",
		"proxy_file":       "[outbound]\nproxy_file = %s\n",
		"an unknown key":   "[destination.slack]\npassword_file = %s\n",
		"at the top":       "api_key = %s\n",
		"a number":         "[risk]\nred_above = %s\n",
		"a list":           "[login]\nignore_users = %s\n",
		"a url":            "[provider.greynoise]\nurl = %s\n",
		"a syntax error":   "[destination.slack]\nwebhook_url_file = \"/x\"\n%s\n",
	}
	elsewhere := map[string]string{
		"a choice":   "[destination.slack]\nmin_severity = %s\n",
		"a type":     "[destination.slack]\ntype = %s\n",
		"a file":     "[provider.http]\nfile = %s\n",
		"a duration": "[enrich]\ntimeout = %s\n",
		"a network":  "[login]\nignore_networks = [%s]\n",
		"a clock":    "[digest]\nhour = %s\n",
		"a raise":    "[raise]\nnew_key = %s\n",
		"a rule":     "[[rule]]\nignore = true\nkey = %s\ncountry = %s\nhours = %s\nasn = %s\n",
		"a source":   "[source.x]\npath = %s\ngroup = %s\n[source.journal]\nmatch = [%s]\n",
		"a pattern":  "[[pattern]]\nname = \"a\"\nmatch = 'b'\nseverity = %s\nsource = [%s]\nip = %s\n",
		"a detector": "[[detector]]\nname = %s\ncount = 3\nwithin = %s\nby = %s\n",
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	try := func(where, form, secret, written string) {
		t.Helper()
		n := strings.Count(form, "%s")
		args := make([]any, n)
		for i := range args {
			args[i] = written
		}
		var l loader
		l.add("config.toml", 0o600, fmt.Appendf(nil, form, args...))
		_, err := l.finish()
		if err == nil {
			return // it can be meant
		}
		text := err.Error()
		for _, e := range strictoml.Errors(err) {
			text += "\n" + e.Hint
		}
		for _, s := range []string{secret, strings.TrimPrefix(secret, "https://")} {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %q:\n%s", where, s, text)
			}
		}
	}
	for where, form := range always {
		for _, s := range append(append([]string(nil), secrets...), words...) {
			try(where, form, s, strconv.Quote(s))
			if strings.HasSuffix(where, "_file") {
				try(where+" as a credential", form, s, strconv.Quote("credential:"+s))
			}
			if where == "a syntax error" {
				try(where, form, s, s)
				try(where, form, s, "x = "+s)
			}
		}
	}
	for where, form := range elsewhere {
		for _, s := range secrets {
			try(where, form, s, strconv.Quote(s))
		}
	}
	for _, s := range []string{"whsec_MfKQ9r8G", "xoxb-123456789-abcde", "tja_0a1b2c3d4e", "ghp_16C7e42F292c6912E7", "deadbeef0123456789"} {
		try("a key", "%s = 1\n", s, s)
		try("a table", "[destination.%s]\n", s, s)
	}
}
