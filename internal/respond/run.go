package respond

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// runLimit bounds one program. systemctl waits for what it stops.
const runLimit = 30 * time.Second

// maxOutput is how much of a program's output is read.
const maxOutput = 1 << 20

// run runs a program in a clean environment. Its path is absolute: nothing is
// looked for in a PATH that somebody set.
func run(ctx context.Context, stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"}
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second // a child that keeps the pipe open
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = strings.NewReader(stdin), &limited{&out, maxOutput}
	cmd.Stderr = cmd.Stdout
	err := cmd.Run()
	if err != nil {
		if first, _, _ := strings.Cut(strings.TrimSpace(out.String()), "\n"); first != "" {
			err = fmt.Errorf("%s: %w: %s", args[0], err, event.Clean(first, 200))
		} else {
			err = fmt.Errorf("%s: %w", args[0], err)
		}
	}
	return out.String(), err
}

// limited takes all and keeps the beginning.
type limited struct {
	to   *bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.to.Write(b[:n])
	l.left -= n
	return len(b), nil
}

func ownAddresses() (out []netip.Prefix, err error) {
	all, err := net.InterfaceAddrs()
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, netip.PrefixFrom(p.Addr().Unmap().WithZone(""), p.Bits()))
		}
	}
	return out, err
}

// readFile reads the beginning of a file, and waits for no FIFO.
func (h Host) readFile(name string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(h.path(name), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// within returns what f does, unless it takes too long. What a stranger made may lie
// on a file system of theirs that never answers, as may the memory that holds what a
// process says of itself: f is then left to wait for the end of this process.
func within[T any](d time.Duration, f func() T) (v T, ok bool) {
	c := make(chan T, 1)
	go func() { c <- f() }()
	select {
	case v = <-c:
		return v, true
	case <-time.After(d):
		return v, false
	}
}
