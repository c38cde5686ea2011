package attack

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// By is what attempts are counted by.
type By string

// What attempts may be counted by.
const (
	ByAddress By = "address" // an IPv4 address, or the /64 of an IPv6 one
	ByNetwork By = "network" // an IPv4 /24, or an IPv6 /48
	ByUser    By = "user"    // an account, wherever the attempts come from; not one that sshd says is not there
)

// Detector says how many attempts make an attack.
type Detector struct {
	Name   string        `toml:"name,required,unique=detector"` // [a-z0-9-]
	Count  int           `toml:"count,required" check:"min=1,max=1000"`
	Within time.Duration `toml:"within,required" check:"min=1s,max=31d"` // an attempt this much older does not count any more
	By     By            `toml:"by" check:"oneof=address user network"`
	// Services are the services whose attempts count; none: all.
	Services []string `toml:"services,one" check:"line=128"`
	// Distinct is how many different accounts (by address and network) or
	// addresses (by user) there must be, up to 64; 0: no matter.
	Distinct int `toml:"distinct" check:"min=0,max=64"`
}

// Defaults are the detectors that need no settings: by an address five attempts in
// fifteen minutes, or twenty in a day; against one account five in ten minutes or
// twenty in a day, from several addresses; and sudo and su, whose attempts come
// from none.
func Defaults() []Detector {
	return []Detector{
		{Name: "fast", Count: 5, Within: 15 * time.Minute, By: ByAddress},
		{Name: "slow", Count: 20, Within: 24 * time.Hour, By: ByAddress},
		{Name: "user", Count: 5, Within: 10 * time.Minute, By: ByUser, Distinct: 3},
		{Name: "user-slow", Count: 20, Within: 24 * time.Hour, By: ByUser, Distinct: 5},
		{Name: "local", Count: 5, Within: 10 * time.Minute, By: ByUser, Services: []string{"sudo", "su"}},
	}
}

const (
	maxCount    = 1000
	maxWithin   = 31 * 24 * time.Hour
	maxDistinct = 64
)

func (d Detector) check() error {
	switch {
	case d.Name == "" || strings.Trim(d.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "":
		return fmt.Errorf("detector %q: a name has letters from a to z, digits and -", d.Name)
	case d.Count < 1 || d.Count > maxCount:
		return fmt.Errorf("detector %s: count is 1 to %d", d.Name, maxCount)
	case d.Within < time.Second || d.Within > maxWithin:
		return fmt.Errorf("detector %s: within is 1 second to 31 days", d.Name)
	case d.Distinct < 0 || d.Distinct > maxDistinct:
		return fmt.Errorf("detector %s: distinct is 0 to %d", d.Name, maxDistinct)
	case d.By != ByAddress && d.By != ByNetwork && d.By != ByUser:
		return fmt.Errorf("detector %s: by is address, network or user, not %q", d.Name, d.By)
	}
	return nil
}

// group is what detectors of the same By and the same services share: the times
// of the last attempts.
type group struct {
	services  []string // sorted; none: all
	detectors []Detector
	items     int // attempts that have to be kept
	distinct  int
}

func (g *group) counts(service string) bool {
	return len(g.services) == 0 || slices.Contains(g.services, service)
}

// groupDetectors makes the groups of one By. The first is always that of all
// services: a login is judged by it.
func groupDetectors(ds []Detector, by By) []group {
	groups := []group{{items: judged}}
	for _, d := range ds {
		if d.By != by {
			continue
		}
		services := slices.Compact(slices.Sorted(slices.Values(d.Services)))
		i := slices.IndexFunc(groups, func(g group) bool { return slices.Equal(g.services, services) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{services: services})
		}
		g := &groups[i]
		g.detectors = append(g.detectors, d)
		g.items = max(g.items, d.Count)
		if d.Distinct > 0 {
			// Some more, because a login may take some away.
			g.distinct = max(g.distinct, min(d.Distinct+8, maxDistinct))
		}
	}
	return groups
}

// site is the network that attempts from an address are counted for.
func site(ip netip.Addr, by By) netip.Prefix {
	bits := 32
	switch {
	case by == ByAddress && ip.Is6():
		bits = 64
	case by == ByNetwork && ip.Is4():
		bits = 24
	case by == ByNetwork:
		bits = 48
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
