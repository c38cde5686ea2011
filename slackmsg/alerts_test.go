package slackmsg

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
)

const (
	keyAlice = "SHA256:uNiVztksCsDhcc0u9e8BrjUYLbCcTx5Qs6w0hQ3xVxI"
	keyCA    = "SHA256:Bd1vF0a4yqEjlQbWVnLzYcN7oD9S2uX6KtPgHm8RZ5w"
)

var noon = time.Date(2026, 11, 21, 2, 15, 4, 123e6, time.UTC)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// aliceLogin is a login as most are, judged as the worker would.
func aliceLogin(change ...func(*event.Alert)) event.Alert {
	a := event.Alert{
		ID: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B",
		Event: event.Event{
			V: event.Version, Kind: event.KindLogin, Time: noon, Host: "db1.example.com", User: "alice", Service: "sshd", Via: event.ViaPAM,
			Labels: map[string]string{"role": "db", "env": "prod"},
			Remote: event.Remote{IP: ip("203.0.113.7"), Port: 51234},
			Login:  event.Login{Auth: event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: keyAlice}},
		},
		Facts: event.Facts{
			Risk:    &event.Risk{Provider: "Threat Jammer", Known: true, Score: 12, Word: "LOW", Reason: "Not listed"},
			Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET", Description: "Example Networks"},
			Place:   event.Place{City: "Dublin", Region: "Leinster", Country: "IE"},
		},
		Person: "alice, laptop",
		Count:  1, First: noon, Last: noon,
		Runbook: "https://wiki.example.com/ssh-alert",
	}
	for _, c := range change {
		c(&a)
	}
	a.Verdict = policy.Judge(policy.Input{Event: a.Event, Facts: a.Facts, Memory: a.Memory}, policy.DefaultSettings())
	return a
}

// remembered is a memory of alice: how often she was seen at all, from the
// network and from the address.
func remembered(user, network, address, others int) event.Memory {
	since := noon.Add(-250 * 24 * time.Hour)
	seen := func(n int) event.Seen {
		if n == 0 {
			return event.Seen{}
		}
		return event.Seen{Count: n, First: since, Last: noon.Add(-48 * time.Hour)}
	}
	pair := event.Pair{}
	if network > 0 {
		pair = event.Pair{State: event.PairUsual, Since: since.Add(48 * time.Hour), First: since, Last: noon.Add(-48 * time.Hour), Days: 3, Count: network}
	}
	return event.Memory{
		Known: true, Since: since, Pair: pair, Host: seen(90), User: seen(user), UserHost: seen(user), Key: seen(user),
		Network: seen(network), Country: seen(user), Address: seen(address), Networks: others, HourShare: 0.5,
	}
}

func risk(n int, word, why string) func(*event.Alert) {
	return func(a *event.Alert) {
		a.Facts.Risk = &event.Risk{Provider: "Threat Jammer", Known: true, Score: n, Word: word, Reason: why}
	}
}

func flagged(f event.Flag) func(*event.Alert) {
	return func(a *event.Alert) { a.Event.Flags = append(a.Event.Flags, f) }
}

func aliceLogout(change ...func(*event.Alert)) event.Alert {
	return aliceLogin(append([]func(*event.Alert){func(a *event.Alert) {
		a.ID = "Q8W20ZM4Y8V1T5R9W6P3N0B7K3"
		a.Event.Kind, a.Event.User = event.KindLogout, "root"
		a.LoginID, a.Lasted = "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", 4*time.Minute+10*time.Second
	}}, change...)...)
}

func noted(kind event.Kind, s event.Severity, title, text string) event.Alert {
	return aliceLogin(func(a *event.Alert) {
		a.Event = event.Event{Kind: kind, Time: noon, Host: a.Event.Host, Labels: a.Event.Labels, Via: event.ViaCLI}
		a.Facts, a.Person = event.Facts{}, ""
		n := event.Note{Severity: s, Title: title, Text: text}
		a.Event.Alert, a.Event.Attack = &n, &event.Attack{Note: n}
	})
}

