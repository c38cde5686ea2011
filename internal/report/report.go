// Package report owns the page that shows a month of logins: what was unusual,
// what needs an answer, who came from where, and what can't be seen. A Builder
// counts, which is a pure function of what it is given; Page.HTML draws.
//
// It must never ask anybody, read a file or a clock, or let a string from outside
// be more than text. The page has no script, and its policy lets a browser load
// nothing, whatever stood in it.
package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/country"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// How much a page shows. What has no room is counted.
const (
	maxWaiting   = 50
	maxUnusual   = 100
	maxPeople    = 200
	maxKeys      = 50
	maxAttackers = 50
	maxPlaces    = 100
	maxHosts     = 300
	maxTried     = 20
	maxListed    = 4   // of the networks, keys and hosts of one person
	maxBars      = 120 // days that are shown one by one
	maxText      = 64  // characters of a name
)

// MaxSpan is how much time a page is about at most: as much as the memory may keep.
const MaxSpan = 3650 * 24 * time.Hour

// Options say what a page is about.
type Options struct {
	Since, Now time.Time // at most MaxSpan apart
	Zone       *time.Location
	People     map[string]Person // of the settings, by name
	// Locate returns the country and the network of an address by what stands on
	// this machine's disk; nil: nothing is known of any.
	Locate func(netip.Addr) (country, network string)
	// Mask leaves of people their initials and of addresses their networks, for a
	// page that is handed on.
	Mask bool
}

// Person is somebody of the settings.
type Person struct{ Keys, Accounts []string }

// Rest is what a page tells besides logins.
type Rest struct {
	Host       string    // whose page it is
	Hub        bool      // it is that of all hosts that hand over to it
	Remembered time.Time // the oldest login that is remembered; zero: none is
	Alarms     []history.Alarm
	MoreAlarms int
	// Acknowledged is by the ids of logins, see history.DB.Acknowledged.
	Acknowledged map[string]history.Acknowledgement
	Watched      bool // somebody watches this host's log: Attackers are what it knows
	Attackers    []attack.Attacker
	Failures     []Failures
	Hosts        []HostState // those that hand over
	Unread       []string    // what should have been read, and why it was not
}

// Failures are the failed logins that a host counted in a day.
type Failures struct {
	Host     string
	Time     time.Time // of the last
	Attempts int
	Names    []event.Count // that were tried most
}

// HostState is how a host that hands over stands.
type HostState struct {
	Name    string
	Beat    time.Time // when it was heard of last; zero: never
	Version string
	Silent  bool // it should have been heard of
	Gap     bool // events of it are missing
	Revoked bool // it may no longer hand over
}

// Builder counts logins. Its methods may not be called concurrently.
type Builder struct {
	o        Options
	first    int // day number of the first bar
	mask     masker
	owner    map[string]string   // people by key
	accounts map[string][]string // people by account

	logins, unusual, judged int
	worst                   *Login
	days                    []Day
	people                  map[string]*tallied
	keys                    map[string]*tallied
	hosts                   map[string]*tallied
	places                  map[place]*Place
	odd                     []history.Entry // the newest last, at most twice what is shown
	late                    int
	located                 map[netip.Addr][2]string
}

// tallied is what logins have in common, added up.
type tallied struct {
	name                            string
	known                           bool // somebody of the settings
	users, networks, keys, hosts    map[string]int
	logins, unusual                 int
	last                            time.Time
	lastHost, lastUser, lastNetwork string
}

