package figures

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Status is what a monitoring plugin says of a service: its exit code. The
// format is that of the Monitoring Plugins Development Guidelines
// (https://www.monitoring-plugins.org/doc/guidelines.html).
type Status int

// The statuses.
const (
	OK Status = iota
	Warning
	Critical
	Unknown
)

func (s Status) String() string { return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s] }

// worse says which of two statuses counts: what is known to be wrong more than
// what is not known.
func worse(a, b Status) Status {
	rank := func(s Status) int { return [...]int{OK: 0, Warning: 2, Critical: 3, Unknown: 1}[s] }
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// Range is a threshold: a value outside of it alerts, or inside where it began
// with "@". The zero Range never alerts.
type Range struct {
	Start, End float64
	Inside     bool
	set        bool
}

// ParseRange reads [@][START:][END], inclusive; START is 0 where it is left out,
// and "~" is without end, as is an END that is left out after a colon.
func ParseRange(s string) (Range, error) {
	bad := errors.New(`must be a range such as 10, 10:, ~:10, 10:20 or @10:20`)
	rest, inside := strings.CutPrefix(s, "@")
	r := Range{End: math.Inf(1), Inside: inside, set: true}
	start, end, colon := strings.Cut(rest, ":")
	if !colon {
		start, end = "", rest
		if end == "" {
			return Range{}, bad
		}
	}
	number := func(s string, to *float64) bool {
		if s == "" {
			return true
		}
		v, err := strconv.ParseFloat(s, 64)
		*to = v
		return err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) && strings.Trim(s, "+-.0123456789") == ""
	}
	if start == "~" {
		r.Start, start = math.Inf(-1), ""
	}
	if !number(start, &r.Start) || !number(end, &r.End) {
		return Range{}, bad
	}
	if r.Start > r.End {
		return Range{}, errors.New("the range's start is beyond its end")
	}
	return r, nil
}

// Alerts reports whether a value is to be alerted.
func (r Range) Alerts(v float64) bool {
	return r.set && (r.Start <= v && v <= r.End) == r.Inside
}

// perf returns the range as perfdata has it: only a plain number is read by all
// that draw graphs of it.
func (r Range) perf() string {
	if !r.set || r.Inside || r.Start != 0 || math.IsInf(r.End, 0) {
		return ""
	}
	return number(r.End)
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Limits are the thresholds of one figure.
type Limits struct{ Warn, Crit Range }

func (l Limits) status(v float64) Status {
	switch {
	case l.Crit.Alerts(v):
		return Critical
	case l.Warn.Alerts(v):
		return Warning
	}
	return OK
}

// Thresholds are those of each figure of a plugin, by its name.
type Thresholds map[string]Limits

// DefaultThresholds are those that hold where nothing else is said.
func DefaultThresholds() Thresholds {
	at := func(v float64) Range { return Range{End: v, set: true} }
	return Thresholds{
		"waiting": {at(100), at(1000)},
		"oldest":  {at(10 * 60), at(60 * 60)}, // seconds
		"dead":    {Warn: at(0)},
		"retry":   {}, "logins": {}, "attackers": {},
		"silence": {Warn: at(24 * 60 * 60)}, // seconds
		// At a hub; a copy is taken every three minutes.
		"hosts": {}, "silent": {Warn: at(0)}, "gaps": {Warn: at(0)},
		"inbox": {at(1000), at(50000)}, "inbox_oldest": {at(10 * 60), at(60 * 60)}, "copy": {at(15 * 60), at(60 * 60)},
		// At a host that hands over, which asks every five minutes.
		"hub": {at(16 * 60), at(2 * 60 * 60)},
	}
}

// Set takes what a flag says: ranges with commas between, each of the figure
// that stands before it, or of the first figure, what waits: "200,oldest=900".
func (t Thresholds) Set(text string, critical bool) error {
	for part := range strings.SplitSeq(text, ",") {
		name, text, named := strings.Cut(part, "=")
		if !named {
			name, text = "waiting", part
		}
		l, known := t[name]
		if !known {
			return fmt.Errorf("%q is no figure; figures are: %s", name, strings.Join(slices.Sorted(maps.Keys(t)), ", "))
		}
		r, err := ParseRange(text)
		if err != nil {
			return fmt.Errorf("%w, not %q", err, text)
		}
		if critical {
			l.Crit = r
		} else {
			l.Warn = r
		}
		t[name] = l
	}
	return nil
}

const (
	// SilentAfter is how long a worker or a watcher that stays writes nothing at
	// most.
	SilentAfter = 5 * time.Minute
	// maxLine is how long the first line may be, without its perfdata.
	maxLine = 80
)

// Verdict is what a plugin prints.
type Verdict struct {
	Status  Status
	said    []string
	worst   []Status // of said
	perf    []string
	limits  Thresholds
	verbose bool
}

// Judge holds figures against thresholds. w is nil where nobody watches. verbose:
// the line is not cut to what a pager shows.
func Judge(f Figures, w *Watch, t Thresholds, now time.Time, verbose bool) *Verdict {
	v := &Verdict{limits: t, verbose: verbose}
	switch silence := now.Sub(f.Written); {
	case !f.Expected(now):
	case f.Stopped:
		v.say(Critical, "the worker does not run")
	case silence > SilentAfter:
		v.say(Critical, "the worker has shown no life for "+Ago(silence))
	}
	v.value("waiting", "waiting", float64(f.Queue.Waiting), "", fmt.Sprintf("%d waiting", f.Queue.Waiting))
	v.value("retry", "retry", float64(f.Queue.Retry), "", fmt.Sprintf("%d tried again", f.Queue.Retry))
	oldest := time.Duration(0)
	if !f.Queue.Oldest.IsZero() {
		oldest = max(0, now.Sub(f.Queue.Oldest))
	}
	v.value("oldest", "oldest", math.Floor(oldest.Seconds()), "s", "the oldest has waited for "+Ago(oldest))
	v.value("dead", "dead", float64(f.Queue.Dead), "", fmt.Sprintf("dead letters: %d", f.Queue.Dead))
	for _, name := range slices.Sorted(maps.Keys(f.Dest)) {
		switch d := f.Dest[name]; {
		case !d.Broken.IsZero():
			v.say(Critical, name+" has been out of order for "+Ago(now.Sub(d.Broken)))
		case d.Paused:
			v.say(Warning, name+" takes nothing for now")
		}
	}
	if h := f.Beat; h != nil && !h.Failing.IsZero() {
		v.say(Warning, "no heartbeat has arrived for "+Ago(now.Sub(h.Failing)))
	}
	logins := f.LoginsSince(now.Add(-time.Hour))
	v.value("logins", "logins_1h", float64(logins), "", fmt.Sprintf("%d logins in an hour", logins))
	if w != nil {
		v.watch(*w, now)
	}
	if f.Hub != nil {
		v.hub(*f.Hub, now)
	}
	if f.HandOver != nil {
		v.handOver(*f.HandOver, now)
	}
	labels := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(f.Dest)) {
		d, l := f.Dest[name], label(name)
		for i := 2; labels[l]; i++ { // of names that differ in what a label can't have
			l = label(name) + "_" + strconv.Itoa(i)
		}
		labels[l] = true
		v.perf = append(v.perf, fmt.Sprintf("sent_%s=%dc", l, d.Outcomes[Sent]), fmt.Sprintf("failed_%s=%dc", l, d.Failed()))
	}
	if v.Status == OK {
		v.well(f, now)
	}
	return v
}