// dayDigest is the digest of a day.
func dayDigest(of event.Kind, rows ...event.Row) event.Alert {
	a := noted(event.KindAlert, event.Low, "", "")
	a.Event.Kind, a.Event.Via, a.Event.Digest, a.Rows = event.KindDigest, event.ViaSelf, &event.Digest{Of: of, Rows: rows}, rows
	a.Verdict = policy.Judge(policy.Input{Event: a.Event}, policy.Settings{})
	a.First, a.Last = noon.Add(-23*time.Hour), noon
	return a
}

// day is a host's daily digest with a bit of everything.
func day() event.Alert {
	a := dayDigest(event.KindDigest, row("deploy", 300, "198.51.100.1"), row("alice", 23, "203.0.113.7", "203.0.113.8"), event.Row{Host: "web1.example.com", Kind: event.KindLogin, Count: 8, More: 5})
	a.Event.Host, a.Event.Labels = "web1.example.com", nil
	d := a.Event.Digest
	for i := range d.Rows {
		d.Rows[i].Host = a.Event.Host
	}
	d.Unanswered = []event.Unanswered{{
		Ref: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", User: "erin", From: "Germany (Stiftung Erneuerbare Freiheit)", Severity: event.High,
		Reasons: []string{"Tor exit (Tor Project)", "first login from Germany"}, Since: noon.Add(-29 * time.Hour), Count: 3,
	}}
	d.Counted = []event.Row{{User: "backup", Host: "web1.example.com", Kind: event.KindLogin, Count: 24, IPs: []netip.Addr{ip("192.0.2.9")}, Reason: "left out by a rule", Refs: []string{"9QXA20ZM4Y8V1T5R9W6P3N0B7K"}}}
	d.Failures = &event.Failures{
		Attempts: 3023, Addresses: 250, Accounts: 41,
		Names:        event.Tally{Most: []event.Count{{Name: "root", N: 2000}, {Name: "admin", N: 614}}, Rest: 409},
		Countries:    event.Tally{Most: []event.Count{{Name: "CN", N: 1400}, {Name: "NL", N: 900}}, Rest: 723},
		Networks:     event.Tally{Most: []event.Count{{Name: "EXAMPLE-NET", N: 800}}, Rest: 2223},
		NewAddresses: 31, NewNames: []string{"oracle", "ubnt"},
		Worst: []event.Row{{Host: "web1.example.com", Kind: event.KindAttempt, Count: 214, Attacker: &event.Attacker{
			Network: netip.MustParsePrefix("203.0.113.7/32"), ISP: "EXAMPLE-NET", Country: "IE", Names: event.Tally{Most: []event.Count{{Name: "root", N: 214}}},
		}}},
	}
	d.Promoted = []event.PairRow{{User: "bob", From: "EXAMPLE-MOBILE", Key: keyAlice, Days: 3}}
	d.Learned = []event.PairRow{{User: "carol", From: "EXAMPLE-NET", Key: "password", Ref: "2MRT20ZM4Y8V1T5R9W6P3N0B7K"}}
	d.Modes = []event.ModeChange{{To: event.ModeDigest, User: "ci", From: "EXAMPLE-CLOUD", Count: 144}}
	return a
}

// week is a report with a bit of everything.
func week() event.Alert {
	a := dayDigest(event.KindReport)
	a.Event.Host, a.Event.Labels, a.First, a.Page = "hub1.example.com", nil, noon.Add(-7*24*time.Hour), []byte("<p>the page")
	d := a.Event.Digest
	d.Hosts, d.MoreUnanswered = 12, 3
	d.Unanswered = []event.Unanswered{{
		Ref: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", User: "root", From: "Bulgaria", Severity: event.Critical,
		Reasons: []string{"got in after 214 failures"}, Since: noon.Add(-29 * time.Hour), Count: 3, Hosts: []string{"db1.example.com"},
	}}
	d.Report = &event.Report{
		Sentence: "3 of 412 logins were unusual, the worst critical: root to db1.example.com from Bulgaria, 20 Nov 2026, 02:15; 4 alerts need an answer; 1 host doesn't report as it should.",
		Logins:   412, Unusual: 3, People: 8, Keys: 1, Failed: 3023, Failing: []string{"web3.example.com"}, URL: "https://hub.example.com:8443/report",
	}
	a.Verdict = policy.Judge(policy.Input{Event: a.Event}, policy.Settings{})
	return a
}

