package respond

import (
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Session is one of logind's, as it writes it down for sd-login(3).
type Session struct {
	ID      string     `json:"id"`
	UID     int        `json:"uid"`
	User    string     `json:"user"`
	Leader  int        `json:"leader,omitempty"`
	Audit   uint32     `json:"audit,omitempty"`
	State   string     `json:"state,omitempty"` // closing: whoever logged in is gone, and processes are left
	Class   string     `json:"class,omitempty"`
	Service string     `json:"service,omitempty"`
	TTY     string     `json:"tty,omitempty"`
	Remote  netip.Addr `json:"remote,omitzero"`
	Since   time.Time  `json:"since,omitzero"`
}

// maxSessions bounds what is read of them.
const maxSessions = 4096

func (h Host) sessions() (out []Session) {
	const dir = "/run/systemd/sessions"
	entries, err := os.ReadDir(h.path(dir))
	if err != nil {
		return nil
	}
	for _, e := range entries[:min(len(entries), maxSessions)] {
		if !e.Type().IsRegular() || !isSessionID(e.Name()) {
			continue
		}
		s := Session{ID: e.Name(), UID: -1}
		for line := range strings.Lines(h.text(dir+"/"+e.Name(), 64<<10)) {
			key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
			value = strings.Trim(value, `"`)
			n, err := strconv.ParseUint(value, 10, 63)
			word := event.Clean(value, 64)
			switch key {
			case "UID":
				if err == nil {
					s.UID = int(n)
				}
			case "LEADER":
				s.Leader = int(n)
			case "AUDIT":
				s.Audit = uint32(n)
			case "REALTIME":
				s.Since = time.UnixMicro(int64(n)).UTC()
			case "USER":
				s.User = word
			case "STATE":
				s.State = word
			case "CLASS":
				s.Class = word
			case "SERVICE":
				s.Service = word
			case "TTY":
				s.TTY = word
			case "REMOTE_HOST":
				if a, err := netip.ParseAddr(value); err == nil {
					s.Remote = bare(a)
				}
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Session) int { return a.Since.Compare(b.Since) })
	return out
}

// isSessionID reports whether a name is one that logind gives: letters and digits.
func isSessionID(s string) bool {
	return s != "" && len(s) < 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// Members are the processes that a login left on the host.
type Members struct {
	ID      string   `json:"id,omitempty"`      // logind's session; empty: there is none any more
	Audit   uint32   `json:"audit,omitempty"`   // the kernel's; 0: not known
	Session *Session `json:"session,omitempty"` // what logind has of it

	Own       []Process `json:"own"`                 // of the session
	Stray     []Process `json:"stray,omitempty"`     // begun by the login, by the kernel's login uid, outside of any session
	Shared    []Process `json:"shared,omitempty"`    // of the user's own services, which other sessions or an earlier login use
	Elsewhere []Process `json:"elsewhere,omitempty"` // of root's login uid, in services of the host
	Others    []Session `json:"others,omitempty"`    // of the user
	Manager   bool      `json:"-"`                   // the user's own services were begun by this login, for no other session
}

// startSlack is how long before the event of a login its first processes may have
// begun: the kernel's times are rounded to a second, and on a busy host what PAM does
// before the hook takes a while.
const startSlack = 10 * time.Second

// sameLogin is how far an event and logind's session of the same login may be apart:
// what else PAM does comes between them.
const sameLogin = 5 * time.Minute

// members finds what belongs to the subject's session.
func (h Host) members(s Subject, self Self) (m Members, err error) {
	all, err := h.processes()
	if err != nil {
		return m, err
	}
	sessions := h.sessions()
	byPID := map[int]Process{}
	for _, p := range all {
		byPID[p.PID] = p
	}
	here := s.Session.PID != 0 && s.Session.Boot == h.Boot
	root, alive := byPID[s.Session.PID]
	alive = alive && here && root.Start == s.Session.Start && (s.UID < 0 || root.LoginUID < 0 || root.LoginUID == s.UID) && root.ofLogin(byPID[root.PPID])
	if alive {
		m.ID = root.scope()
		if root.Session != unset {
			m.Audit = root.Session
		}
	}
	for i, x := range sessions {
		near := x.Since.Sub(s.Time).Abs() <= sameLogin
		switch {
		case m.ID != "" && x.ID != m.ID,
			m.ID == "" && !near,
			m.ID == "" && here && x.Leader != s.Session.PID,
			m.ID == "" && s.Session.PID == 0 && (x.User != s.User || x.Remote != s.IP || x.Service != "sshd"):
			continue
		case m.ID == "" && s.Session.PID != 0 && !here: // of an earlier boot
			continue
		}
		m.ID, m.Session = x.ID, &sessions[i]
		if m.Audit == 0 && x.Audit != 0 {
			m.Audit = x.Audit
		}
		break
	}
	own := func(p Process) bool {
		switch {
		case m.Audit != 0 && p.Session == m.Audit, m.ID != "" && p.scope() == m.ID:
			return true
		case !alive:
			return false
		}
		for range len(all) { // whoever has ended is no ancestor any more
			if p.PID == root.PID {
				return true
			}
			parent, ok := byPID[p.PPID]
			if !ok || parent.PID == p.PID {
				break
			}
			p = parent
		}
		return false
	}
	kept, keptScopes, open := map[uint32]bool{}, map[string]bool{}, false
	for _, x := range sessions {
		if x.ID == m.ID || x.UID != s.UID || s.UID < 0 || !strings.HasPrefix(x.Class, "user") {
			continue
		}
		m.Others = append(m.Others, x)
		kept[x.Audit], keptScopes[x.ID] = x.Audit != 0, true
		open = open || x.State != "closing"
	}
	for _, p := range all {
		// A session that logind does not know of has an sshd of root's.
		if len(sessions) == 0 && strings.HasPrefix(p.Name, "sshd") && p.UID == 0 && p.LoginUID >= 0 && p.LoginUID == s.UID && p.Session != unset && !own(p) {
			kept[p.Session], open = true, true
		}
	}
	manager := "/user@" + strconv.Itoa(s.UID) + ".service/"
	since := s.Time.Add(-startSlack)
	// What runs since another boot is not of it, whoever's it is.
	thisBoot := (s.Session.Boot == "" || s.Session.Boot == h.Boot) && s.Time.After(h.bootTime().Add(-startSlack))
	older := false
	for _, p := range all {
		if s.UID >= 0 && strings.Contains(p.Cgroup+"/", manager) && p.Started.Before(since) {
			older = true
		}
	}
	for _, p := range all {
		managed := s.UID >= 0 && strings.Contains(p.Cgroup+"/", manager)
		switch {
		case own(p):
			m.Own = append(m.Own, p)
		case !thisBoot, s.UID < 0, p.LoginUID != s.UID && !(managed && p.UID == s.UID), kept[p.Session], keptScopes[p.scope()],
			p.Started.Before(since), self.PIDs[p.PID], self.Session != unset && p.Session == self.Session:
		case managed && open:
			m.Shared = append(m.Shared, p)
		case s.UID == 0 && !strings.HasPrefix(p.Cgroup, "/user.slice/"):
			m.Elsewhere = append(m.Elsewhere, p)
		default:
			m.Stray = append(m.Stray, p)
			m.Manager = m.Manager || managed && !older
		}
	}
	return m, nil
}

// ofLogin reports whether a process can be the sshd of one login: by the kernel's word,
// or at least the child of another sshd. Whoever says which process it was must not have
// the one ended that listens, or init.
func (p Process) ofLogin(parent Process) bool {
	return p.LoginUID >= 0 || p.Session != unset || p.scope() != "" || strings.HasPrefix(p.Name, "sshd") && strings.HasPrefix(parent.Name, "sshd")
}

// pids returns processes by their numbers, for a line of text.
func pids(all []Process) string {
	const most = 12
	var out []string
	for _, p := range all[:min(len(all), most)] {
		out = append(out, p.String())
	}
	if len(all) > most {
		out = append(out, "and "+strconv.Itoa(len(all)-most)+" more")
	}
	return strings.Join(out, ", ")
}
