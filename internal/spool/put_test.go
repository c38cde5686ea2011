package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sshnotify/sshnotify/internal/event"
)

func TestPutPublishesWhole(t *testing.T) {
	for _, tt := range []struct {
		situation string
		host      bool
		umask     int
		fault     func(op, path string) error
		wantMode  fs.FileMode
	}{
		{situation: "a user's spool", umask: 0o022, wantMode: 0o600},
		{situation: "a host's spool", host: true, umask: 0o022, wantMode: 0o640},
		{situation: "a umask that forbids everything", umask: 0o777, wantMode: 0o600},
		{situation: "a host's spool and such a umask", host: true, umask: 0o777, wantMode: 0o640},
		{situation: "a file system without hard links", fault: failing(syscall.EPERM, "link"), wantMode: 0o600},
		{situation: "a FUSE without hard links", fault: failing(syscall.ENOSYS, "link"), wantMode: 0o600},
		{situation: "folders that can't be synced", fault: failing(syscall.EINVAL, "syncdir"), wantMode: 0o600},
		{situation: "folders that can't be made under another name", fault: failing(syscall.EINVAL, "renamenew"), wantMode: 0o600},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			dir := t.TempDir()
			o := Options{Dir: filepath.Join(dir, "made", "by", "put")}
			if tt.host {
				o = hostOptions(t, dir)
			}
			s := Open(o)
			s.fault = tt.fault
			name := newEvent()
			old := syscall.Umask(tt.umask)
			where, err := s.Put(name, content(name))
			syscall.Umask(old)
			if err != nil || where != o.Dir {
				t.Fatalf("Put = %q, %v", where, err)
			}
			path := filepath.Join(o.Dir, newName, name)
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got, content(name)) {
				t.Errorf("published %d bytes of %d, error %v", len(got), len(content(name)), err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != tt.wantMode {
				t.Errorf("mode %v, want %v", info.Mode(), tt.wantMode)
			}
			if left := files(t, o.Dir, tmpName); len(left) > 0 {
				t.Errorf("left in tmp/: %q", left)
			}
			if left := files(t, o.Dir); !cmp.Equal(left, []string{newName, tmpName}) {
				t.Errorf("folders: %q", left)
			}
		})
	}
}

func failing(err error, ops ...string) func(op, path string) error {
	return func(op, path string) error {
		for _, o := range ops {
			if o == op {
				return err
			}
		}
		return nil
	}
}

func TestPutNeverReplaces(t *testing.T) {
	for _, tt := range []struct {
		situation string
		fault     func(op, path string) error
	}{
		{"link(2)", nil},
		{"no hard links", failing(syscall.EPERM, "link")},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			s := Open(Options{Dir: fastDir(t)})
			s.fault = tt.fault
			name := newEvent()
			for _, data := range []string{"first", "second"} {
				if _, err := s.Put(name, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			if got, _ := os.ReadFile(filepath.Join(s.o.Dir, newName, name)); string(got) != "first" {
				t.Errorf("waiting: %q, want the first", got)
			}
			if left := files(t, s.o.Dir, tmpName); len(left) > 0 {
				t.Errorf("left in tmp/: %q", left)
			}
		})
	}
}

// A name in new/ that no worker can take is not "waiting already".
func TestPutOntoSomethingPlanted(t *testing.T) {
	victim := filepath.Join(fastDir(t), "victim")
	for situation, plant := range map[string]func(path string) error{
		"a folder":      func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":        func(path string) error { return os.Symlink(victim, path) },
		"a FIFO":        func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a broken link": func(path string) error { return os.Symlink("/nonexistent", path) },
	} {
		t.Run(situation, func(t *testing.T) {
			put(t, victim, []byte("kept"))
			s := Open(hostOptions(t, fastDir(t)))
			mustPut(t, s, newEvent())
			name := newEvent()
			if err := plant(filepath.Join(s.o.Dir, newName, name)); err != nil {
				t.Fatal(err)
			}
			if where, err := s.Put(name, content(name)); err != nil || where != s.o.Overflow {
				t.Errorf("Put = %q, %v; want it in the overflow", where, err)
			}
			if b, _ := os.ReadFile(victim); string(b) != "kept" {
				t.Errorf("the link's target is now %q", b)
			}
		})
	}
}

func TestPutRefuses(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	for _, name := range []string{"", ".", "..", ".hidden", "a/b", "../x.json", "a\x00b", "a\nb", "ä", strings.Repeat("a", 81)} {
		_, err := s.Put(name, nil)
		wantErrs(t, fmt.Sprintf("%q", name), err, syscall.EINVAL)
	}
	_, err := s.Put(newEvent(), make([]byte, event.MaxSize+1))
	wantErrs(t, "too large", err, syscall.EFBIG)
	if _, err := s.Put(newEvent(), make([]byte, event.MaxSize)); err != nil {
		t.Errorf("just not too large: %v", err)
	}
}

