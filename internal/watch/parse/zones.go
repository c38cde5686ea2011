package parse

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// Zones gives the lines of a log that is read once the times that the log itself
// tells. Where some of its lines say their zone, those that don't are of the zone
// of the nearest that does, or of the one that puts them between the lines before
// and after; the machine's has no say. A log in which no line says a zone is left
// as it is. It is not safe for concurrent use.
type Zones struct {
	p    *Parser
	held [][]line.Line // while no line has said a time that is the same everywhere
	n    int           // lines that were held

	waited   bool // for long enough: nothing is held back any more
	anchored bool
	year     time.Time // that the last line said that says one, and no zone changes
	prev     int64     // seconds since 1970 of the line before
	told     clock     // of the last line that says its zone
	zoneless clock     // of lines that don't
}

// maxHeld is how many lines are held back until one says its zone.
const maxHeld = 4096

// How far lines of one log may be out of order, and how far a line may be from the
// one next to it for the difference of their clocks to tell the zone, in seconds.
const (
	outOfOrder = 300
	sameMoment = 120
)

// clock is how far a zone is east of UTC, in seconds.
type clock struct {
	east  int64
	known bool
}

// stampKind says what a line's time tells.
type stampKind uint8

const (
	noStamp    stampKind = iota
	wallStamp            // of a clock that is not named
	zonedStamp           // with its zone
	epochStamp           // of no zone
)

// stamp is a line's time, of a wallStamp as if it were UTC.
type stamp struct {
	kind     stampKind
	t        time.Time
	east     int64
	yearless bool
}

// NewZones returns one that has seen nothing. now tells the year of times without
// one; nil: time.Now.
func NewZones(now func() time.Time) *Zones { return &Zones{p: New(Options{Now: now})} }

// Take returns the lines whose times are settled by these, which follow those of
// the call before; they are the caller's until the next call, and what it holds back
// it has cloned. Rest returns the others at the end.
func (z *Zones) Take(lines []line.Line) [][]line.Line {
	if z.waited {
		z.settle(lines)
		return [][]line.Line{lines}
	}
	held := slices.Clone(lines)
	for i := range held {
		held[i].Text = strings.Clone(held[i].Text)
	}
	z.held, z.n = append(z.held, held), z.n+len(lines)
	// What was held back already tells no moment, or it would not be.
	if !mayBeAnchored(lines) && z.n < maxHeld {
		return nil
	}
	if slices.ContainsFunc(z.held, mayBeAnchored) {
		z.held = [][]line.Line{slices.Concat(z.held...)}
		if z.settle(z.held[0]); !z.anchored && z.n < maxHeld {
			return nil
		}
	}
	z.waited = true
	return z.Rest()
}

// Rest returns the lines that were held back.
func (z *Zones) Rest() [][]line.Line {
	rest := z.held
	z.held = nil
	return rest
}

// Lines is Take for lines that come one by one; an error ends them.
func (z *Zones) Lines(in iter.Seq2[line.Line, error]) iter.Seq2[line.Line, error] {
	const together = 512
	return func(yield func(line.Line, error) bool) {
		give := func(batches [][]line.Line) bool {
			for _, lines := range batches {
				for _, l := range lines {
					if !yield(l, nil) {
						return false
					}
				}
			}
			return true
		}
		batch := make([]line.Line, 0, together)
		for l, err := range in {
			if err != nil {
				if give(z.Take(batch)) && give(z.Rest()) {
					yield(line.Line{}, err)
				}
				return
			}
			if batch = append(batch, l); len(batch) == together {
				if !give(z.Take(batch)) {
					return
				}
				batch = batch[:0]
			}
		}
		if give(z.Take(batch)) {
			give(z.Rest())
		}
	}
}

// settle gives lines without a zone their times, where others say one.
func (z *Zones) settle(lines []line.Line) {
	if !z.anchored && !mayBeAnchored(lines) {
		return
	}
	stamps := make([]stamp, len(lines))
	for i := range lines {
		stamps[i] = z.stampOf(&lines[i])
		z.anchored = z.anchored || stamps[i].kind >= zonedStamp
	}
	if !z.anchored {
		return
	}
	next := nextAnchors(stamps)
	for i := range stamps {
		z.ofYear(&stamps[i], next[i])
	}
	if !z.zoneless.known && !z.told.known {
		z.zoneless = beside(stamps)
	}
	for i, s := range stamps {
		switch s.kind {
		case wallStamp:
			if s.t = z.place(s, next[i]); s.t.IsZero() {
				continue
			}
			lines[i].Time = s.t
		case zonedStamp:
			z.told = clock{s.east, true}
		}
		if s.kind != noStamp {
			z.prev = s.t.Unix()
		}
	}
}

