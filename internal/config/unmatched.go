package config

import (
	"fmt"
	"slices"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

// Unmatched returns what is right in form, and can't be meant so: destinations
// that no event can reach, or whose alerts strangers read, and events that can reach
// no destination.
func (c Config) Unmatched() (all []string) {
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	alerts := c.AlertDestinations()
	only := func(d Destination, k event.Kind) bool { return len(d.Kinds) == 1 && d.Kinds[0] == k }
	for _, d := range alerts {
		named := slices.ContainsFunc(c.Rules, func(r policy.Rule) bool { return slices.Contains(r.Destination, d.Name) }) ||
			slices.ContainsFunc(c.Patterns, func(p pattern.Pattern) bool { return slices.Contains(p.Destinations, d.Name) })
		digests := only(d, event.KindDigest) || d.Digest == policy.RouteOnly
		if noLogins := d.Digest == policy.RouteOnly || len(d.Kinds) > 0 && !slices.Contains(d.Kinds, event.KindLogin) && !slices.Contains(d.Kinds, event.KindAttack); d.Remind > 0 && noLogins && !named {
			say("destination.%s: remind does nothing: it is of logins, and it gets none", d.Name)
		}
		switch {
		case named: // whatever else it gets
		case only(d, event.KindLogout) && c.Login.NotifyLogout == "none":
			say(`destination.%s: nothing reaches it: it gets logouts alone, and login.notify_logout is "none"`, d.Name)
		case only(d, event.KindMatch) && len(c.Patterns) == 0:
			say("destination.%s: nothing reaches it: it gets matches alone, and there is no [[pattern]]", d.Name)
		case digests && len(d.Users)+len(d.Networks) > 0:
			say("destination.%s: nothing reaches it: it gets digests alone, which are of no user and of no network", d.Name)
		case digests && d.MinSeverity > event.Low:
			say(`destination.%s: nothing reaches it: it gets digests alone, which are low, and min_severity is %q`, d.Name, d.MinSeverity)
		}
	}
	for _, d := range alerts {
		if d.MinSeverity >= event.Critical && len(d.Quiet) > 0 {
			say("destination.%s: quiet holds nothing: what is critical, which is all that it gets, comes at any hour", d.Name)
		}
		if b, ok := d.Settings.(interface{ Broadcasts() bool }); ok && b.Broadcasts() {
			say("destination.%s: its posts tell whoever may read the account which user logs in to which host: set to, which makes them direct messages, or name it in destination of [publish], which gets attackers' addresses alone", d.Name)
		}
	}
	if len(alerts) == 0 {
		return all
	}
	if !slices.ContainsFunc(alerts, func(d Destination) bool { return d.Everything() }) {
		say("no destination gets all that is critical: what none of them names is said in the system log alone")
	}
	well := policy.Input{Event: event.Event{Kind: event.KindAlert, Via: event.ViaSelf}}
	if c.Heartbeat.Message != heartbeat.None && len(c.Heartbeat.Destination) == 0 && !slices.ContainsFunc(alerts, func(d Destination) bool {
		d.Hosts = nil
		return len(d.Misses(well, event.Verdict{}, c.Policy())) == 0
	}) {
		say("no destination gets the message of [heartbeat], which is low: name one in destination there")
	}
	daily := event.Event{Kind: event.KindDigest}
	digests := slices.ContainsFunc(alerts, func(d Destination) bool {
		d.Hosts = nil // which the machine's own name may match
		return len(d.Misses(policy.Input{Event: daily}, event.Verdict{}, c.Policy())) == 0
	})
	if c.History.Enabled && c.Notify != policy.NotifyAll && !digests {
		say("no destination gets the daily digest: ordinary logins are told to nobody")
	}
	if !c.Report.Every.Never() && len(c.Report.Destination) == 0 && !digests {
		say("no destination gets the report of [report], which is a digest: name one in destination there")
	}
	return all
}
