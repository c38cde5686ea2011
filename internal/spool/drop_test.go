package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/internal/event"
)

// The watcher's user in these tests.
const watcherID = 63_124

func attack() event.Event {
	return event.Event{
		ID: event.NewID(), Kind: event.KindAttack, Time: time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC), Host: "db1.example.com",
		Via: event.ViaWatch, Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")},
		Attack: &event.Attack{Note: event.Note{Severity: event.Medium}, Phase: event.PhaseBegun, Attempts: 214},
	}
}

func encode(tb testing.TB, e event.Event) []byte {
	tb.Helper()
	b, err := e.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// dropSpool is a host's spool with a drop, of which this process is all parts.
func dropSpool(t *testing.T) *Spool {
	t.Helper()
	o := hostOptions(t, fastDir(t))
	s := Open(o)
	for _, dir := range []string{"", tmpName, newName} {
		if err := os.Mkdir(filepath.Join(o.Dir, dropName, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if o.UID == 0 {
		if err := os.Chown(filepath.Join(o.Dir, dropName, tmpName), watcherID, -1); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// asWatcher is the same spool for the owner of watch/tmp.
func asWatcher(s *Spool) *Spool {
	w := *s
	if w.o.UID == 0 {
		w.o.UID = watcherID
	}
	return &w
}

func TestWatcherPutsIntoItsDrop(t *testing.T) {
	s := dropSpool(t)
	w, e := asWatcher(s), attack()
	data := encode(t, e)
	for range 2 { // twice is once
		if where, err := w.Put(e.ID+".json", data); where != s.o.Dir || err != nil {
			t.Fatalf("Put = %q, %v", where, err)
		}
	}
	if waiting, err := s.Waiting(); err != nil || len(waiting) != 1 || waiting[0].Folder != InDrop || waiting[0].Name != e.ID+".json" {
		t.Errorf("Waiting = %v, %v", waiting, err)
	} else if b, err := s.Peek(waiting[0]); err != nil || !bytes.Equal(b, data) {
		t.Errorf("Peek = %s, %v", b, err)
	}
	q := mustLock(t, s)
	if empty, err := q.NewIsEmpty(); empty || err != nil {
		t.Errorf("NewIsEmpty = %v, %v", empty, err)
	}
	names := mustClaim(t, q)
	if len(names) != 1 || names[0] == e.ID+".json" || names[0][:4] != event.Ref(e.ID) || !Claimable(names[0]) {
		t.Fatalf("claimed %q of %s", names, e.ID)
	}
	b, err := q.Read(names[0])
	if err != nil {
		t.Fatal(err)
	}
	got, err := event.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want := e
	want.V, want.ID = event.Version, strings.TrimSuffix(names[0], ".json")
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
	if empty, err := q.NewIsEmpty(); !empty || err != nil {
		t.Errorf("after the claim: NewIsEmpty = %v, %v", empty, err)
	}

	// A worker that died between the copy and the removal.
	if _, err := w.Put(e.ID+".json", data); err != nil {
		t.Fatal(err)
	}
	if again := mustClaim(t, q); len(again) > 0 {
		t.Errorf("claimed again: %q", again)
	}
	if left := files(t, s.o.Dir, dropName, newName); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func TestDropIsSmall(t *testing.T) {
	s := dropSpool(t)
	w := asWatcher(s)
	w.drop = limits{3, 1 << 20}
	var err error
	n := 0
	for ; err == nil && n < 9; n++ {
		e := attack()
		_, err = w.Put(e.ID+".json", encode(t, e))
	}
	if !errors.Is(err, ErrFull) || n != 4 {
		t.Errorf("%d events, then %v", n-1, err)
	}
	if over := files(t, s.o.Overflow); len(over) > 0 {
		t.Errorf("the overflow holds %q", over)
	}
	if _, err := w.Put(RequestName(event.NewID()), nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a request: %v", err)
	}
}

// What somebody could try who broke the watcher.
func TestDropAdmitsNoForgery(t *testing.T) {
	login := attack()
	login.Kind, login.User = event.KindLogin, "root"
	logout := login
	logout.Kind = event.KindLogout
	asPAM := attack()
	asPAM.Via = event.ViaPAM
	asSelf := attack()
	asSelf.Kind, asSelf.Via, asSelf.Alert = event.KindAlert, event.ViaSelf, &event.Note{Text: "x"}
	digest := attack()
	digest.Kind, digest.Digest = event.KindDigest, &event.Digest{Of: event.KindLogin, Rows: []event.Row{{User: "root", Kind: event.KindAttempt, Count: 1}}}
	logins := attack()
	logins.Kind, logins.Digest = event.KindDigest, &event.Digest{Of: event.KindAttempt, Rows: []event.Row{{User: "203.0.113.7", Kind: event.KindAttempt, Count: 5}, {User: "root", Count: 1}}}
	other := attack()
	name := event.NewID() + ".json"
	good := attack()
	for situation, file := range map[string]struct {
		name string
		data []byte
	}{
		"a login":                        {login.ID + ".json", encode(t, login)},
		"a logout":                       {logout.ID + ".json", encode(t, logout)},
		"an attack that PAM tells of":    {asPAM.ID + ".json", encode(t, asPAM)},
		"an alert of sshnotify's own":    {asSelf.ID + ".json", encode(t, asSelf)},
		"a digest":                       {digest.ID + ".json", encode(t, digest)},
		"logins among attacks":           {logins.ID + ".json", encode(t, logins)},
		"another event's name":           {name, encode(t, other)},
		"a request to drop what waits":   {RequestName(event.NewID()), []byte(`{"op":"drop"}`)},
		"a message of the worker's":      {"msg-1.json", encode(t, other)},
		"no JSON":                        {name, []byte("{")},
		"an event of a newer sshnotify":  {name, bytes.Replace(encode(t, login), []byte(`"v":2`), []byte(`"v":3`), 1)},
		"larger than an event":           {name, make([]byte, event.MaxSize+1)},
		"larger than what is ever read":  {name, make([]byte, MaxRead+1)},
		"a name with a control sequence": {"\x1b[2J.json", encode(t, other)},
	} {
		t.Run(situation, func(t *testing.T) {
			s := dropSpool(t)
			put(t, filepath.Join(s.o.Dir, dropName, newName, file.name), file.data)
			put(t, filepath.Join(s.o.Dir, dropName, newName, good.ID+".json"), encode(t, good))
			q := mustLock(t, s)
			names := mustClaim(t, q)
			if want := droppedID(good.ID) + ".json"; len(names) != 1 || names[0] != want {
				t.Errorf("claimed %q, want %q alone", names, want)
			}
			failed := files(t, s.o.Dir, failedName)
			if len(failed) != 1 || !strings.HasPrefix(failed[0], "foreign-") || Claimable(failed[0]) {
				t.Errorf("failed/ holds %q", failed)
			}
			if f := q.Foreign(); len(f) != 1 || f[0].Moved != failed[0] {
				t.Errorf("said: %v", f)
			}
			if empty, err := q.NewIsEmpty(); !empty || err != nil {
				t.Errorf("NewIsEmpty = %v, %v", empty, err)
			}
		})
	}
}

// The inbox is for the owner of watch/tmp, whoever may open it besides: root, a
// hook that su or sudo runs, the service.
func TestInboxIsTheWatchersAlone(t *testing.T) {
	for situation, uid := range map[string]int{"root": 0, "the service": serviceID, "a user": 1000} {
		s := dropSpool(t)
		if os.Geteuid() != 0 {
			if uid == 0 {
				continue // who this test is, is the watcher
			}
		}
		s.o.UID = uid
		name := newEvent()
		where, err := s.Put(name, content(name))
		if got := files(t, s.o.Dir, newName); err != nil || where != s.o.Dir || len(got) != 1 || len(files(t, s.o.Dir, dropName, newName)) > 0 {
			t.Errorf("%s puts into %s: %v, new/ holds %q", situation, where, err, got)
		}
	}
}

// More than JSON of an event: how far a destination is with it, which only the
// worker may say.
func TestDropKeepsTheEventAlone(t *testing.T) {
	s, e := dropSpool(t), attack()
	data := bytes.TrimSpace(encode(t, e))
	data = append(data[:len(data)-1], `,"parts":[{"dest":"slack","dead":true}]}`...)
	put(t, filepath.Join(s.o.Dir, dropName, newName, e.ID+".json"), data)
	q := mustLock(t, s)
	names := mustClaim(t, q)
	if len(names) != 1 {
		t.Fatalf("claimed %q", names)
	}
	if b, err := q.Read(names[0]); err != nil || bytes.Contains(b, []byte("slack")) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestDropHoldsNothingElse(t *testing.T) {
	s := dropSpool(t)
	ready := filepath.Join(s.o.Dir, dropName, newName)
	secret := filepath.Join(s.o.Dir, "..", "secret")
	put(t, secret, encode(t, attack()))
	name := event.NewID() + ".json"
	if err := errors.Join(os.Symlink(secret, filepath.Join(ready, name)), os.Mkdir(filepath.Join(ready, newEvent()), 0o700),
		syscall.Mkfifo(filepath.Join(ready, newEvent()), 0o600)); err != nil {
		t.Fatal(err)
	}
	q := mustLock(t, s)
	if names := mustClaim(t, q); len(names) > 0 {
		t.Errorf("claimed %q", names)
	}
	if f := q.Foreign(); len(f) != 3 {
		t.Errorf("said: %v", f)
	}
	if empty, err := q.NewIsEmpty(); !empty || err != nil {
		t.Errorf("NewIsEmpty = %v, %v", empty, err)
	}
}

// A flood comes after logins, a part at a time, and never fills the worker.
func TestFloodInTheDrop(t *testing.T) {
	s := dropSpool(t)
	for range dropMost + 1 {
		e := attack()
		put(t, filepath.Join(s.o.Dir, dropName, newName, e.ID+".json"), encode(t, e))
	}
	login := newEvent()
	mustPut(t, s, login)
	q := mustLock(t, s)
	if names, more, err := q.Claim(1); len(names) != 1 || names[0] != login || !more || err != nil {
		t.Errorf("Claim(1) = %q, %v, %v", names, more, err)
	}
	if names := mustClaim(t, q); len(names) != dropMost {
		t.Errorf("claimed %d, not %d", len(names), dropMost)
	}
	q.count = dropRoom
	if names := mustClaim(t, q); len(names) != 0 {
		t.Errorf("with a full cur/: claimed %d", len(names))
	}
	q.count--
	if names := mustClaim(t, q); len(names) != 1 {
		t.Errorf("the last one: claimed %d", len(names))
	}
	if names, err := q.ClaimRequests(); len(names) > 0 || err != nil {
		t.Errorf("ClaimRequests = %q, %v", names, err)
	}
}

// Whatever call fails: the event waits, or is claimed, or both, and is told
// once.
func TestDropSurvivesFailures(t *testing.T) {
	for _, dead := range []bool{false, true} {
		for n := 0; ; n++ {
			s, e := dropSpool(t), attack()
			put(t, filepath.Join(s.o.Dir, dropName, newName, e.ID+".json"), encode(t, e))
			f := &faultAt{n: n, dead: dead}
			q := mustLock(t, s)
			s.fault = f.fault
			q.dir.fault, q.cur.fault = f.fault, f.fault
			first, _, err := q.Claim(0)
			s.fault, q.dir.fault, q.cur.fault = nil, nil, nil
			if !f.ran() {
				if err != nil || len(first) != 1 {
					t.Errorf("without a failure: %q, %v", first, err)
				}
				break
			}
			waits, claimed := files(t, s.o.Dir, dropName, newName), files(t, s.o.Dir, curName)
			if len(waits)+len(claimed) == 0 {
				t.Errorf("%s (%d) failed: the event is lost", f.op, n)
			}
			q.Unlock()
			q = mustLock(t, s)
			again := mustClaim(t, q)
			if names, err := q.List(); err != nil || len(names) != 1 || names[0] != droppedID(e.ID)+".json" {
				t.Errorf("%s (%d) failed: cur/ holds %q, %v", f.op, n, names, err)
			}
			if len(first)+len(again) > 1 {
				t.Errorf("%s (%d) failed: claimed %q and %q", f.op, n, first, again)
			}
		}
	}
}

// The real owners and modes: the watcher writes in its drop and the service
// claims from it, but not as the watcher's file.
func TestWatcherAndService(t *testing.T) {
	for name, groups := range map[string][]int{"in the group": {serviceID}, "outside the group": nil} {
		t.Run(name, func(t *testing.T) { watcherAndService(t, groups) })
	}
}

func watcherAndService(t *testing.T, groups []int) {
	o := hostTree(t)
	if _, _, err := Open(o).Owner(); err != nil { // which makes the folders
		t.Fatal(err)
	}
	for _, d := range []struct {
		name string
		uid  int
		mode fs.FileMode
	}{{"", 0, 0o751}, {tmpName, watcherID, 0o700 | fs.ModeSetgid}, {newName, map[bool]int{true: watcherID}[groups == nil], 0o770 | fs.ModeSetgid}} {
		p := filepath.Join(o.Dir, dropName, d.name)
		if err := errors.Join(os.Mkdir(p, 0o700), os.Chown(p, d.uid, serviceID), os.Chmod(p, d.mode)); err != nil {
			t.Fatal(err)
		}
	}
	base := filepath.Dir(o.Dir)
	who := "watcher"
	if groups == nil {
		who = "stranger" // it passes through folders that it can't read
		if err := os.Chmod(o.Dir, 0o751); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := helper(t.Context(), who, base).Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := look(t, o.Dir)["watch/new/ID.json"]; got != "63124:63123 -rw-r-----" {
		t.Errorf("in the drop it is %s", got)
	}
	out, err := helper(t.Context(), "dropworker", base).Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(string(out))); n != 1 {
		t.Errorf("the service claimed %q", out)
	}
	got := look(t, o.Dir)
	if got["cur/ID.json"] != "63123:63123 -rw-------" || got["watch/new/ID.json"] != "" {
		t.Errorf("after the service: %v", got)
	}
}

func beWatcher(base string, groups ...int) error {
	if err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(watcherID), syscall.Setuid(watcherID)); err != nil {
		return err
	}
	syscall.Umask(0o077)
	s := Open(Options{Dir: filepath.Join(base, "spool"), Overflow: filepath.Join(base, "run"), UID: os.Geteuid(), Host: true})
	e := attack()
	data, err := e.Encode()
	if err != nil {
		return err
	}
	for _, dir := range []string{"", tmpName, curName, failedName, dropName} {
		if err := os.WriteFile(filepath.Join(s.o.Dir, dir, "planted"), nil, 0o600); !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("writing in %s: %v", dir, err)
		}
	}
	_, err = s.Put(e.ID+".json", data)
	return err
}

func beDropWorker(base string) error {
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(serviceID), syscall.Setuid(serviceID)); err != nil {
		return err
	}
	s := Open(Options{Dir: filepath.Join(base, "spool"), UID: os.Geteuid(), Host: true})
	q, err := s.Lock(context.Background(), false)
	if err != nil {
		return err
	}
	names, _, err := q.Claim(0)
	for _, name := range names {
		fmt.Println(name)
	}
	return errors.Join(err, q.Unlock())
}

// Whatever is in a file, what is admitted is an event that a watcher may tell.
func FuzzAdmit(f *testing.F) {
	e := attack()
	f.Add(e.ID+".json", encode(f, e))
	e.Kind = event.KindLogin
	f.Add(e.ID+".json", encode(f, e))
	f.Add("x.json", []byte(`{"v":1,"kind":"alert","note":{}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		to, b, err := admit(name, data)
		if err != nil {
			return
		}
		e, err := event.Decode(b)
		if err != nil || to != e.ID+".json" || to == name || !Claimable(to) || e.Kind == event.KindLogin || e.Kind == event.KindLogout || e.Via != event.ViaWatch {
			t.Errorf("%q: %q gives %q: %q, %v", name, data, to, b, err)
		}
	})
}
