package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/gate"
)

// results returns what the gate has told the spool, in order.
func (g *gated) results() (all []event.GateResult) {
	g.t.Helper()
	var told []event.Event
	for _, sub := range []string{"new", "cur"} {
		files, _ := filepath.Glob(filepath.Join(g.site.spool, sub, "*.json"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				continue // a worker took it
			}
			var e event.Event
			if err := json.Unmarshal(b, &e); err != nil {
				g.t.Fatalf("%s: %v", f, err)
			}
			if e.Gate != nil {
				told = append(told, e)
			}
		}
	}
	slices.SortFunc(told, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
	for _, e := range told {
		all = append(all, e.Gate.Result)
	}
	return all
}

// withLog gives the gate a system log that the test reads.
func (g *gated) withLog(more ...string) *sandbox {
	g.t.Helper()
	b := newSandbox(g.t)
	if err := os.Mkdir(filepath.Join(b.run, "sshd"), 0o755); err != nil {
		g.t.Fatal(err)
	}
	g.within = b.within(more...)
	return b
}

// Whoever waits until LoginGraceTime ends has been asked and never passed; what comes
// after that, and what was sent, opens nothing.
func TestGateGraceTime(t *testing.T) {
	eachSSHD(t, func(t *testing.T, usr string) {
		g := newGated(t, `when = "always"`)
		g.asks, g.usr = true, usr
		g.serve("AuthenticationMethods publickey,keyboard-interactive:pam", "LoginGraceTime 30")
		late := g.log(func(_ string, n int) string {
			if n == 0 {
				g.over()
			}
			return g.codes()[0]
		})
		g.refused(late)
		if got := g.results(); !slices.Equal(got, []event.GateResult{event.GateAsked}) {
			t.Errorf("told: %q", got)
		}
		g.refused(g.log(typing(g.codes()[0])))
		if n := len(g.codes()); n != 2 {
			t.Errorf("%d codes for two connections", n)
		}
	})
}

// Root, whose answers sshd takes only where it takes root's password, too.
func TestGateRoot(t *testing.T) {
	t.Parallel()
	const asks = "AuthenticationMethods publickey,keyboard-interactive:pam"
	for _, r := range []struct {
		name  string
		sshd  []string
		in    bool
		codes int
	}{
		{"by key alone", []string{asks, "Match User root", "AuthenticationMethods publickey"}, true, 0},
		{"by key and code", []string{asks, "PermitRootLogin yes"}, true, 1},
		{"prohibit-password takes no code", []string{asks, "PermitRootLogin prohibit-password"}, false, 1},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			g := newGated(t, `when = "always"`, `accounts = ["root"]`)
			g.user, g.asks = "root", true
			g.write("keys/root", 0o644, g.read("id.pub"))
			g.serve(append([]string{"AllowUsers root"}, r.sshd...)...)
			a := g.log(func(string, int) string { return g.codes()[0] })
			if r.in {
				a.got(t)
			} else {
				g.refused(a)
			}
			if n := len(g.codes()); n != r.codes {
				t.Errorf("%d codes, want %d", n, r.codes)
			}
		})
	}
}

// Who has no second step, and what becomes of a login when no code can be sent, is
// for the settings to say.
func TestGateWithoutACode(t *testing.T) {
	t.Parallel()
	const sms = "factors = [\"sms\", \"recovery\"]\n"
	for _, r := range []struct {
		name, settings string
		sender         string // "fails" or "hangs"
		in             bool
		told           event.GateResult
		shown          string
	}{
		{"not enrolled", "factors = [\"totp\", \"recovery\"]", "", false, event.GateRefused, "has no second step"},
		{"not enrolled, and allowed", "factors = [\"totp\", \"recovery\"]\nunenrolled = \"allow\"", "", true, event.GateExempt, ""},
		{"refused by the service", "", "fails", false, event.GateRefused, "does not work at the moment"},
		{"the service hangs", "", "hangs", false, event.GateRefused, "does not work at the moment"},
		{"refused by the service, failmode safe", sms + "failmode = \"safe\"", "fails", true, event.GateFailOpen, "lets you in without it"},
		{"no code is left, failmode safe", sms + "failmode = \"safe\"\nsends_per_day = 0", "", false, event.GateRefused, "Too many codes"},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			g := newGated(t, "when = \"always\"\n"+cmp.Or(r.settings, sms))
			if g.fail = r.sender != ""; r.sender == "hangs" {
				g.hang = make(chan struct{})
				time.AfterFunc(16*time.Second, func() { close(g.hang) }) // the first try had enough of it by then
			}
			b := g.withLog()
			g.open()
			a := g.log(typing(""))
			if r.in {
				a.got(t)
				b.saw("result=" + string(r.told)) // the login's worker may have told it already
			} else {
				g.refused(a)
				if got := g.results(); !slices.Contains(got, r.told) {
					t.Errorf("told: %q", got)
				}
			}
			all := strings.Join(a.shown, "\n")
			if shown := all + fmt.Sprint(a.err); r.shown != "" && !strings.Contains(shown, r.shown) {
				t.Errorf("shown %q", shown)
			}
			if !r.in && strings.Contains(all, "Password") {
				t.Errorf("asked for what was not sent: %q", all)
			}
		})
	}
}

