// Package config owns the settings file: where it is looked for, how its parts
// are put together, and which package owns which table. What a table means
// stands with its owner; strictoml decodes it and finds all that is wrong.
//
// It must never show a secret, take a setting from the environment (but for
// the folder of systemd's credentials), or guess at what a broken file meant.
// Only package cmd may import it.
package config

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
	// The program depends on nothing on the host, and small systems have no
	// time zones. It is 450 KB of data that are not touched until asked for.
	_ "time/tzdata"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/enrich/builtin"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/publish"
	"github.com/sshnotify/sshnotify/internal/report"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/strictoml"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// Config is what the settings say, checked, with defaults filled in.
type Config struct {
	Watching
	policy.Settings

	Notify       string                 `toml:"notify" check:"oneof=auto unusual all"`
	PerDay       int                    `toml:"ordinary_per_day" check:"min=1,max=1000"` // for notify = "auto"
	Clock        string                 `toml:"clock" check:"oneof=24h 12h"`             // of the times in messages
	Enrich       enrich.Settings        `toml:"enrich"`
	History      history.Settings       `toml:"history"`
	Providers    Providers              `toml:"provider"`
	Destinations Destinations           `toml:"destination"` // none: alerts go to the system log
	Login        Login                  `toml:"login"`
	Group        Group                  `toml:"group"`
	Links        Links                  `toml:"links"`
	Heartbeat    heartbeat.Settings     `toml:"heartbeat"`
	Report       report.Settings        `toml:"report"`
	Metrics      figures.ListenSettings `toml:"metrics"`
	Hub          fleet.Settings         `toml:"hub"`
	Respond      order.Settings         `toml:"respond"`
	Outbound     Outbound               `toml:"outbound"`

	Files []string           // the settings files that were read, in order
	Notes []*strictoml.Error // what is read, and should be written otherwise
	// SaidIn is which file says a key, of those that an upgrade keeps as they were;
	// without one where it has its default: see Before.
	SaidIn map[string]string
}

// Watching is all that a watcher needs of the settings. It holds no secret, nor
// where one is, so that a watcher need not be able to read the settings
// themselves. It can be written as JSON and read back.
type Watching struct {
	Host      string            `toml:"host" check:"line=253"` // empty: the machine's own name
	Labels    map[string]string `toml:"labels" each:"label" check:"line=64"`
	TimeZone  string            `toml:"time_zone"`              // IANA name; empty: the machine's; see Zone
	SpoolDir  string            `toml:"spool_dir" check:"path"` // empty: Places.SpoolDir
	StateDir  string            `toml:"state_dir" check:"path"` // empty: Places.StateDir
	Digest    Digest            `toml:"digest"`
	Watch     Watch             `toml:"watch"`
	Sources   source.Sources    `toml:"source"` // none: the journal, else the usual files
	Detectors []attack.Detector `toml:"detector"`
	Patterns  []pattern.Pattern `toml:"pattern"`
	Publish   publish.Settings  `toml:"publish"`
}

// Config returns settings that say just this, and are the defaults otherwise.
func (w Watching) Config() Config {
	c := Default()
	c.Watching = w
	return c
}

// Digest is when the daily digest is sent, by the clock of Config.Zone.
type Digest struct {
	At strictoml.Clock `toml:"hour"`
}

// Time returns how long after midnight that is.
func (d Digest) Time() time.Duration { return time.Duration(d.At) * time.Minute }

// Login says which logins are told.
type Login struct {
	// NotifyLogout is all, alerted (where the login was medium or worse) or none.
	NotifyLogout string `toml:"notify_logout" check:"oneof=all alerted none"`
	// Those ignored are recorded and in the digest, not sent; but told where key,
	// network or country is new.
	policy.Ignore
}

// Watch says which attacks are told.
type Watch struct {
	// Notify is digest (attacks are told in the daily digest only) or each (an
	// alert when one starts and one when it ends). A login after failures is told
	// at once, whatever this says.
	Notify        string `toml:"notify" check:"oneof=digest each"`
	policy.Ignore        // attempts by these are not looked at
	StateDir      string `toml:"state_dir" check:"path"` // empty: whoever runs it decides
}

// WatchEach is the value of Watch.Notify for alerts of each attack.
const WatchEach = "each"

// Group says how repeats become one message.
type Group struct {
	Window time.Duration `toml:"window" check:"min=0s,max=1d"` // 0: every repeat is told by itself
}

// Links are shown with alerts.
type Links struct {
	Runbook string `toml:"runbook"` // http or https; empty: none
}

// Validate takes what can stand in every channel's message.
func (l *Links) Validate(at strictoml.At) {
	const most = 500
	if at.Has("runbook") && at.OK() && !strictoml.IsLink(l.Runbook, most) {
		at.Fail("runbook", "must be a link: http:// or https://, a host, no user name, at most %d characters", most)
	}
}

