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

// Open returns the system log: one line an alert, in logfmt (key=value, values
// quoted as in Go where they need it), the most important first. The rows of a
// digest, and repeats that are told along, are lines of their own with the
// alert's ref.
func (*Log) Open(name string, env Env) (Channel, error) {
	return &systemLog{name: name, w: env.Log}, nil
}

type systemLog struct {
	name string
	w    *syslog.Writer
}

func (l *systemLog) Name() string        { return l.name }
func (l *systemLog) Pace() time.Duration { return 0 }

// Send writes the alert's lines. Where a later one fails, those before it are
// written again by the next try.
func (l *systemLog) Send(ctx context.Context, a event.Alert) error {
	lines := []logLine{alertLine(a)}
	for _, rows := range [][]event.Row{a.Rows, a.Repeats} {
		for _, r := range rows {
			lines = append(lines, rowLine(a, r))
		}
	}
	for i, line := range lines {
		err := ctx.Err()
		if err == nil {
			err = l.w.Send(line.priority, strings.Join(line.fields, " "))
		}
		// A line that was cut has its start, where what matters is. It would be
		// no shorter the next time.
		if err != nil && !errors.Is(err, syslog.ErrCut) {
			return &Error{Class: Again, Sent: i > 0, Err: err}
		}
	}
	return nil
}

type logLine struct {
	priority syslog.Priority
	fields   []string
}

// add appends a field, unless there is nothing in it.
func (l *logLine) add(key, value string) {
	if value != "" {
		l.fields = append(l.fields, key+"="+quoteValue(value))
	}
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
