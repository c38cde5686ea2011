package login

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

var (
	compareAddrs = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	monitor      = event.Session{PID: 812, Start: 100_812, Boot: boot, NS: ns}
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestPAMLogin(t *testing.T) {
	h := underSSHD(t, pamEnv("open_session", "203.0.113.7", "SSH_AUTH_INFO_0=password\n", "SSH_CONNECTION="+aliceConn)...)
	got, err := Read(h, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want := event.Event{
		ID: event.LoginID(monitor, aliceConn), Kind: event.KindLogin, Time: now.UTC(), Host: "db1.example.com",
		User: "alice", Service: "sshd", Via: event.ViaPAM,
		Remote:  event.Remote{IP: ip("203.0.113.7"), Port: 51234},
		Local:   event.Local{IP: ip("10.0.0.5"), Port: 22},
		Login:   event.Login{Auth: event.Auth{Info: "password\n"}},
		Session: monitor,
	}
	if d := cmp.Diff(want, got, compareAddrs); d != "" {
		t.Error(d)
	}
}

// A script that pam_exec runs, and that runs the hook, is not what the session
// belongs to: it is gone in a moment.
func TestPAMRunsAScriptThatRunsTheHook(t *testing.T) {
	for name, row := range map[string]struct {
		parent int // the hook's
		leader int // of the hook's session
	}{
		"pam_exec runs the hook": {812, hookPID},
		"through a script":       {830, 830},
	} {
		t.Run(name, func(t *testing.T) {
			h := pretend(t, pamEnv("open_session", "203.0.113.7", "SSH_CONNECTION="+aliceConn),
				proc{hookPID, row.parent, "sshnotify", "/usr/bin/sshnotify|hook|", 0},
				proc{830, 812, "sh", "/bin/sh|/usr/local/bin/at-login|", 0},
				proc{812, 700, "sshd", "sshd: alice [priv]|", 0})
			h.Leader = func(int) (int, error) { return row.leader, nil }
			if got, err := Read(h, Options{Now: now}); err != nil || got.Session != monitor {
				t.Errorf("%+v %v", got.Session, err)
			}
		})
	}
}

// Who runs sudo in a session by SSH has its variables, and sudo may name its
// own host as the far end: neither is an address that anybody came from.
func TestPAMBecomesAnother(t *testing.T) {
	for _, service := range []string{"sudo", "sudo-i", "su", "su-l"} {
		h := underSSHD(t, "SSH_CONNECTION="+aliceConn, "SSH_AUTH_INFO_0=password\n", "PAM_RHOST=db1", "PAM_SERVICE="+service,
			"PAM_USER=root", "PAM_TTY=/dev/pts/1", "PAM_RUSER=alice", "PAM_TYPE=open_session")
		got, err := Read(h, Options{Now: now, Services: []string{"sshd", service}})
		if err != nil {
			t.Fatal(err)
		}
		want := event.Event{
			ID: event.LoginID(monitor, ""), Kind: event.KindLogin, Time: now.UTC(), Host: "db1.example.com",
			User: "root", Login: event.Login{By: "alice"}, Service: service, Via: event.ViaPAM, Session: monitor,
		}
		if d := cmp.Diff(want, got, compareAddrs); d != "" {
			t.Errorf("%s: %s", service, d)
		}
	}
}

func TestPAMLogout(t *testing.T) {
	// At the end of a session, a user's ~/.pam_environment has always been read.
	h := underSSHD(t, pamEnv("close_session", "203.0.113.7", "SSH_AUTH_INFO_0=password\n", "SSH_CONNECTION=192.0.2.9 1 192.0.2.10 2")...)
	got, err := Read(h, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want := event.Event{
		ID: event.LogoutID(monitor), Kind: event.KindLogout, Time: now.UTC(), Host: "db1.example.com",
		User: "alice", Service: "sshd", Via: event.ViaPAM,
		Remote: event.Remote{IP: ip("203.0.113.7")}, Session: monitor,
	}
	if d := cmp.Diff(want, got, compareAddrs); d != "" {
		t.Error(d)
	}
}

func TestPAMAddress(t *testing.T) {
	const (
		unverified = event.FlagAddressUnverified
		mismatch   = event.FlagAddressMismatch
	)
	local := event.Local{IP: ip("10.0.0.5"), Port: 22}
	rows := []struct {
		name   string
		rhost  string
		conn   string
		remote event.Remote
		local  event.Local
		flags  []event.Flag
	}{
		{"both agree", "203.0.113.7", aliceConn, event.Remote{IP: ip("203.0.113.7"), Port: 51234}, local, nil},
		{"IPv6", "2001:db8::7", "2001:db8::7 5 2001:db8::1 22", event.Remote{IP: ip("2001:db8::7"), Port: 5}, event.Local{IP: ip("2001:db8::1"), Port: 22}, nil},
		{"IPv6 written in two ways", "2001:DB8:0::7", "2001:db8::7 5 2001:db8::1 22", event.Remote{IP: ip("2001:db8::7"), Port: 5}, event.Local{IP: ip("2001:db8::1"), Port: 22}, nil},
		{"IPv4 mapped into IPv6", "::ffff:203.0.113.7", "::ffff:203.0.113.7 5 ::ffff:10.0.0.5 22", event.Remote{IP: ip("203.0.113.7"), Port: 5}, local, nil},
		{"mapped on one side only", "203.0.113.7", "::ffff:203.0.113.7 5 10.0.0.5 22", event.Remote{IP: ip("203.0.113.7"), Port: 5}, local, nil},
		{"link-local with a zone", "fe80::1%eth0", "fe80::1%eth0 5 fe80::2%eth0 22", event.Remote{IP: ip("fe80::1"), Port: 5, Zone: "eth0"}, event.Local{IP: ip("fe80::2"), Port: 22}, nil},
		{"OpenSSH before 8.0 sets no SSH_CONNECTION", "203.0.113.7", "", event.Remote{IP: ip("203.0.113.7")}, event.Local{}, nil},
		{"a user's SSH_CONNECTION", "203.0.113.7", "192.0.2.9 1 192.0.2.10 2", event.Remote{IP: ip("203.0.113.7"), Claimed: "192.0.2.9"}, event.Local{}, []event.Flag{mismatch}},
		{"a user's SSH_CONNECTION, malformed", "203.0.113.7", "somewhere else", event.Remote{IP: ip("203.0.113.7"), Claimed: "somewhere else"}, event.Local{}, []event.Flag{mismatch}},
		{"a port too large", "203.0.113.7", "203.0.113.7 65536 10.0.0.5 22", event.Remote{IP: ip("203.0.113.7"), Claimed: "203.0.113.7 65536 10.0.0.5 22"}, event.Local{}, []event.Flag{mismatch}},
		{"three fields", "203.0.113.7", "203.0.113.7 1 10.0.0.5", event.Remote{IP: ip("203.0.113.7"), Claimed: "203.0.113.7 1 10.0.0.5"}, event.Local{}, []event.Flag{mismatch}},
		{"sshd does not know the peer", "203.0.113.7", "UNKNOWN 65535 UNKNOWN 65535", event.Remote{IP: ip("203.0.113.7")}, event.Local{}, nil},
		{"UseDNS", "host.example.com", aliceConn, event.Remote{IP: ip("203.0.113.7"), Port: 51234, Name: "host.example.com"}, local, []event.Flag{unverified}},
		{"UseDNS, no SSH_CONNECTION", "host.example.com", "", event.Remote{Name: "host.example.com"}, event.Local{}, []event.Flag{unverified}},
		{"UseDNS, a name that looks like an address", "203.0.113.007", aliceConn, event.Remote{IP: ip("203.0.113.7"), Port: 51234, Name: "203.0.113.007"}, local, []event.Flag{unverified}},
		{"UseDNS, a user's SSH_CONNECTION", "host.example.com", "x", event.Remote{Name: "host.example.com", Claimed: "x"}, event.Local{}, []event.Flag{unverified, mismatch}},
		{"no PAM_RHOST", "", aliceConn, event.Remote{IP: ip("203.0.113.7"), Port: 51234}, local, []event.Flag{unverified}},
		{"PAM_RHOST is UNKNOWN", "UNKNOWN", aliceConn, event.Remote{IP: ip("203.0.113.7"), Port: 51234}, local, []event.Flag{unverified}},
		{"no PAM_RHOST, a zone", "", "fe80::1%eth0 5 fe80::2%eth0 22", event.Remote{IP: ip("fe80::1"), Port: 5, Zone: "eth0"}, event.Local{IP: ip("fe80::2"), Port: 22}, []event.Flag{unverified}},
		{"over vsock", "", "UNKNOWN 65535 UNKNOWN 65535", event.Remote{}, event.Local{}, nil},
		{"nothing at all", "", "", event.Remote{}, event.Local{}, nil},
	}
	h := underSSHD(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			var before []string
			if r.conn != "" {
				before = []string{"SSH_CONNECTION=" + r.conn}
			}
			setEnviron(t, h, pamEnv("open_session", r.rhost, before...))
			got, err := Read(h, Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.remote, got.Remote, compareAddrs); d != "" {
				t.Error("remote:", d)
			}
			if d := cmp.Diff(r.local, got.Local, compareAddrs); d != "" {
				t.Error("local:", d)
			}
			if d := cmp.Diff(r.flags, got.Flags); d != "" {
				t.Error("flags:", d)
			}
			if want := event.LoginID(monitor, r.conn); got.ID != want {
				t.Errorf("id %s, want %s, of SSH_CONNECTION as it was found", got.ID, want)
			}
		})
	}
}

func TestPAMEnvironmentOfAnAttacker(t *testing.T) {
	poison := []string{
		"PAM_TYPE=auth", "PAM_SERVICE=cron", "PAM_USER=root", "PAM_RHOST=192.0.2.9", "PAM_SM_FUNC=pam_sm_close_session",
		"HTTPS_PROXY=http://192.0.2.9", "HOME=/tmp", "TZ=x", "HOSTNAME=other", "SSHNOTIFY_CONFIG=/tmp/x",
		"=no key", "no value", "", "\xff\xfe=\xff", "PAM_RHOST", "USER=root", "SSH_CLIENT=192.0.2.9 1 2", "SSH_USER_AUTH=/etc/passwd",
	}
	want, err := Read(underSSHD(t, pamEnv("open_session", "203.0.113.7", "SSH_CONNECTION="+aliceConn)...), Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	big := "BIG=" + strings.Repeat("PAM_RHOST=192.0.2.9", 200_000)
	h := underSSHD(t, pamEnv("open_session", "203.0.113.7", append(poison, big, "SSH_CONNECTION=192.0.2.9 1 192.0.2.9 2", "SSH_CONNECTION="+aliceConn)...)...)
	got, err := Read(h, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, compareAddrs); d != "" {
		t.Error("the user's environment changed the event:", d)
	}
}

func TestPAMRHostOfAUserWhereSSHDSetNone(t *testing.T) {
	rows := []struct {
		name string
		env  []string
		want []event.Flag
	}{
		{"above pam_exec's own", []string{"PAM_RHOST=192.0.2.9", "PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_TTY=ssh", "PAM_TYPE=open_session"}, []event.Flag{event.FlagAddressUnverified}},
		{"with a remote user", []string{"PAM_RHOST=192.0.2.9", "PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_TTY=ssh", "PAM_RUSER=x", "PAM_TYPE=open_session"}, []event.Flag{event.FlagAddressUnverified}},
		{"among pam_exec's own", pamEnv("open_session", "192.0.2.9"), nil},
		{"not in pam_exec's order", []string{"PAM_RHOST=192.0.2.9", "PAM_SERVICE=sshd", "PAM_TYPE=open_session", "PAM_USER=alice"}, nil},
	}
	h := underSSHD(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			setEnviron(t, h, r.env)
			got, err := Read(h, Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.want, got.Flags); d != "" {
				t.Error(d)
			}
			if got.Remote.IP != ip("192.0.2.9") {
				t.Errorf("address %v", got.Remote.IP)
			}
		})
	}
}

