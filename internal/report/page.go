package report

import (
	"strconv"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Page is all that a page says. Its strings are clean, and masked where that was
// wanted.
type Page struct {
	Host     string    `json:"host"`
	Hub      bool      `json:"hub,omitempty"`
	Masked   bool      `json:"masked,omitempty"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	From     string    `json:"-"`
	To       string    `json:"-"`
	Zone     string    `json:"zone"`
	Sentence string    `json:"sentence"`

	Logins     int `json:"logins"`
	Unusual    int `json:"unusual"`
	Unjudged   int `json:"unjudged,omitempty"` // of Logins: from earlier records
	PeopleSeen int `json:"people_seen"`
	HostsSeen  int `json:"hosts_seen"`

	Waiting       []Waiting `json:"waiting"`
	MoreWaiting   int       `json:"more_waiting,omitempty"`
	Days          []Day     `json:"days"`
	Weeks         bool      `json:"weeks,omitempty"` // Days are weeks
	UnusualLogins []Login   `json:"unusual_logins"`
	MoreUnusual   int       `json:"more_unusual,omitempty"`

	Places     []Place `json:"places"`
	MorePlaces int     `json:"more_places,omitempty"`
	NotPlaced  int     `json:"not_placed,omitempty"` // logins

	People     []PersonRow `json:"people"`
	MorePeople int         `json:"more_people,omitempty"`

	Keys      []KeyRow `json:"unowned_keys"`
	MoreKeys  int      `json:"more_unowned_keys,omitempty"`
	KeysNamed bool     `json:"keys_named"` // the settings say of some key whose it is

	Watched       bool          `json:"watched"`
	AttackersSeen int           `json:"attackers_seen"`
	Attempts      int           `json:"attempts"` // of attackers
	Failed        int           `json:"failed"`   // failed logins that were counted, attacks or not
	Attackers     []AttackerRow `json:"attackers"`
	MoreAttackers int           `json:"more_attackers,omitempty"`
	Tried         []Count       `json:"tried,omitempty"` // names

	Hosts        []HostRow `json:"hosts"`
	MoreHosts    int       `json:"more_hosts,omitempty"`
	HostsFailing int       `json:"hosts_failing,omitempty"` // at a hub: silent, or some of their events are missing

	Blind []string `json:"blind"` // what it can't see
}

// Waiting is what was told as high or critical and nobody has answered.
type Waiting struct {
	Ref      string   `json:"ref"`
	User     string   `json:"user"`
	From     string   `json:"from,omitempty"`
	Hosts    []string `json:"hosts,omitempty"`
	Severity string   `json:"severity"`
	Since    string   `json:"since"`
	Last     string   `json:"last"`
	Count    int      `json:"count"`
	Why      string   `json:"why,omitempty"`

	since    time.Time
	severity event.Severity
	hosts    []string // all of Hosts
}

// Digest returns what a message says of the page in short.
func (p Page) Digest() event.Digest {
	r := event.Report{Sentence: p.Sentence, Logins: p.Logins, Unusual: p.Unusual, People: p.PeopleSeen, Keys: len(p.Keys) + p.MoreKeys, Failed: p.Failed, MoreFailing: p.HostsFailing}
	for _, h := range p.Hosts {
		if h.Trouble && len(r.Failing) < maxListed {
			r.Failing = append(r.Failing, h.Name)
			r.MoreFailing--
		}
	}
	d := event.Digest{Of: event.KindReport, First: p.Since, Last: p.Until, Report: &r, MoreUnanswered: p.MoreWaiting}
	if p.HostsSeen > 1 {
		d.Hosts = p.HostsSeen
	}
	const most = 8
	for i, w := range p.Waiting {
		if i == most {
			d.MoreUnanswered += len(p.Waiting) - most
			break
		}
		u := event.Unanswered{Ref: w.Ref, User: w.User, From: w.From, Severity: w.severity, Since: w.since, Count: w.Count, Hosts: w.hosts[:min(len(w.hosts), maxListed)], MoreHosts: max(0, len(w.hosts)-maxListed)}
		if w.Why != "" {
			u.Reasons = []string{w.Why}
		}
		d.Unanswered = append(d.Unanswered, u)
	}
	return d
}

// Day is one bar.
type Day struct {
	Date    string `json:"date"` // the first of it, where it is a week
	Logins  int    `json:"logins"`
	Unusual int    `json:"unusual,omitempty"`
}

// Login is one that was unusual.
type Login struct {
	Ref      string    `json:"ref"`
	Time     time.Time `json:"time"`
	At       string    `json:"-"`
	User     string    `json:"user"`
	Person   string    `json:"person,omitempty"` // where they are called otherwise
	KeyOf    bool      `json:"key_of,omitempty"` // it was that person's key
	Host     string    `json:"host"`
	IP       string    `json:"ip,omitempty"`
	Network  string    `json:"network,omitempty"`
	Country  string    `json:"country,omitempty"`
	Severity string    `json:"severity"`
	Why      string    `json:"why,omitempty"`
	Answer   string    `json:"answer,omitempty"`

	severity event.Severity
}

// Place is where logins or attackers come from.
type Place struct {
	Name      string  `json:"name"`
	Lat       float64 `json:"lat"`
	Lon       float64 `json:"lon"`
	Logins    int     `json:"logins,omitempty"`
	Unusual   int     `json:"unusual,omitempty"`
	Attackers int     `json:"attackers,omitempty"`
	Attempts  int     `json:"attempts,omitempty"`
}

// PersonRow is somebody who logged in, or might have.
type PersonRow struct {
	Name     string   `json:"name"`
	Known    bool     `json:"known"` // they are in the settings
	Accounts []string `json:"accounts,omitempty"`
	Logins   int      `json:"logins"`
	Unusual  int      `json:"unusual,omitempty"`
	Networks []string `json:"networks,omitempty"`
	Keys     []string `json:"keys,omitempty"`
	Hosts    []string `json:"hosts,omitempty"`
	Last     string   `json:"last,omitempty"`
	LastHost string   `json:"last_host,omitempty"`
}

// KeyRow is a key that somebody logged in with, and nobody of the settings owns.
type KeyRow struct {
	Key      string   `json:"key"`
	Users    []string `json:"users"`
	Networks []string `json:"networks,omitempty"`
	Hosts    []string `json:"hosts"`
	Logins   int      `json:"logins"`
	Last     string   `json:"last"`
}

// AttackerRow is an address, or of IPv6 a network, that attacked.
type AttackerRow struct {
	Network  string `json:"network"`
	Name     string `json:"name,omitempty"`
	Country  string `json:"country,omitempty"`
	Attempts int    `json:"attempts"`
	First    string `json:"first"`
	Last     string `json:"last"`
}

// Count is how often a name was tried.
type Count struct {
	Name string `json:"name"`
	N    int    `json:"n"`
}

// HostRow is a host.
type HostRow struct {
	Name    string `json:"name"`
	Logins  int    `json:"logins"`
	Unusual int    `json:"unusual,omitempty"`
	Users   int    `json:"users"`
	Failed  int    `json:"failed,omitempty"`
	Last    string `json:"last,omitempty"`
	Beat    string `json:"beat,omitempty"`
	Version string `json:"version,omitempty"`
	State   string `json:"state,omitempty"` // at a hub
	Trouble bool   `json:"trouble,omitempty"`
}

// number writes a count for people.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && n >= 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
