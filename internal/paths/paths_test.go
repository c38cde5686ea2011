package paths

import (
	"strings"
	"testing"
)

func TestPathsOfUsersAndOfTheHost(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef\n"
	user := User{UID: 1000, Home: "/home/alice", MachineID: id}
	machine := user.machine()
	if len(machine) != 8 || strings.Contains(id, machine) {
		t.Fatalf("machine %q", machine)
	}
	xdg, relative, homeless := user, user, User{UID: 1000, MachineID: id}
	xdg.XDGConfigHome, xdg.XDGStateHome = "/x/config", "/x/state"
	relative.XDGConfigHome, relative.XDGStateHome = "config", "state"
	for _, row := range []struct {
		situation            string
		user                 User
		config, spool, state string
	}{
		{"root, whatever the environment says", User{Home: "/root", XDGConfigHome: "/x", XDGStateHome: "/y", MachineID: id},
			"/etc/sshnotify/config.toml", "/var/spool/sshnotify", "/var/lib/sshnotify"},
		{"a user", user, "/home/alice/.config/sshnotify/config.toml",
			"/home/alice/.local/state/sshnotify/" + machine + "/spool", "/home/alice/.local/state/sshnotify/" + machine},
		{"a user with XDG places", xdg, "/x/config/sshnotify/config.toml",
			"/x/state/sshnotify/" + machine + "/spool", "/x/state/sshnotify/" + machine},
		{"XDG places that are not absolute", relative, "/home/alice/.config/sshnotify/config.toml",
			"/home/alice/.local/state/sshnotify/" + machine + "/spool", "/home/alice/.local/state/sshnotify/" + machine},
		{"a user without a home", homeless, "", "", ""},
	} {
		p := row.user
		if p.ConfigFile() != row.config || p.SpoolDir() != row.spool || p.StateDir() != row.state {
			t.Errorf("%s: %s %s %s", row.situation, p.ConfigFile(), p.SpoolDir(), p.StateDir())
		}
	}
	other := user
	other.MachineID = "fedcba9876543210fedcba9876543210"
	if other.machine() == machine {
		t.Error("two machines share a folder")
	}
	bare := user
	bare.MachineID = strings.TrimSpace(id)
	if bare.machine() != machine {
		t.Error("the newline at the end of /etc/machine-id makes another machine")
	}
	// A change here would strand what waits in the spools of users.
	if machine != "54cbdadf" {
		t.Errorf("machine %q", machine)
	}
}
