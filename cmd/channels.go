package cmd

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/internal/channel"
)

func newChannelsCmd(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "channels",
		Short: "List the types of destinations and their settings",
		Long: long(`channels lists what [destination.NAME] can be: each type with the keys of its own,
the limits of the service, and whether a message that may have arrived is sent
again (retry): "safe", because the service sees that it is the same; "may", which
can tell a thing twice; or "never". Keys with * are required; of a key with
_file, the value may stand in the settings or in a file.`, exits(exitDone, exitUsage)),
		Example: "  sshnotify channels\n  sshnotify channels --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return a.channelsJSON()
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "TYPE\tRETRY\tKEYS\tLIMITS\tSENDS TO")
			for _, t := range channel.Types() {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", t.Name, t.Retry, keyList(t.Keys()), t.Limits, t.About)
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return c
}

// keyList names keys in a line.
func keyList(keys []channel.Key) string {
	var all []string
	for _, k := range keys {
		name := k.Name
		if k.Secret {
			name += "[_file]"
		}
		if k.Required {
			name += "*"
		}
		all = append(all, name)
	}
	if all == nil {
		return "none"
	}
	return strings.Join(all, " ")
}

// channelJSON is a type of destinations, as --json prints it.
type channelJSON struct {
	Type     string   `json:"type"`
	About    string   `json:"about"`
	Keys     []string `json:"keys"`
	Required []string `json:"required"`
	Secret   []string `json:"secret"` // of them, each has a twin NAME_file
	Limits   string   `json:"limits"`
	Retry    string   `json:"retry"`
}

func (a *app) channelsJSON() error {
	all := []channelJSON{}
	for _, t := range channel.Types() {
		names := func(wanted func(channel.Key) bool) []string {
			keys := slices.DeleteFunc(t.Keys(), func(k channel.Key) bool { return !wanted(k) })
			out := make([]string, len(keys))
			for i, k := range keys {
				out[i] = k.Name
			}
			return out
		}
		all = append(all, channelJSON{
			Type: t.Name, About: t.About, Limits: t.Limits, Retry: t.Retry.String(),
			Keys:     names(func(channel.Key) bool { return true }),
			Required: names(func(k channel.Key) bool { return k.Required }),
			Secret:   names(func(k channel.Key) bool { return k.Secret }),
		})
	}
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(all)
}
