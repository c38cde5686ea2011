// Package parse reads log lines: who tried to get in, from where, and whether it
// worked. It knows sshd, dropbear, vsftpd, proftpd, pure-ftpd, sudo and su.
//
// Whatever a line holds, the address is the one that the daemon wrote, never one
// that a user name brought along; where the two can't be told apart there is
// none. It must never reach a network or the operating system, and waits for
// nothing.
package parse

import (
	"cmp"
	"net/netip"
	"strings"
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
	Parser  string // sshd, dropbear, vsftpd, proftpd, pureftpd, sudo, su; "" none: nobody's line
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
	KeyID   string     // the identity in a certificate, which its authority chose; \"\" none
	CA      string     // fingerprint of that authority
	Opened  Opened     // the session of PAM that the line says was opened; the outcome is other
	Count   int        // attempts or logins that the line stands for: N of "message repeated N times"; 0 for other and none

	// Unread is the message of a known daemon of which nobody knows what it says; "" it
	// is read, or nobody's. The outcome is none.
	Unread string

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

	// Refused is how many of Count were no guess: keys that were refused, or nothing
	// at all. Guessed failures were told by earlier lines as refused keys, and were
	// guesses.
	Refused, Guessed int
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

// Time returns when a line was written, UTC; zero: it does not say.
func (p *Parser) Time(l line.Line) time.Time {
	if !l.Time.IsZero() || l.Entry != nil {
		return l.Time
	}
	if t := p.header(l.Text).time; !t.IsZero() {
		return t.UTC()
	}
	return time.Time{}
}

// Parser reads lines, and remembers the last few thousand sessions, so that the
// lines of one attempt count once. It is not safe for concurrent use.
type Parser struct {
	stamps   stamps
	sessions sessions
	alone    bool
	last     repeatable
	reading  reading // the one at hand: it would be made anew for each line

	spare     Result               // what Next returns of a line that is not read
	programs  map[string]program   // of the lines before
	program   program              // of the line before
	find      func(string) *Daemon // daemonOf
	host      string               // of the line before, as it stands there
	cleanHost string
	home      string // the host that a line named last; "" that of the first line that named one
	first     string // that host
	lastHost  string // the last word that stood for a host behind a time
}

// repeatable is the last line, for "last message repeated N times". It is the reading
// at hand until a line of another source comes between: a copy of each costs.
type repeatable struct {
	source string
	result Result
	atHand bool
}

// New returns a parser that has read nothing yet.
func New(o Options) *Parser {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Parser{stamps: stamps{zone: o.Zone, now: o.Now}, alone: o.Alone, programs: map[string]program{}}
	p.find = p.daemonOf
	return p
}

// Explain judges one line by itself.
func Explain(l line.Line, o Options) Result {
	o.Alone = true
	return New(o).Parse(l)
}

// Parse reads a line. Lines of one source come in their order.
func (p *Parser) Parse(l line.Line) Result { return *p.Next(&l) }

// Next is Parse for who reads many lines: what it returns must not be changed, and
// is good until the next call.
func (p *Parser) Next(l *line.Line) *Result {
	if p.last.atHand && p.last.source != l.Source {
		p.last.atHand, p.last.result = false, p.reading.Result
	}
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
			p.spare = p.again(l.Source, h, n)
			return &p.spare
		}
	}
	var d *Daemon
	if h.tagged && !l.Cut {
		d = p.daemonOf(h.program)
	}
	if h.tagged && d == nil { // as most lines of a system's log are
		p.spare = Result{Outcome: None, Host: p.hostOf(h.host), PID: h.pid}
		p.spare.at(h.time)
		p.remember(l.Source, &p.spare)
		return &p.spare
	}
	message := h.message
	whole := len(message) // as the next logger got it
	if l.Entry == nil {   // "message repeated" is a syslog daemon's
		message, times = repeated(message)
	}
	r := &p.reading
	*r = reading{whole: whole, daemonOf: p.find}
	if h.tagged {
		if isRead(d) {
			if _, module := pamProgram(h.program); module != "" {
				readOldPAM(d, module, message, r)
			} else {
				d.read(message, r)
			}
			if r.Outcome == "" {
				readLibrary(message, r)
			}
			r.seal(d)
			if r.Outcome == "" {
				r.Parser, r.Service, r.Unread = d.Parser, d.Service, message
			}
		}
	} else if !l.Cut && !isJSON(message) { // what was cut off may be where the address stands
		for _, d := range daemons {
			if !isRead(d) {
				continue
			}
			r.bare = true
			if d.read(message, r); r.Outcome != "" {
				r.seal(d)
				break
			}
			*r = reading{whole: whole, daemonOf: p.find}
		}
	}
	if r.Outcome == "" {
		r.Outcome = None
	}
	if d != nil && r.Outcome != Failure && r.Outcome != Success {
		r.Opened = opened(d, message)
	}
	r.Host = p.hostOf(h.host)
	r.at(h.time)
	if r.PID == 0 {
		r.PID = h.pid
	}
	if r.Host != "" {
		p.first = cmp.Or(p.first, r.Host)
		if p.home = r.Host; p.home == p.first {
			p.home = ""
		}
	}
	r.home = p.home
	p.count(r, times)
	p.remember(l.Source, &r.Result)
	return &r.Result
}

