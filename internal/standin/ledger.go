package standin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
)

// ledger keeps what happened in order, and lets others wait for it.
type ledger[T any] struct {
	mu      sync.Mutex
	entries []T
	closed  bool
	changed chan struct{} // closed and replaced at every change; nil: nobody waits
}

func (l *ledger[T]) add(e T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	l.wake()
}

func (l *ledger[T]) all() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// close says that nothing more will come.
func (l *ledger[T]) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wake()
}

func (l *ledger[T]) wake() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// wait returns when there are n entries. The error says how many there were
// when ctx ended or the stand-in was closed (http.ErrServerClosed).
func (l *ledger[T]) wait(ctx context.Context, n int) error {
	for {
		l.mu.Lock()
		have, closed := len(l.entries), l.closed
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		if have >= n {
			return nil
		}
		if closed {
			return fmt.Errorf("%d of %d came: %w", have, n, http.ErrServerClosed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d came: %w", have, n, ctx.Err())
		}
	}
}
