package event

import (
	"net/netip"
	"slices"
	"time"
)

// Digest is the body of a digest.
type Digest struct {
	// Of is KindLogin for usual logins, KindAttempt for attacks, KindDigest for all of
	// a host's day, and KindReport for some days, of which Report and Unanswered tell.
	Of      Kind      `json:"of"`
	Rows    []Row     `json:"rows,omitempty"`
	Attacks int       `json:"attacks,omitempty"` // in which the attempts were made
	First   time.Time `json:"first,omitzero"`    // when what it counts happened
	Last    time.Time `json:"last,omitzero"`

	// The rest is of a host's day, whose Rows are ordinary logins, a user each.

	Unanswered     []Unanswered `json:"unanswered,omitempty"`      // told as high or worse, and not acknowledged
	MoreUnanswered int          `json:"more_unanswered,omitempty"` // beside those of Unanswered
	Counted        []Row        `json:"counted,omitempty"`         // told nowhere else: unusual again, left out by a rule, or silenced
	Failures       *Failures    `json:"failures,omitempty"`
	Promoted       []PairRow    `json:"promoted,omitempty"` // usual from now on
	Learned        []PairRow    `json:"learned,omitempty"`  // by a young host, which asked nobody
	Modes          []ModeChange `json:"modes,omitempty"`    // how ordinary logins are told from now on
	// Offer is the settings file in which notify can be changed to the default of new
	// installations, on a host that tells every login, as before an upgrade; empty:
	// nothing is offered.
	Offer string `json:"offer_in,omitempty"`
	// Hosts is how many hosts the day is of, at a hub; 0: of one.
	Hosts int `json:"hosts,omitempty"`

	Report *Report `json:"report,omitempty"`
}

// Report is what the page about some days says in short. The page itself is the
// worker's to keep.
type Report struct {
	Sentence string   `json:"sentence"` // what was unusual
	Logins   int      `json:"logins"`
	Unusual  int      `json:"unusual,omitempty"`
	People   int      `json:"people,omitempty"`
	Keys     int      `json:"unowned_keys,omitempty"`
	Failed   int      `json:"failed,omitempty"` // logins
	Failing  []string `json:"failing_hosts,omitempty"`
	// MoreFailing counts the hosts that don't report as they should beside Failing.
	MoreFailing int    `json:"more_failing_hosts,omitempty"`
	URL         string `json:"url,omitempty"` // where the page of now is; empty: nowhere
	// Oversize is how many bytes the page has, where it is too large for a mail.
	Oversize int `json:"oversize,omitempty"`
	// Only are the destinations that it goes to; none: as they are routed.
	Only []string `json:"only,omitempty"`
}

// Row counts the events of one user on one host or on several, or the attempts of
// one attacker.
type Row struct {
	User     string       `json:"user,omitempty"`
	Host     string       `json:"host,omitempty"` // where it is only one
	Kind     Kind         `json:"kind"`
	Count    int          `json:"count"`
	IPs      []netip.Addr `json:"ips,omitempty"`      // the first few, in order of appearance
	MoreIPs  int          `json:"more_ips,omitempty"` // how many other addresses there were
	Severity Severity     `json:"severity"`           // the worst
	Reason   string       `json:"reason,omitempty"`   // of the worst; may be empty
	Attacker *Attacker    `json:"attacker,omitempty"` // of attempts
	// Refs are those of its events, the first few; none where they are usual.
	Refs []string `json:"refs,omitempty"`
	// More: the row adds up so many users or attackers that found no row.
	More int `json:"more,omitempty"`
	// Hosts are the first few of several, and MoreHosts how many others there were.
	Hosts     []string `json:"hosts,omitempty"`
	MoreHosts int      `json:"more_hosts,omitempty"`
}

// Attacker is who a row of attempts is about: an address or a network, or all
// who tried to get into one account.
type Attacker struct {
	Network netip.Prefix `json:"network,omitzero"` // an IPv4 address is a /32, one of IPv6 its /64
	Account string       `json:"account,omitempty"`
	ISP     string       `json:"isp,omitempty"` // the address's network and country
	Country string       `json:"country,omitempty"`
	Names   Tally        `json:"names,omitzero"` // that were tried
}

