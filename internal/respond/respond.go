// Package respond owns what is done after a login that nobody expected: the
// evidence that is taken first, and the actions that end its session, lock the
// account, take out the key and block the address, each with the undo that is
// written down before anything is changed.
//
// It believes the kernel and sshd, and no program's own word that it worked. It
// must never act on the session, the account, the address or the network of
// whoever asks, put a file in place that has not been tried, run a shell, or show
// what a process says of itself as it is.
package respond

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/passwd"
)

// Host is all that is looked at and changed of a machine. Tests pretend another one.
type Host struct {
	Root string // every path is joined to it; "/" in production
	UID  int    // the effective one
	PID  int    // of this process
	Boot string // /proc/sys/kernel/random/boot_id
	// Run runs a program, without a shell, and returns what it wrote to both streams.
	Run func(ctx context.Context, stdin string, args ...string) (string, error)
	// Kill ends a process at once, if it is still the one that was looked at.
	Kill func(h Host, p Process) error
	// Accepts reports whether the host's sshd would take a key for a user, see Probe.
	// nil: it is not asked.
	Accepts func(ctx context.Context, user string, key []byte, port string) (bool, error)
	// Addresses are the machine's own.
	Addresses func() ([]netip.Prefix, error)
	Now       func() time.Time
}

// Live returns the host that this process runs on.
func Live() Host {
	h := Host{Root: "/", UID: os.Geteuid(), PID: os.Getpid(), Run: run, Kill: kill, Accepts: Probe, Addresses: ownAddresses, Now: time.Now}
	h.Boot = strings.TrimSpace(h.text("/proc/sys/kernel/random/boot_id", 64))
	return h
}

func (h Host) path(elem ...string) string {
	return filepath.Join(append([]string{"/", h.Root}, elem...)...)
}

