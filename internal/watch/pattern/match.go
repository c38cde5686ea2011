package pattern

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// Match is a line that is to be told. Its strings are cleaned (see
// event.Clean) and of bounded length.
type Match struct {
	Pattern  string         `json:"pattern"`
	Time     time.Time      `json:"time"` // UTC; zero: not known
	Severity event.Severity `json:"severity"`
	Title    string         `json:"title"`
	Text     string         `json:"text"`
	IP       netip.Addr     `json:"ip,omitzero"` // unmapped, without a zone; zero: none
	// Fields are the captures and what the record holds, those that are empty
	// left out; numbered captures by their number.
	Fields map[string]string `json:"fields,omitempty"`
	Source string            `json:"source"`
	Line   string            `json:"line"`
	// Count is how many lines this match stands for, and LeftOut how many before
	// them were not told and are in no other match's Count.
	Count   int    `json:"count"`
	LeftOut int    `json:"left_out,omitempty"`
	Key     string `json:"key,omitempty"` // what the threshold counted by

	Destinations []string `json:"-"`
	Exec         *Command `json:"-"` // for a Runner; nil: none

	// Digest is the same whenever the same pattern matches the same line of the
	// same source. With the line's place (a file's offset, the journal's cursor)
	// it makes an id that tells a line once, however often it is read. A match of
	// Tick has no place of its own: Digest and Time are all there is.
	Digest string `json:"-"`
}

// How much of each string is kept, in characters. Title and text are what an
// event takes.
const (
	maxTitle  = 150
	maxText   = 2000
	maxValue  = 256
	maxLine   = 1000
	maxSource = 256
	maxFields = 40
)

// hit is a line that a pattern fits.
type hit struct {
	c     *compiled
	line  line.Line
	sub   []int // where the captures are
	rec   *record
	at    time.Time
	count int
	left  int
}

// lookup returns what a name stands for, as it was written.
func (h *hit) lookup(of ref) (value string, there bool) {
	switch of.kind {
	case refCapture:
		from, to := h.sub[2*of.group], h.sub[2*of.group+1]
		if from < 0 {
			return "", false
		}
		return h.line.Text[from:to], true
	case refField:
		return h.rec.get(of)
	}
	switch of.name {
	case "source":
		return h.line.Source, true
	case "line":
		return h.line.Text, true
	case "pattern":
		return h.c.Name, true
	case "host":
		return h.line.Host, h.line.Host != ""
	case "program":
		return h.line.Program, h.line.Program != ""
	case "count":
		return strconv.Itoa(h.count), true
	default: // "left_out"
		return strconv.Itoa(h.left), true
	}
}

func (h *hit) value(of ref) string {
	v, _ := h.lookup(of)
	return v
}

// clean returns what a name stands for, fit to be shown.
func (h *hit) clean(of ref) string {
	if of.kind == refOwn && of.name == "line" {
		return event.Clean(h.value(of), maxLine)
	}
	return event.Clean(h.value(of), maxValue)
}

// time is when it happened.
func (h *hit) time(at time.Time, zone *time.Location) time.Time {
	if h.rec != nil {
		if t := h.c.decoder.time(h.rec, at, zone); !t.IsZero() {
			return t
		}
	}
	return at.UTC()
}

func (h *hit) match() Match {
	c := h.c
	m := Match{
		Pattern: c.Name, Time: h.at.UTC(), Severity: h.severity(),
		Source: event.Clean(h.line.Source, maxSource), Line: event.Clean(h.line.Text, maxLine),
		Count: h.count, LeftOut: h.left,
		Destinations: slices.Clone(c.Destinations), Digest: h.digest(),
	}
	title, text := c.Name, m.Line
	if c.decoder.alerts() {
		if a, b := c.decoder.describe(h.rec); b != "" {
			title, text = a, b
		}
	}
	if c.Title != "" {
		title = c.title.expand(h.clean)
	}
	if c.Text != "" {
		text = c.text.expand(h.clean)
	}
	m.Title, m.Text = oneLine(title, maxTitle), oneLine(text, maxText)
	if h.left > 0 && !c.tells {
		more := " (and " + strconv.Itoa(h.left) + " more that were not told)"
		m.Text = event.Clean(m.Text, maxText-len(more)) + more
	}
	if c.limit != nil {
		m.Key = event.Clean(c.by.expand(h.value), maxValue)
	}
	if c.ip != nil {
		m.IP = address(h.value(*c.ip))
	}
	m.Fields = h.fields()
	m.Exec = h.command()
	return m
}

// oneLine cleans a text. The line breaks of the owner's own template are blanks;
// those of a value were written out before.
func oneLine(s string, max int) string {
	s = strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ").Replace(s)
	return event.Clean(strings.TrimSpace(s), max)
}

func (h *hit) fields() map[string]string {
	var all map[string]string
	for _, of := range h.c.fields {
		v := h.clean(of)
		if v == "" {
			continue
		}
		if all == nil {
			all = map[string]string{}
		}
		all[of.name] = v
	}
	return all
}

// digest must not depend on anything but the pattern's name and the line.
func (h *hit) digest() string {
	sum := sha256.New()
	for _, s := range []string{h.c.Name, h.line.Source, h.line.Text} {
		sum.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// address reads an address as logs write one: bare, in brackets, with a port.
func address(s string) netip.Addr {
	s = strings.TrimSpace(s)
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		ap, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}
		}
		ip = ap.Addr()
	}
	return ip.Unmap().WithZone("")
}
