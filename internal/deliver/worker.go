package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
)

const (
	// pollEvery is how often new files are looked for where no notice of them
	// comes: inotify has limits, and network file systems have no inotify.
	pollEvery = 5 * time.Second
	// watchedPollEvery is the same beside a notice: one may be missed, and the
	// overflow folder may not exist yet.
	watchedPollEvery = 20 * time.Second
	// claimPatience is how long a worker that is to go comes back for what it
	// can't claim.
	claimPatience = 5 * time.Minute
	// sessionsEvery is how often sessions without a logout are looked for.
	sessionsEvery = 15 * time.Second
	// sweepEvery is how often what was told long ago is forgotten.
	sweepEvery = time.Hour
	// maxItems is how many events are held in memory; the others wait in new/.
	maxItems = 20_000
	// maxLookups is how many addresses are looked up at the same time.
	maxLookups = 8
	// lookupGraceExtra is what a backlog waits for its look-ups beyond their own
	// limit, so that the high ones among it are known and can go first.
	lookupGraceExtra = 500 * time.Millisecond
	// sendTimeout bounds one attempt at one destination.
	sendTimeout = 20 * time.Second
)

// queue is the spool, as far as a worker uses it.
type queue interface {
	List() ([]string, error)
	Claim(limit int) (names []string, more bool, err error)
	ClaimRequests() ([]string, error)
	Read(name string) ([]byte, error)
	Write(name string, data []byte) error
	Remove(name string) error
	Fail(name string, data []byte) error
	Failed() ([]string, error)
	ReadFailed(name string) ([]byte, error)
	Retry(name string) error
	Drop(name string) error
	Discard(id string) (int, error)
	Refuse(name string, why error) error
	Foreign() []spool.Foreign
	Beat()
}

// worker is one run under one load of the settings. All its fields belong to
// the goroutine in run.
type worker struct {
	*Job
	set       Settings
	q         queue
	items     map[string]*item
	queues    []*destQueue
	delivered *deliveryLog

	sessions     map[event.Session]*item // logins among the items
	doneMessages []*message              // that arrived, with their files still there

	arrived, moreArrived <-chan struct{} // of the Inbox; nil: there is none

	fresh       []*item            // taken, and not evaluated yet
	claimed     int                // how many files, so far
	moreNew     bool               // new/ held more than fits
	unclaimed   error              // why the last look at new/ left something there
	inbox       error              // the same of the watcher's inbox, which keeps nothing else waiting
	blocked     time.Time          // since when one of them is so; zero: neither is
	saidBlocked string             // what was logged of it
	reload      bool               // somebody asked for another try, with settings that may be mended
	asked       retryNow           // of whoever asked
	unread      map[string]*unread // files of cur/ that could not be read, and are tried again
	unsure      time.Time          // until when nothing new is sent, because a message can't be read; zero: it is
	lookups     map[netip.Addr][]*item
	lookupQueue []netip.Addr
	running     int // look-ups
	found       chan finding
	sent        chan outcome
	lookupGrace time.Time          // until when a backlog waits for its look-ups; zero: it does not
	behind      map[string][]*item // logouts that wait for the login with this id
	refused     *refusalsDoc       // as on disk; nil: not read
	newer       map[string]bool    // events of a newer sshnotify that were reported
	nextLook    time.Time          // for dead sessions
	nextSweep   time.Time
	nextRemind  time.Time // zero: look now
	beaten      time.Time // when it last showed that it lives

	historyDownUntil, historyDownSaid time.Time // of the memory

	daily       daily
	digestAgain time.Time // when to try again to make a digest
	flushed     bool      // what Flush asks of digests is done
	attempts    []*item   // the watchers' digests, which become part of the next

	reports     reportDoc
	reporting   <-chan madeReport // one that is being made; nil: none is
	reportAgain time.Time         // when to try again to make one

	counted   time.Time // when the figures were last written
	changed   bool      // they are others since
	uncounted bool      // they could not be written, which was said
	heartbeat heartbeatDoc
	silences  []event.Silence // as the database had them lately
	witnesses *witnesses
	ordinary  ordinary
	gotIns    []*gotIn // of the last minute
	steps     *steps
	tellings  chan telling // of what works beside; nil: nothing does
	hub       *handingOver // nil: this host tells its events itself
}

// finding is what a look-up reports back.
type finding struct {
	ip    netip.Addr
	facts event.Facts
}

