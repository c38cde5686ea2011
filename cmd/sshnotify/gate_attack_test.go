package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/gate"
)

// What a user writes to ~/.pam_environment is neither a first factor nor an address,
// though PAM reads it before the gate's lines.
func TestGateAttackForgedEnvironment(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		name, methods, forged string
		codes                 int
	}{
		{"first factor", "keyboard-interactive:pam", "SSH_AUTH_INFO_0 OVERRIDE=\"publickey ssh-ed25519 AAAA\"\n", 0},
		{"exempt network", "publickey,keyboard-interactive:pam", "SSH_CONNECTION OVERRIDE=\"203.0.113.7 51234 192.0.2.5 22\"\nPAM_RHOST OVERRIDE=203.0.113.7\n", 1},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			g := newGated(t, "when = \"always\"\nexempt_networks = [\"203.0.113.0/24\"]")
			g.atHome(".pam_environment", r.forged)
			g.stack(func(lines []string) []string {
				reads := " required pam_env.so user_readenv=1"
				return slices.Concat([]string{"auth" + reads}, lines[:len(lines)-1], []string{"session" + reads, ""})
			})
			g.asks = true
			g.serve("AuthenticationMethods " + r.methods)
			g.refused(g.log(typing("")))
			if got := g.results(); slices.Contains(got, event.GateExempt) {
				t.Errorf("told: %q", got)
			}
			if n := len(g.codes()); n != r.codes {
				t.Errorf("%d codes, want %d", n, r.codes)
			}
		})
	}
}

// The user whose login it is can't read, signal or trace what asks them, nor read what
// it keeps.
func TestGateAttackOnTheHelper(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		lacking(t, "strace")
	}
	g := newGated(t, `when = "always"`)
	g.hang = make(chan struct{})
	g.open()
	done := make(chan *attempt, 1)
	signer := g.signer()
	go func() {
		done <- g.logFrom(g.client, signer, func(shown string, _ int) string { return g.codeFor(shown) })
	}()
	var helper int
	var line string
	until(t, "the process that asks", func() bool {
		found := pids(func(pid int) bool {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			args := strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
			if !slices.Contains(args, "ask") || !slices.Contains(args, g.settings) || args[0] != binary {
				return false
			}
			line = strings.Join(args, " ")
			return true
		})
		if len(found) != 1 {
			return false
		}
		helper = found[0]
		return true
	})
	as := func(name string, args ...string) error {
		c := exec.Command(name, args...)
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(g.uids[0]), Gid: uint32(g.uids[0])}}
		return c.Run()
	}
	pid := strconv.Itoa(helper)
	for _, attack := range [][]string{
		{"sh", "-c", "kill -9 " + pid}, {"sh", "-c", "kill -STOP " + pid},
		{"cat", "/proc/" + pid + "/environ"}, {"cat", "/proc/" + pid + "/mem"}, {"ls", "/proc/" + pid + "/fd/"},
		{"strace", "-p", pid},
		{"ls", filepath.Join(g.dir, "run")}, {"ls", filepath.Join(g.dir, "vault")}, {"cat", g.settings},
	} {
		if exit := (*exec.ExitError)(nil); !errors.As(as(attack[0], attack[1:]...), &exit) {
			t.Errorf("%q is possible, or was not tried", attack)
		}
	}
	close(g.hang)
	a := <-done
	a.got(t)
	if strings.Contains(line, g.codes()[0]) || strings.Contains(line, "not-a-secret") {
		t.Errorf("a secret is in the command line: %s", line)
	}
}

// Whoever has no key learns nothing of accounts: the second step does not begin, so
// that it takes no time either.
func TestGateAttackUnknownUsers(t *testing.T) {
	t.Parallel()
	g := newGated(t, `when = "always"`)
	b := g.withLog()
	g.open()
	g.keygen("stranger")
	g.write("id", 0o600, g.read("stranger"))
	known := g.user
	said := map[string]string{}
	for _, user := range []string{known, "sshn" + word()} {
		g.user = user
		a := g.log(typing(""))
		g.refused(a)
		said[user] = fmt.Sprint(a.err, a.shown)
	}
	for user, what := range said {
		if what != said[known] {
			t.Errorf("%s: %s\n%s: %s", known, said[known], user, what)
		}
	}
	if got := g.results(); len(got) != 0 || len(g.codes()) != 0 || strings.Contains(b.logged(), "gate") {
		t.Errorf("told %q, %d codes\n%s", got, len(g.codes()), b.logged())
	}
}

// A code is for the connection that it was sent for.
func TestGateAttackCodeOfAnother(t *testing.T) {
	t.Parallel()
	g := newGated(t, `when = "always"`)
	g.open()
	a := g.log(func(string, int) string {
		code := g.codes()[0]
		g.refused(g.log(typing(code)))
		return code
	})
	a.got(t)
	if n := len(g.codes()); n != 2 {
		t.Errorf("%d codes for two connections", n)
	}
}

// Who guesses for days is stopped by the tenth wrong code: no new code, connection or
// day begins anew.
func TestGateAttackGuessing(t *testing.T) {
	t.Parallel()
	g := newGated(t, `when = "always"`)
	g.open()
	vault := gate.NewVault(filepath.Join(g.dir, "vault"))
	for range 4 {
		g.refused(g.log(typing("111111", "222222", "333333")))
		// A day later, codes are sent again.
		if err := vault.Update(t.Context(), g.user, func(a *gate.Account) error { a.Sends = nil; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.codes()); n != 4 {
		t.Errorf("%d codes were sent", n)
	}
	a := g.log(func(string, int) string { return g.codes()[len(g.codes())-1] })
	g.refused(a)
	if shown := strings.Join(a.shown, ""); !strings.Contains(shown, "Too many wrong codes") || len(g.codes()) != 4 {
		t.Errorf("%d codes; shown %q", len(g.codes()), shown)
	}
	if got := g.results(); !slices.Contains(got, event.GateLocked) {
		t.Errorf("told: %q", got)
	}
	codes, recovery := gate.NewRecovery()
	if err := vault.Update(t.Context(), g.user, func(a *gate.Account) error { a.Recovery = recovery; return nil }); err != nil {
		t.Fatal(err)
	}
	g.log(typing(codes[0])).got(t) // which only its owner has
	g.log(func(string, int) string { return g.codes()[len(g.codes())-1] }).got(t)
}
