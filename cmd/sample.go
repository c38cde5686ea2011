package cmd

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

// kinds are the sorts of message that preview makes up.
func kinds() []string {
	return []string{"login", "logout", "attack", "critical", "burst", "digest", "attacks", "report", "match", "alert", "gate"}
}

// unworded says of which kinds of message the settings' templates say nothing, or
// not what they name, going by a made-up message of each.
func (a *app) unworded(c config.Config) (all []string) {
	for _, d := range c.Destinations {
		for i, t := range d.Templates {
			silent, missing := map[string][]string{}, map[string][]string{} // kinds, by what is so
			for _, kind := range kinds() {
				made, err := a.sample(c, "alice", netip.Addr{})
				if err != nil {
					return nil
				}
				fill(kind, &made)
				own := event.Words{Headline: t.Headline, Text: t.Text}
				for made.Verdict.Severity = t.MinSeverity; made.Own != own && made.Verdict.Severity <= event.Critical; made.Verdict.Severity++ {
					made.Own = d.Templates.Of(made)
				}
				if made.Own != own {
					continue // another template words it
				}
				parts := message.Silent(made)
				for _, part := range parts {
					silent[part] = append(silent[part], kind)
				}
				if !slices.Contains(parts, "headline") {
					for _, name := range message.Missing(made) {
						missing[name] = append(missing[name], kind)
					}
				}
			}
			say := func(format string, args ...any) {
				all = append(all, fmt.Sprintf("destination.%s: template %d: ", d.Name, i+1)+fmt.Sprintf(format, args...))
			}
			for _, part := range slices.Sorted(maps.Keys(silent)) {
				say("its %s says nothing of %s, which has the built-in one", part, strings.Join(silent[part], ", "))
			}
			for _, name := range slices.Sorted(maps.Keys(missing)) {
				say("its headline names {%s}, of which %s have none: leave it out, or name other kinds", name, strings.Join(missing[name], ", "))
			}
		}
	}
	return all
}

// fill turns the alert of a made-up login into one of another kind, of which all is
// known.
func fill(kind string, a *event.Alert) {
	a.Facts = event.Facts{
		Place: event.Place{City: "Dublin", Country: "IE"}, Network: event.Network{ASN: 64500, Name: "EXAMPLE"},
		Risk: &event.Risk{Known: true, Score: 72, Word: "HIGH"},
	}
	a.Person, a.Event.Labels = "alice", map[string]string{"env": "prod"}
	become(kind, a)
	a.Verdict = event.Verdict{Reasons: []string{"new network"}, Rule: "night"}
}

// become turns the alert of a made-up login into one of another kind, from the
// same user and address. What it counts is made up, too.
func become(kind string, a *event.Alert) {
	e := &a.Event
	ip, user, now := e.Remote.IP, e.User, e.Time
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	note := func(s event.Severity, title, text string) event.Note {
		return event.Note{Severity: s, Title: title, Text: text}
	}
	names := event.Tally{Most: []event.Count{{Name: "root", N: 200}, {Name: user, N: 14}}}
	attacker := event.Row{Host: e.Host, Kind: event.KindAttempt, Count: 214, Attacker: &event.Attacker{
		Network: netip.PrefixFrom(ip, ip.BitLen()), Names: names,
	}}
	usual := []event.Row{
		{User: "deploy", Host: e.Host, Kind: event.KindLogin, Count: 300, IPs: []netip.Addr{ip}},
		{User: user, Host: e.Host, Kind: event.KindLogin, Count: 8, IPs: []netip.Addr{ip}},
	}
	switch kind {
	case "logout":
		e.Kind, a.Lasted, a.LoginID = event.KindLogout, 4*time.Minute, event.NewID()
	case "attack":
		e.Kind, e.Via, e.User = event.KindAttack, event.ViaWatch, ""
		e.Attack = &event.Attack{
			Note: note(event.Medium, "", ""), Phase: event.PhaseBegun, By: "address", Attempts: 214,
			First: ago(10 * time.Minute), Last: now, Names: names,
		}
	case "critical":
		auth := event.Auth{Method: "password"}
		e.Kind, e.Via, a.Person = event.KindAttack, event.ViaWatch, ""
		e.Attack = &event.Attack{
			Note: note(event.Critical, "", ""), Phase: event.PhaseSuccess, Auth: auth, FromAddress: 214, AgainstUser: 14,
			First: ago(10 * time.Minute), Last: now, Names: names,
		}
	case "burst":
		a.Rows, a.First = usual, ago(4*time.Minute)
		for range 3 {
			a.Refs = append(a.Refs, event.NewID())
		}
		*e = event.Event{ID: e.ID, Kind: event.KindLogin, Host: e.Host, Labels: e.Labels}
	case "digest", "attacks":
		d := &event.Digest{Of: event.KindAttempt, Attacks: 1, Failures: &event.Failures{
			Attempts: 3023, Addresses: 250, Accounts: 41, Names: event.Tally{Most: names.Most, Rest: 2809},
			NewAddresses: 31, NewNames: []string{"oracle"}, Worst: []event.Row{attacker},
		}}
		if kind == "digest" {
			d.Of, d.Rows = event.KindDigest, usual
			d.Unanswered = []event.Unanswered{{Ref: event.NewID(), User: user, From: ip.String(), Severity: event.High, Reasons: []string{"Tor exit"}, Since: ago(20 * time.Hour)}}
			d.Promoted = []event.PairRow{{User: user, From: ip.String(), Key: e.Login.Auth.Fingerprint, Days: 3}}
		}
		d.First, d.Last = ago(24*time.Hour), now
		*e = event.Event{ID: e.ID, Kind: event.KindDigest, Time: now, Host: e.Host, Labels: e.Labels, Via: event.ViaSelf, Digest: d}
		a.Rows, a.First, a.Last, a.Person = slices.Clone(d.Rows), d.First, d.Last, ""
	case "report":
		d := &event.Digest{Of: event.KindReport, First: ago(7 * 24 * time.Hour), Last: now,
			Unanswered: []event.Unanswered{{Ref: event.NewID(), User: user, From: ip.String(), Severity: event.High, Reasons: []string{"Tor exit"}, Since: ago(20 * time.Hour)}},
			Report: &event.Report{Sentence: "1 of 308 logins was unusual, the worst high: " + user + " to " + e.Host + " from " + ip.String() + "; 1 alert needs an answer.",
				Logins: 308, Unusual: 1, People: 2, Failed: 3023, URL: "https://hub.example.com:8443/report"}}
		*e = event.Event{ID: e.ID, Kind: event.KindDigest, Time: now, Host: e.Host, Labels: e.Labels, Via: event.ViaSelf, Digest: d}
		a.First, a.Last, a.Person = d.First, d.Last, ""
	case "match":
		e.Kind, e.Via, e.User = event.KindMatch, event.ViaWatch, ""
		e.Match = &event.Match{Pattern: "sudo-refused", Note: note(event.Medium, user+" may not use sudo", user+" : user NOT in sudoers ; TTY=pts/0 ; COMMAND=/bin/sh")}
	case "gate":
		auth := e.Login.Auth
		e.Kind, e.Login = event.KindGate, event.Login{}
		e.Gate = &event.Gate{Result: event.GateAsked, Challenge: event.NewID(), Factor: "sms", Auth: auth}
	case "alert":
		e.Kind, e.Via, e.Remote = event.KindAlert, event.ViaCLI, event.Remote{}
		n := note(event.High, "Backup failed", "no space left on /srv")
		e.Alert = &n
	}
}