// maxPrograms is how many programs' names are kept.
const maxPrograms = 64

// daemonOf is daemonOf, which most lines ask the same.
func (p *Parser) daemonOf(name string) *Daemon {
	if p.program.name == name {
		return p.program.daemon
	}
	known, ok := p.programs[name]
	if !ok {
		if len(p.programs) >= maxPrograms {
			clear(p.programs)
		}
		name = strings.Clone(name)
		known = program{name, daemonOf(name)}
		p.programs[name] = known
	}
	p.program = known
	return known.daemon
}

// program is a program's name, and whose lines it writes; nil: nobody's we know.
type program struct {
	name   string
	daemon *Daemon
}

// hostOf cleans a host's name, which most lines have in common.
func (p *Parser) hostOf(name string) string {
	if p.host != name {
		p.host = strings.Clone(name)
		p.cleanHost = event.Clean(p.host, maxName)
	}
	return p.cleanHost
}

// at sets when it happened.
func (r *Result) at(t time.Time) {
	if !t.IsZero() {
		r.Time = t.UTC()
	}
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
		p.last.source, p.last.atHand = source, true
	} else if p.last.source == source {
		p.last = repeatable{}
	}
}

// again is the last line once more, n times.
func (p *Parser) again(source string, h header, n int) Result {
	if p.last.atHand {
		p.last.atHand, p.last.result = false, p.reading.Result
	}
	// The line's text may not be there any more when it is repeated once more.
	for _, f := range [...]*string{&p.last.result.User, &p.last.result.By, &p.last.result.Method, &p.last.result.Key, &p.last.result.KeyID, &p.last.result.CA, &p.last.result.Peer} {
		*f = strings.Clone(*f)
	}
	last := p.last
	last.result.Located = nil
	if last.source != source || last.result.Outcome != Failure || h.host != "" && last.result.Host != p.hostOf(h.host) {
		return Result{Outcome: None, Host: p.hostOf(h.host), Time: h.time}
	}
	last.result.Time, last.result.Count, last.result.Guessed = h.time, n, 0
	if last.result.Refused > 0 {
		last.result.Refused = n
	}
	return last.result
}

// reading is a result in the making.
type reading struct {
	Result
	kind kind
	peer string // what stands where the address belongs, if it is a name

	whole  int  // bytes of the message as it came, with spaces at its end
	placed bool // the address is that of another line of the process
	bare   bool // no program says whose words they are

	// home is where it happened: the log that a daemon writes itself names no host,
	// and tells of the same attempts as the system's, which does.
	home string

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
	for _, f := range [...]*string{&r.User, &r.By, &r.Method, &r.Key, &r.KeyID, &r.CA} {
		if *f != "" {
			*f = event.Clean(*f, maxName)
		}
	}
	r.peer = event.Clean(r.peer, maxPeer)
}
