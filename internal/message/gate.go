package message

import (
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
)

// step words what became of a second step that is told by itself.
func step(g *event.Gate) (title, text string) {
	switch g.Result {
	case event.GateAsked:
		return "second step never passed", ""
	case event.GateLocked:
		return "second step locked after wrong codes", ""
	case event.GateFailOpen:
		return "let in without a second step", ""
	}
	return "second step refused", ""
}

// factorName is what a factor is called.
func factorName(factor string) string {
	switch factor {
	case "totp":
		return "authenticator app"
	case "sms":
		return "code by SMS"
	case "voice":
		return "code by phone"
	case "slack":
		return "code in Slack"
	case "email":
		return "code by mail"
	case "recovery":
		return "recovery code"
	}
	return factor
}

// StepText says by what a login was confirmed, or why it was not; empty: it needed
// no second step.
func StepText(s event.Step) string {
	switch s.Result {
	case event.GatePassed:
		return factorName(s.Factor)
	case event.GateOff:
		return "none, it is turned off on this host"
	case event.GateFailOpen:
		return "none, no code could be sent"
	case event.GateExempt:
		if s.Reason != "" {
			return "none, " + s.Reason
		}
		return "none, the network is exempt"
	}
	return ""
}

// stepLine is StepText in a login's message.
func stepLine(a event.Alert) Line {
	text := StepText(a.Event.Login.Step)
	if text == "" {
		return nil
	}
	return append(label(literal("Second step:")), untrusted(text))
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
