// Package cmd is the command line: one file a command, the wiring of the other
// packages, what is said to people, hints and exit codes. Everything else of
// sshnotify is told what to do by values from here; nothing but this package
// may print to a person or end the process.
package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/paths"
)

// app is what every command needs: its streams, who runs it, and the flags of
// all commands.
type app struct {
	in       io.Reader
	out, err io.Writer
	colour   bool // out is a terminal that wants colours
	uid      int
	places   paths.User

	configFile string // --config; empty: the default place
	logLevel   slog.Level
}

// Main runs the command line args (without the program's name) and gives the
// exit code.
func Main(args []string) int {
	// The hook stands on the way of every login: it neither needs the other
	// commands made, nor may any of them be in its way.
	if len(args) > 0 && args[0] == "hook" && !wantsHelp(args) {
		hook.Run(args[1:], hook.Self)
		return exitDone
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		colour: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		uid:    os.Geteuid(),
		places: paths.Of(os.Geteuid(), os.Getenv),
	}
	if err := hook.NotMixed(); err != nil {
		err = withHint(err, "run it as one user, for example with sudo; in a line of PAM, pam_exec.so takes seteuid")
		a.complain(err)
		return exitCode(err)
	}
	return a.run(ctx, args)
}

// run executes one command line.
func (a *app) run(ctx context.Context, args []string) int {
	root := newRootCmd(a)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	a.complain(err)
	return exitCode(err)
}

func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "sshnotify",
		Short: "Tell of SSH logins in Slack: who, from where, how risky",
		Long: long(`sshnotify tells you in Slack about every SSH login to this machine: who, from
where, and how risky. A hook (pam_exec, or a line in ~/.bashrc) writes each
login to a spool and returns at once; a worker looks up the address, sends the
message, and retries until it is delivered.`,
			exits(exitDone, exitFailed, exitUsage, exitAgain, exitSettings)),
		Example: `  # see it work, with nothing set up
  sshnotify demo

  # send a sample to each destination of the settings
  sshnotify test`,
		Args:          noCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%s: %w", c.CommandPath(), err)}
	})
	root.SetVersionTemplate("sshnotify {{.Version}}\n")
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "settings `FILE` (default "+orNone(a.places.ConfigFile())+")")
	root.PersistentFlags().TextVar(&a.logLevel, "log-level", slog.LevelInfo, "how much is logged to standard error: debug, info, warn or error")
	root.PersistentFlags().Lookup("log-level").DefValue = "info"
	root.AddCommand(
		newHookCmd(), newDeliverCmd(a), newAlertCmd(a), newTestCmd(a), newDemoCmd(a), newPreviewCmd(a),
		newLookupCmd(a), newQueueCmd(a), newConfigCmd(a), newVersionCmd(a), newCompletionCmd(a), newManCmd(a),
		newInstallCmd(a), newUninstallCmd(a), newDoctorCmd(a), newPolicyCmd(a), newHistoryCmd(a), newWatchCmd(a),
	)
	// Errors of arguments are usage errors, whichever command they are for.
	for _, c := range allCommands(root) {
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if err := check(c, args); err != nil {
					if _, ok := err.(*usageError); ok {
						return err
					}
					return &usageError{fmt.Errorf("%s: %w", c.CommandPath(), err)}
				}
				return nil
			}
		}
	}
	return root
}

func allCommands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		all = append(all, allCommands(sub)...)
	}
	return all
}

// noCommand is the argument check of a command that has only subcommands.
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
	if c.SuggestionsMinimumDistance <= 0 {
		c.SuggestionsMinimumDistance = 2 // cobra's own, which it sets later
	}
	if s := c.SuggestionsFor(args[0]); len(s) > 0 {
		err = fmt.Errorf("%w, did you mean %q?", err, s[0])
	}
	return &usageError{err}
}

// orNone keeps a help text readable where a user's home is not known.
func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

// logger logs to standard error, for people and service managers.
func (a *app) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: a.logLevel}))
}
