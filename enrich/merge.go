package enrich

import (
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// merge makes one of several providers' facts, which are in the settings'
// order. The highest known risk wins; where none is known, the first that was
// asked says why. The first network and the first place win, and a later
// provider only adds to them what does not contradict. What anybody says of an
// address's sort holds, by the first who says so.
func merge(all []event.Facts) event.Facts {
	var out event.Facts
	for _, f := range all {
		out.Risk = worse(out.Risk, f.Risk)
		out.Network = addNetwork(out.Network, f.Network)
		out.Place = addPlace(out.Place, f.Place)
		addTraits(&out.Traits, f.Traits)
	}
	return out
}

func worse(a, b *event.Risk) *event.Risk {
	switch {
	case b == nil:
		return a
	case a == nil, b.Known && !a.Known, b.Known && b.Score > a.Score:
		return b
	}
	return a
}

// addNetwork fills in a name where both mean the same system. A name without a
// number gives way to a number: by it the network is known again.
func addNetwork(a, b event.Network) event.Network {
	switch {
	case a.ASN == 0 && (b.ASN != 0 || a.Name == "" && a.Description == ""):
		return b
	case a.ASN != 0 && a.ASN == b.ASN && a.Name == "" && a.Description == "":
		return b
	}
	return a
}

// addPlace fills in the city and region where both mean the same country, and
// the point where both mean the same city: half of one place and half of another
// would be nowhere.
func addPlace(a, b event.Place) event.Place {
	switch {
	case a.City == "" && a.Region == "" && a.Country == "" && a.Point == nil:
		return b
	case a.Country == "" || a.Country != b.Country:
		return a
	case a.City == "" && a.Region == "" && (b.City != "" || b.Region != "" || a.Point == nil):
		return b
	case a.Point == nil && a.City != "" && strings.EqualFold(a.City, b.City):
		a.Point = b.Point
	}
	return a
}

func addTraits(a *event.Traits, b event.Traits) {
	for _, pair := range [][2]*string{{&a.Tor, &b.Tor}, {&a.VPN, &b.VPN}, {&a.Proxy, &b.Proxy}, {&a.Hosting, &b.Hosting}, {&a.Mobile, &b.Mobile}} {
		if *pair[0] == "" {
			*pair[0] = *pair[1]
		}
	}
	for _, l := range b.Lists {
		if !slices.Contains(a.Lists, l) {
			a.Lists = append(a.Lists, l)
		}
	}
}

// The rest puts together what several requests to one service gave, which are
// about one address and do not contradict each other.

func fillNetwork(a *event.Network, b event.Network) {
	if a.ASN == 0 {
		a.ASN = b.ASN
	}
	if a.Name == "" {
		a.Name = b.Name
	}
	if a.Description == "" {
		a.Description = b.Description
	}
}

func fillPlace(a *event.Place, b event.Place) {
	for _, pair := range [][2]*string{{&a.City, &b.City}, {&a.Region, &b.Region}, {&a.Country, &b.Country}} {
		if *pair[0] == "" {
			*pair[0] = *pair[1]
		}
	}
	if a.Point == nil && b.Point != nil {
		point := *b.Point
		a.Point = &point
	}
}

func fillTraits(a *event.Traits, b event.Traits, source string) {
	for _, s := range []*string{&b.Tor, &b.VPN, &b.Proxy, &b.Hosting, &b.Mobile} {
		if *s != "" {
			*s = source
		}
	}
	addTraits(a, b)
}
