package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newConfigCmd(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check the settings",
		Long:  long("config checks the settings.", exits(exitDone, exitUsage, exitSettings)),
		Example: `  sshnotify config check
  sudo sshnotify config check --config /etc/sshnotify/config.toml`,
		Args: noCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Check the settings file",
		Long: long(`check reads the settings file and everything in conf.d beside it, and lists what
is wrong, with line, column and key. It uses no network.`,
			exits(exitDone, exitUsage, exitSettings)),
		Example: `  sshnotify config check
  sshnotify config check --config new.toml && sudo install -m 640 -g sshnotify new.toml /etc/sshnotify/config.toml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.runConfigCheck() },
	})
	return c
}

func (a *app) runConfigCheck() error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	if len(c.Files) == 0 {
		place := a.places.ConfigFile()
		if place == "" {
			return withHint(&settingsError{errors.New("there is no settings file, and no home folder to look in")}, "name one with --config FILE")
		}
		fmt.Fprintf(a.out, "there is no settings file at %s: nothing is looked up, and alerts go to the system log\n", place)
		return nil
	}
	if _, err := workerSettings(c, a.stateDir(c), nil); err != nil {
		return err
	}
	for _, f := range c.Files {
		fmt.Fprintf(a.out, "%s: ok\n", f)
	}
	for _, line := range c.Summary() {
		fmt.Fprintln(a.out, line)
	}
	for _, n := range c.Notes {
		fmt.Fprintf(a.err, "sshnotify: hint: %v\n", n)
	}
	return nil
}

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
