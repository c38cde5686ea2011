//go:build !linux

package source

import (
	"os"
	"syscall"
)

// widen does nothing: the buffer's size is the system's.
func widen(*os.File) {}

// apart makes a child a group of its own.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
