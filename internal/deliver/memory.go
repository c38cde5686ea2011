package deliver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// historyRest is how long a memory that failed is left alone, so that a
// backlog does not wait for it once an event.
const historyRest = 30 * time.Second

// recall asks the memory about a login, or about that of the watcher's word, and
// returns what it knows. It also finds whose key it was.
func (w *worker) recall(it *item) event.Memory {
	login, wanted := it.e, remembered(it.e)
	switch {
	case it.e.GotIn():
		login, wanted = loginOf(it), true
	case it.e.Kind == event.KindLogin && w.set.Owner != nil:
		it.owner = w.set.Owner(it.e)
	}
	if !wanted || !w.remembers() {
		return event.Memory{}
	}
	m, err := w.set.Memory.Recall(login, it.known())
	if err != nil {
		w.historyDown(err)
		return event.Memory{}
	}
	return m
}

// Routing is whether a destination gets an event.
type Routing struct {
	Name   string        `json:"name"`
	Misses []policy.Miss `json:"misses,omitempty"`    // why not; none: it gets it
	Held   time.Time     `json:"held_until,omitzero"` // for quiet hours, where it is held
}

// Routed returns the names of the destinations that an event is for.
func (s Settings) Routed(in policy.Input, v event.Verdict) (names []string) {
	for _, r := range s.Routes(in, v) {
		if len(r.Misses) == 0 {
			names = append(names, r.Name)
		}
	}
	return names
}

// Routes says of each destination whether an event is for it. Where the event or
// a rule names some, those get it, whatever else the settings want them to get;
// names that are not in the settings any more name none. A public destination
// gets nothing but what names it.
func (s Settings) Routes(in policy.Input, v event.Verdict) []Routing {
	only := v.Only
	if n := in.Event.Note(); n != nil && len(n.Only) > 0 {
		only = n.Only
	}
	if isReport(in.Event) && len(in.Event.Digest.Report.Only) > 0 {
		only = in.Event.Digest.Report.Only
	}
	all := make([]Routing, 0, len(s.Targets))
	named := slices.ContainsFunc(s.Targets, func(t Target) bool { return slices.Contains(only, t.Dest.Name()) })
	for _, t := range s.Targets {
		r := Routing{Name: t.Dest.Name()}
		switch isNamed := slices.Contains(only, r.Name); {
		case isNamed:
		case named:
			r.Misses = []policy.Miss{{Key: "destination", Want: r.Name, Got: strings.Join(only, ", ")}}
		case slices.Contains(s.Public, r.Name):
			r.Misses = []policy.Miss{{Key: "event", Want: "public", Got: "private"}}
		default:
			r.Misses = t.Misses(in, v, s.Policy)
		}
		if len(r.Misses) == 0 && v.Severity < event.Critical && t.Quiet.At(in.Event.Time) {
			r.Held = t.Quiet.End(in.Event.Time)
		}
		all = append(all, r)
	}
	return all
}

// remembered reports whether an event is for the memory: a login from
// somewhere. By sudo and su nobody comes from anywhere, and as root everybody
// would be the same person.
func remembered(e event.Event) bool { return e.Kind == event.KindLogin && e.Login.By == "" }

// remember keeps a login, and reports whether it may go untold: what is left to
// the daily digest may only while the memory has it, which makes that.
func (w *worker) remember(it *item, t policy.Telling) bool {
	if !remembered(it.e) || w.set.Memory == nil {
		return t.When != policy.Digest
	}
	err := errHistoryDown
	if w.remembers() {
		err = w.set.Memory.Remember(it.e, it.known(), it.verdict, t)
	}
	if err == nil {
		return true
	}
	if !errors.Is(err, errHistoryDown) {
		w.historyDown(err)
	}
	return t.When != policy.Digest
}

var errHistoryDown = errors.New("the memory is left alone for a while")

func (w *worker) remembers() bool {
	return w.set.Memory != nil && !w.now().Before(w.historyDownUntil)
}

// historyDown leaves the memory alone for a while, and says so once a day.
func (w *worker) historyDown(err error) {
	now := w.now()
	w.historyDownUntil = now.Add(historyRest)
	w.Log.Error("the memory of logins can't be used", "error", err)
	if now.Sub(w.historyDownSaid) > 24*time.Hour {
		w.historyDownSaid = now
		w.Alarm(fmt.Sprintf("the memory of logins can't be used, so that none is new or usual: %v", err))
	}
}

func (s Settings) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}
