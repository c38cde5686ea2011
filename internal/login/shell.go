package login

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/event"
)

// fromShell makes an event of the environment of a shell that is starting. It
// is the user's own, in the user's own spool, so that there is nobody to
// distrust; but many shells start on one connection, and some on none.
func fromShell(h Host, env Env, o Options) (event.Event, error) {
	sshConnection := env.last("SSH_CONNECTION")
	if sshConnection == "" {
		return event.Event{}, nothing("no SSH_CONNECTION")
	}
	conn, err := parseConnection(sshConnection)
	if err != nil {
		return event.Event{}, fmt.Errorf("malformed SSH_CONNECTION %.128q", sshConnection)
	}
	session, err := h.connection()
	if err != nil {
		return event.Event{}, err
	}
	user, _ := h.Account()
	e := event.Event{
		ID:      h.loginID(session, sshConnection),
		Kind:    event.KindLogin,
		Time:    o.Now.UTC(),
		Host:    h.hostname(),
		User:    user,
		Service: service,
		Via:     event.ViaShell,
		Login:   event.Login{Auth: event.Auth{Info: h.authFile(env.last("SSH_USER_AUTH"))}},
		Session: session,
	}
	if ip := conn.remote.Addr(); ip.IsValid() {
		e.Remote.IP, e.Remote.Zone = bare(ip), ip.Zone()
	}
	setPorts(&e, conn)
	return e, nil
}

// authFile reads the file that ExposeAuthInfo makes, if that is what the path
// leads to: a shell's environment may name anything, and reading a FIFO or a
// device could wait or have an effect.
func (h Host) authFile(path string) string {
	if !strings.HasPrefix(path, "/") {
		return ""
	}
	f, err := os.OpenFile(h.path(path), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > event.MaxAuthInfo {
		return ""
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != h.UID {
		return ""
	}
	b, err := io.ReadAll(io.LimitReader(f, event.MaxAuthInfo))
	if err != nil {
		return ""
	}
	return string(b)
}