// Undecided is the verdict where there is nothing to judge.
func Undecided(why string) *Verdict {
	v := &Verdict{verbose: true}
	v.say(Unknown, why)
	return v
}

func (v *Verdict) say(s Status, text string) {
	v.said, v.worst = append(v.said, text), append(v.worst, s)
	v.Status = worse(v.Status, s)
}

// value adds a figure, and says it where it is beyond its limits.
func (v *Verdict) value(name, label string, x float64, unit, text string) {
	l := v.limits[name]
	if s := l.status(x); s != OK {
		v.say(s, text)
	}
	v.perf = append(v.perf, fmt.Sprintf("%s=%s%s;%s;%s;0", label, number(x), unit, l.Warn.perf(), l.Crit.perf()))
}

func (v *Verdict) watch(w Watch, now time.Time) {
	if silence := now.Sub(w.Written); silence > SilentAfter {
		v.say(Warning, "the watcher has shown no life for "+Ago(silence))
	}
	silence := time.Duration(0)
	longest := ""
	for _, name := range slices.Sorted(maps.Keys(w.Sources)) {
		s := w.Sources[name]
		if s.Broken {
			v.say(Warning, "source "+name+" can't be read")
		}
		if since := now.Sub(s.Last); !s.Last.IsZero() && since > silence {
			silence, longest = since, name
		}
	}
	v.value("attackers", "attackers_1h", float64(w.Attackers), "", fmt.Sprintf("%d addresses attacked in an hour", w.Attackers))
	v.value("silence", "silence", math.Floor(silence.Seconds()), "s", "source "+longest+" has been silent for "+Ago(silence))
}

// well says how well it is.
func (v *Verdict) well(f Figures, now time.Time) {
	text := "nothing waits"
	if n := f.Queue.Waiting; n > 0 {
		text = fmt.Sprintf("%d waiting", n)
	}
	v.say(OK, text)
	newest, at := "", time.Time{}
	for _, name := range slices.Sorted(maps.Keys(f.Dest)) {
		if d := f.Dest[name]; d.Last.After(at) {
			newest, at = name, d.Last
		}
	}
	if newest != "" {
		v.say(OK, newest+" "+Ago(max(0, now.Sub(at)))+" ago")
	}
}

// Problems returns what is wrong, the worst first.
func (v *Verdict) Problems() (all []string) {
	for _, s := range []Status{Critical, Warning, Unknown} {
		for i, text := range v.said {
			if v.worst[i] == s {
				all = append(all, clean(text))
			}
		}
	}
	return all
}

// String is the line that a plugin prints, the worst first.
func (v *Verdict) String() string {
	texts := v.Problems()
	if v.Status == OK {
		for _, text := range v.said {
			texts = append(texts, clean(text))
		}
	}
	line := []rune("SSHNOTIFY " + v.Status.String() + ": " + strings.Join(texts, ", "))
	if !v.verbose && len(line) > maxLine {
		line = append(line[:maxLine-1], '…')
	}
	if len(v.perf) == 0 {
		return string(line)
	}
	return string(line) + " | " + strings.Join(v.perf, " ")
}

// clean takes out what means something in a plugin's output.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '|':
			return '/'
		case r < ' ' || r == 0x7f:
			return ' '
		}
		return r
	}, s)
}

// label makes a name one of perfdata: points and brackets mean something to
// Graphite, quotes and "=" to the parsers.
func label(name string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return '_'
	}, name)
}

// Ago writes a time in its largest unit.
func Ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
