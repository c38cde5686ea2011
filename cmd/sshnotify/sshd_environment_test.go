package main

import (
	"encoding/base64"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/sshauth"
)

// claimed is where a user says that a login comes from.
const claimed = "198.51.100.99"

// readEnv is pam_env as Debian has it, which lets a user's ~/.pam_environment
// into the environment of whatever PAM runs after it.
const readEnv = "session required pam_env.so user_readenv=1"

// poison is a ~/.pam_environment that tries everything. GOMEMLIMIT and GOGC
// would make a hook that believed them collect garbage for ever, or never.
var poison = strings.Join([]string{
	`SSH_CONNECTION DEFAULT="` + claimed + ` 1024 192.0.2.1 22"`,
	"PAM_TYPE DEFAULT=close_session", "PAM_SM_FUNC DEFAULT=pam_sm_close_session", "PAM_SERVICE DEFAULT=cron",
	"PAM_RHOST DEFAULT=" + claimed, "PAM_USER DEFAULT=root", "PAM_TTY DEFAULT=tty1",
	"HOME DEFAULT=/proc/nonexistent", "PATH DEFAULT=/proc/nonexistent", "XDG_STATE_HOME DEFAULT=/proc/nonexistent", "XDG_CONFIG_HOME DEFAULT=/proc/nonexistent",
	"HTTPS_PROXY DEFAULT=http://127.0.0.1:9", "HTTP_PROXY DEFAULT=http://127.0.0.1:9", "SSL_CERT_FILE DEFAULT=/proc/nonexistent",
	"GOMEMLIMIT DEFAULT=1B", "GOGC DEFAULT=off", "GODEBUG DEFAULT=inittrace=1,gctrace=1,madvdontneed=x", "GOTRACEBACK DEFAULT=crash",
	"GOMAXPROCS DEFAULT=1", "TZ DEFAULT=../../../etc/shadow", "LD_PRELOAD DEFAULT=/proc/nonexistent/evil.so", "",
}, "\n")

// logged logs in with a command and ends again, and returns both events as they
// are in the spool.
func (l *lab) logged(s *site) (login, logout event.Event) {
	l.t.Helper()
	if r := l.run("ssh", "lab", "/bin/true"); r.code != 0 {
		l.t.Fatalf("the login failed: %+v", r)
	}
	until(l.t, "the end of the session", func() bool { return len(l.sessions()) == 0 })
	all := s.waiting()
	if len(all) != 2 {
		l.t.Fatalf("%d events wait, want a login and a logout: %+v", len(all), all)
	}
	return all[0], all[1]
}

// facts are what sshd knows and a hook must not get wrong.
type facts struct {
	Kind      event.Kind
	User      string
	Service   string
	Via       event.Via
	IP, Local netip.Addr
	LocalPort int
	Claimed   string
	Flags     []event.Flag
}

func factsOf(e event.Event) facts {
	return facts{e.Kind, e.User, e.Service, e.Via, e.Remote.IP, e.Local.IP, int(e.Local.Port), e.Remote.Claimed, e.Flags}
}

