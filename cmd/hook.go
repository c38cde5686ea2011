package cmd

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/hook"
)

func newHookCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "hook",
		Short: "Put one login or logout into the spool (run by PAM or a shell)",
		Long: long(`hook reads one login or logout from the environment set by pam_exec or a login
shell, writes it to the spool, and returns. It never waits for a network, reads
no settings, resolves no names and prints nothing; errors go to the system log.
If no worker is running it starts one in the background, unless --no-worker is
given; --config FILE is passed on to that worker.

Packages install the same as a small program of its own,
/usr/libexec/sshnotify/hook, which starts faster and takes the same flags.`,
			"EXIT STATUS\n  0   always: a login must not fail because it can't be reported"),
		Example: `  # in /etc/pam.d/sshd, before any pam_env line
  session optional pam_exec.so quiet /usr/bin/sshnotify hook --no-worker`,
		Args: cobra.ArbitraryArgs,
		// Main takes the usual way round all this. Where flags of all commands
		// stand before the name, a wrong one is no more an error than after it.
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			if wantsHelp(args) {
				return c.Help()
			}
			hook.Run(args, hook.Self)
			return nil
		},
	}
	// For the help text alone: hook.Parse reads them.
	f := c.Flags()
	f.String("spool", "", "spool `DIR` to write to (default: the host's for root, otherwise the user's own)")
	f.StringSlice("services", []string{"sshd"}, "PAM services to report")
	f.Bool("no-worker", false, "don't start a worker: a service delivers")
	return c
}

// wantsHelp reports whether a person asks what the hook is.
func wantsHelp(args []string) bool {
	return slices.Contains(args, "--help") || slices.Contains(args, "-h")
}
