package attack

import (
	"cmp"
	"container/heap"
	"math/bits"
	"time"
)

// resize counts an entry's bytes anew.
func (g *Engine) resize(e *entry) {
	if e == nil || g.entries[e.key] != e {
		return
	}
	size := e.bytes()
	g.bytes += size - e.size
	e.size = size
}

func (g *Engine) remove(e *entry) {
	last := g.list[len(g.list)-1]
	g.list[e.index], last.index = last, e.index
	g.list[len(g.list)-1] = nil
	g.list = g.list[:len(g.list)-1]
	delete(g.entries, e.key)
	g.bytes -= e.size
	if e.key.by == ByAddress {
		*g.near.of(e.key.net.Addr())--
	}
}

// sampled is how many entries are looked at to find one to give up: among so many
// there is nearly always one of little worth, however many others there are.
const sampled = 24

// shrink gives up what is worth least until the limits are met. An attack among
// it is summed up, what was not told counts for a flood.
func (g *Engine) shrink(out []Finding) []Finding {
	for len(g.list) > g.o.MaxKeys || g.bytes > g.o.MaxBytes && len(g.list) > 1 {
		worst := g.worst()
		if g.flood.lose(worst, g.clock) {
			out = append(out, Finding{Kind: Flooding, Time: at(g.clock), First: at(g.clock), Last: at(g.clock)})
		}
		if worst.attack != nil {
			out = append(out, g.end(worst, worst.last, true))
		}
		g.remove(worst)
	}
	// Ends of attacks that were given up would keep them in memory.
	if len(g.ends) > 2*g.attacks+64 {
		g.ends = nil
		for _, e := range g.list {
			if e.attack != nil {
				heap.Push(&g.ends, endOf(e))
			}
		}
	}
	return out
}

// equals is how many of the same worth are looked at: with more of them, who is
// new would go before the next attempt.
const equals = 4

// worst finds an entry to give up. Of more attackers than there is room for, who
// take turns, the same must stay, to be told at last: if the oldest went, or any,
// none would. So those of the same worth are drawn lots for, once.
func (g *Engine) worst() *entry {
	var worst *entry
	least, lot, same := int64(0), uint64(0), 0
	for range sampled {
		e := g.list[g.next()%uint64(len(g.list))]
		w := e.worth()
		if worst != nil && (w > least || w == least && same == equals) {
			continue
		}
		l := mix(e.hash ^ uint64(w))
		switch {
		case worst == nil || w < least:
			worst, least, lot, same = e, w, l, 1
		default:
			same++
			if l < lot {
				worst, lot = e, l
			}
		}
	}
	return worst
}

// worth says what is kept rather: what was seen last, and what made many attempts.
// Each doubling of the attempts is worth four hours, so that those who make one
// each don't push out who makes many; an attack is worth six more. What came
// within the same ten minutes came at the same time.
func (e *entry) worth() int64 {
	const hour = int64(time.Hour / time.Millisecond)
	w := e.last - e.last%(hour/6) + int64(bits.Len(uint(e.total)))*4*hour
	if e.attack != nil {
		w += 6 * hour
	}
	if len(e.told) > 0 { // there are few of these, and the same login is told once
		w += 7 * 24 * hour
	}
	return w
}

// sweep looks at two entries for each result, so that what is too old goes
// without anybody asking for it.
func (g *Engine) sweep() {
	for range 2 {
		if len(g.list) == 0 {
			return
		}
		if g.hand >= len(g.list) {
			g.hand = 0
		}
		e := g.list[g.hand]
		if e.attack == nil && g.clock-e.last >= g.keep {
			g.remove(e)
			continue
		}
		g.hand++
	}
}

// next is xorshift64: chance that a replay repeats.
func (g *Engine) next() uint64 {
	g.random = shuffle(g.random)
	return g.random
}

func shuffle(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}

// due is when an attack ends if nothing comes.
type due struct {
	t, began int64
	e        *entry
}

func endOf(e *entry) due { return due{t: e.last + e.attack.within, began: e.attack.began, e: e} }

func (d due) compare(o due) int {
	return cmp.Or(cmp.Compare(d.t, o.t), cmp.Compare(d.began, o.began), cmp.Compare(d.e.key.by, o.e.key.by),
		cmp.Compare(d.e.key.String(), o.e.key.String()))
}

// ends is a heap.Interface, the next end on top. Each attack stands in it once, with
// an end that may have moved since.
type ends []due

func (h ends) Len() int           { return len(h) }
func (h ends) Less(i, j int) bool { return h[i].compare(h[j]) < 0 }
func (h ends) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *ends) Push(d any)        { *h = append(*h, d.(due)) }

func (h *ends) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = due{}
	*h = (*h)[:last]
	return d
}
