package parse

import (
	"net/netip"
	"slices"
	"strings"
	"time"
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
	kindStart // a connection: the process is a new one
	kindOver  // it has ended
)

type peerIP = netip.Addr

// Bounds of what is remembered: 2,048 sets of four, about 1 MiB. Far fewer
// processes of a host that have not let anybody in live at the same time.
const (
	sessionSets = 2048
	sessionWays = 4
)

// How long, in seconds, lines of one session may be apart: sshd gives two minutes
// to log in by default, and some modules wait. Without a process number the
// session is no more than a guess, and so is a PAM line of another process.
const (
	sessionGap = 600
	guessedGap = 30
)

// maxDoubtful is how many attempts a session remembers of which the address is to
// come; sshd allows six by default. More are counted with the last of them.
const maxDoubtful = 8

// session is what was counted of one process's attempts. Each sort of line
// counts by itself; the most of them is how many attempts there were.
type session struct {
	last int64 // seconds since 1970 of its last line
	ip   netip.Addr
	port uint16
	sure bool // ip is the daemon's own word
	over bool // the process said that it ends: its number may come again
	n    [kinds]uint32

	doubtful []*doubtful
}

// doubtful are failures that were told without their address, or with one that
// only PAM gave: it may be a name that the name service was told to give.
// The session of PAM's line and its pair both hold it.
type doubtful struct {
	Attempt
	paired  bool // the daemon's own line of it came
	settled bool // so did its address
}

// sessions is a table of fixed size, in which a new session takes the place of
// the one that was silent longest.
type sessions struct {
	sets  []sessionSet
	table []session // sessionWays for each set
	clock uint64
}

// sessionSet says which sessions stand in a set. It is kept apart from them, and
// one line of the processor's cache, because most lines of a log look for a session
// that is not there.
type sessionSet struct {
	keys [sessionWays]uint64
	used [sessionWays]uint64 // when it was used last, in lines; 0: empty
}

// find returns a key's set and its place there, or -1.
func (t *sessions) find(key uint64) (set *sessionSet, way int) {
	if t.sets == nil {
		t.sets, t.table = make([]sessionSet, sessionSets), make([]session, sessionSets*sessionWays)
	}
	set = &t.sets[key%sessionSets]
	for i := range sessionWays {
		if set.keys[i] == key && set.used[i] != 0 {
			return set, i
		}
	}
	return set, -1
}

// unsure reports whether a line does not give the daemon's own word for where an
// attempt came from. sshd gives PAM no name that looks like an address; the other
// daemons leave it to the name service.
func (r *reading) unsure() bool {
	return !r.placed && !r.daemon.local && (!r.IP.IsValid() || r.isPAM() && r.daemon.pairs != byAddress)
}

func (r *reading) isPAM() bool { return r.kind >= kindPAM && r.kind <= kindPAMMore }

// failure takes from a failure what earlier lines of its attempt have counted.
func (t *sessions) failure(r *reading) {
	if r.kind == kindNone {
		r.unplaced()
		return
	}
	s := t.session(r)
	guesses := s.guesses()
	counted := s.add(r.kind, r.Count)
	guesses = s.guesses() - guesses
	r.Guessed = max(0, guesses-counted)
	pair := t.pair(r)
	if r.daemon.apart && pair != nil {
		switch r.kind {
		case kindFailed:
			pair.n[kindRefused] += uint32(r.Count)
		case kindRefused:
			counted = min(counted, r.Count-pair.take(kindRefused, r.Count))
		}
	}
	switch {
	case pair == nil:
	case counted == 0:
		// This line confirms one that came before, in the same process.
		if !r.isPAM() && s.pam() > 0 {
			pair.take(kindPAM, 1)
			s.confirm()
		}
	case r.isPAM():
		counted -= pair.take(kindFailed, counted)
		if !r.unsure() {
			pair.n[kindPAM] += uint32(counted)
		}
	case r.kind == kindInteractive || r.kind == kindPAMError || r.daemon.pairs != byAddress || s.pam() == 0 && r.kind == kindFailed:
		counted -= pair.take(kindPAM, counted)
		for _, p := range t.doubts(r) {
			counted -= s.adopt(p, counted)
		}
		if r.kind != kindFailed || r.daemon.pairs != byAddress {
			pair.n[kindFailed] += uint32(counted)
		}
	}
	r.Refused = max(0, counted-guesses)
	r.settle(counted)
	t.place(r, s)
}

