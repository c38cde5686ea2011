package policy

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Rule is one of the owner's. Every key that is set must match, and a list
// matches where one of its elements does. What is not known matches nothing
// that asks for it: new_network = false is for a network that is known not to
// be new. But tor and its like can't be known not to be: false means that
// nobody says so.
//
// Globs have * for any characters and ? for one.
type Rule struct {
	Name string `toml:"name,unique=rule" check:"line=64"` // as shown; empty: its number

	User        []string      `toml:"user,one" check:"line=128"`      // globs
	Group       []string      `toml:"group,one"`                      // names of Settings.Groups
	Network     []RuleNetwork `toml:"network,one"`                    //
	Country     []string      `toml:"country,one"`                    // ISO 3166-1 alpha-2, upper case
	ASN         []ASN         `toml:"asn,one"`                        //
	Host        []string      `toml:"host,one" check:"line=253"`      // globs, whatever the case
	Label       []Label       `toml:"label,one"`                      // of the host
	Service     []string      `toml:"service,one" check:"line=128"`   // globs
	Key         []string      `toml:"key,one"`                        // fingerprints (SHA256:…), and people whose key it is
	Method      []string      `toml:"method,one" check:"line=128"`    // globs; one of several in a row is enough
	Hours       []Hours       `toml:"hours,one"`                      // in Settings.Zone
	NewNetwork  *bool         `toml:"new_network"`                    // of this user, as are country and key
	NewCountry  *bool         `toml:"new_country"`                    //
	NewKey      *bool         `toml:"new_key"`                        // a login without a key has no new one
	NewUser     *bool         `toml:"new_user"`                       // the user's first login ever
	Tor         *bool         `toml:"tor"`                            //
	VPN         *bool         `toml:"vpn"`                            //
	Proxy       *bool         `toml:"proxy"`                          //
	Hosting     *bool         `toml:"hosting"`                        //
	MinRisk     *int          `toml:"min_risk" check:"min=0,max=100"` // a known score of this or more
	UnknownRisk *bool         `toml:"unknown_risk"`                   // a provider was asked and gave no score

	Severity    *event.Severity `toml:"severity" check:"oneof=low medium high critical"` // exactly this; nil: what the reasons ask for
	Ignore      bool            `toml:"ignore"`                                          // recorded, and not told
	Destination []string        `toml:"destination,one"`                                 // only these; none: all
	Reason      string          `toml:"reason" check:"line=200"`                         // told first; may be empty
}

// RuleNetwork is a range of addresses, or a network by the name that the
// settings or the look-up give it.
type RuleNetwork struct {
	Prefix netip.Prefix
	Name   string // empty: Prefix holds
}

func (n RuleNetwork) String() string {
	if n.Name != "" {
		return n.Name
	}
	return n.Prefix.String()
}

// Label is one of a host's. Value is a glob.
type Label struct{ Key, Value string }

func (l Label) String() string { return l.Key + "=" + l.Value }

// MatchesAll reports whether a rule has no key that could fail to match.
func (r Rule) MatchesAll() bool {
	return len(r.User)+len(r.Group)+len(r.Network)+len(r.Country)+len(r.ASN)+len(r.Host)+len(r.Label)+
		len(r.Service)+len(r.Key)+len(r.Method)+len(r.Hours) == 0 &&
		r.NewNetwork == nil && r.NewCountry == nil && r.NewKey == nil && r.NewUser == nil &&
		r.Tor == nil && r.VPN == nil && r.Proxy == nil && r.Hosting == nil && r.MinRisk == nil && r.UnknownRisk == nil
}

// title is what a rule is called: by its name, or its place, from 1.
func (r Rule) title(i int) string {
	if r.Name != "" {
		return r.Name
	}
	return strconv.Itoa(i + 1)
}

// applyRule lets the first rule that matches speak.
func applyRule(j judgement, in Input, s Settings, trace *[]RuleTrace) judgement {
	if len(s.Rules) == 0 {
		return j
	}
	m := newMatcher(in, s, trace != nil)
	for i := range s.Rules {
		r := &s.Rules[i]
		ok := m.match(r)
		if trace != nil {
			*trace = append(*trace, RuleTrace{Name: r.title(i), Misses: m.misses})
		}
		if ok && trace != nil {
			(*trace)[i].Reason = r.Reason
		}
		if ok {
			j.rule = i
			return speak(j, in, s, r)
		}
	}
	return j
}

func speak(j judgement, in Input, s Settings, r *Rule) judgement {
	v := &j.verdict
	v.Rule = r.title(j.rule)
	floor, isForged := event.Low, false
	for _, why := range j.reasons {
		if why.forged {
			floor, isForged = max(floor, why.weight), true
		}
	}
	reason := r.Reason
	if r.Severity != nil {
		want := min(max(*r.Severity, event.Low), event.Critical)
		if want < floor {
			j.refuse("not " + want.String() + ": the event may be forged")
		}
		v.Severity = max(want, floor)
		v.Usual = v.Usual && v.Severity == event.Low
		// What reasons ask more for is not safe, however the owner rates it.
		v.Knowledge, v.Floor = known(j.scored && j.asked == event.Low, v.Usual, false)
		if reason == "" && v.Severity != j.asked {
			reason = "rule " + v.Rule
		}
	}
	if reason != "" {
		v.Reasons, v.Keys = slices.Insert(v.Reasons, 0, reason), slices.Insert(v.Keys, 0, keyRule+v.Rule)
	}
	if r.Ignore {
		switch {
		case len(in.Event.Flags) > 0:
			j.refuse("not ignored: the event bears a flag")
		case foreignKey(in, s):
			j.refuse("not ignored: the key is somebody else's")
		default:
			v.Ignore = true
		}
	}
	if len(r.Destination) > 0 {
		if isForged {
			j.refuse("told everywhere: the event may be forged")
		} else {
			v.Only = slices.Clone(r.Destination)
		}
	}
	return j
}

func (j *judgement) refuse(why string) { j.refused = append(j.refused, why) }