func digest(v event.Verdict, rows ...event.Row) event.Alert {
	return event.Alert{
		ID: "D1G320ZM4Y8V1T5R9W6P3N0B7K", Verdict: v, Rows: rows,
		First: noon, Last: noon.Add(4 * time.Minute), Runbook: "https://wiki.example.com/ssh-alert",
	}
}

// asking is a question with all that can be said of it.
func asking(person string) *event.Ask {
	q := &event.Ask{ID: "9QXA20ZM4Y8V1T5R9W6P3N0B7K", Nonce: "4PXLWTCGYJTF2AUOJTUI35IFYJ", Person: person, Buttons: []event.Button{event.ButtonAck, event.ButtonSilence, event.ButtonMore}}
	if person != "" {
		q.Buttons = []event.Button{event.ButtonMine, event.ButtonNotMine}
		q.Code = &event.Code{Number: "482913", Until: noon.Add(5 * time.Minute), Left: 2, Wrong: true}
	}
	for i, what := range []event.Saying{
		event.Asked, event.NoAnswer, event.Saying(event.ButtonMine), event.Saying(event.ButtonNotMine), event.Saying(event.ButtonAck), event.Saying(event.ButtonSilence), event.NotAsked,
		event.Confirming, event.Confirmed, event.NotConfirmed,
	} {
		s := event.Said{At: noon.Add(time.Duration(i) * time.Minute), What: what, By: "alice"}
		if what == event.NotAsked {
			s.Why = message.NoMember
		}
		if what == event.NotConfirmed {
			s.Why = message.WrongCodes
		}
		q.Said = append(q.Said, s)
	}
	return q
}

func row(user string, n int, ips ...string) event.Row {
	r := event.Row{User: user, Host: "web3.example.com", Kind: event.KindLogin, Count: n}
	for _, s := range ips {
		r.IPs = append(r.IPs, ip(s))
	}
	return r
}

// witness is a session, or several, of which only the system log knows.
func witness(service, user, by string, n int) event.Alert {
	return aliceLogin(func(a *event.Alert) {
		a.Event = event.Event{
			Kind: event.KindWitness, Time: noon, Host: "db1.example.com", Labels: a.Event.Labels, Via: event.ViaWatch,
			User: user, Service: service, Session: event.Session{PID: 4711}, Witness: event.Witness{By: by},
		}
		a.Facts, a.Person, a.Count, a.Last = event.Facts{}, "", n, noon.Add(time.Duration(n-1)*time.Second)
	})
}

// onHosts makes an alert one of events on so many hosts.
func onHosts(a event.Alert, n int, users ...string) event.Alert {
	a.Count, a.Hosts, a.More, a.Last = n, n, true, noon.Add(time.Minute)
	a.Event.Labels = nil
	for i := range min(n, 40) {
		a.Accounts = append(a.Accounts, event.Account{User: users[i%len(users)], Host: fmt.Sprintf("web%d.example.com", i+1)})
	}
	return a
}

var greyVerdict = event.Verdict{Severity: event.Low, Knowledge: event.Unknown}