// newWorker takes up what is in cur/. h makes due at once what was put off.
func newWorker(j *Job, q *spool.Queue, set Settings, h retryNow) (*worker, error) {
	now := time.Now()
	j.tidy()
	err := j.Store.Migrate(context.Background())
	if err == nil {
		err = takeOver(j.Store, j.StateDir)
	}
	if err != nil {
		j.Log.Warn("the files of an earlier version are not taken over yet", "error", err)
	}
	l, err := openDeliveryLog(j.Store, j.Spool.Dir(), now, j.Alive)
	if err != nil {
		// Delivering an event twice is better than not at all.
		j.Log.Error("the database can't be used", "error", err)
		j.Alarm(fmt.Sprintf("the database can't be used, and what is delivered now may be delivered again: %v", err))
	}
	w := emptyWorker(j, q, set, l)
	if j.Inbox != nil {
		in := newWithInbox(q, j.Inbox, j.room)
		w.q, w.arrived, w.moreArrived = in, j.Inbox.Changed(), in.again
	}
	w.openHub(now)
	w.sayDamaged()
	for _, t := range l.byID {
		for _, o := range w.queues {
			if at, ok := t.sentTo(o.name); ok {
				w.openWindow(o, t.Group, t.From, t.User, at, t.Verdict.Severity)
			}
		}
	}
	if w.hub != nil && j.Mode == Follow && !h.due && !h.all && len(h.ids) == 0 {
		w.hub.first = now.Add(jitter(firstTry))
	}
	if err := w.loadCur(h); err != nil {
		return nil, err
	}
	return w, nil
}

// emptyWorker returns a worker that has nothing to do yet.
func emptyWorker(j *Job, q queue, set Settings, l *deliveryLog) *worker {
	w := &worker{
		Job: j, set: set, q: q, delivered: l,
		items:    make(map[string]*item),
		lookups:  make(map[netip.Addr][]*item),
		found:    make(chan finding, maxLookups),
		sessions: make(map[event.Session]*item),
		behind:   make(map[string][]*item),
		newer:    make(map[string]bool),
		unread:   make(map[string]*unread),
	}
	for _, t := range set.Targets {
		if !set.HandingOver.judges() {
			break
		}
		w.queues = append(w.queues, newDestQueue(t, j.Store, set.zone(), w.now()))
	}
	w.sent = make(chan outcome, len(w.queues))
	w.witnesses, w.gotIns = recallWitnesses(l), recallGotIns(l, w.now())
	w.steps = recallSteps(l)
	w.ordinary.db = j.Store
	w.loadDaily()
	w.loadReport()
	w.loadHeartbeat()
	w.readSilences()
	return w
}

// now is the time by which the worker decides.
func (w *worker) now() time.Time {
	if w.clock != nil {
		return w.clock()
	}
	return time.Now()
}

// openWindow takes up a group that an earlier worker opened. One that began
// later than it can have was written before the clock was set back: if only a
// little, it begins now, and else it is no group any more, so that a worker that
// is started every minute does not begin it every minute.
func (w *worker) openWindow(o *destQueue, key, from, user string, at time.Time, s event.Severity) {
	now := w.now()
	if at.Sub(now) <= w.set.Window {
		if at.After(now) {
			at = now
		}
		o.openWindow(key, from, user, at, s)
	}
}

