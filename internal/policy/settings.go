package policy

import (
	"fmt"
	"net/mail"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/country"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/sshauth"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Settings are what the owner wants. The zero value but for the thresholds is
// fit for use: it shows and raises what the defaults say, and has no rules.
type Settings struct {
	Risk     `toml:"risk"`
	Raise    SignalSeverity            `toml:"raise"`                                  // nil: DefaultSeverity
	Groups   map[string][]string       `toml:"groups" each:"group" check:"line=128"`   // users by the name of their group; globs as in a rule
	Networks map[string][]netip.Prefix `toml:"networks,unique=network" each:"network"` // masked, IPv4 as IPv4; no prefix is in two of them, but those of one may lie within those of another
	Rules    Rules                     `toml:"rule"`
	People   People                    `toml:"person,old=people"`

	Zone     *time.Location // of the rules' hours; nil: UTC
	Learning time.Duration  // how long a young memory learns, for the words; 0: not said
	Notify   string         // how ordinary logins are told; empty: NotifyAll
	Ignored  Ignore         // logins that are not told, unless they are new or high
	MaxSpeed float64        // km/h that a traveller can do; 0: 900, an airliner's
}

// DefaultSettings are those without a settings file.
func DefaultSettings() Settings {
	return Settings{Risk: Risk{YellowAbove: 34, RedAbove: 67}, Raise: DefaultSeverity()}
}

// Risk says what a score means, which is 0 to 100: above RedAbove it is high,
// above YellowAbove medium.
type Risk struct {
	YellowAbove int `toml:"yellow_above" check:"min=0,max=100"`
	RedAbove    int `toml:"red_above" check:"min=0,max=100"`
}

// Validate compares the two.
func (r *Risk) Validate(at strictoml.At) {
	if r.YellowAbove < r.RedAbove {
		return
	}
	key := "yellow_above"
	if !at.Has(key) {
		key = "red_above"
	}
	at.Fail(key, "yellow_above (%d) must be less than red_above (%d)", r.YellowAbove, r.RedAbove)
}

// none is what the settings call a signal that is not told.
const none = "none"

// DecodeTOML reads a severity, or none, for each signal that the settings name;
// the others stay as they are.
func (r *SignalSeverity) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	if !d.Is(n, strictoml.Table) {
		return
	}
	words := []string{none}
	for s := event.Low; s <= event.Critical; s++ {
		words = append(words, s.String())
	}
	for _, c := range n.Children {
		what := Signal(c.Key)
		if !slices.Contains(Signals(), what) {
			var known []string
			for _, n := range Signals() {
				known = append(known, string(n))
			}
			d.Unknown(n, c, known)
			continue
		}
		switch word, ok := d.Choice(c, words...); {
		case ok && word == none:
			delete(*r, what)
		case ok:
			(*r)[what], _ = event.ParseSeverity(word)
		}
	}
}

// Person is somebody who logs in.
type Person struct {
	Keys     []Key    `toml:"keys,unique=key"`           // no other person's
	Accounts []string `toml:"accounts" check:"line=128"` // beside the one of the person's own name
	Phone    string   `toml:"phone" check:"line=32"`     // +353…, see E.164
	Slack    string   `toml:"slack" check:"line=64"`     // member id: U…
	Email    string   `toml:"email" check:"line=254"`
}

// Key is the fingerprint of a person's key: SHA256:….
type Key string

// DecodeTOML reads whatever sshauth.KeyFingerprint does.
func (k *Key) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	if !d.Is(n, strictoml.Text) {
		return
	}
	*k = Key(sshauth.KeyFingerprint(n.Text))
	switch {
	case *k != "":
	case strings.Contains(n.Text, "cert-authority"):
		d.Fail(n, "the key of a certificate authority is no person's").Hint = "the keys that it signs are known by their certificates: leave it out"
	default:
		d.Fail(n, "must be a key: its fingerprint (SHA256: and 43 characters), or its line of authorized_keys or a .pub file").Hint = "ssh-keygen -lf FILE.pub shows the fingerprint"
	}
}

