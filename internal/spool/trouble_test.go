package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// passing are the errors that say nothing of the file.
var passing = []error{
	syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE, syscall.EACCES, syscall.ENXIO, syscall.EINTR, syscall.ETIMEDOUT,
}

func failOnce(op, base string, err error) func(op, path string) error {
	done := false
	return func(o, path string) error {
		if done || o != op || filepath.Base(path) != base {
			return nil
		}
		done = true
		return err
	}
}

func TestOneFailedReadIsTriedAgain(t *testing.T) {
	for _, op := range []string{"open", "read"} {
		for _, why := range passing {
			s := Open(Options{Dir: fastDir(t)})
			q := mustLock(t, s)
			name := newEvent()
			mustPut(t, s, name)
			mustClaim(t, q)
			q.cur.fault = failOnce(op, name, why)
			_, err := q.Read(name)
			var trouble *TroubleError
			if !errors.As(err, &trouble) || !errors.Is(err, why) {
				t.Errorf("%s, %v: %v is no trouble", op, why, err)
			}
			if b, err := q.Read(name); err != nil || string(b) != string(content(name)) {
				t.Errorf("%s, %v: the next read: %v", op, why, err)
			}
			if len(q.troubles) > 0 {
				t.Errorf("%s, %v: remembered after it passed: %v", op, why, q.troubles)
			}
		}
	}
}

// The day counts over workers, and ends in an error that names its cause.
func TestTroubleLastsADay(t *testing.T) {
	dir := fastDir(t)
	synctest.Test(t, func(t *testing.T) {
		s := Open(Options{Dir: dir})
		name := newEvent()
		put(t, filepath.Join(dir, curName, name), content(name))
		// The event is older than a day when its disk fails for the first time.
		old := time.Now().Add(-72 * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, curName, name), old, old); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for n := 0; ; n++ {
			q := mustLock(t, s)
			q.cur.fault = func(op, path string) error {
				if op == "read" && filepath.Base(path) == name {
					return syscall.EIO
				}
				return nil
			}
			_, err := q.Read(name)
			var trouble *TroubleError
			over := !errors.As(err, &trouble)
			if over && (!errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "since")) {
				t.Errorf("after %d tries: %v", n, err)
			}
			if err := q.Unlock(); err != nil {
				t.Fatal(err)
			}
			if over {
				if d := time.Since(start); d < troubleLimit || d > troubleLimit+2*time.Hour {
					t.Errorf("given up after %v", d)
				}
				return
			}
			if n > 60 {
				t.Fatal("it is never given up")
			}
			time.Sleep(time.Hour)
		}
	})
}

// A clock that jumps a year makes no dead letter.
func TestTroubleAndAClockThatJumps(t *testing.T) {
	dir := fastDir(t)
	synctest.Test(t, func(t *testing.T) {
		q := mustLock(t, Open(Options{Dir: dir}))
		var trouble *TroubleError
		for range 3 {
			if err := q.bear(InCur, "x", syscall.EIO); !errors.As(err, &trouble) {
				t.Errorf("%v", err)
			}
			time.Sleep(365 * 24 * time.Hour)
		}
	})
}

// A read in the inbox, and one of a file that is copied over file systems, are
// tried again as well: nothing is refused, and the next look claims it.
func TestFailedReadInTheInboxAndTheOverflow(t *testing.T) {
	for _, why := range passing {
		s, e := dropSpool(t), attack()
		over := newEvent()
		put(t, filepath.Join(s.o.Dir, dropName, newName, e.ID+".json"), encode(t, e))
		put(t, filepath.Join(s.o.Overflow, newName, over), content(over))
		q := mustLock(t, s)
		fail := map[string]func(op, path string) error{e.ID: failOnce("read", e.ID+".json", why), over: failOnce("read", over, why)}
		fault := func(op, path string) error {
			return errors.Join(fail[e.ID](op, path), fail[over](op, path), elsewhere(op, path))
		}
		s.fault, q.dir.fault, q.cur.fault = fault, fault, fault
		names, _, err := q.Claim(0)
		wantErrs(t, "Claim", err, why)
		if failed := files(t, s.o.Dir, failedName); len(names)+len(failed)+len(q.Foreign()) > 0 {
			t.Errorf("%v: claimed %q, refused %q", why, names, failed)
		}
		if names := mustClaim(t, q); len(names) != 2 {
			t.Errorf("%v: the next look claims %q", why, names)
		}
	}
}

