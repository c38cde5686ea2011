package watch

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

// Addr is an address, as everywhere.
type Addr = netip.Addr

// namesShown is how many of the names that were tried an alert shows.
const namesShown = 8

// eventID names what was found for ever: the same lines give the same id,
// however often they are read.
func eventID(parts ...string) string {
	return event.LoginID(event.Session{Boot: "watch"}, strings.Join(parts, "\x00"))
}

// found makes of a finding what is to be told of it.
func (w *Watcher) found(f attack.Finding) error {
	switch f.Kind {
	case attack.SuccessAfter:
		return w.Put(w.success(f))
	case attack.Flooding:
		w.Log.Warn("a flood: more come than can be counted, and attempts are given up; how many is told")
	case attack.Flooded:
		title, text := flooded(f.Flood)
		w.Log.Warn(title, "from", f.First.UTC(), "to", f.Last.UTC(), "what", text)
		e := w.base(f)
		e.ID = eventID(string(f.Kind), w.Host, f.Attack)
		e.Note = &event.Note{Severity: f.Severity(), Title: title, Text: w.clock(f.First) + " to " + w.clock(f.Last) + "; " + text}
		return w.Put(e)
	case attack.Begun:
		if w.Each {
			return w.Put(w.attackEvent(f))
		}
	case attack.Ended:
		if w.Published != nil {
			for _, e := range w.Published(f) {
				if err := w.Put(e); err != nil {
					return err
				}
			}
		}
		if w.Each {
			return w.Put(w.attackEvent(f))
		}
		if w.Book != nil {
			w.Book.add(f)
		}
	}
	return nil
}

func (w *Watcher) base(f attack.Finding) event.Event {
	return event.Event{
		ID: eventID(f.Attack, string(f.Kind)), Kind: event.KindAttack, Time: f.Time.UTC(), Host: w.Host, Labels: w.Labels,
		Via: event.ViaWatch, Remote: event.Remote{IP: f.IP},
	}
}

// success is the alert that matters most: somebody got in.
func (w *Watcher) success(f attack.Finding) event.Event {
	e := w.base(f)
	e.User, e.Service, e.Remote.Port = f.User, f.Service, f.Port
	e.Auth.Method, e.Auth.Fingerprint = f.Method, f.Key
	n := max(f.FromAddress, f.AgainstUser)
	title := fmt.Sprintf("got in after %s", failures(n))
	if n == 0 {
		title = "got in during a flood of failures"
	}
	var text []string
	if f.FromAddress > 0 {
		text = append(text, fmt.Sprintf("%s from this address", failures(f.FromAddress)))
	}
	if f.AgainstUser > 0 {
		text = append(text, fmt.Sprintf("%s for this user", failures(f.AgainstUser)))
	}
	if !f.First.IsZero() {
		text = append(text, "since "+w.clock(f.First))
	}
	if f.DroppedFrom > 0 {
		text = append(text, "during a flood; earlier attempts of this address may have been dropped")
	}
	if f.DroppedAgainst > 0 {
		text = append(text, "during a flood; earlier attempts against this user may have been dropped")
	}
	if names := tally(f.Names, namesShown); names != "" {
		text = append(text, "tried: "+names)
	}
	e.Note = &event.Note{Severity: event.Critical, Title: title, Text: strings.Join(text, "; ")}
	return e
}

func (w *Watcher) attackEvent(f attack.Finding) event.Event {
	e := w.base(f)
	if len(f.Services.Most) > 0 {
		e.Service = f.Services.Most[0].Name
	}
	who := "from " + f.IP.String()
	switch f.By {
	case attack.ByUser:
		e.User = f.User
		who = against + f.User
		if n := len(f.Addresses.Most); f.Addresses.Rest > 0 {
			who += fmt.Sprintf(" from more than %d addresses", n)
		} else if n > 0 {
			who += " from " + plural(n, "address", "addresses")
		}
	case attack.ByNetwork:
		who = "from the network " + f.Network.String()
	}
	title := fmt.Sprintf("Attack %s: %s", who, failures(f.Attempts))
	if f.Kind == attack.Ended {
		title = fmt.Sprintf("End of the attack %s: %s", who, failures(f.Attempts))
	}
	text := []string{fmt.Sprintf("%s to %s", w.clock(f.First), w.clock(f.Last))}
	if names := tally(f.Names, namesShown); names != "" && f.By != attack.ByUser {
		text = append(text, "tried: "+names)
	}
	if from := tally(f.Addresses, namesShown); from != "" && f.By != attack.ByAddress {
		text = append(text, "from: "+from)
	}
	e.Note = &event.Note{Severity: f.Severity(), Title: title, Text: strings.Join(text, "; ")}
	return e
}

// matched makes an event of a pattern's match, and runs what goes with it.
func (w *Watcher) matched(m pattern.Match, key string) error {
	at := m.Time
	if at.IsZero() {
		at = w.now()
	}
	id := eventID("match", m.Digest, key)
	if key == "" {
		id = eventID("match", m.Digest, at.UTC().Format(time.RFC3339Nano))
	}
	e := event.Event{
		ID: id, Kind: event.KindMatch, Time: at.UTC(), Host: w.Host, Labels: w.Labels, Via: event.ViaWatch,
		Service: m.Pattern, Remote: event.Remote{IP: m.IP},
		Note: &event.Note{Severity: m.Severity, Title: m.Title, Text: m.Text, Only: m.Destinations},
	}
	if err := w.Put(e); err != nil {
		return err
	}
	if w.Runner != nil && m.Exec != nil && !w.Runner.Run(m) {
		w.Log.Warn("a match's program is not run, too many wait", "pattern", m.Pattern)
	}
	return nil
}

func (w *Watcher) clock(t time.Time) string {
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone).Format("2 Jan 15:04:05 MST")
}

func failures(n int) string { return number(n, "failure") }

func number(n int, of string) string { return plural(n, of, of+"s") }

func plural(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

// tally is "root ×200, admin ×14, others ×9".
func tally(t attack.Tally, most int) string {
	var out []string
	others := t.Rest
	for i, c := range t.Most {
		if i >= most {
			others += c.N
			continue
		}
		out = append(out, fmt.Sprintf("%s ×%d", c.Name, c.N))
	}
	if others > 0 {
		out = append(out, fmt.Sprintf("others ×%d", others))
	}
	return strings.Join(out, ", ")
}

// flooded says how much was given up, and what is left.
func flooded(f attack.Flood) (title, text string) {
	lost := Lost(f)
	text = "more than can be counted, so that these are in no attack that is told; who gets in after failures is told all the same"
	if len(lost) > 1 {
		text += "; also " + strings.Join(lost[1:], "; ")
	}
	return "flood: " + lost[0], text
}

// Lost says what was given up: "17252 addresses, 138016 attempts", and the like of
// networks and accounts.
func Lost(f attack.Flood) (lost []string) {
	for _, l := range []struct {
		attack.Lost
		one, several string
	}{{f.Addresses, "address", "addresses"}, {f.Networks, "network", "networks"}, {f.Accounts, "account", "accounts"}} {
		if l.N > 0 {
			lost = append(lost, plural(l.N, l.one, l.several)+", "+number(l.Attempts, "attempt"))
		}
	}
	return lost
}
