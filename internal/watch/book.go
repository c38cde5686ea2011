package watch

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// How much of a day's attacks is kept, and how many lines its digest has.
const (
	maxBook     = 5000
	digestLines = 39
)

// Book has the attacks that the next daily digest tells. Its fields are its
// stored form.
type Book struct {
	V       int       `json:"v"`
	Due     time.Time `json:"due"` // when the digest is to be made
	Attacks []Line    `json:"attacks,omitempty"`
	More    int       `json:"more,omitempty"` // attacks that found no room
}

// Line is one attacker of a day.
type Line struct {
	Who      string       `json:"who"` // the address, network or account
	IP       netip.Addr   `json:"ip,omitzero"`
	Attempts int          `json:"attempts"`
	Names    attack.Tally `json:"names"`
	First    time.Time    `json:"first"`
	Last     time.Time    `json:"last"`
}

func (b *Book) add(f attack.Finding) {
	who := f.Network.String()
	switch {
	case f.By == attack.ByUser:
		who = "against " + f.User
	case f.By == attack.ByAddress && f.IP.IsValid():
		who = f.IP.String()
	}
	for i := range b.Attacks {
		if l := &b.Attacks[i]; l.Who == who {
			l.Attempts += f.Attempts
			l.Last = f.Last
			if len(f.Names.Most) > len(l.Names.Most) {
				l.Names = f.Names
			}
			return
		}
	}
	if len(b.Attacks) >= maxBook {
		b.More++
		return
	}
	b.Attacks = append(b.Attacks, Line{Who: who, IP: f.IP, Attempts: f.Attempts, Names: f.Names, First: f.First, Last: f.Last})
}

// digest queues the day's attacks when it is time.
func (w *Watcher) digest(now time.Time) error {
	b := w.Book
	if b == nil || w.Each {
		return nil
	}
	if b.Due.IsZero() || b.Due.Sub(now) > 25*time.Hour { // the first day, or the clock was set back
		b.Due = w.nextDue(now)
	}
	if now.Before(b.Due) {
		return nil
	}
	if len(b.Attacks) > 0 {
		// The id is the day's: a kill after it was kept leads here again.
		if err := w.Put(w.digestEvent(now)); err != nil {
			return err
		}
	}
	*b = Book{V: 1, Due: w.nextDue(now)}
	return w.save()
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

func (w *Watcher) digestEvent(now time.Time) event.Event {
	b := w.Book
	lines := slices.Clone(b.Attacks)
	slices.SortStableFunc(lines, func(x, y Line) int { return cmp.Compare(y.Attempts, x.Attempts) })
	e := event.Event{
		ID: eventID("digest", w.Host, b.Due.UTC().Format(time.RFC3339)), Kind: event.KindAttack, Time: now.UTC(),
		Host: w.Host, Labels: w.Labels, Via: event.ViaWatch, Span: &event.Span{First: lines[0].First, Last: lines[0].Last},
	}
	attempts, rest := 0, 0
	for i, l := range lines {
		attempts += l.Attempts
		if l.First.Before(e.Span.First) {
			e.Span.First = l.First
		}
		if l.Last.After(e.Span.Last) {
			e.Span.Last = l.Last
		}
		if i >= digestLines {
			rest += l.Attempts
			continue
		}
		row := event.Row{User: l.Who, Host: w.Host, Kind: event.KindAttempt, Count: l.Attempts, Severity: event.Low, Reason: tally(l.Names, 4)}
		if w.Place != nil && l.IP.IsValid() {
			if network, country, _ := w.Place(l.IP); network+country != "" {
				row.Reason = fmt.Sprintf("%s %s; %s", network, country, row.Reason)
			}
		}
		e.Rows = append(e.Rows, row)
	}
	if n := len(lines) - digestLines + b.More; n > 0 {
		e.Rows = append(e.Rows, event.Row{User: fmt.Sprintf("%d more", n), Host: w.Host, Kind: event.KindAttempt, Count: rest, Severity: event.Low})
	}
	e.Note = &event.Note{Severity: event.Low, Title: fmt.Sprintf("%d attacks, %d attempts", len(lines)+b.More, attempts), Text: "the daily digest of attacks"}
	return e
}
