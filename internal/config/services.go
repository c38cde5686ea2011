package config

import (
	"crypto/x509"
	"net/url"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// eachNamed reads the tables [provider.NAME], [destination.NAME] or
// [source.NAME]. The type is the table's name where it names none, and that of a
// source with a path is file; read gets those of a known type.
func (l *loader) eachNamed(n *node, what string, types []string, read func(t *table, name, typ string)) {
	if n == nil {
		return
	}
	if n.kind != tableKind {
		l.fail(n, "write ["+what+".NAME]", "must be a table of named tables, not %s", n.kind)
		return
	}
	for _, c := range n.children {
		if c.kind != tableKind {
			l.fail(c, "write ["+what+".NAME] above it", "must be a table, not %s", c.kind)
			continue
		}
		if !isName(c.key) {
			l.fail(c, "", "the name of a %s is made of 1 to %d letters, digits, _ and -", what, maxShownKey)
			continue
		}
		t, typ := l.table(c), c.key
		if named := t.take("type"); named != nil {
			typ = ""
			t.choice("type", &typ, types...)
		} else if what == "source" && !slices.Contains(types, typ) && c.child("path") != nil {
			typ = SourceFile
		} else if !slices.Contains(types, typ) {
			hint := didYouMean(typ, types)
			if hint == "" {
				hint = `type = "` + types[0] + `"`
			}
			l.fail(c, hint, "its type is missing: %s", oneOf(types))
			typ = ""
		}
		if typ != "" {
			read(t, c.key, typ)
			t.done()
		}
	}
}

func (l *loader) destinations(n *node, c *Config) {
	l.eachNamed(n, "destination", []string{DestinationSlack, DestinationLog}, func(t *table, name, typ string) {
		d := Destination{Name: name, Type: typ}
		if typ == DestinationSlack {
			d.WebhookURL = t.webhook()
		}
		severity := event.Low.String()
		t.choice("min_severity", &severity,
			event.Low.String(), event.Medium.String(), event.High.String(), event.Critical.String())
		d.MinSeverity, _ = event.ParseSeverity(severity) // one of the four
		c.Destinations = append(c.Destinations, d)
	})
}

func (t *table) webhook() outbound.Secret {
	s, n := t.secret("webhook_url", nil)
	if n == nil {
		t.fail(t.at, "", "webhook_url or webhook_url_file is missing")
	} else if !s.IsZero() {
		if err := outbound.CheckURL(s.Reveal()); err != nil {
			t.fail(n, "", "%s", err)
		}
	}
	return s
}

func (t *table) outbound(o *Outbound) {
	// A proxy without a password is no secret.
	hasUser := func(s string) bool {
		u, err := url.Parse(s)
		return err != nil || u.User != nil
	}
	proxy, n := t.secret("proxy", hasUser)
	if !proxy.IsZero() {
		if err := outbound.CheckProxyURL(proxy.Reveal()); err != nil {
			t.fail(n, "", "%s", err)
		}
	}
	o.Proxy = proxy

	n = t.path("ca_file", &o.CAFile)
	if n == nil {
		return
	}
	pem, _, err := readFile(o.CAFile)
	if err != nil {
		t.fail(n, "", "%s", err)
		t.errs[len(t.errs)-1].Err = err
		return
	}
	o.RootCAs, err = x509.SystemCertPool()
	if err != nil { // a machine without certificates of its own
		o.RootCAs = x509.NewCertPool()
	}
	if !o.RootCAs.AppendCertsFromPEM(pem) {
		t.fail(n, "", "no certificate in PEM form in it")
	}
}