// Whether a name is free must be known before it is written to.
func TestClaimReplacesNothingThatItCantSee(t *testing.T) {
	s, e := dropSpool(t), attack()
	put(t, filepath.Join(s.o.Dir, dropName, newName, e.ID+".json"), encode(t, e))
	q := mustLock(t, s)
	to := droppedID(e.ID) + ".json"
	if err := q.Write(to, []byte("how far it is")); err != nil {
		t.Fatal(err)
	}
	q.cur.fault = failOnce("lstat", to, syscall.EIO)
	if _, _, err := q.Claim(0); !errors.Is(err, syscall.EIO) {
		t.Errorf("Claim: %v", err)
	}
	if b, err := q.Read(to); err != nil || string(b) != "how far it is" {
		t.Errorf("cur/ holds %q, %v", b, err)
	}
}

// What is refused keeps its id, and why; a flood of it is bounded.
func TestRefusedFilesKeepTheirIDs(t *testing.T) {
	s := dropSpool(t)
	ready := filepath.Join(s.o.Dir, dropName, newName)
	for _, name := range []string{"a\nb\x1b[31m\u202e", "\xff\xfe", strings.Repeat("x", 255), event.NewID() + ".json", "-rf", "req-1.req"} {
		put(t, filepath.Join(ready, name), []byte("junk "+name))
		before, err := s.Waiting()
		if err != nil || len(before) != 1 {
			t.Fatalf("%q: %v, %v", name, before, err)
		}
		q := mustLock(t, s)
		mustClaim(t, q)
		after, err := s.Waiting()
		if err != nil || len(after) != 1 || after[0].Folder != InFailed || after[0].ID() != before[0].ID() || !event.ValidID(after[0].ID()) {
			t.Errorf("%q: %v is %v afterwards (%v)", name, before, after, err)
			continue
		}
		if why := s.Why(after[0]); why == "" {
			t.Errorf("%q: not said why", name)
		}
		for _, f := range q.Foreign() {
			if f.ID != after[0].ID() || f.Path != event.Clean(f.Path, 1000) {
				t.Errorf("%q: said %+v", name, f)
			}
		}
		if n, err := q.Discard(after[0].ID()); n != 1 || err != nil {
			t.Errorf("%q: Discard = %d, %v", name, n, err)
		}
		if left, err := os.ReadDir(filepath.Join(s.o.Dir, failedName)); err != nil || len(left) > 0 {
			t.Errorf("%q: left: %v, %v", name, left, err)
		}
		if err := q.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFloodOfJunkIsBounded(t *testing.T) {
	s := dropSpool(t)
	q := mustLock(t, s)
	q.kept = maxRefused - 1
	for i := range 3 {
		put(t, filepath.Join(s.o.Dir, dropName, newName, strings.Repeat("j", i+1)), nil)
	}
	mustClaim(t, q)
	removed := 0
	for _, f := range q.Foreign() {
		if f.Removed {
			removed++
		}
	}
	if kept := files(t, s.o.Dir, failedName); len(kept) != 1 || removed != 2 {
		t.Errorf("kept %q, removed %d", kept, removed)
	}
	if left := files(t, s.o.Dir, dropName, newName); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// Links, FIFOs and folders stay where they are, and can be dropped there.
func TestStrangeThingsCanBeDropped(t *testing.T) {
	s := dropSpool(t)
	ready := filepath.Join(s.o.Dir, dropName, newName)
	target := filepath.Join(s.o.Dir, "..", "target")
	put(t, target, []byte("secret"))
	if err := errors.Join(os.Symlink(target, filepath.Join(ready, newEvent())), syscall.Mkfifo(filepath.Join(ready, "fifo"), 0o600),
		os.Mkdir(filepath.Join(ready, "d\n"), 0o700)); err != nil {
		t.Fatal(err)
	}
	q := mustLock(t, s)
	mustClaim(t, q)
	strange, err := s.Strange()
	if err != nil || len(strange) != 3 {
		t.Fatalf("Strange = %v, %v", strange, err)
	}
	for _, f := range strange {
		if n, err := q.Discard(f.ID()); n != 1 || err != nil {
			t.Errorf("%s: %d, %v", f.Show(), n, err)
		}
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "secret" {
		t.Errorf("the link's target: %q, %v", b, err)
	}
}

// Whoever owns the inbox closes it: the rest is claimed, and no worker is kept
// from coming back for it.
func TestInboxThatIsClosed(t *testing.T) {
	s := dropSpool(t)
	q := mustLock(t, s)
	name := newEvent()
	mustPut(t, s, name)
	q.dir.fault = func(op, path string) error {
		if op == "open" && strings.HasSuffix(path, "/watch/new") {
			return syscall.EACCES
		}
		return nil
	}
	s.fault = q.dir.fault
	names, _, err := q.Claim(0)
	var drop *DropError
	if len(names) != 1 || !errors.As(err, &drop) {
		t.Errorf("claimed %q, %v", names, err)
	}
	if empty, err := q.NewIsEmpty(); !empty || err != nil {
		t.Errorf("NewIsEmpty = %v, %v", empty, err)
	}
}
