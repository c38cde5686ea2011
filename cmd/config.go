package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

func newConfigCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check the settings, or keep them through an upgrade",
		Long:  long("config checks the settings, and keeps how logins were told before an upgrade.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify config check
  sudo sshnotify config check --config /etc/sshnotify/config.toml`,
		Args: noCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Check the settings file",
		Long: long(`check reads the settings file and everything in conf.d beside it, and lists what
is wrong, with line, column and key, and which of the files that they name can't
be used by whoever runs it. It uses no network.`,
			exits(exitDone, exitUsage, exitSettings)),
		Example: `  sshnotify config check
  sshnotify config check --config new.toml && sudo install -m 640 -g sshnotify new.toml /etc/sshnotify/config.toml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.runConfigCheck(c.Context()) },
	}, newConfigUpgradeCmd(a))
	return c
}

func (a *app) runConfigCheck(ctx context.Context) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	if len(c.Files) == 0 {
		place := a.places.ConfigFile()
		if place == "" {
			return withHint(&settingsError{errors.New("there is no settings file, and no home folder to look in")}, "name one with --config FILE")
		}
		fmt.Fprintf(a.out, "there is no settings file at %s: no service is asked, and alerts go to the system log\n", place)
		fmt.Fprintf(a.err, "sshnotify: hint: %s writes one\n", a.setUp())
		return nil
	}
	if _, err := workerSettings(c, a.stateDir(c), nil); err != nil {
		return err
	}
	if _, err := a.brokerOf(c.Hub); err != nil {
		return err
	}
	if wrong := checkFiles(c); len(wrong) > 0 {
		return &settingsError{strictoml.Join(wrong)}
	}
	for _, f := range c.Files {
		fmt.Fprintf(a.out, "%s: ok\n", f)
	}
	for _, line := range c.Summary() {
		fmt.Fprintln(a.out, line)
	}
	for _, text := range slices.Concat(c.Unmatched(), a.unworded(c), handOverWarnings(c)) {
		fmt.Fprintf(a.err, "sshnotify: warning: %s\n", text)
	}
	if problem, hint := a.publishProblem(c); problem != "" {
		fmt.Fprintf(a.err, "sshnotify: warning: publish.file: %s\nsshnotify: hint: %s\n", problem, hint)
	}
	for _, n := range c.Notes {
		fmt.Fprintf(a.err, "sshnotify: hint: %v\n", n)
	}
	// Root reads what the service can't, but for the credentials that systemd gives it.
	ours := a.defaults().UID == 0 && c.Files[0] == (paths.User{}).ConfigFile() && os.Getenv("CREDENTIALS_DIRECTORY") == ""
	if u, ok := install.Live().UserByName(install.ServiceUser); ok && ours {
		if binary, err := os.Executable(); err == nil {
			if problem, hint, _ := unreadBy(ctx, u, binary, c.Files[0], c.Files); problem != "" {
				fmt.Fprintf(a.err, "sshnotify: warning: the service, which is not root: %s\nsshnotify: hint: %s\n", problem, hint)
			}
		}
	}
	return nil
}

// publishProblem returns why nothing can be published into the folder that the
// settings name, and what to do. On a host that is the watcher's, whoever asks.
func (a *app) publishProblem(c config.Config) (problem, hint string) {
	dir := c.Publish.Dir
	if dir == "" {
		return "", ""
	}
	if a.defaults().UID == 0 {
		return install.Live().PublishProblem(dir)
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dir + ": not there", shellLine("mkdir", "-p", dir)
	case err != nil:
		return err.Error(), shellLine("ls", "-ld", dir)
	case !info.IsDir():
		return dir + ": not a folder", shellLine("ls", "-ld", dir)
	case syscall.Access(dir, mayWrite) != nil:
		return dir + ": you may not write there", shellLine("ls", "-ld", dir)
	}
	return "", ""
}

// mayWrite is W_OK and X_OK of access(2).
const mayWrite = 2 | 1

func names[T any](all []T, name func(T) string, none string) string {
	if len(all) == 0 {
		return none
	}
	var out []string
	for _, x := range all {
		out = append(out, name(x))
	}
	return strings.Join(out, ", ")
}
