package config

import (
	"fmt"
	"slices"
	"strings"
)

// Publish says where attacks are told to everybody.
type Publish struct {
	Destinations []string // names of destinations, which get nothing else
	Dir          string   // absolute: the folder of index.html and feed.json; empty: none
	Names        bool     // the names that were tried are told too
	PerHour      int      // attacks, at most
	MinAttempts  int      // of an attack
}

// The most that publish takes. With 200 an hour, those of a day are fewer than
// what internal/publish remembers.
const (
	maxPerHour     = 200
	maxMinAttempts = 1_000_000
)

// Enabled reports whether anything is published.
func (p Publish) Enabled() bool { return len(p.Destinations) > 0 || p.Dir != "" }

// AlertDestinations gives the destinations that alerts go to: all but those
// that [publish] names. None: alerts go to the system log.
func (c Config) AlertDestinations() []Destination {
	return slices.DeleteFunc(slices.Clone(c.Destinations), func(d Destination) bool { return slices.Contains(c.Publish.Destinations, d.Name) })
}

// alertsGoToLog reports whether none of the destinations is left for alerts.
func (c *Config) alertsGoToLog(declared []string) bool {
	return !slices.ContainsFunc(declared, func(name string) bool { return !slices.Contains(c.Publish.Destinations, name) })
}

func (l *loader) publish(top *table, c *Config) {
	t := top.sub("publish")
	if t == nil {
		return
	}
	p := &c.Publish
	p.Destinations = t.named("destination", "the name of a destination", "destinations", declared(top.at, "destination"))
	t.path("file", &p.Dir)
	t.boolean("names", &p.Names)
	t.integer("per_hour", &p.PerHour, 1, maxPerHour)
	t.integer("min_attempts", &p.MinAttempts, 1, maxMinAttempts)
	if t.at.child("destination") == nil && t.at.child("file") == nil {
		t.fail(t.at, `destination = ["…"] or file = "/…"`, "nothing is published: it says not where")
	}
	t.done()
}

func (p Publish) summary() []string {
	if !p.Enabled() {
		return nil
	}
	to := slices.Clone(p.Destinations)
	if p.Dir != "" {
		to = append(to, p.Dir)
	}
	names := "without names"
	if p.Names {
		names = "with the names tried"
	}
	return []string{fmt.Sprintf("published: attacks of %d attempts and more, %s, at most %d an hour, to %s", p.MinAttempts, names, p.PerHour, strings.Join(to, ", "))}
}
