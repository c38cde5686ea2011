package deliver

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
)

// How long an event may wait: a retry is due after a quarter of an hour at
// most, and somebody should know of an outage of a day.
const (
	longWait = 15 * time.Minute
	tooLong  = 24 * time.Hour
	// startWait is far above the time that a worker takes to start.
	startWait = time.Minute
	// silentFor is how long it is said that a template said nothing of an alert.
	silentFor = 7 * 24 * time.Hour
)

// QueueCheck checks what waits in a spool, and that a worker is running where
// one is needed. held returns, for a time, until when a record is held on purpose;
// stuck is a command that ends a worker which hangs.
func QueueCheck(s *spool.Spool, held func(now time.Time) func(Record) time.Time, stuck string) doctor.Check {
	return doctor.Check{Run: func(_ context.Context, r *doctor.Report) {
		files, err := s.Waiting()
		if err != nil {
			r.Fail("queue", doctor.ShellLine("ls", "-lR", s.Dir()), "not all of it can be read: %v", err)
		}
		strange, _ := s.Strange()
		n, all, dead, unexpected := 0, 0, 0, len(strange)
		var oldest, until time.Time
		heldUntil := held(r.Now)
		for _, f := range files {
			switch {
			case f.Folder == spool.InFailed && f.IsEvent():
				dead++
			case !f.IsEvent() && !f.IsWorkers():
				unexpected++
			case f.IsEvent():
				all++
				if end := recordHeld(s, f, heldUntil); end.After(r.Now) {
					if until.IsZero() || end.Before(until) {
						until = end
					}
					continue
				}
				n++
				if oldest.IsZero() || f.Time.Before(oldest) {
					oldest = f.Time
				}
			}
		}
		age := r.Now.Sub(oldest).Round(time.Second)
		more := ""
		if all > n {
			more = fmt.Sprintf("; %d held for a repeat, quiet hours or a budget, the first until %s", all-n, doctor.Stamp(until))
		}
		switch hint := r.Command("queue"); {
		case all >= spool.Limit*9/10:
			r.Fail("queue", hint, "%d events wait, and it takes %d", all, spool.Limit)
		case n == 0 && err == nil:
			r.OK("queue", "nothing waits%s", more)
		case n == 0:
		case age >= tooLong:
			r.Fail("queue", hint, "%d wait, the oldest for %v%s", n, age, more)
		case age >= longWait:
			r.Warn("queue", hint, "%d wait, the oldest for %v%s", n, age, more)
		default:
			r.OK("queue", "%d wait, the oldest for %v%s", n, age, more)
		}
		if dead > 0 {
			r.Fail("dead letters", r.Command("queue retry"), "%d events could not be delivered and are kept", dead)
		} else if err == nil {
			r.OK("dead letters", "none")
		}
		if unexpected > 0 {
			r.Warn("foreign files", r.Command("queue"), "%d files in the queue are no events: look at them with queue show, remove them with queue drop", unexpected)
		}
		again := ""
		if r.Host {
			again = "sudo systemctl restart sshnotify || "
		}
		switch busy, silence := s.Busy(), s.Silence(r.Now); {
		case busy && silence > spool.SilentAfter:
			r.Fail("worker", again+stuck, "it holds the queue, and has shown no sign of life for %v: it may be stopped", silence.Round(time.Second))
		case busy:
			r.OK("worker", "running")
		case n > 0 && age >= startWait:
			r.Warn("worker", again+r.Command("deliver --once"), "none is running, and events wait")
		case !r.Host:
			r.OK("worker", "none is running, and none is needed now")
		}
	}}
}

// recordHeld returns until when an event that a worker has judged is held; the zero
// time if it is not, or can't be read.
func recordHeld(s *spool.Spool, f spool.File, until func(Record) time.Time) time.Time {
	if f.Folder != spool.InCur {
		return time.Time{}
	}
	b, err := s.Peek(f)
	if err != nil {
		return time.Time{}
	}
	r, err := DecodeRecord(b)
	if err != nil {
		return time.Time{}
	}
	return until(r)
}

