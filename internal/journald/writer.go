package journald

import (
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// A daemon is a program whose word is taken for who got in, or tried to.
//
// What tells it from others is all the kernel's word, as journald took it down:
// which file the writer runs (_EXE), as whom (_UID), and the way on which the entry
// came (_TRANSPORT). No single one of them is enough:
//
//   - a user's process can have any _EXE: in a mount namespace of one's own any file
//     can stand at /usr/sbin/sshd, and LD_PRELOAD puts code into a program that is
//     not setuid. Such a process is never of _UID 0, so that a daemon must be;
//   - what a user typed can be written by a process of _UID 0: "systemd-cat -t sshd
//     sudo -S -p TEXT" is sudo's, as _EXE says, and comes by "stdout", on which sudo
//     never reports;
//   - the name (SYSLOG_IDENTIFIER) and the command (_COMM) are anybody's to choose.
//
// journald looks a writer up when it reads the entry. If that has ended by then,
// there is no _EXE, and the entry is nobody's word: to end quickly is easy. On a busy
// Debian 12, all of the 4,395 lines had it that sshd wrote as root for a thousand
// logins, half of them refused; a third of those that it wrote as the users did not,
// which bid farewell.
type daemon struct {
	name     string   // by which its lines are read
	programs []string // the names of its files

	// users says that it is setuid: what it reports while it asks who somebody is
	// bears the user's _UID. Its name is then the user's as well, who may start it
	// by any; and the entry must not be of a process without the right to anything,
	// as one is that was kept from becoming root and can be led by its user.
	users bool

	// drops says that it becomes the user before it reports that he got in, for good.
	// That is believed of a process that reported as root a moment before.
	drops bool

	// units are those in which it may report on its standard error (sshd -D -e,
	// dropbear -E), which journald attributes to whichever process wrote it. In a
	// system unit of that name only the daemon's own processes of root are such: what
	// it starts for users is another program of another uid, and gets other
	// descriptors; and what it quotes of strangers it writes without newlines.
	units []string
}

var daemons = []daemon{
	{name: "sshd", programs: []string{"sshd", "sshd-session", "sshd-auth"}, units: []string{"ssh", "sshd"}},
	{name: "dropbear", programs: []string{"dropbear", "dropbearmulti"}, units: []string{"dropbear"}},
	{name: "vsftpd", programs: []string{"vsftpd"}},
	{name: "proftpd", programs: []string{"proftpd"}},
	{name: "pure-ftpd", programs: []string{"pure-ftpd", "pure-ftpd-mysql", "pure-ftpd-ldap", "pure-ftpd-postgresql",
		"pure-ftpd-virtualchroot", "pure-ftpd-mysql-virtualchroot", "pure-ftpd-ldap-virtualchroot", "pure-ftpd-postgresql-virtualchroot"}, drops: true},
	{name: "sudo", programs: []string{"sudo", "sudo.ws", "sudo-rs"}, users: true},
	{name: "su", programs: []string{"su", "su-rs"}, users: true},
	{name: "login", programs: []string{"login"}},
}

// folders are those that only root writes to, and in which distributions keep
// these programs. Not /opt or /usr as a whole: others own parts of these.
var folders = []string{
	"/usr/sbin", "/usr/bin", "/sbin", "/bin",
	"/usr/libexec", "/usr/libexec/openssh", "/usr/libexec/ssh", "/usr/lib/openssh", "/usr/lib/ssh", "/usr/lib64/ssh",
	"/usr/lib/misc", "/usr/lib64/misc", "/usr/lib/cargo/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/local/libexec",
}

// stores are folders of packages, below which each has such folders of its own.
var stores = []string{"/nix/store/", "/gnu/store/"}

// deleted is what the kernel adds to the name of a file that was replaced while it
// runs, as in an upgrade.
const deleted = " (deleted)"

// Reader says whose word entries are, which come in their order. The zero value has
// read none. It is not safe for concurrent use.
type Reader struct {
	roots map[int]time.Time // when a process of a daemon that drops its rights last reported as root
}

// A number is another process's when all numbers were used: of the kernel's four
// million that takes a user longer than rootFor. maxRoots bounds what is remembered.
const (
	rootFor  = time.Minute
	maxRoots = 4096
)

// Writer says whose word an entry is: the name of one of the daemons, or "" for
// anybody else's.
func (r *Reader) Writer(e Entry) string {
	exe := strings.TrimSuffix(e.Exe.Only(), deleted)
	i := slices.IndexFunc(daemons, func(d daemon) bool { return slices.Contains(d.programs, path.Base(exe)) })
	if i < 0 || !ofRoot(exe) {
		return ""
	}
	d := &daemons[i]
	if d.drops {
		e = r.asRoot(e, d)
	}
	if !d.wrote(e) {
		return ""
	}
	return d.name
}

// asRoot gives an entry as one of root's, if its process was a moment before.
func (r *Reader) asRoot(e Entry, d *daemon) Entry {
	pid, now := e.PID.Only(), e.Time()
	n, err := strconv.Atoi(pid)
	if err != nil || now.IsZero() {
		return e
	}
	if e.UID.Only() == "0" {
		if d.wrote(e) {
			if r.roots == nil || len(r.roots) >= maxRoots {
				r.roots = map[int]time.Time{}
			}
			r.roots[n] = now
		}
		return e
	}
	if since := now.Sub(r.roots[n]); since >= 0 && since < rootFor {
		e.UID = Field{"0"}
		e.Unit = nil // PAM may have given it a session of its own
	}
	return e
}

// Writer is a Reader's that has read nothing before.
func (e Entry) Writer() string { return new(Reader).Writer(e) }

// ofRoot reports whether only root can have put a program where it is.
func ofRoot(exe string) bool {
	if path.Clean(exe) != exe {
		return false
	}
	dir := path.Dir(exe)
	if slices.Contains(folders, dir) {
		return true
	}
	for _, store := range stores {
		if in, ok := strings.CutPrefix(dir, store); ok {
			_, in, ok = strings.Cut(in, "/") // the package's own folder
			return ok && slices.Contains([]string{"bin", "sbin", "libexec"}, in)
		}
	}
	return false
}

// wrote reports whether an entry of a process that runs this daemon's program is
// the daemon's word.
func (d daemon) wrote(e Entry) bool {
	switch uid := e.UID.Only(); {
	case d.users && uid != "" && uid != "0":
		if caps := e.Caps.Only(); caps != "" && strings.Trim(caps, "0") == "" {
			return false
		}
	case uid != "0":
		return false
	}
	if !d.users {
		// sshd itself reports as internal-sftp, too, with names of files in it.
		if name := e.Name(); name != "" && claimed(name) != d.name {
			return false
		}
		// A container that was lent /dev/log has a root and an sshd of its own.
		if unit := e.Unit.Only(); strings.HasSuffix(unit, ".scope") && !strings.HasPrefix(unit, "session-") {
			return false
		}
	}
	switch e.Transport.Only() {
	case "syslog":
		return true
	case "":
		return len(e.Transport) == 0 // left out by who exported it; journald always has it
	case "stdout":
		return slices.Contains(d.units, ownUnit(e.Unit.Only()))
	}
	return false
}

// ownUnit is the name of a service, without its instance.
func ownUnit(unit string) string {
	name, ok := strings.CutSuffix(unit, ".service")
	if !ok {
		return ""
	}
	name, _, _ = strings.Cut(name, "@")
	return name
}

// Line makes a line of an entry, as journalctl writes it, and returns its cursor.
func (r *Reader) Line(b []byte, source string) (l line.Line, cursor string, err error) {
	e, err := Parse(b)
	if err != nil {
		return line.Line{}, "", ErrNoEntry
	}
	l = line.Line{
		Source: source, Host: e.Host.Only(), Program: e.Name(), PID: e.Process(), Time: e.Time(), Text: oneLine(e.Text()),
		Entry: &line.Entry{Daemon: r.Writer(e), UID: e.UID.Only(), Exe: e.Exe.Only()},
	}
	if l.Entry.Daemon != "" {
		l.Program = l.Entry.Daemon
	} else if claim := e.Claim(); claim != "" {
		l.Entry.Claim, l.Program = claim, "uid "+l.Entry.UID+" as "+claim
	}
	if len(l.Text) > line.MaxText {
		l.Text, l.Cut = strings.Clone(l.Text[:line.MaxText]), true
	}
	return l, e.Cursor.Only(), nil
}

// ErrNoEntry says that something is no entry of the journal.
var ErrNoEntry = errors.New("is no entry of the journal")

// oneLine keeps an entry one line: in a line of its own, what a stranger sent
// could look like what the program says.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimRight(s, "\r\n"), "\n", " ")
}

