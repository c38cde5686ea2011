package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// shellBlock is what stands in a ~/.bashrc. The first line is the tests' own: it
// says that the file was read, and by how deep a shell.
func shellBlock(redirects string) string {
	return fmt.Sprintf("echo \"$SHLVL\" >>\"$HOME/read\"\n[ -n \"$SSH_CONNECTION\" ] && %s hook%s || :\n", binary, redirects)
}

const silenced = " >/dev/null 2>&1 </dev/null"

// shells makes the lab's user one who runs sshnotify without root's help: sshd
// and PAM know nothing of it. before stands first in ~/.bashrc, and config is
// the folder for settings, in the home.
func (l *lab) shells(o standin.SlackOptions, before, config, block string) *standin.Slack {
	l.t.Helper()
	slack, err := standin.StartSlack(o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(slack.Close)
	l.pam()
	l.atHome(".bashrc", before+block)
	l.atHome(".bash_profile", ". ~/.bashrc\n")
	l.atHome(filepath.Join(config, "sshnotify/config.toml"),
		fmt.Sprintf("host = \"db1.example.com\"\ntime_zone = \"UTC\"\n%s[destination.slack]\nwebhook_url = %q\n", apart+forgetful, slack.URL()))
	return slack
}

// readBy returns the depths of the shells that read a user's ~/.bashrc.
func (l *lab) readBy(home string) []string {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(home, "read"))
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// quiet waits until nothing runs as the lab's users any more.
func (l *lab) quiet() {
	l.t.Helper()
	for _, uid := range l.uids {
		until(l.t, fmt.Sprintf("the end of all processes of user %d", uid), func() bool { return len(ownedBy(uid)) == 0 })
	}
}

func (l *lab) waitFor(slack *standin.Slack, n int) []standin.Message {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	if err := slack.Wait(ctx, n); err != nil {
		l.t.Fatalf("%v; refused: %+v", err, slack.Refusals())
	}
	return slack.Messages()
}

// usualShell is the message that a shell's hook leads to: it knows the service
// as sshd, and the key where sshd says so.
func (l *lab) usualShell(key bool) told {
	want := l.usualKey()
	want.Title = strings.Replace(want.Title, l.service, "SSH", 1)
	if !key {
		want.Body, _, _ = strings.Cut(want.Body, "\n")
	}
	return want
}

// Many shells on one connection are one login: that of ~/.ssh/rc, the login
// shell, nested ones, one that su starts as somebody else, and a tmux window.
func TestSshdShellsOfOneConnection(t *testing.T) {
	e2e(t)
	t.Parallel()
	if _, err := exec.LookPath("tmux"); err != nil {
		lacking(t, "tmux")
	}
	l := newLab(t)
	slack := l.shells(strict, "", ".config", shellBlock(silenced))
	l.atHome(".ssh/rc", "echo rc >>\"$HOME/rc\"\n")
	other, otherHome := l.addUser()
	l.give(l.uids[1], otherHome, l.write(filepath.Join(other, ".bashrc"), 0o644, shellBlock(silenced)))
	l.serve("ExposeAuthInfo yes")

	c := l.login("lab")
	c.enter("bash -i -c 'bash -i -c \"echo nested\"-done'")
	c.see("nested-done")
	c.enter("LC_ALL=C su " + other + " -c 'bash -i -c \"echo su\"-done'")
	c.see("Password:")
	c.enter(l.password)
	c.see("su-done")
	c.enter("TMUX_TMPDIR=$HOME tmux -L lab -f /dev/null new-session -d 'bash -i -c \"echo window >>$HOME/window\"'; echo tmux''-done")
	c.see("tmux-done")
	window := filepath.Join(l.home, "window")
	until(t, "the tmux window", func() bool { _, err := os.Stat(window); return err == nil })
	c.leave()
	l.quiet()

	if _, err := os.Stat(filepath.Join(l.home, "rc")); err != nil {
		t.Errorf("~/.ssh/rc was not run: %v", err)
	}
	// The login shell, two nested ones and the window's; where bash was built so
	// (SSH_SOURCE_BASHRC), that of ~/.ssh/rc.
	if got := l.readBy(l.home); len(got) < 4 {
		t.Errorf("~/.bashrc was read by shells of depth %q only", got)
	}
	if got := l.readBy(otherHome); len(got) != 1 {
		t.Errorf("the other user's ~/.bashrc was read by shells of depth %q", got)
	}
	if diff := cmp.Diff(l.usualShell(true), tellsOf(l.waitFor(slack, 1)[0])); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if n := len(slack.Messages()); n != 1 {
		t.Errorf("%d messages of one connection", n)
	}
	if _, err := os.Stat(filepath.Join(otherHome, ".local")); err == nil {
		t.Error("the other user, who logged in nowhere, has a spool")
	}
	state, err := filepath.Glob(filepath.Join(l.home, ".local/state/sshnotify/*/spool/cur"))
	if err != nil || len(state) != 1 {
		t.Errorf("spools in the default place: %q, %v", state, err)
	}
}

// Where /proc is mounted with hidepid, a user's shell can't see the sshd that
// serves it, nor the one that sshd forks for ~/.ssh/rc.
func TestSshdShellsUnderHidepid(t *testing.T) {
	e2e(t)
	t.Parallel()
	for _, hidepid := range []string{"noaccess", "invisible", "ptraceable"} {
		t.Run(hidepid, func(t *testing.T) {
			t.Parallel()
			hides := mountsProc(hidepid)
			if exec.Command(hides[0], append(hides[1:], "true")...).Run() != nil {
				lacking(t, "leave to mount a /proc of its own, or a Linux from 5.8 on")
			}
			l := newLab(t)
			slack := l.shells(strict, "", ".config", shellBlock(silenced))
			l.atHome(".ssh/rc", "echo rc >>\"$HOME/rc\"\n"+strings.TrimSpace(binary)+" hook"+silenced+"\n")
			l.within = hides
			l.serve("ExposeAuthInfo yes")

			c := l.login("lab")
			c.enter("bash -i -c 'bash -i -c \"echo nested\"-done'")
			c.see("nested-done")
			c.leave()
			l.quiet()
			if _, err := os.Stat(filepath.Join(l.home, "rc")); err != nil {
				t.Errorf("~/.ssh/rc was not run: %v", err)
			}
			if got := l.readBy(l.home); len(got) < 3 {
				t.Errorf("~/.bashrc was read by shells of depth %q only", got)
			}
			l.waitFor(slack, 1)
			if n := len(slack.Messages()); n != 1 {
				t.Fatalf("%d messages of one connection", n)
			}
			// And another connection is another login.
			l.run("ssh", "lab", "true")
			l.quiet()
			l.waitFor(slack, 2)
			if n := len(slack.Messages()); n != 2 {
				t.Errorf("%d messages of two connections", n)
			}
		})
	}
}

// Each connection is a login, whatever shell it runs, and the places follow the
// environment of that shell.
func TestSshdShellOfEachConnection(t *testing.T) {
	e2e(t)
	t.Parallel()
	for _, tt := range []struct{ situation, before, config, spool string }{
		{"XDG folders", "export XDG_CONFIG_HOME=$HOME/conf XDG_STATE_HOME=$HOME/state\n", "conf", "state"},
		{"another HOME than /etc/passwd says", "export HOME=$HOME/moved\n", "moved/.config", "moved/.local/state"},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			slack := l.shells(strict, tt.before, tt.config, shellBlock(silenced))
			l.serve()
			l.login("lab").leave()
			l.waitFor(slack, 1)
			if r := l.run("ssh", "lab", "HOME="+l.home+" bash -i -c true 2>/dev/null; echo in"); r.code != 0 || r.out != "in\n" {
				t.Errorf("%+v", r)
			}
			for i, m := range l.waitFor(slack, 2) {
				if diff := cmp.Diff(l.usualShell(false), tellsOf(m)); diff != "" {
					t.Errorf("message %d (-want +got):\n%s", i+1, diff)
				}
			}
			l.quiet()
			if n := len(slack.Messages()); n != 2 {
				t.Errorf("%d messages of two connections", n)
			}
			spools, err := filepath.Glob(filepath.Join(l.home, tt.spool, "sshnotify/*/spool/cur"))
			if err != nil || len(spools) != 1 {
				t.Errorf("in %s are the spools %q, %v", tt.spool, spools, err)
			}
			if _, err := os.Stat(filepath.Join(l.home, ".local")); err == nil {
				t.Error("there is a spool in the default place")
			}
		})
	}
}
