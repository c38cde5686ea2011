// Package deliver works the spool: it claims events, asks for facts about
// their addresses, lets the policy judge them, and sends them to every
// destination until each has them or they are dead letters.
//
// One goroutine owns all that is known of the waiting events; look-ups and
// sends run beside it and report back. Everything that must survive a kill is
// on disk before it matters. The package must never import cmd, config or
// install: it gets its settings as values.
package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Mode says when Run returns.
type Mode int

// The modes.
const (
	UntilEmpty Mode = iota // when nothing waits any more; retries are waited for
	Once                   // after one attempt at all that is due
	Follow                 // never, until its context ends
)

// Status says where a reload of the settings is.
type Status int

// The states of a reload.
const (
	Reloading Status = iota
	Reloaded
)

// ErrWaiting means that events are left for a later attempt.
var ErrWaiting = errors.New("events wait for a later attempt")

// Target is a destination and what the settings want it to get.
type Target struct {
	Dest channel.Channel
	policy.Route
	// Quiet are the hours in which only what is critical is told; the rest comes
	// after them.
	Quiet policy.Quiet
	// Remind is how often what is high or critical is told again until somebody
	// acknowledges it; 0: never.
	Remind time.Duration
	// Fallback names the target that tells what is high or critical while this one
	// is out of order; empty: none does.
	Fallback string
	// Templates are the owner's words for what it is told.
	Templates wording.Templates
}

// Settings is what the worker needs of the settings file, as values.
type Settings struct {
	Targets []Target
	// Public are the names of the targets that others read: they get nothing but
	// what is meant for them.
	Public []string
	// Enrich returns the facts about an address; it must not fail, must return
	// soon after its own time limit, and is called concurrently. Nil: nothing
	// is looked up.
	Enrich        func(context.Context, netip.Addr) event.Facts
	EnrichTimeout time.Duration // how long Enrich takes at most
	Policy        policy.Settings
	Memory        Memory            // nil: nothing is remembered
	Host          string            // replaces the event's, when set
	Labels        map[string]string // of this host
	// Owner returns whose key a login was made with, empty where nobody knows;
	// KnownKeys says that there is a list of owners at all. Nil: nobody's.
	Owner     func(event.Event) string
	KnownKeys bool
	// Answered reports whether somebody has acknowledged a login, by its id. Nil: nobody
	// can, and nobody is reminded.
	Answered     func(id string) (bool, error)
	NotifyLogout string // all, alerted or none
	// OrdinaryPerDay is how many ordinary logins policy.NotifyAuto tells one by
	// one in 24 hours.
	OrdinaryPerDay int
	// Offer is the settings file in which the next digest offers NotifyAuto, once;
	// empty: it offers nothing.
	Offer string
	// DigestAt is when the daily digest is made, a time of day in Zone, after
	// midnight.
	DigestAt time.Duration
	Window   time.Duration // of grouping; 0: none
	Zone     *time.Location
	Clock12  bool // times are told in 12 hours
	Runbook  string

	// Beside works beside a worker that stays, for as long as that has the queue's lock
	// and these settings, and returns soon after its context ended. Nil: nothing does.
	Beside func(context.Context, Tell)

	// Typed takes a code that somebody typed in a session, of this host or of one that
	// hands over. Nil: nobody waits for any.
	Typed func(ctx context.Context, in event.Session, code string)

	HandingOver HandingOver // in place of the targets; see judges

	Heartbeat *heartbeat.Pinger // nil: none is sent
	AllWell   AllWell
	Report    Report
}

// Memory remembers logins. It must return soon: the queue waits for it. An
// error means that it does not know, or has not kept something, and must never
// keep an event from being told. It is used by one goroutine.
type Memory interface {
	// Recall returns what is remembered of logins before this one.
	Recall(event.Event, event.Facts) (event.Memory, error)
	// Remember keeps a login, and when it is told.
	// Keeping one twice is keeping it once.
	Remember(event.Event, event.Facts, event.Verdict, policy.Telling) error
	// Digest returns what a digest has to tell of logins before a time that none had
	// yet, and the id of the digest that is to tell them, which stays the same
	// until Digested. No rows: there is nothing to tell.
	Digest(before time.Time) (Digest, error)
	// Digested says that the digest is queued.
	Digested(id string) error
}

// Digest is what a daily digest tells.
type Digest struct {
	ID          string // an event's
	Rows        []event.Row
	Counted     []event.Row     // told nowhere else: left out, silenced, or told before
	Promoted    []event.PairRow // usual since the digest before
	Learned     []event.PairRow // new since then, on a young host
	First, Last time.Time       // of the logins in it
	Hosts       int             // of how many hosts they are, where that is more than one
	// Unanswered is what was told as high or worse and that nobody acknowledged.
	// It makes no digest of its own.
	Unanswered     []event.Unanswered
	MoreUnanswered int
}

