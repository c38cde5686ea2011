package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/gate"
	"github.com/sshnotify/sshnotify/internal/gate/pam"
	"github.com/sshnotify/sshnotify/internal/passwd"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// user returns the name by which this host knows an account.
func (o *gateOptions) user(ctx context.Context, args []string) (string, error) {
	if err := o.asRoot(); err != nil {
		return "", err
	}
	name, err := pam.AccountName(ctx, args[0])
	if err != nil {
		return "", err
	}
	if name != args[0] {
		fmt.Fprintf(o.app.err, "sshnotify: %s is called %s on this host\n", args[0], name)
	} else if _, ok := passwd.ByName(passwd.ReadFile("/etc/passwd"), name); !ok {
		fmt.Fprintf(o.app.err, "sshnotify: warning: %q is not in /etc/passwd; getent passwd says whether another service knows it\n", name)
	}
	return name, nil
}

func (o *gateOptions) asRoot() error {
	if os.Geteuid() != 0 {
		return withHint(errors.New("secrets of the second step are root's"), "run it as root, with sudo")
	}
	return nil
}

func newGateEnrolCmd(o *gateOptions) *cobra.Command {
	replace := false
	c := &cobra.Command{
		Use:   "enrol USER",
		Short: "Set up the second step of an account",
		Long: long(`enrol makes a key for an authenticator app and ten recovery codes for an account,
shows both once, and keeps them when a code of the app has shown that it works.
Until then nothing is changed.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify gate enrol alice",
		Args:    needsOne,
		RunE:    func(c *cobra.Command, args []string) error { return o.enrol(c.Context(), args, replace) },
	}
	c.Flags().BoolVar(&replace, "replace", false, "take the place of what the account has")
	return c
}

func (o *gateOptions) enrol(ctx context.Context, args []string, replace bool) error {
	user, err := o.user(ctx, args)
	if err != nil {
		return err
	}
	s, err := o.settings()
	if err != nil {
		return err
	}
	a, v := o.app, gate.NewVault(s.StateDir)
	switch old, err := v.Account(user); {
	case err == nil && old.Enrolled() && !replace:
		return withHint(fmt.Errorf("%s has a second step already", user), "--replace makes a new one; gate recovery makes new recovery codes only")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	secret := gate.NewSecret()
	codes, recovery := gate.NewRecovery()
	if err := drawQR(a.out, secret.URL(host, user)); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\nor type this key into the app (time-based): %s\n\n", spaced(secret.Text()))
	q := &prompter{in: a.in, out: a.err}
	for try := range 3 {
		answer, err := q.line(ctx, "The code that the app shows: ")
		if err != nil {
			return err
		}
		step, ok := secret.Confirm(answer, time.Now())
		if !ok {
			fmt.Fprintf(a.err, "That is not the code. Is the clock right here (%s UTC) and on the phone?\n", time.Now().UTC().Format(time.TimeOnly))
			if try == 2 {
				return withHint(errors.New("the app's code was wrong three times, nothing was changed"), "timedatectl shows whether the clock is synchronized")
			}
			continue
		}
		err = v.Update(ctx, user, func(acc *gate.Account) error {
			*acc = gate.Account{V: acc.V, Secret: secret, LastStep: step, Recovery: recovery, Sends: acc.Sends}
			return nil
		})
		if err != nil {
			return err
		}
		break
	}
	printRecovery(a.out, user, codes)
	return nil
}

func printRecovery(w io.Writer, user string, codes []string) {
	fmt.Fprintf(w, "\nRecovery codes of %s. Each works once, without the phone and without the network.\nPrint them; they are not shown again:\n\n", user)
	for _, c := range codes {
		fmt.Fprintf(w, "  %s\n", c)
	}
}

// spaced groups a key for people who type it.
func spaced(s string) string {
	var parts []string
	for len(s) > 4 {
		parts, s = append(parts, s[:4]), s[4:]
	}
	return strings.Join(append(parts, s), " ")
}

// drawQR draws a code of half blocks: dark on light, as phones expect it, whatever
// the terminal's colours are.
func drawQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return err
	}
	const border = 2
	for y := -border; y < code.Size+border; y += 2 {
		fmt.Fprint(w, "\x1b[30;107m")
		for x := -border; x < code.Size+border; x++ {
			switch top, bottom := code.Black(x, y), code.Black(x, y+1); {
			case top && bottom:
				fmt.Fprint(w, "█")
			case top:
				fmt.Fprint(w, "▀")
			case bottom:
				fmt.Fprint(w, "▄")
			default:
				fmt.Fprint(w, " ")
			}
		}
		fmt.Fprintln(w, "\x1b[0m")
	}
	return nil
}

func newGateRecoveryCmd(o *gateOptions) *cobra.Command {
	return &cobra.Command{
		Use:     "recovery USER",
		Short:   "Make new recovery codes for an account",
		Long:    long("recovery makes ten new recovery codes for an account, in place of those it had, and shows them once.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify gate recovery alice",
		Args:    needsOne,
		RunE: func(c *cobra.Command, args []string) error {
			codes, recovery := gate.NewRecovery()
			err := o.change(c.Context(), args, func(acc *gate.Account) error { acc.Recovery = recovery; return nil })
			if err == nil {
				printRecovery(o.app.out, args[0], codes)
			}
			return err
		},
	}
}

func newGateUnlockCmd(o *gateOptions) *cobra.Command {
	return &cobra.Command{
		Use:     "unlock USER|NUMBER",
		Short:   "Take codes of an account again after too many wrong ones",
		Long:    long("unlock takes codes of an account again, after too many wrong ones locked them; or,\nwith --settings of gate serve, those of a number.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify gate unlock alice\n  sudo sshnotify gate unlock +353000000012 --settings /etc/sshnotify/codes.toml",
		Args:    needsOne,
		RunE: func(c *cobra.Command, args []string) error {
			if strings.HasPrefix(args[0], "+") { // no account's name
				return o.unlockNumber(args[0])
			}
			was := time.Time{}
			err := o.change(c.Context(), args, func(acc *gate.Account) error {
				was, acc.Locked, acc.Failures, acc.Sends = acc.Locked, time.Time{}, 0, nil
				return nil
			})
			if err == nil && was.IsZero() {
				fmt.Fprintf(o.app.out, "%s was not locked\n", args[0])
			} else if err == nil {
				fmt.Fprintf(o.app.out, "%s is unlocked\n", args[0])
			}
			return err
		},
	}
}

// unlockNumber is for codes for other programs.
func (o *gateOptions) unlockNumber(number string) error {
	if err := o.asRoot(); err != nil {
		return err
	}
	s, err := o.settings()
	if err != nil {
		return err
	}
	if s.Gate.HTTP == nil {
		return withHint(fmt.Errorf("%s has no [gate.http]", o.file), "--settings names the settings of gate serve: "+codesFile)
	}
	if err := gate.Unlock(cmp.Or(s.Gate.HTTP.StateDir, gate.CodesState), number); err != nil {
		return err
	}
	fmt.Fprintf(o.app.out, "%s is unlocked\n", number)
	return nil
}

// change changes what an account has.
func (o *gateOptions) change(ctx context.Context, args []string, change func(*gate.Account) error) error {
	user, err := o.user(ctx, args)
	if err != nil {
		return err
	}
	s, err := o.settings()
	if err != nil {
		return err
	}
	return gate.NewVault(s.StateDir).Update(ctx, user, change)
}

func newGateRemoveCmd(o *gateOptions) *cobra.Command {
	return &cobra.Command{
		Use:     "remove USER",
		Short:   "Take the second step of an account away",
		Long:    long("remove forgets the key and the recovery codes of an account. Where unenrolled = \"deny\", it can't log in any more.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify gate remove alice",
		Args:    needsOne,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := o.asRoot(); err != nil {
				return err
			}
			s, err := o.settings()
			if err != nil {
				return err
			}
			if err := gate.NewVault(s.StateDir).Remove(args[0]); err != nil {
				return err
			}
			fmt.Fprintf(o.app.out, "%s has no app and no recovery codes now\n", args[0])
			return nil
		},
	}
}

func newGateListCmd(o *gateOptions) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the accounts that have a second step",
		Long:    long("list shows which accounts have an app and how many recovery codes, and which are locked.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify gate list",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return o.list(asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a line")
	return c
}

// listed is a line of gate list.
type listed struct {
	User     string    `json:"user"`
	App      bool      `json:"app"`
	Recovery int       `json:"recovery"`
	Failures int       `json:"failures"`
	Locked   time.Time `json:"locked,omitzero"`
}

func (o *gateOptions) list(asJSON bool) error {
	if err := o.asRoot(); err != nil {
		return err
	}
	s, err := o.settings()
	if err != nil {
		return err
	}
	v := gate.NewVault(s.StateDir)
	users, err := v.Users()
	if err != nil {
		return err
	}
	if len(users) == 0 && !asJSON {
		fmt.Fprintln(o.app.out, "no account has a second step")
	}
	w := tabwriter.NewWriter(o.app.out, 0, 0, 2, ' ', 0)
	enc := json.NewEncoder(o.app.out)
	for _, user := range users {
		acc, err := v.Account(user)
		if err != nil {
			return err
		}
		l := listed{user, len(acc.Secret) > 0, len(acc.Recovery.Sums), acc.Failures, acc.Locked}
		if asJSON {
			if err := enc.Encode(l); err != nil {
				return err
			}
			continue
		}
		app, locked := "app", ""
		if !l.App {
			app = "no app"
		}
		if !l.Locked.IsZero() {
			locked = "locked since " + l.Locked.Local().Format("15:04, 2 Jan")
		}
		fmt.Fprintf(w, "%s\t%s\t%d recovery codes\t%d wrong in a row\t%s\n", user, app, l.Recovery, l.Failures, locked)
	}
	if until := v.Off(time.Now()); !until.IsZero() && !asJSON {
		fmt.Fprintf(o.app.err, "sshnotify: warning: nobody is asked until %s (gate off)\n", until.Local().Format("15:04, 2 Jan"))
	}
	return w.Flush()
}

func newGateOffCmd(o *gateOptions) *cobra.Command {
	var d string
	c := &cobra.Command{
		Use:   "off",
		Short: "Ask nobody for a time",
		Long: long(`off asks nobody for a second step for a time, which is told to the destinations;
--for 0s has everybody asked again.`, exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify gate off --for 1h",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return o.off(c.Context(), d) },
	}
	c.Flags().StringVar(&d, "for", "", "how long: `1h`, at most 24h; 0s: ask again now")
	return c
}

// maxOff is the longest time in which nobody is asked.
const maxOff = 24 * time.Hour

func (o *gateOptions) off(ctx context.Context, text string) error {
	d, ok := strictoml.ParseDuration(text)
	if !ok || d > maxOff {
		return &usageError{errors.New("--for takes a time such as 1h, at most 24h, or 0s")}
	}
	if err := o.asRoot(); err != nil {
		return err
	}
	s, err := o.settings()
	if err != nil {
		return err
	}
	now := time.Now()
	if err := gate.NewVault(s.StateDir).SetOff(ctx, now, d); err != nil {
		return err
	}
	title := "the second step is turned off until " + now.Add(d).UTC().Format("15:04") + " UTC"
	severity := event.High
	if d == 0 {
		title, severity = "the second step is asked for again", event.Low
	}
	host, _ := os.Hostname()
	g, err := o.gate(slog.New(slog.DiscardHandler))
	if err == nil {
		err = g.Tell(event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: now, Host: host, Via: event.ViaCLI, Alert: &event.Note{Severity: severity, Title: title}})
	}
	if err != nil {
		return fmt.Errorf("it is done, but nobody is told: %w", err)
	}
	fmt.Fprintln(o.app.out, title)
	return nil
}

func newGateTestCmd(o *gateOptions) *cobra.Command {
	c := &cobra.Command{
		Use:     "test USER",
		Short:   "Send a code now, as at a login",
		Long:    long("test sends a code to each phone, Slack account and mailbox that the settings have for an account. The code opens nothing.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify gate test alice",
		Args:    needsOne,
		RunE:    func(c *cobra.Command, args []string) error { return o.test(c.Context(), args[0]) },
	}
	return c
}

func (o *gateOptions) test(ctx context.Context, user string) error {
	if err := o.asRoot(); err != nil {
		return err
	}
	g, err := o.gate(o.app.logger())
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	e := event.Event{User: user, Host: host}
	tried, failed := 0, false
	for _, f := range g.Factors {
		sender, to := g.Senders[f], g.Contact(f, e)
		if sender == nil || to == "" {
			continue
		}
		tried++
		err := sender.Send(ctx, gate.Message{Code: "000000", Ref: "TEST", User: user, Host: host, Program: "gate-test", Life: g.CodeTTL, To: to})
		if err != nil {
			failed = true
			fmt.Fprintf(o.app.err, "sshnotify: error: %s: %v\n", f, err)
			continue
		}
		fmt.Fprintf(o.app.out, "%s: taken\n", f)
	}
	switch {
	case failed:
		return &silentError{exitFailed}
	case tried == 0:
		return withHint(fmt.Errorf("no phone, Slack account or mailbox is known for %s", user), "set phone, slack or email in [person.NAME] of the settings, and [gate.twilio], [gate.slack] or [gate.mail] in "+o.file)
	}
	return nil
}

func newGateExplainCmd(o *gateOptions) *cobra.Command {
	var user, ip, key string
	c := &cobra.Command{
		Use:     "explain",
		Short:   "Say whether a login would be asked, and why",
		Long:    long("explain says whether a login would be asked for a second step, why, and by which factor.", exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: "  sudo sshnotify gate explain --user alice --ip 203.0.113.7",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return o.explain(c.Context(), user, ip, key) },
	}
	c.Flags().StringVar(&user, "user", "", "`USER` who logs in")
	c.Flags().StringVar(&ip, "ip", "", "`ADDRESS` that the login comes from")
	c.Flags().StringVar(&key, "key", "", "fingerprint of the `KEY` used")
	return c
}

func (o *gateOptions) explain(ctx context.Context, user, ip, key string) error {
	if user == "" || ip == "" {
		return &usageError{errors.New("--user and --ip say whose login it is")}
	}
	addr, err := address("--ip", ip)
	if err != nil {
		return err
	}
	if err := o.asRoot(); err != nil {
		return err
	}
	g, err := o.gate(o.app.logger())
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	e := event.Event{V: event.Version, ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Host: host, User: user, Service: "sshd", Via: event.ViaPAM, Remote: event.Remote{IP: addr}}
	e.Login.Auth = event.Auth{Method: "publickey", Fingerprint: key}
	x, err := g.Explain(ctx, e)
	if err != nil {
		return err
	}
	w := o.app.out
	if x.Let != "" {
		fmt.Fprintf(w, "not asked: %s\n", x.Let)
		return nil
	}
	fmt.Fprintf(w, "asked, because of: %s\n", strings.Join(x.Why, ", "))
	switch {
	case x.Factor != "":
		fmt.Fprintf(w, "by: %s\n", x.Factor)
	default:
		fmt.Fprintf(w, "by: nothing; the login is refused: %s\n", x.Refused)
	}
	return nil
}
