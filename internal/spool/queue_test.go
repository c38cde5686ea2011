package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// elsewhere makes the overflow another file system, as it is on a host.
func elsewhere(op, path string) error {
	if op == "renamenew" && strings.Contains(path, "/run/") {
		return syscall.EXDEV
	}
	return nil
}

func TestClaim(t *testing.T) {
	one, two, request := newEvent(), newEvent(), "req-2026-retry.req"
	for _, tt := range []struct {
		situation     string
		new, over     []string
		cur           []string
		fault         func(op, path string) error
		want          []string
		wantLeftInNew []string
	}{
		{situation: "nothing waits"},
		{situation: "events and a request", new: []string{one, two, request}, want: []string{one, two, request}},
		{situation: "a duplicate of what is in cur/", new: []string{one, two}, cur: []string{one}, want: []string{two}},
		{situation: "one in the overflow", new: []string{one}, over: []string{two}, fault: elsewhere, want: []string{one, two}},
		{situation: "the overflow on the same file system", new: []string{one}, over: []string{two}, want: []string{one, two}},
		{situation: "the same in both", new: []string{one}, over: []string{one}, fault: elsewhere, want: []string{one}},
		{situation: "a duplicate in the overflow", over: []string{one}, cur: []string{one}, fault: elsewhere},
		{situation: "a system without renameat2", new: []string{one, two}, cur: []string{two}, fault: failing(syscall.ENOSYS, "renamenew"), want: []string{one}},
		{situation: "a file system without its flag", new: []string{one, two}, cur: []string{two}, fault: failing(syscall.EINVAL, "renamenew"), want: []string{one}},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			o := hostOptions(t, fastDir(t))
			s := Open(o)
			q := mustLock(t, s)
			for dir, names := range map[string][]string{filepath.Join(o.Dir, newName): tt.new, filepath.Join(o.Overflow, newName): tt.over} {
				for _, name := range names {
					put(t, filepath.Join(dir, name), content(name))
				}
			}
			for _, name := range tt.cur {
				if err := q.Write(name, []byte("tried once")); err != nil {
					t.Fatal(err)
				}
			}
			s.fault = tt.fault
			q.Unlock()
			q = mustLock(t, s)
			got := mustClaim(t, q)
			slices.Sort(tt.want)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("claimed (-want +got):\n%s", diff)
			}
			for _, name := range got {
				if b, err := q.Read(name); err != nil || !bytes.Equal(b, content(name)) {
					t.Errorf("%s: %d bytes, error %v", name, len(b), err)
				}
			}
			for _, name := range tt.cur {
				if b, err := q.Read(name); err != nil || string(b) != "tried once" {
					t.Errorf("what was in cur/ is now %q, error %v", b, err)
				}
			}
			for _, dir := range s.WatchDirs() {
				if left := files(t, dir); len(left) > 0 {
					t.Errorf("left in %s: %q", dir, left)
				}
			}
			if empty, err := q.NewIsEmpty(); !empty || err != nil {
				t.Errorf("NewIsEmpty = %v, %v", empty, err)
			}
			all := append(slices.Clone(tt.want), tt.cur...)
			slices.Sort(all)
			if list, err := q.List(); err != nil || !cmp.Equal(list, all, cmpopts.EquateEmpty()) {
				t.Errorf("List = %q, %v; want %q", list, err, all)
			}
			if f := q.Foreign(); len(f) > 0 {
				t.Errorf("foreign: %v", f)
			}
		})
	}
}

func TestClaimLimit(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	s := Open(o)
	var all []string
	for i := range 7 {
		name := newEvent()
		all = append(all, name)
		put(t, filepath.Join([]string{o.Dir, o.Overflow}[i%2], newName, name), nil)
	}
	q := mustLock(t, s)
	var got []string
	for _, want := range []struct {
		n    int
		more bool
	}{{3, true}, {3, true}, {1, false}, {0, false}} {
		names, more, err := q.Claim(3)
		if err != nil || len(names) != want.n || more != want.more {
			t.Errorf("Claim = %d names, more %v, error %v; want %+v", len(names), more, err, want)
		}
		if empty, _ := q.NewIsEmpty(); empty == more {
			t.Errorf("NewIsEmpty = %v, more = %v", empty, more)
		}
		got = append(got, names...)
	}
	slices.Sort(all)
	slices.Sort(got)
	if !cmp.Equal(got, all) {
		t.Errorf("claimed %q, want %q", got, all)
	}
}

