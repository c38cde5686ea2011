// Package syslog sends lines to the host's system log, for the hook and the
// worker, when there is no better place left to say something.
//
// It must never hold up its caller: the standard library's log/syslog waits
// for ever where /dev/log is full and nobody reads it (a hung journald), and a
// login would wait with it. Here one deadline covers connecting and writing.
// It must never forge or lose a line in silence either: what is not text is
// written out, and a line that did not go out whole is an error.
package syslog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Priority is the severity of a line, as in RFC 3164, section 4.1.1.
type Priority int

// The priorities that sshnotify uses.
const (
	Err     Priority = 3
	Warning Priority = 4
	Notice  Priority = 5
	Info    Priority = 6
)

// facility is authpriv: who logged in is not for everybody to read.
const facility = 10

// timeout is the most that a login waits for the system log.
const timeout = 50 * time.Millisecond

// cutAt is how many bytes are sent of a message that the socket refused as too
// long. Every system log takes 1024 in all (RFC 3164, section 4.1).
const cutAt = 900

// ErrCut means that the message was too long for the socket: its start was
// sent, ending in "…", and the rest was not.
var ErrCut = errors.New("message too long for the system log, only its start was sent")

// Writer sends lines to the system log. Its fields must not change while it is
// in use; then it may be used concurrently, as each line has its own socket.
type Writer struct {
	Paths   []string      // sockets, the first that takes the line wins
	Timeout time.Duration // for one line, over all paths; 0 means 50 ms
}

// New returns a Writer for the sockets where Linux, macOS and FreeBSD have them.
func New() *Writer {
	return &Writer{Paths: []string{"/dev/log", "/var/run/syslog", "/var/run/log"}, Timeout: timeout}
}

// Send logs one line, as a datagram "<PRI>sshnotify[PID]: MESSAGE". Newlines
// and whatever else can't be seen are written out (see event.Clean), so that a
// message can't become two lines. The line bears no time: every system log adds
// its own, and one from here would depend on TZ. Apart from ErrCut, an error
// means that nothing was logged.
func (w *Writer) Send(p Priority, msg string) error {
	wait := w.Timeout
	if wait <= 0 {
		wait = timeout
	}
	deadline := time.Now().Add(wait)
	head := fmt.Sprintf("<%d>sshnotify[%d]: ", facility*8+int(p), os.Getpid())
	// A byte becomes six characters at most, so that this never shortens.
	msg = event.Clean(msg, 6*len(msg))
	reason := errors.New("no socket of the system log is known")
	for i, path := range w.Paths {
		err := send(path, head, msg, deadline)
		if err == nil || errors.Is(err, ErrCut) {
			return err
		}
		// That a socket is not there says less than that one did not answer.
		if i == 0 || errors.Is(reason, fs.ErrNotExist) {
			reason = err
		}
	}
	return reason
}

func send(path, head, msg string, deadline time.Time) error {
	end := ""
	fd, err := dial(path, unix.SOCK_DGRAM)
	if errors.Is(err, unix.EPROTOTYPE) {
		end = "\n" // a stream has no other mark between two lines
		fd, err = dial(path, unix.SOCK_STREAM)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = write(fd, head+msg+end, deadline)
	if errors.Is(err, unix.EMSGSIZE) && len(msg) > cutAt {
		if err = write(fd, head+cut(msg)+end, deadline); err == nil {
			return ErrCut
		}
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// dial connects to a socket of the system log, and never waits. Package net does
// the same, but no program starts fast with it.
func dial(path string, kind int) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_UNIX, kind, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, os.NewSyscallError("fcntl", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		unix.Close(fd)
		return -1, &fs.PathError{Op: "connect", Path: path, Err: err}
	}
	return fd, nil
}

// write writes all of a line, and waits until the deadline for a reader that is
// behind. It tries before it looks at the clock: on a machine so busy that the
// process got its turn too late, a log that has room still takes the line. An
// os.File with a deadline would not have tried.
func write(fd int, line string, deadline time.Time) error {
	for b := []byte(line); ; {
		n, err := unix.Write(fd, b)
		switch {
		case err == nil:
			if b = b[n:]; len(b) == 0 {
				return nil
			}
		case err == unix.EAGAIN || err == unix.ENOBUFS:
			left := time.Until(deadline)
			if left <= 0 {
				return os.ErrDeadlineExceeded
			}
			room := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			if _, err := unix.Poll(room, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
				return os.NewSyscallError("poll", err)
			}
		case err != unix.EINTR:
			return err
		}
	}
}

// cut shortens a clean message without splitting a character.
func cut(msg string) string {
	n := cutAt
	for n > 0 && !utf8.RuneStart(msg[n]) {
		n--
	}
	return strings.TrimRight(msg[:n], " ") + "…"
}
