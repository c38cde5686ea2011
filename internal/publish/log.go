package publish

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/state"
)

// How much is remembered, and shown.
const (
	kept       = 7 * 24 * time.Hour
	maxEntries = 5000
)

// MaxPerHour is the most that Options.PerHour may be: those of a day must be
// fewer than what is remembered.
const MaxPerHour = maxEntries / 25

// Options say what is published.
type Options struct {
	Path        string // of the document, absolute; its folder is made if it is missing
	PerHour     int    // at most; 1 to MaxPerHour
	MinAttempts int    // of an entry
	Names       bool   // the names that were tried are kept and told
}

// Log remembers what was published. Several processes may have one document,
// and a Log may be used concurrently.
type Log struct {
	o       Options
	skipped atomic.Int64
}

// NewLog returns the log at o.Path. What PerHour may not be is set right.
func NewLog(o Options) *Log {
	o.PerHour = min(max(o.PerHour, 1), MaxPerHour)
	return &Log{o: o}
}

// document is what is kept, the oldest first.
type document struct {
	V     int      `json:"v"`
	Known []record `json:"known"`
}

type record struct {
	At time.Time `json:"at"` // when it was published
	Entry
}

const documentVersion = 1

// errRefused carries why an entry is not published through state.Update, which
// then changes nothing.
type errRefused string

func (e errRefused) Error() string { return string(e) }

// errHour is that there were enough for this hour.
var errHour = errors.New("as many as wanted were published")

// Skipped returns how many Admit has refused since the last call because PerHour
// were published already, for somebody to say so.
func (l *Log) Skipped() int { return int(l.skipped.Swap(0)) }

// Admit decides whether an entry is published now, and if so remembers it: the
// same address, or another one of an IPv6 /64, is refused for a day. Why is for
// a log; it says so too if the log can't be written, when nothing is published.
// now is what the limits go by, not the times of the entry.
func (l *Log) Admit(now time.Time, e Entry) (ok bool, why string) {
	e.IP = e.IP.Unmap().WithZone("")
	if !l.o.Names {
		e.Names = nil
	}
	if e.Last.IsZero() {
		e.Last = now
	}
	switch {
	case !isPublic(e.IP):
		return false, "the address is not public"
	case e.Attempts < l.o.MinAttempts:
		return false, fmt.Sprintf("%d attempts, fewer than %d", e.Attempts, l.o.MinAttempts)
	}
	err := state.Update(l.o.Path, func(d *document) error {
		d.tidy(now)
		hour := 0
		for _, r := range d.Known {
			ago := now.Sub(r.At).Abs() // the clock may have been set back
			if ago < 24*time.Hour && site(r.IP) == site(e.IP) {
				return errRefused("it was published in the last day")
			}
			if ago < time.Hour {
				hour++
			}
		}
		if hour >= l.o.PerHour {
			return errHour
		}
		if len(d.Known) >= maxEntries {
			d.Known = slices.Delete(d.Known, 0, len(d.Known)-maxEntries+1)
		}
		d.V = documentVersion
		d.Known = append(d.Known, record{At: now.UTC(), Entry: e.clean()})
		return nil
	})
	if errors.Is(err, errHour) {
		l.skipped.Add(1)
		return false, fmt.Sprintf("%d were published in the last hour", l.o.PerHour)
	}
	if r, refused := errors.AsType[errRefused](err); refused {
		return false, string(r)
	}
	if err != nil {
		return false, "it could not be written down: " + err.Error()
	}
	return true, ""
}

// Entries returns what was published in the last seven days, the newest first,
// made harmless. Names are left out if they are not to be told any more.
func (l *Log) Entries(now time.Time) []Entry {
	d := state.Read[document](l.o.Path)
	d.tidy(now)
	var all []Entry
	for _, r := range slices.Backward(d.Known) {
		if !l.o.Names {
			r.Names = nil
		}
		all = append(all, r.Entry)
	}
	return all
}

// tidy drops what is old, and what can't be: a time that is yet to come comes
// of a clock that was wrong by more than a day.
func (d *document) tidy(now time.Time) {
	if d.V != documentVersion {
		*d = document{}
	}
	d.Known = slices.DeleteFunc(d.Known, func(r record) bool {
		return now.Sub(r.At) >= kept || r.At.Sub(now) >= 24*time.Hour || !isPublic(r.IP)
	})
	slices.SortStableFunc(d.Known, func(a, b record) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
}

// site is what is published once a day: somebody with an IPv6 address has all
// of its /64.
func site(ip netip.Addr) netip.Prefix {
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // fails for no such address
	return p
}

// isPublic tells addresses that mean something to others. Those of documentation
// do.
func isPublic(ip netip.Addr) bool { return ip.IsValid() && enrich.Scope(ip) == "" }
