package hub

import (
	"crypto/sha256"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

// maxConns is how many connections a host may have at a time: it needs one.
const maxConns = 8

// member is a host in the memory of a hub that runs. Hub.mu guards it.
type member struct {
	row
	numbers  numbers
	read     bool // the numbers are
	requests *rate.Limiter
	events   *rate.Limiter
	conns    int
	waits    waits
	rows     int  // added to the database since those that are done with were counted
	counted  bool // they were
	fresh    bool // the row's beat, numbers or told are newer than the database's

	recent    []string // numberings, the newest last
	anew      bool     // it began to number anew
	twice     bool     // two numberings take turns, or two events have one number
	stuck     time.Time
	clockOff  time.Duration
	restarted bool // it is new to the registry though it has a good certificate
	sends     bool // evidence
}

func newMember(r *row) *member {
	return &member{
		row:      *r,
		requests: rate.NewLimiter(fleet.MaxRequests, 2*fleet.MaxRequests),
		events:   rate.NewLimiter(rate.Every(time.Minute/fleet.MaxEvents), fleet.MaxEvents),
	}
}

const (
	// maxWaits is how many of a host's events wait at a hub at most, as many as its spool
	// holds, and maxWaitsBytes how large they are: a host that sends as much as it may
	// while a destination is away would fill the hub's disk. The rest stays there.
	maxWaits      = 100_000
	maxWaitsBytes = 64 << 20
	// recountAfter is how long what was too much is believed to be.
	recountAfter = time.Minute
)

// waits is how much of a host waits at most: what did when that was counted, and all
// that came since. Nobody need count what goes, nor look at each commit.
type waits struct {
	n, bytes int64
	counted  time.Time // zero: never
}

func (w waits) tooMuch() bool { return w.n >= maxWaits || w.bytes >= maxWaitsBytes }

// maxRecent is how many of a host's numberings are known again.
const maxRecent = 4

// uses notes which numbering a host uses.
func (m *member) uses(numbering string) {
	switch i := slices.Index(m.recent, numbering); {
	case i == len(m.recent)-1 && i >= 0:
		return
	case i >= 0:
		m.twice = true
		m.recent = slices.Delete(m.recent, i, i+1)
	case len(m.recent) > 0 || m.numbering != "" && m.numbering != numbering:
		m.anew = true
	}
	m.recent = append(m.recent, numbering)
	if len(m.recent) > maxRecent {
		m.recent = slices.Delete(m.recent, 0, 1)
	}
}

// span is a run of numbers, both ends included.
type span struct{ first, last int64 }

// numbers is which of a host's numbers are here: all up to have, and those of the
// spans, which are in order and don't touch.
type numbers struct {
	have  int64
	ahead []span
}

// maxSpans bounds the gaps between what is here. What is beyond is asked for again.
const maxSpans = 1000

func (n *numbers) clone() numbers { return numbers{n.have, slices.Clone(n.ahead)} }

// has reports whether a number is here.
func (n *numbers) has(i int64) bool {
	return i <= n.have || slices.ContainsFunc(n.ahead, func(s span) bool { return s.first <= i && i <= s.last })
}

// add notes that a number is here.
func (n *numbers) add(i int64) {
	if n.has(i) {
		return
	}
	at, _ := slices.BinarySearchFunc(n.ahead, i, func(s span, i int64) int { return int(min(1, max(-1, s.first-i))) })
	before, after := at > 0 && n.ahead[at-1].last == i-1, at < len(n.ahead) && n.ahead[at].first == i+1
	switch {
	case before && after:
		n.ahead[at-1].last = n.ahead[at].last
		n.ahead = slices.Delete(n.ahead, at, at+1)
	case before:
		n.ahead[at-1].last = i
	case after:
		n.ahead[at].first = i
	case len(n.ahead) < maxSpans || i == n.have+1:
		n.ahead = slices.Insert(n.ahead, at, span{i, i})
	}
	n.join()
}

// join makes have as high as it can be.
func (n *numbers) join() {
	for len(n.ahead) > 0 && n.ahead[0].first <= n.have+1 {
		n.have = max(n.have, n.ahead[0].last)
		n.ahead = slices.Delete(n.ahead, 0, 1)
	}
}

// newest is the highest number that is here.
func (n *numbers) newest() int64 {
	if len(n.ahead) == 0 {
		return n.have
	}
	return n.ahead[len(n.ahead)-1].last
}

// pass gives up the numbers of the first gap, and returns how many there were.
func (n *numbers) pass(newest int64) (missing int64) {
	to := max(newest, n.have)
	if len(n.ahead) > 0 {
		to = n.ahead[0].first - 1
	}
	missing = to - n.have
	n.have = to
	n.join()
	return missing
}

// reload brings the members up to date with the registry, which other processes
// change. h.mu must be held.
func (h *Hub) reload(t *store.Tx) error {
	var newest int64
	if _, err := t.One([]any{&newest}, `SELECT coalesce(max(changed), 0) FROM fleet_host`); err != nil {
		return err
	}
	if newest == h.changed {
		return nil
	}
	after := h.changed
	if newest < h.changed { // it is another database
		after, h.byName, h.byToken = 0, map[string]*member{}, map[[sha256.Size]byte]*member{}
	}
	err := each(t, func(r *row) error {
		m := h.byName[r.Name]
		if m == nil || m.n != r.n {
			m = newMember(r)
		} else {
			delete(h.byToken, hash(m.token))
			if r.Joined != m.Joined { // what is known of its numbers begins anew with its place there
				m.row, m.read, m.recent = *r, false, nil
			}
			// Beats and numbers are newer here.
			m.Kind, m.Joined, m.Revoked, m.Expires, m.Labels = r.Kind, r.Joined, r.Revoked, r.Expires, r.Labels
			m.changed, m.validFrom, m.token = r.changed, r.validFrom, r.token
		}
		h.byName[m.Name] = m
		if m.token != nil {
			h.byToken[hash(m.token)] = m
		}
		return nil
	}, `WHERE changed > ?`, after)
	if err == nil {
		h.changed = newest
	}
	return err
}

func hash(b []byte) (sum [sha256.Size]byte) {
	copy(sum[:], b)
	return sum
}
