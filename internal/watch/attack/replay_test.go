package attack

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/tools/loggen"
)

// A made log tells of as many attempts as were put into it, whatever the format,
// and its findings do not depend on when it is read.
func TestReplay(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var first []string
	for _, o := range []loggen.Options{
		{Lines: 20_000, Addresses: 50},
		{Lines: 20_000, Addresses: 50, Repeated: true},
		{Lines: 20_000, Addresses: 50, Format: loggen.RFC3339, Program: "sshd-session"},
	} {
		lines, stats := made(t, o)
		found, counted := replay(t, lines, time.UTC, now)
		if !maps.Equal(counted, stats.ByIP) {
			t.Errorf("%+v: %s", o, cmp.Diff(fmt.Sprint(stats.ByIP), fmt.Sprint(counted)))
		}
		again, _ := replay(t, lines, time.UTC, now.AddDate(0, 2, 3))
		if diff := cmp.Diff(say(found), say(again)); diff != "" {
			t.Error(diff)
		}
		if first == nil {
			first = say(found)
		} else if len(first) < 20 {
			t.Errorf("only %d findings", len(first))
		}
	}
}

// The same moments, written in the clock of another zone, give the same.
func TestReplayInAnotherZone(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	from := time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC) // over the end of summer time
	o := loggen.Options{Lines: 30_000, Addresses: 30, Start: from, Span: 10 * 24 * time.Hour}
	utc, _ := made(t, o)
	o.Start = from.In(berlin)
	local, _ := made(t, o)
	if slices.Equal(utc, local) {
		t.Fatal("the logs are the same")
	}
	a, _ := replay(t, utc, time.UTC, now)
	b, _ := replay(t, local, berlin, now)
	if diff := cmp.Diff(say(a), say(b)); diff != "" || len(a) < 20 {
		t.Error(len(a), diff)
	}
}

func TestSnapshotIsBounded(t *testing.T) {
	g := newEngine(t, Options{MaxKeys: 500})
	crowd(g, 5000, "xyz")
	var b bytes.Buffer
	if err := g.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	if perKey := b.Len() / len(g.list); perKey > 1000 {
		t.Errorf("%d bytes a key", perKey)
	}
	g.Take(parse.Result{Outcome: parse.None})
}
