package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
)

// fillNew makes n waiting files without the cost of publishing them.
func fillNew(tb testing.TB, s *Spool, n, size int) {
	tb.Helper()
	data := make([]byte, size)
	for i := range n {
		put(tb, filepath.Join(s.o.Dir, newName, fmt.Sprintf("%026d.json", i)), data)
	}
}

// put writes a file past the spool, as a stranger would.
func put(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func unlinkNew(tb testing.TB, s *Spool, name string) {
	tb.Helper()
	if err := os.Remove(filepath.Join(s.o.Dir, newName, name)); err != nil {
		tb.Fatal(err)
	}
}

// fastDir returns an empty folder, in memory where that can be had: for tests of
// what runs at the same time, not of what the disk does.
func fastDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "spool-test-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// content is what the event of a name holds; it can be told from half of it.
func content(name string) []byte {
	return bytes.Repeat([]byte(name+"\n"), 100)
}

func newEvent() string { return event.NewID() + ".json" }

// files returns the names in a folder, without its dot files.
func files(tb testing.TB, dirs ...string) []string {
	tb.Helper()
	var names []string
	entries, err := os.ReadDir(filepath.Join(dirs...))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

func mustPut(tb testing.TB, s *Spool, names ...string) {
	tb.Helper()
	for _, name := range names {
		if _, err := s.Put(name, content(name)); err != nil {
			tb.Fatal(err)
		}
	}
}

func mustLock(tb testing.TB, s *Spool) *Queue {
	tb.Helper()
	q, err := s.Lock(tb.Context(), false)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { q.Unlock() })
	return q
}

func mustClaim(tb testing.TB, q *Queue) []string {
	tb.Helper()
	names, more, err := q.Claim(0)
	if err != nil || more {
		tb.Fatalf("Claim: more = %v, error %v", more, err)
	}
	slices.Sort(names)
	return names
}

// hostOptions give a host's spool in dir/spool, with an overflow in dir/run.
func hostOptions(tb testing.TB, dir string) Options {
	tb.Helper()
	o := Options{
		Dir:      filepath.Join(dir, "spool"),
		Overflow: filepath.Join(dir, "run"),
		UID:      os.Geteuid(),
		Host:     true,
		Passwd:   filepath.Join(dir, "passwd"),
	}
	if err := os.Mkdir(o.Dir, 0o750); err != nil {
		tb.Fatal(err)
	}
	return o
}

// wantErrs checks that an error is each of the given ones.
func wantErrs(tb testing.TB, what string, err error, want ...error) {
	tb.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			tb.Errorf("%s: got error %v, want %v", what, err, w)
		}
	}
}

// faultAt makes the nth system call (from 0) fail with EIO: that one only, or
// with dead all that follow as well, as if the process had been killed. It
// tells by ran whether there was an nth, and by op what it was.
type faultAt struct {
	n, count int
	dead     bool
	op       string
}

func (f *faultAt) fault(op, path string) error {
	f.count++
	if f.count-1 == f.n {
		f.op = op
	}
	if f.count-1 == f.n || f.dead && f.count > f.n {
		return syscall.EIO
	}
	return nil
}

func (f *faultAt) ran() bool { return f.count > f.n }
