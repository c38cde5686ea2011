package message

import (
	"fmt"
	"slices"
)

// enough is how much of a reason makes sense in a headline.
const enough = 34

// Fit puts the headline into max characters. It shortens names, and drops the
// time or the labels, until all of the reason can be seen; where that is too long,
// until the tail and some words of the reason can, and cuts the end last.
func (h Headline) Fit(f Form, max int) Line {
	if h.own != nil {
		return h.ownHeadline(f, max)
	}
	tail, more, at := f.Width(h.Tail...), f.Width(h.More...), f.Width(h.At...)
	all, some := tail+more+at, tail+min(more, enough)
	var l Line
	for _, step := range []struct {
		each            int
		labels, network bool
		need            int
	}{
		{40, true, true, all}, {24, true, true, all - at}, {32, false, true, all}, {20, false, true, all},
		{40, true, true, some}, {24, true, true, some}, {32, false, true, some},
		{24, false, false, some}, {18, false, false, some}, {12, false, false, some}, {8, false, false, some},
	} {
		l = f.shorten(h.Head, step.each)
		if step.labels {
			l = append(l, f.shorten(h.Labels, step.each)...)
		}
		l = join(l, h.Times, f.shorten(h.From, step.each))
		if step.network {
			l = append(l, f.shorten(h.Network, step.each)...)
		}
		if f.Width(l...)+step.need <= max {
			break
		}
	}
	l = join(l, h.Tail, h.More)
	if timed := join(l, h.At); f.Width(timed...) <= max {
		l = timed
	}
	if items := f.fitItems(h.Items, max-f.Width(l...)-2, max/4); len(items) > 0 {
		l = join(l, Line{literal(": ")}, items)
	}
	return f.clip(l, max)
}

// Fit puts the title into max characters. Names are shortened before its end is
// cut.
func (t Title) Fit(f Form, max int) Line {
	var l Line
	for _, each := range []int{150, 90, 60, 40, 20} {
		if l = f.shorten(t.Line, each); f.Width(l...) <= max {
			break
		}
	}
	return f.clip(l, max)
}

// Fit puts the footer into max characters.
func (t Footer) Fit(f Form, max int) Line {
	l := f.shorten(t.Line, max/4)
	return f.clip(join(l, f.fitItems(t.Items, max-f.Width(l...)-f.Width(t.Tail...), 40), t.Tail), max)
}

// fitItems lists as many items as fit the room, with at most each characters of
// a name.
func (f Form) fitItems(items []Line, room, each int) Line {
	var l Line
	for i, item := range items {
		next := f.shorten(item, each)
		if i > 0 {
			next = join(Line{literal(", ")}, next)
		}
		rest := 0
		if i < len(items)-1 {
			rest = len(", ") + f.text("…")
		}
		if f.Width(next...)+rest > room {
			if i > 0 {
				l = append(l, literal(", …"))
			}
			break
		}
		l = append(l, next...)
		room -= f.Width(next...)
	}
	return l
}

// maxWhy is the room that the other lines leave for reasons and a link.
const maxWhy = 280

// Body returns the reasons and lines, at most max characters of them, line breaks
// included, and at most so many lines, which holds for no digest. The limit must
// be some hundreds.
func (m Message) Body(f Form, max, lines int) []Line {
	if m.own != nil {
		return m.ownBody(f, max, lines)
	}
	if len(m.Sections) > 0 {
		return m.dayBody(f, max)
	}
	if len(m.Rows) > 0 {
		return m.digestBody(f, max)
	}
	// The reasons matter most, and get what the other lines leave: those give
	// way until there is room.
	room := max - min(f.Width(m.why(f, max)...), maxWhy)
	var rest []Line
	for _, each := range []int{160, 120, 90, 70, 50, 36, 24, 16, 8} {
		rest = nil
		if len(m.Text) > 0 {
			rest = append(rest, f.shorten(m.Text, 4*each))
		}
		for _, l := range m.Lines {
			rest = append(rest, f.shorten(l, each))
		}
		most := lines
		if len(m.Reasons) > 0 {
			most--
		}
		if rest = rest[:min(len(rest), most)]; f.total(rest) <= room {
			break
		}
	}
	why := m.why(f, max-f.total(rest)-1)
	switch {
	case len(why) == 0:
		return rest
	case len(m.Reasons) > 0:
		return append([]Line{why}, rest...)
	case len(rest) < lines: // the link alone, at the end
		return append(rest, why)
	}
	return rest
}

// total is the length of lines with the line breaks between them.
func (f Form) total(lines []Line) int {
	n := max(0, len(lines)-1)
	for _, l := range lines {
		n += f.Width(l...)
	}
	return n
}

// why is the line of the reasons, and of the link. Without reasons it is the
// link alone.
func (m Message) why(f Form, max int) Line {
	if len(m.Reasons) == 0 {
		return m.Link
	}
	const worthwhile = 60
	l := label(literal("Why:"))
	room := max - f.Width(l...)
	var tail Line
	if len(m.Link) > 0 {
		tail = join(Line{literal(" · ")}, m.Link)
	}
	if w := f.Width(tail...); room-w >= worthwhile {
		room -= w
	} else {
		tail = nil // the reasons matter more
	}
	for i, next := range m.Reasons {
		if i > 0 {
			next = join(Line{literal("; ")}, next)
		}
		if f.Width(next...) > room {
			if i == 0 || room >= worthwhile/2 {
				l = append(l, f.clip(next, room)...)
			} else if room >= f.text("…") {
				l = append(l, literal("…"))
			}
			break
		}
		l = append(l, next...)
		room -= f.Width(next...)
	}
	return append(l, tail...)
}

const (
	// maxRemainder is the room for the last line of a digest that does not fit.
	maxRemainder = 80
	// rowEach is how much of a name or a reason a digest's row shows.
	rowEach = 48
)

// digestBody returns a line a row. Addresses are left out before rows are, and
// what does not fit is counted in the last line.
func (m Message) digestBody(f Form, max int) []Line {
	var head []Line
	if why := m.why(f, min(maxWhy, max/2)); len(why) > 0 {
		head = []Line{why}
	}
	for _, addresses := range []int{5, 3, 2, 1, 0, noAddresses} {
		if lines, left := f.fitRows(head, m.Rows, addresses, max); len(left) == 0 {
			return lines
		}
	}
	lines, left := f.fitRows(head, m.Rows, noAddresses, max-maxRemainder)
	n, kind := 0, left[0].of.Kind
	for _, r := range left {
		n += r.of.Count
		if r.of.Kind != kind {
			kind = ""
		}
	}
	return append(lines, Line{literal(fmt.Sprintf("and %s more in %d lines that do not fit", count(n, kind), len(left)))})
}

// fitRows adds a line a row to head as long as they fit, and returns the rows
// that did not.
func (f Form) fitRows(head []Line, rows []Row, addresses, max int) (lines []Line, left []Row) {
	lines = slices.Clone(head)
	size := f.total(head)
	for i, r := range rows {
		l := f.shorten(r.line(addresses), rowEach)
		size += f.Width(l...) + 1
		if size > max {
			return lines, rows[i:]
		}
		lines = append(lines, l)
	}
	return lines, nil
}