func TestClaimLeavesForeignThings(t *testing.T) {
	dir := fastDir(t)
	s := Open(Options{Dir: dir})
	target := filepath.Join(fastDir(t), "target")
	put(t, target, []byte("secret"))
	name := newEvent()
	mustPut(t, s, name)
	ready := filepath.Join(dir, newName)
	link, folder, fifo, socket := newEvent(), newEvent(), newEvent(), newEvent()
	for _, err := range []error{
		os.Symlink(target, filepath.Join(ready, link)),
		os.Mkdir(filepath.Join(ready, folder), 0o700),
		syscall.Mkfifo(filepath.Join(ready, fifo), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(ready) // a socket's path is at most 107 bytes
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	put(t, filepath.Join(ready, "core\x1b[31m\n"), []byte("kept"))
	put(t, filepath.Join(ready, ".nfs0001"), nil)

	q := mustLock(t, s)
	if got := mustClaim(t, q); !cmp.Equal(got, []string{name}) {
		t.Errorf("claimed %q", got)
	}
	got := map[string]fs.FileMode{}
	for _, f := range q.Foreign() {
		got[filepath.Base(f.Path)] = f.Type
		if f.Moved != "" {
			if b, err := q.ReadFailed(f.Moved); err != nil || string(b) != "kept" {
				t.Errorf("%s: %q, %v", f.Moved, b, err)
			}
			wantErrs(t, "retry of a foreign file", q.Retry(f.Moved), ErrForeign)
			if err := q.Drop(f.Moved); err != nil {
				t.Error(err)
			}
		}
	}
	want := map[string]fs.FileMode{link: fs.ModeSymlink, folder: fs.ModeDir, fifo: fs.ModeNamedPipe, socket: fs.ModeSocket, `core\u001b[31m\u000a`: 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("foreign (-want +got):\n%s", diff)
	}
	if left := files(t, ready); len(left) != 4 {
		t.Errorf("left: %q", left)
	}
	if empty, err := q.NewIsEmpty(); !empty || err != nil {
		t.Errorf("what can't be claimed counts: NewIsEmpty = %v, %v", empty, err)
	}
	mustClaim(t, q)
	if again := q.Foreign(); len(again) > 0 {
		t.Errorf("told twice: %v", again)
	}
	if b, _ := os.ReadFile(target); string(b) != "secret" {
		t.Errorf("the link's target is now %q", b)
	}
}

func TestReadNeverBlocksNorFollows(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	q := mustLock(t, s)
	path := filepath.Join(s.o.Dir, curName, "x.json")
	for situation, plant := range map[string]func() error{
		"a link":          func() error { return os.Symlink("/etc/passwd", path) },
		"a FIFO":          func() error { return syscall.Mkfifo(path, 0o600) },
		"a folder":        func() error { return os.Mkdir(path, 0o700) },
		"a file too long": func() error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, MaxRead+1)) },
	} {
		t.Run(situation, func(t *testing.T) {
			defer os.Remove(path)
			if err := plant(); err != nil {
				t.Fatal(err)
			}
			_, err := q.Read("x.json")
			wantErrs(t, "Read", err, ErrForeign)
		})
	}
	_, err := q.Read("gone.json")
	wantErrs(t, "gone", err, fs.ErrNotExist)
	_, err = q.Read("../../etc/passwd")
	wantErrs(t, "a path", err, syscall.EINVAL)
}

