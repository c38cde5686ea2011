package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/policy"
)

// Summary says in a few lines what the settings mean, for somebody who has just
// written them. It holds no secret.
func (c Config) Summary() []string {
	lines := []string{
		"destinations: " + list(c.AlertDestinations(), "none, alerts go to the system log", func(d Destination) string {
			return titled(d.Name, d.Type) + " from " + d.MinSeverity.String()
		}),
		"providers: " + list(c.Providers, "none", func(p Provider) string { return titled(p.Name, p.Type) }),
	}
	if !slices.ContainsFunc(c.Providers, func(p Provider) bool { return p.Type == ProviderBuiltin }) {
		if c.Enrich.Builtin {
			lines[1] += ", and the built-in database"
		} else {
			lines[1] += ", and not the built-in database"
		}
	}
	switch {
	case !c.History.Enabled:
		lines = append(lines, "memory: none")
	default:
		lines = append(lines, fmt.Sprintf("memory: of %s, learning for %s", inDays(c.History.Keep), inDays(c.History.Learning)))
	}
	told := "told: every login"
	if c.Notify == NotifyUnusual {
		told = fmt.Sprintf("told: unusual logins at once, usual ones in a digest at %02d:%02d (%s)", c.Digest.Hour, c.Digest.Minute, c.Zone())
	}
	lines = append(lines, told)
	if len(c.Rules) > 0 {
		n := 0
		lines = append(lines, "rules: "+list(c.Rules, "", func(r policy.Rule) string {
			if n++; r.Name == "" {
				return strconv.Itoa(n)
			}
			return r.Name
		}))
	}
	return append(lines, c.watchSummary()...)
}

// titled adds the type of a thing that is not called by it.
func titled(name, typ string) string {
	if name == typ {
		return name
	}
	return name + " (" + typ + ")"
}

func list[T any](all []T, none string, text func(T) string) string {
	if len(all) == 0 {
		return none
	}
	var texts []string
	for _, x := range all {
		texts = append(texts, text(x))
	}
	return strings.Join(texts, ", ")
}