// mayBeAnchored is false where all lines begin with a month's name: of a log as most
// are it asks no more.
func mayBeAnchored(lines []line.Line) bool {
	for i := range lines {
		if l := &lines[i]; !l.Time.IsZero() || !isPlain(l.Text) {
			return true
		}
	}
	return false
}

// isPlain reports whether a line begins as most of RFC 3164 do, "Jan _2 ".
func isPlain(s string) bool {
	return len(s) > 6 && s[3] == ' ' && s[6] == ' ' && monthOf(s) != 0
}

// stampOf reads a line's time.
func (z *Zones) stampOf(l *line.Line) stamp {
	if !l.Time.IsZero() {
		return stamp{kind: epochStamp, t: l.Time}
	}
	c := &z.p.stamps
	c.told, c.east = noStamp, 0
	t := z.p.header(l.Text).time
	switch {
	case t.IsZero():
		return stamp{}
	case strings.HasPrefix(strings.TrimLeft(l.Text, " "), dockerStart): // whose own time it is
		return stamp{kind: zonedStamp, t: t}
	}
	return stamp{c.told, t, c.east, c.yearless}
}

// nextAnchors returns for each line the stamp of the next one whose time is the same
// everywhere, nil where none follows.
func nextAnchors(stamps []stamp) []*stamp {
	out := make([]*stamp, len(stamps))
	var next *stamp
	for i := len(stamps) - 1; i >= 0; i-- {
		out[i] = next
		if stamps[i].kind >= zonedStamp {
			next = &stamps[i]
		}
	}
	return out
}

// ofYear puts a time without a year into an earlier one, if there it is near a line
// that says its own.
func (z *Zones) ofYear(s *stamp, next *stamp) {
	if s.kind >= zonedStamp {
		z.year = s.t
	}
	near := z.year
	if near.IsZero() && next != nil {
		near = next.t
	}
	const half = 183 * 24 * time.Hour
	if !s.yearless || near.IsZero() || s.t.Sub(near).Abs() < half {
		return
	}
	for _, year := range [...]int{near.Year() - 1, near.Year(), near.Year() + 1} {
		if t := s.t.AddDate(year-s.t.Year(), 0, 0); t.Day() == s.t.Day() && t.Before(s.t) && t.Sub(near).Abs() < half {
			s.t = t
		}
	}
}

// beside returns the zone that the first two neighbours of which only one says a
// moment tell of the other; it is not known where some line says its zone.
func beside(stamps []stamp) (c clock) {
	var last stamp
	for _, s := range stamps {
		switch {
		case s.kind == zonedStamp:
			return clock{}
		case c.known || s.kind == noStamp:
			continue
		case s.kind == wallStamp && last.kind == epochStamp:
			c = between(s.t.Unix(), last.t.Unix())
		case s.kind == epochStamp && last.kind == wallStamp:
			c = between(last.t.Unix(), s.t.Unix())
		}
		last = s
	}
	return c
}

// place returns the time of a line without a zone: by the clock of those before it,
// of the nearest that says its zone, or of the one that fits the lines beside it.
// Where none puts it in their order, an older part of a log may have been appended.
// Zero: nothing tells.
func (z *Zones) place(s stamp, next *stamp) time.Time {
	wall := s.t.Unix()
	candidates := [...]clock{z.zoneless, z.told, {}, between(wall, z.prev), {}}
	if next != nil {
		candidates[2] = clock{next.east, next.kind == zonedStamp}
		candidates[4] = between(wall, next.t.Unix())
	}
	for _, c := range candidates {
		at := wall - c.east
		if c.known && at >= z.prev-outOfOrder && (next == nil || at <= next.t.Unix()+outOfOrder) {
			z.zoneless = c
			return s.t.Add(-time.Duration(c.east) * time.Second)
		}
	}
	for _, c := range candidates[:3] {
		if c.known {
			return s.t.Add(-time.Duration(c.east) * time.Second)
		}
	}
	return time.Time{}
}

// between returns the zone whose clock shows wall at about a moment, UTC within half
// an hour.
func between(wall, moment int64) clock {
	const quarter, half, most = 15 * 60, 30 * 60, 14 * 3600
	d := wall - moment
	east := floor(d+quarter/2, quarter) * quarter
	if moment != 0 && abs(d) <= half {
		return clock{0, true}
	}
	if moment == 0 || east < -most || east > most || abs(d-east) > sameMoment {
		return clock{}
	}
	switch east { // Nepal, Eucla, the Chatham Islands in winter and in summer
	case 5*3600 + 2700, 8*3600 + 2700, 12*3600 + 2700, 13*3600 + 2700:
	default:
		if east%half != 0 {
			return clock{}
		}
	}
	return clock{east, true}
}
