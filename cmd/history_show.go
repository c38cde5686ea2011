package cmd

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/sshauth"
)

// shower shows logins one after the other; what end has not written may be lost.
type shower struct {
	add func(history.Entry) error
	end func() error
}

// pastLogin is a login as --json prints it, with an event's names where it has
// them.
type pastLogin struct {
	ID       string          `json:"id"`
	Time     time.Time       `json:"time"`
	Host     string          `json:"host"`
	User     string          `json:"user"`
	Service  string          `json:"service,omitempty"`
	Remote   event.Remote    `json:"remote"`
	Auth     event.Auth      `json:"auth,omitzero"`
	Owner    string          `json:"owner,omitempty"` // whose key it is
	Network  event.Network   `json:"network,omitzero"`
	Place    event.Place     `json:"place,omitzero"`
	Traits   event.Traits    `json:"traits,omitzero"`
	Severity *event.Severity `json:"severity,omitempty"` // of what was seen
	Usual    bool            `json:"usual"`
	Reasons  []string        `json:"reasons,omitempty"` // the keys of the verdict's
	Digest   string          `json:"digest,omitempty"`  // the id of the digest that has it
	Source   history.Source  `json:"source"`

	Acknowledged *history.Acknowledgement `json:"acknowledged,omitempty"` // in a list of logins

	class history.Class
}

func (a *app) historyLines(c config.Config, acknowledged map[string]history.Acknowledgement) shower {
	owners := newOwners(c)
	out := bufio.NewWriter(a.out)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return shower{
		add: func(e history.Entry) error {
			p := pastLoginOf(owners, e)
			if said, ok := acknowledged[e.ID]; ok {
				p.Acknowledged = &said
			}
			return enc.Encode(p)
		},
		end: out.Flush,
	}
}

func pastLoginOf(owners *sshauth.Owners, e history.Entry) pastLogin {
	e = plain(e)
	p := pastLogin{
		ID: e.ID, Time: e.Time, Host: e.Host, User: e.User, Service: e.Service,
		Remote: event.Remote{IP: e.IP, Port: e.Port}, Auth: event.Auth{Method: e.Method, Fingerprint: e.Key},
		Owner: ownerOf(owners, e), Network: event.Network{ASN: e.ASN, Name: e.ASName}, Place: e.Place, Traits: e.Traits,
		Usual: e.Usual, Reasons: e.Reasons, Digest: e.Digest, Source: e.Source, class: e.Class,
	}
	if judged(e) {
		p.Severity = &e.Severity
	}
	return p
}

// Columns are laid out for so many logins at a time: a million need not all be
// in memory.
const rowsAtOnce = 1000

// The widths of what may be long, in characters.
const (
	maxUserCell    = 32
	maxHostCell    = 40
	maxNetworkCell = 32
)

func (a *app) historyTable(c config.Config, acknowledged map[string]history.Acknowledgement) shower {
	owners, zone := newOwners(c), c.Zone()
	out := bufio.NewWriter(a.out) // tabwriter writes each cell by itself
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	n := 0
	return shower{
		add: func(e history.Entry) error {
			if n == 0 {
				fmt.Fprintf(w, "REF\tTIME (%s)\tUSER\tHOST\tADDRESS\tNETWORK\tCOUNTRY\tAUTH\tSEVERITY\tSOURCE\n", zoneName(zone))
			}
			n++
			e = plain(e)
			cells := []string{
				event.Ref(e.ID), e.Time.In(zone).Format(time.DateTime), event.Clean(e.User, maxUserCell), event.Clean(e.Host, maxHostCell), "",
				event.Clean(networkText(event.Network{ASN: e.ASN, Name: e.ASName}), maxNetworkCell), e.Place.Country,
				authText(e, ownerOf(owners, e)), "", string(e.Source),
			}
			if e.IP.IsValid() {
				cells[4] = e.IP.String()
			}
			if judged(e) {
				cells[8] = e.Severity.String()
			}
			if _, ok := acknowledged[e.ID]; ok {
				cells[8] = strings.TrimPrefix(cells[8]+", acknowledged", ", ")
			}
			for i := range cells {
				if cells[i] == "" {
					cells[i] = "-"
				}
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
			if n%rowsAtOnce == 0 {
				return w.Flush()
			}
			return nil
		},
		end: func() error { return cmp.Or(w.Flush(), out.Flush()) },
	}
}

// judged reports whether a login has a severity: what was imported never had a
// verdict.
func judged(e history.Entry) bool {
	return e.Source == history.SourceSeen && e.Severity >= event.Low && e.Severity <= event.Critical
}

func ownerOf(o *sshauth.Owners, e history.Entry) string {
	return event.Clean(o.Of(event.Event{User: e.User, Login: event.Login{Auth: event.Auth{Fingerprint: e.Key}}}), sshauth.MaxComment)
}

// authText names a key by its owner, or by as much of it as tells keys apart.
func authText(e history.Entry, owner string) string {
	key := owner
	if key == "" && e.Key != "" {
		const most = len("SHA256:") + 8
		if key = e.Key; len(key) > most {
			key = key[:most] + "…"
		}
	}
	return strings.TrimSpace(e.Method + " " + key)
}

// zoneName is what stands above the times.
func zoneName(zone *time.Location) string {
	if zone != time.Local {
		return zone.String()
	}
	if name, offset := time.Now().In(zone).Zone(); offset == 0 && name == "UTC" {
		return name
	}
	return "local"
}

// plain cleans once more what was cleaned before it was stored: the file is not
// root's, and what is in it is shown on root's terminal.
func plain(e history.Entry) history.Entry {
	const most = 256 // no less than what is stored of any of them
	for _, s := range []*string{
		&e.ID, &e.Host, &e.User, &e.Service, &e.Method, &e.Key, &e.ASName,
		&e.Place.City, &e.Place.Region, &e.Place.Country, &e.Place.Source,
		&e.Traits.Tor, &e.Traits.VPN, &e.Traits.Proxy, &e.Traits.Hosting, &e.Traits.Mobile,
	} {
		*s = event.Clean(*s, most)
	}
	for i, l := range e.Traits.Lists {
		e.Traits.Lists[i] = event.Clean(l, most)
	}
	return e
}
