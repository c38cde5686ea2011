package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/journald"
)

const (
	// journalBuffer is what entries may take before journalctl must wait: the
	// journal itself keeps them.
	journalBuffer = 4 << 20

	// maxEntry bounds one entry as JSON, in bytes. A message of bytes takes four
	// times its length.
	maxEntry = 4 << 20

	// maxPause is the longest wait before journalctl is started again, in
	// units of the first.
	maxPause = 60
)

// journal reads the journal through journalctl, which every host with a
// journal has, and which can be killed.
type journal struct {
	*stream
	program string
	cursor  string // of the last entry that was read
	writers journald.Reader
	since   int64 // where there is none: when it was begun, in microseconds; 0 is from the start

	mu     sync.Mutex
	child  *exec.Cmd // nil when none runs
	out    io.Closer // what it writes into
	closed bool
	stderr tail

	started     chan struct{} // closed when the first one was started, or could not be
	startedOnce sync.Once
}

// OpenJournal reads the entries that match o.Matches, all if there are none,
// from the position on; without one those that come, or with o.FromStart those
// that there are. journalctl is started again whenever it ends. Where the
// position's entry is gone, it goes on after its time.
func OpenJournal(o Options) (Source, error) {
	o = o.named("journal")
	name := o.Journalctl
	if name == "" {
		name = "journalctl"
	}
	program, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("the journal can't be read without %s: %w", name, bareExec(err))
	}
	o.Path = ""
	st, err := newStream(o, kindJournal, journalBuffer)
	if err != nil {
		return nil, err
	}
	s := &journal{stream: st, program: program, started: make(chan struct{})}
	pos := s.keep.position()
	s.cursor, s.since = pos.Cursor, pos.Since
	if s.cursor == "" && s.since == 0 && !o.FromStart {
		s.since = time.Now().UnixMicro()
		if err := s.keep.commit(Batch{pos: position{Since: s.since}}); err != nil {
			return nil, err
		}
	}
	s.wg.Go(s.run)
	<-s.started // with the rights that this process has now
	return s, nil
}

func bareExec(err error) error {
	if e, ok := errors.AsType[*exec.Error](err); ok {
		return e.Err
	}
	return err
}

// args is how journalctl is called. After failures without a single entry it is
// called differently: half the time without the option that systemd before 236
// does not know, and half the time by the time of the cursor instead of the
// cursor, which it may refuse.
func (s *journal) args(failures int) []string {
	args := []string{"--output=json", "--all", "--no-pager"}
	if failures&1 == 0 {
		args = append(args, "--output-fields="+journald.Fields)
	}
	if !s.opt.Once {
		args = append(args, "--follow")
	}
	since, ok := cursorTime(s.cursor)
	if s.cursor == "" {
		since = s.since
	}
	switch {
	case s.cursor != "" && (failures&2 == 0 || !ok):
		// Not --after-cursor: with matches, some versions of it skip an entry.
		args = append(args, "--no-tail", "--cursor="+s.cursor)
	case since > 0:
		args = append(args, "--no-tail", fmt.Sprintf("--since=@%d.%06d", since/1e6, since%1e6))
	case !s.opt.Once:
		args = append(args, "--no-tail")
	}
	return slices.Concat(args, s.opt.JournalArgs, []string{"--"}, s.opt.Matches)
}

// run keeps journalctl running.
func (s *journal) run() {
	// A child dies with the thread that started it, which must not end before.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	failures, pause := 0, s.opt.poll
	if s.opt.Once {
		failures = 1 // there is no second try
	}
	for {
		began := time.Now()
		n, err := s.runChild(failures)
		if s.isClosed() {
			s.queue.end(nil)
			return
		}
		if s.opt.Once {
			s.queue.end(err)
			return
		}
		if n > 0 || time.Since(began) > time.Minute {
			failures, pause = 0, s.opt.poll
		} else {
			failures++
		}
		if err == nil {
			err = errors.New("journalctl ended")
		}
		if s.keep.trouble(true, false, err) {
			s.opt.Log.Warn("the journal can't be read; trying again", "error", err)
		}
		select {
		case <-s.done:
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause*s.opt.poll)
	}
}