// NewBuilder returns one that has seen no login yet.
func NewBuilder(o Options) *Builder {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	b := &Builder{
		o: o, mask: masker{on: o.Mask}, owner: map[string]string{}, accounts: map[string][]string{},
		people: map[string]*tallied{}, keys: map[string]*tallied{}, hosts: map[string]*tallied{}, places: map[place]*Place{}, located: map[netip.Addr][2]string{},
	}
	for name, p := range o.People {
		for _, k := range p.Keys {
			b.owner[k] = name
		}
		accounts := map[string]bool{strings.ToLower(name): true}
		for _, a := range p.Accounts {
			accounts[strings.ToLower(a)] = true
		}
		for a := range accounts {
			b.accounts[a] = append(b.accounts[a], name)
		}
	}
	b.first = b.day(o.Since)
	for d := b.first; d <= b.day(o.Now); d++ {
		b.days = append(b.days, Day{Date: dateOf(d)})
	}
	return b
}

// day numbers the days of the zone.
func (b *Builder) day(t time.Time) int {
	y, m, d := t.In(b.o.Zone).Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

func dateOf(day int) string { return time.Unix(int64(day)*24*60*60, 0).UTC().Format(time.DateOnly) }

// Add counts a login, which must not be older than one that was added before. Those
// out of the time of the page are left out.
func (b *Builder) Add(e history.Entry) {
	i := b.day(e.Time) - b.first
	if e.Time.Before(b.o.Since) || e.Time.After(b.o.Now) || i < 0 || i >= len(b.days) {
		return
	}
	odd := Unusual(e)
	b.logins++
	b.days[i].Logins++
	if e.Source == history.SourceSeen {
		b.judged++
	}
	if e.Late {
		b.late++
	}
	if odd {
		b.unusual++
		b.days[i].Unusual++
		if b.odd = append(b.odd, e); len(b.odd) >= 2*maxUnusual {
			b.odd = append(b.odd[:0], b.odd[len(b.odd)-maxUnusual:]...)
		}
		if l := b.login(e); b.worst == nil || l.severity >= b.worst.severity {
			b.worst = &l
		}
	}
	c, network := b.where(e)
	b.place(e, c, odd)
	name, known := b.whose(e)
	add := func(all map[string]*tallied, key string) *tallied {
		t := all[key]
		if t == nil {
			t = &tallied{name: key, users: map[string]int{}, networks: map[string]int{}, keys: map[string]int{}, hosts: map[string]int{}}
			all[key] = t
		}
		t.logins++
		if odd {
			t.unusual++
		}
		t.users[e.User]++
		if network != "" {
			t.networks[network]++
		}
		if k := keyOf(e); k != "" {
			t.keys[k]++
		}
		t.hosts[e.Host]++
		t.last, t.lastHost, t.lastUser, t.lastNetwork = e.Time, e.Host, e.User, network
		return t
	}
	add(b.people, name).known = known
	add(b.hosts, e.Host)
	if e.Key != "" && e.CA == "" && b.owner[e.Key] == "" {
		add(b.keys, e.Key)
	}
}

// Unusual reports whether there was something to wonder about in a login: it was
// medium or worse, or something about it was new on a host that knows its people.
func Unusual(e history.Entry) bool {
	if e.Source != history.SourceSeen {
		return false
	}
	if e.Severity >= event.Medium {
		return true
	}
	young, news := false, false
	for _, k := range e.Reasons {
		switch {
		case k == "young":
			young = true
		case k == "new_pair", k == "risk_unknown", k == "hosting", strings.HasPrefix(k, "rule:"):
		default:
			news = true
		}
	}
	return news && !young
}

// whose returns the person of a login: by the key, or by the account where that is
// one person's. Else it is the account.
func (b *Builder) whose(e history.Entry) (name string, known bool) {
	if p := b.owner[e.Key]; p != "" && e.Key != "" {
		return p, true
	}
	if p := b.accounts[strings.ToLower(e.User)]; len(p) == 1 {
		return p[0], true
	}
	return e.User, false
}

// keyOf is what a login proved who it is by: the key id of a certificate, a key, or
// the method.
func keyOf(e history.Entry) string {
	switch {
	case e.CA != "":
		return "certificate " + e.KeyID
	case e.Key != "":
		return e.Key
	}
	return e.Method
}

// where returns the country and the name of the network of a login.
func (b *Builder) where(e history.Entry) (code, network string) {
	code, network = e.Place.Country, cmp.Or(e.Named, e.ASName)
	if network == "" && e.ASN != 0 {
		network = fmt.Sprintf("AS%d", e.ASN)
	}
	if (code == "" || network == "") && e.IP.IsValid() {
		c, n := b.locate(e.IP)
		code, network = cmp.Or(code, c), cmp.Or(network, n)
	}
	switch {
	case network != "":
	case e.IP.IsLoopback():
		network = "loopback"
	case e.IP.IsPrivate(), e.IP.IsLinkLocalUnicast():
		network = "private network"
	}
	return code, network
}

// maxLocated bounds what is kept of addresses that were asked about.
const maxLocated = 100_000

func (b *Builder) locate(ip netip.Addr) (code, network string) {
	if b.o.Locate == nil {
		return "", ""
	}
	if f, known := b.located[ip]; known {
		return f[0], f[1]
	}
	code, network = b.o.Locate(ip)
	if len(b.located) < maxLocated {
		b.located[ip] = [2]string{code, network}
	}
	return code, network
}

// countryName is the country's name, without the article of a sentence.
func countryName(code string) string {
	return strings.TrimPrefix(country.Name(clean(code)), "the ")
}

func clean(s string) string { return event.Clean(s, maxText) }

// ref is what an event is called by. It stands in a command that somebody may paste.
func ref(id string) string {
	s := event.Ref(id)
	if strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "?"
	}
	return s
}

