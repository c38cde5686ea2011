package hook

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func userIDs() (r, e, s int)   { return unix.Getresuid() }
func groupIDs() (r, e, s int)  { return unix.Getresgid() }
func setUserIDs(uid int) error { return unix.Setresuid(uid, uid, uid) } // of all threads

func setGroupIDs(gid int) error { return unix.Setresgid(gid, gid, gid) }
func setGroups(gid int) error   { return syscall.Setgroups([]int{gid}) } // x/sys has one of a single thread

// rlimitSigpending is RLIMIT_SIGPENDING of Linux (asm-generic/resource.h).
const rlimitSigpending = 11

// reachesThreads reports whether the runtime can have all threads change their
// ids, which takes a queued signal for each: without room for one it would try
// for ever. How many are queued is counted for each user, whose processes may
// have all the room that there is: where root may lift no limit, as in some
// containers, that is all there will be.
func reachesThreads() bool {
	const enough = 64
	var now unix.Rlimit
	if unix.Getrlimit(rlimitSigpending, &now) != nil {
		return true
	}
	b, err := os.ReadFile("/proc/self/status")
	_, line, found := strings.Cut(string(b), "\nSigQ:")
	count, _, _ := strings.Cut(strings.TrimSpace(line), "/")
	queued, numErr := strconv.ParseUint(count, 10, 64)
	if err != nil || !found || numErr != nil {
		queued = 0
	}
	return now.Cur >= enough && queued <= now.Cur-enough
}

// raiseLimits gives back what a caller took away: a user's own ulimit comes along
// through su and sudo, to the hook and to its worker after it. Root gets all of
// it, others as much as they may have. What can't be raised is not said, since
// what it leads to will be.
func raiseLimits() {
	for _, limit := range [...]struct {
		which int
		need  uint64
	}{
		{unix.RLIMIT_AS, unix.RLIM_INFINITY},
		{unix.RLIMIT_DATA, unix.RLIM_INFINITY},
		{unix.RLIMIT_RSS, unix.RLIM_INFINITY},
		{unix.RLIMIT_FSIZE, unix.RLIM_INFINITY},
		{unix.RLIMIT_CPU, unix.RLIM_INFINITY},
		{unix.RLIMIT_RTTIME, unix.RLIM_INFINITY},
		{unix.RLIMIT_NPROC, unix.RLIM_INFINITY},
		{unix.RLIMIT_LOCKS, unix.RLIM_INFINITY},
		{unix.RLIMIT_NOFILE, 1024},
		{rlimitSigpending, unix.RLIM_INFINITY}, // a caller can have any number of them wait
		{unix.RLIMIT_STACK, 8 << 20},
	} {
		var now unix.Rlimit
		if unix.Getrlimit(limit.which, &now) != nil || now.Cur >= limit.need {
			continue
		}
		want := unix.Rlimit{Cur: limit.need, Max: max(limit.need, now.Max)}
		if unix.Setrlimit(limit.which, &want) != nil {
			unix.Setrlimit(limit.which, &unix.Rlimit{Cur: min(limit.need, now.Max), Max: now.Max})
		}
	}
	// One that a terminal, or a limit, sends by itself must not end a hook that
	// is writing.
	signal.Ignore(unix.SIGXFSZ, unix.SIGXCPU, unix.SIGPIPE, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM,
		unix.SIGALRM, unix.SIGVTALRM, unix.SIGPROF, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
}

// stayAlive keeps a worker from being the first process that the kernel kills
// when memory runs out, because whoever called su asked to be it.
func stayAlive() {
	const path = "/proc/self/oom_score_adj"
	if b, err := os.ReadFile(path); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && n > 0 {
			_ = os.WriteFile(path, []byte("0"), 0)
		}
	}
}
