package channel

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// LogType is the channel's name in the settings.
const LogType = "log"

// Log are the settings of the host's system log: it has none.
type Log struct{}

// Words say that a line has a headline alone.
func (*Log) Words() (headline, text bool) { return true, false }

// Open returns the system log: one line an alert, in logfmt (key=value, values
// quoted as in Go where they need it), the most important first. The rows of a
// digest are lines of their own with its ref.
func (*Log) Open(name string, env Env) (Channel, error) {
	return &systemLog{name: name, w: env.Log}, nil
}

type systemLog struct {
	name string
	w    *syslog.Writer
}

func (l *systemLog) Name() string { return l.name }

// Traits are the zero ones: a log takes everything.
func (l *systemLog) Traits() Traits { return Traits{} }

// Send writes the alert's lines. Where a later one fails, those before it are
// written again by the next try.
func (l *systemLog) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	for i, line := range logLines(a) {
		err := ctx.Err()
		if err == nil {
			err = l.w.Send(line.priority, line.String())
		}
		// A line that was cut has its start, where what matters is. It would be
		// no shorter the next time.
		if err != nil && !errors.Is(err, syslog.ErrCut) {
			return nil, &Error{Class: Again, Sent: i > 0, Err: err}
		}
	}
	return nil, nil
}

// logLine is what a log is told of an alert or of a digest's row: fields by their
// names, the most important first.
type logLine struct {
	priority syslog.Priority
	fields   []logField
}

type logField struct{ key, value string }

// add appends a field, unless there is nothing in it.
func (l *logLine) add(key, value string) {
	if value != "" {
		l.fields = append(l.fields, logField{key, value})
	}
}

// String returns the line in logfmt.
func (l logLine) String() string {
	var all []string
	for _, f := range l.fields {
		all = append(all, f.key+"="+quoteValue(f.value))
	}
	return strings.Join(all, " ")
}

// logLines returns an alert's lines.
func logLines(a event.Alert) []logLine {
	lines := []logLine{alertLine(a)}
	for _, r := range a.Rows {
		lines = append(lines, rowLine(a, r))
	}
	return lines
}

// newLogLine begins a line. The priority is there to filter by: a usual login
// is information, as sshd's own lines are.
func newLogLine(a event.Alert, s event.Severity) *logLine {
	l := &logLine{priority: syslog.Info}
	switch s {
	case event.Medium:
		l.priority = syslog.Notice
	case event.High:
		l.priority = syslog.Warning
	case event.Critical:
		l.priority = syslog.Err
	}
	l.add("severity", s.String())
	l.add("ref", event.Ref(a.ID))
	if len(a.Refs) > 0 {
		l.add("refs", strings.Join(message.Refs(a), ","))
	}
	return l
}

func alertLine(a event.Alert) logLine {
	e := a.Event
	l := newLogLine(a, a.Verdict.Severity)
	l.add("msg", message.New(a).Short())
	if a.Test {
		l.add("test", "true")
	}
	l.add("kind", string(e.Kind))
	l.add("user", e.User)
	l.add("host", e.Host)
	if e.Remote.IP.IsValid() {
		l.add("ip", e.Remote.IP.String())
	}
	if a.Count > 1 {
		l.add("count", strconv.Itoa(a.Count))
	}
	if !e.Time.IsZero() {
		l.add("time", e.Time.UTC().Format(time.RFC3339))
	}
	if a.Lasted > 0 {
		l.add("lasted", a.Lasted.Round(time.Second).String())
	}
	l.add("why", strings.Join(a.Verdict.Reasons, "; "))
	l.add("method", e.Auth().Method)
	l.add("fingerprint", e.Auth().Fingerprint)
	l.add("person", a.Person)
	if r := a.Facts.Risk; r != nil && r.Known {
		l.add("risk", strconv.Itoa(r.Score))
	} else if r != nil {
		l.add("risk", "unknown")
	}
	if n := a.Facts.Network; n.ASN != 0 {
		l.add("as", fmt.Sprintf("AS%d %s", n.ASN, n.Name))
	}
	l.add("country", a.Facts.Place.Country)
	for _, f := range e.Flags {
		l.add("flag", string(f))
	}
	_, text := message.Note(e, a.Zone)
	l.add("text", text)
	return *l
}

func rowLine(a event.Alert, r event.Row) logLine {
	l := newLogLine(a, r.Severity)
	l.add("kind", string(r.Kind))
	l.add("user", message.Who(r))
	l.add("host", r.Host)
	l.add("count", strconv.Itoa(r.Count))
	var ips []string
	for _, ip := range r.IPs {
		ips = append(ips, ip.String())
	}
	l.add("ip", strings.Join(ips, ","))
	if r.MoreIPs > 0 {
		l.add("more_ips", strconv.Itoa(r.MoreIPs))
	}
	l.add("why", message.Why(r))
	return *l
}

// quoteValue quotes what could be taken for the end of a value or for another
// field.
func quoteValue(s string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.,:;/+@%#", r)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return strconv.Quote(s)
}
