package source

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func (b *bench) gzip(from, to string) {
	b.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		b.t.Fatal(err)
	}
	f, err := os.Create(to)
	if err != nil {
		b.t.Fatal(err)
	}
	w := gzip.NewWriter(f)
	if _, err := w.Write(text); err != nil {
		b.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
	f.Close()
	if err := os.Remove(from); err != nil {
		b.t.Fatal(err)
	}
}

// TestRotation: two lines are read, then comes the turn, while the reader
// reads, while it is away, and around a crash.
func TestRotation(t *testing.T) {
	for _, row := range []struct {
		name string
		turn func(b *bench)
		last int // the number of the last line
		away bool
	}{
		{name: "nothing happens", last: 3, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
		}},
		{name: "renamed and made anew", last: 3, turn: func(b *bench) {
			b.rename(b.path, b.path+".1")
			b.write(b.path, "line 3\n")
		}},
		{name: "written to after it was renamed", last: 3, turn: func(b *bench) {
			b.rename(b.path, b.path+".1")
			b.write(b.path, "")
			b.write(b.path+".1", "line 3\n")
		}},
		{name: "renamed with a date while lines were unread", last: 4, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			b.rename(b.path, b.path+"-20261121")
			b.write(b.path, "line 4\n")
		}},
		{name: "renamed, and nothing in its place", last: 3, turn: func(b *bench) {
			b.rename(b.path, b.path+".1")
			b.write(b.path+".1", "line 3\n")
		}},
		{name: "the date before the extension", last: 4, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			b.rename(b.path, strings.TrimSuffix(b.path, ".log")+"-20261121.log")
			b.write(b.path, "line 4\n")
		}},
		{name: "rotated twice", last: 6, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			b.rename(b.path, b.path+".2")
			b.write(b.path, "line 4\nline 5\n")
			b.rename(b.path, b.path+".1")
			b.write(b.path, "line 6\n")
		}},
		{name: "copied and truncated", last: 4, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			b.copytruncate(b.path + ".1")
			b.write(b.path, "line 4\n")
		}},
		{name: "copied and truncated, and longer than before", last: 30, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			b.copytruncate(b.path + ".1")
			b.write(b.path, numbered(4, 30))
		}},
		{name: "copied and truncated twice", last: 30, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			b.copytruncate(b.path + ".2")
			b.write(b.path, "line 4\n")
			b.copytruncate(b.path + ".1")
			b.write(b.path, numbered(5, 30))
		}},
		{name: "truncated under a writer that does not append", last: 4, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			info, err := os.Stat(b.path)
			if err != nil {
				b.t.Fatal(err)
			}
			b.copytruncate(b.path + ".1")
			f, err := os.OpenFile(b.path, os.O_WRONLY, 0)
			if err != nil {
				b.t.Fatal(err)
			}
			f.WriteAt([]byte("line 4\n"), info.Size())
			f.Close()
		}},
		{name: "compressed at once", last: 4, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			b.copytruncate(b.path + ".1")
			b.gzip(b.path+".1", b.path+".1.gz")
			b.write(b.path, "line 4\n")
		}},
		{name: "rotated twice and compressed", last: 5, away: true, turn: func(b *bench) {
			b.write(b.path, "line 3\n")
			b.rename(b.path, b.path+".2")
			b.gzip(b.path+".2", b.path+".2.gz")
			b.write(b.path, "line 4\n")
			b.rename(b.path, b.path+".1")
			b.gzip(b.path+".1", b.path+".1.gz")
			b.write(b.path, "line 5\n")
		}},
		{name: "written anew by an editor", last: 3, turn: func(b *bench) {
			text, _ := os.ReadFile(b.path)
			b.write(b.path+"~", string(text)+"line 3\n")
			b.rename(b.path+"~", b.path)
		}},
		{name: "a symbolic link in its place", last: 4, turn: func(b *bench) {
			b.rename(b.path, filepath.Join(filepath.Dir(b.path), "one"))
			b.write(filepath.Join(filepath.Dir(b.path), "one"), "line 3\n")
			b.write(filepath.Join(filepath.Dir(b.path), "two"), "line 4\n")
			link(b, filepath.Join(filepath.Dir(b.path), "two"), b.path)
		}},
	} {
		modes := map[string]func(b *bench){
			"while it is away": func(b *bench) {
				b.stop()
				row.turn(b)
				b.open()
			},
			"around a crash": func(b *bench) {
				b.write(b.path, "")
				b.crash()
				row.turn(b)
				b.open()
				b.read(b.t.Context()) // and not committed
				b.crash()
				b.open()
			},
		}
		if !row.away {
			modes["while it reads"] = row.turn
		}
		for mode, turn := range modes {
			t.Run(row.name+" "+mode, func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				b.write(b.path, "before\n")
				b.open()
				b.write(b.path, "line 1\nline 2\n")
				b.take(2)
				turn(b)
				b.take(row.last - len(b.got))
				b.restart()
				b.write(b.path, "last\n")
				b.take(1)
				b.want(append(numbers(1, row.last), "last")...)
				b.silent()
				if st := b.src.Status(); st.Lost != 0 {
					t.Errorf("lost %d times", st.Lost)
				}
			})
		}
	}
}

