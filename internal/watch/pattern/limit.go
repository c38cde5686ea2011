package pattern

import (
	"container/list"
	"crypto/sha256"
	"time"
)

// limiter holds a threshold's count for each key. What it remembers is bounded:
// the key that was not seen for longest goes when there are too many.
type limiter struct {
	Threshold
	max   int
	keys  map[keyHash]*list.Element
	order *list.List // of *bucket, the newest in front
}

// keyHash stands for a key, so that long ones take no more memory than others.
type keyHash [16]byte

type bucket struct {
	key   keyHash
	start time.Time // of the window
	last  time.Time
	seen  int // in the window
	left  int // not told, since the last that was
}

func newLimiter(t Threshold, max int) *limiter {
	return &limiter{Threshold: t, max: max, keys: map[keyHash]*list.Element{}, order: list.New()}
}

// take counts a line, and says whether it is told, for how many lines it
// stands, and how many before it were left out.
func (l *limiter) take(key string, at time.Time) (tell bool, stands, left int) {
	l.forget(at, 2) // more than one comes: it never falls behind
	b := l.bucket(key, at)
	return b.take(&l.Threshold, at)
}

// take counts a line of the key.
func (b *bucket) take(t *Threshold, at time.Time) (tell bool, stands, left int) {
	if outside(b.start, at, t.window()) {
		b.start, b.seen = at, 0
	}
	b.last = at
	b.seen++
	stands = 1
	switch t.Type {
	case Limit:
		tell = b.seen <= t.Count
	case Each:
		if b.seen == t.Count {
			b.seen, b.start = 0, at
			return true, t.Count, 0
		}
		return false, 0, 0
	case Both:
		if b.seen < t.Count {
			return false, 0, 0
		}
		tell, stands = b.seen == t.Count, t.Count
	}
	if !tell {
		b.left++
		return false, 0, 0
	}
	left, b.left = b.left, 0
	return true, stands, left
}

func (t *Threshold) window() time.Duration { return time.Duration(t.Seconds) * time.Second }

// outside reports whether a time is no part of the window that began at start.
// Lines come a little out of order; but when the clock is set back, or one line
// has a year to come, waiting for the window's end could take for ever.
func outside(start, at time.Time, window time.Duration) bool {
	return !at.Before(start.Add(window)) || at.Before(start.Add(-window))
}

func (l *limiter) bucket(key string, at time.Time) *bucket {
	sum := sha256.Sum256([]byte(key))
	hash := keyHash(sum[:])
	if e, ok := l.keys[hash]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if l.order.Len() >= l.max {
		l.drop(l.order.Back())
	}
	b := &bucket{key: hash, start: at}
	l.keys[hash] = l.order.PushFront(b)
	return b
}

// forget drops at most n keys whose window is long over.
func (l *limiter) forget(at time.Time, n int) {
	for range n {
		e := l.order.Back()
		if e == nil || at.Before(e.Value.(*bucket).last.Add(2*l.window())) {
			return
		}
		l.drop(e)
	}
}

func (l *limiter) drop(e *list.Element) {
	delete(l.keys, e.Value.(*bucket).key)
	l.order.Remove(e)
}

// calm is the threshold of a pattern without one: one line a minute. Its bucket
// is not forgotten, and what it left out is told when the minute is over.
var calm = Threshold{Type: Limit, Count: 1, Seconds: 60}

// due reports whether lines were left out that nobody has been told of for a
// minute.
func (b *bucket) due(at time.Time) bool { return b.left > 0 && !at.Before(b.start.Add(calm.window())) }

// tell begins a minute with the lines that were left out.
func (b *bucket) tell(at time.Time) (left int) {
	left = b.left
	b.start, b.seen, b.left = at, 1, 0
	return left
}
