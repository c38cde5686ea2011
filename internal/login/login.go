// Package login owns the way from the environment of a hook to an event: who
// logged in or out, from where, and on which connection. It decides what of
// that environment can be believed.
//
// It runs while somebody waits for a prompt. It must never reach a network or a
// name service, resolve a name, read the settings, or write anything; and
// nothing that a user puts into the environment may make it fail, forge an
// address, or hide a login.
package login

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// ErrNothing means that there is nothing to tell and nothing is wrong: no SSH
// session, a service that is filtered out, a nested shell of another user. It
// comes wrapped with the reason.
var ErrNothing = errors.New("nothing to tell")

func nothing(reason string) error { return fmt.Errorf("%w: %s", ErrNothing, reason) }

// Host is all of the host that a hook looks at. Tests pretend another one.
type Host struct {
	Root     string // every path is joined to it; "/" in production
	PID      int    // the hook's own
	PPID     int
	UID      int                        // the effective one, which decides
	Environ  func() []string            // second best to /proc/self/environ; nil: os.Environ
	Hostname func() (string, error)     // nil: os.Hostname
	Leader   func(pid int) (int, error) // getsid(2): the process that leads its session; nil: not known
	Probe    func(pid int) error        // kill(2) with signal 0, which does nothing; nil: all succeed
}

// Live returns the host that this process runs on.
func Live() Host {
	return Host{
		Root: "/", PID: os.Getpid(), PPID: os.Getppid(), UID: os.Geteuid(),
		Environ: os.Environ, Hostname: os.Hostname,
		Leader: unix.Getsid,
		Probe:  func(pid int) error { return syscall.Kill(pid, 0) },
	}
}

// Options are what the hook line and the clock say.
type Options struct {
	Services []string // PAM services to tell, compared exactly; none: sshd
	Now      time.Time
}

// Read makes an event of the hook's environment: of the one that pam_exec(8)
// gives where it bears PAM's variables, else of a shell's. The event's id is
// the same for everything that runs on one connection.
//
// An error that is not ErrNothing says what is odd; then there is no event
// either. The environment is read as ReadEnviron does.
func Read(h Host, o Options) (event.Event, error) {
	env, raw := ReadEnviron(h)
	if !env.pam() {
		return fromShell(h, env, o)
	}
	e, err := fromPAM(h, env, o)
	if err == nil && !raw {
		addFlag(&e, event.FlagEnvironmentUnverified)
	}
	return e, err
}

// service is the PAM service that sshd asks for (its PAMServiceName), and what
// a shell's login is told as.
const service = "sshd"

// serviceOf is the name under which a PAM service is told: an sshd of before
// OpenSSH 9.8 asks PAM by its program's name, and Alpine's with PAM is sshd.pam.
func serviceOf(name string) string {
	if name == "sshd.pam" {
		return service
	}
	return name
}

func (o Options) tells(name string) bool {
	if len(o.Services) == 0 {
		return name == service
	}
	return slices.Contains(o.Services, name)
}

// hostname asks the kernel. A host without a name is no reason to lose a login.
func (h Host) hostname() string {
	ask := h.Hostname
	if ask == nil {
		ask = os.Hostname
	}
	name, err := ask()
	if err != nil {
		return ""
	}
	return name
}

func (h Host) path(elem ...string) string {
	return filepath.Join(append([]string{"/", h.Root}, elem...)...)
}

// readFile reads at most limit bytes. The files of /proc have no size that
// could be asked first.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
