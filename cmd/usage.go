package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// usageError is a command line that can't be meant. run adds the command's name.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// noCommand is the argument check of a command that has only subcommands.
func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if c.SuggestionsMinimumDistance <= 0 {
		c.SuggestionsMinimumDistance = 2 // cobra's own, which it sets later
	}
	if s := c.SuggestionsFor(args[0]); len(s) > 0 {
		return withHint(err, fmt.Sprintf("did you mean %q?", c.CommandPath()+" "+s[0]))
	}
	return withHint(err, c.CommandPath()+" --help lists the commands")
}

// noArgs is the argument check of a command that takes flags only.
func noArgs(_ *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case strings.Contains(args[0], "://"): // a webhook's is a secret
		return errors.New("unexpected argument: a URL")
	}
	return fmt.Errorf("unexpected argument %q", args[0])
}

// needsSome is the argument check of a command that needs what its usage line
// names.
func needsSome(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return withHint(fmt.Errorf("%s is missing", argument(c)), "for example: "+example(c))
	}
	return nil
}

// needsOne is needsSome for a command that takes no more than one.
func needsOne(c *cobra.Command, args []string) error {
	if len(args) < 2 {
		return needsSome(c, args)
	}
	return withHint(fmt.Errorf("one %s is expected, not %d arguments", argument(c), len(args)), "text with spaces needs quotes; for example: "+example(c))
}

// argument is what the usage line calls a command's argument.
func argument(c *cobra.Command) string {
	_, name, _ := strings.Cut(c.Use, " ")
	return strings.TrimSuffix(name, "…")
}

// example returns the first command of a command's examples.
func example(c *cobra.Command) string {
	for line := range strings.Lines(c.Example) {
		if line = strings.TrimSpace(line); strings.HasPrefix(strings.TrimPrefix(line, "sudo "), c.CommandPath()) {
			return line
		}
	}
	return c.CommandPath() + " --help"
}

// flagError says what is wrong with a flag in the words of the other errors.
func flagError(c *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		must := map[string]string{"duration": `must be a duration such as "90s" or "2m"`, "int": "must be a whole number", "bool": "must be true or false"}[e.GetFlag().Value.Type()]
		err = fmt.Errorf("--%s: %s, not %q", e.GetFlag().Name, cmp.Or(must, e.Unwrap().Error()), e.GetValue())
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		var known []string
		c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := strictoml.Nearest(e.GetSpecifiedName(), known); near != "" {
			err = withHint(err, fmt.Sprintf("did you mean --%s?", near))
		}
	}
	return &usageError{err}
}

// usageHint is what there is to do about a command line without a hint of its
// own.
func usageHint(c *cobra.Command) string {
	if c.HasAvailableSubCommands() {
		return c.CommandPath() + " --help lists the commands"
	}
	return c.CommandPath() + " --help says what it takes"
}

// named puts the command's name before what is wrong with its command line.
func named(c *cobra.Command, err error) error {
	if !c.HasParent() {
		return err
	}
	return fmt.Errorf("%s: %w", strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" "), err)
}

// address reads an IP address of a command line. name is the flag's, empty for
// an argument.
func address(name, s string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(s)
	if err != nil {
		err = fmt.Errorf("%q is not an IP address", s)
		if name != "" {
			err = fmt.Errorf("%s: %w", name, err)
		}
		err = withHint(&usageError{err}, "an address is such as 203.0.113.7 (four numbers up to 255) or 2001:db8::7; a name is not looked up")
	}
	return ip, err
}

// logLevel is the value of --log-level.
type logLevel slog.Level

// Set reads a level.
func (l *logLevel) Set(s string) error {
	if (*slog.Level)(l).UnmarshalText([]byte(s)) != nil {
		return errors.New("must be debug, info, warn or error")
	}
	return nil
}

// String is the word that Set takes.
func (l *logLevel) String() string { return strings.ToLower(slog.Level(*l).String()) }

// Type is what the help calls it.
func (l *logLevel) Type() string { return "LEVEL" }
