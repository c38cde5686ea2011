package cmd

import (
	"context"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/doctor"
)

// destinations reports when each was last told something.
func (x examined) destinations(ctx context.Context, r *doctor.Report) {
	all := x.settings.Destinations
	if len(all) == 0 {
		all = config.Destinations{{Name: channel.LogType}}
	}
	last := map[string]time.Time{}
	db, err := lookInto(x.state)
	if err == nil {
		defer db.Close()
		events, _ := deliver.ReadDelivered(ctx, db, "", time.Time{})
		for _, e := range events {
			for _, s := range e.Sent {
				if s.At.After(last[s.Dest]) {
					last[s.Dest] = s.At
				}
			}
		}
	}
	for _, d := range all {
		name := "destination " + d.Name
		var doc deliver.DestinationState
		if err == nil {
			doc, _ = deliver.ReadDestination(db, d.Name)
		}
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
