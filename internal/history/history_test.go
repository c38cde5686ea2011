package history

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

var day0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// login is a seen one, at some minutes after day0.
func login(n int, user, ip string, minutes int) Entry {
	return Entry{
		ID: testID(n), Time: day0.Add(time.Duration(minutes) * time.Minute), Host: "db1.example.com", User: user, Service: "sshd",
		Method: "publickey", Key: "SHA256:of-" + user, IP: netip.MustParseAddr(ip), ASN: 64500, ASName: "EXAMPLE-NET", Usual: true, Source: SourceSeen,
	}
}

func record(tb testing.TB, d *DB, entries ...Entry) {
	tb.Helper()
	for _, e := range entries {
		if err := d.Record(tb.Context(), e); err != nil {
			tb.Fatal(err)
		}
	}
}

func recall(tb testing.TB, d *DB, e Entry) event.Memory {
	tb.Helper()
	m, err := d.Recall(tb.Context(), e)
	if err != nil || !m.Known {
		tb.Fatalf("%+v, %v", m, err)
	}
	return m
}

func list(tb testing.TB, d *DB, f Filter) []Entry {
	tb.Helper()
	var all []Entry
	for e, err := range d.List(tb.Context(), f) {
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func each(entries ...Entry) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestFirstLogins(t *testing.T) {
	d := open(t, Options{})
	first := login(1, "alice", "203.0.113.7", 0)
	m := recall(t, d, first)
	if !m.Young || m.User.Count != 0 || m.Last != nil || !m.Since.IsZero() {
		t.Errorf("an empty memory says %+v", m)
	}
	record(t, d, first, login(2, "bob", "198.51.100.2", 8*24*60))
	if m = recall(t, d, login(3, "alice", "203.0.113.7", 9*24*60)); !m.Young {
		t.Error("nobody is usual yet")
	}
	m = recall(t, d, login(3, "alice", "203.0.113.7", 29*24*60))
	want := event.Seen{Count: 1, First: first.Time, Last: first.Time}
	if m.Young || m.Since != day0 || m.Address != want || m.Key != want || m.Host.Count != 2 || m.Last.IP != first.IP {
		t.Errorf("%+v", m)
	}
	carol := login(3, "carol", "203.0.113.7", 9*24*60)
	carol.Key = first.Key
	if m = recall(t, d, carol); !slices.Equal(m.KeyUsers, []string{"alice"}) || m.User.Count != 0 {
		t.Errorf("somebody else's key: %+v", m)
	}
}

// The one network that only the entry itself came from is no other network.
func TestOwnNetworkUnderAnotherTime(t *testing.T) {
	d := open(t, Options{})
	e := login(1, "alice", "203.0.113.7", 0)
	other := login(2, "alice", "203.0.113.7", 1)
	other.ASN, other.ASName = 64501, "OTHER"
	record(t, d, e, other)
	e.Time, e.ASN, e.ASName = e.Time.Add(time.Hour), 64502, "THIRD"
	if m := recall(t, d, e); m.Networks != 1 || m.User.Count != 1 {
		t.Errorf("%+v", m)
	}
}

// Of a login that is told after thousands of newer ones, the counts may be too
// high; what never happened before it has still not.
func TestVeryLateLogin(t *testing.T) {
	d := open(t, Options{})
	d.lateness = 3
	for i := range 10 {
		record(t, d, login(i, "alice", fmt.Sprintf("203.0.113.%d", i/5), i*60))
	}
	m := recall(t, d, login(100, "alice", "203.0.113.0", 2*60))
	if m.User.Count != 7 || m.Address.Count != 2 || m.User.Last != day0.Add(time.Hour) || m.Last.Time != m.User.Last || m.Networks != 0 {
		t.Errorf("%+v", m)
	}
	if m := recall(t, d, login(100, "alice", "203.0.113.1", 2*60)); m.Address.Count != 0 || m.User.Count != 7 {
		t.Errorf("from another address: %+v", m)
	}
	if m := recall(t, d, login(100, "alice", "203.0.113.1", 0)); m.User.Count != 0 || m.Host.Count != 0 || m.Last != nil {
		t.Errorf("before all: %+v", m)
	}
}

func TestListInParts(t *testing.T) {
	standin.Gate(t)
	d := open(t, Options{})
	var all []Entry
	for i := range 3*batch + 10 {
		all = append(all, login(i, "alice", "203.0.113.7", i/150)) // many of the same time
	}
	if added, known, err := d.Import(t.Context(), each(all...)); added != len(all) || known != 0 || err != nil {
		t.Fatal(added, known, err)
	}
	got := list(t, d, Filter{})
	slices.Reverse(got)
	if diff := gocmp.Diff(len(all), len(got)); diff != "" {
		t.Fatal(diff)
	}
	for i := range got {
		if got[i].ID != all[i].ID {
			t.Fatalf("entry %d is %s", i, got[i].ID)
		}
	}
	for range d.List(t.Context(), Filter{}) {
		record(t, d, login(99_999, "bob", "203.0.113.8", 0)) // a list holds nobody up
		break
	}
}

func TestEntriesThatCannotBe(t *testing.T) {
	d := open(t, Options{})
	for name, e := range map[string]Entry{
		"no id":    {Time: day0},
		"no time":  {ID: testID(1)},
		"too old":  {ID: testID(1), Time: time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)},
		"too late": {ID: testID(1), Time: time.Date(12_000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if err := d.Record(t.Context(), e); err == nil {
			t.Errorf("%s was recorded", name)
		}
	}
	if all := list(t, d, Filter{}); len(all) > 0 {
		t.Error(all)
	}
	// Hostile text comes back as its cleaned self.
	e := login(1, "a'; DROP TABLE login; --\x00\u202e", "203.0.113.7", 0)
	record(t, d, e)
	if m := recall(t, d, Entry{Time: e.Time.Add(time.Hour), User: e.User}); m.User.Count != 1 {
		t.Errorf("%+v", m)
	}
}

// Nothing of a person who was forgotten is left in any of the files.
func TestForgottenIsGone(t *testing.T) {
	now := day0
	d := open(t, Options{Now: func() time.Time { return now }})
	var all []Entry
	for i := range 900 {
		e := login(i, fmt.Sprintf("user%02d", i%37), fmt.Sprintf("203.0.113.%d", i%200), i)
		if i%10 == 0 {
			e.User, e.Key, e.ASName = "verysecretperson", "SHA256:verysecretkey", "VERYSECRETNET"
		}
		all = append(all, e)
	}
	if _, _, err := d.Import(t.Context(), each(all...)); err != nil {
		t.Fatal(err)
	}
	old := d.store.Path() + ".damaged-" + "20260101T000000.000"
	if err := os.WriteFile(old, []byte("verysecretperson"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := d.Forget(t.Context(), Filter{}); !errors.Is(err, ErrEmptyFilter) || n > 0 {
		t.Errorf("forgot all: %d, %v", n, err)
	}
	if n, err := d.Forget(t.Context(), Filter{User: "verysecretperson", Limit: 3}); n != 90 || err != nil {
		t.Fatal(n, err)
	}
	files, err := filepath.Glob(d.store.Path() + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(bytes.ToLower(b), []byte("verysecret")) {
			t.Errorf("%s remembers", filepath.Base(f))
		}
	}
	checkCounters(t, d)
	if n := len(list(t, d, Filter{})); n != 810 {
		t.Errorf("%d are left", n)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	d := open(t, Options{})
	record(t, d, login(1, "alice", "203.0.113.7", 0))
	files, err := filepath.Glob(d.store.Path() + "*")
	if err != nil || len(files) != 3 { // with the log and its index
		t.Fatal(files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
	}
}

func TestOpenTouchesNothing(t *testing.T) {
	d := open(t, Options{})
	if _, err := os.Stat(d.store.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there: %v", err)
	}
	reader := openAt(t, d.store.Path(), Options{ReadOnly: true})
	for _, err := range reader.List(t.Context(), Filter{}) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a reader: %v", err)
		}
	}
	if _, err := os.Stat(d.store.Path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a reader made the file: %v", err)
	}
	record(t, d, login(1, "alice", "203.0.113.7", 0))
	if n := len(list(t, reader, Filter{})); n != 1 {
		t.Errorf("a reader sees %d", n)
	}
	if err := reader.Record(t.Context(), login(2, "alice", "203.0.113.7", 0)); err == nil {
		t.Error("a reader wrote")
	}
}

func TestStrangePaths(t *testing.T) {
	for _, name := range []string{"a b.db", "100%.db", "what?.db", "#1.db", "ü&mode=memory.db"} {
		d := openAt(t, filepath.Join(t.TempDir(), name), Options{})
		record(t, d, login(1, "alice", "203.0.113.7", 0))
		if info, err := os.Stat(d.store.Path()); err != nil || info.Size() == 0 && !strings.Contains(name, "memory") {
			t.Errorf("%s: %v", name, err)
		}
		d.Close()
	}
}

func TestDigest(t *testing.T) {
	d := open(t, Options{})
	odd := login(1, "mallory", "198.51.100.66", 5)
	odd.Usual = false
	imported := login(2, "carol", "203.0.113.9", 5)
	imported.Usual, imported.Source = false, SourceJournal
	record(t, d, odd, imported)
	for i := range 12 {
		record(t, d, login(10+i, "deploy", fmt.Sprintf("203.0.113.%d", 10+i%5), 10+i))
	}
	record(t, d, login(30, "alice", "203.0.113.7", 40), login(31, "alice", "203.0.113.7", 600))
	before := day0.Add(8 * time.Hour)
	origin := func(ip string) Origin { return Origin{IP: netip.MustParseAddr(ip), ASN: 64500, Network: "EXAMPLE-NET"} }
	want := []DigestRow{
		{User: "deploy", Hosts: []string{"db1.example.com"}, Count: 12, First: day0.Add(10 * time.Minute), Last: day0.Add(21 * time.Minute),
			From: []Origin{origin("203.0.113.10"), origin("203.0.113.11"), origin("203.0.113.12")}, More: 2},
		{User: "alice", Hosts: []string{"db1.example.com"}, Count: 1, First: day0.Add(40 * time.Minute), Last: day0.Add(40 * time.Minute), From: []Origin{origin("203.0.113.7")}},
	}
	same := func(what string, got []DigestRow, err error) {
		t.Helper()
		if diff := gocmp.Diff(want, got, sameAddr); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", what, err, diff)
		}
	}
	rows, err := d.Undigested(t.Context(), before)
	same("before", rows, err)
	rows, err = d.BeginDigest(t.Context(), "monday", before)
	same("begun", rows, err)
	// The worker dies, and others log in meanwhile; one of them reports late.
	d.Close()
	record(t, d, login(40, "alice", "203.0.113.7", 41))
	id, at, err := d.PendingDigest(t.Context())
	if id != "monday" || !at.Equal(before) || err != nil {
		t.Error(id, at, err)
	}
	rows, err = d.BeginDigest(t.Context(), "monday", before.Add(24*time.Hour))
	same("again", rows, err)
	if err := d.EndDigest(t.Context(), "monday"); err != nil {
		t.Error(err)
	}
	if id, _, err := d.PendingDigest(t.Context()); id != "" || err != nil {
		t.Error(id, err)
	}
	rows, err = d.BeginDigest(t.Context(), "tuesday", before.Add(24*time.Hour))
	want = []DigestRow{{User: "alice", Hosts: []string{"db1.example.com"}, Count: 2, First: day0.Add(41 * time.Minute), Last: day0.Add(600 * time.Minute), From: []Origin{origin("203.0.113.7")}}}
	same("the next", rows, err)
	if e := list(t, d, Filter{User: "deploy", Limit: 1}); e[0].Digest != "monday" {
		t.Errorf("%+v", e)
	}
}

func TestNewerFormIsLeftAlone(t *testing.T) {
	d := open(t, Options{})
	record(t, d, login(1, "alice", "203.0.113.7", 0))
	d.Close()
	if err := raw(d.store.Path(), fmt.Sprintf("PRAGMA user_version = %d", store.Version+1)); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(d.store.Path())
	if err != nil {
		t.Fatal(err)
	}
	newer := openAt(t, d.store.Path(), Options{})
	m, err := newer.Recall(t.Context(), login(2, "alice", "203.0.113.7", 1))
	if e, ok := errors.AsType[*store.NewerError](err); !ok || e.Version != store.Version+1 || m.Known {
		t.Errorf("%+v, %v", m, err)
	}
	if err := newer.Record(t.Context(), login(2, "alice", "203.0.113.7", 1)); err == nil {
		t.Error("it was written to")
	}
	newer.Close()
	if after, err := os.ReadFile(d.store.Path()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("it was changed: %v", err)
	}
}
