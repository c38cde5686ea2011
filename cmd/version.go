package cmd

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/internal/release"
)

func userAgent() string { return "sshnotify/" + release.Version() }

func newVersionCmd(a *app) *cobra.Command {
	var licenses bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: long(`version prints the version, the Go version and platform it was built for, and
the date of the built-in database. With --licenses it also prints who provides
the data, and the modules that the program is linked with.`, exits(exitDone, exitUsage)),
		Example: "  sshnotify version\n  sshnotify version --licenses",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(a.out, "sshnotify %s\n%s %s/%s\n", release.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if db, err := builtin.Open(); err == nil {
				fmt.Fprintf(a.out, "built-in database of %s\n", db.Date().Format(time.DateOnly))
			}
			if licenses {
				a.licenses()
			}
			return nil
		},
	}
	c.Flags().BoolVar(&licenses, "licenses", false, "print attributions, and the modules that the program is linked with")
	return c
}

// licenses prints what the terms of others ask for. Their texts are long, and
// come with the packages and in each module.
func (a *app) licenses() {
	fmt.Fprintf(a.out, "\nsshnotify is under the MIT licence.\n\nThe built-in database:\n\n%s\n", strings.TrimSpace(builtin.Attribution()))
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	fmt.Fprint(a.out, "\nLinked with, each under its own licence (https://pkg.go.dev/MODULE?tab=licenses):\n\n")
	for _, m := range info.Deps {
		fmt.Fprintf(a.out, "%s %s\n", m.Path, m.Version)
	}
}
