package policy

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

var settings = Settings{Risk: Risk{YellowAbove: 34, RedAbove: 67}}

func login(flags ...event.Flag) event.Event {
	return event.Event{
		Kind: event.KindLogin, User: "alice", Host: "db1.example.com",
		Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")},
		Flags:  flags,
	}
}

func scored(n int, word, why string) event.Facts {
	return event.Facts{Risk: &event.Risk{Provider: "Threat Jammer", Known: true, Score: n, Word: word, Reason: why}}
}

func unscored(problem string) event.Facts {
	return event.Facts{Risk: &event.Risk{Provider: "Threat Jammer", Problem: problem}}
}

func TestJudge(t *testing.T) {
	forged := login(event.FlagAddressMismatch)
	forged.Remote.Claimed = "198.51.100.9"
	nowhere := login()
	nowhere.Remote = event.Remote{}
	note := func(k event.Kind, s event.Severity) event.Event {
		n := event.Note{Severity: s, Text: "disk full"}
		return event.Event{Kind: k, Alert: &n, Attack: &event.Attack{Note: n}, Match: &event.Match{Note: n}}
	}
	digest := event.Event{Kind: event.KindDigest, Digest: &event.Digest{Of: event.KindLogin, Rows: []event.Row{{User: "alice", Host: "db1.example.com", Kind: event.KindLogin, Count: 3}}}}
	report := func(r event.Report) event.Event {
		return event.Event{Kind: event.KindDigest, Digest: &event.Digest{Of: event.KindReport, Report: &r}}
	}
	tests := []struct {
		name  string
		event event.Event
		facts event.Facts
		want  event.Verdict
	}{
		{"a good address", login(), scored(12, "LOW", "never seen"),
			event.Verdict{Severity: event.Low, Knowledge: event.Known}},
		{"a score of zero is a score", login(), scored(0, "LOW", ""),
			event.Verdict{Severity: event.Low, Knowledge: event.Known}},
		{"the last green score", login(), scored(34, "LOW", ""),
			event.Verdict{Severity: event.Low, Knowledge: event.Known}},
		{"the first yellow score", login(), scored(35, "MEDIUM", "Open proxy"),
			event.Verdict{Severity: event.Medium, Knowledge: event.Known, Reasons: []string{"Threat Jammer 35 (MEDIUM): Open proxy"}}},
		{"the last yellow score", login(), scored(67, "MEDIUM", ""),
			event.Verdict{Severity: event.Medium, Knowledge: event.Known, Reasons: []string{"Threat Jammer 67 (MEDIUM)"}}},
		{"the first red score", login(), scored(68, "HIGH", "Listed as a brute force source"),
			event.Verdict{Severity: event.High, Knowledge: event.Known, Reasons: []string{"Threat Jammer 68 (HIGH): Listed as a brute force source"}}},
		{"a score without the provider's word", login(), scored(100, "", ""),
			event.Verdict{Severity: event.High, Knowledge: event.Known, Reasons: []string{"Threat Jammer 100"}}},
		{"the provider did not answer", login(), unscored("timed out"),
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{"Threat Jammer risk unknown: timed out"}}},
		{"no score and nobody knows why", login(), unscored(""),
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{"Threat Jammer risk unknown"}}},
		{"a score below zero is not green", login(), scored(-5, "LOW", ""),
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{"Threat Jammer risk unknown: a score of -5"}}},
		{"a score above a hundred is no score", login(), scored(101, "", ""),
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{"Threat Jammer risk unknown: a score of 101"}}},
		{"a score of nothing beside no opinion is not green", login(), scored(0, "UNKNOWN", ""),
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{"Threat Jammer risk unknown: a score of 0 (UNKNOWN)"}}},
		{"nor is any other low one", login(), scored(settings.YellowAbove, "n/a", ""),
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{fmt.Sprintf("Threat Jammer risk unknown: a score of %d (n/a)", settings.YellowAbove)}}},
		{"a high one is believed", login(), scored(90, "UNKNOWN", ""),
			event.Verdict{Severity: event.High, Knowledge: event.Known, Reasons: []string{"Threat Jammer 90 (UNKNOWN)"}}},
		{"no provider is configured", login(), event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"places without a provider of risk make nothing green", login(), event.Facts{Place: event.Place{Country: "IE"}},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"a private address", login(), event.Facts{Scope: "private network"},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"a private address that a cache gave a score", login(), event.Facts{Scope: "private network", Risk: scored(3, "LOW", "").Risk},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"no address at all", nowhere, event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"a poisoned SSH_CONNECTION from a good address", forged, scored(12, "LOW", ""),
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{"SSH_CONNECTION was forged: it said 198.51.100.9, sshd saw 203.0.113.7"}}},
		{"a poisoned SSH_CONNECTION comes before a high score", forged, scored(90, "HIGH", "Botnet"),
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{
				"SSH_CONNECTION was forged: it said 198.51.100.9, sshd saw 203.0.113.7", "Threat Jammer 90 (HIGH): Botnet"}}},
		{"a poisoned SSH_CONNECTION, score unknown", forged, unscored("timed out"),
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Floor: event.Medium, Reasons: []string{
				"SSH_CONNECTION was forged: it said 198.51.100.9, sshd saw 203.0.113.7", "Threat Jammer risk unknown: timed out"}}},
		{"a poisoned SSH_CONNECTION that said nothing", login(event.FlagAddressMismatch), event.Facts{},
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{"SSH_CONNECTION was forged: sshd saw 203.0.113.7"}}},
		{"the raw environment could not be read", login(event.FlagEnvironmentUnverified), scored(12, "LOW", ""),
			event.Verdict{Severity: event.Medium, Knowledge: event.Unknown, Reasons: []string{
				"its environment could not be verified, user and address may be forged"}}},
		{"the raw environment could not be read, high score", login(event.FlagEnvironmentUnverified), scored(90, "HIGH", ""),
			event.Verdict{Severity: event.High, Knowledge: event.Unknown, Reasons: []string{
				"Threat Jammer 90 (HIGH)", "its environment could not be verified, user and address may be forged"}}},
		{"UseDNS, good score: told, not green, not yellow", login(event.FlagAddressUnverified), scored(12, "LOW", ""),
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Reasons: []string{"its address is unverified, sshd named none"}}},
		{"UseDNS, bad score", login(event.FlagAddressUnverified), scored(50, "MEDIUM", ""),
			event.Verdict{Severity: event.Medium, Knowledge: event.Unknown, Reasons: []string{
				"Threat Jammer 50 (MEDIUM)", "its address is unverified, sshd named none"}}},
		{"a logout", event.Event{Kind: event.KindLogout}, scored(90, "HIGH", ""),
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"an sshd that went without a word", event.Event{Kind: event.KindLogout, Flags: []event.Flag{event.FlagNoLogout}}, event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown, Reasons: []string{"its sshd is gone, no logout was reported"}}},
		{"a low note is green", note(event.KindAlert, event.Low), event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Known}},
		{"a report of usual logins", report(event.Report{Logins: 9}), event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Usual, Usual: true}},
		{"a report of unusual ones", report(event.Report{Logins: 9, Unusual: 1}), event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"a report of none", report(event.Report{}), event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"a report with a silent host", report(event.Report{Logins: 9, Failing: []string{"web3"}}), event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Unknown}},
		{"the digest of usual logins is not green", digest, event.Facts{},
			event.Verdict{Severity: event.Low, Knowledge: event.Usual, Usual: true}},
		{"a medium note", note(event.KindAlert, event.Medium), event.Facts{},
			event.Verdict{Severity: event.Medium, Knowledge: event.Known}},
		{"a high note about a good address", note(event.KindAlert, event.High), scored(1, "LOW", ""),
			event.Verdict{Severity: event.High, Knowledge: event.Known}},
		{"a critical note", note(event.KindAlert, event.Critical), event.Facts{},
			event.Verdict{Severity: event.Critical, Knowledge: event.Known}},
		{"a note from a torn file", note(event.KindAlert, 99), event.Facts{},
			event.Verdict{Severity: event.Critical, Knowledge: event.Known}},
		{"an attack is as severe as its note says", note(event.KindAttack, event.Critical), scored(50, "MEDIUM", ""),
			event.Verdict{Severity: event.Critical, Knowledge: event.Known, Reasons: []string{"Threat Jammer 50 (MEDIUM)"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Judge(Input{Event: tt.event, Facts: tt.facts}, settings), keyless); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever is asked and not answered, and whatever is doubtful, is not green.
func TestGreenNeedsAScore(t *testing.T) {
	all := []event.Flag{event.FlagAddressMismatch, event.FlagAddressUnverified, event.FlagEnvironmentUnverified}
	for mask := range 1 << len(all) {
		var flags []event.Flag
		for i, f := range all {
			if mask>>i&1 == 1 {
				flags = append(flags, f)
			}
		}
		for _, f := range []event.Facts{{}, unscored("timed out"), {Scope: "loopback"}, scored(-1, "", "")} {
			if v := Judge(Input{Event: login(flags...), Facts: f}, settings); v.Knowledge == event.Known {
				t.Errorf("flags %v, facts %+v: green", flags, f)
			}
		}
		if v := Judge(Input{Event: login(flags...), Facts: scored(1, "LOW", "")}, settings); len(flags) > 0 && v.Knowledge == event.Known {
			t.Errorf("flags %v, a low score: green", flags)
		}
	}
}
