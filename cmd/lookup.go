package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
)

type lookupOptions struct {
	app  *app
	json bool
}

func newLookupCmd(a *app) *cobra.Command {
	o := lookupOptions{app: a}
	c := &cobra.Command{
		Use:   "lookup IP…",
		Short: "Show what the providers know about an address",
		Long: long(`lookup asks the providers in the settings about addresses, and shows each one's
answer beside the built-in database's. Answers are cached for enrich.cache_ttl
and count against the providers' quotas, as those for logins do. Non-public
addresses are never looked up.`,
			exits(exitDone, exitFailed, exitUsage, exitSettings)),
		Example: `  sshnotify lookup 203.0.113.7 2001:db8::7
  sshnotify lookup --json 203.0.113.7 | jq .risk`,
		Args: needsSome,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c.Context(), args) },
	}
	c.Flags().BoolVar(&o.json, "json", false, "print a JSON object per line, one for each address and provider")
	return c
}

// answer is what one provider says of one address, as --json prints it.
type answer struct {
	IP       netip.Addr    `json:"ip"`
	Scope    string        `json:"scope,omitempty"` // of an address that is not public
	Provider string        `json:"provider,omitempty"`
	Risk     *event.Risk   `json:"risk,omitempty"`
	Network  event.Network `json:"network,omitzero"`
	Place    event.Place   `json:"place,omitzero"`
	Traits   event.Traits  `json:"traits,omitzero"`
	Name     string        `json:"name,omitempty"` // what the settings call the network
	Error    string        `json:"error,omitempty"`
	Cached   bool          `json:"cached"`
	Seconds  float64       `json:"seconds"`
}

func (o *lookupOptions) run(ctx context.Context, args []string) error {
	var ips []netip.Addr
	for _, arg := range args {
		ip, err := address("", arg)
		if err != nil {
			return err
		}
		ips = append(ips, ip.Unmap().WithZone(""))
	}
	a := o.app
	c, err := a.settings()
	if err != nil {
		return err
	}
	lookups, done, err := a.lookups(c)
	if err != nil {
		return err
	}
	defer done()
	providers := lookups.Providers()
	asked, answered := 0, 0
	enc := json.NewEncoder(a.out)
	for i, ip := range ips {
		if i > 0 && !o.json {
			fmt.Fprintln(a.out)
		}
		scope, name := enrich.Scope(ip), lookups.Name(ip)
		var results []enrich.Result
		if scope == "" {
			results = lookups.LookupAll(ctx, ip)
		}
		// Who has never attacked this host is no news.
		quiet := func(r enrich.Result) bool {
			return r.Provider == attackersName && r.Err == nil && r.Facts.Risk == nil
		}
		for i, r := range results {
			if providers[i].Info().Local {
				continue // it says what it has
			}
			asked++
			if r.Err == nil {
				answered++
			}
		}
		results = slices.DeleteFunc(results, quiet)
		if !o.json {
			if err := a.lookupTable(ip, scope, name, results); err != nil {
				return err
			}
			continue
		}
		for _, an := range answers(ip, scope, name, results) {
			if err := enc.Encode(an); err != nil {
				return err
			}
		}
	}
	if !o.json {
		a.terms(lookups)
	}
	switch {
	case len(c.Providers) == 0 && !c.Enrich.Builtin:
		return withHint(errors.New("no provider is set up, and the built-in database is switched off"), "name one in "+a.settingsPlace(c)+", for example [provider.abuseipdb] with api_key_file")
	case asked > 0 && answered == 0:
		return &silentError{exitFailed}
	}
	return nil
}

// terms says what the services' terms bind the user to.
func (a *app) terms(lookups *enrich.Engine) {
	for _, p := range lookups.Providers() {
		if info := p.Info(); info.Service != nil && info.Service.Terms != "" {
			fmt.Fprintf(a.out, "\n%s: %s\n", info.Title, info.Service.Terms)
		}
	}
}

func answers(ip netip.Addr, scope, name string, results []enrich.Result) []answer {
	if len(results) == 0 {
		return []answer{{IP: ip, Scope: scope, Name: name}}
	}
	var out []answer
	for _, r := range results {
		an := answer{
			IP: ip, Provider: r.Provider, Risk: r.Facts.Risk, Network: r.Facts.Network, Place: r.Facts.Place,
			Traits: r.Facts.Traits, Name: name,
			Cached: r.Cached, Seconds: r.Took.Seconds(),
		}
		if r.Err != nil {
			an.Error = r.Err.Error()
		}
		out = append(out, an)
	}
	return out
}

// lookupTable prints what the providers say of one address, a block for each.
func (a *app) lookupTable(ip netip.Addr, scope, name string, results []enrich.Result) error {
	if name != "" {
		fmt.Fprintf(a.out, "%s (%s)\n", ip, name)
	} else {
		fmt.Fprintln(a.out, ip)
	}
	if scope != "" {
		fmt.Fprintf(a.out, "  %s: asked of nobody\n", scope)
		return nil
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	row := func(label, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\n", label, value)
		}
	}
	for _, r := range results {
		took := r.Took.Round(time.Millisecond).String()
		if r.Cached {
			took = "remembered"
		}
		row(r.Title, took)
		if risk := r.Facts.Risk; risk != nil {
			row("  risk", riskText(risk))
		}
		network, place, traits := networkText(r.Facts.Network), placeText(r.Facts.Place), traitsText(r.Facts.Traits)
		row("  network", network)
		row("  place", place)
		row("  traits", traits)
		if r.Facts.Risk == nil && r.Err == nil && network+place+traits == "" {
			row("  known", "nothing")
		}
		if r.Err != nil {
			row("  error", r.Err.Error())
		}
		row("  hint", r.Hint)
	}
	return w.Flush()
}

func riskText(r *event.Risk) string {
	if !r.Known {
		return strings.TrimSuffix("unknown - "+r.Problem, " - ")
	}
	s := fmt.Sprint(r.Score)
	if r.Word != "" {
		s += " (" + r.Word + ")"
	}
	if r.Reason != "" {
		s += " - " + r.Reason
	}
	if !r.Stale.IsZero() {
		s += " (an old answer, of " + doctor.Stamp(r.Stale) + ")"
	}
	return s
}

func traitsText(t event.Traits) string {
	var words []string
	for _, s := range []struct{ source, word string }{
		{t.Tor, "Tor exit"}, {t.VPN, "VPN"}, {t.Proxy, "proxy"}, {t.Hosting, "hosting"}, {t.Mobile, "mobile"},
	} {
		if s.source != "" {
			words = append(words, s.word)
		}
	}
	return strings.Join(append(words, t.Lists...), ", ")
}

func networkText(n event.Network) string {
	var parts []string
	if n.ASN != 0 {
		parts = append(parts, fmt.Sprintf("AS%d", n.ASN))
	}
	if n.Name != "" {
		parts = append(parts, n.Name)
	}
	s := strings.Join(parts, " ")
	if n.Description != "" {
		s = strings.TrimPrefix(s+" - "+n.Description, " - ")
	}
	return s
}

func placeText(p event.Place) string {
	var parts []string
	for _, s := range []string{p.City, p.Region, p.Country} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ", ")
}
