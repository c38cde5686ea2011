package enrich

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// flights lets look-ups of the same address share one. The zero value is
// ready.
type flights struct {
	mu     sync.Mutex
	flying map[netip.Addr]*flight
}

type flight struct {
	done    chan struct{} // closed when results are there
	results []Result
	callers int // who still wait
	cancel  context.CancelFunc
}

// do runs work, or joins the run that is on its way. The run does not depend
// on the caller who started it: it ends early when nobody waits any more. do
// reports false if ctx ended first; the last caller to give up waits another
// grace, so that what came in time is used and nothing is left running.
func (fs *flights) do(ctx context.Context, ip netip.Addr, work func(context.Context) []Result) ([]Result, bool) {
	f := fs.join(ctx, ip, work)
	select {
	case <-f.done:
		return f.results, true
	case <-ctx.Done():
	}
	if !fs.leave(ip, f) {
		return nil, false
	}
	timer := time.NewTimer(2 * grace) // one for the providers, one for us
	defer timer.Stop()
	select {
	case <-f.done:
		return f.results, true
	case <-timer.C:
		return nil, false
	}
}

func (fs *flights) join(ctx context.Context, ip netip.Addr, work func(context.Context) []Result) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.flying[ip]
	if f == nil {
		run, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{done: make(chan struct{}), cancel: cancel}
		if fs.flying == nil {
			fs.flying = make(map[netip.Addr]*flight)
		}
		fs.flying[ip] = f
		go func() {
			defer cancel()
			f.results = work(run)
			fs.mu.Lock()
			fs.forget(ip, f)
			fs.mu.Unlock()
			close(f.done)
		}()
	}
	f.callers++
	return f
}

// leave reports whether the caller was the last; then it ends the run, and
// whoever comes next gets one of their own.
func (fs *flights) leave(ip netip.Addr, f *flight) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.callers--
	if f.callers > 0 {
		return false
	}
	f.cancel()
	fs.forget(ip, f)
	return true
}

func (fs *flights) forget(ip netip.Addr, f *flight) {
	if fs.flying[ip] == f {
		delete(fs.flying, ip)
	}
}