// at is a time as the page shows it.
func (b *Builder) at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(b.o.Zone).Format("2 Jan 2006, 15:04")
}

// Page makes the page of all that was added.
func (b *Builder) Page(r Rest) Page {
	p := Page{
		Host: clean(r.Host), Hub: r.Hub, Masked: b.o.Mask, Zone: clean(b.o.Zone.String()),
		Since: b.o.Since.UTC(), Until: b.o.Now.UTC(), From: b.at(b.o.Since), To: b.at(b.o.Now),
		Logins: b.logins, Unusual: b.unusual, Unjudged: b.logins - b.judged, Days: b.days,
		// In JSON an empty list is one, too.
		Waiting: []Waiting{}, UnusualLogins: []Login{}, Places: []Place{}, People: []PersonRow{}, Keys: []KeyRow{}, Attackers: []AttackerRow{}, Hosts: []HostRow{},
	}
	if p.Zone == "Local" {
		p.Zone = b.o.Now.In(b.o.Zone).Format("MST")
	}
	if len(p.Days) > maxBars {
		p.Days, p.Weeks = weeks(p.Days), true
	}
	b.waiting(&p, r)
	for _, e := range slices.Backward(b.odd) {
		if len(p.UnusualLogins) == maxUnusual {
			break
		}
		l := b.login(e)
		if said, ok := r.Acknowledged[e.ID]; ok {
			l.Answer = "acknowledged by " + b.mask.person(said.By)
		}
		p.UnusualLogins = append(p.UnusualLogins, l)
	}
	p.MoreUnusual = b.unusual - len(p.UnusualLogins)
	b.ofPeople(&p)
	b.ofKeys(&p)
	b.attackers(&p, r)
	b.ofPlaces(&p)
	b.ofHosts(&p, r)
	p.Sentence = b.sentence(&p)
	p.Blind = b.blind(&p, r)
	return p
}

// weeks adds up days by seven, the last week being whole.
func weeks(days []Day) (out []Day) {
	for i := len(days) % 7; i <= len(days); i += 7 {
		w := Day{}
		for _, d := range days[max(0, i-7):i] {
			if w.Date == "" {
				w.Date = d.Date
			}
			w.Logins, w.Unusual = w.Logins+d.Logins, w.Unusual+d.Unusual
		}
		if w.Date != "" {
			out = append(out, w)
		}
	}
	return out
}

