package spool

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// publish writes data in tmp/ and gives it its name in new/.
func (s *Spool) publish(root folder, name string, data []byte, most limits) error {
	tmp, err := s.sub(root, tmpName)
	if err != nil {
		return err
	}
	defer tmp.close()
	ready, err := s.sub(root, newName)
	if err != nil {
		return err
	}
	defer ready.close()
	if err := s.checkCapacity(root, tmp, ready, most, len(data)); err != nil {
		return err
	}

	mode, gid := uint32(0o600), -1
	if s.o.Host {
		mode = 0o640
		if s.o.UID == 0 {
			st, err := root.stat()
			if err != nil {
				return err
			}
			gid = int(st.Gid)
		}
	}
	temp, err := tmp.writeTemp("", data, mode, gid)
	if err != nil {
		return err
	}
	// link(2) and not rename(2), because it never replaces: what has the name may
	// be the same event by another way, or something that was planted.
	err = tmp.link(temp, ready, name)
	if linkRefused(err) {
		err = tmp.renameNew(temp, ready, name)
	}
	// Before the sync below, so that one commit of the file system holds both. If
	// it fails, sweep does it one day.
	tmp.unlink(temp)
	if rand.N(sweepOneIn) == 0 {
		sweep(tmp, time.Now(), alive)
	}
	if errors.Is(err, fs.ErrExist) {
		// Waiting already, unless it is something that no worker will take.
		st, statErr := ready.lstat(name)
		if statErr == nil && !isRegular(st) {
			return err
		}
	} else if err != nil {
		return err
	}
	// Commits the name. Also where somebody else published it, who may not have
	// come this far yet.
	return ready.sync()
}

// linkRefused reports whether link(2) does not exist here: on FAT and its like
// (EPERM) and some network and FUSE file systems.
func linkRefused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) ||
		errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}

const (
	// sweepOneIn is how seldom a hook looks for leftovers in tmp/. They come only
	// from hooks that were killed, and looking costs two system calls; chance
	// needs no memory, and at one in 64 leftovers stay few.
	sweepOneIn = 64
	// sweepAge is how old a leftover is at least. A hook lives for milliseconds.
	sweepAge = time.Hour
	// sweepMost bounds the work of one login.
	sweepMost = 256
)

// sweep removes files in tmp/ whose writers are gone. The age alone does not
// tell, because clocks jump; nor does the process alone, because its id may be
// of another container or come back. A file of a living writer that is removed
// all the same makes that writer's link(2) fail, and so is not lost in silence.
func sweep(tmp folder, now time.Time, alive func(pid int) bool) {
	left := sweepMost
	tmp.each(func(e fs.DirEntry) bool {
		left--
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			return left > 0
		}
		st, err := tmp.lstat(e.Name())
		if err != nil || !isRegular(st) || now.Sub(time.Unix(st.Mtim.Unix())) < sweepAge {
			return left > 0
		}
		if pid, ok := writer(e.Name()); !ok || !alive(pid) {
			tmp.unlink(e.Name())
		}
		return left > 0
	})
}

// writer returns the process id in a name of tempName.
func writer(name string) (pid int, ok bool) {
	digits, _, found := strings.Cut(name, "-")
	n, err := strconv.ParseUint(digits, 10, 31)
	return int(n), found && err == nil && n > 0
}

// alive reports whether a process exists; EPERM means that it does and is
// another user's.
func alive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}
