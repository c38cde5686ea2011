package attack

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"unicode/utf8"
)

// snapshotVersion is the v of what Snapshot writes.
const snapshotVersion = 1

// The documents of a snapshot: a head, then the entries one after the other, then
// the attackers. Times are milliseconds since 1970.
type (
	headDoc struct {
		V       int    `json:"v"`
		Clock   int64  `json:"clock"`
		Random  uint64 `json:"random"`
		Known   uint64 `json:"known_random"`
		Hand    int    `json:"hand"`
		Entries int    `json:"entries"`
		Others  int    `json:"attackers"`
		// What was given up; none: nothing.
		Flood *floodDoc `json:"flood,omitempty"`
	}
	entryDoc struct {
		By     By          `json:"by"`
		Net    string      `json:"net,omitempty"`
		User   string      `json:"user,omitempty"`
		First  int64       `json:"first"`
		Last   int64       `json:"last"`
		Total  int         `json:"total"`
		Muted  int64       `json:"muted,omitempty"`
		IP     netip.Addr  `json:"ip,omitzero"`
		Groups []groupDoc  `json:"groups"`
		Over   bool        `json:"over,omitempty"`
		Tally  [4]tallyDoc `json:"tallies"`
		Told   [][2]uint64 `json:"told,omitempty"`
		Attack *attackDoc  `json:"attack,omitempty"`
	}
	groupDoc struct {
		Services []string    `json:"services,omitempty"`
		Items    [][4]uint64 `json:"items,omitempty"` // time, number, hash, refused keys among the number
		Seen     [][2]uint64 `json:"seen,omitempty"`  // hash, time
	}
	tallyDoc struct {
		List []Count `json:"list,omitempty"`
		Rest int     `json:"rest,omitempty"`
	}
	attackDoc struct {
		Detector string `json:"detector"`
		Within   int64  `json:"within"`
		Began    int64  `json:"began"`
		First    int64  `json:"first"`
		Attempts int    `json:"attempts"`
	}
)

// Snapshot writes all that the engine knows, for Restore. It writes JSON
// documents, a line each, so that it needs no memory for the whole.
func (g *Engine) Snapshot(w io.Writer) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	err := enc.Encode(headDoc{V: snapshotVersion, Clock: g.clock, Random: g.random, Known: g.known.random,
		Hand: g.hand, Entries: len(g.list), Others: len(g.known.list), Flood: g.flood.document()})
	for _, e := range g.list {
		if err != nil {
			return err
		}
		err = enc.Encode(g.document(e))
	}
	for _, a := range g.known.list {
		if err != nil {
			return err
		}
		err = enc.Encode(a)
	}
	return errors.Join(err, b.Flush())
}

func (g *Engine) document(e *entry) entryDoc {
	d := entryDoc{By: e.key.by, User: e.key.user, First: e.first, Last: e.last, Total: e.total, Muted: e.muted, IP: e.ip, Over: e.over}
	if e.key.net.IsValid() {
		d.Net = e.key.net.String()
	}
	for i := range e.groups {
		doc := groupDoc{Services: g.groups[e.key.by][i].services}
		for _, it := range e.groups[i].items {
			doc.Items = append(doc.Items, [4]uint64{uint64(it.t), uint64(it.n), it.who, uint64(it.refused)})
		}
		for _, m := range e.groups[i].seen {
			doc.Seen = append(doc.Seen, [2]uint64{m.who, uint64(m.t)})
		}
		d.Groups = append(d.Groups, doc)
	}
	for i, t := range e.tallies() {
		d.Tally[i] = tallyDoc{List: t.list, Rest: t.rest}
	}
	for _, m := range e.told {
		d.Told = append(d.Told, [2]uint64{m.who, uint64(m.t)})
	}
	if a := e.attack; a != nil {
		d.Attack = &attackDoc{Detector: a.detector, Within: a.within, Began: a.began, First: a.first, Attempts: a.attempts}
	}
	return d
}

func (e *entry) tallies() [4]*tally {
	return [4]*tally{&e.names, &e.addresses, &e.services, &e.hosts}
}

// Restore makes an engine that goes on where Snapshot was called. The detectors
// may be others than then: an attack goes on with the window of its own; what no
// detector counts any more is dropped. Anything that Snapshot can't have written
// is an error.
func Restore(r io.Reader, o Options) (*Engine, error) {
	g, err := New(o)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	var head headDoc
	if err := d.Decode(&head); err != nil {
		return nil, fmt.Errorf("head: %w", err)
	}
	if head.V != snapshotVersion {
		return nil, fmt.Errorf("version %d is not known", head.V)
	}
	if !isTime(head.Clock) || head.Random == 0 || head.Hand < 0 || head.Entries < 0 || head.Others < 0 {
		return nil, errors.New("head: a number is out of range")
	}
	g.clock, g.random, g.hand, g.known.random = head.Clock, head.Random, head.Hand, head.Known
	if head.Flood != nil {
		if g.flood, err = head.Flood.restore(); err != nil {
			return nil, fmt.Errorf("head: %w", err)
		}
	}
	for i := range head.Entries {
		var doc entryDoc
		if err := d.Decode(&doc); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if err := g.restore(doc); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
	}
	for _, e := range g.list {
		if e.attack == nil && e.key.by == ByUser && e.unknown(0, e.last) > 0 {
			g.settle(e)
		}
	}
	slices.SortStableFunc(g.settles, func(a, b settle) int { return cmp.Compare(a.t, b.t) })
	for i := range head.Others {
		var a Attacker
		if err := d.Decode(&a); err != nil {
			return nil, fmt.Errorf("attacker %d: %w", i, err)
		}
		if err := a.check(); err != nil {
			return nil, err
		}
		if _, twice := g.known.places[a.Network]; twice {
			return nil, fmt.Errorf("%s stands there twice", a.Network)
		}
		a.First, a.Last = a.First.UTC(), a.Last.UTC()
		*g.known.of(a.Network, a.Last.UnixMilli(), g.o.MaxKnown) = a
		g.known.random = head.Known
	}
	if g.known.places != nil && g.known.random == 0 {
		return nil, errors.New("head: a number is out of range")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errTrailing
	}
	return g, nil
}