func TestDeadLetters(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	q := mustLock(t, s)
	asIs, changed := newEvent(), newEvent()
	mustPut(t, s, asIs, changed)
	mustClaim(t, q)
	if err := errors.Join(q.Fail(asIs, nil), q.Fail(changed, []byte("why"))); err != nil {
		t.Fatal(err)
	}
	if list, err := q.List(); err != nil || len(list) != 0 {
		t.Errorf("List = %q, %v", list, err)
	}
	want := []string{asIs, changed}
	slices.Sort(want)
	if got, err := q.Failed(); err != nil || !cmp.Equal(got, want) {
		t.Errorf("Failed = %q, %v", got, err)
	}
	if b, err := q.ReadFailed(asIs); err != nil || !bytes.Equal(b, content(asIs)) {
		t.Errorf("as it was: %q, %v", b, err)
	}
	if b, err := q.ReadFailed(changed); err != nil || string(b) != "why" {
		t.Errorf("with new content: %q, %v", b, err)
	}

	if err := q.Retry(changed); err != nil {
		t.Fatal(err)
	}
	if b, err := q.Read(changed); err != nil || string(b) != "why" {
		t.Errorf("back in cur/: %q, %v", b, err)
	}
	wantErrs(t, "Retry twice", q.Retry(changed), fs.ErrNotExist)

	// The same event came once more while its dead letter lay there.
	if err := q.Write(asIs, []byte("newer")); err != nil {
		t.Fatal(err)
	}
	if err := q.Retry(asIs); err != nil {
		t.Fatal(err)
	}
	if b, err := q.Read(asIs); err != nil || string(b) != "newer" {
		t.Errorf("what was in cur/ is now %q, %v", b, err)
	}
	if got, err := q.Failed(); err != nil || len(got) != 0 {
		t.Errorf("Failed = %q, %v", got, err)
	}

	if err := q.Fail(asIs, nil); err != nil {
		t.Fatal(err)
	}
	if err := q.Write(asIs, []byte("failed again")); err != nil {
		t.Fatal(err)
	}
	if err := q.Fail(asIs, nil); err != nil {
		t.Errorf("a second dead letter of the same name: %v", err)
	}
	if b, err := q.ReadFailed(asIs); err != nil || string(b) != "failed again" {
		t.Errorf("the dead letter is %q, %v", b, err)
	}
	if err := q.Drop(asIs); err != nil {
		t.Error(err)
	}
	wantErrs(t, "Drop twice", q.Drop(asIs), fs.ErrNotExist)
	wantErrs(t, "Fail of nothing", q.Fail(asIs, nil), fs.ErrNotExist)
	if err := q.Remove(changed); err != nil {
		t.Error(err)
	}
	if err := q.Remove(changed); err != nil {
		t.Errorf("Remove twice: %v", err)
	}
	if q.count != 0 {
		t.Errorf("an empty cur/ is counted as %d", q.count)
	}
}

// What a dead worker had claimed is the next one's; what it had half written is
// nobody's.
func TestTakeOver(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	name := newEvent()
	put(t, filepath.Join(s.o.Dir, curName, name), content(name))
	put(t, filepath.Join(s.o.Dir, curName, tempPrefix+tempName()), []byte("half"))
	q := mustLock(t, s)
	if got, err := q.List(); err != nil || !cmp.Equal(got, []string{name}) {
		t.Errorf("List = %q, %v", got, err)
	}
	if q.count != 1 {
		t.Errorf("counted %d", q.count)
	}
	entries, _ := os.ReadDir(filepath.Join(s.o.Dir, curName))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			t.Errorf("left: %s", e.Name())
		}
	}
}

func TestCountFollows(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	q := mustLock(t, s)
	fillNew(t, s, 600, 100)
	names := mustClaim(t, q)
	if q.count != 600 {
		t.Errorf("counted %d", q.count)
	}
	for _, name := range names[:500] {
		if err := q.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if q.count != 100 {
		t.Errorf("counted %d", q.count)
	}
	for _, name := range names[500:] {
		os.Remove(filepath.Join(s.o.Dir, curName, name)) // by somebody else
	}
	if _, err := q.List(); err != nil || q.count != 0 {
		t.Errorf("counted %d, %v", q.count, err)
	}
}

// A worker that is killed at any system call, or whose disk fails there, loses
// nothing: the event is whole in one of the folders, and the next worker goes
// on.
func TestWorkerFailsAtEachStep(t *testing.T) {
	name := "0123456789ABCDEFGHJKMNPQRS.json"
	before, after := string(content(name)), "changed"
	ops := map[string]struct {
		prepare func(q *Queue) error
		run     func(q *Queue) error
		over    bool
	}{
		"Claim":              {run: func(q *Queue) error { _, _, err := q.Claim(0); return err }},
		"Claim of overflow":  {run: func(q *Queue) error { _, _, err := q.Claim(0); return err }, over: true},
		"Write":              {prepare: claimAll, run: func(q *Queue) error { return q.Write(name, []byte(after)) }},
		"Fail as it is":      {prepare: claimAll, run: func(q *Queue) error { return q.Fail(name, nil) }},
		"Fail with a reason": {prepare: claimAll, run: func(q *Queue) error { return q.Fail(name, []byte(after)) }},
		"Retry": {
			prepare: func(q *Queue) error { return errors.Join(claimAll(q), q.Fail(name, nil)) },
			run:     func(q *Queue) error { return q.Retry(name) },
		},
	}
	for op, tt := range ops {
		for _, dead := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, killed %v", op, dead), func(t *testing.T) {
				dir := fastDir(t)
				for n := 0; ; n++ {
					base := filepath.Join(dir, fmt.Sprint(n))
					if err := os.Mkdir(base, 0o700); err != nil {
						t.Fatal(err)
					}
					s := Open(hostOptions(t, base))
					q := mustLock(t, s)
					put(t, filepath.Join(map[bool]string{false: s.o.Dir, true: s.o.Overflow}[tt.over], newName, name), []byte(before))
					if tt.prepare != nil {
						if err := tt.prepare(q); err != nil {
							t.Fatal(err)
						}
					}
					f := &faultAt{n: n, dead: dead}
					fault := func(op, path string) error { return errors.Join(f.fault(op, path), elsewhere(op, path)) }
					s.fault, q.dir.fault, q.cur.fault = fault, fault, fault
					err := tt.run(q)
					if !f.ran() {
						if err != nil {
							t.Errorf("without a fault: %v", err)
						}
						return
					}
					q.Unlock()
					s.fault = elsewhere
					q = mustLock(t, s)
					mustClaim(t, q)
					list, _ := q.List()
					failed, _ := q.Failed()
					if len(list)+len(failed) == 0 {
						t.Errorf("call %d, %s: lost (error was %v)", n, f.op, err)
					}
					for _, b := range [][]byte{first(q.Read(name)), first(q.ReadFailed(name))} {
						if b != nil && string(b) != before && string(b) != after {
							t.Errorf("call %d, %s: torn: %d bytes", n, f.op, len(b))
						}
					}
					if err == nil && (op == "Write" || op == "Retry") && len(list) != 1 {
						t.Errorf("call %d, %s: no error, and cur/ has %q", n, f.op, list)
					}
					q.Unlock()
				}
			})
		}
	}
}

