package cmd

import (
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/gate"
	"github.com/sshnotify/sshnotify/internal/gate/pam"
	"github.com/sshnotify/sshnotify/internal/policy"
)

const gateFile = pam.SettingsFile

func newGateCmd(a *app) *cobra.Command {
	o := &gateOptions{app: a}
	c := &cobra.Command{
		Use:   "gate",
		Short: "Ask for a second step at login",
		Long: long(`gate asks for a second step at an SSH login: a code of an authenticator app, one
that is sent by SMS, by phone or in Slack, or a recovery code; always, or only
where the login is unusual. docs/gate.md says how to set it up, what it does not
protect, and how to get back in.`,
			exits(exitDone, exitUsage)),
		Example: "  sudo sshnotify gate enrol alice\n  sudo sshnotify gate explain --user alice --ip 203.0.113.7",
		Args:    noCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.PersistentFlags().StringVar(&o.file, "settings", gateFile, "`FILE` of the gate's settings")
	c.AddCommand(o.pamCommands()...)
	c.AddCommand(newGateEnrolCmd(o), newGateRecoveryCmd(o), newGateUnlockCmd(o), newGateRemoveCmd(o), newGateListCmd(o), newGateExplainCmd(o), newGateOffCmd(o), newGateTestCmd(o), newGateServeCmd(o), newGateGuardCmd(o))
	return c
}

// gateOptions are what the gate's commands have in common.
type gateOptions struct {
	app  *app
	file string
}

// pamCommands are for the lines of PAM.
func (o *gateOptions) pamCommands() []*cobra.Command {
	command := func(use, short, about string) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Hidden: true, Args: noArgs,
			Example: "  # in /etc/pam.d/sshd\n  auth requisite pam_exec.so quiet stdout /usr/bin/sshnotify gate " + use,
			Long:    long(about, "Run by pam_exec in the auth stage of sshd, and by nobody else.", exits(exitDone, exitFailed)),
			RunE: func(*cobra.Command, []string) error {
				if code := (pam.Step{What: use, Settings: o.file}).Run(o.outside(), os.Stdin, os.Stdout); code != pam.Let {
					return &silentError{exitFailed}
				}
				return nil
			},
		}
	}
	return []*cobra.Command{
		command("known", "Say whether a login needs no second step", "known exits with 0 where a login needs no second step, and prints nothing."),
		command("ask", "Say what is to be typed, and send it", "ask says what is to be typed, and sends a code where there is no app."),
		command("verify", "Compare what was typed", "verify reads what was typed from standard input, and exits with 0 where it is right."),
	}
}

// runGatePAM is the way of a login through the gate, without the commands that nobody
// asks for there. It reports whether args are of that.
func runGatePAM(a *app, args []string) (code int, ok bool) {
	if len(args) < 2 || args[0] != "gate" || wantsHelp(args) {
		return 0, false
	}
	step, ok := pam.Parse(args[1:]) // what it does not understand cobra refuses with the right words
	if !ok {
		return 0, false
	}
	a.configFile = step.Config
	o := &gateOptions{app: a, file: step.Settings}
	return step.Run(o.outside(), os.Stdin, os.Stdout), true
}

// outside is what the gate may need of the worker's settings.
func (o *gateOptions) outside() pam.Outside {
	return pam.Outside{Client: newClient(config.Default(), gateSendTimeout), People: o.people}
}

// settings reads the gate's settings.
func (o *gateOptions) settings() (gate.Settings, error) {
	s, err := pam.Settings(o.file, false)
	if err != nil {
		return s, &settingsError{err}
	}
	return s, nil
}

// gate puts the gate together.
func (o *gateOptions) gate(log *slog.Logger) (*gate.Gate, error) {
	s, err := o.settings()
	if err != nil {
		return nil, err
	}
	return pam.New(s, o.outside(), log), nil
}

// gateSendTimeout is how long one service is asked to take a code.
const gateSendTimeout = 15 * time.Second

// people are those of the worker's settings. Where those are wrong, nobody has a
// phone; apps and recovery codes go on.
func (o *gateOptions) people(log *slog.Logger) policy.People {
	c, err := o.app.settings()
	if err != nil {
		log.Error("gate: nobody's number is known, because the settings are wrong", "error", err)
		return nil
	}
	return c.People
}
