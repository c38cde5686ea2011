package slackmsg

import (
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
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
	return event.Memory{
		Known: true, Since: since, Host: seen(90), User: seen(user), UserHost: seen(user), Key: seen(user),
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

func digest(v event.Verdict, rows ...event.Row) event.Alert {
	return event.Alert{
		ID: "D1G320ZM4Y8V1T5R9W6P3N0B7K", Verdict: v, Rows: rows,
		First: noon, Last: noon.Add(4 * time.Minute), Runbook: "https://wiki.example.com/ssh-alert",
	}
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

var greyVerdict = event.Verdict{Severity: event.Low, Knowledge: event.Unknown}

// alerts is an alert of each sort that there is.
func alerts() map[string]event.Alert {
	dublin := time.FixedZone("GMT", 0)
	return map[string]event.Alert{
		"low":    aliceLogin(),
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
		"never-from-this-network": aliceLogin(func(a *event.Alert) {
			a.Facts.Risk = nil
			a.Facts.Traits = event.Traits{Hosting: "a list"}
			a.Memory = remembered(41, 0, 0, 2)
			a.Memory.Learning = true
		}),
		"first-from-tor": aliceLogin(func(a *event.Alert) {
			a.Facts.Traits = event.Traits{Hosting: "a list", Tor: "Tor Project"}
			a.Memory = remembered(41, 0, 0, 2)
		}),
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
			a.Count, a.Last = 12, noon.Add(10*time.Minute)
			a.Event.Host, a.Event.Time = "web3.example.com", a.Last
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
			a := noted(event.KindAttack, event.Medium, "Password guessing", "214 failures in 10 min from 2 addresses")
			a.Event.Remote.IP = ip("203.0.113.7")
			return a
		}(),
		"test": func() event.Alert {
			a := noted(event.KindAlert, event.Low, "", "If you can read this, alerts from this host arrive.")
			a.Test = true
			return a
		}(),
		"late": aliceLogin(func(a *event.Alert) { a.Late = 3*time.Hour + 10*time.Minute }),
		"with-others": aliceLogin(func(a *event.Alert) {
			a.Repeats = []event.Row{row("alice", 12), row("bob", 3)}
		}),
		"zone": aliceLogin(func(a *event.Alert) { a.Zone = dublin }),
	}
}
