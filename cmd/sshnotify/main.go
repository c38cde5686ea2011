// Command sshnotify tells of SSH logins. All of it is in package cmd.
package main

import (
	"os"

	"github.com/sshnotify/sshnotify/cmd"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:]))
}