// Job is one run of a worker.
type Job struct {
	Spool *spool.Spool
	Mode  Mode
	// Flush: nothing is held for its repeat window, and the digest of usual
	// logins is made now.
	Flush    bool
	Inbox    Inbox     // nil: there is none
	Store    *store.DB // Run closes it
	StateDir string    // where the files of earlier versions are
	Hostname string    // the kernel's, for sshnotify's own notes
	// Load returns the settings: once at the start, and again for every value
	// from Reload. If it fails at the start Run returns its error; later, the
	// settings before it stay.
	Load   func() (Settings, error)
	Reload <-chan struct{}
	// Ready is called once, when the queue is loaded; in Follow also when another
	// worker has it, which may take longer than a service manager waits. May be
	// nil.
	Ready  func()
	Status func(Status) // told around a reload; may be nil
	Log    *slog.Logger
	Alarm  func(string) // says a thing out loud in the system log; may not block long
	// NewWatcher returns a channel that gets a value when something may be new in
	// the folders; nil, or an error, leaves the slow poll.
	NewWatcher func(dirs []string) (<-chan struct{}, func(), error)
	// Alive tells whether a session's sshd still runs, and whether that is sure.
	Alive func(event.Session) (alive, sure bool)

	Figures *figures.Recorder // what is counted; may be nil

	beats beats
	room  int              // events held in memory; 0: maxItems
	clock func() time.Time // nil: time.Now
}

// maxIdle is how often a worker comes back for something in new/ that it then
// can't claim (somebody made a folder of its name in cur/) before it goes.
const maxIdle = 3

// Run works the queue as the mode says. It returns nil when nothing is left or
// the context ended (a message under way is finished first, within
// sendTimeout), ErrWaiting when something is left, spool.ErrLocked when
// another worker is already running.
func Run(ctx context.Context, j Job) error {
	if j.room == 0 {
		j.room = maxItems
	}
	set, err := j.Load()
	if err != nil {
		return err
	}
	defer func() { _ = j.Store.Close() }()
	idle := 0
	for {
		q, err := j.lock(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		left, claimed, err := j.work(ctx, q, &set)
		if e := q.Unlock(); err == nil {
			err = e
		}
		if errors.Is(err, spool.ErrLost) && ctx.Err() == nil {
			j.Log.Error("the spool was replaced while it was worked", "error", err)
			continue
		}
		if err != nil || ctx.Err() != nil {
			return err
		}
		// An event that was published after the last look and before the lock
		// was free found a worker running, so its hook started none. It is ours.
		if empty, e := q.NewIsEmpty(); e != nil {
			return e
		} else if !empty && left < j.room && idle < maxIdle {
			if idle++; claimed > 0 {
				idle = 0
			}
			continue
		} else if !empty {
			left++
		}
		if left > 0 {
			return ErrWaiting
		}
		return nil
	}
}

// silentEvery is how often a worker that waits for the lock looks whether the
// one that holds it lives.
const silentEvery = time.Minute

// lock takes the spool's lock, in Follow as soon as it is free. That whoever has
// it shows no life is said once.
func (j *Job) lock(ctx context.Context) (*spool.Queue, error) {
	if j.Mode != Follow {
		return j.Spool.Lock(ctx, false)
	}
	for said := false; ; {
		if q, err := j.Spool.Lock(ctx, false); !errors.Is(err, spool.ErrLocked) {
			return q, err
		}
		j.ready()
		if silence := j.Spool.Silence(time.Now()); silence > spool.SilentAfter && !said {
			said = true
			j.Log.Error("another worker has the queue, and shows no life", "for", silence)
			j.Alarm(fmt.Sprintf("another worker has the queue of %s, and has shown no life for %v: it may be stopped", j.Spool.Dir(), silence.Round(time.Second)))
		}
		wait, cancel := context.WithTimeout(ctx, silentEvery)
		q, err := j.Spool.Lock(wait, true)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return q, err
		}
	}
}

func (j *Job) ready() {
	if j.Ready != nil {
		j.Ready()
		j.Ready = nil
	}
}

// work runs one worker under the lock, once for each load of the settings. It
// says how many events are left, and how many files were claimed.
func (j *Job) work(ctx context.Context, q *spool.Queue, set *Settings) (left, claimed int, err error) {
	first := true
	var h retryNow
	for {
		w, err := newWorker(j, q, *set, h)
		if err != nil {
			return 0, claimed, err
		}
		if first {
			j.ready()
		}
		first = false
		reload, err := w.run(ctx)
		claimed += w.claimed
		if err != nil || !reload {
			return len(w.items) + len(w.newer) + len(w.unread), claimed, err
		}
		if h = w.asked; !w.reload {
			h.due = true // a reload of the settings, by a signal
		}
		if j.Status != nil {
			j.Status(Reloading)
		}
		if s, err := j.Load(); err != nil {
			j.Log.Error("the new settings are not used", "error", err)
			j.Alarm(fmt.Sprintf("the new settings are wrong, the old ones stay: %v", err))
		} else {
			*set = s
			j.Log.Info("settings reloaded")
		}
		if j.Status != nil {
			j.Status(Reloaded)
		}
	}
}
