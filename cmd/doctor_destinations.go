package cmd

import (
	"context"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/state"
)

// outletDoc is what is read here of a destination's document.
type outletDoc struct {
	Pace    state.Hold `json:"pace"`
	Limited state.Hold `json:"limited"`
	Broken  time.Time  `json:"broken"`
}

// destinations says when each was last told something.
func (x examined) destinations(_ context.Context, r *doctor.Report) {
	all := x.settings.Destinations
	if len(all) == 0 {
		all = config.Destinations{{Name: channel.LogType}}
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
			told = "last told " + r.Ago(at)
		} else if !doc.Pace.Until.IsZero() {
			told += "; last tried " + r.Ago(doc.Pace.Until.Add(-doc.Pace.For))
		}
		switch left := doc.Limited.Left(r.Now); {
		case !doc.Broken.IsZero():
			r.Fail(name, r.Command("test"), "broken since %s; %s", doctor.Stamp(doc.Broken), told)
		case left > 0:
			r.Warn(name, r.Command("queue"), "it asked to be left alone for %v; %s", left.Round(time.Second), told)
		default:
			r.OK(name, "%s", told)
		}
	}
}