// Unanswered is somebody's login that was told as high or worse, and that nobody
// acknowledged.
type Unanswered struct {
	Ref      string    `json:"ref"` // of the newest
	User     string    `json:"user"`
	From     string    `json:"from,omitempty"` // country or network, in words
	Severity Severity  `json:"severity"`
	Reasons  []string  `json:"reasons,omitempty"` // the strongest first
	Since    time.Time `json:"since"`             // the first
	Count    int       `json:"count,omitempty"`   // logins since then
	// Hosts are the first few of those that they were to, and MoreHosts how many others
	// there were.
	Hosts     []string `json:"hosts,omitempty"`
	MoreHosts int      `json:"more_hosts,omitempty"`
}

// Failures counts a day's failed attempts to log in, each once.
type Failures struct {
	Attempts  int   `json:"attempts"`
	Addresses int   `json:"addresses,omitempty"` // different ones; of IPv6: networks of /64
	Accounts  int   `json:"accounts,omitempty"`  // different names that were tried
	Names     Tally `json:"names,omitzero"`      // the most frequent of those
	Networks  Tally `json:"networks,omitzero"`   // that they came from
	Countries Tally `json:"countries,omitzero"`
	// Hosts are those that counted, where there are several. Addresses and Accounts are
	// then at least so many.
	Hosts Tally `json:"hosts,omitzero"`
	// Worst are the attackers with the most attempts.
	Worst []Row `json:"worst,omitempty"`
	// What was not there on the day before.
	NewAddresses int      `json:"new_addresses,omitempty"`
	NewNames     []string `json:"new_names,omitempty"` // the first few
	NewNetworks  []string `json:"new_networks,omitempty"`
}

// PairRow is a pair of somebody and where they come from with which key, in
// words.
type PairRow struct {
	User string `json:"user"`
	From string `json:"from,omitempty"` // network
	Key  string `json:"key,omitempty"`  // fingerprint, key id of a certificate, or method
	Ref  string `json:"ref,omitempty"`  // of its first login
	Days int    `json:"days,omitempty"` // on which it came
	// More: the row counts so many pairs that found no row.
	More int `json:"more,omitempty"`
}

// Mode is how ordinary logins are told.
type Mode string

// The modes.
const (
	ModeEach   Mode = "each"   // a message each
	ModeDigest Mode = "digest" // once a day
)

// ModeChange says how ordinary logins are told from now on.
type ModeChange struct {
	To    Mode   `json:"to"`
	User  string `json:"user,omitempty"`  // of the pair that it is about; none: all of the host
	From  string `json:"from,omitempty"`  // that pair's network
	Count int    `json:"count,omitempty"` // logins in 24 hours, for which it changed; of all hosts of a hub: hosts
	// Host is the one that it is about, or the first of Hosts, at a hub; empty: all of
	// them.
	Host  string `json:"host,omitempty"`
	Hosts int    `json:"hosts,omitempty"`
}

// empty reports whether the digest says nothing.
func (d *Digest) empty() bool {
	return len(d.Rows) == 0 && len(d.Unanswered) == 0 && len(d.Counted) == 0 && d.Failures == nil &&
		len(d.Promoted) == 0 && len(d.Learned) == 0 && len(d.Modes) == 0 && d.Offer == "" && d.Report == nil
}

// How much of a digest is kept. Of a host's day, that is more than one message
// has room for.
const (
	maxRows     = 40
	maxRowIPs   = 5
	maxRowRefs  = 8
	maxRowHosts = 5
	maxReason   = 100
	maxRowTally = 4
	maxSection  = 10 // entries of each
	maxReasons  = 3
	maxCell     = 64 // characters of a section's strings
	maxWorst    = 5

	maxSentence = 500
	maxLink     = 500
	maxOnly     = 16
)

