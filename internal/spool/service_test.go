package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The service's user and group in these tests; nobody has to exist for a
// process to be them.
const serviceID = 63_123

// hostTree makes a host's spool as install does, and returns its options as the
// hook sees them.
func hostTree(t *testing.T) Options {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give folders to the service")
	}
	base := fastDir(t)
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	o := hostOptions(t, base)
	passwd := fmt.Sprintf("root:x:0:0::/root:/bin/sh\nsshnotify:x:%d:%d::/:/bin/false\n", serviceID, serviceID)
	if err := os.WriteFile(o.Passwd, []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(o.Dir, 0, serviceID); err != nil {
		t.Fatal(err)
	}
	return o
}

// look returns owner, group and mode of all that is in a folder, but for the
// names of events.
func look(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		rel, _ := filepath.Rel(dir, path)
		if strings.HasSuffix(rel, ".json") {
			rel = filepath.Dir(rel) + "/ID.json"
		}
		got[rel] = fmt.Sprintf("%d:%d %v", st.Uid, st.Gid, info.Mode())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestHookMakesWhatIsMissing(t *testing.T) {
	o := hostTree(t)
	s := Open(o)
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	mustPut(t, s, newEvent())
	if uid, gid, err := s.Owner(); uid != serviceID || gid != serviceID || err != nil {
		t.Errorf("Owner = %d, %d, %v", uid, gid, err)
	}
	want := map[string]string{
		".":           "0:63123 drwxr-x---",
		"tmp":         "0:63123 dgrwx--x---",
		"new":         "0:63123 dgrwxrwx---",
		"new/ID.json": "0:63123 -rw-r-----",
		"cur":         "63123:63123 drwx------",
		"failed":      "63123:63123 drwx------",
	}
	if diff := cmp.Diff(want, look(t, o.Dir)); diff != "" {
		t.Errorf("the spool (-want +got):\n%s", diff)
	}

	s.limit.count = 1
	mustPut(t, s, newEvent())
	wantOver := map[string]string{
		".":           "0:63123 drwxr-x---",
		"tmp":         "0:63123 dgrwx--x---",
		"new":         "0:63123 dgrwxrwx---",
		"new/ID.json": "0:63123 -rw-r-----",
	}
	if diff := cmp.Diff(wantOver, look(t, o.Overflow)); diff != "" {
		t.Errorf("the overflow (-want +got):\n%s", diff)
	}
}

// Before the spool is mounted: the service must be able to read the overflow
// afterwards.
func TestOverflowWithoutASpool(t *testing.T) {
	for _, tt := range []struct {
		situation, passwd, want string
	}{
		{"with a service", "", "0:63123 drwxr-x---"},
		{"without one", "root:x:0:0::/root:/bin/sh\n", "0:0 drwx------"},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			o := hostTree(t)
			os.Remove(o.Dir)
			if tt.passwd != "" {
				put(t, o.Passwd, []byte(tt.passwd))
			}
			mustPut(t, Open(o), newEvent())
			if got := look(t, o.Overflow)["."]; got != tt.want {
				t.Errorf("the overflow is %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSpoolOfARootOnlyHost(t *testing.T) {
	o := hostTree(t)
	if err := os.Chown(o.Dir, 0, 0); err != nil {
		t.Fatal(err)
	}
	s := Open(o)
	if uid, gid, err := s.Owner(); uid != 0 || gid != 0 || err != nil {
		t.Errorf("Owner = %d, %d, %v", uid, gid, err)
	}
	mustLock(t, s)
}

// A file system that ignores the setgid bit must not lock the service out.
func TestGroupWithoutSetgid(t *testing.T) {
	o := hostTree(t)
	s := Open(o)
	mustPut(t, s, newEvent())
	if err := os.Chmod(filepath.Join(o.Dir, tmpName), 0o710); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(o.Dir, tmpName), 0, 0); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(o.Dir, newName, files(t, o.Dir, newName)[0]))
	mustPut(t, s, newEvent())
	if got := look(t, o.Dir)["new/ID.json"]; got != "0:63123 -rw-r-----" {
		t.Errorf("the event is %s", got)
	}
}

// The service, as itself: it claims what root published, and can write nowhere
// that root writes.
func TestServiceWorksTheHostsSpool(t *testing.T) {
	o := hostTree(t)
	s := Open(o)
	names := []string{newEvent(), newEvent(), newEvent()}
	mustPut(t, s, names[:2]...)
	s.limit.count = 2
	mustPut(t, s, names[2])
	if _, err := s.Lock(t.Context(), false); !errors.Is(err, ErrNotOwner) {
		t.Errorf("root locked the service's queue: %v", err)
	}
	if s.Busy() {
		t.Error("busy")
	}
	out, err := helper(t.Context(), "service", filepath.Dir(o.Dir)).Output()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	if got := strings.Fields(string(out)); !cmp.Equal(got, names) {
		t.Errorf("the service claimed %q, want %q", got, names)
	}
	got := look(t, o.Dir)
	if got["cur/ID.json"] != "63123:63123 -rw-------" || got["cur/.lock"] != "63123:63123 -rw-------" {
		t.Errorf("after the service: %v", got)
	}
}

// beService is a process of the service, on the host's spool below base. It
// leaves one event in cur/, rewritten.
func beService(base string) error {
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(serviceID), syscall.Setuid(serviceID)); err != nil {
		return err
	}
	o := Options{Dir: filepath.Join(base, "spool"), Overflow: filepath.Join(base, "run"), UID: os.Geteuid(), Host: true}
	s := Open(o)
	for _, dir := range []string{o.Dir, filepath.Join(o.Dir, tmpName), o.Overflow, filepath.Join(o.Overflow, tmpName)} {
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "planted")); !errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("planting a link in %s: %v", dir, err)
		}
	}
	if files, err := s.Waiting(); err != nil || len(files) != 3 {
		return fmt.Errorf("Waiting = %v, %v", files, err)
	}
	q, err := s.Lock(context.Background(), false)
	if err != nil {
		return err
	}
	if !s.Busy() {
		return errors.New("not busy")
	}
	names, _, err := q.Claim(0)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for i, name := range names {
		b, err := q.Read(name)
		if err != nil || string(b) != string(content(name)) {
			return fmt.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
		// Root's file becomes the service's own.
		if err := errors.Join(q.Fail(name, nil), q.Retry(name), q.Write(name, b)); err != nil {
			return err
		}
		if i > 0 {
			if err := errors.Join(q.Fail(name, b), q.Drop(name)); err != nil {
				return err
			}
		}
		fmt.Println(name)
	}
	if err := q.Unlock(); err != nil {
		return err
	}
	if empty, err := q.NewIsEmpty(); !empty || err != nil {
		return fmt.Errorf("NewIsEmpty = %v, %v", empty, err)
	}
	if foreign := q.Foreign(); len(foreign) > 0 {
		return fmt.Errorf("foreign: %v", foreign)
	}
	return nil
}