func TestPAMFilter(t *testing.T) {
	rows := []struct {
		name     string
		services []string
		env      []string
		want     event.Kind // "": nothing to tell
	}{
		{"sshd is the default", nil, []string{"PAM_SERVICE=sshd", "PAM_TYPE=open_session"}, event.KindLogin},
		{"Alpine's sshd of before OpenSSH 9.8", nil, []string{"PAM_SERVICE=sshd.pam", "PAM_TYPE=open_session"}, event.KindLogin},
		{"another service", nil, []string{"PAM_SERVICE=cron", "PAM_TYPE=open_session"}, ""},
		{"a service that begins alike", nil, []string{"PAM_SERVICE=sshd-test", "PAM_TYPE=open_session"}, ""},
		{"in capitals", nil, []string{"PAM_SERVICE=SSHD", "PAM_TYPE=open_session"}, ""},
		{"a service that is named", []string{"sshd", "login"}, []string{"PAM_SERVICE=login", "PAM_TYPE=close_session"}, event.KindLogout},
		{"sshd is not named", []string{"login"}, []string{"PAM_SERVICE=sshd", "PAM_TYPE=open_session"}, ""},
		{"no service", nil, []string{"PAM_TYPE=open_session"}, ""},
		{"authentication", nil, []string{"PAM_SERVICE=sshd", "PAM_TYPE=auth"}, ""},
		{"an account check", nil, []string{"PAM_SERVICE=sshd", "PAM_TYPE=account"}, ""},
		{"no type", nil, []string{"PAM_SERVICE=sshd", "SSH_CONNECTION=" + aliceConn}, ""},
		{"OpenPAM opens", nil, []string{"PAM_SERVICE=sshd", "PAM_SM_FUNC=pam_sm_open_session"}, event.KindLogin},
		{"OpenPAM closes", nil, []string{"PAM_SERVICE=sshd", "PAM_SM_FUNC=pam_sm_close_session"}, event.KindLogout},
		{"OpenPAM authenticates", nil, []string{"PAM_SERVICE=sshd", "PAM_SM_FUNC=pam_sm_authenticate"}, ""},
		{"the other PAM's type is a user's", nil, []string{"PAM_SM_FUNC=pam_sm_authenticate", "PAM_SERVICE=sshd", "PAM_TYPE=open_session"}, event.KindLogin},
		{"and the other way round", nil, []string{"PAM_TYPE=auth", "PAM_SERVICE=sshd", "PAM_SM_FUNC=pam_sm_open_session"}, event.KindLogin},
	}
	h := underSSHD(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			setEnviron(t, h, r.env)
			got, err := Read(h, Options{Services: r.services, Now: now})
			if got.Kind != r.want || (err == nil) != (r.want != "") {
				t.Errorf("kind %q, error %v; want %q", got.Kind, err, r.want)
			}
			if err != nil && !errors.Is(err, ErrNothing) {
				t.Errorf("error %v, want ErrNothing", err)
			}
		})
	}
}