// place returns the attempts of a session the address that a line says, or keeps
// for a later line what this one counted without.
func (t *sessions) place(r *reading, s *session) {
	if !r.unsure() {
		for _, p := range s.doubtful {
			if p.settled {
				continue
			}
			p.settled = true
			if p.IP != r.IP {
				r.Located = append(r.Located, p.Attempt)
			}
		}
		s.doubtful = nil
		return
	}
	r.unplaced()
	if r.Count == 0 || r.Outcome != Failure {
		return
	}
	p := &doubtful{Attempt: Attempt{Time: r.Time, IP: r.IP, Peer: strings.Clone(r.Peer), User: strings.Clone(r.User), Count: r.Count}}
	s.remember(p)
	if r.isPAM() {
		for _, pair := range t.doubtPairs(r) {
			pair.remember(p)
		}
	}
}

// unplaced says which name stands for the address that no line has given.
func (r *reading) unplaced() {
	if !r.IP.IsValid() && !r.daemon.local && (r.Outcome == Failure || r.Outcome == Success) {
		r.Peer = r.peer
	}
}

func (s *session) remember(p *doubtful) {
	s.doubtful = slices.DeleteFunc(s.doubtful, func(p *doubtful) bool { return p.settled })
	if len(s.doubtful) == maxDoubtful {
		s.doubtful = slices.Delete(s.doubtful, 0, 1)
	}
	s.doubtful = append(s.doubtful, p)
}

// confirm notes that the daemon's line came of a session's first attempt that only
// PAM told.
func (s *session) confirm() {
	for _, p := range s.doubtful {
		if !p.paired {
			p.paired = true
			return
		}
	}
}

// adopt takes over an attempt that PAM told in another process, if it is no more
// than so many, and gives how many it was.
func (s *session) adopt(p *doubtful, most int) int {
	if p.paired || p.settled || p.Count > most {
		return 0
	}
	p.paired = true
	s.remember(p)
	return p.Count
}

// doubts are the attempts that only PAM has told, without a certain address, and
// that may be the one of a daemon's own line.
func (t *sessions) doubts(r *reading) (out []*doubtful) {
	for _, pair := range t.doubtPairs(r) {
		out = append(out, pair.doubtful...)
	}
	slices.SortStableFunc(out, func(a, b *doubtful) int { // the one with the same address first
		switch {
		case a.IP == r.IP && b.IP != r.IP:
			return -1
		case a.IP != r.IP && b.IP == r.IP:
			return 1
		}
		return 0
	})
	return out
}

