package cmd

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet/hub"
	"github.com/sshnotify/sshnotify/internal/gate"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// isCompletion reports whether a shell asks how a command line could go on.
func isCompletion(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// completer knows what the values of flags and arguments can be, as far as who asks
// may read it: nothing is said of what they may not.
type completer struct {
	ctx context.Context
	app *app
}

// completeValues has the shell complete values. Only where a shell asks is it called,
// so that no other start pays for it.
func (a *app) completeValues(ctx context.Context, root *cobra.Command) {
	k := completer{ctx, a}
	words := func(words ...string) func(*cobra.Command) []string {
		return func(*cobra.Command) []string { return words }
	}
	flags := map[string]func(*cobra.Command) []string{
		"destination": k.destinations, "host": k.hosts, "key": k.people, "user": k.users,
		"do": words("end", "lock", "key", "block"), "format": words("wtmp", "journal", "auth.log"),
		"kind": k.silencedKinds, "log-level": words("debug", "info", "warn", "error"),
		"method": words("publickey", "password", "keyboard-interactive"),
		"notify": words(notifyModes()...), "only": words("lock", "key", "block"), "rule": k.rules,
		"services": words("sshd", "sudo", "su", "login"), "severity": words("low", "medium", "high", "critical"), "shell": words("bash", "zsh", "fish"),
		// Of one command another.
		"preview --format": words("json", "text"), "preview --kind": words(kinds()...),
	}
	args := map[string]func(*cobra.Command) []string{
		"auth x": k.accountsOfX, "fleet revoke": k.hubHosts,
		"gate recovery": k.gateUsers, "gate remove": k.gateUsers, "gate test": k.gateUsers, "gate unlock": k.gateUsers,
		"respond undo": k.responses, "silence remove": k.silences, "test": k.destinations,
	}
	for _, c := range allCommands(root) {
		name := strings.TrimPrefix(c.CommandPath(), root.Name()+" ")
		if values := args[name]; values != nil {
			c.ValidArgsFunction = func(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
				return without(given, values(c)), cobra.ShellCompDirectiveNoFileComp
			}
		}
		for flag, values := range flags {
			command, of, one := strings.Cut(flag, " --")
			if !one {
				of = flag
			}
			if one && command != name || !one && flags[name+" --"+flag] != nil || c.Flag(of) == nil || c.Flag(of).Value.Type() == "bool" {
				continue
			}
			// The error is that there is one already: a flag of the parent's.
			_ = c.RegisterFlagCompletionFunc(of, func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
				return without(nil, values(c)), cobra.ShellCompDirectiveNoFileComp
			})
		}
	}
}

// without returns the values that are not given yet, and of those the ones that mean
// nothing to a shell: who logs in may be called anything.
func without(given, values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool {
		v, _, _ = strings.Cut(v, "\t")
		return slices.Contains(given, v) || strictoml.ShellWord(v) != v
	})
}

func (k completer) settings() config.Config {
	c, err := k.app.settings()
	if err != nil {
		return config.Default()
	}
	return c
}

// read lets f read the worker's database, where there is one.
func (k completer) read(f func(*store.DB)) {
	if db, err := lookInto(k.app.stateDir(k.settings())); err == nil {
		f(db)
		db.Close()
	}
}

func (k completer) destinations(*cobra.Command) (all []string) {
	for _, d := range k.settings().Destinations {
		all = append(all, d.Name+"\t"+d.Type)
	}
	return all
}

func (k completer) accountsOfX(*cobra.Command) (all []string) {
	for _, d := range k.settings().Destinations {
		if d.Type == channel.XType {
			all = append(all, d.Name)
		}
	}
	return all
}

func (k completer) people(*cobra.Command) (all []string) {
	for name := range k.settings().People {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func (k completer) rules(*cobra.Command) (all []string) {
	for _, r := range k.settings().Rules {
		if r.Name != "" {
			all = append(all, r.Name)
		}
	}
	return all
}

func (k completer) silencedKinds(*cobra.Command) (all []string) {
	for _, kind := range policy.SilencedKinds() {
		all = append(all, string(kind))
	}
	return all
}

// recent is how many of the newest logins say which users and hosts there are.
const recent = 2000

func (k completer) remembered(of func(history.Entry) string) (all []string) {
	seen := map[string]bool{"": true}
	k.read(func(db *store.DB) {
		for e, err := range history.New(db, history.Options{ReadOnly: true}).List(k.ctx, history.Filter{Limit: recent}) {
			if err != nil {
				return
			}
			if name := of(e); !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	})
	slices.Sort(all)
	return all
}

func (k completer) users(*cobra.Command) []string {
	return k.remembered(func(e history.Entry) string { return e.User })
}

func (k completer) hosts(*cobra.Command) []string {
	return k.remembered(func(e history.Entry) string { return e.Host })
}

func (k completer) hubHosts(*cobra.Command) (all []string) {
	k.read(func(db *store.DB) {
		hosts, _ := hub.NewRegistry(db).Hosts(k.ctx)
		for _, h := range hosts {
			if h.Revoked.IsZero() {
				all = append(all, h.Name)
			}
		}
	})
	return all
}

func (k completer) silences(*cobra.Command) (all []string) {
	o := silenceOptions{app: k.app, now: time.Now}
	k.read(func(db *store.DB) {
		hold, _ := o.silences(k.ctx, db)
		for _, s := range hold {
			all = append(all, event.Ref(s.ID)+"\t"+s.String())
		}
	})
	return all
}

func (k completer) responses(*cobra.Command) (all []string) {
	c, o := k.settings(), respondOptions{}
	if _, err := os.Stat(k.app.respondDir(c)); err != nil {
		return nil // to open it makes it
	}
	o.show.queue.app = k.app
	records, _ := o.records(c)
	for _, r := range records {
		all = append(all, event.Ref(r.Subject.ID)+"\t"+r.Subject.User)
	}
	return all
}

func (k completer) gateUsers(c *cobra.Command) []string {
	o := gateOptions{app: k.app, file: c.Flag("settings").Value.String()}
	s, err := o.settings()
	if err != nil {
		return nil
	}
	users, _ := gate.NewVault(s.StateDir).Users()
	return users
}
