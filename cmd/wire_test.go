package cmd

import (
	"testing"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/paths"
)

// The service runs as a user of its own, and must not put the host's memory
// into that user's home.
func TestDefaultPlacesGoWithTheSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file   string
		spool, state string
	}{
		{"the host's settings", "/etc/sshnotify/config.toml", "/var/spool/sshnotify", "/var/lib/sshnotify"},
		{"the same, written otherwise", "/etc/../etc/sshnotify/config.toml", "/var/spool/sshnotify", "/var/lib/sshnotify"},
		{"none named", "", "/home/alice/state/sshnotify/", "/home/alice/state/sshnotify/"},
		{"others", "/etc/sshnotify/other.toml", "/home/alice/state/sshnotify/", "/home/alice/state/sshnotify/"},
	} {
		a := &app{configFile: tt.file, places: paths.User{UID: 1000, Home: "/home/alice", XDGStateHome: "/home/alice/state"}}
		under := func(what, got, want string) {
			if len(got) < len(want) || got[:len(want)] != want {
				t.Errorf("%s: %s is %s, not %s", tt.name, what, got, want)
			}
		}
		under("the spool", a.spoolDir("", config.Config{}), tt.spool)
		under("the state", a.stateDir(config.Config{}), tt.state)
		if got := a.spoolDir("/flag", config.Config{Watching: config.Watching{SpoolDir: "/settings"}}); got != "/flag" {
			t.Errorf("%s: a flag gives way: %s", tt.name, got)
		}
	}
}
