package deliver

import (
	"context"
	"sync"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Tell queues an event of the worker's own making, and returns once it is written
// down. One whose id is known already is not queued again.
type Tell = func(context.Context, event.Event) error

// AddBeside has something work beside the worker together with what does already; nil
// adds nothing.
func (s *Settings) AddBeside(f func(context.Context, Tell)) {
	before := s.Beside
	switch {
	case f == nil:
	case before == nil:
		s.Beside = f
	default:
		s.Beside = func(ctx context.Context, tell Tell) {
			var both sync.WaitGroup
			both.Go(func() { before(ctx, tell) })
			f(ctx, tell)
			both.Wait()
		}
	}
}

// telling is an event that somebody beside the worker has queued.
type telling struct {
	e    event.Event
	done chan error
}

// besides starts what works beside a worker that stays, under its lock and with its
// settings. stop ends it, and waits for that.
func (w *worker) besides(ctx context.Context) (stop func()) {
	if w.set.Beside == nil || w.Mode != Follow {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	w.tellings = make(chan telling)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.set.Beside(ctx, func(asked context.Context, e event.Event) error {
			t := telling{e, make(chan error, 1)}
			select {
			case w.tellings <- t:
				return <-t.done
			case <-asked.Done():
				return asked.Err()
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return func() { cancel(); <-ended }
}

// ownOnce is own for an event that may be queued already.
func (w *worker) ownOnce(e event.Event) error {
	if w.items[e.ID] != nil || w.delivered.has(e.ID) {
		return nil
	}
	return w.own(e)
}

// about returns the id of the event that a note of sshnotify's own is about; empty: it
// is about none. Of another host's, the hub has seen to it that it is one of that host.
func (w *worker) about(it *item) string {
	if n := it.e.Note(); n != nil && it.e.Via == event.ViaSelf {
		return n.Of
	}
	return ""
}
