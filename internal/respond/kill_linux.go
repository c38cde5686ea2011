package respond

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// kill ends a process. Its number may be another's by now: a descriptor holds the
// process itself, and the start time says whether it is the one that was looked at.
func kill(h Host, p Process) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil
	case err != nil:
		return fmt.Errorf("process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	now, err := h.look(p.PID)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) || err == nil && now.Start != p.Start {
		return nil
	}
	if err != nil {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("process %d: %w", p.PID, err)
	}
	return nil
}
