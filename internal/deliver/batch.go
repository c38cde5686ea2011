package deliver

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	wording "github.com/sshnotify/sshnotify/internal/message"
)

const (
	// maxAlone is how many different logins of lower severity go as messages of
	// their own: at one a second the last is told ten seconds late. More become
	// a digest.
	maxAlone = 10
	// maxHighAlone is the same for high ones, which lose more in a digest.
	maxHighAlone = 20
	// hostShare is how many messages of its own a host that hands over has in hostSpan
	// before all others: what it has beyond comes behind theirs, however severe it is,
	// since each may lie.
	hostShare = maxHighAlone
	hostSpan  = 10 * time.Minute
	// digestRows is how many lines a digest has at most: 3,800 characters of
	// Slack's 4,000 allow each 95, enough for a name, a count and an address.
	digestRows = 40
	// rowIPs is how many addresses a line names, and rowHosts how many hosts.
	rowIPs   = 3
	rowHosts = 3
)

// group is the new events of one group key.
type group struct {
	items    []*item
	severity event.Severity
	first    time.Time
	held     time.Duration // how long until the first of them may go
	turn     int           // which of its host's messages it is
	round    int           // and how often the host has had its share before
}

// groupKey is what repeats have in common: who, from where, with which key. What is
// odd about an event sets it apart. from is the host that handed it over, empty for
// this one: at a hub the events of many hosts have a key in common, by the person,
// whose key the same is under other names, but for those of another environment.
func groupKey(from string, e event.Event) string {
	if from == "" {
		return keyOf(e, e.User)
	}
	who := e.User
	if e.Auth().Fingerprint != "" {
		who = ""
	}
	parts := []string{"fleet", e.Labels["env"], keyOf(e, who)}
	if e.Kind == event.KindDigest || e.Kind == event.KindWitness && e.Witness.Crowd {
		parts = append(parts, from)
	}
	return strings.Join(parts, "\x00")
}

func keyOf(e event.Event, user string) string {
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
	parts := []string{string(e.Kind), service, e.By(), user, addrString(e.Remote.IP), e.Auth().Fingerprint}
	if e.Kind == event.KindAttack && e.Attack != nil && e.Attack.Network.IsValid() {
		parts = append(parts, e.Attack.Network.String()) // it has no address
	}
	for _, f := range e.Flags {
		parts = append(parts, string(f))
	}
	return strings.Join(parts, "\x00")
}

// groups sorts the new events by group key, in the order of inTurns.
func (o *destQueue) groups(now time.Time, window time.Duration) []*group {
	byKey := make(map[string]*group)
	var all []*group
	for _, it := range o.fresh {
		if it.held(o.name) {
			continue
		}
		if !o.doc.Budget.roomFor(it.from, o.Dest.Traits().PerDay, o.day(now)) {
			o.over = true
			continue
		}
		k := groupKey(it.from, it.e)
		g := o.windows[k]
		if it.from != "" && it.verdict.Severity >= event.High {
			k += "\x00" + it.verdict.Severity.String() // does not go down in what is not
		}
		if window == 0 {
			k, g = it.e.ID, nil
		}
		held := max(0, g.until(it, now, window).Sub(now))
		if it.rushed {
			held = 0
		}
		c := byKey[k]
		if c == nil {
			c = &group{first: it.e.Time, held: held}
			byKey[k] = c
			all = append(all, c)
		}
		c.held = min(c.held, held)
		c.items = append(c.items, it)
		c.severity = max(c.severity, it.verdict.Severity)
		if it.e.Time.Before(c.first) {
			c.first = it.e.Time
		}
	}
	o.inTurns(all, now)
	return all
}

// inTurns puts groups in the order in which they are told: the worst first, among
// equals each host in its turn, and then the oldest. Behind all of them comes what
// hosts have beyond their share, in the same order.
func (o *destQueue) inTurns(all []*group, now time.Time) {
	if since := now.Sub(o.toldSince); since < 0 || since >= hostSpan {
		o.toldOf, o.toldSince = nil, now
	}
	slices.SortStableFunc(all, func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.severity, a.severity), a.first.Compare(b.first))
	})
	turn := map[string]int{}
	maps.Copy(turn, o.toldOf)
	for _, c := range all {
		// Whoever joins what others reported does not put it off.
		from := slices.MinFunc(c.items, func(a, b *item) int { return cmp.Compare(turn[a.from], turn[b.from]) }).from
		if c.turn = turn[from]; from != "" {
			c.round = c.turn / hostShare
		}
		turn[from]++
	}
	slices.SortStableFunc(all, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.round, b.round), cmp.Compare(b.severity, a.severity), cmp.Compare(a.turn, b.turn), a.first.Compare(b.first))
	})
}

