package peer

import "golang.org/x/sys/unix"

// openDir needs no permission to list the folder, which others than its owner may only
// enter.
const openDir = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC

func of(fd int) (Process, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Process{}, err
	}
	return Process{int(cred.Pid), int(cred.Uid)}, nil
}