// run is the loop. reload says that the settings should be loaded anew.
func (w *worker) run(ctx context.Context) (reload bool, err error) {
	changed, every, stopWatching := w.watch()
	defer stopWatching()

	defer w.awaitBeat() // after stopSending
	defer w.awaitReport()
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	defer w.keepOrdinary(true)
	defer func() { w.keepFigures(w.now(), true) }()
	defer w.closeHub()
	defer w.finishSends() // before stopSending: defers run last in, first out
	defer w.besides(ctx)()

	if err := w.claimAll(); err != nil {
		return false, err
	}
	poll := time.NewTicker(every)
	defer poll.Stop()
	for {
		w.beat(time.Now())
		w.endSessions(time.Now())
		digest := min(w.makeDigest(time.Now()), w.makeReport(sending, time.Now()), w.endSilences(time.Now()), w.remind(time.Now()))
		missed := min(w.missed(time.Now()), w.unanswered(time.Now()))
		if w.moreNew && w.unclaimed == nil && len(w.items) <= w.room/2 {
			if err := w.claimAll(); err != nil {
				return false, err
			}
		}
		if w.reload {
			return true, nil
		}
		w.startLookups(sending)
		wake := min(digest, missed, w.readAgain(time.Now()), w.keepFigures(time.Now(), false))
		if w.reload {
			return true, nil
		}
		wake = min(wake, w.sayWell(time.Now()), w.beatHeart(sending, time.Now()))
		wake = min(wake, w.startSends(sending, time.Now()), w.startHandOver(sending, time.Now()))
		if w.Alive != nil && len(w.delivered.bySession) > 0 {
			wake = min(wake, max(0, time.Until(w.nextLook)))
		}
		if w.done() {
			return false, errors.Join(w.unclaimed, w.inbox)
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
			w.finishSend(o)
		case t := <-w.tellings:
			t.done <- w.ownOnce(t.e)
		case got := <-w.hubAnswer():
			w.finishHandOver(got)
		case made := <-w.reporting:
			w.finishReport(made, time.Now())
		case err := <-w.beats.pending:
			w.finishBeat(err, time.Now())
		case <-changed:
			err = w.claimAll()
		case <-w.arrived:
			err = w.claimAll()
		case <-w.moreArrived:
			err = w.claimAll()
		case <-poll.C:
			w.sweep(time.Now())
			err = w.claimAll()
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
	w.readSilences()
	w.sayRefused(now)
	if err := w.delivered.flush(); err != nil && !errors.Is(err, errDatabaseRests) {
		w.Log.Error("delivered events can't be recorded", "error", err)
	}
	w.sayDamaged()
	w.keepOrdinary(false)
	if now.Before(w.nextSweep) {
		return
	}
	w.nextSweep = now.Add(sweepEvery)
	w.tidy()
	w.forget(now)
}

func (w *worker) keepOrdinary(end bool) {
	if err := w.ordinary.keep(w.now(), end); err != nil {
		w.Log.Warn("how ordinary logins are told can't be kept", "error", err)
	}
}

// forget drops what was told too long ago to matter.
func (w *worker) forget(now time.Time) {
	if err := w.delivered.prune(now); err != nil {
		w.Log.Error("delivered events can't be recorded", "error", err)
	}
	w.witnesses.forget(now, func(id string) bool { return w.items[id] != nil || w.delivered.has(id) })
	w.steps.forget(w.delivered)
	for _, o := range w.queues {
		for k, g := range o.windows {
			if now.Sub(g.at) > w.set.Window {
				delete(o.windows, k)
			}
		}
	}
}

// sayDamaged says that the database was damaged, once, and puts into the new one
// what this worker knows.
func (w *worker) sayDamaged() {
	ctx := context.Background()
	n, err := w.Store.Notice(ctx)
	if err != nil || n == nil {
		return
	}
	w.Alarm(fmt.Sprintf("the database of logins was damaged and begins anew; the old file is %s: %s", n.Moved, n.Why))
	if err := errors.Join(w.delivered.rewrite(), w.Store.ClearNotice(ctx)); err != nil {
		w.Log.Error("the new database can't be used", "error", err)
	}
}

// beatEvery is how often a worker shows that it lives, at most: each time is a
// write to disk. It comes to that at each poll at least.
const beatEvery = 30 * time.Second

func (w *worker) beat(now time.Time) {
	if since := now.Sub(w.beaten); since < 0 || since >= beatEvery {
		w.beaten = now
		w.q.Beat()
	}
}

// tidy moves aside what stands in the place of a state file and is none. A
// state folder that can't be used is said by whatever wants to use it.
func (j *Job) tidy() {
	moved, err := state.Tidy(j.StateDir)
	for _, path := range moved {
		j.Log.Error("this was no file of sshnotify's, and is moved aside", "path", path)
		j.Alarm(fmt.Sprintf("something that is no file of sshnotify's stood in the state folder, and is moved aside: %q", path))
	}
	if err != nil {
		j.Log.Warn("the state folder can't be looked through", "error", err)
	}
}

// done reports whether the mode lets the worker go.
func (w *worker) done() bool {
	if w.Mode == Follow || w.running > 0 || len(w.lookupQueue) > 0 || w.reporting != nil {
		return false
	}
	for _, o := range w.queues {
		if o.inflight != nil {
			return false
		}
	}
	if w.hub != nil && w.hub.busy || len(w.arrived)+len(w.moreArrived) > 0 {
		return false
	}
	if w.Mode == UntilEmpty && (len(w.unread) > 0 || !w.blocked.IsZero() && time.Since(w.blocked) < claimPatience) {
		return false
	}
	if len(w.items) == 0 {
		return true
	}
	if w.Mode != Once {
		return false
	}
	for _, o := range w.queues {
		if o.due {
			return false
		}
	}
	return w.hub == nil || !w.hub.due
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