// runChild runs journalctl to its end, and says how many entries it gave.
func (s *journal) runChild(failures int) (entries int, err error) {
	cmd := exec.Command(s.program, s.args(failures)...)
	cmd.SysProcAttr = apart()
	cmd.Env = append(cmd.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	s.stderr.reset()
	cmd.Stderr = &s.stderr
	cmd.WaitDelay = time.Second
	defer s.startedOnce.Do(func() { close(s.started) })
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, nil
	}
	if err := cmd.Start(); err != nil {
		s.mu.Unlock()
		return 0, err
	}
	s.child, s.out = cmd, out
	s.mu.Unlock()
	s.startedOnce.Do(func() { close(s.started) })
	if failures == 0 {
		s.keep.trouble(true, true, nil)
	}
	entries, err = s.read(out)
	s.mu.Lock()
	s.child = nil
	kill(cmd)
	s.mu.Unlock()
	out.Close()
	wait := cmd.Wait()
	if said := s.stderr.last(); said != "" && (wait != nil || entries == 0 && !s.opt.Once) {
		return entries, errors.New(said)
	}
	if errors.Is(err, io.EOF) {
		err = wait
	}
	return entries, err
}

// read hands on the entries that journalctl writes.
func (s *journal) read(out io.Reader) (entries int, err error) {
	r := bufio.NewReaderSize(out, chunk)
	b := s.batch()
	for {
		text, err := readEntry(r)
		if text != nil {
			l, cursor, bad := s.writers.Line(text, s.opt.Name)
			switch {
			case bad != nil || !validCursor(cursor):
				s.keep.trouble(true, true, journald.ErrNoEntry)
			case cursor == s.cursor: // the one of the position
				entries++
			default:
				entries++
				s.cursor = cursor
				b.Lines = append(b.Lines, l)
				b.curs = append(b.curs, cursor)
				b.pos.Cursor = cursor
			}
		}
		if len(b.Lines) > 0 && (err != nil || r.Buffered() == 0 || len(b.Lines) >= MaxLines/4) {
			if !s.queue.put(b, s.done) {
				return entries, io.EOF
			}
			if st := s.keep.status(); !st.Readable {
				s.keep.trouble(true, true, nil)
			}
			b = s.batch()
		}
		if err != nil {
			return entries, err
		}
	}
}

func (s *journal) batch() Batch { return Batch{from: s.opt.Name + "\x00"} }

// readEntry returns the next line, without its end; an empty one for one that is
// too long. With an error, none.
func readEntry(r *bufio.Reader) ([]byte, error) {
	var whole []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		switch {
		case err == nil && whole == nil && !long:
			return part[:len(part)-1], nil
		case len(whole)+len(part) > maxEntry:
			whole, long = nil, true
		case !long:
			whole = append(whole, part...)
		}
		switch {
		case err == nil && long:
			return []byte{}, nil
		case err == nil:
			return whole[:len(whole)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func (s *journal) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close ends journalctl and whatever it started.
func (s *journal) Close() error {
	s.mu.Lock()
	s.closed = true
	if s.child != nil {
		kill(s.child)
		s.out.Close() // one of another user's only ends when it writes
	}
	s.mu.Unlock()
	s.once.Do(func() { close(s.done) })
	s.wg.Wait()
	return s.keep.save()
}

// kill ends a child that was not waited for, and its group.
func kill(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// tail keeps the last of what a child says. It may be used concurrently.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// maxTail is how much of it is kept, in bytes.
const maxTail = 1024

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b[max(0, len(b)-maxTail):]...)
	t.buf = t.buf[max(0, len(t.buf)-maxTail):]
	return len(b), nil
}

func (t *tail) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = nil
}

// last is the last line that says something.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := bytes.TrimSpace(t.buf)
	return strings.ToValidUTF8(string(text[bytes.LastIndexByte(text, '\n')+1:]), "?")
}
