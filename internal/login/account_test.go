package login

import (
	"os"
	"path/filepath"
	"testing"
)

// A worker of root's can look into every home. What users write there about their own
// keys must not decide whether root hears of their logins.
func TestOwnHome(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	list := "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(list), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		situation string
		uid       int
		user      string
		want      string
	}{
		{"one's own", 1000, "alice", "/home/alice"},
		{"root's own", 0, "root", "/root"},
		{"root looks at alice's", 0, "alice", ""},
		{"alice looks at root's", 1000, "root", ""},
		{"nobody's", 1000, "carol", ""},
	} {
		if got := (Host{Root: root, UID: r.uid}).OwnHome(r.user); got != r.want {
			t.Errorf("%s: %q, want %q", r.situation, got, r.want)
		}
	}
}
