package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
)

const (
	usualWait = 2 * time.Minute
	lookEvery = 200 * time.Millisecond
)

// sighting is a login that came while install waited.
type sighting struct {
	ID   string     `json:"id"`
	User string     `json:"user"`
	IP   string     `json:"ip,omitempty"`
	Time time.Time  `json:"time"`
	Told []delivery `json:"told,omitempty"`
}

// delivery says when a destination got an event.
type delivery struct {
	Dest string    `json:"dest"`
	At   time.Time `json:"at"`
}

// toldLine is what is read here of the worker's list of told events.
type toldLine struct {
	ID   string     `json:"id"`
	Time time.Time  `json:"time"`
	Kind event.Kind `json:"kind"`
	User string     `json:"user"`
	IP   string     `json:"ip"`
	Sent []delivery `json:"sent"`
}

// toldReader reads what workers add to their lists in a state folder.
type toldReader struct {
	dir  string
	read map[string]int64 // bytes, by file
}

// next returns the lines that are new since the last call.
func (r *toldReader) next() []toldLine {
	files, _ := filepath.Glob(filepath.Join(r.dir, "told-*.jsonl"))
	var out []toldLine
	for _, name := range files {
		f, err := state.Open(name, os.O_RDONLY)
		if err != nil {
			continue
		}
		if fi, err := f.Stat(); err == nil && fi.Size() < r.read[name] {
			r.read[name] = 0 // it was written anew, without what is old
		}
		b, _ := io.ReadAll(io.NewSectionReader(f, r.read[name], 1<<30))
		f.Close()
		for line := range bytes.Lines(b) {
			var t toldLine
			err := json.Unmarshal(line, &t)
			if err != nil && line[len(line)-1] != '\n' {
				break // it is being written
			}
			r.read[name] += int64(len(line))
			if err == nil && event.ValidID(t.ID) {
				out = append(out, t)
			}
		}
	}
	return out
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
	seen := o.watch(ctx, s, start)
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
	case len(seen.Told) == 0:
		err := withHint(errors.New("the login was seen, and was not told yet"), "repeats within group.window go with the next message; what waits, and why: sshnotify queue --spool "+shellQuoted(s.spool))
		if o.wait == 0 {
			o.app.complain(err)
			return seen, nil
		}
		return seen, err
	}
	return seen, nil
}

// watch looks for the first login since start: in the spool as soon as it is
// there, and in the list of what was told. It returns what it has when ctx
// ends.
func (o *installOptions) watch(ctx context.Context, s *setup, start time.Time) *sighting {
	told := &toldReader{dir: s.state, read: map[string]int64{}}
	queue := queueOptions{app: s.app(o.app), spoolDir: s.spool}
	var seen *sighting
	note := func(id, user, ip string, at time.Time) {
		seen = &sighting{ID: id, User: user, IP: ip, Time: at}
		if ip != "" {
			ip = " from " + ip
		}
		o.say("seen: login of %s%s, ref %s", user, ip, event.Ref(id))
	}
	isNew := func(k event.Kind, at time.Time) bool {
		return k == event.KindLogin && !at.Before(start.Truncate(time.Millisecond))
	}
	for {
		if seen == nil {
			_, _, all, _ := queue.open() // the next look may find it readable
			for _, e := range all {
				if seen == nil && isNew(e.Event.Kind, e.Event.Time) {
					ip := ""
					if e.Event.Remote.IP.IsValid() {
						ip = e.Event.Remote.IP.String()
					}
					note(e.ID, e.Event.User, ip, e.Event.Time)
				}
			}
		}
		for _, t := range told.next() {
			if seen == nil && isNew(t.Kind, t.Time) {
				note(t.ID, t.User, t.IP, t.Time)
			}
			if seen != nil && t.ID == seen.ID && len(t.Sent) > 0 {
				seen.Told = t.Sent
				for _, d := range t.Sent {
					o.say("told: %s had it %v after the login", d.Dest, max(0, d.At.Sub(seen.Time)).Round(time.Millisecond))
				}
				return seen
			}
		}
		select {
		case <-ctx.Done():
			return seen
		case <-time.After(lookEvery):
		}
	}
}
