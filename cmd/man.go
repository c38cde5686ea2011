package cmd

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newManCmd(a *app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "man [COMMAND...]",
		Short: "Print a manual page",
		Long: long(`man prints the manual page of sshnotify, or of one of its commands, in the form
that man(1) reads. Packages bring the pages along; this is for whoever has the
program alone.`, exits(exitDone, exitFailed, exitUsage)),
		Example: `  sshnotify man | man -l -
  sshnotify man queue retry | man -l -

  # all of them, where man looks for a user's own
  sshnotify man --dir ~/.local/share/man/man1`,
		Args: cobra.ArbitraryArgs, // a command's name, looked for below
		RunE: func(c *cobra.Command, args []string) error {
			of, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return &usageError{errors.New("man: no such command: " + strings.Join(args, " "))}
			}
			texts, err := helpTexts(of)
			if err != nil {
				return err
			}
			if dir == "" {
				_, err := a.out.Write(manPage(texts[0], version(), manDay()))
				return err
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			for _, t := range texts {
				name := filepath.Join(dir, strings.Join(t.name, "-")+".1")
				if err := os.WriteFile(name, manPage(t, version(), manDay()), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "write the page, and those of the commands below it, into `DIR`")
	return c
}

// manDay is the day that a page bears: SOURCE_DATE_EPOCH's
// (reproducible-builds.org/specs/source-date-epoch), or none.
func manDay() string {
	sec, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return ""
	}
	return time.Unix(sec, 0).UTC().Format(time.DateOnly)
}