func (b *Builder) login(e history.Entry) Login {
	c, network := b.where(e)
	name, _ := b.whose(e)
	l := Login{
		Ref: ref(e.ID), Time: e.Time.UTC(), At: b.at(e.Time), User: b.mask.person(e.User), Host: clean(e.Host), IP: b.mask.ip(e.IP),
		Network: clean(network), Country: countryName(c), Severity: e.Severity.String(), severity: e.Severity, Why: why(e.Reasons),
	}
	if !strings.EqualFold(name, e.User) {
		l.Person, l.KeyOf = b.mask.person(name), b.owner[e.Key] == name
	}
	return l
}

// why puts the keys of reasons into words.
func why(keys []string) string {
	var out []string
	for _, s := range message.Reasons(keys) {
		out = append(out, clean(s))
	}
	return strings.Join(out, ", ")
}

func (b *Builder) waiting(p *Page, r Rest) {
	p.MoreWaiting = r.MoreAlarms + max(0, len(r.Alarms)-maxWaiting)
	for _, a := range r.Alarms[:min(len(r.Alarms), maxWaiting)] {
		from := a.Place
		for _, form := range []string{"net:", "org:"} {
			from = strings.TrimPrefix(from, form)
		}
		w := Waiting{Ref: ref(a.ID), User: b.mask.person(a.User), From: countryName(from), Severity: a.Severity.String(), Since: b.at(cmp.Or(a.Since, a.Told)),
			Last: b.at(a.Told), Count: a.Count, Why: why(a.Reasons)}
		if prefix, err := netip.ParsePrefix(from); err == nil {
			w.From = b.mask.ip(prefix.Addr())
		}
		w.Hosts = listed(a.Hosts, clean)
		w.since, w.severity, w.hosts = cmp.Or(a.Since, a.Told), a.Severity, a.Hosts
		p.Waiting = append(p.Waiting, w)
	}
}