// Claim gives the daemon whose name an entry bears, rightly or not; "" for none. It
// takes more for a name than any reader of lines does: "/sshd", "SSHD[1]" and
// "sshd(x)" are sshd's.
func (e Entry) Claim() string { return claimed(e.Name()) }

// Name is the name that an entry bears: of its writer's choice.
func (e Entry) Name() string {
	if name := e.Identifier.Joined(); name != "" {
		return name
	}
	return e.Comm.Joined()
}

// claimed is the daemon whose name is in a name.
func claimed(name string) string {
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	}) {
		for _, d := range daemons {
			if slices.ContainsFunc(d.programs, func(p string) bool { return strings.EqualFold(p, word) }) {
				return d.name
			}
		}
	}
	return ""
}

// maxComm is how much of a program's name the kernel keeps, in bytes.
const maxComm = 15

// Matches select the daemons' entries, as journalctl(1) takes them. They find no
// more than candidates: a command is anybody's to choose. Those that users start by
// any name are found by their files.
func Matches() []string {
	var out []string
	or := func(match string) {
		if len(out) > 0 {
			out = append(out, "+")
		}
		out = append(out, match)
	}
	for _, d := range daemons {
		for _, p := range d.programs {
			or("_COMM=" + p[:min(len(p), maxComm)])
		}
		if d.users {
			or("_EXE=/usr/bin/" + d.name)
			or("_EXE=/bin/" + d.name)
		}
	}
	return out
}
