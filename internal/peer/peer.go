// Package peer owns the sockets in a worker's state folder at which programs of the
// same host ask it something, and who is at the other end of one by the kernel's word.
package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Process is whoever is at the other end of a socket: the process that connected, or
// that made a listening one (unix(7)), and whose it was then. PID is 0 where it is not
// one of this PID namespace.
type Process struct{ PID, UID int }

// The modes of a socket: who may connect beside root, and may enter the folder.
const (
	Owner    fs.FileMode = 0o600
	Everyone fs.FileMode = 0o666
)

// Listen makes a socket anew, in a folder that is the worker's alone; one that an
// earlier worker left is no worker's any more, since a queue has one.
func Listen(dir, name string, mode fs.FileMode) (*net.UnixListener, error) {
	path, closeDir, err := in(dir, name)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // the path is gone by then
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Dial connects to a socket in a folder, whose listener has to be of the user who owns
// the folder.
func Dial(ctx context.Context, dir, name string, owner int) (*net.UnixConn, error) {
	path, closeDir, err := in(dir, name)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		if e, ok := errors.AsType[*net.OpError](err); ok {
			err = e.Err // whose path is none that anybody knows
		}
		return nil, &fs.PathError{Op: "connect to", Path: filepath.Join(dir, name), Err: err}
	}
	c := conn.(*net.UnixConn)
	p, err := Of(c)
	if err == nil && p.UID != owner {
		err = fmt.Errorf("uid %d answers in place of the worker, uid %d", p.UID, owner)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// in returns the socket's path in a folder that is open, which is short enough for a
// socket's (unix(7): 108 bytes) wherever the folder is.
func in(dir, name string) (path string, closeDir func() error, err error) {
	d, err := unix.Open(dir, openDir, 0)
	if err != nil {
		return "", nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d, name), func() error { return unix.Close(d) }, nil
}

// Of returns who is at the other end of a connection.
func Of(c *net.UnixConn) (p Process, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Process{UID: -1}, err
	}
	ctlErr := raw.Control(func(fd uintptr) { p, err = of(int(fd)) })
	if err := errors.Join(ctlErr, err); err != nil {
		return Process{UID: -1}, err
	}
	return p, nil
}