func link(b *bench, to, at string) {
	b.t.Helper()
	if err := os.Symlink(to, at); err != nil {
		b.t.Fatal(err)
	}
}

func TestSymbolicLinkThatChanges(t *testing.T) {
	for _, away := range []bool{false, true} {
		b := newBench(t)
		dir := filepath.Dir(b.path)
		b.write(filepath.Join(dir, "one"), "before\n")
		link(b, filepath.Join(dir, "one"), b.path)
		b.open()
		b.write(b.path, "line 1\n")
		b.take(1)
		if away {
			b.stop()
		}
		b.write(filepath.Join(dir, "two"), "line 3\n")
		link(b, filepath.Join(dir, "two"), b.path+"~")
		b.write(b.path, "line 2\n")
		b.rename(b.path+"~", b.path)
		if away {
			b.open()
		}
		b.take(2)
		b.want(numbers(1, 3)...)
		b.silent()
	}
}

// TestDeletedAndMadeAgain may get the same inode for the new file.
func TestDeletedAndMadeAgain(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.open()
	for i := range 5 {
		b.write(b.path, numbered(2*i+1, 2*i+2))
		b.take(2)
		if i%2 == 0 {
			b.stop()
		}
		if err := os.Remove(b.path); err != nil {
			t.Fatal(err)
		}
		b.write(b.path, "")
		if i%2 == 0 {
			b.open()
		}
	}
	b.want(numbers(1, 10)...)
}

func TestDeletedWithWhatWasNotRead(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "line 1\n")
	b.opt.FromStart = true
	b.open()
	b.take(1)
	b.stop()
	b.write(b.path, "line 2\n")
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	b.write(b.path, "line 3\n")
	b.open()
	b.take(1)
	b.want("line 1", "line 3")
	if !strings.Contains(b.said.String(), "is lost") || b.src.Status().Lost != 1 {
		t.Errorf("a loss was not said: %v %q", b.src.Status().Lost, b.said)
	}
}

// TestSameLineAfterTruncation: what looks the same is another line, and bears
// another key.
func TestSameLineAfterTruncation(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.open()
	for range 3 {
		b.write(b.path, "the same\n")
		b.take(1)
		if err := os.Truncate(b.path, 0); err != nil {
			t.Fatal(err)
		}
		b.until("the truncation to be seen", func(f *file) bool { return f.files[0].split.next == 0 })
	}
	b.want("the same", "the same", "the same")
}

// TestOldWriterIsReadForAWhile: of several writers some reopen the file late.
func TestOldWriterIsReadForAWhile(t *testing.T) {
	b := newBench(t)
	b.opt.grace = 1 << 40
	b.write(b.path, "")
	b.open()
	b.rename(b.path, b.path+".1")
	b.write(b.path, "line 1\n")
	b.take(1)
	b.write(b.path+".1", "line 2\n")
	b.take(1)
	b.restart()
	b.write(b.path+".1", "line 3\n")
	b.take(1)
	b.write(b.path, "line 4\n")
	b.take(1)
	b.want(numbers(1, 4)...)
	b.silent()
}

func TestFilesAreLeftAfterTheGrace(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.open()
	b.rename(b.path, b.path+".1")
	b.write(b.path, "line 1\n")
	b.take(1)
	b.until("the old file to be closed", func(f *file) bool { return len(f.files) == 1 })
	// That is known to the next one too, so that it is not missed when gone.
	if err := os.Remove(b.path + ".1"); err != nil {
		t.Fatal(err)
	}
	b.crash()
	b.open()
	b.write(b.path, "line 2\n")
	b.take(1)
	b.want(numbers(1, 2)...)
	b.silent()
}

