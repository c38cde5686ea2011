package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	usualWait = 2 * time.Minute
	lookEvery = 200 * time.Millisecond
)

// sighting is a login that came while install waited.
type sighting struct {
	ID   string         `json:"id"`
	User string         `json:"user"`
	IP   string         `json:"ip,omitempty"`
	Time time.Time      `json:"time"`
	Told []deliver.Sent `json:"told,omitempty"`
	// Done: nothing is left to do for it, which need not mean that anybody was told.
	Done bool      `json:"done,omitempty"`
	Held time.Time `json:"held_until,omitzero"` // as in the queue
}

// seenLogin is what tells whether a login is one that is waited for.
type seenLogin struct {
	service, user string
	session       event.Session
}

// await waits for a login, where that is wanted, and says what it saw.
func (o *installOptions) await(ctx context.Context, s *setup, q *prompter, start time.Time) (*sighting, error) {
	limit := o.wait
	if limit == 0 && q != nil {
		limit = usualWait
	}
	if o.noWait || limit == 0 || s.image() {
		if !s.image() && !o.json {
			o.say("log in from another window now, then look: sshnotify doctor%s", map[bool]string{true: " --system"}[o.system])
		}
		return nil, nil
	}
	o.say("log in from another window now; waiting for %v (Ctrl-C ends it)", limit)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	seen := o.watch(ctx, s, start, true, func(seenLogin) bool { return true })
	queue := "sshnotify queue --spool " + shellQuoted(s.spool)
	switch {
	case seen == nil && ctx.Err() == context.Canceled:
		return nil, nil // a person had enough
	case seen == nil:
		err := withHint(errors.New("no login was seen"), "sshnotify doctor"+map[bool]string{true: " --system"}[o.system]+" says what may be in the way")
		if o.wait == 0 {
			o.app.complain(err)
			return nil, nil
		}
		return nil, err
	case seen.Done:
	case !seen.Held.IsZero():
		o.say("held until %s, as a repeat or for quiet hours; what waits, and why: %s", clock(seen.Held, time.Now()), queue)
	case len(seen.Told) == 0:
		err := withHint(errors.New("the login was seen, and was not told yet"), "what waits, and why: "+queue)
		if o.wait == 0 {
			o.app.complain(err)
			return seen, nil
		}
		return seen, err
	}
	return seen, nil
}

// watch looks for the first login since start that counts: in the spool as soon as it is
// there, and among what was delivered, and where that is wanted waits until it was
// told, or until it is known that nobody will be told before ctx ends. It returns what
// it has then.
func (o *installOptions) watch(ctx context.Context, s *setup, start time.Time, untilTold bool, counts func(seenLogin) bool) *sighting {
	var db *store.DB // there is none before the first worker
	defer func() {
		if db != nil {
			db.Close()
		}
	}()
	end, _ := ctx.Deadline()
	queue := queueOptions{app: s.app(o.app), spoolDir: s.spool}
	var seen *sighting
	note := func(id, user, ip string, at time.Time) {
		seen = &sighting{ID: id, User: user, IP: ip, Time: at}
		if ip != "" {
			ip = " from " + ip
		}
		o.say("seen: login of %s%s, ref %s", user, ip, event.Ref(id))
	}
	isNew := func(k event.Kind, at time.Time, l seenLogin) bool {
		return k == event.KindLogin && !at.Before(start.Truncate(time.Millisecond)) && counts(l)
	}
	for {
		if seen == nil || untilTold {
			_, _, all, _ := queue.open() // the next look may find it readable
			for _, e := range all {
				if seen != nil && e.ID == seen.ID && e.Folder == spool.InCur && e.Held.After(end) {
					seen.Held = e.Held
					return seen
				}
				if seen == nil && isNew(e.Event.Kind, e.Event.Time, seenLogin{e.Event.Service, e.Event.User, e.Event.Session}) {
					ip := ""
					if e.Event.Remote.IP.IsValid() {
						ip = e.Event.Remote.IP.String()
					}
					note(e.ID, e.Event.User, ip, e.Event.Time)
				}
			}
		}
		if db == nil {
			if opened, err := lookInto(s.state); err == nil {
				db = opened
			}
		}
		var delivered []*deliver.Delivered
		if db != nil {
			delivered, _ = deliver.ReadDelivered(context.WithoutCancel(ctx), db, "", start.Truncate(time.Millisecond))
		}
		for _, t := range delivered {
			if seen == nil && isNew(t.Kind, t.Time, seenLogin{t.Service, t.User, t.Session}) {
				note(t.ID, t.User, t.IP, t.Time)
			}
			if seen != nil && t.ID == seen.ID {
				seen.Told, seen.Done = t.Sent, !t.Dead
				if untilTold && seen.Done && len(t.Sent) == 0 {
					o.say("counted, and not told: the settings want no message of such a login; to see one: sshnotify test")
				}
				for _, d := range t.Sent {
					o.say("told: %s had it %v after the login", d.Dest, max(0, d.At.Sub(seen.Time)).Round(time.Millisecond))
				}
				return seen
			}
		}
		if seen != nil && !untilTold {
			return seen
		}
		select {
		case <-ctx.Done():
			return seen
		case <-time.After(lookEvery):
		}
	}
}
