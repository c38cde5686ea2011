package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/spool"
)

// giveState makes the state folder that of the spool's worker. The host's is not
// given to a user whose own spool root was told to work.
func giveState(spoolDir, stateDir string, uid, gid int) error {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return err
	}
	d, err := os.Open(stateDir)
	if err != nil {
		return err
	}
	defer d.Close()
	var folder, queue syscall.Stat_t
	if err := syscall.Fstat(int(d.Fd()), &folder); err != nil {
		return err
	}
	if err := syscall.Stat(spoolDir, &queue); err != nil {
		return err
	}
	switch {
	case int(folder.Uid) == uid:
		return nil
	case folder.Uid != 0 || queue.Uid != 0:
		return withHint(fmt.Errorf("%s is the queue of uid %d, and %s is that of uid %d", spoolDir, uid, stateDir, folder.Uid),
			fmt.Sprintf("run it as that user: sudo -u '#%d' sshnotify …", uid))
	}
	return d.Chown(uid, gid)
}

// becomeOwner makes a process of root's the owner of the spool's cur/, so that
// no file of root's locks the service out. Other processes stay who they are.
func (a *app) becomeOwner(spoolDir, stateDir string) error {
	uid, gid, err := a.giveOwner(spoolDir, stateDir)
	if err != nil || uid == 0 || a.uid != 0 {
		return err
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	if err := syscall.Setuid(uid); err != nil {
		return err
	}
	a.uid = uid
	return nil
}

// giveOwner gives the state folder to the owner of the spool's cur/, and returns
// who that is; 0 where there is nothing to become.
func (a *app) giveOwner(spoolDir, stateDir string) (uid, gid int, err error) {
	if a.uid != 0 {
		return 0, 0, nil
	}
	if uid, gid, err = spool.Open(spool.For(spoolDir, a.uid)).Owner(); err != nil || uid == 0 {
		return 0, 0, err
	}
	return uid, gid, giveState(spoolDir, stateDir, uid, gid)
}

// asOwner runs a function as becomeOwner would, and is root again after it.
func (a *app) asOwner(spoolDir, stateDir string, run func() error) (err error) {
	uid, gid, err := a.giveOwner(spoolDir, stateDir)
	if err != nil && !errors.Is(err, spool.ErrMissing) {
		return err
	}
	if uid == 0 {
		return run()
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return err
	}
	if err := syscall.Setegid(gid); err != nil {
		return err
	}
	if err := syscall.Seteuid(uid); err != nil {
		return err
	}
	a.uid = uid
	defer func() {
		err = errors.Join(err, syscall.Seteuid(0), syscall.Setegid(0), syscall.Setgroups([]int{0}))
		a.uid = 0
	}()
	return run()
}

const (
	// renewLimit is longer than a worker's message under way takes, which it ends with.
	renewLimit = sendTimeout + 5*time.Second
	renewLook  = 50 * time.Millisecond
)

// renewWorker has an account's queue worked by this program: a worker of an older one,
// which stood where this one is, can't read what newer hooks write, and holds the queue
// until all that it can read is told. What it left is told now.
func (a *app) renewWorker(ctx context.Context, spoolDir string) error {
	s := spool.Open(spool.For(spoolDir, a.uid))
	if endReplaced() {
		ctx, cancel := context.WithTimeout(ctx, renewLimit)
		defer cancel()
		for s.Busy() && ctx.Err() == nil {
			time.Sleep(renewLook)
		}
	}
	if files, err := s.Waiting(); err != nil || len(files) == 0 {
		return err
	}
	return a.ensureWorker(spoolDir)
}

// endReplaced tells the workers to end that belong to whoever runs this, and whose
// program was replaced by this one. It reports whether there are any.
func endReplaced() (found bool) {
	self, err := os.Executable()
	if err != nil {
		return false
	}
	processes, _ := os.ReadDir("/proc")
	for _, p := range processes {
		dir := filepath.Join("/proc", p.Name())
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		var st syscall.Stat_t
		exe, err := os.Readlink(filepath.Join(dir, "exe"))
		if err != nil || exe != self+" (deleted)" || syscall.Stat(dir, &st) != nil || int(st.Uid) != os.Geteuid() {
			continue
		}
		words, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if w := bytes.Split(words, []byte{0}); err == nil && len(w) > 1 && string(w[1]) == "deliver" {
			found = syscall.Kill(pid, syscall.SIGTERM) == nil || found
		}
	}
	return found
}