func TestSshdWithAPoisonedEnvironment(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.serve()
	l.atHome(".pam_environment", poison)
	client, server := netip.MustParseAddr(l.client), netip.MustParseAddr(l.server)
	login := facts{Kind: event.KindLogin, User: l.user, Service: l.service, Via: event.ViaPAM, IP: client}
	logout := login
	logout.Kind = event.KindLogout

	clean := login
	clean.Local, clean.LocalPort = server, l.port
	forged := login
	forged.Claimed, forged.Flags = claimed, []event.Flag{event.FlagAddressMismatch}
	forgedTold := l.usualKey()
	forgedTold.Text = "HIGH " + l.user + " → db1: SSH_CONNECTION was forged, sshd saw " + l.client
	forgedTold.Colour = "#ff0002"
	forgedTold.Body = "*Why:* SSH_CONNECTION was forged: it said " + claimed + ", sshd saw " + l.client + "\n" +
		strings.Replace(forgedTold.Body, l.client+" ·", l.client+" (SSH_CONNECTION said "+claimed+") ·", 1)

	for _, tt := range []struct {
		situation string
		stack     func(hook string) []string
		login     facts
		told      told
	}{
		{"the hook stands before pam_env", func(hook string) []string { return []string{hook, readEnv} }, clean, l.usualKey()},
		{"the hook stands after pam_env", func(hook string) []string { return []string{readEnv, hook} }, forged, forgedTold},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			s := newSite(t, strict, "[login]\nnotify_logout = \"alerted\"\n")
			l.pam(tt.stack(l.hook(s, "--no-worker"))...)
			in, out := l.logged(s)
			if diff := cmp.Diff(tt.login, factsOf(in), cmp.Comparer(sameAddr)); diff != "" {
				t.Errorf("login (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(logout, factsOf(out), cmp.Comparer(sameAddr)); diff != "" {
				t.Errorf("logout (-want +got):\n%s", diff)
			}
			if !in.Session.Same(out.Session) {
				t.Errorf("login %+v and logout %+v are not of one session", in.Session, out.Session)
			}
			if age := time.Since(in.Time); age < 0 || age > time.Minute {
				t.Errorf("logged in at %v, %v ago", in.Time, age)
			}
			if r := s.run(nil, "deliver", "--spool", s.spool, "--config", s.settings); r.code != 0 {
				t.Fatalf("deliver: %+v", r)
			}
			m := s.slack.Messages()
			if len(m) == 0 {
				t.Fatal("nothing was told")
			}
			if diff := cmp.Diff(tt.told, tellsOf(m[0])); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			// Of a login that was told as high, the end is told too.
			if want := 1 + len(tt.login.Flags); len(m) != want {
				t.Errorf("%d messages, want %d", len(m), want)
			} else if want == 2 {
				l.tellsEnd(t, m[0], m[1], "")
			}
		})
	}
}

func sameAddr(a, b netip.Addr) bool { return a == b }

// With UseDNS, PAM gets a name, and the address is the word of a variable that
// a user may be able to set.
func TestSshdWithUseDNS(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.client = "127.0.0.1" // every machine has a name for it
	s := newSite(t, strict, "")
	l.pam(l.hook(s))
	l.serve("UseDNS yes")
	if r := l.run("ssh", "lab", "true"); r != (result{}) {
		t.Errorf("%+v", r)
	}
	want := l.usualKey()
	want.Text = strings.Replace(want.Text, " (loopback)", " (unverified) (loopback)", 1)
	want.Body = strings.Replace(want.Body, l.client, l.client+" (unverified)", 1)
	if diff := cmp.Diff(want, tellsOf(s.wait(1)[0])); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

// A certificate is told with what an investigation starts from: its key id, its
// serial, and who signed it.
func TestSshdWithACertificate(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.keygen("ca")
	l.keygen("certified")
	file := func(name string) string { return filepath.Join(l.dir, name) }
	l.must("ssh-keygen", "-q", "-s", file("ca"), "-I", "laptop of carol", "-n", l.user, "-z", "4711", "-V", "+1h", file("certified.pub"))
	s := newSite(t, strict, "")
	l.pam(l.hook(s))
	l.serve("TrustedUserCAKeys " + file("ca.pub"))
	if r := l.run("ssh", "-o", "CertificateFile="+file("certified-cert.pub"), "-i", file("certified"), "certified", "true"); r != (result{}) {
		t.Errorf("%+v", r)
	}
	want := l.usual("publickey ED25519-CERT " + l.fingerprint("certified.pub") +
		`, key id "laptop of carol", serial 4711, CA ` + l.fingerprint("ca.pub"))
	if diff := cmp.Diff(want, tellsOf(s.wait(1)[0])); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

// What a user puts into SSH_AUTH_INFO_0 is not what the hook reads, where it
// stands before pam_env.
func TestSshdKeyIsNotTheUsersWord(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.keygen("framed")
	blob := strings.Fields(l.read("framed.pub"))[1]
	if _, err := base64.StdEncoding.DecodeString(blob); err != nil {
		t.Fatal(err)
	}
	l.atHome(".pam_environment", `SSH_AUTH_INFO_0 DEFAULT="publickey ssh-ed25519 `+blob+"\"\n")
	s := newSite(t, strict, "")
	l.pam(l.hook(s, "--no-worker"), readEnv)
	l.serve()
	in, out := l.logged(s)
	if want := (event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: l.fingerprint("id.pub")}); sshauth.Parse(in.Login.Auth.Info) != want {
		t.Errorf("login with %+v, want %+v", in.Login.Auth, want)
	}
	if out.Auth() != (event.Auth{}) {
		t.Errorf("at the logout the environment is the user's, and %+v was taken from it", out.Auth())
	}
}
