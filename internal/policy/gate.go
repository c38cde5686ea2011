package policy

import "github.com/sshnotify/sshnotify/internal/event"

// keyStep begins the keys of what became of a second step.
const keyStep = "second_step:"

// step2 weighs what became of a second step. Whoever was asked for one has the key
// or the password already.
func step2(e event.Event) reason {
	g := e.Gate
	r := reason{weight: event.Critical, key: keyStep + string(g.Result)}
	switch g.Result {
	case event.GateAsked:
		r.text = "was asked for a second step and never passed it: somebody has " + firstFactorOf(e)
	case event.GateLocked:
		r.text = "too many wrong codes, which are locked now: somebody has " + firstFactorOf(e)
	case event.GateFailOpen:
		r.text = "got in without the second step, because no code could be sent (failmode = \"safe\")"
	case event.GateRefused:
		switch g.Reason {
		case "wrong codes":
			r.text = "typed wrong codes only: somebody has " + firstFactorOf(e)
		case "locked":
			r.text = "was refused, because codes are locked after too many wrong ones: somebody has " + firstFactorOf(e)
		case "too many codes":
			r.weight, r.text = event.High, "was refused, because too many codes were asked for"
		case "not enrolled":
			r.weight, r.text = event.Medium, "was refused: the account has no second step"
		default:
			r.weight, r.text = event.Medium, "was refused: "+g.Reason
		}
	default:
		r.weight = event.Low
	}
	return r
}

// firstFactorOf says what somebody has who was asked for a second step.
func firstFactorOf(e event.Event) string {
	if byKey(e.Gate.Auth) {
		return e.User + "'s key"
	}
	return e.User + "'s password"
}
