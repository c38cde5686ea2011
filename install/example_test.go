package install_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sshnotify/sshnotify/install"
)

// An account in an image is set up, and is as before after an uninstall.
func Example() {
	root, err := os.MkdirTemp("", "image")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(root)
	bashrc := filepath.Join(root, "home/alice/.bashrc")
	if err := os.MkdirAll(filepath.Dir(bashrc), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(bashrc, []byte("alias ll='ls -l'\n"), 0o644); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	host, err := install.At(root)
	if err != nil {
		log.Fatal(err)
	}
	options := install.UserOptions{
		Home: "/home/alice", Shells: []string{install.Bash},
		Binary: "/usr/bin/sshnotify", State: "/home/alice/.local/state/sshnotify",
	}
	plan, err := install.PlanUser(ctx, host, options)
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range plan.Changes { // nothing is changed until Apply
		if c.Action == install.Write && !c.Hidden {
			fmt.Println(c)
		}
	}
	if _, err := plan.Apply(ctx, host); err != nil {
		log.Fatal(err)
	}

	if plan, err = install.PlanUserUninstall(ctx, host, options, install.UndoOptions{Purge: true}); err != nil {
		log.Fatal(err)
	}
	if _, err := plan.Apply(ctx, host); err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(bashrc)
	fmt.Printf("%s%v\n", text, err)
	// Output:
	// write /home/alice/.bashrc: the hook, for bash
	// create /home/alice/.profile (0644): the hook, for login shells, which do not read .bashrc here
	// alias ll='ls -l'
	// <nil>
}
