package pam

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A secret that others can read is refused to administrators, and locks nobody out.
func TestSettingsThatOthersCanRead(t *testing.T) {
	const secret = "[gate]\n[gate.slack]\ntoken = \"xoxb-1-1-abc\"\n"
	for name, c := range map[string]struct {
		text  string
		mode  os.FileMode
		login bool
		want  string
	}{
		"a secret, closed":             {secret, 0o600, false, ""},
		"a secret, open":               {secret, 0o644, false, "others can read this file"},
		"a secret, open, at a login":   {secret, 0o644, true, ""},
		"no secret, open":              {"[gate]\nwhen = \"always\"\n", 0o644, false, ""},
		"a secret, writable, at login": {secret, 0o662, true, "others may write"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "gate.toml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := Settings(file, c.login)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Settings: %v, want %q", err, c.want)
			}
		})
	}
}