func (d Digest) normalized() Digest {
	d.Of = Kind(Clean(string(d.Of), 16))
	d.Rows, d.Counted = normalizeRows(d.Rows, maxRows), normalizeRows(d.Counted, maxSection)
	d.MoreUnanswered = max(0, d.MoreUnanswered) + max(0, len(d.Unanswered)-maxSection)
	d.Unanswered = cleaned(d.Unanswered, maxSection, func(u *Unanswered) {
		u.Ref, u.User, u.From = Clean(u.Ref, IDLength), Clean(u.User, maxCell), Clean(u.From, maxCell)
		u.Reasons, u.Count = cleanList(u.Reasons, maxReasons), max(0, u.Count)
		u.Hosts, u.MoreHosts = cleanList(u.Hosts, maxRowHosts), max(0, u.MoreHosts)
	})
	pair := func(p *PairRow) {
		p.User, p.From, p.Key, p.Ref = Clean(p.User, maxCell), Clean(p.From, maxCell), Clean(p.Key, maxCell), Clean(p.Ref, IDLength)
		p.Days, p.More = max(0, p.Days), max(0, p.More)
	}
	d.Promoted, d.Learned = cleaned(d.Promoted, maxSection, pair), cleaned(d.Learned, maxSection, pair)
	d.Modes = cleaned(d.Modes, maxSection, func(m *ModeChange) {
		m.Host, m.Hosts = Clean(m.Host, maxCell), max(0, m.Hosts)
		m.To, m.User, m.From = Mode(Clean(string(m.To), 16)), Clean(m.User, maxCell), Clean(m.From, maxCell)
	})
	if d.Failures != nil {
		f := *d.Failures
		f.Attempts, f.Addresses, f.Accounts, f.NewAddresses = max(0, f.Attempts), max(0, f.Addresses), max(0, f.Accounts), max(0, f.NewAddresses)
		f.Names, f.Networks, f.Countries = f.Names.normalized(maxNames), f.Networks.normalized(maxNames), f.Countries.normalized(maxNames)
		f.Hosts = f.Hosts.normalized(maxNames)
		f.Worst = normalizeRows(f.Worst, maxWorst)
		f.NewNames, f.NewNetworks = cleanList(f.NewNames, maxNames), cleanList(f.NewNetworks, maxNames)
		d.Failures = &f
	}
	if d.Of != KindReport {
		d.Report = nil // which names who is told, and only the worker makes
	} else if d.Report != nil {
		r := *d.Report
		r.Sentence, r.URL = Clean(r.Sentence, maxSentence), Clean(r.URL, maxLink)
		r.Logins, r.Unusual, r.People, r.Keys, r.Failed, r.Oversize = max(0, r.Logins), max(0, r.Unusual), max(0, r.People), max(0, r.Keys), max(0, r.Failed), max(0, r.Oversize)
		r.MoreFailing = max(0, r.MoreFailing) + max(0, len(r.Failing)-maxRowHosts)
		r.Failing, r.Only = cleanList(r.Failing, maxRowHosts), cleanList(r.Only, maxOnly)
		d.Report = &r
	}
	return d
}

// cleaned returns the first most of a list, each cleaned.
func cleaned[T any](list []T, most int, clean func(*T)) []T {
	out := slices.Clone(list[:min(len(list), most)])
	for i := range out {
		clean(&out[i])
	}
	return out
}

func cleanList(list []string, most int) []string {
	return cleaned(list, most, func(s *string) { *s = Clean(*s, maxCell) })
}

func normalizeRows(rows []Row, most int) []Row {
	return cleaned(rows, most, func(r *Row) {
		r.User, r.Host, r.Reason = Clean(r.User, maxUser), Clean(r.Host, maxHost), Clean(r.Reason, maxReason)
		r.Kind = Kind(Clean(string(r.Kind), 16))
		r.IPs = cleaned(r.IPs, maxRowIPs, func(ip *netip.Addr) { *ip = bare(*ip) })
		r.Refs = cleaned(r.Refs, maxRowRefs, func(ref *string) { *ref = Clean(*ref, IDLength) })
		r.Hosts = cleaned(r.Hosts, maxRowHosts, func(host *string) { *host = Clean(*host, maxHost) })
		r.Count, r.MoreIPs, r.More, r.MoreHosts = max(0, r.Count), max(0, r.MoreIPs), max(0, r.More), max(0, r.MoreHosts)
		if r.Attacker != nil {
			a := *r.Attacker
			a.Account, a.ISP, a.Country = Clean(a.Account, maxUser), Clean(a.ISP, maxReason), Clean(a.Country, 16)
			a.Names = a.Names.normalized(maxRowTally)
			r.Attacker = &a
		}
	})
}
