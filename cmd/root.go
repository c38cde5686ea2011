// Package cmd is the command line: one file a command, the wiring of the other
// packages, what is said to people, hints and exit codes. Everything else of
// sshnotify is told what to do by values from here; nothing but this package
// may print to a person or end the process.
package cmd

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/release"
)

// app is what every command needs: its streams, who runs it, and the flags of
// all commands.
type app struct {
	in       io.Reader
	out, err io.Writer
	colour   bool // out is a terminal that wants colours
	uid      int
	places   paths.User

	broker fleet.Broker // none: this program is linked with none

	configFile string // --config; empty: the default place
	logLevel   logLevel
}

// Option is something that one of the programs has and others have not.
type Option func(*app)

// WithBroker links a program with a way between hosts and hub beside HTTPS.
func WithBroker(b fleet.Broker) Option { return func(a *app) { a.broker = b } }

// Main runs the command line args (without the program's name) and gives the
// exit code.
func Main(args []string, with ...Option) int {
	// The hook stands on the way of every login: it neither needs the other
	// commands made, nor may any of them be in its way.
	if len(args) > 0 && args[0] == "hook" && !wantsHelp(args) {
		hook.Run(args[1:], hook.Self)
		return exitDone
	}
	if code, ok := runGatePAM(&app{err: os.Stderr, uid: os.Geteuid(), places: paths.User{}}, args); ok {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		colour: term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
		uid:    os.Geteuid(),
		places: paths.Of(os.Geteuid(), os.Getenv),
	}
	for _, option := range with {
		option(a)
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
	if isCompletion(args) {
		a.completeValues(ctx, root)
	}
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	c, err := root.ExecuteContextC(ctx)
	if c != nil && c.Name() == pluginName && c.Parent() == root {
		return a.pluginExit(err)
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		err = named(c, err)
		if hinted := (*hintError)(nil); !errors.As(err, &hinted) {
			err = withHint(err, usageHint(c))
		}
	}
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
		Version:       release.Version(),
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("sshnotify {{.Version}}\n")
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "settings `FILE` (default "+orNone(a.places.ConfigFile())+")")
	root.PersistentFlags().Var(&a.logLevel, "log-level", "how much is logged to standard error: debug, info, warn or error")
	root.AddCommand(
		newHookCmd(), newDeliverCmd(a), newHubCmd(a), newAlertCmd(a), newTestCmd(a), newDemoCmd(a), newPreviewCmd(a), newReplayCmd(a),
		newLookupCmd(a), newQueueCmd(a), newShowCmd(a), newAckCmd(a), newDenyCmd(a), newConfirmCmd(a), newSilenceCmd(a), newConfigCmd(a), newVersionCmd(a), newCompletionCmd(a), newManCmd(a),
		newInstallCmd(a), newUninstallCmd(a), newDoctorCmd(a), newCheckCmd(a), newPolicyCmd(a), newHistoryCmd(a), newReportCmd(a), newWatchCmd(a), newChannelsCmd(a), newAuthCmd(a), newGateCmd(a), newFleetCmd(a), newRespondCmd(a),
	)
	// Errors of arguments are usage errors, whichever command they are for.
	for _, c := range allCommands(root) {
		if check := c.Args; check != nil {
			c.Args = func(c *cobra.Command, args []string) error {
				if err := check(c, args); err != nil {
					return &usageError{err}
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

// orNone keeps a help text readable where a user's home is not known.
func orNone(path string) string {
	if path == "" {
		return "none"
	}
	return path
}

// logger logs to standard error, for people and service managers.
func (a *app) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.Level(a.logLevel)}))
}
