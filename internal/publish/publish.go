// Package publish owns what everybody may know of an attack: which addresses
// are told and when, in which words, and the page and the feed that a web
// server serves.
//
// It must never reach a network, tell a host or a user of ours, or let a text
// of an attacker's be more than text: the address stands plain, so that whoever
// searches for it finds it, and names neither mention, nor link, nor look like
// an address.
package publish

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel/form"
	"github.com/sshnotify/sshnotify/internal/message"
)

// Entry is an attack as it is told to everybody.
type Entry struct {
	IP          netip.Addr // unmapped, no zone
	Service     string     // sshd, vsftpd, …
	Attempts    int
	First, Last time.Time // of the attempts
	ASN         uint32    // 0: not known
	Network     string    // who the ASN is; empty: not known
	Country     string    // of two letters; empty: not known
	// Names are those that were tried, the commonest first, as they were logged;
	// nil: they are not told. Users of ours must not be among them.
	Names []string
}

// How much of an entry is told.
const (
	maxName     = 40 // characters
	maxService  = 20
	maxNetwork  = 80
	maxNames    = 20  // on the page and in the feed
	maxText     = 280 // of a message, as X counts it: the least that a service takes
	nothingSaid = "(empty)"
)

// clean makes all texts harmless, and the address the plain form.
func (e Entry) clean() Entry {
	e.IP = e.IP.Unmap().WithZone("")
	e.Service = harmless(e.Service, maxService)
	if e.Network != "" {
		e.Network = harmless(e.Network, maxNetwork)
	}
	if len(e.Country) != 2 || strings.Trim(e.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		e.Country = ""
	}
	var names []string
	for _, n := range e.Names {
		if n = harmless(n, maxName); !slices.Contains(names, n) {
			names = append(names, n)
		}
		if len(names) == maxNames {
			break
		}
	}
	e.Names = names
	e.First, e.Last = e.First.UTC().Truncate(time.Second), e.Last.UTC().Truncate(time.Second)
	return e
}

// owner is who the address belongs to; empty: not known.
func (e Entry) owner() string {
	var parts []string
	if e.ASN != 0 {
		parts = append(parts, fmt.Sprintf("AS%d", e.ASN))
	}
	if e.Network != "" {
		parts = append(parts, e.Network)
	}
	s := strings.Join(parts, " ")
	switch {
	case e.Country == "":
		return s
	case s == "":
		return e.Country
	}
	return s + " (" + e.Country + ")"
}

const stamp = "2 Jan 2006 15:04"

// Text returns an entry as a message: a headline, and one line. Both are made
// harmless, the names too; a destination still escapes what means something to
// it. The text fits into a post of any service, as far as its first part, which has
// the address, does.
func Text(e Entry) (title, text string) {
	e = e.clean()
	attempts := "1 attempt"
	if e.Attempts != 1 {
		attempts = fmt.Sprintf("%d attempts", e.Attempts)
	}
	title = fmt.Sprintf("%s to log in from %s (%s)", attempts, e.IP, e.Service)
	var b strings.Builder
	fmt.Fprintf(&b, "%s made %s to log in by %s", e.IP, attempts, e.Service)
	switch from, to := e.First.Format(stamp), e.Last.Format(stamp); {
	case e.Last.IsZero():
	case from == to || e.First.IsZero():
		fmt.Fprintf(&b, " on %s UTC", to)
	default:
		fmt.Fprintf(&b, " from %s to %s UTC", from, to)
	}
	if owner := e.owner(); owner != "" {
		b.WriteString("; network: " + owner)
	}
	addNames(&b, e.Names)
	return title, b.String()
}

// addNames adds as many names as a message has room for, and says so where there are
// more.
func addNames(b *strings.Builder, names []string) {
	const others = " and others"
	room := maxText - width(b.String()) - len(others)
	before := "; names tried: "
	for i, n := range names {
		w := width(before + n)
		last := i == len(names)-1
		if w > room && !(last && w <= room+len(others)) {
			if i > 0 {
				b.WriteString(others)
			}
			return
		}
		b.WriteString(before + n)
		room -= w
		before = ", "
	}
}

// width is what a text counts at most on the service that counts dearest.
func width(s string) int {
	return form.Post.Count().Width(message.Span{Kind: message.Untrusted, Text: s})
}
