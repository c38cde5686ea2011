// Package hook is what stands on the way of every login: it reads one login or
// logout from the environment that pam_exec(8) or a login shell gives it, puts
// it into the spool, and has a worker started where no service delivers. The
// small program sshnotify-hook is this package and nothing else; the hook
// command of sshnotify is the same code.
//
// It must never fail, wait for a network, read the settings, resolve a name or
// print anything: what goes wrong is said in the system log. It must not reach
// cobra, net/http, golang.org/x/crypto or anything else that makes a program
// slow to start.
package hook

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// Options are the hook's flags.
type Options struct {
	Spool    string   // --spool DIR; empty: the host's for root, one's own otherwise
	Config   string   // --config FILE, handed to the worker
	Services []string // --services, the PAM services to tell of; none: sshd
	NoWorker bool     // --no-worker: a service delivers
}

// Parse reads the flags, each as "--name value" or "--name=value". With an error
// it returns all that was understood: a login is told with that.
func Parse(args []string) (o Options, err error) {
	for len(args) > 0 && args[0] != "--" {
		name, value, given := strings.Cut(args[0], "=")
		args = args[1:]
		to := func(string) {}
		switch name {
		case "--spool":
			to = func(v string) { o.Spool = v }
		case "--config":
			to = func(v string) { o.Config = v }
		case "--services":
			to = func(v string) {
				if v != "" {
					o.Services = append(o.Services, strings.Split(v, ",")...)
				}
			}
		case "--no-worker":
			if o.NoWorker = true; given {
				var wrong error
				if o.NoWorker, wrong = strconv.ParseBool(value); wrong != nil {
					err = fmt.Errorf("%s: %q is neither true nor false", name, value)
				}
			}
			continue
		case "--log-level": // a flag of all commands
		default:
			if strings.HasPrefix(name, "-") {
				err = fmt.Errorf("unknown flag %q", name)
			}
			continue
		}
		if !given {
			if len(args) == 0 {
				return o, fmt.Errorf("%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		to(value)
	}
	return o, err
}

// Run puts one login or logout into the spool. It never fails: whatever happens
// ends in a line in the system log, and the caller exits with 0. Worker returns
// the program that delivers, and is asked only where one is to be started.
func Run(args []string, worker func() (string, error)) {
	// First of all: as long as this process is another user's as well, that user
	// can kill it; and it can't be anything else without some limits.
	raiseLimits()
	mixed, identityErr := becomeEffective()
	// A user's environment may hold GOGC=off or a memory limit of a few bytes,
	// with which the collector would never stop.
	debug.SetGCPercent(100)
	debug.SetMemoryLimit(math.MaxInt64)
	quiet()
	log := syslog.New()
	say := func(p syslog.Priority, format string, v ...any) {
		// There is nobody left to tell that the system log can't be told.
		_ = log.Send(p, fmt.Sprintf(format, v...))
	}
	defer func() {
		if r := recover(); r != nil {
			say(syslog.Err, "hook: a bug, please report it: %v", r)
		}
	}()
	if identityErr != nil {
		say(syslog.Warning, "hook: it can't become its effective user entirely: %v", identityErr)
	}
	o, err := Parse(args)
	if err != nil {
		// The login is told all the same, with what was understood.
		say(syslog.Err, "hook: the command line in the PAM or shell set-up is wrong: %v", err)
	}
	h := login.Live()
	e, err := login.Read(h, login.Options{Services: o.Services, Now: time.Now()})
	if errors.Is(err, login.ErrNothing) {
		return
	}
	if err != nil {
		say(syslog.Warning, "hook: nothing can be told of this login: %v", err)
		return
	}
	data, err := e.Encode()
	if err != nil {
		say(syslog.Err, "hook: %s of %q can't be stored: %v", e.Kind, e.User, err)
		return
	}
	stranger := mixed || e.Via == event.ViaPAM
	dir := paths.Absolute(o.Spool)
	if dir == "" {
		dir = user(h, stranger).SpoolDir()
	}
	p, err := putInTime(dir, h.UID, e.ID+".json", data)
	if err != nil {
		say(syslog.Err, "hook: this is not in the spool and will not be sent (%v): %s", err, data)
		return
	}
	if p.late {
		// Whoever asked that spool for its worker would wait as well.
		say(syslog.Warning, "hook: %s does not answer (%v), this one is kept in %s", dir, errLate, p.where)
		return
	}
	if h.UID == 0 && p.where != dir {
		say(syslog.Warning, "hook: %s can't take events, this one is kept in %s", dir, p.where)
	}
	silence := p.spool.Silence(time.Now())
	silent := silence > spool.SilentAfter
	if o.NoWorker && !silent {
		return
	}
	if p.spool.Busy() {
		if silent {
			say(syslog.Err, "hook: the worker of %s has shown no life for %v, and nothing is sent: it may be stopped", dir, silence.Round(time.Second))
		}
		return
	}
	if o.NoWorker || IsMixed() { // which a worker refuses
		return
	}
	program, err := worker()
	if err == nil {
		err = StartWorker(program, dir, paths.Absolute(o.Config), workerEnv(h, stranger))
	}
	if err != nil {
		say(syslog.Err, "hook: no worker could be started, the event waits in the spool: %v", err)
	}
}

// user returns whose default paths are meant. Where the environment is a
// stranger's, only the password file counts, and for root not even that.
func user(h login.Host, stranger bool) paths.User {
	if h.UID == 0 && stranger {
		return paths.User{} // the host's, whatever a home has
	}
	_, home := h.Account()
	if stranger {
		return paths.User{UID: h.UID, Home: home, MachineID: paths.MachineID()}
	}
	u := paths.Of(h.UID, os.Getenv)
	u.Home = cmp.Or(u.Home, home)
	return u
}

// Patience is how long a login waits for the spool. A disk that has much to
// do takes some hundred milliseconds.
const Patience = 3 * time.Second

// errLate means that a spool did not answer in time: its file system is frozen,
// or a server away.
var errLate = errors.New("it has not answered for " + Patience.String())

// put says where an event is now.
type put struct {
	spool *spool.Spool
	where string
	late  bool // the spool itself did not answer
}

// putInTime puts an event into a spool, or, where that takes too long, into the
// host's overflow. The end of the process then ends the attempt, if that waits
// for a server; if it comes about all the same, the event is there twice, under
// one id, which is told once.
func putInTime(dir string, uid int, name string, data []byte) (put, error) {
	type answer struct {
		put
		err error
	}
	done := make(chan answer, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				done <- answer{err: fmt.Errorf("a bug, please report it: %v", r)}
			}
		}()
		s := spool.Open(spool.For(dir, uid)) // which looks at the folder
		where, err := s.Put(name, data)
		done <- answer{put{spool: s, where: where}, err}
	}()
	select {
	case a := <-done:
		return a.put, a.err
	case <-time.After(Patience):
	}
	if uid != 0 {
		return put{}, errLate
	}
	s := spool.Open(spool.For(dir, uid))
	where, err := s.PutOverflow(name, data)
	if err != nil {
		return put{}, errors.Join(errLate, err)
	}
	return put{s, where, true}, nil
}

// quiet makes sure that nothing, not even the runtime's own complaints, is
// printed into somebody's session.
func quiet() {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return
	}
	for fd := range 3 {
		dup2(int(null.Fd()), fd)
	}
}
