package cmd

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

func TestHubThatCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	listen := func(address string) error {
		l, err := net.Listen("tcp", address)
		if err == nil {
			l.Close()
		}
		return err
	}
	for _, row := range []struct {
		situation string
		err       error
		want      string
	}{
		{"the address is taken", listen(taken.Addr().String()), "ss -ltnp"},
		{"it is another machine's", listen("192.0.2.1:8443"), "ip -brief address"},
		{"a port that needs a right", fmt.Errorf("listen: %w", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)}), "AmbientCapabilities=CAP_NET_BIND_SERVICE"},
	} {
		if row.err == nil {
			t.Fatalf("%s: it listens", row.situation)
		}
		if got := listenHint(row.err); !strings.Contains(got, row.want) {
			t.Errorf("%s (%v): the hint is %q, want %q", row.situation, row.err, got, row.want)
		}
	}
}

// Who set a host up removes the file with the token: the same command again is no
// error once the host has joined.
func TestInstallAgainWithoutTheToken(t *testing.T) {
	p := newAccount(t)
	o := installOptions{changer: newChanger(p.app()), hub: hubFlags{url: "https://hub.example.com:8443", tokenFile: filepath.Join(p.home, "token")}}
	s := &setup{state: filepath.Join(p.home, "state")}
	if err := o.readToken(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "--token-file: ") {
		t.Errorf("before it has joined: %v", err)
	}
	p.write(filepath.Join("state", filepath.Base(fleet.CredentialsIn(s.state).Folder()), "host.pem"), "a certificate")
	if err := o.readToken(t.Context(), s, nil); err != nil {
		t.Errorf("once it has joined: %v", err)
	}
	if name, err := o.joinHub(t.Context(), s); name != "" || err != nil {
		t.Errorf("it joins again: %q, %v", name, err)
	}
	if !strings.Contains(p.out.String(), "this host has joined a hub already: the token is not used") {
		t.Errorf("said: %q", p.out.String())
	}
}
