package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// inTheWay are the things that may stand in the place of a file, each aimed at
// another file where it can be.
func inTheWay(t *testing.T, victim string) map[string]func(path string) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]func(path string){
		"a FIFO":               func(p string) { must(syscall.Mkfifo(p, 0o600)) },
		"a link":               func(p string) { must(os.Symlink(victim, p)) },
		"a link that dangles":  func(p string) { must(os.Symlink(victim+"-new", p)) },
		"a link to a device":   func(p string) { must(os.Symlink("/dev/zero", p)) },
		"a link to a terminal": func(p string) { must(os.Symlink("/dev/tty", p)) },
		"a folder":             func(p string) { must(os.MkdirAll(filepath.Join(p, "full"), 0o700)) },
		"a socket": func(p string) {
			dir, err := os.MkdirTemp("", "s") // a socket's path must be short
			must(err)
			t.Cleanup(func() { os.RemoveAll(dir) })
			short := filepath.Join(dir, "s")
			l, err := net.Listen("unix", short)
			must(err)
			t.Cleanup(func() { l.Close() })
			must(os.Rename(short, p))
		},
	}
	if os.Geteuid() == 0 {
		all["a device"] = func(p string) {
			if err := syscall.Mknod(p, syscall.S_IFCHR|0o600, 1<<8|5); err != nil { // /dev/zero
				must(os.Symlink("/dev/zero", p)) // in a container that may make none
			}
		}
		all["another user's file"] = func(p string) {
			must(os.WriteFile(p, []byte(`{"N":9}`), 0o666))
			must(os.Chown(p, 65534, 65534))
		}
	}
	return all
}

// Whatever stands in the place of a state file is neither followed nor waited
// for, and is moved aside, so that the next one can begin.
func TestWhatStandsInTheWay(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte(`{"N":7}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, put := range inTheWay(t, victim) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "counter.json")
			put(path)
			if name != "another user's file" {
				put(path + ".lock")
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				if got := Read[counter](path); got.N != 0 {
					t.Errorf("read as %d", got.N)
				}
				for what, err := range map[string]error{
					"update":  Update(path, func(c *counter) error { c.N++; return nil }),
					"write":   Write(path, counter{N: 1}),
					"replace": Replace(path, []byte("x")),
					"check":   Check(path),
				} {
					if !errors.Is(err, ErrForeign) {
						t.Errorf("%s gives %v", what, err)
					}
				}
				for _, flags := range []int{os.O_RDONLY, os.O_WRONLY | os.O_APPEND | os.O_CREATE, os.O_RDWR} {
					if f, err := Open(path, flags); !errors.Is(err, ErrForeign) {
						t.Errorf("open with %#x gives %v, %v", flags, f, err)
					}
				}
				if _, err := ReadFile(path, 100); !errors.Is(err, ErrForeign) {
					t.Errorf("read gives %v", err)
				}
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Fatal("it is waited for")
			}
			if _, err := os.Stat(victim + "-new"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a link was followed to make a file: %v", err)
			}
			if b, err := os.ReadFile(victim); err != nil || string(b) != `{"N":7}` {
				t.Errorf("what a link leads to holds %s, %v", b, err)
			}
			want := 2
			if name == "another user's file" {
				want = 1
			}
			if moved, err := Tidy(dir); err != nil || len(moved) != want {
				t.Errorf("moved aside: %q, %v", moved, err)
			}
			if err := Update(path, func(c *counter) error { c.N++; return nil }); err != nil || Read[counter](path).N != 1 {
				t.Errorf("it can't begin anew: %v, %+v", err, Read[counter](path))
			}
			if moved, err := Tidy(dir); err != nil || len(moved) != 0 {
				t.Errorf("the second time, moved aside: %q, %v", moved, err)
			}
		})
	}
}

// A folder that somebody else can write in is not used, nor is another user's.
func TestFolderOfOthers(t *testing.T) {
	for _, mode := range []fs.FileMode{0o777, 0o770, 0o702, 0o777 | fs.ModeSticky} {
		t.Run(mode.String(), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "counter.json")
			if err := Write(path, counter{N: 1}); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
			if got := Read[counter](path); got.N != 0 {
				t.Errorf("read as %d", got.N)
			}
			if err := Write(path, counter{N: 2}); !errors.Is(err, ErrExposed) {
				t.Errorf("write gives %v", err)
			}
			if _, err := Tidy(dir); !errors.Is(err, ErrExposed) {
				t.Errorf("tidy gives %v", err)
			}
		})
	}
	if os.Geteuid() != 0 {
		return
	}
	// Root reads what another user wrote, and nothing of its own by a second name
	// that this user gave it.
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret.json")
	path := filepath.Join(dir, "counter.json")
	for _, p := range []string{secret, path} {
		if err := os.WriteFile(p, []byte(`{"N":3}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{path, dir} {
		if err := os.Chown(p, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(secret, filepath.Join(dir, "linked.json")); err != nil {
		t.Fatal(err)
	}
	if got := Read[counter](path); got.N != 3 {
		t.Errorf("root reads another's document as %d", got.N)
	}
	if got := Read[counter](filepath.Join(dir, "linked.json")); got.N != 0 {
		t.Errorf("root reads its own file by another's name: %d", got.N)
	}
	d, err := OwnFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.IsOurs() {
		t.Error("another user's folder is root's own")
	}
}

// What an administrator or another program has in a state folder stays.
func TestTidyLeavesOtherNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"backup", "notes.txt", "web.sock"} {
		if err := os.Symlink("/etc/hostname", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "cache/x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "cache/x/198.51.100.1.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "history.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	moved, err := Tidy(dir)
	if err != nil || len(moved) != 1 || filepath.Dir(moved[0]) != filepath.Join(dir, "cache/x") {
		t.Errorf("moved aside: %q, %v", moved, err)
	}
	if moved, err := Tidy(filepath.Join(dir, "missing")); err != nil || moved != nil {
		t.Errorf("no folder: %q, %v", moved, err)
	}
}

func TestLockWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "x.lock")
	unlock, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Lock(soon, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lock that is held gives %v", err)
	}
	unlock()
	if unlock, err = Lock(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func ExampleUpdate() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "quota.json")
	for range 3 {
		if err := Update(path, func(n *int) error { *n++; return nil }); err != nil {
			panic(err)
		}
	}
	fmt.Println(Read[int](path))
	// Output: 3
}