// other has a line that tells of no attempt say where its process's attempts came
// from.
func (t *sessions) other(r *reading) {
	if !r.IP.IsValid() || r.PID == 0 || r.daemon.local || r.unsure() {
		return
	}
	if r.kind != kindStart && !t.has(r) {
		return
	}
	s := t.session(r)
	if r.kind == kindStart {
		*s = session{last: s.last, ip: r.IP, port: r.Port, sure: true}
		return
	}
	t.place(r, s)
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
	s := t.session(r)
	total, own := uint32(0), uint32(0)
	for k, n := range s.n {
		total = max(total, n)
		if kind(k) > kindPAMMore {
			own = max(own, n)
		}
	}
	r.Retracted = int(total - own)
	if pair := t.pair(r); pair != nil {
		if r.Retracted > 0 {
			pair.take(kindPAM, r.Retracted)
		} else if strings.HasPrefix(r.Method, "keyboard-interactive") || r.daemon.pairs != byAddress {
			if r.Retracted = pair.take(kindPAM, 1); r.Retracted == 0 {
				for _, p := range t.doubts(r) {
					r.Retracted += s.adopt(p, 1-r.Retracted)
				}
			}
		}
	}
	if !r.daemon.local {
		t.place(r, s)
	}
	key, _, _ := t.keyOf(r)
	if set, way := t.find(key); way >= 0 {
		set.used[way] = 0
	}
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

// guesses is how many of the attempts were of a password, a code or a name: more
// than keys that sshd did not know.
func (s *session) guesses() (n int) {
	for k, v := range s.n {
		switch kind(k) {
		case kindOffered, kindMaximum, kindEnd, kindTimeout:
		default:
			n = max(n, int(v))
		}
	}
	return n
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

// session finds the session of a line's process, or begins one. What the daemon
// has said of it gives a line that knows no better its address.
func (t *sessions) session(r *reading) *session {
	s := t.at(t.keyOf(r))
	unsure := r.unsure()
	differs := r.IP.IsValid() && s.ip.IsValid() && r.IP != s.ip || r.Port != 0 && s.port != 0 && r.Port != s.port
	switch {
	case s.over && unsure && r.kind != kindPAMMore, // the number has come again, of whom nobody knows
		differs && unsure == !s.sure:
		*s = session{last: s.last}
	case unsure && s.sure:
		r.IP, r.Port, r.placed, unsure = s.ip, s.port, true, false
	}
	if r.IP.IsValid() {
		s.ip, s.sure = r.IP, !unsure
	}
	if r.Port != 0 {
		s.port = r.Port
	}
	s.over = s.over || r.kind == kindEnd || r.kind == kindOver || r.kind == kindTimeout
	return s
}

// keyOf returns the key of a line's process, and for how long it is the same one's.
func (t *sessions) keyOf(r *reading) (key uint64, now time.Time, gap int64) {
	h := t.seedOf(r)
	switch {
	case r.PID != 0:
		return mix(h, uint64(r.PID)), r.Time, sessionGap
	case r.IP.IsValid():
		return hashAddr(h, r.IP), r.Time, guessedGap
	}
	return hash(h, r.User), r.Time, guessedGap
}

// has reports whether a line's process has a session.
func (t *sessions) has(r *reading) bool {
	key, _, _ := t.keyOf(r)
	_, way := t.find(key)
	return way >= 0
}

// pair is what PAM and the daemon have said of an attempt, each in a process of
// its own: sshd asks PAM in a child, FTP servers write their own logs. What the
// two agree on is the address, or where PAM's can't be trusted the account. nil:
// the service has no such pairs.
func (t *sessions) pair(r *reading) *session {
	switch r.daemon.pairs {
	case byAddress:
		if r.IP.IsValid() {
			return t.at(hashAddr(hash(seed, r.Service)^1, r.IP), r.Time, guessedGap)
		}
		if r.peer == "" {
			return nil
		}
		return t.at(hash(t.seedOf(r)^2, r.peer), r.Time, guessedGap)
	case byAccount:
		return t.at(hash(t.seedOf(r)^3, r.User), r.Time, guessedGap)
	}
	return nil
}

// doubtPairs are the pairs of attempts without a certain address: those with the
// same name in its place, or for the same account.
func (t *sessions) doubtPairs(r *reading) (out []*session) {
	if t.pair(r) == nil {
		return nil
	}
	if r.peer != "" && !r.IP.IsValid() {
		out = append(out, t.at(hash(t.seedOf(r)^4, r.peer), r.Time, guessedGap))
	}
	if r.User != "" {
		out = append(out, t.at(hash(t.seedOf(r)^5, r.User), r.Time, guessedGap))
	}
	return out
}

func (t *sessions) seedOf(r *reading) uint64 { return hash(hash(seed, r.Service), r.home) }

// at finds a key's place, empty if it is new or older than gap seconds.
func (t *sessions) at(key uint64, at time.Time, gap int64) *session {
	t.clock++
	set, way := t.find(key)
	known := way >= 0
	if !known {
		way = 0
		for i, used := range set.used {
			if used < set.used[way] {
				way = i
			}
		}
	}
	s := &t.table[key%sessionSets*sessionWays:][:sessionWays][way]
	now := s.last
	if !at.IsZero() {
		now = at.Unix()
	}
	if !known || abs(now-s.last) > gap && s.last != 0 {
		*s = session{}
	}
	set.keys[way], set.used[way], s.last = key, t.clock, now
	return s
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
