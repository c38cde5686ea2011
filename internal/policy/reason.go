package policy

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// reason is why a verdict is no better than it is.
type reason struct {
	weight event.Severity // how severe it makes the event
	text   string         // plain; empty: it needs no words
	about  Signal         // empty: none of those
	key    string         // stays when the words do not; empty: about
	// cap, above Low, is of a reason that raises nothing by itself: beside
	// others it may raise the event a step, to cap at most.
	cap     event.Severity
	forged  bool // the event may not be what it says
	odd     bool // such a login is not usual, however severe it is
	hearsay bool // another host says so, which may lie: it lets nothing raise the event further
}

func (r reason) name() string { return cmp.Or(r.key, string(r.about)) }

// The keys of reasons that are no signal of the settings.
const (
	keyScoreMedium = "score_medium"
	keyScoreHigh   = "score_high"
	keyNoScore     = "risk_unknown"
	keyForged      = "forged_address"
	keyUnverified  = "unverified"
	keyWarned      = "warned"
	keyNewPair     = "new_pair"
	keyYoung       = "young"
	keyMissed      = "hook_missed"
	keyNoLogout    = "no_logout"
	keyList        = "list:"
	keyRule        = "rule:"
)

// scoreReason returns no reason for a low score: it is no reason to worry.
func scoreReason(r *event.Risk, s Settings) []reason {
	weight, key := event.Low, ""
	switch {
	case r.Score > s.RedAbove:
		weight, key = event.High, keyScoreHigh
	case r.Score > s.YellowAbove:
		weight, key = event.Medium, keyScoreMedium
	default:
		return nil
	}
	text := fmt.Sprintf("%s %d", cmp.Or(r.Provider, "risk"), r.Score)
	if r.Word != "" {
		text += " (" + r.Word + ")"
	}
	return []reason{{weight: weight, text: join(text, r.Reason), key: key}}
}

// noScore tells of a provider that was asked in vain, or that gave a score
// which none should give: one below 0 would count as safe.
func noScore(r *event.Risk) reason {
	problem := r.Problem
	if r.Known {
		problem = fmt.Sprintf("a score of %d", r.Score)
		if event.SaysNothing(r.Word) {
			problem += " (" + r.Word + ")"
		}
	}
	return reason{weight: event.Low, text: join(cmp.Or(r.Provider, "provider")+" risk unknown", problem), key: keyNoScore}
}

// keyReasons are about whose key it is. They need no memory.
func keyReasons(in Input, s Settings) []reason {
	a := in.Event.Login.Auth
	switch {
	case a.Fingerprint == "":
		return nil
	case foreignKey(in, s):
		return odd(s.Raise.told(ForeignKey, "the key is "+in.Owner+"'s"))
	case in.KnownKeys && in.Owner == "" && !certified(a):
		return odd(s.Raise.told(UnknownKey, "nobody is known to own this key"))
	}
	return nil
}

func odd(rs []reason) []reason {
	for i := range rs {
		rs[i].odd = true
	}
	return rs
}

// foreignKey reports whether one person of the settings logged in with the key
// of another. The owner of a shared account (root, deploy) is nobody, and
// whoever is not in the settings can't be told from a name that somebody wrote
// beside a key.
func foreignKey(in Input, s Settings) bool {
	if in.Event.Login.Auth.Fingerprint == "" || in.Owner == "" || strings.EqualFold(in.Owner, in.Event.User) {
		return false
	}
	return s.People.foreign(in.Event.User, in.Owner)
}

// certified reports whether an authority vouches for the key. Such keys are
// often made anew each day.
func certified(a event.Auth) bool { return a.CAFingerprint != "" || a.KeyID != "" }

// traitReasons are about the sort of address. A network that the settings name
// is the owner's: that it is a VPN or in a data centre is no news.
func traitReasons(f event.Facts, s Settings) []reason {
	var rs []reason
	t := f.Traits
	if t.Tor != "" {
		rs = append(rs, s.Raise.told(Tor, "Tor exit ("+t.Tor+")")...)
	}
	if f.Name == "" {
		for _, x := range []struct {
			about        Signal
			word, source string
		}{{VPN, "VPN", t.VPN}, {Proxy, "proxy", t.Proxy}, {Hosting, "hosting network", t.Hosting}} {
			if x.source != "" {
				rs = append(rs, s.Raise.told(x.about, x.word+" ("+x.source+")")...)
			}
		}
	}
	for _, label := range t.Lists {
		rs = append(rs, reason{weight: event.Low, text: label, key: keyList + label})
	}
	return rs
}

// noted adds the severity that the event's own note asks for. It needs no
// words: the note is shown.
func noted(e event.Event, rs []reason) []reason {
	n := e.Note()
	if n == nil {
		return rs
	}
	return append(rs, reason{weight: min(max(n.Severity, event.Low), event.Critical)})
}

func forged(r event.Remote) string {
	said, saw := "", ""
	if r.Claimed != "" {
		said = "it said " + r.Claimed
	}
	if r.IP.IsValid() {
		saw = "sshd saw " + r.IP.String()
	}
	if said != "" && saw != "" {
		said += ", "
	}
	return join("SSH_CONNECTION was forged", said+saw)
}

// missed says what it means that the hook did not report a session. Somebody
// may have kept it from doing so, which is worst where the session is root's, or
// where it came from outside.
func missed(e event.Event) reason {
	r := reason{weight: event.High, text: "the login hook did not report this session, only the system log shows it", key: keyMissed}
	if event.Became(e.Service) && e.User != "root" {
		r.weight = event.Medium
	}
	return r
}

// join puts a colon between two texts, where there are two.
func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + ": " + b
}