// Outbound says how the network is reached. Proxies come from here only, never
// from the environment: a user's ~/.pam_environment can set HTTPS_PROXY.
type Outbound struct {
	Proxy   outbound.Secret `toml:"proxy,secreturl"` // a URL that outbound.CheckProxyURL takes; zero: none
	CAFile  string          `toml:"ca_file" check:"file"`
	RootCAs *x509.CertPool  // the machine's certificates and those of CAFile; nil without CAFile
}

// Validate looks at the proxy, and reads the certificates.
func (o *Outbound) Validate(at strictoml.At) {
	if !o.Proxy.IsZero() {
		if err := outbound.CheckProxyURL(o.Proxy.Reveal()); err != nil {
			at.Fail("proxy", "%s", err)
		}
	}
	if o.CAFile == "" {
		return
	}
	pem, _, err := strictoml.ReadFile(o.CAFile)
	if err != nil {
		at.Fail("ca_file", "%s", err).Err = err
		return
	}
	if o.RootCAs, err = outbound.Trust(nil, pem); err != nil {
		at.Fail("ca_file", "%s", err)
	}
}

// Default is what holds without settings.
func Default() Config {
	return Config{
		Watching:  Watching{Digest: Digest{At: 8 * 60}, Watch: Watch{Notify: "digest"}, Publish: publish.DefaultSettings()},
		Settings:  policy.DefaultSettings(),
		Notify:    policy.NotifyAuto,
		PerDay:    10,
		Clock:     "24h",
		Enrich:    enrich.DefaultSettings(),
		History:   history.DefaultSettings(),
		Login:     Login{NotifyLogout: "none"},
		Group:     Group{Window: 10 * time.Minute},
		Heartbeat: heartbeat.DefaultSettings(),
		Report:    report.DefaultSettings(),
	}
}

const (
	// MaxLabels is how many are shown beside the host.
	MaxLabels = 16
	// MaxLabelValue is how many characters one has at most.
	MaxLabelValue = 64
)

// Validate looks at what one table says of another.
func (c *Config) Validate(at strictoml.At) {
	if len(c.Labels) > MaxLabels {
		at.Fail("labels", "at most %d labels", MaxLabels)
	}
	zone(at, "time_zone", c.TimeZone, "the machine's own")
	if c.Notify == policy.NotifyUnusual && !c.History.Enabled {
		at.Fail("notify", `"unusual" needs the memory that history.enabled = false turns off`).Hint = `notify = "all"`
	}
	for _, p := range c.Providers {
		if p.Type == builtin.TypeName && !c.Enrich.Builtin {
			at.Fail("provider."+p.Name, "enrich.builtin = false turns it off").Hint = "leave one of them out"
		}
	}
	c.alerted(at, "heartbeat.destination", c.Heartbeat.Destination)
	c.alerted(at, "report.destination", c.Report.Destination)
	if !c.Report.Every.Never() && !c.History.Enabled {
		at.Fail("report.every", "needs the memory that history.enabled = false turns off").Hint = "leave one of them out"
	}
	for i, r := range c.Rules {
		c.alerted(at, fmt.Sprintf("rule.%d.destination", i), r.Destination)
	}
	asks := "" // the destination that does
	for _, d := range c.Destinations {
		if p, ok := d.Settings.(interface{ Asks() bool }); ok && p.Asks() {
			switch {
			case asks != "":
				at.Fail("destination."+d.Name+".app_token", "destination.%s has one already: one place takes the answers", asks).Hint = "leave one of them out"
			case !c.History.Enabled:
				at.Fail("destination."+d.Name+".app_token", "needs the memory that history.enabled = false turns off: nothing can be acknowledged").Hint = "leave one of them out"
			}
			asks = d.Name
		}
		if p, ok := d.Settings.(interface{ Public() bool }); ok && p.Public() && !slices.Contains(c.Publish.Destinations, d.Name) {
			at.Fail("destination."+d.Name, "everybody reads its posts, which would name users and hosts").Hint = "name it in destination of [publish]: then it gets attackers' addresses alone"
		}
		zone(at, "destination."+d.Name+".quiet_zone", d.QuietZone, "that of time_zone")
		c.worded(at, d)
		if d.Remind > 0 && !c.History.Enabled {
			at.Fail("destination."+d.Name+".remind", "needs the memory that history.enabled = false turns off: nothing can be acknowledged").Hint = "leave one of them out"
		}
		if q := (policy.Quiet{Hours: d.Quiet}); len(d.Quiet) > 0 && q.At(q.End(time.Time{})) {
			at.Fail("destination."+d.Name+".quiet", "never ends: only what is critical would be told").Hint = `min_severity = "critical" says that`
		}
		key := "destination." + d.Name + ".fallback"
		switch names := at.Names("destination"); {
		case d.Fallback == "":
		case d.Fallback == d.Name:
			at.Fail(key, "must be another destination")
		case !slices.Contains(names, d.Fallback):
			at.Fail(key, "must be the name of a destination%s", strictoml.Not(d.Fallback)).Hint = "destinations are: " + strings.Join(names, ", ")
		case slices.Contains(c.Publish.Destinations, d.Fallback):
			at.Fail(key, "gets published attacks only, as publish.destination says").Hint = "name another one"
		}
	}
	sources := at.Names("source")
	for i, p := range c.Patterns {
		c.alerted(at, fmt.Sprintf("pattern.%d.destination", i), p.Destinations)
		if len(sources) == 0 {
			continue // they are called by their paths
		}
		names := slices.Clone(p.Sources)
		for i, s := range names {
			if strings.ContainsAny(s, "*?") {
				names[i] = "" // a glob
			}
		}
		at.Known(fmt.Sprintf("pattern.%d.source", i), names, sources, "the name of a source, or a glob", "sources")
	}
}

