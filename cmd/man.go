package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/release"
)

func newManCmd(a *app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "man [COMMAND...|sshnotify.toml]",
		Short: "Print a manual page",
		Long: long(`man prints the manual page of sshnotify, of one of its commands, or of its
settings (sshnotify.toml), as man(1) reads it. Packages contain the pages; this is
for those who have only the program.`, exits(exitDone, exitFailed, exitUsage)),
		Example: `  sshnotify man | man -l -
  sshnotify man queue retry | man -l -
  sshnotify man sshnotify.toml | man -l -

  # all of them, for one user
  sshnotify man --dir ~/.local/share/man/man1`,
		Args: cobra.ArbitraryArgs, // a command's name, looked for below
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == settingsPage && dir == "" {
				_, err := a.out.Write(manSettings(release.Version(), manDay()))
				return err
			}
			of, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return &usageError{errors.New("no such command: " + strings.Join(args, " "))}
			}
			if dir == "" {
				_, err := a.out.Write(manPage(of, release.Version(), manDay()))
				return err
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return writePages(of, dir)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "write the page, and those of the commands below it, into `DIR`")
	return c
}

func writePages(c *cobra.Command, dir string) error {
	name := filepath.Join(dir, pageName(c)+".1")
	if err := os.WriteFile(name, manPage(c, release.Version(), manDay()), 0o644); err != nil {
		return err
	}
	for _, sub := range subcommands(c) {
		if err := writePages(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

// subcommands returns the commands below one that have a page; cobra's own help
// command says what --help does.
func subcommands(c *cobra.Command) (out []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			out = append(out, sub)
		}
	}
	return out
}

// manDay returns the day that a page bears: that of SOURCE_DATE_EPOCH
// (reproducible-builds.org/specs/source-date-epoch), or none.
func manDay() string {
	sec, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return ""
	}
	return time.Unix(sec, 0).UTC().Format(time.DateOnly)
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage returns a command's page in man(7), made of what its --help says, so
// that no page is about a flag that is not there. day is YYYY-MM-DD, or "".
//
// cobra's own generator goes through Markdown: it would take * and _ in the
// texts for emphasis, knows no EXIT STATUS and no FILES, and brings two
// libraries that are initialized at every start.
func manPage(c *cobra.Command, release, day string) []byte {
	c.InitDefaultHelpFlag() // as it stands in its help
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 %s %s %s\n", manQuote(strings.ToUpper(pageName(c))), manQuote(day), manQuote("sshnotify "+release), manQuote("sshnotify"))
	// Left aligned: a narrow terminal shows no rivers.
	b.WriteString(".ad l\n.nh\n")
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", roff(pageName(c)), roff(lowerFirst(c.Short)))
	var usage []string
	if c.Runnable() {
		usage = append(usage, strings.TrimPrefix(c.UseLine(), c.CommandPath()))
	}
	if c.HasAvailableSubCommands() {
		usage = append(usage, " [command]")
	}
	for i, rest := range usage {
		if i > 0 {
			b.WriteString(".br\n")
		}
		fmt.Fprintf(&b, "\\fB%s\\fR%s\n", roff(c.CommandPath()), roff(rest))
	}
	b.WriteString(".SH DESCRIPTION\n")
	text, exit, _ := strings.Cut(c.Long, "EXIT STATUS\n")
	manProse(&b, text)
	if subs := subcommands(c); len(subs) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range subs {
			manTagged(&b, pageName(sub)+"(1)", sub.Short)
		}
	}
	manOptions(&b, "OPTIONS", c.LocalFlags().FlagUsages())
	manOptions(&b, "GLOBAL OPTIONS", c.InheritedFlags().FlagUsages())
	b.WriteString(".SH EXIT STATUS\n")
	for line := range strings.Lines(exit) {
		code, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		manTagged(&b, code, strings.TrimSpace(what))
	}
	if !c.HasParent() {
		b.WriteString(".SH FILES\n")
		for _, f := range [][2]string{
			{"/etc/sshnotify/config.toml", "the host's settings, then conf.d/*.toml beside it, then upgraded.toml"},
			{"/var/spool/sshnotify", "the host's queue; /run/sshnotify when that is full or broken"},
			{"/var/lib/sshnotify", "what the host's service remembers"},
			{"~/.config/sshnotify/config.toml", "a user's settings ($XDG_CONFIG_HOME)"},
			{"~/.local/state/sshnotify", "a user's queue and memory ($XDG_STATE_HOME)"},
		} {
			manTagged(&b, f[0], f[1])
		}
	}
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n")
		manVerbatim(&b, c.Example)
	}
	b.WriteString(".SH SEE ALSO\n")
	if c.HasParent() {
		fmt.Fprintf(&b, ".BR %s (1),\n", roff(pageName(c.Parent())))
	}
	fmt.Fprintf(&b, ".BR %s (5)\n", settingsPage)
	return []byte(b.String())
}

// manProse writes paragraphs. Those that are indented keep their form, and a
// line in capitals is the title of a section.
func manProse(b *strings.Builder, text string) {
	first := true
	for p := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		title, rest, _ := strings.Cut(p, "\n")
		if strings.Trim(title, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") == "" {
			fmt.Fprintf(b, ".SH %s\n", manQuote(title))
			p, first = rest, true
		}
		if !first {
			b.WriteString(".PP\n")
		}
		if first = false; strings.HasPrefix(p, " ") {
			manVerbatim(b, p)
			continue
		}
		for line := range strings.SplitSeq(p, "\n") {
			b.WriteString(startLine(roff(line)) + "\n")
		}
	}
}

func manVerbatim(b *strings.Builder, text string) {
	b.WriteString(".nf\n")
	for line := range strings.SplitSeq(text, "\n") {
		b.WriteString(startLine(roff(line)) + "\n")
	}
	b.WriteString(".fi\n")
}

// manOptions writes flags as pflag lists them: "  -h, --help   help for queue".
func manOptions(b *strings.Builder, title, usages string) {
	if usages == "" {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", manQuote(title))
	flag := regexp.MustCompile(`(?m)^ {2,}((?:-\w, )?--\S+(?: \S+)?) {2,}(\S.*)$`)
	for _, m := range flag.FindAllStringSubmatch(usages, -1) {
		manTagged(b, m[1], m[2])
	}
}

func manTagged(b *strings.Builder, tag, what string) {
	fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(tag), startLine(roff(what)))
}

// roff escapes what groff would read or typeset otherwise (groff_char(7)).
func roff(s string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`).Replace(s)
}

// startLine keeps a text line from being a request. (An apostrophe is escaped
// already.)
func startLine(s string) string {
	if strings.HasPrefix(s, ".") {
		return `\&` + s
	}
	return s
}

// manQuote makes a macro's argument of several words one.
func manQuote(s string) string { return `"` + roff(s) + `"` }

// lowerFirst keeps names in capitals.
func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
