package deliver

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
)

// Replay is a worker whose clock is that of the events it is given: what they
// would have told, with these settings and this memory. It sends nothing, and
// keeps nothing but what the memory does. Everything that decides is the
// worker's. It is for one goroutine, and takes no witnesses.
type Replay struct {
	w     *worker
	clock time.Time
	told  []*Told
	// late are the messages that another destination may still get, by what they tell.
	late map[string]*Told
}

// Told is a message as destinations would have got it.
type Told struct {
	Time         time.Time // when the first of them would have got it
	Alert        event.Alert
	Events       []event.Event // that it tells, the first first
	Destinations []string
}

// sameMessage is how far two destinations may be apart in a message: each has
// its own pace.
const sameMessage = 10 * time.Minute

// NewReplay returns a replay that begins at the time of its first event. hostname
// is as in Job.
func NewReplay(set Settings, hostname string, log *slog.Logger) *Replay {
	r := &Replay{late: map[string]*Told{}}
	targets := set.Targets
	set.Targets = nil
	for _, t := range targets {
		t.Dest = mute{t.Dest}
		set.Targets = append(set.Targets, t)
	}
	j := &Job{
		Mode: Follow, Hostname: hostname, Log: log, clock: r.Now,
		Alarm: func(text string) { log.Warn(text) },
	}
	r.w = emptyWorker(j, nowhere{}, set, emptyDeliveryLog())
	return r
}

// Now returns the time of the replay.
func (r *Replay) Now() time.Time { return r.clock }

// Take gives the replay an event, at its time or, where that is past, now.
func (r *Replay) Take(ctx context.Context, e event.Event) error {
	r.Advance(ctx, e.Time)
	b, err := e.Encode() // as the spool has it
	if err == nil {
		e, err = event.Decode(b)
	}
	if err != nil {
		return err
	}
	if e.Host != "" {
		r.w.Hostname = e.Host // of digests
	}
	if r.w.enter(Record{Event: e}) {
		r.w.evaluateNew()
	}
	r.settle(ctx)
	return nil
}

// Advance lets time pass.
func (r *Replay) Advance(ctx context.Context, to time.Time) {
	if r.clock.IsZero() {
		r.clock = to
	}
	for r.clock.Before(to) && ctx.Err() == nil {
		wake := r.clock.Add(max(r.settle(ctx), time.Millisecond))
		if wake.After(to) {
			wake = to
		}
		r.clock = wake
	}
	if r.clock.After(r.w.nextSweep) {
		r.w.nextSweep = r.clock.Add(sweepEvery)
		r.w.forget(r.clock)
	}
}

// Told returns the messages since it was last asked that no destination gets
// any more, or with end all of them.
func (r *Replay) Told(end bool) []*Told {
	n := 0
	for n < len(r.told) && (end || r.clock.Sub(r.told[n].Time) > sameMessage) {
		n++
	}
	out := r.told[:n:n]
	r.told = r.told[n:]
	for _, t := range out {
		delete(r.late, t.key())
	}
	return out
}

// settle does what is due now, and returns how long until something is.
func (r *Replay) settle(ctx context.Context) time.Duration {
	w := r.w
	for {
		wake := w.makeDigest(r.clock)
		for len(w.lookupQueue) > 0 {
			ip := w.lookupQueue[0]
			w.lookupQueue = w.lookupQueue[1:]
			w.running++
			w.learn(finding{ip, w.set.Enrich(ctx, ip)})
		}
		wake = min(wake, w.startSends(ctx, r.clock))
		var sent []outcome
		for _, o := range w.queues {
			if o.inflight != nil {
				sent = append(sent, <-w.sent)
			}
		}
		if len(sent) == 0 {
			return wake
		}
		slices.SortFunc(sent, func(a, b outcome) int {
			return cmp.Compare(slices.Index(w.queues, a.o), slices.Index(w.queues, b.o))
		})
		for _, s := range sent {
			r.tell(s)
			w.finishSend(s)
		}
	}
}

// tell notes a message that a destination gets.
func (r *Replay) tell(s outcome) {
	t := &Told{Time: r.clock, Alert: r.w.alert(s.m, r.clock), Destinations: []string{s.o.name}}
	for it := range s.m.all() {
		t.Events = append(t.Events, it.e)
	}
	slices.SortStableFunc(t.Events, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
	if same := r.late[t.key()]; same != nil {
		same.Destinations = append(same.Destinations, s.o.name)
		return
	}
	r.late[t.key()] = t
	r.told = append(r.told, t)
}

func (t *Told) key() string {
	ids := make([]string, len(t.Events))
	for i, e := range t.Events {
		ids[i] = e.ID
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// mute is a destination that is told nothing.
type mute struct{ channel.Channel }

// Send takes any alert.
func (mute) Send(context.Context, event.Alert) (event.Receipt, error) { return nil, nil }

// nowhere is the queue of a worker that keeps nothing. What it does not have,
// only events of a spool lead to.
type nowhere struct{ queue }

// Write keeps nothing.
func (nowhere) Write(string, []byte) error { return nil }

// Remove has nothing to remove.
func (nowhere) Remove(string) error { return nil }
