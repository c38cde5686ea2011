package digest

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Limits of what a digest tells of the failed logins of many hosts.
const (
	// maxFailures bounds what one host may count: it may lie.
	maxFailures = 1_000_000_000
	worstShown  = 5
	worstOfHost = 2 // of those
	namesShown  = 8
)

// HostFailures is what a host counted of its failed logins.
type HostFailures struct {
	Host string
	*event.Failures
}

// Failures adds up what hosts counted, each once. How many addresses and names there
// were in all nobody knows: it is as many as the host counted that had most.
func Failures(all []HostFailures) *event.Failures {
	sum := new(event.Failures)
	hosts, names, networks, countries := tally{}, tally{}, tally{}, tally{}
	all = slices.SortedStableFunc(slices.Values(all), func(a, b HostFailures) int {
		return cmp.Or(cmp.Compare(b.Attempts, a.Attempts), cmp.Compare(a.Host, b.Host))
	})
	for _, f := range all {
		n := min(f.Attempts, maxFailures)
		sum.Attempts += n
		sum.Addresses, sum.Accounts = max(sum.Addresses, min(f.Addresses, n)), max(sum.Accounts, min(f.Accounts, n))
		sum.NewAddresses = max(sum.NewAddresses, min(f.NewAddresses, n))
		hosts.add(f.Host, n)
		names.all(f.Names, n)
		networks.all(f.Networks, n)
		countries.all(f.Countries, n)
		worst := slices.Clone(f.Worst[:min(len(f.Worst), worstOfHost)])
		for i := range worst {
			worst[i].Host, worst[i].Hosts, worst[i].Count = f.Host, nil, min(worst[i].Count, n)
		}
		sum.Worst = append(sum.Worst, worst...)
		sum.NewNames, sum.NewNetworks = oneMore(sum.NewNames, f.NewNames), oneMore(sum.NewNetworks, f.NewNetworks)
	}
	slices.SortStableFunc(sum.Worst, func(a, b event.Row) int { return cmp.Compare(b.Count, a.Count) })
	sum.Worst = sum.Worst[:min(len(sum.Worst), worstShown)]
	sum.Hosts, sum.Names, sum.Networks, sum.Countries = hosts.most(), names.most(), networks.most(), countries.most()
	return sum
}

// oneMore adds the first of more that is not in a list yet: each host has one.
func oneMore(list, more []string) []string {
	for _, s := range more {
		if len(list) < namesShown && !slices.Contains(list, s) {
			return append(list, s)
		}
	}
	return list
}

// tally counts by name; what has none is under the empty one.
type tally map[string]int

func (t tally) add(name string, n int) { t[name] += n }

func (t tally) all(of event.Tally, most int) {
	t.add("", min(of.Rest, most))
	for _, c := range of.Most {
		t.add(c.Name, min(c.N, most))
	}
}

func (t tally) most() (out event.Tally) {
	for _, name := range slices.SortedFunc(maps.Keys(t), func(a, b string) int { return cmp.Or(cmp.Compare(t[b], t[a]), cmp.Compare(a, b)) }) {
		switch {
		case t[name] == 0:
		case name == "" || len(out.Most) == namesShown:
			out.Rest += t[name]
		default:
			out.Most = append(out.Most, event.Count{Name: name, N: t[name]})
		}
	}
	return out
}
