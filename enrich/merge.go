package enrich

import "github.com/sshnotify/sshnotify/internal/event"

// merge makes one of several providers' facts, which are in the settings'
// order. The highest known risk wins; where none is known, the first that was
// asked says why. The first network and the first place win, and a later
// provider only adds to them what does not contradict.
func merge(all []event.Facts) event.Facts {
	var out event.Facts
	for _, f := range all {
		out.Risk = worse(out.Risk, f.Risk)
		out.Network = addNetwork(out.Network, f.Network)
		out.Place = addPlace(out.Place, f.Place)
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

// addNetwork fills in a name where both mean the same system.
func addNetwork(a, b event.Network) event.Network {
	switch {
	case a == event.Network{}:
		return b
	case a.ASN != 0 && a.ASN == b.ASN && a.Name == "" && a.Description == "":
		return b
	}
	return a
}

// addPlace fills in the city and region where both mean the same country: half
// of one place and half of another would be nowhere.
func addPlace(a, b event.Place) event.Place {
	switch {
	case a == event.Place{}:
		return b
	case a.Country != "" && a.Country == b.Country && a.City == "" && a.Region == "":
		return b
	}
	return a
}
