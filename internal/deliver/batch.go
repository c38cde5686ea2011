package deliver

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
)

const (
	// maxAlone is how many different logins of lower severity go as messages of
	// their own: at one a second the last is told ten seconds late. More become
	// a digest.
	maxAlone = 10
	// maxHighAlone is the same for high ones, which lose more in a digest.
	maxHighAlone = 20
	// digestRows is how many lines a digest has at most: 3,800 characters of
	// Slack's 4,000 allow each 95, enough for a name, a count and an address.
	digestRows = 40
	// rowIPs is how many addresses a line names.
	rowIPs = 3
)

// group is the new events of one group key.
type group struct {
	items    []*item
	severity event.Severity
	first    time.Time
	free     bool          // it must not be held
	held     time.Duration // how long the key's group is still open; 0: it is not
}

// groupKey is what repeats have in common: who, from where, with which key.
// What is odd about an event sets it apart.
func groupKey(e event.Event) string {
	if e.Kind == event.KindAlert {
		return strings.Join([]string{string(e.Kind), e.Alert.Title, e.Alert.Text}, "\x00")
	}
	if e.Kind == event.KindDigest {
		return strings.Join([]string{string(e.Kind), string(e.Digest.Of)}, "\x00")
	}
	if e.Kind == event.KindWitness && e.Witness.Crowd {
		return strings.Join([]string{string(e.Kind), e.Service}, "\x00")
	}
	service := e.Service
	if e.Kind == event.KindMatch {
		service = e.Match.Pattern
	}
	parts := []string{string(e.Kind), service, e.By(), e.User, addrString(e.Remote.IP), e.Auth().Fingerprint}
	for _, f := range e.Flags {
		parts = append(parts, string(f))
	}
	return strings.Join(parts, "\x00")
}

// groups sorts the new events by group key, the oldest first.
func (o *destQueue) groups(now time.Time, window time.Duration) []*group {
	byKey := make(map[string]*group)
	var all []*group
	for _, it := range o.fresh {
		if it.held(o.name) {
			continue
		}
		k := groupKey(it.e)
		if window == 0 {
			k = it.e.ID
		}
		c := byKey[k]
		if c == nil {
			c = &group{first: it.e.Time}
			if g, ok := o.windows[k]; ok {
				c.held = max(0, g.at.Add(window).Sub(now))
			}
			byKey[k] = c
			all = append(all, c)
		}
		c.items = append(c.items, it)
		c.severity = max(c.severity, it.verdict.Severity)
		if it.e.Time.Before(c.first) {
			c.first = it.e.Time
		}
		if g := o.windows[k]; it.verdict.Severity > g.severity || it.rushed {
			c.free = true // worse than what was told: not a mere repeat
		}
		if c.free {
			c.held = 0
		}
	}
	slices.SortStableFunc(all, func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.severity, a.severity), a.first.Compare(b.first))
	})
	return all
}

// nextBatch makes the next message of the events that are in none, or says how long
// until one is due. It changes nothing: commit does.
func (o *destQueue) nextBatch(now time.Time, window time.Duration) (*message, time.Duration) {
	if len(o.fresh) == 0 {
		return nil, forever
	}
	if o.Dest.Pace() == 0 { // a log, not a person: everything by itself, in order
		for _, it := range o.fresh {
			if !it.held(o.name) {
				return single(o.name, it), 0
			}
		}
		return nil, forever
	}
	var high, rest, held []*group
	wait := forever
	for _, c := range o.groups(now, window) {
		switch {
		case c.held > 0:
			held = append(held, c)
			wait = min(wait, c.held)
		case c.severity >= event.High:
			high = append(high, c)
		default:
			rest = append(rest, c)
		}
	}
	switch {
	case len(high) > maxHighAlone:
		return digest(o.name, high), 0
	case len(high) > 0:
		return alike(o.name, high[0], held), 0
	case len(rest) > maxAlone:
		return digest(o.name, append(rest, held...)), 0
	case len(rest) > 0:
		return alike(o.name, rest[0], held), 0
	}
	return nil, wait
}

// row is a line of a digest, being made.
type row struct {
	event.Row
	items []*item
	seen  map[netip.Addr]bool
}

// rows sorts events into lines, the worst first, then those with the most
// events.
func rows(items []*item) []*row {
	type rowKey struct {
		kind       event.Kind
		user, host string
	}
	byKey := make(map[rowKey]*row)
	var all []*row
	for _, it := range items {
		k := rowKey{it.e.Kind, it.e.User, it.e.Host}
		if title, text := wording.Note(it.e, nil); title != "" || text != "" {
			k.user = cmp.Or(title, text)
		}
		r := byKey[k]
		if r == nil {
			r = &row{Row: event.Row{User: k.user, Host: k.host, Kind: k.kind}, seen: make(map[netip.Addr]bool)}
			byKey[k] = r
			all = append(all, r)
		}
		r.items = append(r.items, it)
		r.Count++
		if it.verdict.Severity > r.Severity || r.Reason == "" && it.verdict.Severity == r.Severity && len(it.verdict.Reasons) > 0 {
			r.Severity, r.Reason = it.verdict.Severity, ""
			if len(it.verdict.Reasons) > 0 {
				r.Reason = it.verdict.Reasons[0]
			}
		}
		if ip := it.e.Remote.IP; ip.IsValid() && !r.seen[ip] {
			r.seen[ip] = true
			if len(r.IPs) < rowIPs {
				r.IPs = append(r.IPs, ip)
			} else {
				r.MoreIPs++
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *row) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.Count, a.Count))
	})
	return all
}

func publicRows(items []*item) []event.Row {
	var out []event.Row
	for _, r := range rows(items) {
		out = append(out, r.Row)
	}
	return out
}

// digest makes a message of as many groups as its lines can name.
func digest(dest string, groups []*group) *message {
	var items []*item
	for _, c := range groups {
		items = append(items, c.items...)
	}
	all := rows(items)
	m := &message{V: event.Version, ID: event.NewID(), Dest: dest, Digest: true}
	for _, r := range all[:min(len(all), digestRows)] {
		for _, it := range r.items {
			m.show(it)
		}
	}
	return m
}

// alike makes a message of one group, and counts along what is held.
func alike(dest string, c *group, held []*group) *message {
	if len(c.items) == 1 && len(held) == 0 {
		return single(dest, c.items[0])
	}
	m := &message{V: event.Version, ID: event.NewID(), Dest: dest}
	for _, it := range c.items {
		m.show(it)
	}
	for _, h := range held {
		for _, it := range h.items {
			m.count(it)
		}
	}
	return m
}