// Whatever system call fails, once: the host's hook finds a place for the event.
func TestPutFindsAPlaceWhateverFails(t *testing.T) {
	dir := fastDir(t)
	for n := 0; ; n++ {
		base := filepath.Join(dir, fmt.Sprint(n))
		if err := os.Mkdir(base, 0o700); err != nil {
			t.Fatal(err)
		}
		f := &faultAt{n: n}
		s := Open(hostOptions(t, base))
		s.fault = f.fault
		name := newEvent()
		where, err := s.Put(name, content(name))
		if !f.ran() {
			if n < 15 {
				t.Errorf("only %d system calls", n)
			}
			return
		}
		if err != nil {
			t.Errorf("call %d, %s: %v", n, f.op, err)
		}
		if got, err := os.ReadFile(filepath.Join(where, newName, name)); err != nil || !bytes.Equal(got, content(name)) {
			t.Errorf("call %d, %s: %d bytes in %s, error %v", n, f.op, len(got), where, err)
		}
		for _, root := range []string{s.o.Dir, s.o.Overflow} {
			if left := files(t, root, tmpName); len(left) > 0 && f.op != "unlink" {
				t.Errorf("call %d, %s: left in %s/tmp: %q", n, f.op, root, left)
			}
		}
	}
}

// A hook that is killed between any two system calls leaves nothing torn, and
// nothing that stops the next one.
func TestPutKilledAtEachStep(t *testing.T) {
	dir := fastDir(t)
	for n := 0; ; n++ {
		f := &faultAt{n: n, dead: true}
		s := Open(Options{Dir: filepath.Join(dir, fmt.Sprint(n))})
		s.fault = f.fault
		name := newEvent()
		_, err := s.Put(name, content(name))
		if !f.ran() {
			return
		}
		if got, readErr := os.ReadFile(filepath.Join(s.o.Dir, newName, name)); readErr == nil && !bytes.Equal(got, content(name)) ||
			readErr != nil && err == nil {
			t.Errorf("after call %d, %s: Put gave %v, and %d bytes are published", n, f.op, err, len(got))
		}
		s.fault = nil
		if _, err := s.Put(name, content(name)); err != nil {
			t.Errorf("after call %d, %s: the next Put: %v", n, f.op, err)
		}
	}
}

func TestHostSpoolIsMissing(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	if err := os.Remove(o.Dir); err != nil {
		t.Fatal(err)
	}
	name := newEvent()
	where, err := Open(o).Put(name, content(name))
	if err != nil || where != o.Overflow {
		t.Errorf("with an overflow: Put = %q, %v", where, err)
	}
	if _, err := os.Stat(o.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the spool folder was made")
	}
	o.Overflow = ""
	_, err = Open(o).Put(name, content(name))
	wantErrs(t, "without", err, ErrMissing, fs.ErrNotExist)

	o.Overflow = filepath.Join(filepath.Dir(o.Dir), "no", "run")
	_, err = Open(o).Put(name, content(name))
	wantErrs(t, "with an overflow that can't be made", err, ErrMissing)
	if n := len(strings.Split(err.Error(), "\n")); n != 2 {
		t.Errorf("%d errors, want both places': %v", n, err)
	}
	_, err = Open(o).Lock(t.Context(), false)
	wantErrs(t, "Lock", err, ErrMissing)
	_, err = Open(o).Waiting()
	wantErrs(t, "Waiting", err, ErrMissing)
}

func TestHostSpoolIsNoFolder(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	os.Remove(o.Dir)
	put(t, o.Dir, nil)
	if where, err := Open(o).Put(newEvent(), nil); err != nil || where != o.Overflow {
		t.Errorf("Put = %q, %v; want it in the overflow", where, err)
	}
}

