package login

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Alive reports whether a session's process still runs, and whether that is
// sure. It is not where this process can't see the session's: /proc hides the
// processes of others (hidepid, or a unit's ProtectProc), the PID namespace is
// another one, or the session is not fully known. Another boot than ours is
// over for sure. Root is the folder under which /proc is found, "/" in
// production.
func Alive(root string, s event.Session) (alive, sure bool) {
	h := Host{Root: root}
	boot := bootID(h)
	switch {
	case s.PID == 0 || s.Boot == "" || boot == "":
		return true, false
	case s.Boot != boot:
		return false, true
	case s.Start == 0 || s.NS == "" || s.NS != namespace(h):
		return true, false
	}
	if _, err := h.process(1); err != nil {
		return true, false
	}
	p, err := h.process(s.PID)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false, true
	}
	if err != nil {
		return true, false
	}
	return p.start == s.Start && p.state != 'Z' && p.state != 'X', true
}
