package journald

import (
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

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

// Writer returns whose word an entry is: the name of one of the daemons (parse.Daemon),
// or "" for anybody else's.
//
// What tells a daemon from others is all the kernel's word, as journald took it down:
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
// which bid farewell. Of eight clients at once that hung up as soon as they were
// refused, up to half of the last two lines had none. What sshd writes before PAM's
// two seconds had it always, and with UseDNS no that has the address.
func (r *Reader) Writer(e Entry) string {
	exe := strings.TrimSuffix(e.Exe.Only(), deleted)
	all := parse.Daemons()
	i := slices.IndexFunc(all, func(d *parse.Daemon) bool { return slices.Contains(d.Programs, path.Base(exe)) })
	if i < 0 || !ofRoot(exe) {
		return ""
	}
	d := all[i]
	if d.Drops {
		e = r.asRoot(e, d)
	}
	if !e.wordOf(d) {
		return ""
	}
	return d.Service
}

// asRoot returns an entry as one of root's, if its process was a moment before.
func (r *Reader) asRoot(e Entry, d *parse.Daemon) Entry {
	pid, now := e.PID.Only(), e.Time()
	n, err := strconv.Atoi(pid)
	if err != nil || now.IsZero() {
		return e
	}
	if e.UID.Only() == "0" {
		if e.wordOf(d) {
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

// wordOf reports whether an entry of a process that runs a daemon's program is the
// daemon's word.
func (e Entry) wordOf(d *parse.Daemon) bool {
	switch uid := e.UID.Only(); {
	case d.Users && uid != "" && uid != "0":
		if caps := e.Caps.Only(); caps != "" && strings.Trim(caps, "0") == "" {
			return false
		}
	case uid != "0":
		return false
	}
	if !d.Users {
		// sshd itself reports as internal-sftp, too, with names of files in it.
		if name := e.Name(); name != "" && claimed(name) != d.Service {
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
		return slices.Contains(d.Units, ownUnit(e.Unit.Only()))
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

// Claim returns the daemon whose name an entry bears, rightly or not; "" for none. It
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
		for _, d := range parse.Daemons() {
			if slices.ContainsFunc(d.Programs, func(p string) bool { return strings.EqualFold(p, word) }) {
				return d.Service
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
func Matches() []string { return matches(parse.Daemons()) }

// RemoteMatches select those of the daemons that let people in over a network.
func RemoteMatches() []string {
	return matches(slices.DeleteFunc(slices.Clone(parse.Daemons()), func(d *parse.Daemon) bool { return !parse.Remote(d.Service) }))
}

func matches(daemons []*parse.Daemon) (out []string) {
	or := func(match string) {
		if len(out) > 0 {
			out = append(out, "+")
		}
		out = append(out, match)
	}
	for _, d := range daemons {
		for _, p := range d.Programs {
			or("_COMM=" + p[:min(len(p), maxComm)])
		}
		if d.Users {
			or("_EXE=/usr/bin/" + d.Service)
			or("_EXE=/bin/" + d.Service)
		}
	}
	return out
}
