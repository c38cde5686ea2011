package policy

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// KeyAfterFailures is the key of the reason that failures came before a login (see
// event.Verdict.Keys). Where those are what an event is about, it has no such reason.
const KeyAfterFailures = "after_failures"

// GotIn says what an event tells of a login that came after failures, in the words
// of a reason; empty: it tells of none.
func GotIn(e event.Event) string {
	if !e.GotIn() || !e.Attack.OwnSource() {
		return ""
	}
	return "got in after " + failuresOf(e.Attack, e.User)
}

// afterFailures weighs a login by the failures before it. Those of its own source
// make it critical, whoever that is: a password was guessed, or a key is used
// from where somebody guesses. Only who comes as ever, by key, gets the benefit
// of the doubt. What others do to the account is no reason, but for a password
// from where the user never came: they may have found it.
func afterFailures(in Input, a *event.Attack) []reason {
	if a == nil {
		return nil
	}
	e, m := in.Event, in.Memory
	key := byKey(event.Auth{Method: cmp.Or(e.Auth().Method, a.Auth.Method)})
	r := reason{weight: event.Critical, key: KeyAfterFailures, odd: true}
	switch {
	case a.OwnSource():
		r.text = "got in after " + failuresOf(a, e.User)
		if key && m.Pair.Usual() {
			r.weight = event.Medium
			r.text += ", by a key that is usual from there"
			if a.OwnFailures+a.DroppedFrom == 0 && m.HostNetwork.Count > m.Network.Count {
				// Others come from there, too, and mistyped.
				r.weight, r.odd = event.Low, false
			}
		} else if e.Kind == event.KindAttack {
			r.text = "" // it is what the event tells
		}
	case key || m.Known && m.Network.Count > 0:
		return nil
	case !m.Known, m.User.Count <= 0 && !e.Hooked():
		r.weight = event.Medium
		r.text = fmt.Sprintf("by password while others attack the account; whether %s came from there before is not known", e.User)
	default:
		r.text = fmt.Sprintf("by password, from where %s never came, while others attack the account", e.User)
		if m.Young { // so is everybody's
			r.weight = event.Medium
		}
	}
	return []reason{r}
}

// byKey reports whether somebody proved to have a key, or more than that.
func byKey(a event.Auth) bool { return strings.Contains(a.Method, "publickey") }

// failuresOf says what a login's source did before it.
func failuresOf(a *event.Attack, user string) string {
	n := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	switch others := a.FromAddress - a.OwnFailures; {
	case a.FromAddress > 0 && others == 0:
		return n(a.FromAddress, "failure") + " from its address"
	case a.FromAddress > 0 && a.OwnFailures == 0:
		return n(others, "failure") + " for other accounts from its address"
	case a.FromAddress > 0:
		return fmt.Sprintf("%s from its address, %d for %s", n(a.FromAddress, "failure"), a.OwnFailures, user)
	case a.NetworkAccounts > 0:
		return n(a.FromNetwork, "failure") + " for " + n(a.NetworkAccounts, "account") + " from its network"
	}
	return "failures in a flood, some of which may be its own"
}
