package order

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sshnotify/sshnotify/internal/event"
)

func newFolder(t *testing.T) Folder {
	t.Helper()
	f := In(t.TempDir())
	if f.Exists() {
		t.Error("it is there before anybody makes it")
	}
	for _, name := range Dirs() {
		if err := os.MkdirAll(f.dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if !f.Exists() {
		t.Error("it is not there")
	}
	return f
}

// Whatever lies in the folder of orders is taken out of it, and nothing else is read,
// waited for, or removed.
func TestWhatLiesInTheFolder(t *testing.T) {
	f := newFolder(t)
	victim := filepath.Join(t.TempDir(), "victim")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(victim, 0o700))
	secret := filepath.Join(victim, "secret")
	must(os.WriteFile(secret, []byte("secret"), 0o600))
	in := func(name string) string { return filepath.Join(f.dir(newDir), name) }
	for name, put := range map[string]func(path string) error{
		"link.json":        func(p string) error { return os.Symlink(secret, p) },
		"second name.json": func(p string) error { return os.Link(secret, p) },
		"to a folder":      func(p string) error { return os.Symlink(victim, p) },
		"dangling":         func(p string) error { return os.Symlink(victim+"-new", p) },
		"to a device":      func(p string) error { return os.Symlink("/dev/zero", p) },
		"fifo.json":        func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"folder.json":      func(p string) error { return os.MkdirAll(filepath.Join(p, "in", "it"), 0o700) },
		"huge.json":        func(p string) error { return os.WriteFile(p, make([]byte, MaxSize+1), 0o600) },
		"-rf":              func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) },
		"with a link": func(p string) error {
			return errors.Join(os.Mkdir(p, 0o700), os.Symlink(victim, filepath.Join(p, "l")))
		},
	} {
		must(put(in(name)))
	}
	nonce := NewNonce()
	must(f.Put(nonce, []byte("order")))
	seen := map[string]Found{}
	for more := true; more; {
		found, again, err := f.Take()
		must(err)
		for _, x := range found {
			seen[x.Name] = x
		}
		more = again || len(found) > 0
	}
	if len(seen) != 11 {
		t.Errorf("taken: %v", seen)
	}
	for name, x := range seen {
		switch good := name == nonce+suffix || name == "-rf"; {
		case good && x.Err != nil:
			t.Errorf("%s: %v", name, x.Err)
		case !good && x.Err == nil:
			t.Errorf("%s is read: %q", name, x.Data)
		case bytes.Contains(x.Data, []byte("secret")):
			t.Errorf("%s leads elsewhere", name)
		}
	}
	if left, _ := os.ReadDir(f.dir(newDir)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("what a link led to is %q, %v", b, err)
	}
}

// A folder does not grow, whoever does not take what is in it.
func TestFoldersAreBounded(t *testing.T) {
	f := newFolder(t)
	var err error
	for range maxWaiting {
		if err = f.Put(NewNonce(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err = f.Put(NewNonce(), nil); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
	for range 2 * maxWaiting {
		if err := errors.Join(f.LeaveEvidence(NewNonce(), []byte("x")), f.PutReceipt(NewNonce(), nil)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{evidenceDir, receiptDir} {
		if all, err := os.ReadDir(f.dir(name)); err != nil || len(all) != maxWaiting {
			t.Errorf("%s has %d, %v", name, len(all), err)
		}
	}
	if left, _ := os.ReadDir(f.dir(tmpDir)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Whoever else writes in the folders can't keep root busy who is about to end something:
// root empties no folder of theirs, and looks at no more than a few names.
func TestNobodyKeepsRootBusy(t *testing.T) {
	f := newFolder(t)
	nonce := NewNonce()
	deep := filepath.Join(f.dir(receiptDir), nonce+suffix)
	if err := os.MkdirAll(filepath.Join(deep, "in", "it"), 0o700); err != nil {
		t.Fatal(err)
	}
	if r := f.Receipt(nonce); r != nil {
		t.Errorf("a folder is a receipt: %q", r)
	}
	if _, err := os.Stat(filepath.Join(deep, "in", "it")); err != nil {
		t.Errorf("somebody's folder is emptied: %v", err)
	}
	for _, name := range []string{evidenceDir, receiptDir} {
		for range maxListed + 1 {
			if err := os.WriteFile(filepath.Join(f.dir(name), NewNonce()), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for what, err := range map[string]error{"evidence": f.LeaveEvidence(nonce, nil), "a receipt": f.PutReceipt(nonce, nil)} {
		if !errors.Is(err, ErrFull) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestEvidenceOnItsWay(t *testing.T) {
	f := newFolder(t)
	nonce, id := NewNonce(), event.NewID()
	for _, name := range []string{nonce, id} {
		if err := f.LeaveEvidence(name, []byte("evidence of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	// What somebody put in the place of a copy, or of a receipt, leads nowhere.
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("as it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(f.dir(evidenceDir), id+suffix)
	if err := errors.Join(os.Remove(at), os.Symlink(victim, at), os.Symlink(victim, filepath.Join(f.dir(receiptDir), nonce+suffix))); err != nil {
		t.Fatal(err)
	}
	if err := f.LeaveEvidence(id, []byte("evidence of "+id)); err != nil {
		t.Fatal(err)
	}
	if r := f.Receipt(nonce); r != nil {
		t.Errorf("a link is a receipt: %q", r)
	}
	if b, _ := os.ReadFile(victim); string(b) != "as it was" {
		t.Errorf("what a link led to is %q", b)
	}
	names, err := f.Evidence()
	if err != nil || len(names) != 2 {
		t.Fatalf("%q, %v", names, err)
	}
	for _, name := range names {
		if b, err := f.ReadEvidence(name, 100); err != nil || string(b) != "evidence of "+name {
			t.Errorf("%q, %v", b, err)
		}
		if _, err := f.ReadEvidence(name, 3); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("too large: %v", err)
		}
		if err := errors.Join(f.PutReceipt(name, []byte("receipt")), f.RemoveEvidence(name)); err != nil {
			t.Fatal(err)
		}
		if r := f.Receipt(name); string(r) != "receipt" {
			t.Errorf("receipt: %q", r)
		}
		if r := f.Receipt(name); r != nil {
			t.Errorf("the same again: %q", r)
		}
	}
}
