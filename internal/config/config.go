// Package config owns the settings file: where it is looked for, how it is
// read, and what may stand in it. It is strict: an unknown key, a value that
// can't be meant, or a secret that others can read is an error that names the
// file, the line, the column and the key.
//
// It must never show a secret, take a setting from the environment (but for
// the folder of systemd's credentials), or guess at what a broken file meant.
// Only package cmd may import it.
package config

import (
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

// Config is what the settings say, checked, with defaults filled in.
type Config struct {
	Host     string            // empty: the machine's own name
	Labels   map[string]string // nil: none
	Notify   string            // NotifyAll or NotifyUnusual
	TimeZone string            // IANA name; empty: the machine's; see Zone
	SpoolDir string            // absolute; empty: Places.SpoolDir
	StateDir string            // absolute; empty: Places.StateDir

	Enrich       Enrich
	Risk         Risk
	History      History
	Digest       Digest
	Raise        policy.Raise
	People       map[string][]string // name to fingerprints (SHA256:…); nil: none
	Groups       map[string][]string // name to users, who may be globs; nil: none
	Networks     []Network           // in order of appearance
	Rules        []policy.Rule       // in order of appearance: the first that matches holds
	Providers    []Provider          // in order of appearance
	Destinations []Destination       // in order of appearance; none: alerts go to the system log
	Login        Login
	Watch        Watch
	Sources      []Source          // in order of appearance; none: the journal, else the usual files
	Detectors    []attack.Detector // those of the settings; see AllDetectors
	Patterns     []pattern.Pattern // in order of appearance
	Publish      Publish
	Group        Group
	Links        Links
	Outbound     Outbound

	Files []string // the settings files that were read, in order
}

// The values of Config.Notify.
const (
	NotifyAll     = "all"     // every login is told
	NotifyUnusual = "unusual" // usual logins are told in the daily digest only
)

// Enrich bounds the look-ups.
type Enrich struct {
	Timeout  time.Duration // for all providers together
	CacheTTL time.Duration
	Builtin  bool // the built-in database is asked too
}

// History is about the memory of earlier logins.
type History struct {
	Enabled  bool
	Keep     time.Duration // a day or more
	Learning time.Duration // at most Keep; 0: what is new raises from the first login on
}

// Digest is when the daily digest is sent, by the clock of Config.Zone.
type Digest struct{ Hour, Minute int }

// Network is one that the settings give a name. A prefix is in one network
// only, but those of one may lie within those of another.
type Network struct {
	Name     string
	Prefixes []netip.Prefix // masked; IPv4 is never written as IPv6
}

// Risk says which scores are medium (above YellowAbove) and high (above
// RedAbove). 0 ≤ YellowAbove < RedAbove ≤ 100.
type Risk struct{ YellowAbove, RedAbove int }

// Destination is where alerts go.
type Destination struct {
	Name        string          // of its table
	Type        string          // DestinationSlack or DestinationLog
	WebhookURL  outbound.Secret // of a Slack destination
	MinSeverity event.Severity
}

// The types of destinations.
const (
	DestinationSlack = "slack"
	DestinationLog   = "log"
)

// Login says which logins are told.
type Login struct {
	NotifyLogout   string         // LogoutAll, LogoutAlerted or LogoutNone
	IgnoreUsers    []string       // recorded and in the digest, not sent; but told where key, network or country is new
	IgnoreNetworks []netip.Prefix // masked; IPv4 is never written as IPv6
}

// The values of Login.NotifyLogout.
const (
	LogoutAll     = "all"
	LogoutAlerted = "alerted" // where the login was medium or worse
	LogoutNone    = "none"
)

// Group says how repeats become one message.
type Group struct {
	Window time.Duration // 0: every repeat is told by itself
}

// Links are shown with alerts.
type Links struct {
	Runbook string // http or https; empty: none
}

// Outbound says how the network is reached. Proxies come from here only, never
// from the environment: a user's ~/.pam_environment can set HTTPS_PROXY.
type Outbound struct {
	Proxy   outbound.Secret // a URL that outbound.CheckProxyURL takes; zero: none
	CAFile  string          // absolute; empty: none
	RootCAs *x509.CertPool  // the machine's certificates and those of CAFile; nil without CAFile
}

// Default is what holds without settings.
func Default() Config {
	return Config{
		Notify:  NotifyAll,
		Enrich:  Enrich{Timeout: 3 * time.Second, CacheTTL: time.Hour, Builtin: true},
		Risk:    Risk{YellowAbove: 34, RedAbove: 67},
		History: History{Enabled: true, Keep: 400 * day, Learning: 7 * day},
		Digest:  Digest{Hour: 8},
		Raise:   policy.DefaultRaise(),
		Login:   Login{NotifyLogout: LogoutAlerted},
		Watch:   Watch{Notify: WatchDigest},
		Publish: Publish{PerHour: 10, MinAttempts: 5},
		Group:   Group{Window: 10 * time.Minute},
	}
}

// Policy is what the policy needs of the settings.
func (c Config) Policy() policy.Settings {
	s := policy.Settings{
		YellowAbove: c.Risk.YellowAbove, RedAbove: c.Risk.RedAbove, Raise: c.Raise, Groups: c.Groups,
		Networks: map[string][]netip.Prefix{}, People: map[string]bool{}, Rules: c.Rules,
		Zone: c.Zone(), Learning: c.History.Learning,
	}
	for _, n := range c.Networks {
		s.Networks[n.Name] = n.Prefixes
	}
	for name := range c.People {
		s.People[name] = true
	}
	return s
}
