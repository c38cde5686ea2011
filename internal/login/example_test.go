package login_test

import (
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/login"
)

// What pam_exec hands over becomes an event. This host has no /proc, so that the
// environment comes second-hand.
func ExampleRead() {
	h := login.Host{
		Root: "/nonexistent", Hostname: func() (string, error) { return "db1", nil },
		Environ: func() []string {
			return []string{
				"SSH_CONNECTION=203.0.113.7 51234 192.0.2.5 22", "SSH_AUTH_INFO_0=password\n",
				"PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_TTY=ssh", "PAM_RHOST=203.0.113.7", "PAM_TYPE=open_session",
			}
		},
	}
	e, err := login.Read(h, login.Options{Now: time.Now()})
	fmt.Println(e.Kind, e.User, e.Remote.IP, e.Remote.Port, e.Flags, err)
	// Output: login alice 203.0.113.7 51234 [environment_unverified] <nil>
}
