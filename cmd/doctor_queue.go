package cmd

import (
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
)

// How long an event may wait: a retry is due after a quarter of an hour at
// most, and an outage of a day is one that somebody should know of.
const (
	longWait = 15 * time.Minute
	tooLong  = 24 * time.Hour
	// noWorker is far above the time that a worker takes to start.
	noWorker = time.Minute
)

// queue checks what waits in the spool, and that somebody works it.
func (x *examination) queue() {
	s := spool.Open(spool.For(x.spool, x.host.UID))
	files, err := s.Waiting()
	if err != nil {
		x.add("queue", install.Fail, "ls -lR "+shellQuoted(x.spool), "not all of it can be read: %v", err)
	}
	strange, _ := s.Strange()
	n, dead, foreign := 0, 0, len(strange)
	var oldest time.Time
	for _, f := range files {
		switch {
		case f.Folder == spool.InFailed && f.IsEvent():
			dead++
		case !f.IsEvent() && !f.IsWorkers():
			foreign++
		case f.IsEvent():
			n++
			if oldest.IsZero() || f.Time.Before(oldest) {
				oldest = f.Time
			}
		}
	}
	age := x.now.Sub(oldest).Round(time.Second)
	switch hint := x.command("queue"); {
	case n == 0 && err == nil:
		x.add("queue", install.OK, "", "nothing waits")
	case n == 0:
	case n >= spool.Limit*9/10:
		x.add("queue", install.Fail, hint, "%d events wait, and it takes %d", n, spool.Limit)
	case age >= tooLong:
		x.add("queue", install.Fail, hint, "%d wait, the oldest for %v", n, age)
	case age >= longWait:
		x.add("queue", install.Warn, hint, "%d wait, the oldest for %v", n, age)
	default:
		x.add("queue", install.OK, "", "%d wait, the oldest for %v", n, age)
	}
	if dead > 0 {
		x.add("dead letters", install.Fail, x.command("queue retry"), "%d events could not be told and are kept", dead)
	} else if err == nil {
		x.add("dead letters", install.OK, "", "none")
	}
	if foreign > 0 {
		x.add("foreign files", install.Warn, x.command("queue"), "%d files in the queue are no events: look at them with queue show, remove them with queue drop", foreign)
	}
	switch busy, silence := s.Busy(), s.Silence(x.now); {
	case busy && silence > spool.SilentAfter:
		hint := silentHint(x.spool)
		if x.system {
			hint = "sudo systemctl restart sshnotify || " + hint
		}
		x.add("worker", install.Fail, hint, "one has the queue, and has shown no life for %v: it may be stopped", silence.Round(time.Second))
	case busy:
		x.add("worker", install.OK, "", "one is at it")
	case n > 0 && age >= noWorker:
		hint := x.command("deliver --once")
		if x.system {
			hint = "sudo systemctl restart sshnotify || " + hint
		}
		x.add("worker", install.Warn, hint, "none runs, and events wait")
	case !x.system:
		x.add("worker", install.OK, "", "none runs, and none is needed now")
	}
}

// outletDoc is what is read here of a destination's document.
type outletDoc struct {
	Pace    state.Hold `json:"pace"`
	Limited state.Hold `json:"limited"`
	Broken  time.Time  `json:"broken"`
}

// destinations says when each was last told something.
func (x *examination) destinations() {
	if x.broken != nil {
		return
	}
	all := x.settings.Destinations
	if len(all) == 0 {
		all = []config.Destination{{Name: "log", Type: config.DestinationLog}}
	}
	last := map[string]time.Time{}
	for _, t := range (&toldReader{dir: x.state, read: map[string]int64{}}).next() {
		for _, s := range t.Sent {
			if s.At.After(last[s.Dest]) {
				last[s.Dest] = s.At
			}
		}
	}
	for _, d := range all {
		name := "destination " + d.Name
		doc := state.Read[outletDoc](filepath.Join(x.state, "destination-"+d.Name+".json"))
		told := "when it was last told something is not known"
		if at := last[d.Name]; !at.IsZero() {
			told = "last told " + ago(x.now, at)
		} else if !doc.Pace.Until.IsZero() {
			told += "; last tried " + ago(x.now, doc.Pace.Until.Add(-doc.Pace.For))
		}
		switch left := doc.Limited.Left(x.now); {
		case !doc.Broken.IsZero():
			x.add(name, install.Fail, x.command("test"), "broken since %s; %s", stamp(doc.Broken), told)
		case left > 0:
			x.add(name, install.Warn, x.command("queue"), "it asked to be left alone for %v; %s", left.Round(time.Second), told)
		default:
			x.add(name, install.OK, "", "%s", told)
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func ago(now, t time.Time) string {
	return stamp(t) + ", " + max(0, now.Sub(t)).Round(time.Second).String() + " ago"
}
