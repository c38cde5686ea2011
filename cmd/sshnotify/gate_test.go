package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshnotify/sshnotify/internal/gate"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// gated is a lab whose sshd asks for a second step.
type gated struct {
	*lab
	site       *site
	settings   string
	enrolledBy string // the code that confirmed the app

	mu    sync.Mutex
	sent  []string          // codes
	byRef map[string]string // the same
	fail  bool
	hang  chan struct{} // nil: it answers
}

// newGated makes one; more are lines of [gate], worker of the worker's settings.
func newGated(t testing.TB, more string, worker ...string) *gated {
	t.Helper()
	g := &gated{lab: newLab(t), byRef: map[string]string{}}
	g.site = newSite(t, strict, fmt.Sprintf("[person.%s]\nphone = \"+353000000012\"\n", g.user)+strings.Join(worker, "\n"))
	api := httptest.NewServer(http.HandlerFunc(g.twilio))
	t.Cleanup(api.Close)
	g.settings = g.write("gate.toml", 0o600, fmt.Sprintf(`state_dir = %q
run_dir = %q
spool_dir = %q
worker_dir = %q
[gate]
%s
[gate.twilio]
account = "AC00000000000000000000000000000000"
api_key = "SK00000000000000000000000000000000"
api_secret = "not-a-secret"
from = "+353000000001"
countries = ["+353"]
url = %q
`, filepath.Join(g.dir, "vault"), filepath.Join(g.dir, "run"), g.site.spool, g.site.state, more, api.URL))
	run := func(what string) string {
		return binary + " gate " + what + " --settings " + g.settings + " --config " + g.site.settings
	}
	g.hook(g.site)
	path := "/etc/pam.d/" + g.service
	t.Cleanup(func() { os.Remove(path) })
	lines := []string{
		"auth [success=2 default=ignore] pam_exec.so quiet " + smallGate + strings.TrimPrefix(run("known"), binary+" gate"),
		"auth requisite pam_exec.so quiet stdout " + run("ask"),
		"auth requisite pam_exec.so quiet stdout expose_authtok " + run("verify"),
		"auth required pam_permit.so",
		"account required pam_permit.so", g.hook(g.site), "session required pam_permit.so", "",
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *gated) open() {
	g.t.Helper()
	g.asks = true
	g.serve("AuthenticationMethods publickey,keyboard-interactive:pam")
}

func (g *gated) twilio(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(b)))
	g.mu.Lock()
	fail, hang := g.fail, g.hang
	g.mu.Unlock()
	if hang != nil {
		<-hang
	}
	user, password, _ := r.BasicAuth()
	switch {
	case fail:
		http.Error(w, `{"code":20500,"message":"Internal Server Error"}`, http.StatusInternalServerError)
	case r.Method != http.MethodPost || user != "SK00000000000000000000000000000000" || password != "not-a-secret" || r.ParseForm() != nil,
		r.Form.Get("To") != "+353000000012" || r.Form.Get("ValidityPeriod") != "300":
		http.Error(w, `{"code":20003,"message":"Authenticate"}`, http.StatusUnauthorized)
	default:
		g.mu.Lock()
		body := r.Form.Get("Body")
		g.sent = append(g.sent, body[:6])
		if m := regexp.MustCompile(`\((\w{4})\)`).FindStringSubmatch(body); m != nil {
			g.byRef[m[1]] = body[:6]
		}
		g.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"sid":"SM0","status":"queued"}`)
	}
}

func (g *gated) codes() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string{}, g.sent...)
}

// codeFor returns the code that was sent for what is shown.
func (g *gated) codeFor(shown string) string {
	m := regexp.MustCompile(`Second step \((\w{4})\)`).FindStringSubmatch(shown)
	if m == nil {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.byRef[m[1]]
}

// attempt is a login that answers prompts.
type attempt struct {
	shown   []string // by the server: instructions and questions
	session *ssh.Client
	err     error
}

// log logs in with the user's key; answer gets what is shown and how often it was
// asked before.
func (g *gated) log(answer func(shown string, n int) string) *attempt {
	g.t.Helper()
	return g.logFrom(g.client, g.signer(), answer)
}

func (g *gated) signer() ssh.Signer {
	g.t.Helper()
	signer, err := ssh.ParsePrivateKey([]byte(g.read("id")))
	if err != nil {
		g.t.Fatal(err)
	}
	return signer
}

// logFrom is log from an address; it may be called concurrently.
func (g *gated) logFrom(ip string, signer ssh.Signer, answer func(shown string, n int) string) *attempt {
	a := &attempt{}
	asked := 0
	kbd := ssh.KeyboardInteractive(func(_, instruction string, questions []string, _ []bool) ([]string, error) {
		a.shown = append(a.shown, instruction+strings.Join(questions, ""))
		out := make([]string, len(questions))
		for i := range questions {
			out[i] = answer(instruction+strings.Join(questions, ""), asked)
			asked++
		}
		return out, nil
	})
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: patience}
	conn, err := d.Dial("tcp", net.JoinHostPort(g.server, strconv.Itoa(g.port)))
	if err != nil {
		a.err = err
		return a
	}
	g.t.Cleanup(func() { conn.Close() })
	c, chans, reqs, err := ssh.NewClientConn(conn, "lab", &ssh.ClientConfig{
		User: g.user, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: patience,
		Auth: []ssh.AuthMethod{ssh.PublicKeys(signer), ssh.RetryableAuthMethod(kbd, 3)},
	})
	if a.err = err; err == nil {
		a.session = ssh.NewClient(c, chans, reqs)
	}
	return a
}

// got runs a command in the session.
func (a *attempt) got(t testing.TB) {
	t.Helper()
	if a.err != nil {
		t.Fatalf("not logged in: %v; shown %q", a.err, a.shown)
	}
	s, err := a.session.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Output("echo in"); err != nil || string(out) != "in\n" {
		t.Fatalf("%q, %v", out, err)
	}
	a.session.Close()
}

func (g *gated) refused(a *attempt) {
	g.t.Helper()
	if a.err == nil {
		a.session.Close()
		g.t.Fatalf("logged in; shown %q", a.shown)
	}
}

// enrol sets up the user's app as the administrator does.
func (g *gated) enrol() gate.Secret {
	g.t.Helper()
	in, typed := io.Pipe()
	p := g.site.start(call{args: []string{"gate", "enrol", g.user, "--settings", g.settings}, stdin: in})
	var secret gate.Secret
	until(g.t, "a key to type into the app", func() bool {
		m := regexp.MustCompile(`time-based\): ([A-Z2-7 ]+)\n`).FindStringSubmatch(p.out.String())
		if m == nil {
			return false
		}
		var err error
		secret, err = gate.ParseSecret(m[1])
		return err == nil
	})
	g.enrolledBy = secret.Code(time.Now())
	fmt.Fprintln(typed, g.enrolledBy)
	typed.Close()
	if r := p.result(); r.code != 0 {
		g.t.Fatalf("enrol: %+v", r)
	}
	return secret
}

// A code by SMS: wrong, wrong, right; one message for one connection.
func TestGateSMS(t *testing.T) {
	eachSSHD(t, func(t *testing.T, usr string) {
		g := newGated(t, `when = "always"`)
		g.usr = usr
		g.open()
		a := g.log(func(shown string, n int) string {
			if n < 2 {
				return "0000000"
			}
			return g.codes()[0]
		})
		a.got(t)
		if n := len(g.codes()); n != 1 {
			t.Errorf("%d messages for one login", n)
		}
		all := strings.Join(a.shown, "\n")
		for _, want := range []string{"(...12)", "That code is wrong; 2 tries left", "That code is wrong; 1 try left", "Password: "} {
			if !strings.Contains(all, want) {
				t.Errorf("%q was not shown: %q", want, all)
			}
		}
		m := g.site.wait(1)
		if body := tellsOf(m[0]).Body; !strings.Contains(body, "Second step:* code by SMS") {
			t.Errorf("the login's message does not say what it was confirmed by: %q", body)
		}
		g.site.mustDeliver()
		_, ref, _ := strings.Cut(m[0].Payload.Attachments[0].Footer, "ref ")
		if r := g.site.do(call{args: []string{"show", ref, "--config", g.site.settings}}); !regexp.MustCompile(`second step +code by SMS\n`).MatchString(r.out) {
			t.Errorf("show: %+v", r)
		}
	})
}

// ahead answers with the code of a phone that is half a minute ahead, which the one that
// enrolled it is not, however slow this machine is.
func ahead(secret gate.Secret) func(string, int) string {
	return func(string, int) string { return secret.Code(time.Now().Add(30 * time.Second)) }
}

// typing answers the n-th prompt with the n-th answer, and the last one again.
func typing(answers ...string) func(string, int) string {
	return func(_ string, n int) string { return answers[min(n, len(answers)-1)] }
}

// The code of an app, once; and a recovery code, once.
func TestGateApp(t *testing.T) {
	t.Parallel()
	g := newGated(t, `when = "always"`)
	g.open()
	secret := g.enrol()
	// The code that enrolled it is used up.
	g.refused(g.log(typing(g.enrolledBy, "", "")))
	next := ""
	a := g.log(func(shown string, n int) string { next = ahead(secret)(shown, n); return next })
	a.got(t)
	if !strings.Contains(strings.Join(a.shown, ""), "authenticator app, or a recovery code") {
		t.Errorf("shown: %q", a.shown)
	}
	g.refused(g.log(typing(next, "", "")))
	if n := len(g.codes()); n != 0 {
		t.Errorf("%d SMS to somebody with an app", n)
	}
	r := g.site.do(call{args: []string{"gate", "recovery", g.user, "--settings", g.settings}})
	codes := regexp.MustCompile(`(?m)^  (\S{4}-\S{4}-\S{4})$`).FindAllStringSubmatch(r.out, -1)
	if r.code != 0 || len(codes) != 10 {
		t.Fatalf("recovery: %+v", r)
	}
	g.log(typing("12345", codes[0][1])).got(t)
	g.refused(g.log(typing(codes[0][1])))
	if r := g.site.do(call{args: []string{"gate", "list", "--settings", g.settings}}); !strings.Contains(r.out, "9 recovery codes") {
		t.Errorf("list: %+v", r)
	}
}

// Who has the key alone is told as critical: once for the connection's wrong codes.
func TestGateThreeWrong(t *testing.T) {
	eachSSHD(t, func(t *testing.T, usr string) {
		g := newGated(t, `when = "always"`)
		g.usr = usr
		g.open()
		a := g.log(typing("111111", "222222", "333333"))
		g.refused(a)
		if len(a.shown) < 3 {
			t.Errorf("shown %q", a.shown)
		}
		g.site.mustDeliver()
		m := g.site.wait(1)
		if h := m[0].Payload.Text; !strings.HasPrefix(h, "CRITICAL "+g.user+" → db1 from 127.0.0.2") {
			t.Errorf("headline %q", h)
		}
		if body := tellsOf(m[0]).Body; !strings.Contains(body, "somebody has "+g.user+"'s key") || strings.Contains(body, "111111") {
			t.Errorf("body %q", body)
		}
	})
}

// A login without any first factor is refused whatever else would let it in.
func TestGateWithoutAFirstFactor(t *testing.T) {
	eachSSHD(t, func(t *testing.T, usr string) {
		g := newGated(t, "when = \"always\"\nexempt_networks = [\"192.0.2.0/24\"]\nunenrolled = \"allow\"")
		g.asks, g.usr = true, usr
		g.serve("AuthenticationMethods keyboard-interactive:pam")
		secret := g.enrol()
		a := g.log(ahead(secret))
		g.refused(a)
		if strings.Contains(strings.Join(a.shown, ""), "Password") {
			t.Errorf("asked: %q", a.shown)
		}
	})
}

// stack changes the lines of PAM.
func (g *gated) stack(change func(lines []string) []string) {
	g.t.Helper()
	path := "/etc/pam.d/" + g.service
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Join(change(strings.Split(string(b), "\n")), "\n")), 0o644)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// Each command may be missing, or be killed: nobody gets in by that.
func TestGateFailsClosed(t *testing.T) {
	standin.Gate(t)
	eachSSHD(t, func(t *testing.T, usr string) {
		for at, what := range []string{"known", "ask", "verify"} {
			for how, script := range map[string]string{"missing": "", "killed": "kill -9 $$", "failing": "sleep 1; exit 3"} {
				if usr != "" && how != "killed" {
					continue
				}
				t.Run(what+" is "+how, func(t *testing.T) {
					t.Parallel()
					g := newGated(t, `when = "always"`)
					program := "/nonexistent"
					if script != "" {
						program = g.write("broken", 0o755, "#!/bin/sh\n"+script+"\n")
					}
					g.stack(func(lines []string) []string {
						before, _, _ := strings.Cut(lines[at], binary)
						lines[at] = before + program
						return lines
					})
					g.usr = usr
					g.open()
					a := g.log(func(string, int) string {
						if c := g.codes(); len(c) > 0 {
							return c[0]
						}
						return "000000"
					})
					if what == "known" { // who can't say is asked
						a.got(t)
						if len(g.codes()) != 1 {
							t.Error("not asked")
						}
						return
					}
					g.refused(a)
				})
			}
		}
	})
}

// Only the unusual is asked: whoever the memory knows comes in as ever, and where no
// worker answers everybody is asked.
func TestGateKnown(t *testing.T) {
	t.Parallel()
	g := newGated(t, "", "[history]\nenabled = true\n")
	g.open()
	worker := g.site.start(call{args: []string{"deliver", "--follow", "--config", g.site.settings}})
	t.Cleanup(func() { t.Log(worker.err.String()) })
	until(t, "the worker's socket", func() bool { _, err := os.Stat(filepath.Join(g.site.state, gate.SocketName)); return err == nil })
	code := func(string, int) string { return g.codes()[len(g.codes())-1] }
	g.log(code).got(t)
	if len(g.codes()) != 1 {
		t.Fatalf("%d codes for the first login ever", len(g.codes()))
	}
	g.site.wait(1)
	until(t, "a login that is not asked", func() bool {
		before := len(g.codes())
		a := g.log(code)
		a.got(t)
		return len(g.codes()) == before
	})
	out := g.site.do(call{args: []string{"gate", "explain", "--user", g.user, "--ip", g.client, "--key", g.fingerprint("id.pub"), "--settings", g.settings, "--config", g.site.settings}})
	if !strings.Contains(out.out, "not asked: it is usual") {
		t.Errorf("explain: %+v", out)
	}
	out = g.site.do(call{args: []string{"gate", "explain", "--user", g.user, "--ip", "203.0.113.7", "--settings", g.settings, "--config", g.site.settings}})
	if !strings.Contains(out.out, "new_network") || !strings.Contains(out.out, "by: sms") {
		t.Errorf("explain: %+v", out)
	}
	// OpenSSH leaves the method out under BatchMode, also for whoever would not be asked.
	if r := g.run("ssh", "-o", "BatchMode=yes", "lab", "true"); r.code != 255 {
		t.Errorf("BatchMode of somebody who is known: %+v", r)
	}
	before := len(g.codes())
	worker.signal(9)
	worker.result()
	g.log(code).got(t)
	if len(g.codes()) != before+1 {
		t.Error("not asked though nobody says whether it is usual")
	}
}

// Ten logins at once are ten connections with a code each.
func TestGateAtOnce(t *testing.T) {
	t.Parallel()
	g := newGated(t, "when = \"always\"\nsends = \"50/15m\"")
	g.open()
	var wg sync.WaitGroup
	errs := make(chan error, 10)
	signer := g.signer()
	for range 10 {
		wg.Go(func() {
			a := g.logFrom(g.client, signer, func(shown string, _ int) string { return g.codeFor(shown) })
			if a.err == nil {
				a.session.Close()
			}
			errs <- a.err
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Errorf("one of ten: %v", err)
		}
	}
	if n := len(g.codes()); n != 10 {
		t.Errorf("%d codes for ten connections", n)
	}
}

// What other programs do with a connection works once it is there.
func TestGateOff(t *testing.T) {
	t.Parallel()
	g := newGated(t, `when = "always"`)
	g.open()
	if r := g.site.do(call{args: []string{"gate", "off", "--for", "1h", "--settings", g.settings}}); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	told := func(want string) {
		t.Helper()
		until(t, "a message with "+want, func() bool {
			g.site.deliver()
			for _, m := range g.site.slack.Messages() {
				if strings.Contains(m.Payload.Text+tellsOf(m).Body, want) {
					return true
				}
			}
			return false
		})
	}
	told("the second step is turned off until")
	g.log(typing("")).got(t)
	if len(g.codes()) != 0 {
		t.Error("asked while it is off")
	}
	told("none, it is turned off on this host")
	if r := g.site.do(call{args: []string{"gate", "off", "--for", "0s", "--settings", g.settings}}); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	g.log(func(string, int) string { return g.codes()[0] }).got(t)
	told("the second step is asked for again")
}

// In front of another module, known has that ask for the unusual only.
func TestGateBeforeAnotherModule(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		module string
		users  func(g *gated, secret gate.Secret) string // the arguments
		shown  string
	}{
		{"pam_oath.so", func(g *gated, secret gate.Secret) string {
			return "usersfile=" + g.write("users.oath", 0o600, fmt.Sprintf("HOTP/T30 %s - %x\n", g.user, []byte(secret))) + " window=10"
		}, "OATH"},
		{"pam_google_authenticator.so", func(g *gated, secret gate.Secret) string {
			return "user=root secret=" + g.write("google_authenticator", 0o600, secret.Text()+"\n\" WINDOW_SIZE 3\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n")
		}, "Verification code"},
	} {
		t.Run(r.module, func(t *testing.T) {
			t.Parallel()
			g := newGated(t, "", "[history]\nenabled = true\n")
			if found, _ := filepath.Glob("/lib/*/security/" + r.module); len(found) == 0 {
				lacking(t, r.module)
			}
			secret := gate.NewSecret()
			args := r.users(g, secret)
			g.stack(func(lines []string) []string {
				known := strings.Replace(lines[0], "success=2", "success=1", 1)
				return append([]string{known, "auth requisite " + r.module + " " + args}, lines[3:]...)
			})
			g.open()
			g.site.start(call{args: []string{"deliver", "--follow", "--config", g.site.settings}})
			until(t, "the worker's socket", func() bool { _, err := os.Stat(filepath.Join(g.site.state, gate.SocketName)); return err == nil })
			g.refused(g.log(typing("123456")))
			a := g.log(func(string, int) string { return secret.Code(time.Now()) })
			a.got(t)
			if !strings.Contains(strings.Join(a.shown, ""), r.shown) {
				t.Errorf("the first login ever was not asked: %q", a.shown)
			}
			g.site.wait(1)
			until(t, "a login that is not asked", func() bool {
				a := g.log(typing("wrong"))
				if a.err != nil {
					return false
				}
				a.got(t)
				return true
			})
		})
	}
}

// Other programs of OpenSSH work once somebody is in, and those that can't ask are
// refused without a message to anybody.
func TestGateClients(t *testing.T) {
	eachSSHD(t, func(t *testing.T, usr string) {
		g := newGated(t, `when = "always"`)
		g.usr = usr
		g.open()
		secret := g.enrol()
		g.write("askpass", 0o755, "#!/bin/sh\nprintf '%s\\n' \"$LAB_PASSWORD\"\n")
		at := time.Now().Add(30 * time.Second)
		env := []string{"SSH_ASKPASS=" + filepath.Join(g.dir, "askpass"), "SSH_ASKPASS_REQUIRE=force", "LAB_PASSWORD=" + secret.Code(at)}
		r := g.runWith(env, "ssh", "lab", "echo out")
		if r.code != 0 || r.out != "out\n" {
			t.Errorf("ssh: %+v", r)
		}
		if r := g.run("ssh", "-o", "BatchMode=yes", "lab", "true"); r.code != 255 {
			t.Errorf("BatchMode: %+v", r)
		}
		codes := g.site.do(call{args: []string{"gate", "recovery", g.user, "--settings", g.settings}})
		all := regexp.MustCompile(`(?m)^  (\S{4}-\S{4}-\S{4})$`).FindAllStringSubmatch(codes.out, -1)
		if len(all) != 10 {
			t.Fatal(codes)
		}
		with := func(n int) []string { return append(env[:2:2], "LAB_PASSWORD="+all[n][1]) }
		file := g.write("file", 0o644, "content\n")
		if r := g.runWith(with(0), "scp", "-q", file, "lab:copied"); r.code != 0 {
			t.Errorf("scp: %+v", r)
		}
		if r := g.runWith(with(1), "scp", "-q", "-O", file, "lab:copied-too"); r.code != 0 {
			t.Errorf("scp -O: %+v", r)
		}
		if r := g.runs(with(3), "rsync", file, "lab:copied-by-rsync"); r.code != 0 {
			t.Errorf("rsync: %+v", r)
		}
		if r := g.runWith(with(7), "sftp", "-q", "lab:copied", filepath.Join(g.dir, "fetched")); r.code != 0 {
			t.Errorf("sftp: %+v", r)
		}
		for _, name := range []string{"copied", "copied-too", "copied-by-rsync", "../fetched"} {
			if b, err := os.ReadFile(filepath.Join(g.home, name)); err != nil || string(b) != "content\n" {
				t.Errorf("%s: %q, %v", name, b, err)
			}
		}
		// One connection for many: asked once.
		control := filepath.Join(g.dir, "mux")
		if r := g.runWith(with(2), "ssh", "-o", "ControlMaster=auto", "-o", "ControlPath="+control, "-o", "ControlPersist=20", "lab", "true"); r.code != 0 {
			t.Fatalf("the first of a multiplexed connection: %+v", r)
		}
		if r := g.run("ssh", "-o", "ControlPath="+control, "lab", "echo again"); r.out != "again\n" {
			t.Errorf("the second: %+v", r)
		}
		if usr == "" { // the other has none
			if r := g.run("ssh", "-o", "ControlPath="+control, "lab", "git init -q --bare repo"); r.code != 0 {
				t.Fatalf("git init: %+v", r)
			}
			if r := g.runs(with(4), "git", "clone", "lab:repo", filepath.Join(g.dir, "clone")); r.code != 0 {
				t.Errorf("git: %+v", r)
			}
		}
		g.run("ssh", "-o", "ControlPath="+control, "-O", "exit", "lab")
		// Connections without a command.
		inner := net.JoinHostPort(g.server, strconv.Itoa(g.port))
		if r := g.runWith(with(5), "ssh", "-W", inner, "lab"); !strings.HasPrefix(r.out, "SSH-2.0-") {
			t.Errorf("-W: %+v", r)
		}
		forwarded := filepath.Join(g.dir, "forwarded")
		if r := g.runWith(with(6), "ssh", "-f", "-N", "-M", "-S", control, "-L", forwarded+":"+inner, "lab"); r.code != 0 {
			t.Fatalf("-N -L: %+v", r)
		}
		c, err := net.Dial("unix", forwarded)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		banner := make([]byte, 8)
		if _, err := io.ReadFull(c, banner); err != nil || string(banner) != "SSH-2.0-" {
			t.Errorf("-N -L: %q, %v", banner, err)
		}
		g.run("ssh", "-S", control, "-O", "exit", "lab")
	})
}

// runs runs a program that itself runs ssh.
func (g *gated) runs(env []string, name string, args ...string) result {
	g.t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		lacking(g.t, name)
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	ssh := g.write("ssh", 0o755, "#!/bin/sh\nexec ssh -F "+filepath.Join(g.dir, "ssh_config")+" \"$@\"\n")
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + g.dir, "RSYNC_RSH=" + ssh, "GIT_SSH=" + ssh}, env...)
	out, err := c.CombinedOutput()
	if c.ProcessState == nil {
		g.t.Fatalf("%s %q: %v", name, args, err)
	}
	return result{code: c.ProcessState.ExitCode(), out: string(out)}
}
