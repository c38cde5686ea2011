package source

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func FuzzDocument(f *testing.F) {
	whole, err := json.Marshal(document{V: 1, Position: position{Gen: 2, Cursor: testCursor, Files: []fileID{
		{Gen: 1, Ino: 7, Off: 2000, HeadLen: 1024, Head: digest(nil), TailLen: 64, Tail: digest(nil)}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"v":1}`))
	f.Add([]byte(`{"v":1,"position":{"gen":1,"files":[{"gen":1,"off":-1}]}}`))
	f.Add([]byte(`{"v":1,"position":{"gen":1,"files":[{"gen":1,"off":9,"head_len":1024}]}}`))
	f.Add([]byte(`{"v":1,"position":{"cursor":"--file=/etc/passwd x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := parseDocument(b)
		if err != nil {
			return
		}
		for _, p := range doc.Position.Files {
			// Whatever it says, to look whether a file is the one must be safe.
			p.holds(strings.NewReader("Nov 21 02:15:04 db1 sshd[812]: Failed password"))
			if p.Off < 0 || int64(p.TailLen) > p.Off || p.HeadLen > headSize {
				t.Errorf("%q gave %+v", b, p)
			}
		}
		if strings.ContainsAny(doc.Position.Cursor, " -/") {
			t.Errorf("%q gave the cursor %q", b, doc.Position.Cursor)
		}
		again, err := json.Marshal(doc)
		if err != nil {
			return // a time before the year 0
		}
		second, err := parseDocument(again)
		if diff := cmp.Diff(doc, second, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("%q is not read as it was written: %v %s", b, err, diff)
		}
	})
}

func TestDocumentPath(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"auth", "/var/log/auth.log", "/var/log/auth-log", "../../etc", "ä", "", strings.Repeat("x", 1000)} {
		path := documentPath("/state", name)
		if filepath.Dir(path) != "/state" || len(path) > 100 {
			t.Errorf("%q is kept in %s", name, path)
		}
		if other, ok := seen[path]; ok {
			t.Errorf("%q and %q are kept in %s", name, other, path)
		}
		seen[path] = name
	}
}

func TestRotatedNames(t *testing.T) {
	for _, row := range []struct {
		base, name string
		want       bool
	}{
		{"auth.log", "auth.log.1", true},
		{"auth.log", "auth.log.12.gz", true},
		{"auth.log", "auth.log-20261121", true},
		{"auth.log", "auth.log-20261121-02.gz", true},
		{"auth.log", "auth.log.2026-11-21T02:15:04", true},
		{"auth.log", "auth.log.0", true},
		{"auth.log", "auth-20261121.log", true},
		{"auth.log", "auth.1.log.gz", true},
		{"secure", "secure-20261121", true},
		{"auth.log", "auth.log", false},
		{"auth.log", "auth.log.gz", false},
		{"auth.log", "auth.log.bak", false},
		{"auth.log", "auth.log.1.xz", false},
		{"auth.log", "auth.log.1~", false},
		{"auth.log", "kauth.log.1", false},
		{"auth.log", "auth2.log", false},
		{"vsftpd", "vsftpd.log", false},
		{".log", ".log.1", true},
	} {
		if got := turnedFrom(row.base, row.name); got != row.want {
			t.Errorf("%s of %s: %v", row.name, row.base, got)
		}
	}
}

func TestKeepingFails(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.open()
	b.write(b.path, "line 1\n")
	batch := b.read(t.Context())
	f := b.src.(*file)
	good := f.keep.path
	f.keep.path = filepath.Join(b.path, "no folder")
	if b.src.Commit(batch) == nil {
		t.Error("a position that was not written was no error")
	}
	f.keep.path = good
	if err := b.src.Commit(batch); err != nil {
		t.Error(err)
	}
	b.crash()
	b.open()
	b.write(b.path, "line 2\n")
	b.take(1)
	b.want(numbers(1, 2)...)
}

// TestPositionIsNotWrittenAtEveryBatch: each one is an fsync.
func TestPositionIsNotWrittenAtEveryBatch(t *testing.T) {
	b := newBench(t)
	b.opt.save = time.Hour
	b.write(b.path, "")
	b.open()
	for i := range 3 {
		b.write(b.path, numbered(i+1, i+1))
		b.take(1) // the first is on disk at once
	}
	b.crash()
	b.open()
	if batch := b.read(t.Context()); batch.Lines[0].Text != "line 2" {
		t.Errorf("read again from %q", batch.Lines[0].Text)
	}
	b.want(numbers(1, 3)...)
	if st, err := ReadStatus(b.opt.StateDir, b.path); err != nil || st.Lines != 1 {
		t.Errorf("%+v, %v was written", st, err)
	}
}
