package netlist

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// table is a set of addresses, as sorted ranges that do not touch. It is not
// changed once it is made: a million ranges of IPv4 are 8 MB without a pointer
// in them, and found in 20 steps. (netipx.IPSet is as fast to search, but takes
// three times as much memory, and seven times while it is made.)
type table struct {
	v4 []span[uint32]
	v6 []span[wide]
}

// span is a range, both ends included.
type span[T any] struct{ lo, hi T }

// wide is an IPv6 address.
type wide struct{ hi, lo uint64 }

func number(ip netip.Addr) uint32 {
	b := ip.As4()
	return binary.BigEndian.Uint32(b[:])
}

func wideNumber(ip netip.Addr) wide {
	b := ip.As16()
	return wide{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func compareWide(a, b wide) int {
	if c := cmp.Compare(a.hi, b.hi); c != 0 {
		return c
	}
	return cmp.Compare(a.lo, b.lo)
}

// add takes a range of one family; seal must follow.
func (t *table) add(lo, hi netip.Addr) {
	if lo.Is4() {
		t.v4 = append(t.v4, span[uint32]{number(lo), number(hi)})
	} else {
		t.v6 = append(t.v6, span[wide]{wideNumber(lo), wideNumber(hi)})
	}
}

// seal makes a table of what was added.
func (t *table) seal() {
	t.v4 = join(t.v4, cmp.Compare[uint32], func(n uint32) uint32 { return n + 1 })
	t.v6 = join(t.v6, compareWide, func(n wide) wide {
		if n.lo++; n.lo == 0 {
			n.hi++
		}
		return n
	})
}

// join sorts ranges and makes one of those that overlap or touch.
func join[T comparable](spans []span[T], compare func(T, T) int, next func(T) T) []span[T] {
	slices.SortFunc(spans, func(a, b span[T]) int { return compare(a.lo, b.lo) })
	out := spans[:0]
	var zero T
	for _, s := range spans {
		if n := len(out); n > 0 {
			last := &out[n-1]
			// After the highest address comes zero, which no range begins beyond.
			if after := next(last.hi); after == zero || compare(s.lo, after) <= 0 {
				if compare(s.hi, last.hi) > 0 {
					last.hi = s.hi
				}
				continue
			}
		}
		out = append(out, s)
	}
	return slices.Clip(out)
}

// contains reports whether a valid, unmapped address is in the set.
func (t *table) contains(ip netip.Addr) bool {
	if ip.Is4() {
		return find(t.v4, number(ip), cmp.Compare[uint32])
	}
	return find(t.v6, wideNumber(ip), compareWide)
}

func find[T any](spans []span[T], x T, compare func(T, T) int) bool {
	i, exact := slices.BinarySearchFunc(spans, x, func(s span[T], x T) int { return compare(s.lo, x) })
	return exact || i > 0 && compare(x, spans[i-1].hi) <= 0
}
