package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func (b *bench) openPipe() {
	b.t.Helper()
	src, err := OpenPipe(b.opt)
	if err != nil {
		b.t.Fatal(err)
	}
	b.src = src
}

func TestThreeWriters(t *testing.T) {
	b := newBench(t)
	g, err := user.LookupGroupId(fmt.Sprint(os.Getgid()))
	if err != nil {
		t.Skip(err)
	}
	b.opt.Group = g.Name
	b.openPipe()
	info, err := os.Lstat(b.path)
	if err != nil || info.Mode() != fs.ModeNamedPipe|0o620 {
		t.Fatalf("%v, %v was made", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(b.path)); len(left) != 1 {
		t.Errorf("%v stands beside it", left)
	}
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range 100 { // each opened anew: writers come and go
				b.write(b.path, fmt.Sprintf("writer %d line %d\n", w, i))
			}
		})
	}
	b.take(300)
	wg.Wait()
	for w := range 3 {
		var of []string
		for _, l := range b.got {
			if strings.HasPrefix(l, fmt.Sprintf("writer %d ", w)) {
				of = append(of, l)
			}
		}
		if len(of) != 100 || of[0] != fmt.Sprintf("writer %d line 0", w) || of[99] != fmt.Sprintf("writer %d line 99", w) {
			t.Errorf("of writer %d came %d lines: %q", w, len(of), of)
		}
	}
	b.silent()
}

func TestPipeRefuses(t *testing.T) {
	dir := t.TempDir()
	plain, link, group := filepath.Join(dir, "plain"), filepath.Join(dir, "link"), filepath.Join(dir, "group")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{plain, link, dir, "/dev/null"} {
		if _, err := OpenPipe(Options{Path: path}); !errors.Is(err, errNotPipe) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, o := range []Options{{}, {Path: filepath.Join(dir, "none", "pipe")}, {Path: group, Group: "no-such-group"}} {
		if _, err := OpenPipe(o); err == nil {
			t.Errorf("%+v was opened", o)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("%v was left", left)
	}
}

// TestPipeRenamedAway is what Snort does at its size limit.
func TestPipeRenamedAway(t *testing.T) {
	b := newBench(t)
	b.openPipe()
	w, err := os.OpenFile(b.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fmt.Fprintln(w, "line 1")
	b.take(1)
	b.rename(b.path, b.path+".1")
	b.until2s("a new pipe", func() bool {
		info, err := os.Lstat(b.path)
		return err == nil && info.Mode()&fs.ModeNamedPipe != 0
	})
	fmt.Fprintln(w, "line 2") // who has the old one open is read for a while
	b.take(1)
	b.write(b.path, "line 3\n")
	b.take(1)
	b.want(numbers(1, 3)...)

	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.until2("the plain file to be told", func(st Status) bool { return !st.There && strings.Contains(st.Err, "plain file") })
	if !strings.Contains(b.said.String(), "Snort") {
		t.Errorf("said %q", b.said)
	}
	if err := os.Remove(b.path); err != nil {
		t.Fatal(err)
	}
	b.until2("the pipe to be back", func(st Status) bool { return st.There && st.Err == "" })
	b.write(b.path, "line 4\n")
	b.take(1)
}

func (b *bench) until2s(what string, cond func() bool) {
	b.t.Helper()
	waitFor(b.t, what, cond, b.said.String)
}

// TestPipeNobodyTakes: the writer does not wait, what does not fit is counted.
func TestPipeNobodyTakes(t *testing.T) {
	b := newBench(t)
	b.opt.Buffer = 10_000
	b.openPipe()
	const n = 2000
	for i := range n {
		b.write(b.path, fmt.Sprintf("line %d\n", i+1))
	}
	b.stop() // which empties the pipe itself
	texts, _ := all(t, b.src)
	st := b.src.Status()
	if st.Dropped == 0 || int64(len(texts))+st.Dropped != n {
		t.Errorf("%d lines were kept and %d dropped of %d", len(texts), st.Dropped, n)
	}
	if texts[0] != "line 1" || !slices.IsSortedFunc(texts, func(a, b string) int { return number("#"+a[5:]) - number("#"+b[5:]) }) {
		t.Errorf("%q are out of order", texts)
	}
	if !strings.Contains(b.said.String(), "are dropped") || strings.Count(b.said.String(), "\n") > 20 {
		t.Errorf("said %q", b.said)
	}
}

func TestPipeIsEmptiedAtClose(t *testing.T) {
	b := newBench(t)
	b.openPipe()
	b.write(b.path, "line 1\nline 2\nline 3")
	b.stop()
	b.stop()
	texts, keys := all(t, b.src)
	if !slices.Equal(texts, numbers(1, 3)) || keys[0] == keys[1] {
		t.Errorf("%q %q was left", texts, keys)
	}
}

func TestReader(t *testing.T) {
	r, w := io.Pipe()
	s, err := OpenReader(r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	go func() {
		io.WriteString(w, "line 1\r\nli")
		io.WriteString(w, "ne 2\nline 3")
		w.Close()
	}()
	texts, _ := all(t, s)
	if !slices.Equal(texts, numbers(1, 3)) || s.Name() != "stdin" {
		t.Errorf("%q of %s", texts, s.Name())
	}
	failing, err := OpenReader(io.MultiReader(strings.NewReader("one\n"), failingReader{}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	failing.Read(t.Context())
	if _, err := failing.Read(t.Context()); !errors.Is(err, errTest) {
		t.Errorf("a broken input ended with %v", err)
	}
	waiting, _ := io.Pipe()
	closed, err := OpenReader(waiting, Options{})
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := closed.Read(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("Read after Close gave %v", err)
	}
}

type failingReader struct{}

var errTest = errors.New("broken")

func (failingReader) Read([]byte) (int, error) { return 0, errTest }