// DestinationsCheck checks how each of the destinations stands, and when it was
// last sent something, by the database in a file. perDay is how many messages a day
// those may be sent that have a budget, in days of the zone.
func DestinationsCheck(file string, names []string, perDay map[string]int, zone *time.Location) doctor.Check {
	return doctor.Check{Needs: doctor.NeedsSettings, Run: func(ctx context.Context, r *doctor.Report) {
		last, states := map[string]time.Time{}, map[string]DestinationState{}
		budgets := Budgets{perDay: perDay, zone: zone}
		if db, err := store.Open(file, store.Options{ReadOnly: true}); err == nil {
			defer db.Close()
			events, _ := ReadDelivered(ctx, db, "", time.Time{})
			for _, e := range events {
				for _, s := range e.Sent {
					if s.At.After(last[s.Dest]) {
						last[s.Dest] = s.At
					}
				}
			}
			for _, name := range names {
				states[name], _ = ReadDestination(db, name)
			}
			budgets = ReadBudgets(db, perDay, zone)
		}
		for _, dest := range names {
			name, st := "destination "+dest, states[dest]
			when := "no earlier message is on record"
			if at := last[dest]; !at.IsZero() {
				when = "last told " + r.Ago(at)
			} else if !st.Pace.Until.IsZero() {
				when += "; last tried " + r.Ago(st.Pace.Until.Add(-st.Pace.For))
			}
			if said := budgets.Say(dest, r.Now); said != "" {
				when += "; " + said
			}
			if s := st.Silent; s != nil && r.Now.Sub(s.At) < silentFor {
				r.Warn(name, r.Command("config check"), "its template for the %s said nothing of the %s %s, %s, which had the built-in words", s.Part, s.Kind, s.Ref, r.Ago(s.At))
			}
			switch left := st.Limited.Left(r.Now); {
			case !st.Broken.IsZero():
				r.Fail(name, r.Command("test"), "broken since %s; %s", doctor.Stamp(st.Broken), when)
			case !st.Late.IsZero():
				r.Fail(name, r.Command("test"), "nothing has arrived since %s; %s", doctor.Stamp(st.Failing), when)
			case left > 0:
				r.Warn(name, r.Command("queue"), "it asked to be left alone for %v; %s", left.Round(time.Second), when)
			case budgets.Full(dest, r.Now):
				r.Warn(name, r.Command("queue"), "its budget of the day is used up for all but what is critical: the rest waits for tomorrow; %s", when)
			default:
				r.OK(name, "%s", when)
			}
		}
	}}
}

// HeartbeatCheck checks whether heartbeats arrive, by the worker's figures and the
// database in a file. start is a command that starts a worker which sends them.
func HeartbeatCheck(file, stateDir, start string) doctor.Check {
	return doctor.Check{Needs: doctor.NeedsSettings, Run: func(ctx context.Context, r *doctor.Report) {
		f, _ := figures.Read(stateDir) // without any there is no beat
		if f.Beat == nil {
			r.Warn("heartbeat", start, "none has been sent: only a worker that stays sends them")
			return
		}
		last := "none has ever arrived"
		if !f.Beat.Last.IsZero() {
			last = "the last one arrived " + r.Ago(f.Beat.Last)
		}
		if f.Beat.Failing.IsZero() {
			r.OK("heartbeat", "%s", last)
			return
		}
		var d heartbeatDoc
		if db, err := store.Open(file, store.Options{ReadOnly: true}); err == nil {
			defer db.Close()
			all, _ := store.LoadAll[heartbeatDoc](ctx, db, kindHeartbeat)
			for _, x := range all {
				if x.Failing.After(d.Failing) {
					d = x
				}
			}
		}
		r.Warn("heartbeat", d.Hint, "none arrives since %s: %s; %s", doctor.Stamp(f.Beat.Failing), cmp.Or(d.Why, "the reason is not known"), last)
	}}
}