// listed shortens a list of names.
func listed(all []string, show func(string) string) (out []string) {
	for i, s := range all {
		if i == maxListed {
			return append(out, fmt.Sprintf("and %d more", len(all)-i))
		}
		if s = show(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// most returns the names of a tally, the most frequent first.
func most(t map[string]int) []string {
	return slices.SortedFunc(maps.Keys(t), func(a, b string) int { return cmp.Or(cmp.Compare(t[b], t[a]), cmp.Compare(a, b)) })
}

// sorted returns what was added up, the newest first.
func sorted(all map[string]*tallied) []*tallied {
	return slices.SortedFunc(maps.Values(all), func(a, b *tallied) int { return cmp.Or(b.last.Compare(a.last), cmp.Compare(a.name, b.name)) })
}

func (b *Builder) ofPeople(p *Page) {
	for name := range b.o.People { // whoever did not come is news, too
		if b.people[name] == nil {
			b.people[name] = &tallied{name: name, known: true}
		}
	}
	all := sorted(b.people)
	p.PeopleSeen = len(slices.DeleteFunc(slices.Clone(all), func(t *tallied) bool { return t.logins == 0 }))
	p.MorePeople = max(0, len(all)-maxPeople)
	for _, t := range all[:min(len(all), maxPeople)] {
		row := PersonRow{Name: b.mask.person(t.name), Known: t.known, Logins: t.logins, Unusual: t.unusual, Last: b.at(t.last), LastHost: clean(t.lastHost),
			Networks: listed(most(t.networks), clean), Keys: listed(most(t.keys), b.mask.key), Hosts: listed(most(t.hosts), clean)}
		for _, u := range most(t.users) {
			if !strings.EqualFold(u, t.name) {
				row.Accounts = append(row.Accounts, u)
			}
		}
		row.Accounts = listed(row.Accounts, b.mask.person)
		p.People = append(p.People, row)
	}
}

func (b *Builder) ofKeys(p *Page) {
	for _, person := range b.o.People {
		p.KeysNamed = p.KeysNamed || len(person.Keys) > 0
	}
	all := sorted(b.keys)
	p.MoreKeys = max(0, len(all)-maxKeys)
	for _, t := range all[:min(len(all), maxKeys)] {
		p.Keys = append(p.Keys, KeyRow{Key: b.mask.wholeKey(t.name), Users: listed(most(t.users), b.mask.person), Networks: listed(most(t.networks), clean),
			Hosts: listed(most(t.hosts), clean), Logins: t.logins, Last: b.at(t.last)})
	}
}

func (b *Builder) attackers(p *Page, r Rest) {
	p.Watched = r.Watched
	all := slices.DeleteFunc(slices.Clone(r.Attackers), func(a attack.Attacker) bool { return a.Last.Before(b.o.Since) })
	slices.SortStableFunc(all, func(x, y attack.Attacker) int {
		return cmp.Or(cmp.Compare(y.Attempts, x.Attempts), x.Network.Compare(y.Network))
	})
	p.AttackersSeen = len(all)
	for i, a := range all {
		code, network := b.locate(a.Network.Addr())
		b.attacker(code, a.Attempts)
		p.Attempts += a.Attempts
		if i < maxAttackers {
			p.Attackers = append(p.Attackers, AttackerRow{Network: b.mask.prefix(a.Network), Attempts: a.Attempts, First: b.at(a.First), Last: b.at(a.Last),
				Name: clean(network), Country: countryName(code)})
		}
	}
	p.MoreAttackers = p.AttackersSeen - len(p.Attackers)
	names := map[string]int{}
	for _, f := range r.Failures {
		if f.Time.Before(b.o.Since) || f.Time.After(b.o.Now) {
			continue
		}
		p.Failed += max(0, f.Attempts)
		for _, c := range f.Names {
			names[c.Name] += max(0, c.N)
		}
	}
	for _, n := range most(names) {
		if len(p.Tried) == maxTried || b.o.Mask { // it may be a password that was typed in the wrong place
			break
		}
		p.Tried = append(p.Tried, Count{clean(n), names[n]})
	}
}

func (b *Builder) ofHosts(p *Page, r Rest) {
	states := map[string]HostState{}
	for _, s := range r.Hosts {
		states[s.Name] = s
		if b.hosts[s.Name] == nil {
			b.hosts[s.Name] = &tallied{name: s.Name}
		}
	}
	failed := map[string]int{}
	for _, f := range r.Failures {
		if !f.Time.Before(b.o.Since) && !f.Time.After(b.o.Now) {
			failed[f.Host] += max(0, f.Attempts)
		}
	}
	all := sorted(b.hosts)
	if r.Hub { // those that need somebody first
		slices.SortStableFunc(all, func(x, y *tallied) int {
			return cmp.Compare(trouble(states[y.name]), trouble(states[x.name]))
		})
	}
	for _, s := range r.Hosts {
		p.HostsFailing += trouble(s)
	}
	p.HostsSeen, p.MoreHosts = len(all), max(0, len(all)-maxHosts)
	for _, t := range all[:min(len(all), maxHosts)] {
		row := HostRow{Name: clean(t.name), Logins: t.logins, Unusual: t.unusual, Users: len(t.users), Last: b.at(t.last), Failed: failed[t.name]}
		if s, ok := states[t.name]; ok {
			row.Version, row.Beat, row.State, row.Trouble = clean(s.Version), b.at(s.Beat), s.text(), trouble(s) > 0
		}
		p.Hosts = append(p.Hosts, row)
	}
}

// text says how a host is.
func (s HostState) text() string {
	switch {
	case s.Revoked:
		return "may no longer hand over"
	case s.Beat.IsZero():
		return "never heard of"
	case s.Silent:
		return "silent"
	case s.Gap:
		return "events are missing"
	}
	return "reports"
}

// trouble returns 1 for a host whose logins may go unseen, else 0.
func trouble(s HostState) int {
	if !s.Revoked && (s.Silent || s.Gap) {
		return 1
	}
	return 0
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// sentence says what was unusual.
func (b *Builder) sentence(p *Page) string {
	of := plural(p.Logins, "login", "logins")
	if p.Logins > 0 {
		of += " of " + plural(p.PeopleSeen, "person", "people")
	}
	if p.HostsSeen > 1 {
		of += " to " + plural(p.HostsSeen, "host", "hosts")
	}
	waits := len(p.Waiting) + p.MoreWaiting
	needs := "; " + plural(waits, "alert needs", "alerts need") + " an answer"
	if waits == 0 {
		needs = ""
	}
	if n := p.HostsFailing; n > 0 {
		needs += "; " + plural(n, "host doesn't report as it should", "hosts don't report as they should")
	}
	switch {
	case p.Logins == 0:
		return "No login is remembered of this time" + needs + "."
	case p.Unusual > 0:
		w := b.worst
		s := fmt.Sprintf("%s of %s %s unusual", number(p.Unusual), plural(p.Logins, "login", "logins"), map[bool]string{true: "was", false: "were"}[p.Unusual == 1])
		s += fmt.Sprintf(", the worst %s: %s to %s", w.Severity, w.User, w.Host)
		if from := cmp.Or(w.Country, w.Network, w.IP); from != "" {
			s += " from " + from
		}
		return s + ", " + w.At + needs + "."
	case b.judged == 0:
		return "What was unusual is not known: " + of + ", all from earlier records" + needs + "."
	}
	s := "Nothing was unusual: " + of
	if p.Unjudged > 0 {
		s = "Nothing unusual was seen: " + of + ", of which " + number(p.Unjudged) + " are from earlier records and were never judged"
	}
	return s + needs + "."
}

// blind lists what the page can't see.
func (b *Builder) blind(p *Page, r Rest) (out []string) {
	for _, s := range r.Unread {
		out = append(out, "Could not be read: "+event.Clean(s, 300)+".")
	}
	switch {
	case r.Remembered.IsZero():
		out = append(out, "No login is remembered yet.")
	case r.Remembered.After(b.o.Since):
		out = append(out, "Nothing is remembered of before "+b.at(r.Remembered)+".")
	}
	if p.Unjudged > 0 {
		out = append(out, plural(p.Unjudged, "login is", "logins are")+" from earlier records (wtmp, the journal, logs): they were never judged, and none of them is marked as unusual.")
	}
	if b.late > 0 {
		out = append(out, plural(b.late, "login", "logins")+" came to the hub so late that "+map[bool]string{true: "it was", false: "they were"}[b.late == 1]+" not compared with others.")
	}
	if p.NotPlaced > 0 {
		out = append(out, plural(p.NotPlaced, "login is", "logins are")+" not on the map: from a private network, or from a place that nobody knows.")
	}
	switch {
	case !r.Watched && r.Hub:
		out = append(out, "The addresses of attackers are those of this machine's own log, which nobody watches; of the hosts' it knows counts and names.")
	case !r.Watched:
		out = append(out, "Attackers: nobody watches the log of this host (sshnotify install --system --watch).")
	case r.Hub:
		out = append(out, "The addresses of attackers are those of this machine's own log; of other hosts it knows counts and names.")
	}
	if r.Watched || len(r.Failures) > 0 {
		out = append(out, "Attackers are remembered for 30 days, counts of failed logins for 60.")
	}
	if r.Hub {
		out = append(out, "What a host says of itself is its root's word: it can leave out and make up logins of its own, and of no other.")
	}
	out = append(out,
		"Places come from look-ups of addresses and may be wrong; a VPN or Tor shows where its exit is, not its user.",
		"What somebody did after they had logged in, sessions that began before sshnotify was installed, and logins by ways that it is not told of (a console, a container's own sshd) are not here.",
		"Who is root on a host can keep it from reporting.",
	)
	return out
}