func TestFull(t *testing.T) {
	const big = 1000
	for _, tt := range []struct {
		situation string
		limit     limits
		prepare   func(t *testing.T, s *Spool)
		want      int // events of 1,000 bytes that fit
	}{
		{"by count", limits{7, 1 << 20}, nil, 7},
		{"by bytes", limits{50, 5*big + 1}, nil, 5},
		{"by what the worker has", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			q := mustLock(t, s)
			mustPut(t, s, newEvent(), newEvent(), newEvent())
			mustClaim(t, q)
		}, 4},
		{"by the bytes that the worker has", limits{50, 10 * big}, func(t *testing.T, s *Spool) {
			q := mustLock(t, s)
			if err := q.Write(newEvent(), make([]byte, 5*big)); err != nil {
				t.Fatal(err)
			}
			q.Unlock()
		}, 5},
		{"by foreign files", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			put(t, filepath.Join(s.o.Dir, newName, "foreign"), nil)
		}, 6},
		{"a summary that is none", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			put(t, filepath.Join(s.o.Dir, curName, summaryName), []byte("99999999999 full of myself\n"))
		}, 7},
		{"a summary that is a FIFO", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			put(t, filepath.Join(s.o.Dir, curName, "x"), nil)
			if err := syscall.Mkfifo(filepath.Join(s.o.Dir, curName, summaryName), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 7},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			s := Open(hostOptions(t, fastDir(t)))
			s.limit, s.over = tt.limit, limits{3, 1 << 20}
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			got := map[string]int{}
			var last error
			for range 60 {
				where, err := s.Put(newEvent(), make([]byte, big))
				if err != nil {
					last = err
					break
				}
				got[where]++
			}
			if want := map[string]int{s.o.Dir: tt.want, s.o.Overflow: 3}; !cmp.Equal(got, want) {
				t.Errorf("took %v, want %v", got, want)
			}
			wantErrs(t, "both full", last, ErrFull)
			if !strings.Contains(last.Error(), s.o.Dir) || !strings.Contains(last.Error(), s.o.Overflow) {
				t.Errorf("error %v, want both folders named", last)
			}
			if err := os.RemoveAll(filepath.Join(s.o.Dir, newName)); err != nil {
				t.Fatal(err)
			}
			if where, err := s.Put(newEvent(), make([]byte, big)); err != nil || where != s.o.Dir {
				t.Errorf("with new/ emptied: Put = %q, %v", where, err)
			}
		})
	}
}

// Counting 100,000 names takes a login a tenth of a second: it is done seldom.
func TestCountingIsSeldom(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	fillNew(t, s, 2000, 10)
	reads := 0
	s.fault = func(op, path string) error {
		if op == "readdir" && strings.HasSuffix(path, newName) {
			reads++
		}
		return nil
	}
	for range 300 {
		mustPut(t, s, newEvent())
	}
	// A count is 6 reads; the room is 98,000 events, so that a count is due every
	// 980, and three or more in 300 come once in 2,000 runs.
	if reads < 5 || reads > 6*6 {
		t.Errorf("%d reads of the folder in 300 publications", reads)
	}
}

// While the spool is full, a login does not count either.
func TestFullIsRemembered(t *testing.T) {
	s := Open(hostOptions(t, fastDir(t)))
	s.limit.count = 5
	fillNew(t, s, 5, 10)
	dir := filepath.Join(s.o.Dir, newName)
	past := time.Now().Add(-time.Minute)
	if err := os.Chtimes(dir, past, past); err != nil {
		t.Fatal(err)
	}
	reads := 0
	s.fault = func(op, path string) error {
		if op == "readdir" && path == dir {
			reads++
		}
		return nil
	}
	for range 10 {
		if where, err := s.Put(newEvent(), nil); err != nil || where != s.o.Overflow {
			t.Fatalf("Put = %q, %v", where, err)
		}
	}
	if reads == 0 || reads > 2 {
		t.Errorf("%d reads of the folder in 10 publications, want those of one count", reads)
	}
	unlinkNew(t, s, fmt.Sprintf("%026d.json", 0))
	if where, err := s.Put(newEvent(), nil); err != nil || where != s.o.Dir {
		t.Errorf("with room again: Put = %q, %v", where, err)
	}
}

func TestMeasure(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 100, 256, 257, 3000} {
		s := Open(Options{Dir: fastDir(t)})
		d, err := s.openDir()
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		ready, err := s.sub(d, newName)
		if err != nil {
			t.Fatal(err)
		}
		defer ready.close()
		var exact int64
		for i := range n {
			size := 300 + rnd.IntN(2)*30_000 // the widest that events can differ
			put(t, filepath.Join(ready.path, fmt.Sprint(i)), make([]byte, size))
			exact += int64(size)
		}
		sum, err := measure(ready, 1<<20)
		if err != nil || sum.count != n {
			t.Errorf("%d files: counted %d, error %v", n, sum.count, err)
		}
		if n <= sampleSize && sum.bytes != exact {
			t.Errorf("%d files: %d bytes, want %d", n, sum.bytes, exact)
		}
		if off := float64(sum.bytes-exact) / float64(exact+1); off < -0.2 || off > 0.2 {
			t.Errorf("%d files: estimated %d bytes of %d", n, sum.bytes, exact)
		}
		if sum, _ := measure(ready, 50); sum.count > 50 {
			t.Errorf("%d files: counted %d, want no more than 50", n, sum.count)
		}
	}
}

