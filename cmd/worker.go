package cmd

import (
	"errors"
	"fmt"
	"os"
	"syscall"

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
