package deliver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"sort"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
)

const (
	// pollEvery is how often new files are looked for where no notice of them
	// comes: inotify has limits, and network file systems have no inotify.
	pollEvery = 5 * time.Second
	// watchedPollEvery is the same beside a notice: one may be missed, and the
	// overflow folder may not exist yet.
	watchedPollEvery = 20 * time.Second
	// sessionsEvery is how often sessions without a logout are looked for.
	sessionsEvery = 15 * time.Second
	// sweepEvery is how often what was told long ago is forgotten.
	sweepEvery = time.Hour
	// maxItems is how many events are held in memory; the others wait in new/.
	maxItems = 20_000
	// maxLookups is how many addresses are looked up at the same time.
	maxLookups = 8
	// settleExtra is what a backlog waits for its look-ups beyond their own
	// limit, so that the high ones among it are known and can go first.
	settleExtra = 500 * time.Millisecond
	// sendTimeout bounds one attempt at one destination.
	sendTimeout = 20 * time.Second
)

// worker is one run under one load of the settings. All its fields belong to
// the goroutine in run.
type worker struct {
	*Job
	set     Settings
	q       *spool.Queue
	items   map[string]*item
	outlets []*outlet
	ledger  *ledger

	sessions     map[event.Session]*item // logins among the items
	doneMessages []*message              // that arrived, with their files still there

	moreNew     bool  // new/ held more than fits
	unclaimed   error // why the last look at new/ left something there
	lookups     map[netip.Addr][]*item
	lookupQueue []netip.Addr
	running     int // look-ups
	found       chan finding
	sent        chan outcome
	settle      time.Time          // until when a backlog waits for its look-ups; zero: it does not
	behind      map[string][]*item // logouts that wait for the login with this id
	newer       map[string]bool    // events of a newer sshnotify that were reported
	nextLook    time.Time          // for dead sessions
	nextSweep   time.Time
}

// finding is what a look-up reports back.
type finding struct {
	ip    netip.Addr
	facts event.Facts
}

func newWorker(j *Job, q *spool.Queue, set Settings) (*worker, error) {
	now := time.Now()
	l, err := openLedger(j.StateDir, j.Spool.Dir(), now, j.Alive)
	if err != nil {
		return nil, err
	}
	w := &worker{
		Job: j, set: set, q: q, ledger: l,
		items:    make(map[string]*item),
		lookups:  make(map[netip.Addr][]*item),
		found:    make(chan finding, maxLookups),
		sessions: make(map[event.Session]*item),
		behind:   make(map[string][]*item),
		newer:    make(map[string]bool),
	}
	for _, t := range set.Targets {
		w.outlets = append(w.outlets, newOutlet(t, j.StateDir, now))
	}
	w.sent = make(chan outcome, len(w.outlets))
	for _, t := range l.byID {
		for _, o := range w.outlets {
			if at, ok := t.sentTo(o.name); ok {
				if at.After(now) {
					at = now // the clock was set back since
				}
				o.openGroup(t.Group, at, t.Verdict.Severity)
			}
		}
	}
	if err := w.loadCur(); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return w, nil
}

// run is the loop. reload says that the settings should be loaded anew.
func (w *worker) run(ctx context.Context) (reload bool, err error) {
	defer func() { err = errors.Join(err, w.ledger.close()) }()
	changed, every, stopWatching := w.watch()
	defer stopWatching()

	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	defer w.finishSends() // before stopSending: defers run last in, first out

	if err := w.claim(); err != nil {
		return false, err
	}
	poll := time.NewTicker(every)
	defer poll.Stop()
	for {
		w.endSessions(time.Now())
		w.startLookups(sending)
		wake := w.startSends(sending, time.Now())
		if w.Alive != nil && len(w.ledger.bySession) > 0 {
			wake = min(wake, max(0, time.Until(w.nextLook)))
		}
		if w.done() {
			return false, w.unclaimed
		}
		timer := time.NewTimer(wake)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false, nil
		case <-w.Reload:
			timer.Stop()
			return true, nil
		case f := <-w.found:
			w.learn(f)
		case o := <-w.sent:
			w.settleSend(o)
		case <-changed:
			err = w.claim()
		case <-poll.C:
			w.sweep(time.Now())
			err = w.claim()
		case <-timer.C:
		}
		timer.Stop()
		if err != nil {
			return false, err
		}
	}
}

// sweep forgets what is not needed any more.
func (w *worker) sweep(now time.Time) {
	w.sweepMessages()
	if now.Before(w.nextSweep) {
		return
	}
	w.nextSweep = now.Add(sweepEvery)
	if err := w.ledger.prune(now); err != nil {
		w.Log.Error("the list of told events can't be kept", "error", err)
	}
	for _, o := range w.outlets {
		for k, g := range o.groups {
			if now.Sub(g.at) > w.set.Window {
				delete(o.groups, k)
			}
		}
	}
}

