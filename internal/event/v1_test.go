package event

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The files are those of the last program that wrote version 1.
func TestDecodeVersion1(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, want := range map[string]Event{
		"login":      {Kind: KindLogin, Login: Login{Auth: Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: "SHA256:UDGBfCwlGUYwqkKu/cNe69vHadH4CE9hpwfOcfQRBx4"}}},
		"login-sudo": {Kind: KindLogin, Login: Login{By: "alice"}},
		"logout":     {Kind: KindLogout},
		"witness":    {Kind: KindWitness, Witness: Witness{By: "alice"}},
		"alert":      {Kind: KindAlert, Alert: &Note{Severity: High, Title: "Backup failed", Text: "db1: no space left on /srv"}},
		"match":      {Kind: KindMatch, Match: &Match{Pattern: "disk", Note: Note{Severity: High, Title: "disk full", Text: "disk 1 is full"}}},
		"attack": {Kind: KindAttack, Attack: &Attack{Note: Note{
			Title: "End of the attack from 203.0.113.7: 214 failures", Text: "20 Nov 02:10:00 UTC to 20 Nov 02:11:00 UTC; tried: root ×200, admin ×14",
		}}},
		"attack-success": {Kind: KindAttack, Attack: &Attack{Auth: Auth{Method: "password"}, Note: Note{
			Severity: Critical, Title: "got in after 7 failures", Text: "7 failures from this address; since 20 Nov 02:10:00 UTC; tried: root ×7",
		}}},
		"attack-digest": {Kind: KindDigest, Digest: &Digest{Of: KindAttempt, First: at("2026-11-20T02:10:00Z"), Last: at("2026-11-20T02:11:00Z"), Rows: []Row{
			{User: "203.0.113.7", Host: "db1.example.com", Kind: KindAttempt, Count: 214, Reason: "EXAMPLE-NET IE; root ×200, admin ×14"},
			{User: "against alice", Host: "db1.example.com", Kind: KindAttempt, Count: 6},
		}}},
		"digest": {Kind: KindDigest, Digest: &Digest{Of: KindLogin, First: at("2026-11-20T10:00:00Z"), Last: at("2026-11-21T09:00:00Z"), Rows: []Row{
			{User: "alice", Host: "db1.example.com", Kind: KindLogin, Count: 30, IPs: []netip.Addr{netip.MustParseAddr("203.0.113.7")}, Reason: "EXAMPLE-NET"},
			{User: "3 others", Host: "db1.example.com", Kind: KindLogin, Count: 5},
		}}},
	} {
		b, err := os.ReadFile(filepath.Join("testdata", "v1", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body := Event{Kind: got.Kind, Login: got.Login, Logout: got.Logout, Witness: got.Witness, Attack: got.Attack, Match: got.Match, Alert: got.Alert, Digest: got.Digest}
		if diff := cmp.Diff(want, body, sameAddr); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.V != Version || !ValidID(got.ID) || got.Host != "db1.example.com" || got.Time.IsZero() {
			t.Errorf("%s: the head %+v", name, got)
		}
	}
}

func TestVerdictOfVersion1(t *testing.T) {
	for old, want := range map[string]Verdict{
		`{"severity":"low","colour":"#02ff00","known":true,"usual":true}`:  {Knowledge: Known, Usual: true},
		`{"severity":"low","colour":"#2f81f7","known":true,"usual":true}`:  {Knowledge: Usual, Usual: true},
		`{"severity":"low","colour":"#9aa0a6","known":true}`:               {Knowledge: Unknown},
		`{"severity":"low","colour":"#9aa0a6","known":false}`:              {Knowledge: Unknown, Floor: Medium},
		`{"severity":"high","colour":"#ff0002","known":true,"only":["x"]}`: {Severity: High, Knowledge: Unknown, Only: []string{"x"}},
		`{"severity":"low","knowledge":"known"}`:                           {Knowledge: Known},
	} {
		var got Verdict
		if err := json.Unmarshal([]byte(old), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", old, diff)
		}
	}
}

// Unknown is never shown as safe, nor routed as if it were.
func TestUnknownIsNeverSafe(t *testing.T) {
	var zero Verdict
	if zero.Knowledge == Known || zero.Knowledge == Usual {
		t.Errorf("a verdict of nothing is %q", zero.Knowledge)
	}
	known, usual := Verdict{Knowledge: Known}, Verdict{Knowledge: Usual}
	if !zero.Worse(known) || !zero.Worse(usual) || !usual.Worse(known) || known.Worse(zero) {
		t.Error("a message of a known and an unknown event is known")
	}
	if v := (Verdict{Floor: Medium}); v.Route() != Medium {
		t.Errorf("what a provider could not say is routed as %s", v.Route())
	}
	if (Verdict{Severity: Medium}).Worse(Verdict{Severity: High}) || (Verdict{Severity: High}).Worse(Verdict{Severity: High, Knowledge: Known}) {
		t.Error("the severity comes first")
	}
}