// worded looks at whether a destination has what its templates word.
func (c *Config) worded(at strictoml.At, d Destination) {
	headline, text := channel.Worded(d.Settings)
	for i, t := range d.Templates {
		key := fmt.Sprintf("destination.%s.template.%d", d.Name, i)
		switch {
		case slices.Contains(c.Publish.Destinations, d.Name):
			at.Fail(key, "what is published has words of its own").Hint = "leave it out"
		case t.Headline != "" && !headline:
			at.Fail(key+".headline", "there is no headline in what this destination gets").Hint = "leave it out"
		case t.Text != "" && !text:
			at.Fail(key+".text", "this destination gets a headline, and no text").Hint = `word the headline: headline = "…"`
		}
	}
}

// zone looks at the name of a time zone. instead is what holds without it.
func zone(at strictoml.At, key, name, instead string) {
	// "" and "Local" mean something to LoadLocation, but name no zone.
	if _, err := time.LoadLocation(name); at.Has(key) && (err != nil || name == "" || name == "Local") {
		at.Fail(key, "no such time zone").Hint = `a name of the IANA data base, such as "Europe/Dublin" or "UTC"; leave it out for ` + instead
	}
}

// alerted looks at names of destinations that alerts go to.
func (c *Config) alerted(at strictoml.At, key string, names []string) {
	known := at.Names("destination")
	if !slices.ContainsFunc(known, func(name string) bool { return !slices.Contains(c.Publish.Destinations, name) }) {
		known = append(known, channel.LogType) // where alerts go then
	}
	at.Known(key, names, known, "the name of a destination", "destinations")
	for i, name := range names {
		if slices.Contains(c.Publish.Destinations, name) {
			at.Fail(fmt.Sprintf("%s.%d", key, i), "gets published attacks only, as publish.destination says").Hint = "leave it out there, or here"
		}
	}
}

// Policy is what the policy needs of the settings.
func (c Config) Policy() policy.Settings {
	s := c.Settings
	s.Zone, s.Learning, s.Notify, s.Ignored = c.Zone(), c.History.Learning, c.Notify, c.Login.Ignore
	return s
}

// Clock12 reports whether the times of messages are told in 12 hours.
func (c Config) Clock12() bool { return c.Clock == "12h" }

// Zone is where the times of messages are told. (time.LoadLocation takes an
// empty name for UTC.)
func (c Config) Zone() *time.Location { return zoneOf(c.TimeZone, time.Local) }

// QuietOf returns a destination's quiet hours.
func (c Config) QuietOf(d Destination) policy.Quiet {
	return policy.Quiet{Hours: d.Quiet, Zone: zoneOf(d.QuietZone, c.Zone())}
}

func zoneOf(name string, instead *time.Location) *time.Location {
	if name == "" {
		return instead
	}
	zone, err := time.LoadLocation(name)
	if err != nil { // Load has checked it; a Config made by hand may be wrong
		return time.UTC
	}
	return zone
}

// AlertDestinations returns the destinations that alerts go to: all but those
// that [publish] names. None: alerts go to the system log.
func (c Config) AlertDestinations() []Destination {
	return slices.DeleteFunc(slices.Clone(c.Destinations), func(d Destination) bool { return slices.Contains(c.Publish.Destinations, d.Name) })
}

// NamedNetworks returns [networks] as look-ups take them.
func (c Config) NamedNetworks() (all []enrich.NamedNetwork) {
	for name, prefixes := range c.Networks {
		for _, p := range prefixes {
			all = append(all, enrich.NamedNetwork{Prefix: p, Name: name})
		}
	}
	return all
}