func TestPAMLoginAndLogoutOfOneConnection(t *testing.T) {
	in, err := Read(underSSHD(t, pamEnv("open_session", "203.0.113.7", "SSH_CONNECTION="+aliceConn)...), Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	out, err := Read(underSSHD(t, pamEnv("close_session", "203.0.113.7")...), Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if !in.Session.Same(out.Session) || in.ID == out.ID {
		t.Errorf("sessions %v and %v, ids %s and %s", in.Session, out.Session, in.ID, out.ID)
	}
}

func TestPAMWithoutProc(t *testing.T) {
	h := Host{
		Root: t.TempDir(), PID: hookPID, PPID: 812,
		Environ:  func() []string { return pamEnv("open_session", "203.0.113.7", "SSH_CONNECTION="+aliceConn) },
		Hostname: func() (string, error) { return "", errors.New("no name") },
	}
	got, err := Read(h, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Has(event.FlagEnvironmentUnverified) || got.Remote.IP != ip("203.0.113.7") || got.Session != (event.Session{PID: 812}) {
		t.Errorf("got %+v", got)
	}
}

func TestPAMUnderAnotherContainersProc(t *testing.T) {
	h := underSSHD(t, pamEnv("open_session", "203.0.113.7")...)
	h.PID = 57 // /proc/self leads elsewhere: process 812 there is not our parent
	got, err := Read(h, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if got.Session.PID != 812 || got.Session.Start != 0 {
		t.Errorf("session %+v, want no start time", got.Session)
	}
}

func TestReadEnviron(t *testing.T) {
	h := underSSHD(t, "A=1", "B=x=y", "A=2", "novalue", "=3", "E=")
	env, raw := ReadEnviron(h)
	if !raw {
		t.Error("not raw")
	}
	for _, r := range []struct{ key, last string }{{"A", "2"}, {"B", "x=y"}, {"E", ""}} {
		if v, ok := env.Last(r.key); !ok || v != r.last {
			t.Errorf("last %s is %q, %v", r.key, v, ok)
		}
	}
	for _, key := range []string{"", "novalue", "C"} {
		if _, ok := env.Last(key); ok {
			t.Errorf("there is a %q", key)
		}
	}
	write(t, h.Root, "proc/self/environ", "") // as gVisor once had it
	h.Environ = func() []string { return []string{"A=3"} }
	if env, raw := ReadEnviron(h); raw || env.last("A") != "3" {
		t.Errorf("an empty file counts: %v", env)
	}
}
