package parse

import (
	"net/netip"
	"strings"
)

// kind says which of an attempt's lines a line is.
type kind uint8

const (
	kindNone        kind = iota // of no session: each line counts
	kindPAM                     // pam_unix
	kindPAMModule               // another module: it speaks of the same attempt
	kindPAMMore                 // how many more there were after the first
	kindInvalid                 // Invalid user
	kindOffered                 // Failed publickey, none: all of a session are one attempt
	kindFailed                  // Failed password
	kindInteractive             // Failed keyboard-interactive
	kindPAMError                // error: PAM: …
	kindRefused                 // User … not allowed
	kindMaximum                 // maximum authentication attempts exceeded
	kindEnd                     // Connection closed by authenticating user
	kindTimeout
	kindTotal // how many there were in the whole session
	kinds
	kindGotIn // sudo, su: it worked
)

type peerIP = netip.Addr

// Bounds of what is remembered: 4,096 sets of four, about 1 MiB.
const (
	sessionSets = 4096
	sessionWays = 4
)

// How long, in seconds, lines of one session may be apart: sshd gives two minutes
// to log in by default, and some modules wait. Without a process number the
// session is no more than a guess, and so is a PAM line of another process.
const (
	sessionGap = 600
	guessedGap = 30
)

// session is what was counted of one process's attempts. Each sort of line
// counts by itself; the most of them is how many attempts there were.
type session struct {
	key  uint64
	last int64  // seconds since 1970 of its last line
	used uint64 // when it was used last, in lines; 0: empty
	ip   netip.Addr
	port uint16
	n    [kinds]uint32
}

// sessions is a table of fixed size, in which a new session takes the place of
// the one that was silent longest.
type sessions struct {
	table []session
	clock uint64
}

// failure takes from a failure what earlier lines of its attempt have counted.
func (t *sessions) failure(r *reading) {
	if r.kind == kindNone {
		return
	}
	s, counted := t.session(r, r.PID), 0
	counted = s.add(r.kind, r.Count)
	pair := t.pair(r)
	if pair == nil {
		r.settle(counted)
		return
	}
	isPAM := r.kind <= kindPAMMore
	switch {
	case counted == 0:
		// This line confirms one that came before, in the same process.
		if !isPAM && s.pam() > 0 && pair.n[kindPAM] > 0 {
			pair.n[kindPAM]--
		}
	case isPAM:
		counted -= pair.take(kindFailed, counted)
		pair.n[kindPAM] += uint32(counted)
	case r.kind == kindInteractive || r.kind == kindPAMError || r.Service == "vsftpd":
		counted -= pair.take(kindPAM, counted)
		pair.n[kindFailed] += uint32(counted)
	}
	r.settle(counted)
}

// settle makes a line of nothing new an Other.
func (r *reading) settle(counted int) {
	r.Count = counted
	if counted == 0 {
		r.Outcome = Other
	}
}

// success ends a session. What only PAM had said to have failed did not: where
// passwords are looked up in two places, the first says so of every login that
// the second allows.
func (t *sessions) success(r *reading) {
	s := t.session(r, r.PID)
	total, own := uint32(0), uint32(0)
	for k, n := range s.n {
		total = max(total, n)
		if kind(k) > kindPAMMore {
			own = max(own, n)
		}
	}
	r.Pardon = int(total - own)
	pair := t.pair(r)
	if pair != nil {
		if r.Pardon > 0 {
			pair.take(kindPAM, r.Pardon)
		} else if strings.HasPrefix(r.Method, "keyboard-interactive") || r.Service == "vsftpd" {
			r.Pardon = pair.take(kindPAM, 1)
		}
	}
	*s = session{}
}

// add counts a line, and gives how many attempts it adds.
func (s *session) add(k kind, n int) int {
	var before, after uint32
	for _, v := range s.n {
		before = max(before, v)
	}
	count := uint32(n)
	switch k {
	case kindOffered:
		count = max(s.n[k], 1)
	case kindPAMMore:
		count = max(s.n[k], max(s.n[kindPAM], 1)+count)
	case kindTotal:
		count = max(s.n[k], count)
	default:
		count += s.n[k]
	}
	s.n[k] = min(count, 1<<30)
	for _, v := range s.n {
		after = max(after, v)
	}
	return int(after - before)
}

// pam is what the modules of PAM have said.
func (s *session) pam() uint32 {
	return max(s.n[kindPAM], s.n[kindPAMModule], s.n[kindPAMMore])
}

// take uses up to n of what stands to the credit of k.
func (s *session) take(k kind, n int) int {
	used := min(uint32(n), s.n[k])
	s.n[k] -= used
	return int(used)
}

// session finds the session of a line's process, or begins one.
func (t *sessions) session(r *reading, pid int) *session {
	h := hash(hash(seed, r.Service), r.Host)
	gap := int64(sessionGap)
	if pid != 0 {
		h = mix(h, uint64(pid))
	} else {
		gap = guessedGap
		if r.IP.IsValid() {
			h = hashAddr(h, r.IP)
		} else {
			h = hash(h, r.User)
		}
	}
	s := t.at(h, r, gap)
	contradicts := r.IP.IsValid() && s.ip.IsValid() && r.IP != s.ip || r.Port != 0 && s.port != 0 && r.Port != s.port
	if contradicts {
		*s = session{key: s.key, last: s.last, used: s.used}
	}
	if r.IP.IsValid() {
		s.ip = r.IP
	}
	if r.Port != 0 {
		s.port = r.Port
	}
	return s
}

// pair is what PAM and the daemon have said of an address, each in a process of
// its own: sshd asks PAM in a child, vsftpd writes its own log. nil: the service
// has no such pairs.
func (t *sessions) pair(r *reading) *session {
	if !r.IP.IsValid() || r.Service != "sshd" && r.Service != "vsftpd" {
		return nil
	}
	return t.at(hashAddr(hash(seed, r.Service)^1, r.IP), r, guessedGap)
}

// at finds a key's place, empty if it is new or older than gap seconds.
func (t *sessions) at(key uint64, r *reading, gap int64) *session {
	if t.table == nil {
		t.table = make([]session, sessionSets*sessionWays)
	}
	t.clock++
	set := t.table[key%sessionSets*sessionWays:][:sessionWays]
	victim := &set[0]
	for i := range set {
		if set[i].key == key && set[i].used != 0 {
			victim = &set[i]
			break
		}
		if set[i].used < victim.used {
			victim = &set[i]
		}
	}
	now := victim.last
	if !r.Time.IsZero() {
		now = r.Time.Unix()
	}
	if victim.key != key || victim.used == 0 || abs(now-victim.last) > gap && victim.last != 0 {
		*victim = session{key: key}
	}
	victim.used, victim.last = t.clock, now
	return victim
}

func abs(n int64) int64 { return max(n, -n) }

// The hash of FNV-1a. Who can choose what goes into it can at most mix up two
// sessions of their own.
const seed = 14695981039346656037

func hash(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return (h ^ 0xff) * 1099511628211
}

func hashAddr(h uint64, a netip.Addr) uint64 {
	b := a.As16()
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return mix(h, 0)
}

func mix(h, n uint64) uint64 {
	h = (h ^ n) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}
