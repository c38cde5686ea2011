package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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
		"a broken link": func(path string) error { return os.Symlink("/proc/nonexistent", path) },
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

// The error names the folder that was to be made, and not what it is called until
// it is whole.
func TestUserSpoolThatCannotBeMade(t *testing.T) {
	dir := fastDir(t)
	s := Open(Options{Dir: filepath.Join(dir, "no", "spool")})
	s.fault = failing(syscall.EACCES, "mkdir")
	_, err := s.Put(newEvent(), nil)
	wantErrs(t, "Put", err, ErrMissing, fs.ErrPermission)
	if want := s.o.Dir + ": the spool folder is missing: mkdir " + filepath.Join(dir, "no") + ": permission denied"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestHostSpoolIsNoFolder(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	os.Remove(o.Dir)
	put(t, o.Dir, nil)
	if where, err := Open(o).Put(newEvent(), nil); err != nil || where != o.Overflow {
		t.Errorf("Put = %q, %v; want it in the overflow", where, err)
	}
}

func TestWatchDirs(t *testing.T) {
	got := Open(Options{Dir: "/spool", Overflow: "/over"}).WatchDirs()
	if !cmp.Equal(got, []string{"/spool/new", "/over/new"}) {
		t.Errorf("got %q", got)
	}
}
