package pattern

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// RunnerOptions say how much may run.
type RunnerOptions struct {
	AtOnce int           // programs at a time; 0: 2
	Queue  int           // matches that wait for their turn; 0: 100
	Grace  time.Duration // from SIGTERM to SIGKILL; 0: 2 s
	// Report is told how each run ended; from up to AtOnce goroutines at a time.
	// nil: nobody is.
	Report func(Result)
}

// Result is how a run ended.
type Result struct {
	Pattern string
	Program string
	Exit    int    // status; -1: it did not end by itself, or did not start
	Err     error  // nil: it ended by itself, with 0
	Late    bool   // its time was over, and it was ended
	Output  string // standard output and error, cleaned, the first 4 KiB
	Dropped int    // how many matches since the last result were not run, because too many waited
}

// Runner runs the programs of matches: as a list of arguments, never by a
// shell, in / with a clean environment and a process group of its own. Its
// methods may be called concurrently.
type Runner struct {
	o       RunnerOptions
	queue   chan Match
	wg      sync.WaitGroup
	dropped atomic.Int64
	ctx     context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex
	closed bool
}

// NewRunner starts a Runner, which Close ends.
func NewRunner(o RunnerOptions) *Runner {
	o.AtOnce = cmp.Or(max(o.AtOnce, 0), 2)
	o.Queue = cmp.Or(max(o.Queue, 0), 100)
	o.Grace = cmp.Or(max(o.Grace, 0), 2*time.Second)
	if o.Report == nil {
		o.Report = func(Result) {}
	}
	r := &Runner{o: o, queue: make(chan Match, o.Queue)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for range o.AtOnce {
		r.wg.Go(r.work)
	}
	return r
}

// Run has a match's program run, without waiting for it. It reports whether
// there is room; what has none is counted and told with the next Result. A match
// without a program needs none.
func (r *Runner) Run(m Match) bool {
	if m.Exec == nil || len(m.Exec.Args) == 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		select {
		case r.queue <- m:
			return true
		default:
		}
	}
	r.dropped.Add(1)
	return false
}

// Close takes nothing more and waits until everything ran. When ctx ends it
// ends what is running, runs nothing of what waits, and still waits for the
// former. It gives how many were not run that no Result told.
func (r *Runner) Close(ctx context.Context) (dropped int) {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.queue)
	}
	r.mu.Unlock()
	stop := context.AfterFunc(ctx, r.cancel)
	defer stop()
	r.wg.Wait()
	r.cancel()
	return int(r.dropped.Swap(0))
}

func (r *Runner) work() {
	for m := range r.queue {
		if r.ctx.Err() != nil {
			r.dropped.Add(1)
			continue
		}
		res := r.run(m)
		res.Dropped = int(r.dropped.Swap(0))
		r.o.Report(res)
	}
}

// maxOutput is how much of what a program says is kept, in bytes.
const maxOutput = 4 << 10

func (r *Runner) run(m Match) Result {
	res := Result{Pattern: m.Pattern, Program: m.Exec.Args[0], Exit: -1}
	input, err := json.Marshal(m)
	if err != nil {
		res.Err = err
		return res
	}
	ctx, cancel := context.WithTimeout(r.ctx, m.Exec.Timeout)
	defer cancel()
	out := &head{left: maxOutput}
	cmd := exec.CommandContext(ctx, m.Exec.Args[0], m.Exec.Args[1:]...)
	cmd.Dir, cmd.Env = "/", environment(m)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return signalGroup(cmd.Process.Pid, syscall.SIGTERM) }
	// Then the program is killed; and a child of its that keeps the output open
	// is not waited for any longer.
	cmd.WaitDelay = r.o.Grace
	err = cmd.Run()
	if cmd.Process != nil && err != nil && ctx.Err() != nil {
		// What the program has started, and did not obey. A group's number is not
		// given again while one of it is alive.
		_ = signalGroup(cmd.Process.Pid, syscall.SIGKILL)
		res.Late = errors.Is(ctx.Err(), context.DeadlineExceeded)
	}
	if cmd.ProcessState != nil {
		res.Exit = cmd.ProcessState.ExitCode()
	}
	if !errors.Is(err, exec.ErrWaitDelay) || res.Exit != 0 {
		res.Err = err
	}
	res.Output = event.Clean(string(bytes.TrimSpace(out.buf.Bytes())), maxOutput)
	return res
}

// signalGroup signals a process and those that it started.
func signalGroup(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(-pid, sig); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}

// head keeps the start of what is written to it, and takes the rest, so that
// nobody waits.
type head struct {
	buf  bytes.Buffer
	left int
}

func (h *head) Write(p []byte) (int, error) {
	n := min(len(p), h.left)
	h.buf.Write(p[:n])
	h.left -= n
	return len(p), nil
}
