// Command sshnotify-gate says whether a login needs a second step. PAM runs it at every
// login, so that it is small and quick to start; what it does not do itself it has
// sshnotify do. It takes what stands behind "sshnotify gate" in a line of PAM.
package main

import (
	"os"
	"slices"

	"github.com/sshnotify/sshnotify/internal/gate/pam"
	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/release"
)

func main() {
	if slices.Equal(os.Args[1:], []string{"--version"}) {
		os.Stdout.WriteString("sshnotify-gate " + release.Version() + "\n")
		return
	}
	os.Exit(pam.Main(os.Args[1:], hook.Beside))
}
