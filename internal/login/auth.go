package login

import (
	"errors"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// ErrNoAuth means that this process was not run by pam_exec in the auth stage of
// sshd.
var ErrNoAuth = errors.New("not run by pam_exec for sshd's authentication")

// ReadAuth makes an event of the environment that pam_exec gives in the auth stage
// of sshd, where somebody has passed a first factor and is to pass a second: a login
// that has not happened yet. At that stage all of the environment is sshd's and
// PAM's; still the last entry of a key counts, as elsewhere. Session is the sshd
// that the session will be of, and so the same for all tries of a connection: PAM
// runs in a child of it, a new one for each try. The id is the connection's, with
// whom and how.
func ReadAuth(h Host, now time.Time) (event.Event, error) {
	env, raw := ReadEnviron(h)
	if !raw || env.pamType() != "auth" {
		return event.Event{}, ErrNoAuth
	}
	e := event.Event{
		Kind: event.KindLogin, Time: now.UTC(), Host: h.hostname(), User: env.last("PAM_USER"),
		Service: serviceOf(env.last("PAM_SERVICE")), Via: event.ViaPAM, Session: h.grandparentSession(),
	}
	connection := env.last("SSH_CONNECTION")
	e.Login.Auth.Info = env.last("SSH_AUTH_INFO_0")
	rhost := env.last("PAM_RHOST")
	if env.foreignRHost() {
		rhost = "" // a user's; SSH_CONNECTION is sshd's
	}
	setAddress(&e, rhost, connection)
	if e.User == "" || connection == "" || e.Session.PID == 0 || e.Session.Start == 0 {
		return event.Event{}, ErrNoAuth
	}
	e.ID = event.GateID(e.Session, connection+"\x00"+e.User+"\x00"+e.Login.Auth.Info)
	return e, nil
}

// grandparentSession is that of the sshd whose child runs PAM.
func (h Host) grandparentSession() event.Session {
	s := h.parentSession()
	if s.Start == 0 {
		return event.Session{}
	}
	p, err := h.process(s.PID)
	if err != nil || p.ppid <= 1 {
		return event.Session{}
	}
	if p, err = h.process(p.ppid); err != nil {
		return event.Session{}
	}
	return h.session(p.pid, p.start)
}
