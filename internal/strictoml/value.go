package strictoml

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/event"
)

const day = 24 * time.Hour

// ParseDuration takes what time.ParseDuration does but no sign, and days of 24
// hours before it: "400d", "1d12h".
func ParseDuration(s string) (time.Duration, bool) {
	var d time.Duration
	if days, rest, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16) // 65,535 days are far from what a Duration holds
		if err != nil {
			return 0, false
		}
		if d = time.Duration(n) * day; rest == "" {
			return d, true
		}
		s = rest
	}
	if strings.ContainsAny(s, "+-") {
		return 0, false
	}
	more, err := time.ParseDuration(s)
	if err != nil || d+more < d {
		return 0, false
	}
	return d + more, true
}

// FormatDuration writes a duration as short as ParseDuration reads it: "7d",
// "36h", "1h30m".
func FormatDuration(d time.Duration) string {
	if d != 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Clock is a time of day in minutes after midnight.
type Clock int

// Midnight is the end of a day, 24:00.
const Midnight Clock = 24 * 60

// ParseClock reads a time of day in four digits: "08:00", and "24:00" for the
// end of the day.
func ParseClock(s string) (Clock, bool) {
	if len(s) != 5 || s[2] != ':' || !only(s[:2]+s[3:], digits) {
		return 0, false
	}
	hour, minute := 10*int(s[0]-'0')+int(s[1]-'0'), 10*int(s[3]-'0')+int(s[4]-'0')
	c := Clock(60*hour + minute)
	return c, minute < 60 && c <= Midnight
}

// String returns the time of day as ParseClock reads it.
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c/60, c%60) }

// MarshalText returns the String.
func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a time of day before 24:00.
func (c *Clock) UnmarshalText(b []byte) error {
	v, ok := ParseClock(string(b))
	if !ok || v == Midnight {
		return errors.New(`must be a time of day such as "08:00"`)
	}
	*c = v
	return nil
}

// ParseNetwork takes a network or an address, and returns it in the form in
// which the addresses of events are: IPv4 as IPv4, and nothing set behind the
// mask.
func ParseNetwork(s string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// IsLine reports whether s is one line of 1 to most visible characters, without
// white space at its ends.
func IsLine(s string, most int) bool {
	return s != "" && utf8.RuneCountInString(s) <= most && strings.TrimSpace(s) == s && event.Clean(s, most) == s
}

func (d *Decoder) duration(n *Node, to *time.Duration, c check) {
	const hint = `a duration is a number with a unit, in quotes: "3s", "10m", "1h", "7d"`
	if n.Kind != Text {
		d.Fail(n, "must be a duration, not %s", n.Kind).Hint = hint
		return
	}
	// A negative one is a duration, and out of range.
	v, ok := ParseDuration(strings.TrimPrefix(n.Text, "-"))
	if !ok || strings.HasPrefix(n.Text, "-") && strings.Contains(n.Text, "d") {
		d.Fail(n, "must be a duration%s", Not(n.Text)).Hint = hint
		return
	}
	if strings.HasPrefix(n.Text, "-") {
		v = -v
	}
	least, _ := ParseDuration(c.min)
	most, limited := ParseDuration(c.max)
	switch {
	case c.min == "" && v <= 0, v < least, limited && v > most:
		d.Fail(n, "must be %s%s", span(c), Not(n.Text))
	default:
		*to = v
	}
}

func span(c check) string {
	switch {
	case c.min == "" && c.max == "":
		return "more than 0"
	case c.min == "":
		return "more than 0 and at most " + c.max
	case c.max == "":
		return c.min + " or more"
	}
	return "from " + c.min + " to " + c.max
}

func (d *Decoder) integer(n *Node, v reflect.Value, c check) {
	if !d.Is(n, Integer) {
		return
	}
	least, most := int64(math.MinInt64), int64(math.MaxInt64)
	if c.min != "" {
		least, _ = strconv.ParseInt(c.min, 10, 64)
	}
	if c.max != "" {
		most, _ = strconv.ParseInt(c.max, 10, 64)
	}
	// Base 0 takes what TOML does: 0x10, 0o10, 0b10 and 1_000.
	i, err := strconv.ParseInt(n.Text, 0, 64)
	if err != nil || i < least || i > most || v.OverflowInt(i) {
		d.Fail(n, "must be %s%s", span(c), Not(n.Text))
		return
	}
	v.SetInt(i)
}

func (d *Decoder) float(n *Node, v reflect.Value) {
	f, err := 0.0, error(nil)
	switch n.Kind {
	case Integer:
		var i int64
		i, err = strconv.ParseInt(n.Text, 0, 64)
		f = float64(i)
	case Float:
		f, err = strconv.ParseFloat(strings.ReplaceAll(n.Text, "_", ""), 64)
	default:
		d.Fail(n, "must be a number, not %s", n.Kind)
		return
	}
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		d.Fail(n, "must be a number")
		return
	}
	v.SetFloat(f)
}

func (d *Decoder) network(n *Node, to *netip.Prefix) {
	if !d.Is(n, Text) {
		return
	}
	p, ok := ParseNetwork(n.Text)
	if !ok {
		d.Fail(n, `must be a network such as "192.0.2.0/28", or an address%s`, Not(n.Text))
	}
	*to = p
}

func (d *Decoder) expression(n *Node, to **regexp.Regexp) {
	if !d.Is(n, Text) {
		return
	}
	re, err := regexp.Compile(n.Text)
	if err == nil {
		*to = re
		return
	}
	message := "not a regular expression"
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		message += ": " + e.Code.String()
		if IsLine(e.Expr, maxShownValue) {
			message += " at " + strconv.Quote(e.Expr)
		}
	}
	d.Fail(n, "%s", message).Hint = "in single quotes, a \\ stands for itself; https://golang.org/s/re2syntax says what there is"
}

// text checks a string, and returns what it means.
func (d *Decoder) text(n *Node, c check) (string, bool) {
	if !d.Is(n, Text) {
		return "", false
	}
	s := n.Text
	switch {
	case c.line > 0 && !IsLine(s, c.line):
		d.Fail(n, "must be one line of 1 to %d visible characters%s", c.line, Not(s))
	case c.nonempty && s == "":
		d.Fail(n, "must not be empty").Hint = "leave it out"
	case c.words != nil && !slices.Contains(c.words, s):
		d.Fail(n, "must be %s%s", OneOf(c.words), Not(s)).Hint = didYouMean(s, c.words)
	case c.path && !filepath.IsAbs(s): // the worker is started in any folder
		d.Fail(n, "must be a path from the root (/…)%s", Not(s))
	case c.path:
		return filepath.Clean(s), true
	case c.file:
		at, problem := n.File.path(s)
		if problem != "" {
			d.Fail(n, "%s", problem)
		}
		return at, problem == ""
	default:
		return s, true
	}
	return "", false
}

// IsLink reports whether s is a web address that can stand in every channel's message:
// http or https, a host, no user name, and at most so many characters.
func IsLink(s string, most int) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && IsLine(s, most) && !strings.ContainsAny(s, " <>|\"`")
}