// nextBatch makes the next message of the events that are in none, or says how long
// until one is due. It changes nothing: commit does.
// quiet is when the quiet hours end: then what was held for them goes in one
// message.
func (o *destQueue) nextBatch(now time.Time, window time.Duration, quiet time.Time) (*message, time.Duration) {
	if len(o.fresh) == 0 {
		return nil, forever
	}
	wait := forever
	isQuiet := quiet.After(now)
	if isQuiet {
		wait = quiet.Sub(now)
	}
	if o.Dest.Traits().Pace == 0 { // a log, not a person: everything by itself, in order
		var first *item
		for _, it := range o.fresh {
			if it.held(o.name) || isQuiet && !it.disturbs() {
				continue
			}
			if first == nil {
				first = it
			}
			// What another host kept for long waits for what just happened. A logout stays
			// behind its login.
			if it == first && it.from == "" || now.Sub(it.e.Time) < fleet.FreshFor && it.e.Kind != event.KindLogout {
				return single(o.name, it), 0
			}
		}
		if first != nil {
			return single(o.name, first), 0
		}
		return nil, wait
	}
	if o.owed(now) && !isQuiet {
		if all := o.groups(now, 0); len(all) > 1 {
			return burst(o.name, all), 0
		}
	}
	all := o.groups(now, window)
	// A report goes by itself, with its page; among equals it comes last.
	var reports []*group
	all = slices.DeleteFunc(all, func(c *group) bool {
		if is := isReport(c.items[0].e); is && !isQuiet && c.held == 0 {
			reports = append(reports, c)
			return true
		}
		return false
	})
	if isQuiet {
		all = slices.DeleteFunc(all, func(c *group) bool { return !slices.ContainsFunc(c.items, (*item).disturbs) })
	} else if night := slices.DeleteFunc(slices.Clone(all), func(c *group) bool { return !slices.ContainsFunc(c.items, o.wasQuiet) }); len(night) > 1 {
		return burst(o.name, night), 0
	}
	var high, rest, held, beyond []*group
	for _, c := range all {
		switch {
		case c.held > 0:
			held = append(held, c)
			wait = min(wait, c.held)
		case c.round > 0:
			beyond = append(beyond, c)
		case c.severity >= event.High:
			high = append(high, c)
		default:
			rest = append(rest, c)
		}
	}
	switch {
	case len(high)+len(beyond) > maxHighAlone && len(beyond) > 0:
		return burst(o.name, slices.Concat(high, rest, beyond)), 0
	case len(high) > maxHighAlone:
		return burst(o.name, high), 0
	case len(high) > 0:
		return alike(o.name, high[0]), 0
	case len(rest) > maxAlone:
		return burst(o.name, slices.Concat(rest, beyond, held)), 0
	case len(rest) > 0:
		return alike(o.name, rest[0]), 0
	case len(beyond) == 1:
		return alike(o.name, beyond[0]), 0
	case len(beyond) > 1:
		return burst(o.name, beyond), 0
	case len(reports) > 0:
		return single(o.name, reports[0].items[0]), 0
	}
	return nil, wait
}

// row is a line of a digest, being made.
type row struct {
	event.Row
	items []*item
	seen  map[netip.Addr]bool
	on    map[string]bool // hosts
}

// rowKey is what the events of a line have in common.
type rowKey struct {
	kind event.Kind
	user string
	high event.Severity
}

func rowOf(it *item) rowKey {
	k := rowKey{kind: it.e.Kind, user: it.e.User}
	if it.from != "" && it.verdict.Severity >= event.High {
		k.high = it.verdict.Severity
	}
	if title, text := wording.Note(it.e, nil); title != "" || text != "" {
		k.user = cmp.Or(title, text)
	}
	return k
}

// rows sorts events into lines, the worst first, then those with the most
// events. A line is of one user: on all hosts, but what is high on another does not
// go down in it.
func rows(items []*item) []*row {
	byKey := make(map[rowKey]*row)
	var all []*row
	for _, it := range items {
		k := rowOf(it)
		r := byKey[k]
		if r == nil {
			r = &row{Row: event.Row{User: k.user, Host: it.e.Host, Kind: k.kind}, seen: make(map[netip.Addr]bool), on: map[string]bool{it.e.Host: true}}
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
		if !r.on[it.e.Host] {
			r.on[it.e.Host] = true
			if r.Host != "" || len(r.Hosts) == 0 {
				r.Hosts, r.Host = []string{r.Host}, ""
			}
			if len(r.Hosts) < rowHosts {
				r.Hosts = append(r.Hosts, it.e.Host)
			} else {
				r.MoreHosts++
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

// burst makes a message of as many groups as its lines can name, in their order.
func burst(dest string, groups []*group) *message {
	var items []*item
	lines := map[rowKey]bool{}
	for _, c := range groups {
		for _, it := range c.items {
			if k := rowOf(it); lines[k] || len(lines) < digestRows {
				lines[k] = true
				items = append(items, it)
			}
		}
	}
	m := &message{V: event.Version, ID: event.NewID(), Dest: dest, Digest: true}
	for _, r := range rows(items) {
		for _, it := range r.items {
			m.show(it)
		}
	}
	return m
}

// alike makes a message of one group.
func alike(dest string, c *group) *message {
	if len(c.items) == 1 {
		return single(dest, c.items[0])
	}
	m := &message{V: event.Version, ID: event.NewID(), Dest: dest}
	for _, it := range c.items {
		m.show(it)
	}
	return m
}
