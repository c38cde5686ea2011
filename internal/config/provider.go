package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// Provider is one who knows about addresses.
type Provider struct {
	Name   string // of its table
	Type   string // a service's, or one of the ProviderX
	URL    string // of a service; empty: its own
	APIKey outbound.Secret
	Quota  Quota
	File   string // of ProviderHTTP, absolute: the description of the service
	Path   string // of ProviderMMDB and ProviderList, absolute
	List   List   // of ProviderList
}

// The types of providers that are no service by its name.
const (
	ProviderThreatJammer = "threatjammer"
	ProviderHTTP         = "http"    // a service that the owner describes
	ProviderMMDB         = "mmdb"    // a data base on disk
	ProviderList         = "list"    // networks, on disk or on the web
	ProviderCymru        = "cymru"   // Team Cymru's DNS service
	ProviderTorDNS       = "tor-dns" // the Tor project's DNS service
	ProviderBuiltin      = "builtin" // named only to give it a place in the order
)

// Quota is how often a service may be asked; 0: as often as it allows itself.
type Quota struct{ PerMinute, PerDay, PerWeek, PerMonth int }

// List is what it means that an address is on a list.
type List struct {
	URL     outbound.Secret // where Provider.Path is empty; it may hold a token
	Refresh time.Duration   // how often URL is fetched at most
	Label   string
	Score   *int   // 0 to 100; nil: it says nothing of risk
	Trait   string // tor, vpn, proxy, hosting or mobile; empty: none
	Allow   bool   // those on it are well known
}

// ServiceForm is what a service needs of the settings.
type ServiceForm struct {
	Key KeyNeed
	// NeedsURL: there is no address that it always has. Why ends a sentence
	// that says so, and URLHint is something to do; both may be empty.
	NeedsURL bool
	Why      string
	URLHint  string
}

// KeyNeed says whether a service must be given a key.
type KeyNeed int

// The ways to need one.
const (
	KeyNone KeyNeed = iota // it takes none
	KeyOptional
	KeyNeeded
)

// Services gives the services that have a name, and what they need.
func Services() map[string]ServiceForm {
	return map[string]ServiceForm{
		ProviderThreatJammer: {Key: KeyNeeded, NeedsURL: true,
			Why:     "there is no default, because that service's domain has changed hands",
			URLHint: `name a service that you trust: url = "https://threat.example.com"`},
		"abuseipdb":      {Key: KeyNeeded},
		"greynoise":      {Key: KeyOptional},
		"crowdsec":       {Key: KeyNeeded},
		"crowdsec-lapi":  {Key: KeyNeeded},
		"ipinfo":         {Key: KeyNeeded},
		"ipinfo-core":    {Key: KeyNeeded},
		"ip-api":         {Key: KeyNeeded},
		"internetdb":     {Key: KeyNone},
		"spur":           {Key: KeyNeeded},
		"ipqualityscore": {Key: KeyNeeded},
		"virustotal":     {Key: KeyNeeded},
		"ip2location":    {Key: KeyOptional},
	}
}

// What is at most meant by a quota, and by fetching a list: a list that is
// fetched more often than its makers make it helps nobody.
const (
	maxQuota       = 100_000_000
	maxLabel       = 60
	minRefresh     = 10 * time.Minute
	maxRefresh     = 30 * day
	defaultRefresh = day
)

func (l *loader) providers(n *node, c *Config) {
	types := []string{ProviderMMDB, ProviderList, ProviderHTTP, ProviderCymru, ProviderTorDNS, ProviderBuiltin}
	for _, service := range slices.Sorted(maps.Keys(l.services)) {
		if !slices.Contains(types, service) {
			types = append(types, service)
		}
	}
	l.eachNamed(n, "provider", types, func(t *table, name, typ string) {
		p := Provider{Name: name, Type: typ}
		switch typ {
		case ProviderHTTP:
			t.needs("file", &p.File)
			t.service(&p, ServiceForm{Key: KeyOptional})
		case ProviderMMDB:
			t.needs("path", &p.Path)
		case ProviderList:
			t.list(&p)
		case ProviderBuiltin:
			if !c.Enrich.Builtin {
				t.fail(t.at, "leave one of them out", "enrich.builtin = false turns it off")
			}
		case ProviderCymru, ProviderTorDNS: // they need nothing
		default:
			t.service(&p, l.services[typ])
		}
		c.Providers = append(c.Providers, p)
	})
}

// needs takes a path that must be set.
func (t *table) needs(key string, to *string) {
	if t.path(key, to); t.at.child(key) == nil {
		t.fail(t.at, "", "%s is missing", key)
	}
}

func (t *table) service(p *Provider, form ServiceForm) {
	if n := t.value("url", textKind); n != nil {
		p.URL = n.text
		// It is the beginning of others.
		if err := outbound.CheckURL(n.text); err != nil {
			t.fail(n, "", "%s", err)
		} else if strings.ContainsAny(n.text, "?#") {
			t.fail(n, "", "the URL must end before any ? or #")
		}
	} else if form.NeedsURL && t.at.child("url") == nil {
		message := "url is missing"
		if form.Why != "" {
			message += "; " + form.Why
		}
		t.fail(t.at, form.URLHint, "%s", message)
	}
	if form.Key != KeyNone {
		key, set := t.secret("api_key", nil)
		if set == nil && form.Key == KeyNeeded {
			t.fail(t.at, "", "api_key or api_key_file is missing")
		}
		p.APIKey = key
	}
	t.integer("per_minute", &p.Quota.PerMinute, 1, maxQuota)
	t.integer("per_day", &p.Quota.PerDay, 1, maxQuota)
	t.integer("per_week", &p.Quota.PerWeek, 1, maxQuota)
	t.integer("per_month", &p.Quota.PerMonth, 1, maxQuota)
}

func (t *table) list(p *Provider) {
	o := &p.List
	o.Label, o.Refresh = p.Name, defaultRefresh
	t.path("path", &p.Path)
	// A token would be in the query.
	url, set := t.secret("url", func(s string) bool { return strings.Contains(s, "?") })
	o.URL = url
	if !url.IsZero() {
		if err := outbound.CheckURL(url.Reveal()); err != nil {
			t.fail(set, "", "%s", err)
		}
	}
	switch path := t.at.child("path"); {
	case path != nil && set != nil:
		t.fail(set, "leave one of them out", "path is set as well")
	case path == nil && set == nil:
		t.fail(t.at, "", "path, url or url_file is missing")
	}
	if n := t.duration("refresh", &o.Refresh, false, maxRefresh); n != nil {
		if o.Refresh < minRefresh {
			t.fail(n, "", "must be %s or more%s", short(minRefresh), not(n.text))
		} else if set == nil {
			t.fail(n, "a file is read anew when it changes", "is for lists with a url")
		}
	}
	t.line("label", &o.Label, maxLabel)
	if t.at.child("score") != nil {
		o.Score = new(int)
		t.integer("score", o.Score, 0, 100)
	} else {
		t.take("score")
	}
	t.choice("trait", &o.Trait, "tor", "vpn", "proxy", "hosting", "mobile")
	t.boolean("allow", &o.Allow)
	if o.Allow && o.Score != nil {
		t.fail(t.at.child("allow"), "leave one of them out", "a list of those who are expected has no score")
	}
}