// done reports whether the mode lets the worker go.
func (w *worker) done() bool {
	if w.Mode == Follow || w.running > 0 || len(w.lookupQueue) > 0 {
		return false
	}
	for _, o := range w.outlets {
		if o.inflight != nil {
			return false
		}
	}
	if len(w.items) == 0 {
		if !w.moreNew {
			return true
		}
		if err := w.claim(); err != nil {
			return true // the next run says it
		}
		return len(w.items) == 0
	}
	if w.Mode != Once {
		return false
	}
	for _, o := range w.outlets {
		if o.due {
			return false
		}
	}
	return true
}

// watch starts the notice of new files, as far as it is to be had, and says how
// often to look all the same.
func (w *worker) watch() (changed <-chan struct{}, every time.Duration, stop func()) {
	if w.NewWatcher == nil || w.Mode == Once {
		return nil, pollEvery, func() {}
	}
	changed, stop, err := w.NewWatcher(w.Spool.WatchDirs())
	if err != nil {
		w.Log.Warn("new files are looked for by polling", "every", pollEvery, "error", err)
		return nil, pollEvery, func() {}
	}
	return changed, watchedPollEvery, stop
}

// loadCur takes up what an earlier worker had claimed.
func (w *worker) loadCur() error {
	names, err := w.q.List()
	if err != nil {
		return err
	}
	var messages, requests []string
	for _, name := range names {
		if id, ok := idOfFile(name); ok {
			w.take(id, name)
		} else if strings.HasPrefix(name, messagePrefix) {
			messages = append(messages, name)
		} else {
			requests = append(requests, name)
		}
	}
	for _, name := range messages {
		w.takeMessage(name)
	}
	w.evaluateNew()
	for _, name := range requests {
		w.carryOut(name)
	}
	return nil
}

// claim takes what waits in new/, and carries out requests.
func (w *worker) claim() error {
	room := maxItems - len(w.items)
	if room <= 0 {
		w.moreNew = true
		return nil
	}
	// What comes with an error is claimed all the same.
	names, more, err := w.q.Claim(room)
	w.moreNew = more
	for _, f := range w.q.Foreign() {
		w.Log.Warn("something in the spool is no event of ours", "file", f.Path, "type", f.Type, "kept_as", f.Moved)
	}
	for _, name := range names {
		if id, ok := idOfFile(name); ok {
			w.take(id, name)
		} else {
			w.carryOut(name)
		}
	}
	if len(names) > 0 {
		w.evaluateNew()
	}
	if err == nil || errors.Is(err, spool.ErrLost) || w.Mode != Follow {
		return err
	}
	// A service stays: the next look may find the disk mended.
	w.Log.Error("not all that is new can be claimed", "error", err)
	return nil
}

// take reads one event of cur/ into memory. What can't be read is kept in
// failed/, and said.
func (w *worker) take(id, name string) {
	b, err := w.q.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var r Record
	if err == nil {
		r, err = DecodeRecord(b)
	}
	switch {
	case errors.Is(err, event.ErrNewer):
		if !w.newer[name] {
			w.newer[name] = true
			w.Log.Error("an event waits for a newer sshnotify", "file", name)
		}
		return
	case err == nil && r.Event.ID != id:
		err = fmt.Errorf("it holds the event %s", r.Event.ID)
	}
	if err != nil {
		w.Log.Error("a file in the spool is no event; it is kept in failed/", "file", name, "error", err)
		w.Alarm(fmt.Sprintf("%s in the spool can't be read (%v); it is kept in failed/", name, err))
		if err := w.q.Fail(name, nil); err != nil {
			w.Log.Error("it could not be moved", "file", name, "error", err)
		}
		return
	}
	if w.ledger.has(id) {
		w.Log.Debug("told before", "id", id)
		w.remove(name)
		return
	}
	w.items[id] = &item{e: r.Event, parts: r.Parts, sorted: len(r.Parts) > 0}
	if r.Event.Kind == event.KindLogin {
		w.sessions[key(r.Event.Session)] = w.items[id]
	}
}

func (w *worker) remove(name string) {
	if err := w.q.Remove(name); err != nil {
		w.Log.Error("a finished event can't be removed", "file", name, "error", err)
	}
}

// evaluateNew starts on the events that were just taken, the oldest first, so
// that a login is known before its logout.
func (w *worker) evaluateNew() {
	var fresh []*item
	for _, it := range w.items {
		if it.stage == claimed {
			fresh = append(fresh, it)
		}
	}
	sort.Slice(fresh, func(i, j int) bool { return older(fresh[i], fresh[j]) })
	for _, it := range fresh {
		w.evaluate(it)
	}
	if len(fresh) > 1 && w.settle.IsZero() && len(w.lookups) > 0 {
		w.settle = time.Now().Add(w.set.EnrichTimeout + settleExtra)
	}
}

func older(a, b *item) bool {
	if !a.e.Time.Equal(b.e.Time) {
		return a.e.Time.Before(b.e.Time)
	}
	if a.e.Kind != b.e.Kind {
		return a.e.Kind == event.KindLogin
	}
	return a.e.ID < b.e.ID
}
