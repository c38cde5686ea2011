package watch

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// How much of a day's attacks is kept, and how many lines its digest has.
const (
	maxBook     = 5000
	digestLines = 39
	lineNames   = 20 // names that are kept of a line
)

// PendingDigest has the attacks that the next daily digest tells. Its fields are its
// stored form.
type PendingDigest struct {
	V       int       `json:"v"`
	Due     time.Time `json:"due"` // when the digest is to be made
	Attacks []Line    `json:"attacks,omitempty"`
	// Of attackers that found no room.
	More         int `json:"more,omitempty"` // attacks
	MoreAttempts int `json:"more_attempts,omitempty"`
	// Told are the attempts that earlier digests told of attacks that go on, by
	// the attack.
	Told map[string]int `json:"told,omitempty"`
}

// Line is one attacker of a day.
type Line struct {
	Who      string       `json:"who"` // the address (of IPv6 its /64), network or account
	IP       netip.Addr   `json:"ip,omitzero"`
	Attack   string       `json:"attack"` // the last one's
	Attacks  int          `json:"attacks"`
	Attempts int          `json:"attempts"`
	Names    attack.Tally `json:"names"`
	First    time.Time    `json:"first"`
	Last     time.Time    `json:"last"`
}

// against is what the line of an account begins with.
const against = "against "

// add notes what of an attack no digest has told.
func (b *PendingDigest) add(f attack.Finding) {
	if f.Attempts -= b.Told[f.Attack]; f.Attempts <= 0 {
		return
	}
	who := f.Network.String()
	switch {
	case f.By == attack.ByUser:
		who = against + f.User
	case f.By == attack.ByAddress && f.Network.IsSingleIP():
		who = f.Network.Addr().String()
	}
	for i := range b.Attacks {
		l := &b.Attacks[i]
		if l.Who != who {
			continue
		}
		if l.Attack == f.Attack { // the book was kept, and after a kill it ends again
			return
		}
		l.Attack, l.IP = f.Attack, f.IP
		l.Attacks++
		l.Attempts += f.Attempts
		l.Names = merge(l.Names, f.Names)
		if f.First.Before(l.First) {
			l.First = f.First
		}
		if f.Last.After(l.Last) {
			l.Last = f.Last
		}
		return
	}
	if len(b.Attacks) >= maxBook {
		b.More++
		b.MoreAttempts += f.Attempts
		return
	}
	b.Attacks = append(b.Attacks, Line{
		Who: who, IP: f.IP, Attack: f.Attack, Attacks: 1, Attempts: f.Attempts, Names: f.Names, First: f.First, Last: f.Last,
	})
}

// merge adds up two tallies.
func merge(a, b attack.Tally) attack.Tally {
	out := attack.Tally{Most: slices.Clone(a.Most), Rest: a.Rest + b.Rest}
	for _, c := range b.Most {
		if i := slices.IndexFunc(out.Most, func(x attack.Count) bool { return x.Name == c.Name }); i >= 0 {
			out.Most[i].N += c.N
		} else {
			out.Most = append(out.Most, c)
		}
	}
	slices.SortFunc(out.Most, func(a, b attack.Count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(a.Name, b.Name))
	})
	for _, c := range out.Most[min(len(out.Most), lineNames):] {
		out.Rest += c.N
	}
	out.Most = out.Most[:min(len(out.Most), lineNames)]
	return out
}

// digest queues the day's attacks when it is time.
func (w *Watcher) digest(now time.Time) error {
	b := w.Pending
	if b == nil || w.Each && len(b.Attacks) == 0 { // the settings may have been others when they were noted
		return nil
	}
	if b.Due.IsZero() || b.Due.Sub(now) > 25*time.Hour { // the first day, or the clock was set back
		b.Due = w.nextDue(now)
	}
	if now.Before(b.Due) {
		return nil
	}
	told := map[string]int{}
	if !w.Each {
		// Some never pause.
		for _, f := range w.Attacks.Ongoing() {
			b.add(f)
			told[f.Attack] = f.Attempts // as many as the engine has room for
		}
	}
	if len(b.Attacks) > 0 {
		// The id is the day's: a kill after it was kept leads here again.
		if err := w.Put(w.digestEvent(now)); err != nil {
			return err
		}
	}
	*b = PendingDigest{V: 1, Due: w.nextDue(now), Told: told}
	if err := w.save(); err != nil {
		w.Log.Error("what is counted can't be kept", "error", err)
	}
	return nil
}

// nextDue is the next time of the digest, by the wall clock.
func (w *Watcher) nextDue(now time.Time) time.Time {
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	day := now.In(zone)
	for d := range 3 {
		if at := time.Date(day.Year(), day.Month(), day.Day()+d, 0, int(w.DigestAt/time.Minute), 0, 0, zone); at.After(now) {
			return at
		}
	}
	return now.Add(24 * time.Hour)
}

// digestEvent returns the digest, of as many lines as an event has room for:
// names of four bytes a character may be long.
func (w *Watcher) digestEvent(now time.Time) event.Event {
	lines := slices.Clone(w.Pending.Attacks)
	slices.SortStableFunc(lines, func(x, y Line) int { return cmp.Compare(y.Attempts, x.Attempts) })
	e := w.digestOf(lines, digestLines, now)
	for n := digestLines / 2; n > 0; n /= 2 {
		if _, err := e.Encode(); err == nil {
			break
		}
		e = w.digestOf(lines, n, now)
	}
	return e
}

// digestOf returns a digest with a row for each of the first so many, and one
// that adds up the others.
func (w *Watcher) digestOf(lines []Line, most int, now time.Time) event.Event {
	b := w.Pending
	d := &event.Digest{Of: event.KindAttempt, First: lines[0].First, Last: lines[0].Last, Attacks: b.More}
	rest := b.MoreAttempts
	for i, l := range lines {
		d.Attacks += l.Attacks
		if l.First.Before(d.First) {
			d.First = l.First
		}
		if l.Last.After(d.Last) {
			d.Last = l.Last
		}
		if i >= most {
			rest += l.Attempts
			continue
		}
		d.Rows = append(d.Rows, event.Row{Host: w.Host, Kind: event.KindAttempt, Count: l.Attempts, Severity: event.Low, Attacker: w.attacker(l)})
	}
	if n := max(0, len(lines)-most) + b.More; n > 0 {
		d.Rows = append(d.Rows, event.Row{Host: w.Host, Kind: event.KindAttempt, Count: rest, Severity: event.Low, More: n})
	}
	return event.Event{
		ID: eventID("digest", w.Host, b.Due.UTC().Format(time.RFC3339)), Kind: event.KindDigest, Time: now.UTC(),
		Host: w.Host, Labels: w.Labels, Via: event.ViaWatch, Digest: d,
	}
}

// attacker returns what is stored of a line. An account has no address of its
// own.
func (w *Watcher) attacker(l Line) *event.Attacker {
	a := &event.Attacker{Names: l.Names}
	if account, ok := strings.CutPrefix(l.Who, against); ok {
		a.Account = account
		return a
	}
	if ip, err := netip.ParseAddr(l.Who); err == nil {
		a.Network = netip.PrefixFrom(ip, ip.BitLen())
	} else if p, err := netip.ParsePrefix(l.Who); err == nil {
		a.Network = p
	}
	if w.Place != nil && l.IP.IsValid() {
		a.ISP, a.Country, _ = w.Place(l.IP)
	}
	return a
}
