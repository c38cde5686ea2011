package deliver

import (
	"context"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
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
)

// QueueCheck checks what waits in a spool, and that a worker is running where
// one is needed. stuck is a command that ends a worker which hangs.
func QueueCheck(s *spool.Spool, stuck string) doctor.Check {
	return doctor.Check{Run: func(_ context.Context, r *doctor.Report) {
		files, err := s.Waiting()
		if err != nil {
			r.Fail("queue", doctor.ShellLine("ls", "-lR", s.Dir()), "not all of it can be read: %v", err)
		}
		strange, _ := s.Strange()
		n, dead, unexpected := 0, 0, len(strange)
		var oldest time.Time
		for _, f := range files {
			switch {
			case f.Folder == spool.InFailed && f.IsEvent():
				dead++
			case !f.IsEvent() && !f.IsWorkers():
				unexpected++
			case f.IsEvent():
				n++
				if oldest.IsZero() || f.Time.Before(oldest) {
					oldest = f.Time
				}
			}
		}
		age := r.Now.Sub(oldest).Round(time.Second)
		switch hint := r.Command("queue"); {
		case n == 0 && err == nil:
			r.OK("queue", "nothing waits")
		case n == 0:
		case n >= spool.Limit*9/10:
			r.Fail("queue", hint, "%d events wait, and it takes %d", n, spool.Limit)
		case age >= tooLong:
			r.Fail("queue", hint, "%d wait, the oldest for %v", n, age)
		case age >= longWait:
			r.Warn("queue", hint, "%d wait, the oldest for %v", n, age)
		default:
			r.OK("queue", "%d wait, the oldest for %v", n, age)
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

// DestinationsCheck checks how each of the destinations stands, and when it was
// last sent something, by the database in a file.
func DestinationsCheck(file string, names []string) doctor.Check {
	return doctor.Check{Needs: doctor.NeedsSettings, Run: func(ctx context.Context, r *doctor.Report) {
		last, states := map[string]time.Time{}, map[string]DestinationState{}
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
		}
		for _, dest := range names {
			name, st := "destination "+dest, states[dest]
			when := "no earlier message is on record"
			if at := last[dest]; !at.IsZero() {
				when = "last told " + r.Ago(at)
			} else if !st.Pace.Until.IsZero() {
				when += "; last tried " + r.Ago(st.Pace.Until.Add(-st.Pace.For))
			}
			switch left := st.Limited.Left(r.Now); {
			case !st.Broken.IsZero():
				r.Fail(name, r.Command("test"), "broken since %s; %s", doctor.Stamp(st.Broken), when)
			case left > 0:
				r.Warn(name, r.Command("queue"), "it asked to be left alone for %v; %s", left.Round(time.Second), when)
			default:
				r.OK(name, "%s", when)
			}
		}
	}}
}
