package login

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// openPAMType is what OpenPAM's pam_exec(8) says where Linux-PAM's says
// PAM_TYPE.
const openPAMType = "PAM_SM_FUNC"

// becomes reports whether a service is one by which somebody on the host becomes
// another user; PAM_RUSER names who.
func becomes(service string) bool {
	return event.Became(service) || service == "runuser" || service == "runuser-l"
}

// fromPAM makes an event of pam_exec's environment. Of that, PAM's own items
// can be believed. SSH_CONNECTION and SSH_AUTH_INFO_0 are sshd's, but a user
// may have replaced them with pam_env(8)'s user_readenv; at a logout they
// always may, because pam_env ran when the session was opened.
func fromPAM(h Host, env Env, o Options) (event.Event, error) {
	name := serviceOf(env.last("PAM_SERVICE"))
	if !o.tells(name) {
		return event.Event{}, nothing(fmt.Sprintf("service %.64q is not among those to tell", name))
	}
	e := event.Event{
		Time:    o.Now.UTC(),
		Host:    h.hostname(),
		User:    env.last("PAM_USER"),
		Service: name,
		Via:     event.ViaPAM,
		Session: h.parentSession(),
	}
	rhost := env.last("PAM_RHOST")
	local, by := becomes(name), ""
	if local {
		// Nobody comes from anywhere. Some sudo names its own host as the far end.
		by, rhost = env.last("PAM_RUSER"), ""
	}
	switch kind := env.pamType(); kind {
	case "open_session":
		sshConnection := env.last("SSH_CONNECTION")
		if local {
			sshConnection = "" // an earlier login's, at best
		}
		e.Kind, e.Login.By = event.KindLogin, by
		e.ID = event.LoginID(e.Session, sshConnection)
		if !local {
			e.Login.Auth.Info = env.last("SSH_AUTH_INFO_0")
		}
		setAddress(&e, rhost, sshConnection)
	case "close_session":
		e.Kind, e.Logout.By = event.KindLogout, by
		e.ID = event.LogoutID(e.Session)
		setAddress(&e, rhost, "")
	default:
		return event.Event{}, nothing(fmt.Sprintf("PAM asks for %.64q", kind))
	}
	if !local && env.foreignRHost() {
		addFlag(&e, event.FlagAddressUnverified)
	}
	return e, nil
}

// pamType says in Linux-PAM's words what PAM is doing. Where both PAMs' words
// are there, the later one is pam_exec's.
func (e Env) pamType() string {
	for _, entry := range slices.Backward(e.list) {
		switch key, value, _ := strings.Cut(entry, "="); key {
		case "PAM_TYPE":
			return value
		case openPAMType:
			return strings.TrimPrefix(value, "pam_sm_")
		}
	}
	return ""
}
