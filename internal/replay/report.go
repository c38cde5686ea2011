package replay

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// Line is a message, for programs.
type Line struct {
	Time     time.Time      `json:"time"` // when it would have come
	Kind     event.Kind     `json:"kind"`
	Severity event.Severity `json:"severity"`
	Headline string         `json:"headline"`
	Reasons  []string       `json:"reasons"`
	Host     string         `json:"host,omitempty"`
	User     string         `json:"user,omitempty"` // where it is only one
	Users    []string       `json:"users"`
	IP       string         `json:"ip,omitempty"` // where it is only one
	IPs      []netip.Addr   `json:"ips"`
	Refs     []string       `json:"refs"`
	// Events is how many events it tells; of a daily digest how many logins, or
	// attempts, it counts.
	Events       int           `json:"events"`
	Destinations []string      `json:"destinations"`
	Auth         *event.Auth   `json:"auth,omitempty"`
	Facts        *event.Facts  `json:"facts,omitempty"`
	Attack       *event.Attack `json:"attack,omitempty"`
}

// LineOf returns what programs get of a message.
func LineOf(t *deliver.Told) Line {
	a := t.Alert
	l := Line{
		Time: t.Time.UTC().Truncate(time.Millisecond), Kind: a.Event.Kind, Severity: a.Verdict.Severity, Headline: message.New(a).Short(),
		Reasons: append([]string{}, a.Verdict.Reasons...), Host: a.Event.Host,
		Users: []string{}, IPs: []netip.Addr{}, Refs: []string{}, Events: len(t.Events), Destinations: t.Destinations,
	}
	if got := policy.GotIn(a.Event); got != "" && !slices.ContainsFunc(l.Reasons, func(r string) bool { return strings.HasPrefix(r, got) }) {
		l.Reasons = slices.Insert(l.Reasons, 0, got)
	}
	user := func(name string) {
		if name != "" && !slices.Contains(l.Users, name) {
			l.Users = append(l.Users, name)
		}
	}
	address := func(ip netip.Addr) {
		if ip.IsValid() && !slices.Contains(l.IPs, ip) {
			l.IPs = append(l.IPs, ip)
		}
	}
	for _, e := range t.Events {
		l.Refs = append(l.Refs, event.Ref(e.ID))
		user(e.User)
		address(e.Remote.IP)
		if e.Digest != nil {
			l.Events--
		}
	}
	if a.Event.Kind == event.KindDigest {
		if d := a.Event.Digest; d != nil && d.Failures != nil {
			l.Events += d.Failures.Attempts
		}
		for _, r := range a.Rows {
			l.Events += r.Count
			user(r.User)
			for _, ip := range r.IPs {
				address(ip)
			}
		}
	}
	if len(l.Users) == 1 {
		l.User = l.Users[0]
	}
	if len(l.IPs) == 1 {
		l.IP = l.IPs[0].String()
	}
	if len(t.Events) > 0 && len(a.Rows) == 0 {
		switch a.Event.Kind {
		case event.KindLogin:
			l.Auth, l.Facts = &a.Event.Login.Auth, &a.Facts
		case event.KindAttack:
			l.Attack = a.Event.Attack
		}
	}
	return l
}

// Tally counts messages for the table that ends a replay.
type Tally struct {
	Zone *time.Location

	all, night perSeverity
	byDay      map[string]*perSeverity // by date
	byUser     map[string]int          // messages that are no digests
}

type perSeverity [event.Critical + 1]int

func (s perSeverity) sum() (n int) {
	for _, x := range s {
		n += x
	}
	return n
}

// Add counts a message.
func (t *Tally) Add(l Line) {
	if t.byDay == nil {
		t.byDay, t.byUser = map[string]*perSeverity{}, map[string]int{}
	}
	at := l.Time.In(t.Zone)
	day := at.Format(time.DateOnly)
	if t.byDay[day] == nil {
		t.byDay[day] = new(perSeverity)
	}
	t.byDay[day][l.Severity]++
	t.all[l.Severity]++
	if isNight(at) {
		t.night[l.Severity]++
	}
	if l.Kind != event.KindDigest {
		for _, u := range l.Users {
			t.byUser[u]++
		}
	}
}

// isNight reports whether most people sleep: from 22 to 6 o'clock.
func isNight(at time.Time) bool { return at.Hour() >= 22 || at.Hour() < 6 }

// maxUsers is how many users the table names.
const maxUsers = 20

// Print writes the table.
func (t *Tally) Print(to io.Writer, c Counts) error {
	perDay, perUser := map[string]int{}, map[string]int{}
	night := 0
	for _, l := range c.Logins {
		at := l.Time.In(t.Zone)
		perDay[at.Format(time.DateOnly)]++
		perUser[l.User]++
		if isNight(at) {
			night++
		}
	}
	clock := func(at time.Time) string { return at.In(t.Zone).Format("2 Jan 2006 15:04") }
	if c.Lines == 0 {
		_, err := fmt.Fprintln(to, "nothing was read")
		return err
	}
	fmt.Fprintf(to, "%s to %s (%s): logins: %d, failed attempts: %d\n\n", clock(c.First), clock(c.Last), c.Last.In(t.Zone).Format("MST"), len(c.Logins), c.Failures)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(label string, logins int, s perSeverity) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", label, logins, s.sum(), s[event.Critical], s[event.High], s[event.Medium], s[event.Low])
	}
	fmt.Fprintln(w, "day\tlogins\tmessages\tcritical\thigh\tmedium\tlow\t")
	var days []string
	for d := range perDay {
		days = append(days, d)
	}
	for d := range t.byDay {
		if perDay[d] == 0 {
			days = append(days, d)
		}
	}
	slices.Sort(days)
	for _, d := range days {
		var s perSeverity
		if t.byDay[d] != nil {
			s = *t.byDay[d]
		}
		row(d, perDay[d], s)
	}
	row("all", len(c.Logins), t.all)
	row("at night (22 to 6)", night, t.night)
	if err := w.Flush(); err != nil {
		return err
	}
	var users []string
	for u := range perUser {
		users = append(users, u)
	}
	for u := range t.byUser {
		if perUser[u] == 0 {
			users = append(users, u)
		}
	}
	slices.SortFunc(users, func(a, b string) int {
		if d := perUser[b] - perUser[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	fmt.Fprintln(w, "\nuser\tlogins\tmessages\t")
	for _, u := range users[:min(len(users), maxUsers)] {
		fmt.Fprintf(w, "%s\t%d\t%d\t\n", event.Clean(u, 40), perUser[u], t.byUser[u])
	}
	if n := len(users) - maxUsers; n > 0 {
		fmt.Fprintf(w, "and %d more\t\t\t\n", n)
	}
	return w.Flush()
}
