package main

import (
	"fmt"
	"net/netip"
	"slices"
)

// record is what is known of a range; an empty one is not written.
type record struct {
	asn     uint32
	name    string // of the autonomous system
	country string // ISO 3166-1 alpha-2
}

// add fills in what r does not have.
func (r record) add(o record) record {
	if r.asn == 0 {
		r.asn, r.name = o.asn, o.name
	}
	if r.country == "" {
		r.country = o.country
	}
	return r
}

// span is a range of addresses of one family, both ends included.
type span struct {
	lo, hi netip.Addr
	record
}

// tidy sorts spans and makes them disjoint: where two overlap, the one that
// begins later has what both cover. One within another, which the sources do
// not have, is an error.
func tidy(spans []span) ([]span, error) {
	slices.SortFunc(spans, func(a, b span) int { return a.lo.Compare(b.lo) })
	for i := 1; i < len(spans); i++ {
		before, s := &spans[i-1], spans[i]
		if before.hi.Less(s.lo) {
			continue
		}
		if before.lo == s.lo || s.hi.Less(before.hi) {
			return nil, fmt.Errorf("%v-%v is within %v-%v, or the other way round", s.lo, s.hi, before.lo, before.hi)
		}
		before.hi = s.lo.Prev()
	}
	return spans, nil
}

// overlay joins what a and b, each sorted and disjoint, know of each address;
// a's word goes first. Neighbours that are alike become one.
func overlay(a, b []span) []span {
	var out []span
	put := func(s span) {
		n := len(out)
		if n > 0 && out[n-1].record == s.record && out[n-1].hi.Next() == s.lo {
			out[n-1].hi = s.hi
			return
		}
		out = append(out, s)
	}
	// take moves the first span up to before hi, which is in it, out of a list.
	take := func(list []span, hi netip.Addr) ([]span, span) {
		s := list[0]
		if s.hi == hi {
			return list[1:], s
		}
		list[0].lo = hi.Next()
		s.hi = hi
		return list, s
	}
	a, b = slices.Clone(a), slices.Clone(b)
	var x, y span
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].hi.Less(b[0].lo):
			a, x = take(a, a[0].hi)
		case b[0].hi.Less(a[0].lo):
			b, x = take(b, b[0].hi)
		case a[0].lo.Less(b[0].lo):
			a, x = take(a, b[0].lo.Prev())
		case b[0].lo.Less(a[0].lo):
			b, x = take(b, a[0].lo.Prev())
		default: // they begin together
			end := a[0].hi
			if b[0].hi.Less(end) {
				end = b[0].hi
			}
			a, x = take(a, end)
			b, y = take(b, end)
			x.record = x.record.add(y.record)
		}
		put(x)
	}
	for _, s := range append(a, b...) {
		put(s)
	}
	return out
}

// without leaves out the spans that lie in one of the prefixes.
func without(spans []span, prefixes ...netip.Prefix) []span {
	return slices.DeleteFunc(spans, func(s span) bool {
		return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(s.lo) && p.Contains(s.hi) })
	})
}
