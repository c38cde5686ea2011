package source

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

func TestBeginning(t *testing.T) {
	for _, row := range []struct {
		name   string
		before string
		start  bool
		after  string
		want   []string
	}{
		{"at the end", "old\n", false, "new\n", []string{"new"}},
		{"at the start", "old\n", true, "new\n", []string{"old", "new"}},
		{"at the start of a line that is not complete", "old\nhalf", false, " and half\n", []string{"half and half"}},
		{"with the only line not complete", "half", false, " and half\n", []string{"half and half"}},
		{"in an empty file", "", false, "new\n", []string{"new"}},
		{"behind a line that is too long to be begun again", "x" + strings.Repeat("y", line.MaxText), false, "z\nnew\n", []string{"z", "new"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.opt.FromStart = row.start
			b.write(b.path, row.before)
			b.open()
			b.write(b.path, row.after)
			b.take(len(row.want))
			b.want(row.want...)
		})
	}
}

func TestFileThatIsNotThereYet(t *testing.T) {
	b := newBench(t)
	if err := os.Remove(filepath.Dir(b.path)); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.until("it to be missed", func(f *file) bool { return f.keep.status().Err != "" })
	if st := b.src.Status(); st.There {
		t.Errorf("%+v is there", st)
	}
	b.mkdir(filepath.Dir(b.path))
	b.write(b.path, "line 1\n")
	b.take(1)
	b.want("line 1")
	if st := b.src.Status(); !st.There || !st.Readable || st.Err != "" {
		t.Errorf("%+v is not there", st)
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<16)
	for _, row := range []struct {
		name   string
		writes []string
		want   []string
	}{
		{"in pieces", []string{"on", "e\ntw", "o\n"}, []string{"one", "two"}},
		{"with carriage returns", []string{"one\r\ntwo\r", "\nthree\r\r\n"}, []string{"one", "two", "three\r"}},
		{"empty ones", []string{"\n\r\n\none\n"}, []string{"", "", "", "one"}},
		{"of any bytes", []string{"a\x00b\xff\n"}, []string{"a\x00b\xff"}},
		{"a megabyte long", []string{long + "\nnext\n"}, []string{long[:line.MaxText], "next"}},
		{"a megabyte long, in pieces", []string{long[:100], long[100:200_000], long[200_000:], "\nnext\n"}, []string{long[:line.MaxText], "next"}},
		{"as long as can be", []string{long[:line.MaxText] + "\r\n" + long[:line.MaxText], "\r\n"}, []string{long[:line.MaxText], long[:line.MaxText]}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.write(b.path, "")
			b.open()
			f := b.src.(*file)
			for i, w := range row.writes {
				b.write(b.path, w)
				if i < len(row.writes)-1 && !strings.Contains(w, "\n") {
					size := f.files[0].size()
					b.until("the piece to be read", func(f *file) bool { return f.files[0].split.next == size })
				}
			}
			b.take(len(row.want))
			b.want(row.want...)
			if n := cap(f.files[0].split.part); n > 2*maxPart {
				t.Errorf("%d bytes are kept of a line", n)
			}
		})
	}
}

