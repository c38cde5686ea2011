// Command sshnotify-hook puts one login or logout into the spool. PAM runs it at
// every login, so that it is small and quick to start; all of it is in package
// hook. It takes the flags of "sshnotify hook", and always exits with 0: a login
// must not fail because it can't be told.
package main

import (
	"os"
	"slices"

	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/release"
)

func main() {
	if slices.Equal(os.Args[1:], []string{"--version"}) {
		os.Stdout.WriteString("sshnotify-hook " + release.Version() + "\n")
		return
	}
	hook.Run(os.Args[1:], hook.Beside)
}