// folders of programs, which root alone may write to on any host.
var programFolders = [...]string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// program returns where a program of the host is; "" where it is not, or where
// others than root may change it.
func (h Host) program(name string) string {
	for _, dir := range programFolders {
		p := filepath.Join(dir, name)
		info, err := os.Stat(h.path(p))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 || info.Mode()&0o022 != 0 {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && h.Root == "/" && st.Uid != 0 {
			continue
		}
		return p
	}
	return ""
}

// Subject is the event that is responded to. A zero value means unknown.
type Subject struct {
	ID      string        `json:"id"`
	Kind    event.Kind    `json:"kind"`
	Time    time.Time     `json:"time"`
	Host    string        `json:"host,omitempty"`
	User    string        `json:"user,omitempty"`
	UID     int           `json:"uid"` // -1: the account is not one of /etc/passwd
	IP      netip.Addr    `json:"ip,omitzero"`
	Session event.Session `json:"session,omitzero"`
	Method  string        `json:"method,omitempty"`
	Key     string        `json:"key,omitempty"` // its fingerprint, also of one in a certificate
	KeyID   string        `json:"key_id,omitempty"`
	CA      string        `json:"ca,omitempty"`
}

// unset is what an audit id is that the kernel was not told.
const unset = 1<<32 - 1

// Ref is what people call the event by.
func (s Subject) Ref() string { return event.Ref(s.ID) }

// Account fills in the number of the subject's account.
func (h Host) Account(s Subject) Subject {
	s.UID = -1
	if u, ok := passwd.ByName(passwd.ReadFile(h.path("/etc/passwd")), s.User); ok && s.User != "" {
		s.UID = u.UID
	}
	return s
}

// Action is one of what can be done.
type Action string

// The actions.
const (
	Lock  Action = "lock"
	Key   Action = "key"
	Block Action = "block"
	End   Action = "end"
)

// Actions are all of them, in the order in which they are done: a session that is
// ended before its way in is shut comes back.
var Actions = []Action{Lock, Key, Block, End}

// ParseActions reads a list such as "end,lock".
func ParseActions(list string) ([]Action, error) {
	var out []Action
	for _, a := range Actions {
		for name := range strings.SplitSeq(list, ",") {
			if strings.TrimSpace(name) == string(a) && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(Actions, Action(strings.TrimSpace(name))) {
			return nil, fmt.Errorf("%q is no action: end, lock, key or block, with commas between them", name)
		}
	}
	return out, nil
}

// Outcome is what became of an action.
type Outcome string

// The outcomes.
const (
	Planned Outcome = ""        // it was only looked at
	Already Outcome = "already" // nothing was to be done
	Done    Outcome = "done"    // done, and seen to be so
	Partly  Outcome = "partly"  // done, and something of it is left: see Step.Left
	Refused Outcome = "refused" // it would hit whoever asks, or many of our own
	Failed  Outcome = "failed"
	Cannot  Outcome = "cannot" // there is nothing of the event that it could be done to
)

// Step is one action: what it is, and what became of it.
type Step struct {
	Action   Action    `json:"action"`
	Title    string    `json:"title"`
	Outcome  Outcome   `json:"outcome,omitempty"`
	Said     []string  `json:"said,omitempty"`     // what was found, done and seen, one after the other
	Left     []string  `json:"left,omitempty"`     // what still has to be looked at
	Commands []string  `json:"commands,omitempty"` // the same by hand, to be pasted by root
	Undo     []string  `json:"undo,omitempty"`
	Misses   []string  `json:"misses,omitempty"` // what it does not catch
	Until    time.Time `json:"until,omitzero"`
}

func (s *Step) say(format string, a ...any)   { s.Said = append(s.Said, fmt.Sprintf(format, a...)) }
func (s *Step) leave(format string, a ...any) { s.Left = append(s.Left, fmt.Sprintf(format, a...)) }
func (s *Step) misses(format string, a ...any) {
	s.Misses = append(s.Misses, fmt.Sprintf(format, a...))
}

func (s *Step) end(o Outcome, format string, a ...any) *Step {
	s.Outcome = o
	s.say(format, a...)
	return s
}

// done is the outcome of what was done and seen to be.
func (s *Step) done(format string, a ...any) *Step {
	s.end(Done, format, a...)
	if len(s.Left) > 0 {
		s.Outcome = Partly
	}
	return s
}

// Responder looks and acts for one event.
type Responder struct {
	Host    Host
	Subject Subject
	Folder  string // the folder of all responses, which is made; see OpenStore
	By      string // who asks
	Self    Self
	// Known are networks that are not to be blocked, by what they are called.
	Known map[netip.Prefix]string
	// Neighbours are others who came from where the subject did, at the /24 or
	// /64 of its address, and whom nobody wondered about.
	Neighbours Neighbours
	// Hub is where the hub is that gave the order, and is to hear what became of it: it is
	// never blocked.
	Hub      []netip.Addr
	For      time.Duration // how long lock, key and block hold; 0: block for DefaultBlock, the others until they are undone
	EvenMine bool          // act on what is the asker's own, too
	// Begun is called once, before anything is changed.
	Begun func()
	// Undo is the program and its words that undo this event's response, for the timer.
	Undo []string
}

// Neighbours are logins that a blocked network would have kept out.
type Neighbours struct {
	Logins int      `json:"logins"`
	Users  []string `json:"users,omitempty"`
}

// ManyLogins is from how many logins of others in a month a /24 or /64 is one of our own.
const ManyLogins = 10

// DefaultBlock is how long an address is blocked where nobody says it.
const DefaultBlock = 24 * time.Hour

// ErrNotRoot means that an action needs root.
var ErrNotRoot = errors.New("only root can do this")

// Plan looks what each action would find, and changes nothing.
func (r *Responder) Plan(ctx context.Context, actions []Action) (out []Step) {
	for _, a := range actions {
		out = append(out, r.step(ctx, nil, a))
	}
	return out
}

// Do does one action: it looks, writes down how to undo it, acts, and looks again.
// It may be called for the same action any number of times.
func (r *Responder) Do(ctx context.Context, a Action) (Step, error) {
	if r.Host.UID != 0 {
		return Step{}, ErrNotRoot
	}
	st, err := OpenStore(r.Folder)
	if err != nil {
		return Step{}, err
	}
	defer st.Close()
	unlock, err := st.lock(ctx)
	if err != nil {
		return Step{}, err
	}
	defer unlock()
	return r.step(ctx, st, a), nil
}

// step is an action; without a store it is only looked at.
func (r *Responder) step(ctx context.Context, st *Store, a Action) Step {
	s := &Step{Action: a}
	switch a {
	case Lock:
		r.lock(ctx, st, s)
	case Key:
		r.key(ctx, st, s)
	case Block:
		r.block(ctx, st, s)
	case End:
		r.end(ctx, st, s)
	}
	for _, texts := range []*[]string{&s.Said, &s.Left, &s.Misses} {
		for i, t := range *texts {
			(*texts)[i] = event.Clean(t, maxSaid)
		}
	}
	s.Title = event.Clean(s.Title, maxSaid)
	return *s
}

// maxSaid is how long one thing that is said may be, in characters.
const maxSaid = 400

// until returns when an action ends by itself; zero: it does not.
func (r *Responder) until(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return r.Host.Now().Add(d).UTC().Truncate(time.Second)
}

// command returns the line that a person can paste.
func command(args ...string) string { return doctor.ShellLine(args...) }

// text returns the beginning of a file, "" where it can't be read. It does not wait
// for a FIFO.
func (h Host) text(name string, limit int64) string {
	b, err := h.readFile(name, limit)
	if err != nil {
		return ""
	}
	return string(b)
}

func (h Host) exists(name string) bool {
	_, err := os.Lstat(h.path(name))
	return !errors.Is(err, fs.ErrNotExist)
}
