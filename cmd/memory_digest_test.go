package cmd

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// The digest says apart what was ordinary, what came again, and what the settings
// leave out; and what a young host learnt, in words.
func TestDigestOfTheMemory(t *testing.T) {
	db, err := history.Open(filepath.Join(t.TempDir(), "history.db"), history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m := &memory{db}
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for i, l := range []struct {
		user string
		t    policy.Telling
	}{
		{"alice", policy.Telling{When: policy.Digest, Ordinary: true, Teaches: true}},
		{"alice", policy.Telling{When: policy.Digest, Ordinary: true, Teaches: true}},
		{"bob", policy.Telling{When: policy.Now, Teaches: true}},
		{"bob", policy.Telling{When: policy.Digest, Teaches: true}},
		{"backup", policy.Telling{When: policy.Counted, Teaches: true}},
		{"backup", policy.Telling{When: policy.Silenced, Ordinary: true, Teaches: true}},
	} {
		e := event.Event{
			ID: fmt.Sprintf("%026d", i), Kind: event.KindLogin, Time: at.Add(time.Duration(i) * time.Minute), Host: "db1", User: l.user, Service: "sshd",
			Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")}, Login: event.Login{Auth: event.Auth{Method: "password"}},
		}
		if err := m.Remember(e, event.Facts{Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET"}}, event.Verdict{}, l.t); err != nil {
			t.Fatal(err)
		}
	}
	d, err := m.Digest(at.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range d.Rows {
		got = append(got, fmt.Sprint("ordinary ", r.User, " ", r.Count))
	}
	for _, r := range d.Counted {
		got = append(got, fmt.Sprint("counted ", r.User, " ", r.Count, " ", r.Reason))
	}
	for _, p := range d.Learned {
		got = append(got, fmt.Sprint("learned ", p.User, " from ", p.From, " by ", p.Key))
	}
	want := []string{
		"ordinary alice 2",
		"counted backup 1 left out by the settings",
		"counted backup 1 silenced",
		"counted bob 1 told before, or one of many new",
		"learned alice from EXAMPLE-NET by password",
		"learned bob from EXAMPLE-NET by password",
		"learned backup from EXAMPLE-NET by password",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
