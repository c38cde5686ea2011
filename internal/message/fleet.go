package message

import (
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// What a hub says of its hosts. Each note is about all that it is true of at a time.

// maxHostsNamed is how many hosts a note names.
const maxHostsNamed = 30

// SilentHosts says that hosts sent nothing for so long.
func SilentHosts(names []string, d time.Duration) event.Note {
	return aboutHosts(event.Medium, names, "is silent", "are silent",
		"Nothing came for %d minutes: down, cut off from the hub, or somebody stopped sshnotify there. See sshnotify fleet status.", int(d.Minutes()))
}

// HostsBack says that silent hosts are not silent any more.
func HostsBack(names []string) event.Note {
	return aboutHosts(event.Low, names, "is back", "are back", "What waited there comes now.")
}

// EventsMissing says that so many events of hosts never came.
func EventsMissing(names []string, n int64) event.Note {
	return aboutHosts(event.Medium, names, "lost events", "lost events",
		"%d that should have been handed over never came: the host's database was damaged, or somebody took them out of its spool.", n)
}

// NumberedAnew says that hosts number what they hand over from the beginning again.
func NumberedAnew(names []string) event.Note {
	return aboutHosts(event.Medium, names, "began anew", "began anew",
		"The database there is a new one: it was damaged, or somebody removed it. Events that had not been handed over may be lost.")
}

// ClocksWrong says that the clocks of hosts are wrong.
func ClocksWrong(names []string, d time.Duration) event.Note {
	return aboutHosts(event.Medium, names, "has a wrong clock", "have wrong clocks",
		"By up to %s against the hub's. The times of events there are wrong, and certificates may not hold. See timedatectl.", roughly(d))
}

// CertificatesEnd says that certificates of hosts end soon, which should have been
// renewed long ago.
func CertificatesEnd(names []string, first time.Time) event.Note {
	return aboutHosts(event.Medium, names, "has a certificate that ends", "have certificates that end",
		"The first on %s; a host renews its own a month before. See sshnotify doctor there, or let it join anew: sshnotify fleet token.", first.Format("2 Jan 2006"))
}

// UsedTwice says that something hands over in the name of a host that is not it.
func UsedTwice(names []string) event.Note {
	return aboutHosts(event.High, names, "is at two places", "are at two places",
		"Two machines hand over with the same certificate, or one was set back to an earlier state: it was copied, restored, or stolen. If nobody did that: sshnotify fleet revoke, then join anew.")
}

// LetInAgain says that the hub let hosts in that it did not know.
func LetInAgain(names []string) event.Note {
	return aboutHosts(event.Medium, names, "was not known to the hub", "were not known to the hub",
		"The certificate is of this hub's own CA, and was let in: the hub was restored from an older copy. Hosts that were revoked since then are let in, too: see sshnotify fleet status.")
}

func aboutHosts(s event.Severity, names []string, one, many, text string, args ...any) event.Note {
	n := event.Note{Severity: s, Text: fmt.Sprintf(text, args...)}
	if len(names) == 1 {
		n.Title = names[0] + " " + one
		return n
	}
	n.Title = fmt.Sprintf("%d hosts %s", len(names), many)
	list := strings.Join(names[:min(len(names), maxHostsNamed)], ", ")
	if more := len(names) - maxHostsNamed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	n.Text = list + ". " + n.Text
	return n
}

// roughly shows minutes, hours or days.
func roughly(d time.Duration) string {
	switch d = d.Abs(); {
	case d < 2*time.Hour:
		return plural(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour")
	}
	return plural(int(d.Hours()/24), "day")
}
