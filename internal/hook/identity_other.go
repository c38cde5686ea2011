//go:build !linux

package hook

import (
	"os"
	"os/signal"
	"syscall"
)

func userIDs() (r, e, s int)  { return os.Getuid(), os.Geteuid(), os.Geteuid() }
func groupIDs() (r, e, s int) { return os.Getgid(), os.Getegid(), os.Getegid() }

// setUserIDs sets the saved uid, too, as setreuid(2) says: the real one is set.
func setUserIDs(uid int) error { return syscall.Setreuid(uid, uid) }

func setGroupIDs(gid int) error { return syscall.Setregid(gid, gid) }
func setGroups(gid int) error   { return syscall.Setgroups([]int{gid}) }

// raiseLimits leaves the limits alone, which are a matter of Linux's su here.
func raiseLimits() {
	signal.Ignore(syscall.SIGXFSZ, syscall.SIGXCPU, syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
}

func reachesThreads() bool { return true }

func stayAlive() {}
