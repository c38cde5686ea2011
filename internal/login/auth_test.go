package login

import (
	"net/netip"
	"testing"
	"time"
)

// What pam_exec appends last is sshd's; an address further up is of a user's
// ~/.pam_environment, where sshd has none.
func TestAddressOfASecondStep(t *testing.T) {
	for name, tc := range map[string]struct {
		environ []string
		want    string
	}{
		"of sshd": {[]string{"PAM_RHOST=192.0.2.66", "SSH_CONNECTION=203.0.113.7 40000 192.0.2.1 22",
			"PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_TTY=ssh", "PAM_RHOST=203.0.113.7", "PAM_TYPE=auth"}, "203.0.113.7"},
		"of the user": {[]string{"PAM_RHOST=192.0.2.66", "SSH_CONNECTION=UNKNOWN 65535 UNKNOWN 65535",
			"PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_TTY=ssh", "PAM_TYPE=auth"}, "invalid IP"},
	} {
		h := pretend(t, tc.environ, proc{30, 20, "sshnotify", "", 0}, proc{20, 10, "sshd", "sshd: alice [pam]", 0}, proc{10, 1, "sshd", "sshd: alice [priv]", 0}, proc{1, 0, "systemd", "", 0})
		e, err := ReadAuth(h, time.Now())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := e.Remote.IP; got.String() != tc.want || got == netip.MustParseAddr("192.0.2.66") {
			t.Errorf("%s: from %s", name, got)
		}
	}
}
