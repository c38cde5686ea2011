package source

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// widen asks for a larger buffer, so that writers wait even less.
func widen(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
}

// apart makes a child a group of its own, which dies with the thread that
// starts it.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
