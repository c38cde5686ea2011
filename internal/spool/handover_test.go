package spool

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// work is what a worker does with a spool: until nothing comes after it has
// unlocked.
func work(t *testing.T, s *Spool, deliver func(name string)) {
	for {
		q, err := s.Lock(t.Context(), false)
		if errors.Is(err, ErrLocked) {
			return // that one looks again after it has unlocked
		}
		if err != nil {
			t.Error(err)
			return
		}
		for more := true; more; {
			if _, more, err = q.Claim(5); err != nil {
				t.Error(err)
			}
			names, err := q.List()
			if err != nil {
				t.Error(err)
			}
			for _, name := range names {
				if b, err := q.Read(name); err != nil || !bytes.Equal(b, content(name)) {
					t.Errorf("%s: %d bytes, error %v", name, len(b), err)
				}
				deliver(name)
				if err := q.Remove(name); err != nil {
					t.Error(err)
				}
			}
		}
		q.Unlock()
		empty, err := q.NewIsEmpty()
		if err != nil {
			t.Error(err)
		}
		if empty {
			return
		}
	}
}

// hook is what a login does.
func hook(t *testing.T, s *Spool, startWorker func()) {
	name := newEvent()
	if _, err := s.Put(name, content(name)); err != nil {
		t.Error(err)
	}
	if !s.Busy() {
		startWorker()
	}
}

// oracle counts what is delivered.
type oracle struct {
	mu    sync.Mutex
	names map[string]int
}

func (o *oracle) deliver(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.names == nil {
		o.names = map[string]int{}
	}
	o.names[name]++
}

func (o *oracle) check(t *testing.T, want int) {
	t.Helper()
	for name, n := range o.names {
		if n != 1 {
			t.Errorf("%s was delivered %d times", name, n)
		}
	}
	if len(o.names) != want {
		t.Errorf("%d of %d events were delivered", len(o.names), want)
	}
}

// A login that comes when the last worker is about to leave, 1,500 times. It
// starts none, for it sees that one; without the worker's look after unlocking
// its event would wait for the next login. In a stream of logins that does not
// show, so there is quiet after each.
func TestHandOverStrandsNothing(t *testing.T) {
	const lanes = 4
	rounds := 75
	if os.Getenv("SSHNOTIFY_E2E") != "" {
		rounds = 375
	}
	var all sync.WaitGroup
	var stranded, metBusy atomic.Int64
	for range lanes {
		s := Open(Options{Dir: fastDir(t)})
		all.Go(func() {
			var o oracle
			for range rounds {
				var running sync.WaitGroup
				start := func() { running.Go(func() { work(t, s, o.deliver) }) }
				hook(t, s, start)
				// The second login, some time while the first one's worker works.
				for range rand.N(40) {
					runtime.Gosched()
				}
				met := true
				hook(t, s, func() { met = false; start() })
				if met {
					metBusy.Add(1)
				}
				running.Wait()
				if left := files(t, s.o.Dir, newName); len(left) > 0 {
					stranded.Add(int64(len(left)))
				}
			}
			work(t, s, o.deliver)
			o.check(t, 2*rounds)
		})
	}
	all.Wait()
	if n := stranded.Load(); n > 0 {
		t.Errorf("%d events of %d hand-overs were stranded", n, lanes*rounds)
	}
	if metBusy.Load() == 0 {
		t.Error("no login met a worker: nothing was tried")
	}
	t.Logf("%d logins of %d met a worker", metBusy.Load(), lanes*rounds)
}

// Twenty streams of logins at once, each login starting a worker if none runs.
func TestTwentyProducers(t *testing.T) {
	const producers, each = 20, 25
	s := Open(Options{Dir: fastDir(t)})
	var o oracle
	var hooks, running sync.WaitGroup
	for range producers {
		hooks.Go(func() {
			for range each {
				hook(t, s, func() { running.Go(func() { work(t, s, o.deliver) }) })
			}
		})
	}
	hooks.Wait()
	running.Wait()
	o.check(t, producers*each)
	if left, err := s.Waiting(); err != nil || len(left) > 0 {
		t.Errorf("stranded: %v, %v", left, err)
	}
}
