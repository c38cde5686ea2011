package event

// Testimony is what a witness may say: that the system log tells of a session.
// Whatever else it holds would be told, and believed, as if a hook had said it.
func (e Event) Testimony() Event {
	return Event{
		V: e.V, ID: e.ID, Kind: KindWitness, Time: e.Time, Host: e.Host, Labels: e.Labels,
		User: e.User, By: e.By, Service: e.Service, Via: e.Via, Session: Session{PID: e.Session.PID},
	}
}

// Witnessed reports whether a PAM service is one of those by which somebody
// gets in, or becomes another user, so that its sessions have witnesses.
func Witnessed(service string) bool {
	return Became(service) || service == "sshd" || service == "login" || service == "remote"
}

// Became reports whether a PAM service is one of those by which somebody on the
// host becomes another user.
func Became(service string) bool {
	switch service {
	case "su", "su-l", "sudo", "sudo-i":
		return true
	}
	return false
}
