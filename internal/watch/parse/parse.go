// Package parse reads log lines: who tried to get in, from where, and whether it
// worked. It knows sshd, dropbear, vsftpd, proftpd, pure-ftpd, sudo and su.
//
// Whatever a line holds, the address is the one that the daemon wrote, never one
// that a user name brought along; where the two can't be told apart there is
// none. It must never reach a network or the operating system, and waits for
// nothing.
package parse

import (
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// Outcome says what a line tells.
type Outcome string

// The outcomes.
const (
	Failure Outcome = "failure" // somebody tried to get in, and did not
	Success Outcome = "success" // somebody got in
	Other   Outcome = "other"   // the parser knows the line; nobody tried anything, or what was tried is counted already
	None    Outcome = "none"    // not recognized by any parser
)

// maxName is how many characters of a name are kept: sshd writes 100.
const maxName = 100

// maxPeer is how many characters of a host's name are kept.
const maxPeer = 253

// Result is what a line says. Its strings may share the line's memory: whoever
// keeps one for long clones it.
type Result struct {
	Parser  string // sshd, dropbear, vsftpd, proftpd, pureftpd, sudo, su; "" none
	Outcome Outcome
	Time    time.Time  // when it happened, UTC; zero: the line does not say
	Host    string     // that the line names, cleaned; "" none
	Service string     // sshd, dropbear, vsftpd, proftpd, pure-ftpd, sudo, su
	PID     int        // of the daemon's process; 0: the line does not say
	IP      netip.Addr // unmapped, no zone; zero: none
	Port    uint16     // the peer's; 0: the line does not say
	User    string     // the account that was tried, as logged, cleaned; "" none
	By      string     // sudo, su: the local user who tried; "" none
	Invalid bool       // sshd says that there is no such user
	Method  string     // password, publickey, …
	Key     string     // fingerprint
	Opened  Opened     // the session of PAM that the line says was opened; the outcome is other
	Count   int        // attempts or logins that the line stands for: N of "message repeated N times"; 0 for other and none

	// Ambiguous says that a stranger may have written part of the line to look like
	// the daemon's own words: what can't be told for certain is left out.
	Ambiguous bool

	// Certain says of a login over sshd that its line can be read in one way only.
	Certain bool

	// Peer is the name that stands where the address belongs, cleaned, while no line
	// of the attempt has said the address; "" none.
	Peer string

	// Located are failures that earlier lines told without their address, or with
	// one that the daemon never wrote: this line says that they came from IP. They
	// are not in Count.
	Located []Attempt

	// Retracted is how many failures that were told before turned out to be none:
	// where a second password store follows the first, the first one's failure
	// is logged before every login that the second allows.
	Retracted int
}

// Attempt is one or more failures as they were told. Its strings are its own.
type Attempt struct {
	Time time.Time
	IP   netip.Addr // zero: none
	Peer string     // as Result.Peer
	User string
	// Count is how many there were.
	Count int
}

// Options are what a Parser needs to know.
type Options struct {
	Zone *time.Location   // of times without a zone; nil: UTC
	Now  func() time.Time // tells the year of times without one; nil: time.Now
	// Alone judges each line by itself, without what came before it: the lines
	// that tell of one attempt each count.
	Alone bool
}

// Parser reads lines, and remembers the last few thousand sessions, so that the
// lines of one attempt count once. It is not safe for concurrent use.
type Parser struct {
	stamps   stamps
	sessions sessions
	alone    bool
	last     repeatable
	reading  reading // the one at hand: it would be made anew for each line
}

// repeatable is the last line, for "last message repeated N times".
type repeatable struct {
	source string
	result Result
}

// New returns a parser that has read nothing yet.
func New(o Options) *Parser {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Parser{stamps: stamps{zone: o.Zone, now: o.Now}, alone: o.Alone}
}

// Explain judges one line by itself.
func Explain(l line.Line, o Options) Result {
	o.Alone = true
	return New(o).Parse(l)
}

// Parse reads a line. Lines of one source come in their order.
func (p *Parser) Parse(l line.Line) Result {
	var h header
	times := 1
	if l.Entry != nil { // whatever it begins with, and whatever name it bears
		h = header{time: l.Time, host: l.Host, program: l.Entry.Daemon, pid: l.PID, tagged: true, message: l.Text}
	} else if l.Program != "" {
		h = header{time: l.Time, host: l.Host, program: l.Program, pid: l.PID, tagged: true, message: l.Text}
	} else {
		h = p.header(l.Text)
		if !l.Time.IsZero() {
			h.time = l.Time
		}
		if l.Host != "" {
			h.host = l.Host
		}
		if n, ok := lastRepeated(h.message); ok && !h.tagged {
			return p.again(l.Source, h, n)
		}
	}
	message := h.message
	whole := len(message) // as the next logger got it
	if l.Entry == nil {   // "message repeated" is a syslog daemon's
		message, times = repeated(message)
	}
	r := &p.reading
	*r = reading{whole: whole, daemonOf: daemonOf}
	var d *Daemon
	if h.tagged && !l.Cut {
		d = daemonOf(h.program)
	}
	if h.tagged {
		if isRead(d) {
			d.read(message, r)
			r.seal(d)
		}
	} else if !l.Cut && !isJSON(message) { // what was cut off may be where the address stands
		for _, d := range daemons {
			if !isRead(d) {
				continue
			}
			if d.read(message, r); r.Outcome != "" {
				r.seal(d)
				break
			}
			*r = reading{whole: whole, daemonOf: daemonOf}
		}
	}
	if r.Outcome == "" {
		r.Outcome = None
	}
	if d != nil && r.Outcome != Failure && r.Outcome != Success {
		r.Opened = opened(d, message)
	}
	r.Time, r.Host, r.PID = h.time.UTC(), event.Clean(h.host, maxName), h.pid
	if h.time.IsZero() {
		r.Time = time.Time{}
	}
	p.count(r, times)
	p.remember(l.Source, &r.Result)
	return r.Result
}

// count returns a reading its number of attempts, less those that were counted on
// an earlier line of the same attempt.
func (p *Parser) count(r *reading, times int) {
	switch r.Outcome {
	case Failure:
		r.Count = max(r.Count, 1) * times
		if !p.alone {
			p.sessions.failure(r)
		}
	case Success:
		r.Count = times
		if !p.alone {
			p.sessions.success(r)
		}
	default:
		switch {
		case p.alone:
		case r.kind == kindGotIn:
			p.sessions.success(r)
		case r.Outcome == Other:
			p.sessions.other(r)
		}
	}
}

// remember keeps a result for a following "last message repeated N times".
func (p *Parser) remember(source string, r *Result) {
	if r.Outcome == Failure {
		p.last = repeatable{source: source, result: *r}
		p.last.result.Located = nil
	} else if p.last.source == source {
		p.last = repeatable{}
	}
}

// again is the last line once more, n times.
func (p *Parser) again(source string, h header, n int) Result {
	last := p.last
	if last.source != source || last.result.Outcome != Failure || last.result.Host != event.Clean(h.host, maxName) {
		return Result{Outcome: Other, Host: event.Clean(h.host, maxName), Time: h.time}
	}
	last.result.Time, last.result.Count = h.time, n
	return last.result
}

// reading is a result in the making.
type reading struct {
	Result
	kind kind
	peer string // what stands where the address belongs, if it is a name

	whole  int  // bytes of the message as it came, with spaces at its end
	placed bool // the address is that of another line of the process

	daemon   *Daemon                      // whose words they are
	daemonOf func(program string) *Daemon // the table, which itself has the reader in it
}

// isRead reports whether a daemon's lines are read; nil has none.
func isRead(d *Daemon) bool { return d != nil && d.read != nil }

// seal fills in what follows from the daemon, and cleans what came from outside.
func (r *reading) seal(d *Daemon) {
	if r.Outcome == "" {
		return
	}
	r.daemon, r.Parser, r.Service = d, d.Parser, d.Service
	r.User = event.Clean(r.User, maxName)
	r.By = event.Clean(r.By, maxName)
	r.Method = event.Clean(r.Method, maxName)
	r.Key = event.Clean(r.Key, maxName)
	r.peer = event.Clean(r.peer, maxPeer)
}