func claimAll(q *Queue) error {
	_, _, err := q.Claim(0)
	return err
}

func first(b []byte, _ error) []byte { return b }

// An original that can't be removed is not claimed: it would be told for ever.
func TestOverflowThatCantBeEmptied(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	s := Open(o)
	q := mustLock(t, s)
	name := newEvent()
	put(t, filepath.Join(o.Overflow, newName, name), content(name))
	s.fault = func(op, path string) error {
		if op == "unlink" && strings.Contains(path, "/run/") {
			return syscall.EROFS
		}
		return elsewhere(op, path)
	}
	names, _, err := q.Claim(0)
	wantErrs(t, "Claim", err, syscall.EROFS)
	if list, _ := q.List(); len(names) > 0 || len(list) > 0 {
		t.Errorf("claimed %q, cur/ has %q", names, list)
	}
	if empty, err := q.NewIsEmpty(); empty || err != nil {
		t.Errorf("NewIsEmpty = %v, %v", empty, err)
	}
}

// One file that can't be claimed does not keep the others waiting.
func TestClaimGoesOnAfterAnError(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	q := mustLock(t, s)
	bad, good := newEvent(), newEvent()
	mustPut(t, s, bad, good)
	q.dir.fault = func(op, path string) error {
		if op == "renamenew" && filepath.Base(path) == bad {
			return syscall.EACCES
		}
		return nil
	}
	names, _, err := q.Claim(0)
	wantErrs(t, "Claim", err, fs.ErrPermission)
	if !cmp.Equal(names, []string{good}) {
		t.Errorf("claimed %q", names)
	}
}

func TestWriteRefuses(t *testing.T) {
	q := mustLock(t, Open(Options{Dir: fastDir(t)}))
	wantErrs(t, "too large", q.Write("x.json", make([]byte, MaxRead+1)), syscall.EFBIG)
	for _, name := range []string{"", ".lock", ".summary", "../x", "a/b"} {
		for what, err := range map[string]error{
			"Write": q.Write(name, nil), "Remove": q.Remove(name), "Fail": q.Fail(name, nil), "Retry": q.Retry(name), "Drop": q.Drop(name),
		} {
			wantErrs(t, fmt.Sprintf("%s of %q", what, name), err, syscall.EINVAL)
		}
	}
}

func TestClaimRequestsLeavesEvents(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	event, request := newEvent(), RequestName("7")
	mustPut(t, s, event)
	mustPut(t, s, request)
	q := mustLock(t, s)
	names, err := q.ClaimRequests()
	if err != nil || !cmp.Equal(names, []string{request}) {
		t.Errorf("ClaimRequests = %q, %v; want the request", names, err)
	}
	if got := mustClaim(t, q); !cmp.Equal(got, []string{event}) {
		t.Errorf("then Claim = %q, want the event", got)
	}
}
