package publish

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// Publisher tells the world of attacks that have ended, as far as the settings
// want it; nil where they don't.
type Publisher struct {
	c         Settings
	published *Log
	place     func(netip.Addr) (network, country string, asn uint32)
	ours      func() Names
	log       *slog.Logger
	wrote     time.Time
	said      time.Time // when it was last said how many were not published
}

// pageEvery is how often the page is written anew without an attack, so that
// old ones go.
const pageEvery = 24 * time.Hour

// New returns a publisher that keeps what it published in the folder dir, or nil
// where the settings name no place to publish. place gives the network and country of
// an address, nil: nobody knows; ours gives the names that are never published, which it
// is asked for at each attack.
func New(c Settings, dir string, place func(netip.Addr) (network, country string, asn uint32), ours func() Names, log *slog.Logger) *Publisher {
	if !c.Enabled() {
		return nil
	}
	return &Publisher{c: c, place: place, ours: ours, log: log,
		published: NewLog(Options{Path: filepath.Join(dir, "published.json"), PerHour: c.PerHour, MinAttempts: c.MinAttempts, Names: c.Names})}
}

// Ended publishes an attack by an address, and returns the event for the
// destinations that others read. It never names a host or an account of ours.
func (p *Publisher) Ended(f attack.Finding) []event.Event {
	if f.By != attack.ByAddress || !f.IP.IsValid() {
		return nil
	}
	now := time.Now()
	e := Entry{IP: f.IP, Attempts: f.Attempts, First: f.First, Last: f.Last}
	if len(f.Services.Most) > 0 {
		e.Service = f.Services.Most[0].Name
	}
	if p.place != nil {
		e.Network, e.Country, e.ASN = p.place(f.IP)
	}
	if p.c.Names {
		ours := p.ours()
		for _, n := range f.Names.Most {
			if !ours.in(n.Name) {
				e.Names = append(e.Names, n.Name)
			}
		}
	}
	ok, why := p.published.Admit(now, e)
	if !ok {
		p.log.Debug("an attack is not published", "ip", f.IP, "why", why) // in a flood there are many
		return nil
	}
	p.page(now)
	if len(p.c.Destinations) == 0 {
		return nil
	}
	title, text := Text(e)
	return []event.Event{{
		ID: event.LoginID(event.Session{Boot: "published"}, f.Attack), Kind: event.KindAttack, Time: f.Time.UTC(), Via: event.ViaWatch,
		Remote: event.Remote{IP: f.IP},
		Attack: &event.Attack{Phase: event.PhaseEnded, Note: event.Note{Severity: event.Low, Title: title, Text: text, Only: p.c.Destinations, Public: true}},
	}}
}

// page writes the page and the feed.
func (p *Publisher) page(now time.Time) {
	if p.c.Dir == "" {
		return
	}
	p.wrote = now
	if err := Write(p.c.Dir, p.published.Entries(now), now); err != nil {
		p.log.Error("the page of attackers can't be written", "error", err)
	}
}

// SaySkipped logs what the limit of an hour has kept back.
func (p *Publisher) SaySkipped() {
	if n := p.published.Skipped(); n > 0 {
		p.log.Warn("attacks are not published, as many as wanted an hour were", "count", n, "per_hour", p.c.PerHour)
	}
}

// Age writes the page anew where nothing has been published for long.
func (p *Publisher) Age(now time.Time) {
	if now.Sub(p.said) >= time.Hour {
		p.said = now
		p.SaySkipped()
	}
	if now.Sub(p.wrote) >= pageEvery {
		p.page(now)
	}
}