func TestSweep(t *testing.T) {
	now := time.Now()
	living := func(pid int) bool { return pid == 77 }
	for _, tt := range []struct {
		situation, name string
		age             time.Duration
		stays           bool
	}{
		{"its writer was killed two hours ago", "4711-00000000000000ff", 2 * time.Hour, false},
		{"its writer was killed a moment ago", "4711-00000000000000ff", time.Second, true},
		{"its writer lives and the clock jumped ahead", "77-00000000000000ff", 48 * time.Hour, true},
		{"the clock jumped back", "4711-00000000000000ff", -48 * time.Hour, true},
		{"an old file of somebody else's", "core", 2 * time.Hour, false},
		{"a new file of somebody else's", "core", 0, true},
		{"a process id that can't be", "99999999999999999999-ff", 2 * time.Hour, false},
		{"the count", countName, 48 * time.Hour, true},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			dir := fastDir(t)
			path := filepath.Join(dir, tt.name)
			put(t, path, nil)
			if err := os.Chtimes(path, now.Add(-tt.age), now.Add(-tt.age)); err != nil {
				t.Fatal(err)
			}
			d, err := openFolder(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			sweep(d, now, living)
			if _, err := os.Lstat(path); (err == nil) != tt.stays {
				t.Errorf("stays: %v, want %v", err == nil, tt.stays)
			}
		})
	}
}

func TestSweepLeavesWhatIsNoFile(t *testing.T) {
	dir := fastDir(t)
	target := filepath.Join(fastDir(t), "target")
	put(t, target, nil)
	link := filepath.Join(dir, "4711-ff")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	d, err := openFolder(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	sweep(d, time.Now().Add(1000*time.Hour), func(int) bool { return false })
	for _, path := range []string{link, target} {
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestLeftoversAreSweptSomeDay(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	path := filepath.Join(s.o.Dir, tmpName, fmt.Sprintf("%d-0123456789abcdef", unusedPID()))
	put(t, path, nil)
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(path, past, past); err != nil {
		t.Fatal(err)
	}
	for range 64 * 40 { // by chance it stays once in 10^17
		mustPut(t, s, "ABCDEFGHJKMNPQRSTVWXYZ0123.json")
		if _, err := os.Lstat(path); err != nil {
			return
		}
	}
	t.Error("never removed")
}

// unusedPID is above every pid_max of Linux, and fits.
func unusedPID() int { return 1<<31 - 2 }

func TestAlive(t *testing.T) {
	if !alive(os.Getpid()) || alive(unusedPID()) {
		t.Error("can't tell the living from the dead")
	}
	if pid, ok := writer(tempName()); !ok || pid != os.Getpid() {
		t.Errorf("the writer of a name made here is %d, %v", pid, ok)
	}
}

func TestWatchDirs(t *testing.T) {
	got := Open(Options{Dir: "/spool", Overflow: "/over"}).WatchDirs()
	if !cmp.Equal(got, []string{"/spool/new", "/over/new"}) {
		t.Errorf("got %q", got)
	}
}

func TestFindUser(t *testing.T) {
	const passwd = "root:x:0:0:root:/root:/bin/sh\nsshnotifyd:x:7:7::/:\n#sshnotify:x:9:9\nsshnotify:x:998:997::/var/lib/sshnotify:/usr/sbin/nologin\n"
	for _, tt := range []struct {
		situation, passwd string
		uid, gid          int
		ok                bool
	}{
		{"the user is there", passwd, 998, 997, true},
		{"no such user", "root:x:0:0:root:/root:/bin/sh\n", 0, 0, false},
		{"cut in half", "sshnotify:x:99", 0, 0, false},
		{"the last line has no end", "sshnotify:x:9:8", 9, 8, true},
		{"a negative id", "sshnotify:x:-1:8:\n", 0, 0, false},
		{"an id that chown would take for none", "sshnotify:x:4294967295:4294967295:\n", 0, 0, false},
		{"empty", "", 0, 0, false},
	} {
		uid, gid, ok := findUser([]byte(tt.passwd), "sshnotify")
		if uid != tt.uid || gid != tt.gid || ok != tt.ok {
			t.Errorf("%s: %d, %d, %v", tt.situation, uid, gid, ok)
		}
	}
	if _, _, ok := lookupUser("/nonexistent", "sshnotify"); ok {
		t.Error("found in no file")
	}
}
