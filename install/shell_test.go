package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A fake program writes down its arguments, makes noise and fails.
const noisyProgram = `#!/bin/sh
for a; do printf '%s\n' "$a" >>"$OUT"; done
echo noise; echo noise >&2
cat >/dev/null
exit 3
`

type shellWorld struct {
	home, binary, out string
	words             []string
}

// odd is a folder name that each way of quoting has to get right.
const odd = `it's "q" $HOME ` + "`x`" + ` \ é ü*`

func newShellWorld(t *testing.T) shellWorld {
	t.Helper()
	w := shellWorld{home: t.TempDir(), out: filepath.Join(t.TempDir(), "out")}
	dir := filepath.Join(t.TempDir(), odd)
	w.binary = filepath.Join(dir, "sshnotify")
	w.words = Host{}.hookCommand(w.binary, filepath.Join(dir, "config.toml"), filepath.Join(dir, "spool"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.binary, []byte(noisyProgram), 0o755); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w shellWorld) put(t *testing.T, name, content string) {
	t.Helper()
	p := filepath.Join(w.home, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run returns what a shell writes to standard output and error together.
func (w shellWorld) run(t *testing.T, connection string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(args[0])
	if err != nil {
		t.Skipf("%s is not installed", args[0])
	}
	cmd := exec.CommandContext(t.Context(), path, args[1:]...)
	// SSH_CLIENT and a missing SHLVL are what makes bash -c read .bashrc.
	cmd.Env = []string{"HOME=" + w.home, "PATH=/usr/bin:/bin", "OUT=" + w.out, "LC_ALL=C.UTF-8", "XDG_CONFIG_HOME=" + filepath.Join(w.home, ".config")}
	if connection != "" {
		cmd.Env = append(cmd.Env, "SSH_CONNECTION="+connection, "SSH_CLIENT=203.0.113.7 51234 22")
	}
	cmd.Stdin = strings.NewReader("for the command\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v", args, err)
	}
	return string(out)
}

// told returns the arguments of all runs of the fake program.
func (w shellWorld) told(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(w.out)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	os.Remove(w.out)
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

const connection = "203.0.113.7 51234 192.0.2.10 22"

// Every shell, sourcing the block among the settings that break careless code.
func TestBlockInShells(t *testing.T) {
	say := `printf '%s|%s|' "$?" "${_-}"; cat`
	for _, c := range []struct{ name, shell, before, after, want string }{
		{"bash", "bash", "true A B", say, "0|B|for the command\n"},
		{"bash, strict", "bash", "set -euo pipefail; true A B", say, "0|B|for the command\n"},
		{"bash, posix", "bash", "set -o posix; set -eu; true A B", say, "0|B|for the command\n"},
		{"bash, noglob, noclobber, failing on unset", "bash", "set -fCu; true A B", say, "0|B|for the command\n"},
		{"bash, ERR and EXIT traps", "bash", "trap 'echo trapped' ERR; set -E; true A B", say, "0|B|for the command\n"},
		{"bash, odd IFS", "bash", "IFS=/s; true A B", say, "0|B|for the command\n"},
		{"bash, job control", "bash", "set -m; true A B", say + "; jobs", "0|B|for the command\n"},
		{"dash", "dash", "true", "printf '%s|' \"$?\"; cat", "0|for the command\n"},
		{"dash, strict", "dash", "set -eu", "printf '%s|' \"$?\"; cat", "0|for the command\n"},
		{"zsh", "zsh", "true", "printf '%s|' \"$?\"; cat", "0|for the command\n"},
		{"zsh, strict", "zsh", "setopt ERR_EXIT NO_UNSET RC_QUOTES NO_GLOB", "printf '%s|' \"$?\"; cat", "0|for the command\n"},
		{"zsh, as ksh", "zsh", "emulate ksh", "printf '%s|' \"$?\"; cat", "0|for the command\n"},
		{"zsh, as sh, noclobber", "zsh", "emulate sh; set -Ceu", "printf '%s|' \"$?\"; cat", "0|for the command\n"},
		{"fish", "fish", "true", "printf '%s|' $status; cat", "0|for the command\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newShellWorld(t)
			block := shBlock(w.words)
			if c.shell == "fish" {
				block = fishBlock(w.words)
			}
			w.put(t, "script", c.before+"\n"+block+c.after+"\n")
			script := filepath.Join(w.home, "script")
			if got := w.run(t, "", c.shell, script); got != c.want {
				t.Errorf("outside of SSH: prints %q, want %q", got, c.want)
			}
			if got := w.told(t); got != nil {
				t.Errorf("outside of SSH: ran with %q", got)
			}
			if got := w.run(t, connection, c.shell, script); got != c.want {
				t.Errorf("over SSH: prints %q, want %q", got, c.want)
			}
			if diff := cmp.Diff(w.words[1:], w.told(t)); diff != "" {
				t.Errorf("over SSH: arguments (-want +got):\n%s", diff)
			}
			if err := os.Remove(w.binary); err != nil {
				t.Fatal(err)
			}
			if got := w.run(t, connection, c.shell, script); got != c.want {
				t.Errorf("with the program gone: prints %q, want %q", got, c.want)
			}
		})
	}
}

// Every way in, in start-up files as the plan leaves them.
func TestBlockAtLogin(t *testing.T) {
	for _, c := range []struct {
		name, shell string
		files       map[string]string
		args        []string
	}{
		{"bash, a command, Debian's guard", Bash, map[string]string{".bashrc": debianGuard}, []string{"bash", "-c", "cat"}},
		{"bash, a command, Windows line endings", Bash, map[string]string{".bashrc": "# mine\r\nA=1\r\n"}, []string{"bash", "-c", "cat"}},
		{"bash, login shell that reads .bashrc", Bash, map[string]string{".bashrc": debianGuard, ".profile": ". ~/.bashrc\n"}, []string{"bash", "-l", "-c", "cat"}},
		{"bash, login shell that does not", Bash, map[string]string{".bash_profile": "export A=1\n"}, []string{"bash", "-l", "-c", "cat"}},
		{"bash, nothing there", Bash, nil, []string{"bash", "-l", "-c", "cat"}},
		{"zsh, a command", Zsh, nil, []string{"zsh", "-c", "cat"}},
		{"zsh, login shell", Zsh, map[string]string{".zshenv": "export A=1"}, []string{"zsh", "-l", "-c", "cat"}},
		{"fish, a command", Fish, nil, []string{"fish", "-c", "cat"}},
		{"fish, login shell", Fish, nil, []string{"fish", "-l", "-c", "cat"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newShellWorld(t)
			for name, content := range c.files {
				w.put(t, name, content)
			}
			state := filepath.Join(w.home, ".local/state/sshnotify/m")
			h := Host{Root: "/", UID: os.Getuid()}
			p, err := PlanUser(t.Context(), h, UserOptions{
				Home: w.home, LoginShell: "/bin/" + c.shell, Binary: w.binary, Config: w.words[3], Spool: w.words[5], State: state,
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Apply(t.Context(), h); err != nil {
				t.Fatal(err)
			}
			if got := w.run(t, connection, c.args...); got != "for the command\n" {
				t.Errorf("prints %q", got)
			}
			got := w.told(t)
			if len(got) == 0 || len(got)%len(w.words[1:]) != 0 {
				t.Fatalf("the hook was run with %q", got)
			}
			if diff := cmp.Diff(w.words[1:], got[:len(w.words)-1]); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
			if got := w.run(t, "", c.args...); got != "for the command\n" || w.told(t) != nil {
				t.Errorf("outside of SSH: prints %q", got)
			}
		})
	}
}

func TestBlockPassesShellcheck(t *testing.T) {
	path, err := exec.LookPath("shellcheck")
	if err != nil {
		t.Skip("shellcheck is not installed")
	}
	for _, shell := range []string{"sh", "bash"} {
		cmd := exec.CommandContext(t.Context(), path, "-s", shell, "-e", "SC3028", "-") // $_ may be unset, and is asked for as such
		cmd.Stdin = strings.NewReader(shBlock(Host{}.hookCommand("/usr/bin/sshnotify", "/c", "/s")))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