// Validate looks at how the person is reached.
func (p *Person) Validate(at strictoml.At) {
	if digits, ok := strings.CutPrefix(p.Phone, "+"); p.Phone != "" && (!ok || len(digits) < 7 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "") {
		at.Fail("phone", "must be an international number such as \"+35315550123\"")
	}
	if p.Slack != "" && (len(p.Slack) < 9 || p.Slack[0] != 'U' && p.Slack[0] != 'W' || strings.Trim(p.Slack, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "") {
		at.Fail("slack", "must be the id of a member (U and letters or digits)").Hint = "in Slack: the member's profile, More, Copy member ID"
	}
	if a, err := mail.ParseAddress(p.Email); p.Email != "" && (err != nil || a.Address != p.Email) {
		at.Fail("email", "must be an address such as \"alice@example.com\"")
	}
}

// People are those of the settings, by name.
type People map[string]Person

// maxPerson is the longest name of a person, in characters.
const maxPerson = 64

// DecodeTOML reads the tables [person.NAME] and, as they were written before,
// [people] with NAME = [keys].
func (ps *People) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	if !d.Is(n, strictoml.Table) {
		return
	}
	if *ps == nil {
		*ps = People{}
	}
	older := n.Key == "people"
	if older {
		d.Note(n, "is still read; write [person.NAME] with keys = […]")
	}
	for _, c := range n.Children {
		if !strictoml.IsLine(c.Key, maxPerson) {
			d.Fail(c, "the name of a person must be one line of 1 to %d visible characters", maxPerson)
			continue
		}
		table := c
		if older {
			keys := *c
			keys.Key = "keys"
			table = &strictoml.Node{File: c.File, Line: c.Line, Column: c.Column, Path: c.Path, Children: []*strictoml.Node{&keys}}
		}
		var p Person
		if d.Table(table, &p); d.Once(c, "person "+c.Key) {
			(*ps)[c.Key] = p
		}
	}
}

// Keys returns the fingerprints of those whose keys are known.
func (ps People) Keys() map[string][]string {
	all := map[string][]string{}
	for name, p := range ps {
		for _, k := range p.Keys {
			all[name] = append(all[name], string(k))
		}
	}
	return all
}

// Of returns whose login an event is: of a key that somebody has, theirs, else of the
// only person whose account it is. It returns false where that is nobody, or several.
func (ps People) Of(e event.Event) (name string, is bool) {
	if key := e.Auth().Fingerprint; key != "" {
		for name, p := range ps {
			if slices.Contains(p.Keys, Key(key)) {
				return name, true
			}
		}
	}
	n := 0
	for person, p := range ps {
		if strings.EqualFold(person, e.User) || slices.Contains(p.Accounts, e.User) {
			name = person
			n++
		}
	}
	return name, n == 1
}

// foreign reports whether an account is that of other people than owner, who is
// one of them. An account is a person's by their name, or by their accounts.
func (ps People) foreign(account, owner string) bool {
	isPerson, theirs, others := false, false, false
	for name, p := range ps {
		own := strings.EqualFold(name, owner)
		isPerson = isPerson || own
		if strings.EqualFold(name, account) || slices.Contains(p.Accounts, account) {
			theirs, others = theirs || own, others || !own
		}
	}
	return isPerson && others && !theirs
}

// Ignore says which logins, or attempts, are not told.
type Ignore struct {
	Users    []string       `toml:"ignore_users" check:"line=128"`
	Networks []netip.Prefix `toml:"ignore_networks"` // masked; IPv4 is never written as IPv6
}

// Has reports whether an event is one of those.
func (i Ignore) Has(e event.Event) bool {
	return slices.Contains(i.Users, e.User) ||
		e.Remote.IP.IsValid() && slices.ContainsFunc(i.Networks, func(p netip.Prefix) bool { return p.Contains(e.Remote.IP) })
}

// Rules are tried one after the other: the first that matches holds.
type Rules []Rule

