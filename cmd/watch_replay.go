package cmd

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

// replayLine is an alert of a replay, for people.
func replayLine(e event.Event, zone *time.Location) string {
	if zone == nil {
		zone = time.UTC
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  ", e.Time.In(zone).Format("2006-01-02 15:04:05"))
	title, text := message.Note(e, zone)
	severity := event.Low
	if n := e.Note(); n != nil {
		severity = n.Severity
	}
	fmt.Fprintf(&b, "%-8s  ", strings.ToUpper(severity.String()))
	if e.User != "" {
		fmt.Fprintf(&b, "%s ", e.User)
	}
	if e.Remote.IP.IsValid() && !strings.Contains(title, e.Remote.IP.String()) {
		fmt.Fprintf(&b, "from %s: ", e.Remote.IP)
	}
	b.WriteString(title)
	if text != "" {
		b.WriteString(" (" + text + ")")
	}
	return b.String()
}

// replayTable says what became of the lines.
func replayTable(to io.Writer, stats map[string]*watch.Stat, patterns *pattern.Engine, flood attack.Flood) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	row := func(label string, n int64) { fmt.Fprintf(w, "%s\t%d\t\n", label, n) }
	var lines, unknown, forged, names, ambiguous int64
	var forgedBy watch.Forger
	parsed := map[string]int64{}
	for _, s := range stats {
		lines += s.Lines
		unknown += s.Unknown
		if forged += s.Forged; s.Forged > 0 {
			forgedBy = s.ForgedBy
		}
		names += s.OnlyName
		ambiguous += s.Ambiguous
		for p, n := range s.Parsed {
			parsed[p] += n
		}
	}
	fmt.Fprintln(w)
	row("lines read", lines)
	for _, p := range slices.Sorted(maps.Keys(parsed)) {
		row("understood by "+p, parsed[p])
	}
	if patterns != nil {
		for _, s := range patterns.Stats() {
			row("matched by pattern "+s.Pattern, int64(s.Matched))
		}
	}
	row("not understood", unknown)
	forms, unread := watch.Forms(slices.Collect(maps.Values(stats))...)
	for _, f := range forms[:min(len(forms), shapesShown)] {
		row("unread, "+f.Form, f.N)
		unread -= f.N
	}
	if unread > 0 {
		row("unread, of other forms", unread)
	}
	if forged > 0 {
		row("in a daemon's name, but not shown to be its own", forged)
	}
	if names > 0 {
		row("attempts with a name and no address", names)
	}
	if ambiguous > 0 {
		row("ambiguous: could be forged", ambiguous)
	}
	for _, l := range []struct {
		label string
		attack.Lost
	}{{"addresses", flood.Addresses}, {"networks", flood.Networks}, {"accounts", flood.Accounts}} {
		if l.N > 0 {
			row("flood: "+l.label+" given up", int64(l.N))
			row("flood: their attempts", int64(l.Attempts))
		}
	}
	w.Flush()
	if forged > 0 {
		fmt.Fprintf(to, "the last of these was written by %s\n", forgedBy)
	}
	if names > 0 {
		fmt.Fprintln(to, "\nWho owns an address chooses its name. Have the daemon log addresses: UseDNS no in sshd_config.")
	}
}

// shapes counts the forms of lines that no parser knows.
type shapes struct {
	n map[string]*shape
	// more counts lines of forms that found no room.
	more int
}

type shape struct {
	count   int
	example string
}

const (
	maxShapes    = 10_000
	shapesShown  = 20
	exampleShown = 200
)

func newShapes() *shapes { return &shapes{n: map[string]*shape{}} }

var varying = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[0-9a-fA-F:.]*\d[0-9a-fA-F:.]*|"[^"]*"|'[^']*'`)
})

func (s *shapes) take(lines []line.Line) {
	for _, l := range lines {
		if parse.Explain(l, parse.Options{Zone: time.Local}).Outcome != parse.None {
			continue
		}
		text := l.Text[:min(len(l.Text), 1000)]
		form := varying().ReplaceAllString(text, "#")
		sh := s.n[form]
		if sh == nil {
			if len(s.n) >= maxShapes {
				s.more++
				continue
			}
			sh = &shape{example: event.Clean(strings.Clone(text), exampleShown)}
			s.n[form] = sh
		}
		sh.count++
	}
}

func (s *shapes) print(to io.Writer) {
	all := slices.SortedFunc(maps.Values(s.n), func(a, b *shape) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.example, b.example))
	})
	fmt.Fprintln(to, "\nnot understood, the commonest first:")
	for _, sh := range all[:min(len(all), shapesShown)] {
		fmt.Fprintf(to, "%8d  %s\n", sh.count, sh.example)
	}
	if n := len(all) - shapesShown; n > 0 || s.more > 0 {
		fmt.Fprintf(to, "and %d other forms\n", max(n, 0)+s.more)
	}
}