// Summary says in a few lines what the settings mean, for somebody who has just
// written them. It holds no secret.
func (c Config) Summary() []string {
	providers := "providers: " + list(c.Providers, "none", func(p Provider) string { return titled(p.Name, p.Type) })
	if !slices.ContainsFunc(c.Providers, func(p Provider) bool { return p.Type == builtin.TypeName }) {
		not := ""
		if !c.Enrich.Builtin {
			not = "not "
		}
		providers += ", and " + not + "the built-in database"
	}
	memory := "memory: none"
	if c.History.Enabled {
		memory = fmt.Sprintf("memory: kept for %s, learning for %s", strictoml.FormatDuration(c.History.Keep), strictoml.FormatDuration(c.History.Learning))
	}
	zone := "this machine's time"
	if c.TimeZone != "" {
		zone = c.TimeZone
	}
	told := "told: every login"
	switch {
	case !c.History.Enabled || c.Notify == policy.NotifyAll:
	case c.Notify == policy.NotifyUnusual:
		told = fmt.Sprintf("told: unusual logins at once, ordinary ones in a digest at %v (%v)", c.Digest.At, zone)
	default:
		told = fmt.Sprintf("told: unusual logins at once, ordinary ones one by one up to %d a day, else in a digest at %v (%v)", c.PerDay, c.Digest.At, zone)
	}
	lines := []string{
		"destinations: " + list(c.AlertDestinations(), "none, alerts go to the system log", func(d Destination) string {
			return titled(d.Name, d.Type) + " from " + d.MinSeverity.String()
		}),
		providers, memory, told,
	}
	switch h := c.Hub; {
	case h.Host() && h.AloneAfter == 0: // nothing is judged here
		lines = []string{"hub: handed over to " + h.URL + ", which judges and tells"}
	case h.Host():
		lines = append([]string{"hub: handed over to " + h.URL + ", which judges and tells; while it is away for more than " +
			strictoml.FormatDuration(h.AloneAfter) + ", this host tells what is high or critical:"}, lines...)
	case h.Hub():
		lines = append([]string{"hub: takes what hosts hand over at " + strings.Join(slices.DeleteFunc([]string{h.Listen, h.NATS}, func(s string) bool { return s == "" }), " and ")}, lines...)
	}
	if keys, file := c.keptBy(); len(keys) > 0 {
		lines = append(lines, "kept by an upgrade: "+strings.Join(keys, ", ")+" ("+file+")")
	}
	if h := c.Heartbeat; !h.URL.IsZero() {
		lines = append(lines, "heartbeat: a ping every "+strictoml.FormatDuration(h.Every)+", by the service")
	}
	if m := c.Heartbeat.Message; m != heartbeat.None {
		lines = append(lines, fmt.Sprintf("heartbeat: a %s message that all is well at %v (%v), by the service", m, c.Digest.At, zone))
	}
	if r := c.Report; !r.Every.Never() && c.History.Enabled {
		masked := ""
		if r.Mask {
			masked = ", masked"
		}
		lines = append(lines, fmt.Sprintf("report: of the last %s at %v (%v)%s, by mail with the page", strictoml.FormatDuration(r.Since), r.Every, zone, masked))
	}
	if c.Metrics.Listen != "" {
		lines = append(lines, "metrics: http://"+c.Metrics.Listen+"/metrics, by the service")
	}
	if len(c.Rules) > 0 {
		n := 0
		lines = append(lines, "rules: "+list(c.Rules, "", func(r policy.Rule) string {
			if n++; r.Name == "" {
				return fmt.Sprint(n)
			}
			return r.Name
		}))
	}
	if len(c.Sources) > 0 {
		lines = append(lines, "sources: "+list(c.Sources, "", func(s source.Named) string { return titled(s.Name, s.Type) }))
	}
	if c.Watch.Notify == WatchEach || len(c.Detectors) > 0 {
		told := "attacks: in the digest, but a login after failures at once"
		if c.Watch.Notify == WatchEach {
			told = "attacks: each when it starts and when it ends"
		}
		if len(c.Detectors) > 0 {
			told += "; detectors: " + list(attack.WithDefaults(c.Detectors), "", func(d attack.Detector) string { return d.Name })
		}
		lines = append(lines, told)
	}
	if len(c.Patterns) > 0 {
		lines = append(lines, "patterns: "+list(c.Patterns, "", func(p pattern.Pattern) string { return p.Name }))
	}
	if p := c.Publish; p.Enabled() {
		to := slices.Clone(p.Destinations)
		if p.Dir != "" {
			to = append(to, p.Dir)
		}
		names := "without names"
		if p.Names {
			names = "with the names tried"
		}
		lines = append(lines, fmt.Sprintf("published: attacks of %d attempts and more, %s, at most %d an hour, to %s", p.MinAttempts, names, p.PerHour, strings.Join(to, ", ")))
	}
	return lines
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
	texts := make([]string, len(all))
	for i, x := range all {
		texts[i] = text(x)
	}
	return strings.Join(texts, ", ")
}
