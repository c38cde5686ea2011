package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// crowdedUID is a user of whom nothing runs but what this file starts.
const crowdedUID = 64321

// queueSignals has so many signals wait for a thread of the user's, until stop.
func queueSignals(t *testing.T, uid, many int) (stop func()) {
	t.Helper()
	done, queued := make(chan struct{}), make(chan int)
	go func() {
		// The thread ends with its goroutine: nothing else may run as that user.
		runtime.LockOSThread()
		const signal = 40
		blocked := uint64(1) << (signal - 1)
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, uintptr(unsafe.Pointer(&blocked)), 0, 8, 0, 0)
		syscall.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
		var info [128]byte
		info[8] = 0xff // si_code: SI_QUEUE, which is -1
		info[9], info[10], info[11] = 0xff, 0xff, 0xff
		n := 0
		for ; n < many; n++ {
			if _, _, errno := syscall.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(os.Getpid()), uintptr(unix.Gettid()), signal, uintptr(unsafe.Pointer(&info)), 0, 0); errno != 0 {
				break
			}
		}
		queued <- n
		<-done
	}()
	if n := <-queued; n < many {
		t.Errorf("%d signals of %d can be queued", n, many)
	}
	return func() { close(done) }
}

// How many signals wait is counted for each user, and the hook of su needs a few
// for its threads while it is the caller's still: with as many waiting as the
// limit allows it would try for ever, until the caller kills it.
func TestAttackQueuedSignals(t *testing.T) { eachHook(t, testAttackQueuedSignals) }

func testAttackQueuedSignals(t *testing.T, small bool) {
	t.Parallel()
	asCaller(t)
	if b, err := os.ReadFile("/proc/self/status"); err != nil || !roomForSignals(string(b), 4096) {
		lacking(t, "room for signals")
	}
	stop := queueSignals(t, crowdedUID, 4096)
	defer stop()
	s := newSwiftSite(t, standin.SlackOptions{}, forgetful)
	s.small = small
	t.Cleanup(s.endWorkers)
	b := newSandbox(t)
	caller := []string{"setpriv", "--ruid", strconv.Itoa(crowdedUID), "--rgid", strconv.Itoa(crowdedUID), "--clear-groups", "--"}
	for _, tool := range []string{"timeout", "prlimit"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacking(t, tool)
		}
	}
	hook := func(limit string) {
		t.Helper()
		r := s.do(call{
			args:   []string{"hook", "--services", "su", "--spool", s.spool, "--config", s.settings},
			env:    []string{"PATH=" + os.Getenv("PATH"), "PAM_SERVICE=su", "PAM_USER=root", "PAM_RUSER=nobody", "PAM_TYPE=open_session"},
			within: append(append(b.within(), append(strings.Fields("timeout --signal=KILL 20 prlimit"), strings.Fields(limit)...)...), caller...),
		})
		if r != (result{}) {
			t.Errorf("%s: the hook must be silent and exit 0: %+v", limit, r)
		}
	}
	hook("--sigpending=2048: --")
	until(t, "the message", func() bool { return len(s.slack.Messages()) == 1 })
	// Root, where it may lift no limit.
	hook("--sigpending=2048:2048 -- setpriv --bounding-set -sys_resource --")
	until(t, "another message, or event", func() bool { return len(s.slack.Messages()) == 2 || len(s.waiting()) == 1 })
}

// roomForSignals reads how many signals a process of this user may have waiting:
// "SigQ:	3/31357".
func roomForSignals(status string, want int) bool {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "SigQ:"); ok {
			_, most, _ := strings.Cut(strings.TrimSpace(rest), "/")
			n, err := strconv.Atoi(most)
			return err == nil && n > want
		}
	}
	return false
}