// Validate looks for rules that are never tried.
func (rs *Rules) Validate(at strictoml.At) {
	var all *strictoml.Node // a rule that leaves nothing to those after it
	for i, r := range *rs {
		n := at.Node().Children[i]
		if all != nil {
			at.Fail(strconv.Itoa(i), "never tried: the rule in line %d matches every login", all.Line).Hint = "put it before that one"
		}
		// One with a key that is wrong is meant to match something.
		if all == nil && r.MatchesAll() && !slices.ContainsFunc(n.Children, func(c *strictoml.Node) bool {
			return !slices.Contains([]string{"name", "severity", "ignore", "destination", "reason"}, c.Key)
		}) {
			all = n
		}
	}
}

// Validate asks for what a rule does, and for what it names.
func (r *Rule) Validate(at strictoml.At) {
	at.Known("group", r.Group, at.Names("groups"), "a name of [groups]", "groups")
	for i, c := range r.Country {
		if country.Known(c) {
			continue
		}
		e := at.Fail(fmt.Sprintf("country.%d", i), `must be a country's code of two letters (ISO 3166-1), such as "IE"%s`, strictoml.Not(c))
		if upper := strings.ToUpper(c); country.Known(upper) {
			e.Hint = `did you mean "` + upper + `"?`
		}
	}
	people := append(at.Names("people"), at.Names("person")...)
	for i, k := range r.Key {
		if !sshauth.IsFingerprint(k) && !slices.Contains(people, k) {
			at.Fail(fmt.Sprintf("key.%d", i), "must be the fingerprint of a key (SHA256: and 43 characters) or the name of a person%s", strictoml.Not(k)).
				Hint = strictoml.HintAt(k, "people", people)
		}
	}
	if !at.Has("ignore") && !at.Has("severity") && !at.Has("destination") && !at.Has("reason") {
		at.Fail("", "the rule does nothing").Hint = `severity = "high", ignore = true, destination = ["…"] or reason = "…"`
	}
	if r.Ignore && (r.Severity != nil || len(r.Destination) > 0) {
		at.Fail("ignore", "what is ignored has no severity and no destination").Hint = "leave one of them out"
	}
}

// DecodeTOML reads a network, an address, or the name of a network.
func (r *RuleNetwork) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	if !d.Is(n, strictoml.Text) {
		return
	}
	// Overlay networks have a name without the settings.
	known := append(d.Names("networks"), "Tailscale")
	if slices.Contains(known, n.Text) {
		r.Name = n.Text
		return
	}
	p, ok := strictoml.ParseNetwork(n.Text)
	if !ok {
		d.Fail(n, `must be a network such as "192.0.2.0/28", an address, or a name of [networks]%s`, strictoml.Not(n.Text)).
			Hint = strictoml.HintAt(n.Text, "networks", known)
	}
	r.Prefix = p
}

// ASN is the number of an autonomous system.
type ASN uint32

// DecodeTOML reads 64500 or "AS64500".
func (a *ASN) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	digits, base := n.Text, 0 // what TOML takes: 64_500, 0xfbf4
	not := strictoml.Not(n.Text)
	switch n.Kind {
	case strictoml.Text:
		digits, base = strings.TrimPrefix(digits, "AS"), 10
	case strictoml.Integer:
	default:
		not = ", not " + n.Kind.String()
		digits = ""
	}
	v, err := strconv.ParseUint(digits, base, 32)
	if err != nil || v == 0 {
		d.Fail(n, `must be the number of an autonomous system, such as 64500 or "AS64500"%s`, not)
	}
	*a = ASN(v)
}

// DecodeTOML reads "KEY=GLOB".
func (l *Label) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	if !d.Is(n, strictoml.Text) {
		return
	}
	var ok bool
	l.Key, l.Value, ok = strings.Cut(n.Text, "=")
	if !ok || !strictoml.IsName(l.Key) || !strictoml.IsLine(l.Value, maxLabelValue) {
		d.Fail(n, `must be a label and its value, such as "env=prod"`)
	}
}

const maxLabelValue = 64
