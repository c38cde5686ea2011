package cmd

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/publish"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// publisher tells the world of attacks that have ended, as far as the settings
// want it; nil where they don't.
type publisher struct {
	c     publish.Settings
	book  *publish.Pending
	place func(netip.Addr) (network, country string, asn uint32)
	ours  func(user string) bool // an account of this host
	log   *slog.Logger
	wrote time.Time
	said  time.Time // when it was last said how many were not published
}

// pageEvery is how often the page is written anew without an attack, so that
// old ones go.
const pageEvery = 24 * time.Hour

func newPublisher(c config.Config, dir string, place func(netip.Addr) (string, string, uint32), log *slog.Logger) *publisher {
	if !c.Publish.Enabled() {
		return nil
	}
	return &publisher{
		c: c.Publish, place: place, ours: isAccount, log: log,
		book: publish.NewBook(publish.Options{
			Path: filepath.Join(dir, "published.json"), PerHour: c.Publish.PerHour, MinAttempts: c.Publish.MinAttempts, Names: c.Publish.Names,
		}),
	}
}

// ended publishes an attack by an address, and gives the event for the
// destinations that others read. It never names a host or an account of ours.
func (p *publisher) ended(f attack.Finding) []event.Event {
	if f.By != attack.ByAddress || !f.IP.IsValid() || enrich.Scope(f.IP) != "" {
		return nil
	}
	now := time.Now()
	e := publish.Entry{IP: f.IP, Attempts: f.Attempts, First: f.First, Last: f.Last}
	if len(f.Services.Most) > 0 {
		e.Service = f.Services.Most[0].Name
	}
	if p.place != nil {
		e.Network, e.Country, e.ASN = p.place(f.IP)
	}
	if p.c.Names {
		for _, n := range f.Names.Most {
			if !p.ours(n.Name) {
				e.Names = append(e.Names, n.Name)
			}
		}
	}
	ok, why := p.book.Admit(now, e)
	if !ok {
		p.log.Debug("an attack is not published", "ip", f.IP, "why", why) // in a flood there are many
		return nil
	}
	p.page(now)
	if len(p.c.Destinations) == 0 {
		return nil
	}
	title, text := publish.Text(e)
	return []event.Event{{
		ID: event.LoginID(event.Session{Boot: "published"}, f.Attack), Kind: event.KindAttack, Time: f.Time.UTC(), Via: event.ViaWatch,
		Remote: event.Remote{IP: f.IP},
		Attack: &event.Attack{Phase: event.PhaseEnded, Note: event.Note{Severity: event.Low, Title: title, Text: text, Only: p.c.Destinations, Public: true}},
	}}
}

// isAccount reports whether a name, in any case, is that of an account that this
// host knows itself. Every host has root.
func isAccount(name string) bool {
	if name == "root" {
		return false
	}
	// By the password file alone: a name service may be far away.
	host := login.Live()
	return host.HomeOf(name) != "" || host.HomeOf(strings.ToLower(name)) != ""
}

// page writes the page and the feed.
func (p *publisher) page(now time.Time) {
	if p.c.Dir == "" {
		return
	}
	p.wrote = now
	if err := publish.Write(p.c.Dir, p.book.Entries(now), now); err != nil {
		p.log.Error("the page of attackers can't be written", "error", err)
	}
}

// saySkipped says what the limit of an hour has kept back.
func (p *publisher) saySkipped() {
	if n := p.book.Skipped(); n > 0 {
		p.log.Warn("attacks are not published, as many as wanted an hour were", "count", n, "per_hour", p.c.PerHour)
	}
}

// age writes the page anew where nothing has been published for long.
func (p *publisher) age(now time.Time) {
	if now.Sub(p.said) >= time.Hour {
		p.said = now
		p.saySkipped()
	}
	if now.Sub(p.wrote) >= pageEvery {
		p.page(now)
	}
}
