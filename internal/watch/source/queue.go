package source

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
	"unsafe"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// lineCost is what a line takes besides its text.
const lineCost = int(unsafe.Sizeof(line.Line{})) + 8

// queue is what stands between a goroutine that reads and one that wants lines.
type queue struct {
	limit int // in bytes

	mu      sync.Mutex
	batches []Batch
	cost    int
	ended   bool
	err     error

	news chan struct{} // has a value when something was put or the end came
	room chan struct{} // has a value when something was taken
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, news: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func cost(b Batch) int { return b.textBytes() + len(b.Lines)*lineCost }

// offer puts b unless there is no room for it.
func (q *queue) offer(b Batch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := cost(b)
	if q.cost > 0 && q.cost+c > q.limit {
		return false
	}
	q.batches = append(q.batches, b)
	q.cost += c
	wake(q.news)
	return true
}

// put puts b, and waits for room until done is closed.
func (q *queue) put(b Batch, done <-chan struct{}) bool {
	for !q.offer(b) {
		select {
		case <-q.room:
		case <-done:
			return false
		}
	}
	return true
}

// end says that nothing more comes: err, or io.EOF for nil.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		err = io.EOF
	}
	if q.ended {
		return
	}
	q.ended, q.err = true, err
	wake(q.news)
}

// take returns up to MaxLines lines; none, and an error after the end.
func (q *queue) take() (Batch, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.batches) == 0 {
		if q.ended {
			wake(q.news) // for the next one who asks
			return Batch{}, q.err
		}
		return Batch{}, nil
	}
	b := q.batches[0]
	n := 1
	for ; n < len(q.batches) && len(b.Lines)+len(q.batches[n].Lines) <= MaxLines; n++ {
		more := q.batches[n]
		b.Lines = append(b.Lines, more.Lines...)
		b.offs = append(b.offs, more.offs...)
		b.curs = append(b.curs, more.curs...)
		b.pos = more.pos
	}
	clear(q.batches[:n]) // the texts must not stay for the sake of the array
	q.batches = q.batches[n:]
	q.cost -= cost(b)
	wake(q.room)
	return b, nil
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// stream is what the sources have in common that a goroutine reads.
type stream struct {
	opt   Options
	keep  *checkpoint
	queue *queue
	done  chan struct{} // closed by Close
	once  sync.Once
	wg    sync.WaitGroup
	given int64
}

func newStream(o Options, kind string, limit int) (*stream, error) {
	k, err := newCheckpoint(o, kind)
	if err != nil {
		return nil, err
	}
	return &stream{opt: o, keep: k, queue: newQueue(limit), done: make(chan struct{})}, nil
}

func (s *stream) Name() string   { return s.opt.Name }
func (s *stream) Status() Status { return s.keep.status() }

func (s *stream) Read(ctx context.Context) (Batch, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Batch{}, err
		}
		b, err := s.queue.take()
		if err != nil {
			return Batch{}, err
		}
		if len(b.Lines) > 0 {
			s.given++
			b.seq = s.given
			s.keep.got(b)
			return b, nil
		}
		due, err := s.keep.saveDue()
		if err != nil {
			s.opt.Log.Warn("the position was not written", "error", err)
			due = saveEvery
		}
		if err := s.wait(ctx, due); err != nil {
			return Batch{}, err
		}
	}
}

func (s *stream) wait(ctx context.Context, due time.Duration) error {
	var timer <-chan time.Time
	if due > 0 {
		timer = time.After(due)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.queue.news:
	case <-timer:
	}
	return nil
}

func (s *stream) Commit(b Batch) error {
	err := s.keep.commit(b)
	select {
	case <-s.done:
		return errors.Join(err, s.keep.save())
	default:
		return err
	}
}
