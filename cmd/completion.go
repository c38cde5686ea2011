package cmd

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newCompletionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a completion script for a shell",
		Long: long(`completion prints a script that makes a shell complete sshnotify's commands, flags
and values: refs, users, hosts, destinations, as far as you may read them.`, exits(exitDone, exitFailed, exitUsage)),
		Example: `  # bash, for one account
  sshnotify completion bash > ~/.local/share/bash-completion/completions/sshnotify

  # zsh: a folder of $fpath
  sshnotify completion zsh > "${fpath[1]}/_sshnotify"

  # fish
  sshnotify completion fish > ~/.config/fish/completions/sshnotify.fish`,
		Args:      needsOne,
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return c.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return c.Root().GenZshCompletion(a.out)
			case "fish":
				return c.Root().GenFishCompletion(a.out, true)
			}
			return &usageError{fmt.Errorf("%q is not known: bash, zsh and fish are", args[0])}
		},
	}
}
