package hook

import (
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// closeOnExec marks every descriptor from first on, which this process may
// have inherited, so that no child keeps it open.
func closeOnExec(first uint) {
	if unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// Kernels before 5.11 can't do it at once.
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range fds {
		if fd, err := strconv.Atoi(e.Name()); err == nil && uint(fd) >= first {
			unix.CloseOnExec(fd)
		}
	}
}

func dup2(from, to int) { _ = unix.Dup3(from, to, 0) }