func TestCutLineIsMarked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", line.MaxText+1)+"\nshort\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenFile(Options{Path: path, Name: "auth", Once: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []line.Line{{Source: "auth", Text: strings.Repeat("x", line.MaxText), Cut: true}, {Source: "auth", Text: "short"}}
	if diff := cmp.Diff(want, b.Lines); diff != "" {
		t.Error(diff)
	}
}

// TestLineWithoutAnEnd is given when its file was rotated away.
func TestLineWithoutAnEnd(t *testing.T) {
	for _, row := range []struct {
		name string
		turn func(b *bench)
	}{
		{"by a new file", func(b *bench) {
			b.rename(b.path, b.path+".1")
			b.write(b.path, "")
			b.write(b.path, "next\n")
		}},
		{"by a new file while it is away", func(b *bench) {
			b.stop()
			b.rename(b.path, b.path+".1")
			b.write(b.path, "next\n")
			b.open()
		}},
		{"by truncation with a copy", func(b *bench) {
			b.copytruncate(b.path + ".1")
			b.write(b.path, "next\n")
		}},
		{"by truncation", func(b *bench) {
			if err := os.Truncate(b.path, 0); err != nil {
				b.t.Fatal(err)
			}
			b.until("the truncation to be seen", func(f *file) bool { return len(f.files) > 0 && f.gen == 2 || f.given == 2 })
			b.write(b.path, "next\n")
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.write(b.path, "")
			b.open()
			b.write(b.path, "line 1\nhalf")
			b.take(1)
			b.until("the half to be read", func(f *file) bool { return f.files[0].split.next == 11 })
			if strings.HasPrefix(row.name, "by truncation") && !strings.Contains(row.name, "copy") {
				if err := os.Truncate(b.path, 0); err != nil {
					t.Fatal(err)
				}
				b.take(1)
				b.write(b.path, "next\n")
				b.take(1)
			} else {
				row.turn(b)
				b.take(2)
			}
			want := map[string]bool{"line 1": true, "half": true, "next": true}
			for _, l := range b.got {
				if !want[l] {
					t.Errorf("got %q", b.got)
				}
				delete(want, l)
			}
			if len(want) > 0 {
				t.Errorf("%v is missing in %q", want, b.got)
			}
		})
	}
}

// TestDeletedForGood: the last line of a file that nothing follows.
func TestDeletedForGood(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.open()
	b.write(b.path, "line 1\nhalf")
	b.take(1)
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	b.take(1)
	b.want("line 1", "half")
	b.until("the absence to be told", func(f *file) bool { return !f.keep.status().There })
	if st := b.src.Status(); st.Err == "" {
		t.Errorf("%+v says nothing", st)
	}
}

func TestPositionNeverBeyondTheCommit(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.open()
	b.write(b.path, numbered(1, 3))
	b.take(3)
	b.write(b.path, numbered(4, 6))
	first := b.read(t.Context())
	b.stop()
	b.open()
	second := b.read(t.Context())
	if diff := cmp.Diff(first.Lines, second.Lines); diff != "" {
		t.Errorf("what was not committed is not read again: %s", diff)
	}
	for i := range first.Lines {
		if first.Key(i) != second.Key(i) {
			t.Errorf("line %d has the keys %s and %s", i, first.Key(i), second.Key(i))
		}
	}
	b.want(numbers(1, 6)...)
}

func TestReplay(t *testing.T) {
	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "log"), filepath.Join(dir, "log.1.gz")
	text := numbered(1, 10_000) + "and a half"
	if err := os.WriteFile(plain, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(f)
	io.WriteString(w, text)
	w.Close()
	f.Close()
	want := append(numbers(1, 10_000), "and a half")
	var first []string
	for range 2 {
		for _, open := range []func() (Source, error){
			func() (Source, error) { return OpenFile(Options{Name: "x", Path: plain, Once: true}) },
			func() (Source, error) { return OpenFile(Options{Name: "x", Path: packed, Once: true}) },
			func() (Source, error) { return OpenReader(strings.NewReader(text), Options{Name: "x"}) },
		} {
			s, err := open()
			if err != nil {
				t.Fatal(err)
			}
			got, keys := all(t, s)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
			if first == nil {
				first = keys
			}
			if len(keys) != len(first) || s.Status().Kind == kindFile && keys[0] != first[0] {
				t.Error("a replay has other keys than the first")
			}
			if st := s.Status(); st.Lines != int64(len(want)) {
				t.Errorf("%d lines counted of %d", st.Lines, len(want))
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestReplayThatBreaks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := gzip.NewWriter(f)
	io.WriteString(w, numbered(1, 100_000))
	w.Close()
	f.Close()
	if err := os.Truncate(path, 20_000); err != nil {
		t.Fatal(err)
	}
	s, err := OpenFile(Options{Path: path, Once: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		_, err := s.Read(t.Context())
		if err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("a broken file ended with %v", err)
			}
			return
		}
	}
}

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", dir, pipe, "/dev/null"} {
		if _, err := OpenFile(Options{Path: path}); err == nil {
			t.Errorf("%q was opened as a file", path)
		}
	}
	if _, err := OpenFile(Options{Path: filepath.Join(dir, "none"), Once: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a replay of nothing gave %v", err)
	}
}

func TestCloseEndsRead(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.opt.poll = time.Hour
	b.open()
	ended := make(chan error)
	go func() {
		_, err := b.src.Read(context.Background())
		ended <- err
	}()
	b.stop()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("Read ended with %v", err)
	}
	b.stop() // twice is as once
}

func TestStatusForAnother(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.open()
	if _, err := ReadStatus(b.opt.StateDir, "no such"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a source that never ran gave %v", err)
	}
	b.write(b.path, "line 1\n")
	b.take(1)
	b.stop()
	b.write(b.path, "line 2\n")
	st, err := ReadStatus(b.opt.StateDir, b.path)
	if err != nil {
		t.Fatal(err)
	}
	if !st.There || !st.Readable || st.Lines != 1 || st.Bytes != 7 || st.Offset != 7 || st.Behind != 7 || st.LastLine.IsZero() {
		t.Errorf("%+v", st)
	}
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	if st, err := ReadStatus(b.opt.StateDir, b.path); err != nil || st.There || st.Readable {
		t.Errorf("%+v, %v of a file that is gone", st, err)
	}
}

func TestDamagedPosition(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "line 1\n")
	b.mkdir(b.opt.StateDir)
	if err := os.WriteFile(documentPath(b.opt.StateDir, b.path), []byte(`{"v":1,"posi`), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open()
	b.write(b.path, "line 2\n")
	b.take(1)
	b.want("line 2")
	if !strings.Contains(b.said.String(), "is damaged") {
		t.Errorf("a lost position was not said: %q", b.said)
	}
}

// TestMoreThanABatch: many empty lines in one chunk.
func TestMoreThanABatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(strings.Repeat("\n", 3*chunk+5)+"end"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenFile(Options{Path: path, Once: true})
	if err != nil {
		t.Fatal(err)
	}
	texts, keys := all(t, s)
	seen := map[string]bool{}
	for _, k := range keys {
		seen[k] = true
	}
	if len(texts) != 3*chunk+6 || len(seen) != len(texts) || texts[len(texts)-1] != "end" {
		t.Errorf("%d lines with %d keys", len(texts), len(seen))
	}
}

// A usual log may be missing, and its folder, too: nobody is told, and what is made
// later is read from its start.
func TestUsualIsMadeLater(t *testing.T) {
	b := newBench(t)
	if err := os.RemoveAll(filepath.Dir(b.path)); err != nil {
		t.Fatal(err)
	}
	b.opt.Usual = true
	b.open()
	b.until("it is missed", func(f *file) bool { return f.keep.status().Err != "" })
	if said := b.said.String(); strings.Contains(said, "WARN") {
		t.Errorf("said %s", said)
	}
	b.mkdir(filepath.Dir(b.path))
	b.write(b.path, numbered(1, 3))
	b.take(3)
	b.want(numbers(1, 3)...)
	if st := b.src.Status(); !st.There || !st.Readable || st.Err != "" {
		t.Errorf("%+v", st)
	}
	b.stop()
}

// A file that is read once has two buffers: a parser has still what it found in the
// last line of the batch before.
func TestTextsOutliveOneRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var log strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&log, "line %d\n", i)
	}
	if err := os.WriteFile(path, []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := OpenFile(Options{Path: path, Once: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var before string
	for n := 0; ; {
		b, err := s.Read(t.Context())
		if before != "" && before != fmt.Sprintf("line %d", n-1) {
			t.Errorf("line %d reads %q", n-1, before)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n += len(b.Lines)
		before = b.Lines[len(b.Lines)-1].Text
	}
}
