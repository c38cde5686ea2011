package message

import (
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Dialog is shown to one member alone, who chooses and sends it off.
type Dialog struct {
	Title   string // at most 24 characters, as what Submit says
	Lines   []Line
	Options []Option // to choose from; none: nothing is chosen
	Submit  string   // empty: it only tells
}

// Option is one to choose. Label and Note have at most 75 characters.
type Option struct {
	Value       string
	Label, Note string
}

// dialogTitle is that of each.
const dialogTitle = "What to do now"

// doing says what an action does, and what it does not catch.
func doing(name string) (label, misses string) {
	switch name {
	case "evidence":
		return "Take evidence, and change nothing", "It comes before each of the others in any case"
	case "lock":
		return "Lock the account", "Not caught: open sessions, services that run as it"
	case "key":
		return "Refuse the key", "Not caught: other hosts, a new certificate"
	case "block":
		return "Block the address", "Not caught: another address; a reboot ends it"
	case "end":
		return "End the session. It can't be undone", "Not caught: what cron, at or sudo systemd-run start"
	}
	return name, ""
}

// aboutLine names a login.
func aboutLine(a event.Alert) Line {
	e := a.Event
	l := Line{untrusted(event.Clean(e.User, maxBy)), literal(" → "), untrusted(event.Clean(shortHost(e.Host), maxBy))}
	if e.Remote.IP.IsValid() {
		l = append(l, literal(" from "), literal(e.Remote.IP.String()))
	}
	if fp := e.Auth().Fingerprint; fp != "" {
		l = append(l, literal(", with "), untrusted(event.Clean(fp, maxBy)))
	}
	return append(l, literal(" (ref "+event.Ref(a.ID)+")"))
}

// Choose asks what is to be done about a login, of the actions that its host takes, for
// so long.
func Choose(a event.Alert, actions []string, long time.Duration) Dialog {
	d := Dialog{Title: dialogTitle, Submit: "Do it", Lines: []Line{
		aboutLine(a),
		{literal(fmt.Sprintf("Lock, key and block hold for %d hours, and can be undone before. The host can't tell which account, key and address are yours.", int(long.Hours())))},
	}}
	for _, name := range actions {
		label, misses := doing(name)
		d.Options = append(d.Options, Option{name, label, misses})
	}
	return d
}

// Sure asks once more before what can't be undone.
func Sure(a event.Alert, actions []string) Dialog {
	return Dialog{Title: "End the session?", Submit: "End it", Lines: []Line{
		aboutLine(a),
		{literal("This can't be undone: all that runs in the session is killed, its unsaved work is lost. To be done: " + strings.Join(actions, ", ") + ".")},
	}}
}

// Ordering says that a host is asked to do it.
func Ordering(a event.Alert, actions []string) Dialog {
	return Dialog{Title: dialogTitle, Lines: []Line{
		aboutLine(a), {literal("The order goes out: " + strings.Join(actions, ", ") + ". What becomes of it is told in the thread.")},
	}}
}

// NotOrdered says why nothing is done.
func NotOrdered(why string) Dialog {
	return Dialog{Title: dialogTitle, Lines: []Line{{literal("Nothing is done: "), untrusted(event.Clean(why, maxDetail))}}}
}

// Reasons for which a dialog does nothing.
const (
	ChooseOne     = "Choose at least one"
	DialogOver    = "it is too late, press the button again"
	DialogUnknown = "it is not known here any more, press the button again"
)

// NoDialog is shown to who pressed a button whose dialog could not be shown.
func NoDialog(a event.Alert) Message {
	a.Ask = nil
	m := New(a)
	m.own, m.Lines = nil, []Line{{literal("What there is to choose could not be shown in time: press the button again.")}}
	return m
}
