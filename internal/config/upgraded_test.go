package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What an upgrade writes, read back, says what Before knew, and nothing that the
// files say themselves.
func TestUpgradedText(t *testing.T) {
	now := time.Date(2026, 11, 29, 4, 0, 0, 0, time.UTC)
	for _, row := range []struct{ name, says, want string }{
		{"nothing is said", "host = 'a'\n", "notify = \"all\"\n[history]\nlearning = \"7d\"\n[login]\nnotify_logout = \"alerted\"\n"},
		{"how logins are told", "notify = 'unusual'\n", "[history]\nlearning = \"7d\"\n[login]\nnotify_logout = \"alerted\"\n"},
		{"which logouts are told", "[login]\nnotify_logout = 'none'\n", "notify = \"all\"\n[history]\nlearning = \"7d\"\n"},
		{"other keys of the same tables", "[history]\nlearning = '1d'\n[login]\nignore_users = ['a']\n", "notify = \"all\"\n[login]\nnotify_logout = \"alerted\"\n"},
		{"all that was another", "notify = 'auto'\n[login]\nnotify_logout = 'none'\n", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			main := write(t, dir, "config.toml", row.says, 0o644)
			old, err := Load(main)
			if err != nil {
				t.Fatal(err)
			}
			text := old.UpgradedText(now)
			var values strings.Builder
			for line := range strings.Lines(text) {
				if line != "\n" && line[0] != '#' {
					values.WriteString(line)
				}
			}
			if diff := cmp.Diff(row.want, values.String()); diff != "" {
				t.Error(diff)
			}
			if text == "" {
				return
			}
			write(t, dir, "upgraded.toml", text, 0o640)
			c, err := Load(main)
			if err != nil {
				t.Fatal(err)
			}
			was := old.Before()
			if c.Notify != was.Notify || c.Login.NotifyLogout != was.Login.NotifyLogout || c.History != was.History || !c.SaysWhatChanged() {
				t.Errorf("read back: %+v", c)
			}
			if again := c.UpgradedText(now); again != "" {
				t.Errorf("and again: %s", again)
			}
			if len(c.Login.Users) != len(was.Login.Users) {
				t.Error("a table is not completed, but replaced")
			}
		})
	}
}

// Whatever another file says counts, and only once, though it came later.
func TestUpgradedFileYields(t *testing.T) {
	dir := t.TempDir()
	main := write(t, dir, "config.toml", "notify = 'unusual'\n[login]\nignore_users = ['a']\n", 0o644)
	more := write(t, dir, "conf.d/more.toml", "[history]\nlearning = '3d'\n", 0o644)
	file := write(t, dir, "upgraded.toml", "notify = 'all'\n[history]\nlearning = '7d'\n[login]\nnotify_logout = 'alerted'\nignore_users = ['b']\n", 0o640)
	c, err := Load(main)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{main, more, file}, c.Files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{notify: main, learning: more, notifyLogout: file}, c.SaidIn); diff != "" {
		t.Error(diff)
	}
	if c.Notify != "unusual" || c.History.Learning != 3*24*time.Hour || c.Login.NotifyLogout != "alerted" || strings.Join(c.Login.Users, " ") != "a" {
		t.Errorf("%+v", c)
	}
	if want := "kept by an upgrade: login.notify_logout (" + file + ")"; !strings.Contains(strings.Join(c.Summary(), "\n"), want) {
		t.Errorf("%q, not %q", c.Summary(), want)
	}

	write(t, dir, "upgraded.toml", "notify = 'al'\n[login]\nnotify_logouts = 'all'\n", 0o640)
	if _, err := Load(main); err == nil || !strings.HasPrefix(err.Error(), file+":3:1: login.notify_logouts: unknown key") {
		t.Errorf("an unknown key: %v", err)
	}
	write(t, dir, "upgraded.toml", "notify = \n", 0o640)
	if _, err := Load(main); err == nil || !strings.HasPrefix(err.Error(), file+":1:") {
		t.Errorf("no TOML: %v", err)
	}
}
