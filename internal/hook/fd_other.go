//go:build !linux

package hook

import "golang.org/x/sys/unix"

// closeOnExec marks the descriptors that a shell is likely to hand down, so
// that no child keeps them open.
func closeOnExec(first uint) {
	for fd := first; fd < 256; fd++ {
		unix.CloseOnExec(int(fd))
	}
}

func dup2(from, to int) { _ = unix.Dup2(from, to) }
