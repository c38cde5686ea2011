package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// as runs a command of the lab's user, with that user's home.
func (l *lab) as(words ...string) string {
	l.t.Helper()
	return l.must("setpriv", append([]string{"--reuid", l.user, "--regid", "users", "--clear-groups", "--reset-env"}, words...)...)
}

// homeFiles returns what stands in the user's home.
func (l *lab) homeFiles() map[string]string {
	l.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(l.home, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		all[strings.TrimPrefix(name, l.home)] = string(b)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

// A person without root, from the installation to a login's message and back,
// in the shells that sshd starts for them.
func TestSshdAfterInstall(t *testing.T) {
	e2e(t)
	for shell, nested := range map[string]string{"bash": "bash -i -c", "zsh": "zsh -i -c", "fish": "fish -i -c"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell)
			if err != nil {
				lacking(t, shell)
			}
			l := newLab(t)
			slack, err := standin.StartSlack(strict)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(slack.Close)
			usersMu.Lock()
			l.must("usermod", "-s", path, l.user)
			usersMu.Unlock()
			l.atHome(".bashrc", "case $- in *i*) ;; *) return;; esac\nPS1='$ '\n")
			l.atHome(".zshrc", "PS1='$ '\n")
			l.atHome(".hushlogin", "")
			l.atHome("slack.url", slack.URL()+"\n")
			before := l.homeFiles()

			install := []string{binary, "install", "--yes", "--no-test", "--no-wait", "--notify", "all", "--webhook-url-file", filepath.Join(l.home, "slack.url")}
			said := l.as(install...)
			if !strings.Contains(said, "to undo: sshnotify uninstall") {
				t.Errorf("install says: %s", said)
			}
			settings := filepath.Join(l.home, ".config/sshnotify/config.toml")
			b, err := os.ReadFile(settings)
			if err != nil {
				t.Fatal(err)
			}
			// Each login has its message, whatever came before it.
			text := string(b)
			l.atHome(".config/sshnotify/conf.d/apart.toml", apart)
			l.pam()
			l.serve("ExposeAuthInfo yes")

			if r := l.run("ssh", "lab", "echo out; echo err >&2"); r != (result{0, "out\n", "err\n"}) {
				t.Errorf("a command: %+v", r)
			}
			l.waitFor(slack, 1)
			l.transfer(t, "sftp", "lab:sent", "fetched-by-sftp")
			l.waitFor(slack, 2)
			l.transfer(t, "scp", "lab:sent", "fetched-by-scp")
			l.waitFor(slack, 3)
			c := l.login("lab")
			c.enter(nested + " 'echo nested''-done'")
			c.see("nested-done")
			c.leave()
			l.waitFor(slack, 4)
			l.quiet()
			if n := len(slack.Messages()); n != 4 {
				t.Errorf("%d messages of 4 connections", n)
			}

			if err := os.RemoveAll(filepath.Join(l.home, ".config/sshnotify/conf.d")); err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(settings); err != nil || string(b) != text {
				t.Errorf("the settings were changed: %v", err)
			}
			l.as(filepath.Join(l.home, ".local/bin/sshnotify"), "uninstall", "--purge", "--yes")
			after := l.homeFiles()
			for _, own := range []string{"/sent", "/.bash_history", "/.zsh_history", "/.local/share/fish/fish_history"} {
				delete(after, own)
			}
			for name := range after {
				if before[name] == "" && strings.Contains(name, "/fish/") {
					delete(after, name) // fish's own
				}
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("what uninstall left (-want +got):\n%s", diff)
			}
		})
	}
}
