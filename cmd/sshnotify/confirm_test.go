package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// asksInSlack are settings of whoever asks the lab's user by a stand-in.
const asksInSlack = `notify = "all"
[group]
window = "0s"
[history]
enabled = true
[[rule]]
user = %[1]q
severity = "high"
reason = "asleep"
[person.alice]
accounts = [%[1]q]
slack = "U0ALICE01"
[destination.slack]
token_file = %[2]q
app_token_file = %[3]q
channel = "#alerts"
api_url = %[4]q
confirm = "code"
`

// connection is a process that passes for an SSH server's, with a login on it whose shell
// does what a script says.
func (s *site) connection(t *testing.T, port int, script string) (in io.WriteCloser, said *text) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		lacking(t, "bash")
	}
	server := filepath.Join(t.TempDir(), "sshd-session") // as the kernel has its name
	if err := os.Symlink(bash, server); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(server, "-c", fmt.Sprintf("%q hook --spool %q --config %q --no-worker; %s; true", binary, s.spool, s.settings, script))
	c.Env = []string{"PATH=" + os.Getenv("PATH"), fmt.Sprintf("SSH_CONNECTION=203.0.113.7 %d 192.0.2.5 22", port)}
	said = new(text)
	c.Stdout, c.Stderr = said, said
	if in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = c.Wait() })
	return in, said
}

// Who says "It was me" types the code in the session of the login, which the kernel tells
// by its processes; in another session of the same user it counts for nothing, and is taken
// back. It is the same where the login is a host's that hands over.
func TestConfirmedInItsSession(t *testing.T) {
	for _, where := range []string{"on one host", "at a hub"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS != "linux" {
				t.Skip("the kernel says who is at the other end of a socket on Linux alone")
			}
			me, err := user.Current()
			if err != nil {
				t.Fatal(err)
			}
			slack, err := standin.StartSlackApp(standin.SlackAppOptions{Members: map[string]string{"alice@example.com": "U0ALICE01"}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(slack.Close)
			dir := t.TempDir()
			for name, token := range map[string]string{"token": standin.SlackBotToken, "app": standin.SlackAppToken} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(token+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			asks := fmt.Sprintf(asksInSlack, me.Username, filepath.Join(dir, "token"), filepath.Join(dir, "app"), slack.URL())
			var host *site
			handedOver := where == "at a hub"
			for _, name := range []string{"hub", "sshnotify"} {
				if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if handedOver {
				hub := newFleetHub(t, filepath.Join(dir, "hub"), asks)
				host = newRealHost(t, filepath.Join(dir, "sshnotify"), "db1", hub, "").site
			} else {
				host = &site{t: t, dir: filepath.Join(dir, "sshnotify"), small: true}
				host.spool, host.state, host.settings = filepath.Join(host.dir, "spool"), filepath.Join(host.dir, "state"), filepath.Join(host.dir, "config.toml")
				if err := os.Mkdir(host.spool, 0o700); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(host.endWorkers)
				host.configure(fmt.Sprintf("host = \"db1\"\nstate_dir = %q\nspool_dir = %q\n", host.state, host.spool) + asks)
			}
			host.follow()
			until(t, "the worker's socket", func() bool { _, err := os.Stat(filepath.Join(host.state, "confirm.sock")); return err == nil })
			confirm := fmt.Sprintf("%q confirm --state %q ", binary, host.state)
			in, said := host.connection(t, 51234, "read -r code && "+confirm+"$code; echo status $?; read -r wait")

			find := func(what, channel string, texts ...string) (m standin.Posted) {
				t.Helper()
				until(t, what, func() bool {
					for _, m = range slack.Messages() {
						if m.Channel == channel && !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(string(m.Raw), s) }) {
							return true
						}
					}
					return false
				})
				return m
			}
			const alone = "D0ALICE01"
			told := find("message about the login", standin.SlackChannel, "asleep", "asked alice")
			question := find("question", alone, "Did you just log in to db1")
			press := func() {
				t.Helper()
				envelope, err := slack.Press(question, "mine", "U0ALICE01", nil)
				if err == nil {
					err = slack.Deliver(t.Context(), envelope)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			press()
			is := regexp.MustCompile(`sshnotify confirm ([0-9]{6})`)
			code := is.FindStringSubmatch(string(find("code", alone, "sshnotify confirm ").Raw))[1]

			// In another session of the same user, from the same address.
			want := "nobody waits for a code from this session"
			if handedOver {
				want = "handed over to the hub"
			}
			_, other := host.connection(t, 51235, "for i in 1 2 3 4; do "+confirm+code+" 2>&1 | tee /dev/stderr | grep -q -e nobody -e handed && break; sleep 5; done; echo end")
			until(t, "an answer in another session", func() bool { return strings.Contains(other.String(), "end\n") })
			if !strings.Contains(other.String(), want) {
				t.Errorf("another session: %s", other.String())
			}
			// It is taken back, and there is another.
			find("word that it counts no more", standin.SlackChannel, "the code was typed in another session")
			old := code
			find("button for another code", alone, "the code was typed in another session", `"mine"`)
			press()
			until(t, "another code", func() bool {
				m := is.FindStringSubmatch(string(find("code", alone, "sshnotify confirm ").Raw))
				code = m[1]
				return code != old
			})
			if r := host.run(nil, "confirm", "--state", host.state, code); r.code != 1 || !strings.Contains(r.stderr, "no SSH session") {
				t.Errorf("outside of any session: %+v", r)
			}
			for _, m := range slack.Messages() {
				if strings.Contains(string(m.Raw), "it was me, confirmed") {
					t.Fatalf("it counts already: %s", m.Raw)
				}
			}
			// In the login's own.
			if _, err := io.WriteString(in, code+"\n"); err != nil {
				t.Fatal(err)
			}
			want = "confirmed: this login was yours\nstatus 0\n"
			if handedOver {
				want = "handed over to the hub; Slack shows what came of it\nstatus 0\n"
			}
			until(t, "an answer in the session", func() bool { return strings.Contains(said.String(), "status ") })
			if said.String() != want {
				t.Errorf("in the session: %q, want %q", said.String(), want)
			}
			m := find("word that it is confirmed", standin.SlackChannel, "alice: it was me, confirmed in the session of the login")
			if m.TS != told.TS {
				t.Errorf("confirmed is %s", m.Raw)
			}
			for _, m := range slack.Messages() {
				if m.Channel == standin.SlackChannel && strings.Contains(string(m.Raw), code) {
					t.Errorf("everybody sees the code: %s", m.Raw)
				}
			}
			if refused := slack.Refused(); len(refused) > 0 {
				t.Errorf("Slack refused %q", refused)
			}
		})
	}
}
