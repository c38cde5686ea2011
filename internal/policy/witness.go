package policy

import "github.com/sshnotify/sshnotify/internal/event"

// missed says what it means that the hook did not report a session. Somebody
// may have kept it from doing so, which is worst where the session is root's, or
// where it came from outside.
func missed(e event.Event) reason {
	r := reason{weight: event.High, text: "the login hook did not report this session, only the system log shows it"}
	if event.Became(e.Service) && e.User != "root" {
		r.weight = event.Medium
	}
	return r
}