// alerts is an alert of each sort that there is.
func alerts() map[string]event.Alert {
	dublin := time.FixedZone("GMT", 0)
	return map[string]event.Alert{
		"low": aliceLogin(),
		"many-hosts": func() event.Alert {
			a := onHosts(aliceLogin(), 39, "alice")
			a.Verdict.Reasons = []string{"new on 39 hosts"}
			return a
		}(),
		"many-hosts-high": func() event.Alert {
			a := onHosts(aliceLogin(risk(72, "HIGH", "Listed as a brute force source")), 39, "root", "deploy")
			a.Person, a.Verdict.Reasons = "", append(a.Verdict.Reasons, "new on 39 hosts", "first login with this key (2 of 39 hosts)")
			return a
		}(),
		"many-hosts-alert": onHosts(noted(event.KindAlert, event.Medium, "disk is full", "/var has 1 % left"), 12, ""),
		"many-hosts-digest": func() event.Alert {
			deploy, alice := row("deploy", 300, "198.51.100.1"), row("alice", 3, "203.0.113.7")
			deploy.Host, deploy.Hosts, deploy.MoreHosts = "", []string{"web1.example.com", "web2.example.com", "web3.example.com"}, 297
			a := digest(event.Verdict{Severity: event.Low, Knowledge: event.Usual}, deploy, alice)
			a.Hosts = 300
			return a
		}(),
		"medium": aliceLogin(risk(50, "MEDIUM", "Open proxy")),
		"high": aliceLogin(risk(72, "HIGH", "Listed as a brute force source"), func(a *event.Alert) {
			a.Event.User, a.Person = "root", ""
		}),
		"critical-after-attack": func() event.Alert {
			a := aliceLogin(risk(90, "HIGH", "Botnet"))
			a.Event.User, a.Event.Host = "admin", "web1.example.com"
			a.Event.Login.Auth, a.Person = event.Auth{Method: "password"}, ""
			a.Verdict.Severity = event.Critical
			a.Verdict.Reasons = append([]string{"got in after 214 failures"}, a.Verdict.Reasons...)
			return a
		}(),
		"unknown": aliceLogin(func(a *event.Alert) {
			a.Facts = event.Facts{Risk: &event.Risk{Provider: "Threat Jammer", Problem: "timed out"}}
		}),
		"usual": aliceLogin(func(a *event.Alert) {
			a.Facts.Risk = nil
			a.Facts.Name = "office"
			a.Memory = remembered(41, 30, 12, 2)
		}),
		"usual-first": aliceLogin(func(a *event.Alert) {
			a.Facts.Risk, a.NewBar = nil, true
			a.Memory = remembered(41, 30, 12, 2)
		}),
		"never-from-this-network": aliceLogin(func(a *event.Alert) {
			a.Facts.Risk = nil
			a.Facts.Traits = event.Traits{Hosting: "a list"}
			a.Memory = remembered(41, 0, 0, 2)
			a.Memory.Young = true
		}),
		"asked": aliceLogin(risk(50, "MEDIUM", "Open proxy"), func(a *event.Alert) { a.Ask = asking("") }),
		"asked-alone": aliceLogin(risk(72, "HIGH", "Listed as a brute force source"), func(a *event.Alert) {
			a.Event.User, a.Person, a.Ask = "root", "", asking("alice")
		}),
		"first-from-tor": aliceLogin(func(a *event.Alert) {
			a.Facts.Traits = event.Traits{Hosting: "a list", Tor: "Tor Project"}
			a.Memory = remembered(41, 0, 0, 2)
		}),
		"day":    day(),
		"report": week(),
		"day-of-attacks": func() event.Alert {
			a := day()
			a.Event.Digest = &event.Digest{Of: event.KindAttempt, Attacks: 1, Failures: a.Event.Digest.Failures}
			a.Verdict, a.Rows = policy.Judge(policy.Input{Event: a.Event}, policy.Settings{}), nil
			return a
		}(),
		"day-of-an-upgraded-host": func() event.Alert {
			a := dayDigest(event.KindDigest)
			a.Event.Digest.Offer = "/etc/sshnotify/upgraded.toml"
			return a
		}(),
		"daily-digest": dayDigest(event.KindLogin, row("alice", 30, "203.0.113.7"), row("bob", 1, "198.51.100.9")),
		"published": func() event.Alert {
			a := noted(event.KindAttack, event.Low, "Attacks by SSH from 203.0.113.7", "214 attempts on 20 Nov 2026, EXAMPLE-NET (IE)")
			a.Event.Host, a.Event.Labels, a.Event.Attack.Public = "", nil, true
			a.Event.Remote.IP = ip("203.0.113.7")
			return a
		}(),
		"attack-digest": dayDigest(event.KindAttempt,
			event.Row{Host: "web3.example.com", Kind: event.KindAttempt, Count: 214, Attacker: &event.Attacker{
				Network: netip.MustParsePrefix("203.0.113.7/32"), ISP: "EXAMPLE-NET", Country: "IE",
				Names: event.Tally{Most: []event.Count{{Name: "root", N: 200}, {Name: "admin", N: 14}}},
			}},
			event.Row{Host: "web3.example.com", Kind: event.KindAttempt, Count: 9, Attacker: &event.Attacker{
				Account: "alice", Names: event.Tally{Most: []event.Count{{Name: "alice", N: 9}}},
			}}),
		"stale": aliceLogin(func(a *event.Alert) { a.Facts.Risk.Stale = noon.Add(-3 * time.Hour) }),
		"sudo": aliceLogin(func(a *event.Alert) {
			a.Event.Service, a.Event.User, a.Event.Login = "sudo", "root", event.Login{By: "alice"}
			a.Event.Remote, a.Facts, a.Person = event.Remote{}, event.Facts{}, ""
		}),
		"missed":      witness("su", "root", "alice", 1),
		"missed-ssh":  witness("sshd", "alice", "root", 1),
		"missed-more": witness("sudo", "root", "alice", 4),
		"missed-many": func() event.Alert {
			a := witness("su-l", "root", "alice", 113)
			a.Event.Witness.Crowd = true
			return a
		}(),
		"no-provider": aliceLogin(func(a *event.Alert) { a.Facts = event.Facts{} }),
		"private": aliceLogin(func(a *event.Alert) {
			a.Event.Remote.IP = ip("10.0.0.7")
			a.Facts = event.Facts{Scope: "private network"}
		}),
		"ipv6": aliceLogin(func(a *event.Alert) {
			a.Event.Remote.IP = ip("2001:db8:85a3::8a2e:370:7334")
			a.Facts.Place = event.Place{Country: "IE"}
			a.Facts.Network = event.Network{ASN: 64500}
		}),
		"ipv6-with-emoji": aliceLogin(func(a *event.Alert) { a.Event.Remote.IP = ip("2001:db8:cd::1") }),
		"certificate": aliceLogin(func(a *event.Alert) {
			a.Event.Login.Auth = event.Auth{
				Method: "publickey", KeyType: "ssh-ed25519-cert-v01@openssh.com", Fingerprint: keyAlice,
				KeyID: "alice@example.com", Serial: 4711, CAFingerprint: keyCA,
			}
		}),
		"mismatch": aliceLogin(flagged(event.FlagAddressMismatch), func(a *event.Alert) { a.Event.Remote.Claimed = "198.51.100.9" }),
		"unverified": aliceLogin(flagged(event.FlagAddressUnverified), func(a *event.Alert) {
			a.Event.Remote.Name = "host7.example.net"
		}),
		"environment-unverified": aliceLogin(flagged(event.FlagEnvironmentUnverified)),
		"no-address": aliceLogin(func(a *event.Alert) {
			a.Event.Remote, a.Facts = event.Remote{Name: "host7.example.net"}, event.Facts{}
		}),
		"other-service": aliceLogin(func(a *event.Alert) { a.Event.Service = "cockpit" }),
		"repeat": aliceLogin(func(a *event.Alert) {
			a.Count, a.More, a.Last = 12, true, noon.Add(10*time.Minute)
			a.Event.Host, a.Event.Time = "web3.example.com", a.Last
			a.Refs = []string{"9QXA20ZM4Y8V1T5R9W6P3N0B7K", "2MRT20ZM4Y8V1T5R9W6P3N0B7K"}
		}),
		"repeat-high": aliceLogin(risk(72, "HIGH", "Listed as a brute force source"), func(a *event.Alert) {
			a.Count, a.Last = 12, noon.Add(10*time.Minute)
		}),
		"digest": digest(greyVerdict, row("alice", 8, "203.0.113.7", "203.0.113.8"),
			func() event.Row {
				r := row("deploy", 300, "198.51.100.1", "198.51.100.2", "198.51.100.3")
				r.MoreIPs = 14
				return r
			}(), row("bob", 4, "2001:db8::7")),
		"digest-high": digest(event.Verdict{Severity: event.High, Knowledge: event.Known, Reasons: []string{"first time from Bulgaria"}},
			row("alice", 3, "203.0.113.7"),
			event.Row{User: "root", Host: "db1.example.com", Kind: event.KindLogin, Count: 2, IPs: []netip.Addr{ip("198.51.100.9")},
				Severity: event.High, Reason: "first time from Bulgaria"},
			event.Row{User: "carol", Host: "db1.example.com", Kind: event.KindLogin, Count: 1, MoreIPs: 1, Severity: event.Medium}),
		"digest-mixed": digest(greyVerdict, row("alice", 3, "203.0.113.7"),
			event.Row{User: "alice", Host: "web3.example.com", Kind: event.KindLogout, Count: 2},
			event.Row{Host: "web3.example.com", Kind: event.KindAlert, Count: 1, Reason: "disk full"}),
		"logout": aliceLogout(),
		"got-in": aliceLogin(risk(90, "HIGH", "Botnet"), func(a *event.Alert) {
			a.Event.Kind, a.Event.User, a.Event.Host, a.Event.Via, a.Person = event.KindAttack, "admin", "web1.example.com", event.ViaWatch, ""
			a.Event.Attack = &event.Attack{
				Note: event.Note{Severity: event.Critical}, Phase: event.PhaseSuccess, Auth: a.Event.Login.Auth,
				FromAddress: 214, AgainstUser: 9, First: noon.Add(-3 * time.Hour), Names: event.Tally{Most: []event.Count{{Name: "root", N: 205}, {Name: "admin", N: 9}}},
			}
		}),
		"match": func() event.Alert {
			a := noted(event.KindMatch, event.Medium, "alice may not use sudo", "alice NOT in sudoers: TTY=pts/0 ; COMMAND=/bin/sh")
			a.Event.Match, a.Event.Via = &event.Match{Pattern: "sudo-refused", Note: *a.Event.Alert}, event.ViaWatch
			a.Verdict = policy.Judge(policy.Input{Event: a.Event}, policy.DefaultSettings())
			return a
		}(),
		"alert-clock-12h": func() event.Alert {
			a := noted(event.KindAlert, event.High, "Backup failed", "no space left on /srv")
			a.Clock12, a.Event.User = true, "root"
			return a
		}(),
		"logout-of-high": func() event.Alert {
			a := aliceLogout()
			a.Verdict = aliceLogin(risk(72, "HIGH", "Listed as a brute force source")).Verdict
			return a
		}(),
		"no-logout": aliceLogout(flagged(event.FlagNoLogout)),
		"alert":     noted(event.KindAlert, event.High, "Backup failed", "no space left on /srv & nobody looked"),
		"alert-with-address": func() event.Alert {
			a := noted(event.KindAlert, event.Low, "", "somebody knocked")
			a.Event.Remote.IP = ip("203.0.113.7")
			a.Facts = aliceLogin().Facts
			return a
		}(),
		"attack": func() event.Alert {
			a := noted(event.KindAttack, event.Medium, "", "")
			a.Event.Remote.IP, a.Facts, a.Event.Via = ip("203.0.113.7"), aliceLogin(risk(90, "HIGH", "Botnet")).Facts, event.ViaWatch
			a.Event.Attack = &event.Attack{
				Note: a.Event.Attack.Note, Phase: event.PhaseBegun, By: "address", Attempts: 214, First: noon.Add(-10 * time.Minute), Last: noon,
				Names: event.Tally{Most: []event.Count{{Name: "root", N: 205}, {Name: "admin", N: 9}}},
			}
			a.Verdict = policy.Judge(policy.Input{Event: a.Event, Facts: a.Facts}, policy.DefaultSettings())
			return a
		}(),
		"attack-on-account": func() event.Alert {
			a := noted(event.KindAttack, event.Medium, "", "")
			a.Event.User, a.Event.Via = "alice", event.ViaWatch
			a.Event.Attack = &event.Attack{
				Note: a.Event.Attack.Note, Phase: event.PhaseEnded, By: "user", Attempts: 1214, First: noon.Add(-26 * time.Hour), Last: noon,
				Addresses: event.Tally{Most: []event.Count{{Name: "203.0.113.7", N: 1000}, {Name: "198.51.100.9", N: 14}}, Rest: 200},
			}
			a.Verdict = policy.Judge(policy.Input{Event: a.Event}, policy.DefaultSettings())
			return a
		}(),
		"test": func() event.Alert {
			a := noted(event.KindAlert, event.Low, "", "If you can read this, alerts from this host arrive.")
			a.Test = true
			return a
		}(),
		"late": aliceLogin(func(a *event.Alert) { a.Late = 3*time.Hour + 10*time.Minute }),
		"zone": aliceLogin(func(a *event.Alert) { a.Zone = dublin }),
	}
}