// TestWhatWasRotatedBefore is never read, whatever its time: it was there
// before the first start.
func TestWhatWasRotatedBefore(t *testing.T) {
	b := newBench(t)
	b.opt.FromStart = true
	b.write(b.path, "")
	b.write(b.path+".1", "old\n")
	long := time.Now().Add(-time.Hour)
	for i, path := range []string{b.path, b.path + ".1"} {
		if err := os.Chtimes(path, long, long.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	b.open()
	b.restart()
	b.rename(b.path+".1", b.path+".2")
	b.rename(b.path, b.path+".1")
	b.write(b.path, "line 1\n")
	b.take(1)
	b.crash()
	b.open()
	b.write(b.path, "line 2\n")
	b.take(1)
	b.stop()
	b.rename(b.path+".2", b.path+".3")
	b.rename(b.path+".1", b.path+".2")
	b.rename(b.path, b.path+".1")
	b.write(b.path, "line 3\n")
	b.open()
	b.take(1)
	b.want(numbers(1, 3)...)
	b.silent()
}

// TestShortCopy: lines were read that were written between the copy and the
// truncation. They are not read again, and nothing is said to be lost.
func TestShortCopy(t *testing.T) {
	for _, away := range []bool{false, true} {
		b := newBench(t)
		b.write(b.path, "")
		b.open()
		b.write(b.path, "line 1\nline 2\n")
		b.take(2)
		text, err := os.ReadFile(b.path)
		if err != nil {
			t.Fatal(err)
		}
		b.write(b.path, "line 3\n")
		b.take(1)
		if away {
			b.crash()
		}
		b.write(b.path+".2", string(text))
		if err := os.Truncate(b.path, 0); err != nil {
			t.Fatal(err)
		}
		b.write(b.path, "line 4\n")
		b.copytruncate(b.path + ".1")
		b.write(b.path, "line 5\n")
		if away {
			b.open()
		}
		b.take(2)
		b.want(numbers(1, 5)...)
		b.silent()
	}
}

// TestTruncatedWithoutACopy is said.
func TestTruncatedWithoutACopy(t *testing.T) {
	b := newBench(t)
	b.write(b.path, "")
	b.open()
	b.write(b.path, "line 1\n")
	b.take(1)
	if err := os.Truncate(b.path, 0); err != nil {
		t.Fatal(err)
	}
	b.write(b.path, "2\n")
	b.take(1)
	b.want("line 1", "2")
	if st := b.src.Status(); st.Lost != 1 || !strings.Contains(b.said.String(), "truncated") {
		t.Errorf("%+v, said %q", st, b.said)
	}
}

// TestLinesThatCameAndWentBetweenTwoLooks: the file was empty before and after.
func TestLinesThatCameAndWentBetweenTwoLooks(t *testing.T) {
	for _, away := range []bool{false, true} {
		b := newBench(t)
		b.write(b.path, "")
		b.open()
		if away {
			b.crash()
		}
		b.write(b.path, "line 1\nline 2\n")
		b.copytruncate(b.path + ".1")
		if away {
			b.open()
		}
		b.take(2)
		b.write(b.path, "line 3\n")
		b.take(1)
		b.want(numbers(1, 3)...)
		b.silent()
	}
}

// TestRewrittenWithTheSameEnd: a file that was written anew is read from its
// start, even if it is as long as before and the last that was read of it stands
// there again.
func TestRewrittenWithTheSameEnd(t *testing.T) {
	end := strings.Repeat("x", 2*tailSize) + "\n"
	for _, row := range []struct {
		name, now string
		want      []string
	}{
		{"as long", "second\n" + end, []string{"second", end[:len(end)-1]}},
		{"longer", "second\n" + end + "third\n", []string{"second", end[:len(end)-1], "third"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.opt.FromStart = true
			b.write(b.path, "first!\n"+end)
			b.open()
			b.take(2)
			b.got = nil
			f, err := os.OpenFile(b.path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			time.Sleep(10 * time.Millisecond) // or the file's time stays
			if _, err := f.WriteString(row.now); err != nil {
				t.Fatal(err)
			}
			b.take(len(row.want))
			b.want(row.want...)
		})
	}
}