var errRange = errors.New("a number or time is out of range")

// restore puts one entry back.
func (g *Engine) restore(d entryDoc) error {
	e := &entry{key: key{by: d.By, user: d.User}, first: d.First, last: d.Last, total: d.Total, muted: d.Muted, ip: d.IP, over: d.Over}
	if err := e.key.restore(d.Net); err != nil {
		return err
	}
	e.hash = e.key.hash()
	if !isTime(d.First) || !isTime(d.Last) || !isTime(d.Muted) || d.First > d.Last || d.Total < 0 || d.Total > maxAttempts ||
		d.IP.Zone() != "" || d.IP.Is4In6() {
		return errRange
	}
	if g.entries[e.key] != nil {
		return fmt.Errorf("%s stands there twice", e.key)
	}
	groups := g.groups[d.By]
	e.groups = make([]attempts, len(groups))
	for _, doc := range d.Groups {
		a, err := doc.restore()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(groups, func(x group) bool { return slices.Equal(x.services, doc.Services) })
		if i < 0 {
			continue
		}
		a.items = a.items[max(0, len(a.items)-groups[i].items):]
		a.seen = a.seen[:min(len(a.seen), groups[i].distinct)]
		e.groups[i] = a
	}
	for i, t := range e.tallies() {
		doc := d.Tally[i]
		if len(doc.List) > namesDuring || doc.Rest < 0 || doc.Rest > maxAttempts {
			return errRange
		}
		for _, c := range doc.List {
			if c.N < 1 || c.N > maxAttempts || c.Name == "" || cut(c.Name) != c.Name || !utf8.ValidString(c.Name) {
				return errRange
			}
		}
		*t = tally{list: doc.List, rest: doc.Rest}
	}
	if len(d.Told) > toldKept {
		return errRange
	}
	for _, m := range d.Told {
		if m[0] == 0 || !isTime(int64(m[1])) {
			return errRange
		}
		e.told = append(e.told, mark{m[0], int64(m[1])})
	}
	if a := d.Attack; a != nil {
		if (Detector{Name: a.Detector, Count: 1, Within: maxWithin, By: d.By}).check() != nil || a.Within < 1000 || a.Within > maxWithin.Milliseconds() ||
			!isTime(a.Began) || !isTime(a.First) || a.First > a.Began || a.Began > d.Last || a.Attempts < 1 || a.Attempts > maxAttempts {
			return errRange
		}
		e.attack = &ongoing{detector: a.Detector, within: a.Within, began: a.Began, first: a.First, attempts: a.Attempts}
	}
	if groups == nil {
		return nil // nothing counts by networks any more
	}
	g.put(e)
	if e.attack != nil {
		heap.Push(&g.ends, endOf(e))
		g.attacks++
	}
	g.resize(e)
	return nil
}

// restore reads what an entry is of.
func (k *key) restore(net string) error {
	switch k.by {
	case ByUser:
		if k.user == "" || net != "" || cut(k.user) != k.user || !utf8.ValidString(k.user) {
			return fmt.Errorf("%q is no account", k.user)
		}
	case ByAddress, ByNetwork:
		p, err := netip.ParsePrefix(net)
		if err != nil {
			return err
		}
		if k.user != "" || p.Addr().Is4In6() || site(p.Addr(), k.by) != p || p.String() != net {
			return fmt.Errorf("%q is not what is counted by %s", net, k.by)
		}
		k.net = p
	default:
		return fmt.Errorf("%q is not what is counted by", k.by)
	}
	return nil
}

func (d groupDoc) restore() (attempts, error) {
	var a attempts
	if len(d.Items) > maxCount || len(d.Seen) > maxDistinct {
		return a, errRange
	}
	for i, it := range d.Items {
		if !isTime(int64(it[0])) || it[1] < 1 || it[1] > maxAttempts || it[3] > it[1] || i > 0 && it[0] < d.Items[i-1][0] {
			return a, errRange
		}
		a.items = append(a.items, item{int64(it[0]), clip(int(it[1])), clip(int(it[3])), it[2]})
	}
	for i, m := range d.Seen {
		if m[0] == 0 || !isTime(int64(m[1])) || i > 0 && m[1] > d.Seen[i-1][1] {
			return a, errRange
		}
		a.seen = append(a.seen, mark{m[0], int64(m[1])})
	}
	return a, nil
}

func isTime(ms int64) bool { return ms >= 0 && ms <= maxTime }
