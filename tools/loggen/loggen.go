// Package loggen makes auth logs like real ones, for benchmarks, comparisons and
// tests: a busy server's sessions, cron jobs and disconnects, with attackers
// among them. The same options give the same bytes.
//
// It must never be linked into the program.
package loggen

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Format is how a line begins.
type Format int

// The formats.
const (
	Traditional Format = iota // Jan _2 15:04:05 host program[pid]:
	RFC3339                   // 2006-01-02T15:04:05.000000+00:00 host program[pid]:
)

// Options say what to make. The zero value is 300,000 lines of sshd's, from 400
// addresses.
type Options struct {
	Lines     int
	Addresses int       // of attackers
	Start     time.Time // of the first line; zero: 1 March 2026, 00:00 UTC
	Span      time.Duration
	Format    Format
	Program   string // sshd or sshd-session
	Repeated  bool   // some lines as "message repeated N times"
	Seed      uint64
}

// Stats are what a log holds, for whoever counts what a reader finds in it.
type Stats struct {
	Lines    int
	Failed   int // lines with "Failed password", repeated ones once
	Attempts int // attempts that the log tells of: each counts once
	Logins   int
	ByIP     map[netip.Addr]int // attempts
}

// names that attackers try; the first few are accounts that are there.
var names = [...]string{"root", "deploy", "alice", "admin", "test", "oracle", "ubuntu", "postgres", "git", "user",
	"ftpuser", "hadoop", "nagios", "pi", "support", "guest", "mysql", "jenkins", "es", "minecraft"}

const accounts = 3

// Write makes a log.
func Write(w io.Writer, o Options) (Stats, error) {
	if o.Lines == 0 {
		o.Lines = 300_000
	}
	if o.Addresses == 0 {
		o.Addresses = 400
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Span == 0 {
		o.Span = 26 * 24 * time.Hour
	}
	if o.Program == "" {
		o.Program = "sshd"
	}
	g := generator{
		w: bufio.NewWriterSize(w, 1<<16), o: o, rand: rand.New(rand.NewPCG(o.Seed, 5)),
		now: o.Start, step: o.Span / time.Duration(o.Lines), stats: Stats{ByIP: map[netip.Addr]int{}}, pid: 1000,
	}
	for g.stats.Lines < o.Lines {
		// An attempt is four lines on the average, one of them "Failed …"; the
		// rest makes the failures a tenth of all.
		if g.rand.IntN(100) < 22 {
			g.attack()
		} else {
			g.ordinary()
		}
	}
	return g.stats, g.w.Flush()
}

type generator struct {
	w     *bufio.Writer
	o     Options
	rand  *rand.Rand
	now   time.Time
	step  time.Duration
	stats Stats
	pid   int
	buf   []byte
}

func (g *generator) line(program string, pid int, format string, args ...any) {
	if g.stats.Lines >= g.o.Lines {
		return
	}
	g.stats.Lines++
	g.now = g.now.Add(g.step)
	b := g.buf[:0]
	if g.o.Format == RFC3339 {
		b = g.now.AppendFormat(b, "2006-01-02T15:04:05.000000-07:00")
	} else {
		b = g.now.AppendFormat(b, time.Stamp)
	}
	b = fmt.Appendf(b, " web1 %s[%d]: ", program, pid)
	b = fmt.Appendf(b, format, args...)
	g.buf = append(b, '\n')
	_, _ = g.w.Write(g.buf) // the first error stays, and Flush gives it
}

// room reports whether n more lines fit: a session is not cut in its middle.
func (g *generator) room(n int) bool {
	if g.o.Lines-g.stats.Lines >= n {
		return true
	}
	g.line("CRON", g.pid, "pam_unix(cron:session): session closed for user root")
	return false
}

func (g *generator) nextPID() int {
	g.pid += 1 + g.rand.IntN(7)
	if g.pid > 4_000_000 {
		g.pid = 1000
	}
	return g.pid
}

func (g *generator) attacker() netip.Addr {
	// Some addresses come far more often than others.
	n := min(g.rand.IntN(g.o.Addresses), g.rand.IntN(g.o.Addresses))
	return netip.AddrFrom4([4]byte{198, 51, byte(100 + n>>8), byte(n)})
}

func (g *generator) attack() {
	if !g.room(12) {
		return
	}
	ip, pid, port := g.attacker(), g.nextPID(), 1024+g.rand.IntN(60000)
	n := g.rand.IntN(len(names))
	name, sshd := names[n], g.o.Program
	tries := 1
	invalid := ""
	if n >= accounts {
		invalid = "invalid user "
		g.line(sshd, pid, "Invalid user %s from %s port %d", name, ip, port)
		g.line(sshd, pid, "pam_unix(sshd:auth): check pass; user unknown")
		g.line(sshd, pid, "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s", ip)
	} else {
		g.line(sshd, pid, "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=%s", ip, name)
		tries = 1 + g.rand.IntN(3)
	}
	failed := fmt.Sprintf("Failed password for %s%s from %s port %d ssh2", invalid, name, ip, port)
	if g.o.Repeated && tries == 3 {
		g.line(sshd, pid, "%s", failed)
		g.line(sshd, pid, "message repeated 2 times: [ %s]", failed)
		g.stats.Failed += 2
	} else {
		for range tries {
			g.line(sshd, pid, "%s", failed)
			g.stats.Failed++
		}
	}
	g.line(sshd, pid, "Received disconnect from %s port %d:11: Bye Bye [preauth]", ip, port)
	who := "authenticating user"
	if invalid != "" {
		who = "invalid user"
	}
	g.line(sshd, pid, "Disconnected from %s %s %s port %d [preauth]", who, name, ip, port)
	g.stats.Attempts += tries
	g.stats.ByIP[ip] += tries
}

func (g *generator) ordinary() {
	if !g.room(12) {
		return
	}
	pid, port := g.nextPID(), 1024+g.rand.IntN(60000)
	sshd := g.o.Program
	switch g.rand.IntN(10) {
	case 0, 1, 2:
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + g.rand.IntN(20))})
		g.line(sshd, pid, "Accepted publickey for carol from %s port %d ssh2: ED25519 SHA256:2Fo1SQJyNGYLcHVlTXk3Dx6bZ0T5a8vJrKq4hW7nEoM", ip, port)
		g.line(sshd, pid, "pam_unix(sshd:session): session opened for user carol(uid=1001) by (uid=0)")
		g.line("systemd-logind", 701, "New session %d of user carol.", pid)
		g.line(sshd, pid, "pam_unix(sshd:session): session closed for user carol")
		g.line("systemd-logind", 701, "Session %d logged out. Waiting for processes to exit.", pid)
		g.stats.Logins++
	case 3, 4, 5, 6:
		g.line("CRON", pid, "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
		g.line("CRON", pid, "pam_unix(cron:session): session closed for user root")
	case 7:
		g.line("sudo", pid, "   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt-get update")
		g.line("sudo", pid, "pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)")
		g.line("sudo", pid, "pam_unix(sudo:session): session closed for user root")
	case 8:
		g.line(sshd, pid, "Connection closed by %s port %d [preauth]", g.attacker(), port)
	default:
		g.line(sshd, pid, "error: kex_exchange_identification: Connection closed by remote host")
		g.line(sshd, pid, "Connection closed by %s port %d", g.attacker(), port)
	}
}
