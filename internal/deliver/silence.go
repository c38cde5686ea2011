package deliver

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// kindSilence is the kind of document that a event.Silence is; its name is
	// the silence's id.
	kindSilence = "silence"
	// silenceSettles is how long after its end a silence is told: what happened
	// before it may still be looked up.
	silenceSettles = 30 * time.Second
)

// ReadSilences returns the silences that have not been told to be over, the one that
// ends first before the others.
func ReadSilences(ctx context.Context, db *store.DB) ([]event.Silence, error) {
	all, err := store.LoadAll[event.Silence](ctx, db, kindSilence)
	return slices.SortedFunc(maps.Values(all), func(a, b event.Silence) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.ID, b.ID))
	}), err
}

// AddSilence keeps a silence, which holds from then on.
func AddSilence(ctx context.Context, db *store.DB, s event.Silence) error {
	return db.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error { return store.Put(t, kindSilence, s.ID, s) })
}

// RemoveSilence ends a silence that nobody is told of any more. Twice is the same
// as once.
func RemoveSilence(ctx context.Context, db *store.DB, id string) error {
	return store.Delete(ctx, db, kindSilence, id)
}

// readSilences takes up what was silenced, or is no more, since it was last called.
// What can't be read now stays as it was: a silence of a day before is better
// than a host that is woken, and critical events are told in any case.
func (w *worker) readSilences() {
	if w.Store == nil {
		return
	}
	all, err := ReadSilences(context.Background(), w.Store)
	if err != nil {
		w.Log.Warn("the silences can't be read", "error", err)
		return
	}
	w.silences = all
}

// errRemoved is of a silence that is no more.
var errRemoved = errors.New("removed")

// silenced returns the silence that keeps an item from being told, and counts it
// there; nil: there is none. What an earlier worker has begun to tell is told.
func (w *worker) silenced(it *item) *event.Silence {
	if it.sorted {
		return nil
	}
	for i := range w.silences {
		s := &w.silences[i]
		if !policy.Silences(*s, it.e, it.verdict) {
			continue
		}
		err := store.Update(context.Background(), w.Store, kindSilence, s.ID, func(d *event.Silence) error {
			if d.ID == "" {
				return errRemoved
			}
			if d.Held == nil {
				d.Held = map[event.Kind]int{}
			}
			d.Held[it.e.Kind]++
			d.Worst = max(d.Worst, it.verdict.Severity)
			return nil
		})
		if errors.Is(err, errRemoved) {
			continue
		}
		if err != nil {
			w.Log.Warn("how much a silence held can't be counted", "silence", event.Ref(s.ID), "error", err)
		}
		it.silence = s.String() + ": " + s.Why
		w.Log.Info("silenced", "id", it.e.ID, "silence", event.Ref(s.ID), "user", it.e.User, "ip", it.e.Remote.IP)
		return s
	}
	return nil
}

// unjudged reports whether there is an event from before a time of which it is not
// known yet whether it is told.
func (w *worker) unjudged(before time.Time) bool {
	for _, it := range w.items {
		if it.stage != ready && it.e.Kind != event.KindDigest && it.e.Time.Before(before) {
			return true
		}
	}
	return false
}

// endSilences tells the silences that are over. It returns how long until the next
// one is.
func (w *worker) endSilences(now time.Time) time.Duration {
	wake := forever
	w.silences = slices.DeleteFunc(w.silences, func(s event.Silence) bool {
		if left := s.Until.Add(silenceSettles).Sub(now); left > 0 {
			wake = min(wake, left)
			return false
		}
		if w.moreNew || w.unjudged(s.Until) {
			wake = min(wake, silenceSettles)
			return false
		}
		d, err := store.Load[event.Silence](context.Background(), w.Store, kindSilence, s.ID)
		if err != nil {
			w.Log.Warn("a silence that is over can't be read", "error", err)
			wake = min(wake, silenceSettles)
			return false
		}
		if d.ID == "" {
			return true // somebody removed it, and told that
		}
		e := w.ownEvent(now, wording.SilenceEnded(d, ""))
		e.ID = event.LoginID(event.Session{Boot: "silence"}, d.ID) // after a kill it is the same again
		if w.items[e.ID] == nil && !w.delivered.has(e.ID) {
			if err := w.own(e); err != nil {
				wake = min(wake, silenceSettles)
				return false
			}
		}
		if err := RemoveSilence(context.Background(), w.Store, d.ID); err != nil {
			w.Log.Warn("a silence that is over can't be removed", "error", err)
		}
		return true
	})
	return wake
}
