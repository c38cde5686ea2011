package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/fake"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/slackmsg"
)

// demoTimeout is far above what the way takes, for a machine under load.
const demoTimeout = 30 * time.Second

// demoKey is a public key that was made up for the demonstration, as sshd
// gives it to the hook.
const demoKey = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

func newDemoCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Follow a made-up login all the way, with nothing set up",
		Long: long(`demo makes up a login and follows it all the way: the hook writes it to a spool,
and a worker looks the address up and posts the message. Slack and the look-up
service are stand-ins on loopback. Nothing leaves this machine, and nothing is
left behind.`,
			exits(exitDone, exitFailed, exitUsage)),
		Example: "  sshnotify demo",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.runDemo(c.Context()) },
	}
}

func (a *app) runDemo(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "sshnotify-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	slack, err := fake.StartSlack()
	if err != nil {
		return err
	}
	defer slack.Close()
	lookups, err := fake.StartLookupService()
	if err != nil {
		return err
	}
	defer lookups.Close()
	settings := filepath.Join(dir, "config.toml")
	if err := demoSettings(dir, slack, lookups); err != nil {
		return err
	}
	spoolDir := filepath.Join(dir, "spool")
	if err := os.Mkdir(spoolDir, 0o700); err != nil {
		return err
	}

	fmt.Fprintf(a.out, "A stand-in for Slack listens on %s, one for a look-up service on %s.\n", slack.Addr(), lookups.Addr())
	start := time.Now()
	if err := a.demoHook(ctx, settings, spoolDir); err != nil {
		return err
	}
	hook := time.Since(start)
	fmt.Fprintf(a.out, "alice logs in from %s: the hook took %v, the login went on.\n", fake.IP, hook.Round(100*time.Microsecond))
	m, err := slack.Receive(ctx)
	if err != nil {
		return fmt.Errorf("no message came within %v: %w", demoTimeout, err)
	}
	fmt.Fprintf(a.out, "The message was in Slack %v after the login:\n\n", m.At.Sub(start).Round(time.Millisecond))
	text, err := slackmsg.RenderReceived(m.Raw, a.colour)
	if err != nil {
		return err
	}
	fmt.Fprint(a.out, text)
	fmt.Fprintf(a.out, "\nNext, with the URL of a Slack webhook: %s\n", a.setUp())
	return a.demoEnd(ctx, spoolDir)
}

// demoSettings writes the settings that a person would write, but for the
// stand-ins, and the description of the service.
func demoSettings(dir string, slack *fake.Slack, lookups *fake.LookupService) error {
	text := fmt.Sprintf(`host = "db1.example.com"
labels = {env = "prod", role = "db"}
state_dir = %q
time_zone = "UTC"

[destination.slack]
webhook_url = %q

[provider.lookups]
type = "http"
file = "lookups.toml"
url = %q
api_key = %q

[person."alice, laptop"]
keys = ["SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA"]
`, filepath.Join(dir, "state"), slack.URL(), lookups.URL(), lookups.Key())
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600),
		os.WriteFile(filepath.Join(dir, "lookups.toml"), []byte(fake.Description), 0o600))
}

// demoHook runs the hook as pam_exec does, with the environment that sshd and
// pam_exec give it.
func (a *app) demoHook(ctx context.Context, settings, spoolDir string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, exe, "hook", "--spool", spoolDir, "--config", settings)
	c.Env = []string{
		"SSH_CONNECTION=" + fake.IP + " 51234 192.0.2.5 22", "SSH_AUTH_INFO_0=" + demoKey,
		"PAM_SERVICE=sshd", "PAM_USER=alice", "PAM_TTY=ssh", "PAM_RHOST=" + fake.IP, "PAM_TYPE=open_session",
	}
	return c.Run()
}

// demoEnd waits until the worker is gone, so that nothing is left behind.
func (a *app) demoEnd(ctx context.Context, spoolDir string) error {
	q, err := spool.Open(spool.For(spoolDir, a.uid)).Lock(ctx, true)
	if err != nil {
		return fmt.Errorf("the worker did not end: %w", err)
	}
	return q.Unlock()
}
