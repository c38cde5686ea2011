package cmd

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
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
	s := spool.Open(spoolOptions(x.spool, x.host.UID))
	files, err := s.Waiting()
	if err != nil {
		x.add("queue", install.Fail, "ls -lR "+shellQuoted(x.spool), "not all of it can be read: %v", err)
	}
	n, dead := 0, 0
	var oldest time.Time
	for _, f := range files {
		switch id, isEvent := strings.CutSuffix(f.Name, ".json"); {
		case f.Folder == spool.InFailed:
			dead++
		case isEvent && event.ValidID(id):
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
	switch busy := s.Busy(); {
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

// providerDoc is what is read here of a provider's document.
type providerDoc struct {
	Month struct {
		Since time.Time `json:"since"`
		Used  int       `json:"used"`
	} `json:"month"`
	Quota   state.Hold `json:"quota"`
	Refused map[string]struct {
		Status int        `json:"status"`
		Hold   state.Hold `json:"hold"`
	} `json:"refused"`
	Down state.Hold `json:"down"`
	Why  string     `json:"why"`
}

// The quota of Threat Jammer's free plan, which look-ups keep to: requests in
// 30 days.
const (
	quotaOfMonth = 5000
	quotaSpan    = 30 * 24 * time.Hour
)

// providers says how each stood at its last look-up. A provider that fails
// makes facts unknown, and no alert late by more than its time-out.
func (x *examination) providers() {
	for _, p := range x.settings.Providers {
		name := "provider " + p.Name
		doc := state.Read[providerDoc](filepath.Join(x.state, "provider-"+p.Name+".json"))
		used := "nothing was asked in the last 30 days"
		if n := doc.Month.Used; n > 0 && x.now.Sub(doc.Month.Since) < quotaSpan {
			used = fmt.Sprintf("requests since %s: %d", stamp(doc.Month.Since), n)
		} else {
			doc.Month.Used = 0
		}
		try := x.command("lookup 203.0.113.7")
		spare := `cache_ttl = "24h" under [enrich] in ` + x.config
		refused := 0
		for _, r := range doc.Refused {
			if r.Hold.Left(x.now) > 0 {
				refused = r.Status
			}
		}
		switch {
		case refused != 0:
			x.add(name, install.Fail, try, "its key was refused (HTTP %d); %s", refused, used)
		case doc.Quota.Left(x.now) > 0 || doc.Month.Used >= quotaOfMonth:
			x.add(name, install.Warn, spare, "its quota is used up: addresses are told as unknown; %s", used)
		case doc.Down.Left(x.now) > 0:
			x.add(name, install.Warn, try, "left alone after failures (%s); %s", event.Clean(doc.Why, 80), used)
		case doc.Month.Used >= quotaOfMonth*9/10:
			x.add(name, install.Warn, spare, "%s, of %d in 30 days", used, quotaOfMonth)
		default:
			x.add(name, install.OK, "", "%s", used)
		}
	}
}