// A full disk keeps everybody out, says so, and loses nothing of what was counted.
func TestGateDiskFull(t *testing.T) {
	t.Parallel()
	for _, full := range []string{"vault", "run"} {
		t.Run(full, func(t *testing.T) {
			t.Parallel()
			g := newGated(t, `when = "always"`)
			dir := filepath.Join(g.dir, full)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			g.must("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "none", dir)
			t.Cleanup(func() { g.must("umount", dir) })
			b := g.withLog()
			secret := g.enrol()
			g.open()
			g.refused(g.log(typing("1", "2", "3"))) // counted
			vault := gate.NewVault(filepath.Join(g.dir, "vault"))
			before, err := vault.Account(g.user)
			if err != nil || before.Failures != 3 {
				t.Fatalf("%d failures, %v", before.Failures, err)
			}
			filler := filepath.Join(dir, "filler")
			if err := os.WriteFile(filler, bytes.Repeat([]byte("x"), 1<<20), 0o600); err == nil {
				t.Fatal("the disk is not full")
			}
			g.refused(g.log(ahead(secret)))
			b.saw("no space left on device")
			if after, err := vault.Account(g.user); err != nil || after.Failures != 3 || after.LastStep != before.LastStep {
				t.Errorf("%d failures, %v", after.Failures, err)
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			g.log(ahead(secret)).got(t)
		})
	}
}

// A clock that was set back refuses the app's codes, which may have been used, and no
// recovery code.
func TestGateClockSetBack(t *testing.T) {
	t.Parallel()
	g := newGated(t, `when = "always"`)
	g.open()
	secret := g.enrol()
	codes, recovery := gate.NewRecovery()
	if err := gate.NewVault(filepath.Join(g.dir, "vault")).Update(t.Context(), g.user, func(a *gate.Account) error {
		a.LastStep += int64(time.Hour / (30 * time.Second)) // used in an hour's time
		a.Recovery = recovery
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	g.refused(g.log(typing(secret.Code(time.Now().Add(30*time.Second)), "")))
	g.log(typing(codes[0])).got(t)
}

// What somebody types is in no log, message or file, be it the password that they took
// the prompt to ask for.
func TestGateKeepsNothingTyped(t *testing.T) {
	t.Parallel()
	g := newGated(t, `when = "always"`)
	b := g.withLog()
	secret := g.enrol()
	g.asks = true
	g.serve("AuthenticationMethods publickey,keyboard-interactive:pam", "LogLevel DEBUG3")
	const password = "correct-Horse*battery"
	code := ""
	a := g.log(func(shown string, n int) string {
		if n == 0 {
			return password
		}
		code = ahead(secret)(shown, n)
		return code
	})
	a.got(t)
	b.saw("result=passed")
	g.site.mustDeliver()
	g.site.wait(1)
	for _, m := range g.site.slack.Messages() {
		if strings.Contains(m.Payload.Text+tellsOf(m).Body, password) {
			t.Error("it is in a message")
		}
	}
	for _, typed := range []string{password, strings.ToUpper(strings.ReplaceAll(password, "-", "")), code} {
		if strings.Contains(b.logged(), typed) {
			t.Errorf("%s is in the system log", typed)
		}
		for _, dir := range []string{g.dir, g.site.dir, b.run} {
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() {
					return nil // gone since
				}
				text, _ := os.ReadFile(path) // empty: gone since
				if bytes.Contains(text, []byte(typed)) {
					t.Errorf("%s is in %s", typed, path)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if !strings.Contains(g.read("sshd.log"), "debug3") {
		t.Error("sshd does not say all that it can")
	}
}

// A hundred at the same time: half of them are known, and half are asked for a code
// of their own each.
func TestGateHundred(t *testing.T) {
	t.Parallel()
	g := newGated(t, "sends = \"100/15m\"\nsends_per_day = 200\ndecide_timeout = \"10s\"", "[history]\nenabled = true\n")
	g.asks = true
	g.serve("AuthenticationMethods publickey,keyboard-interactive:pam", "MaxStartups 200")
	g.site.start(call{args: []string{"deliver", "--follow", "--config", g.site.settings}})
	until(t, "the worker's socket", func() bool { _, err := os.Stat(filepath.Join(g.site.state, gate.SocketName)); return err == nil })
	until(t, "a login that is not asked", func() bool {
		before := len(g.codes())
		g.log(func(shown string, _ int) string { return g.codeFor(shown) }).got(t)
		return len(g.codes()) == before
	})
	before := len(g.codes())
	// On a machine so busy that nobody is known, there is a code for each.
	if err := gate.NewVault(filepath.Join(g.dir, "vault")).Update(t.Context(), g.user, func(a *gate.Account) error { a.Sends = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	signer := g.signer()
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	for i := range 100 {
		wg.Go(func() {
			client := g.client
			if i%2 == 1 {
				client = fmt.Sprintf("127.%d.0.2", 100+i) // who passed is known there for all that follow
			}
			a := g.logFrom(client, signer, func(shown string, _ int) string { return g.codeFor(shown) })
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
			t.Errorf("one of a hundred: %v", err)
		}
	}
	// In doubt the known are asked, too: the worker is as busy as the machine.
	n := len(g.codes()) - before
	if t.Logf("%d codes for fifty logins that are unusual, and fifty that are not", n); n < 50 || n > 100 {
		t.Error("fifty or more, and one for each connection at most, were to be sent")
	}
}
