package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/replay"
)

const (
	// lookBack is how much of the past install plays, and lookBackFor how long it lets
	// somebody wait for that: on a busy host it is not all of it.
	lookBack    = 30 * 24 * time.Hour
	lookBackFor = 5 * time.Second
)

// notifyModes are the values of notify, the usual one first.
func notifyModes() []string {
	return []string{policy.NotifyAuto, policy.NotifyUnusual, policy.NotifyAll}
}

// outlook is what the last days would have been like.
type outlook struct {
	modes  []foreseen // as notifyModes
	logins int
	days   float64
	cut    bool // there was more, which would have taken too long
}

// foreseen is what one value of notify would have sent.
type foreseen struct {
	mode           string
	messages, high int // high: of them those that are high or critical
}

// chooseNotify returns how logins shall be told, "" where that stays as it is.
// renewed: this run says where alerts go.
func (o *installOptions) chooseNotify(ctx context.Context, s *setup, q *prompter, renewed bool) (string, error) {
	c := s.settings
	switch {
	case o.handsOver(s):
		return "", nil // the hub's settings say it
	case s.saysNotify():
		if o.notify != "" && o.notify != c.Notify {
			o.warn("the settings say how logins are told, and stay as they are: --notify is not used", "notify = "+strconv.Quote(o.notify)+" in the settings file that has it")
		}
		return "", nil
	case o.notify != "":
		return o.notify, nil
	case s.there && (s.image() || !s.mute || !c.History.Enabled || q == nil && !renewed):
		return "", nil
	case s.image():
		return policy.NotifyAuto, nil
	}
	c.StateDir = s.state
	usual := o.app.judgedBy(c).Notify
	if !o.dryRun {
		l, err := o.lookBack(ctx, s, c)
		if ctx.Err() != nil {
			return "", errInterrupted
		}
		if q != nil {
			return q.notify(ctx, l, err, usual, c)
		}
		o.say("%s; notify = %q", l.line(err), usual)
	}
	if s.there {
		return "", nil
	}
	return usual, nil
}

// saysNotify reports whether the settings say how logins are told.
func (s *setup) saysNotify() bool {
	if !s.there || s.image() && s.mute {
		return false
	}
	return s.settings.SaidIn["notify"] != ""
}

var errNoPast = errors.New("no earlier logins can be read here, so that nobody knows what each would have sent")

// lookBack plays the last days of the host's records, or of the account's own
// logins in them, once for each value of notify. The error says why there is
// nothing to show.
func (o *installOptions) lookBack(ctx context.Context, s *setup, c config.Config) (outlook, error) {
	a, now := o.app, o.past.now()
	all := o.past.records.Open(ctx, nil, "", now.Add(-lookBack))
	defer func() {
		for _, r := range all {
			r.Close()
		}
	}()
	p := replay.Player{Host: o.past.machine, Since: now.Add(-lookBack), Until: now}
	if !o.system {
		p.User = o.past.account
	}
	lookups, err := localEngine(c, s.state)
	if err != nil {
		return outlook{}, err
	}
	if o.system && (o.watchLogs || s.host.WatchInstalled()) {
		if p.Watcher, err = a.replayWatcher(c); err != nil {
			return outlook{}, err
		}
		p.Watcher.Log = slog.New(slog.DiscardHandler)
	}
	m, done, err := replayMemory(c, func() time.Time { return p.Judges[0].Worker.Now() })
	if err != nil {
		return outlook{}, err
	}
	defer done()
	first := &recalling{memory: m}
	l := outlook{modes: make([]foreseen, len(notifyModes()))}
	for i, mode := range notifyModes() {
		c.Notify = mode
		set, err := a.replaySettings(c, lookups)
		if err != nil {
			return outlook{}, err
		}
		if set.Memory = first; i > 0 {
			set.Memory = &recalled{of: first}
		}
		f := &l.modes[i]
		f.mode = mode
		p.Judges = append(p.Judges, replay.Judge{Worker: deliver.NewReplay(set, p.Host, slog.New(slog.DiscardHandler)), Told: func(t *deliver.Told) error {
			f.messages++
			if t.Alert.Verdict.Severity >= event.High {
				f.high++
			}
			return nil
		}})
	}
	ctx, cancel := context.WithTimeout(ctx, o.past.patience)
	defer cancel()
	counts, _, err := p.Play(ctx, all)
	if l.cut = errors.Is(err, context.DeadlineExceeded); err != nil && !l.cut {
		return l, err
	}
	if first.err != nil && !l.cut {
		return l, first.err
	}
	if l.logins = len(counts.Logins); l.logins == 0 {
		return l, errNoPast
	}
	to := now
	if l.cut {
		to = counts.Last
	}
	l.days = to.Sub(counts.First).Hours() / 24
	return l, nil
}

// span says which days an outlook is about.
func (l outlook) span() string {
	days := "day"
	if n := int(l.days + 0.5); n > 1 {
		days = fmt.Sprintf("%d days", n)
	}
	if l.cut {
		return "the first " + days + " of the last 30 (all of them would take too long)"
	}
	return "the last " + days
}

// perWeek is how many of so many messages came in a week.
func (l outlook) perWeek(n int) int { return int(float64(n)*7/max(l.days, 7) + 0.5) }

// line puts an outlook into a line.
func (l outlook) line(err error) string {
	if err != nil {
		return event.Clean(err.Error(), 300)
	}
	parts := make([]string, len(l.modes))
	for i, f := range l.modes {
		parts[i] = fmt.Sprintf("%s %d messages (%d high or worse)", f.mode, f.messages, f.high)
	}
	return fmt.Sprintf("%s of %s would have made: %s", logins(l.logins), l.span(), strings.Join(parts, ", "))
}

// notify asks how logins shall be told. err is why there is no outlook.
func (q *prompter) notify(ctx context.Context, l outlook, err error, usual string, c config.Config) (string, error) {
	says := map[string]string{
		policy.NotifyAuto:    fmt.Sprintf("odd ones at once; others too, up to %d a day, else in a daily digest", c.PerDay),
		policy.NotifyUnusual: "odd ones at once, others in a daily digest",
		policy.NotifyAll:     "each one",
	}
	if err != nil {
		fmt.Fprintf(q.out, "Which logins shall be told? (%s)\n", event.Clean(err.Error(), 300))
	} else {
		fmt.Fprintf(q.out, "Which logins shall be told? %s of %s would have made:\n", logins(l.logins), l.span())
	}
	w := tabwriter.NewWriter(q.out, 0, 0, 2, ' ', 0)
	if err == nil {
		fmt.Fprintln(w, "\tmessages\ta week\thigh or worse\t")
	}
	for i, mode := range notifyModes() {
		fmt.Fprintf(w, "%d %s\t", i+1, mode)
		if err == nil {
			f := l.modes[i]
			fmt.Fprintf(w, "%d\t%d\t%d\t", f.messages, l.perWeek(f.messages), f.high)
		}
		fmt.Fprintln(w, says[mode])
	}
	w.Flush()
	for {
		answer, err := q.line(ctx, "1, 2 or 3 ["+usual+"]: ")
		if err != nil {
			return "", err
		}
		if answer == "" {
			return usual, nil
		}
		for i, mode := range notifyModes() {
			if answer == mode || answer == strconv.Itoa(i+1) {
				return mode, nil
			}
		}
	}
}
