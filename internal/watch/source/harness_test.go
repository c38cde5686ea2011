package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// helperVar makes the test binary a reader that can be killed.
const helperVar = "SSHNOTIFY_SOURCE_READER"

func TestMain(m *testing.M) {
	if path := os.Getenv(helperVar); path != "" {
		readForParent(path)
	}
	os.Exit(m.Run())
}

// bench is a log that rotates, and a reader of it that can be restarted.
type bench struct {
	t    *testing.T
	path string
	opt  Options
	src  Source
	said *said
	seen map[string]bool // keys
	got  []string
}

// said is what a source logged.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func newBench(t *testing.T) *bench {
	dir := t.TempDir()
	b := &bench{t: t, path: filepath.Join(dir, "log", "auth.log"), said: new(said), seen: map[string]bool{}}
	b.mkdir(filepath.Dir(b.path))
	b.opt = Options{Path: b.path, StateDir: filepath.Join(dir, "state"),
		Log:  slog.New(slog.NewTextHandler(b.said, nil)),
		poll: 2 * time.Millisecond, grace: 20 * time.Millisecond, save: time.Nanosecond}
	t.Cleanup(func() {
		if b.src != nil {
			b.src.Close()
		}
		if t.Failed() {
			t.Log(b.said)
		}
	})
	return b
}

func (b *bench) mkdir(dir string) {
	b.t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) open() {
	b.t.Helper()
	src, err := OpenFile(b.opt)
	if err != nil {
		b.t.Fatal(err)
	}
	b.src = src
}

// restart closes the reader and opens another one.
func (b *bench) restart() { b.t.Helper(); b.stop(); b.open() }

func (b *bench) stop() {
	b.t.Helper()
	if err := b.src.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// crash drops the reader as kill -9 does: nothing more is written.
func (b *bench) crash() {
	b.t.Helper()
	f := b.src.(*file)
	f.mu.Lock()
	f.closeLocked()
	f.mu.Unlock()
}

// write appends to the file at path.
func (b *bench) write(path, text string) {
	b.t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		b.t.Fatal(err)
	}
	f.Close()
}

func (b *bench) rename(from, to string) {
	b.t.Helper()
	if err := os.Rename(from, to); err != nil {
		b.t.Fatal(err)
	}
}

// copytruncate does what logrotate does.
func (b *bench) copytruncate(to string) {
	b.t.Helper()
	text, err := os.ReadFile(b.path)
	if err == nil {
		err = os.WriteFile(to, text, 0o644)
	}
	if err == nil {
		err = os.Truncate(b.path, 0)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// take reads and commits n lines that were not read before.
func (b *bench) take(n int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	for want := len(b.got) + n; len(b.got) < want; {
		batch := b.read(ctx)
		if err := b.src.Commit(batch); err != nil {
			b.t.Fatal(err)
		}
	}
}

// read takes one batch, and does not commit it.
func (b *bench) read(ctx context.Context) Batch {
	b.t.Helper()
	batch, err := b.src.Read(ctx)
	if err != nil {
		b.t.Fatalf("after %q: %v", b.got, err)
	}
	for i, l := range batch.Lines {
		if key := batch.Key(i); !b.seen[key] {
			b.seen[key] = true
			b.got = append(b.got, strings.Clone(l.Text))
		}
	}
	return batch
}

// idle lets the reader look until the condition is true; no line may come.
func (b *bench) until(what string, cond func(*file) bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	f := b.src.(*file)
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for ctx.Err() == nil {
			f.mu.Lock()
			ok := cond(f)
			f.mu.Unlock()
			if ok {
				cancel()
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Millisecond):
			}
		}
	}()
	_, err := b.src.Read(ctx)
	<-stop
	if !errors.Is(err, context.Canceled) {
		b.t.Fatalf("waiting for %s: %v", what, err)
	}
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	if diff := cmp.Diff(lines, b.got); diff != "" {
		b.t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func (b *bench) silent() {
	b.t.Helper()
	if text := b.said.String(); text != "" {
		b.t.Errorf("said %s", text)
	}
}

// all reads a source to its end.
func all(t *testing.T, s Source) (texts, keys []string) {
	t.Helper()
	for {
		b, err := s.Read(t.Context())
		if errors.Is(err, io.EOF) {
			return texts, keys
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range b.Lines {
			texts, keys = append(texts, strings.Clone(l.Text)), append(keys, b.Key(i))
		}
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
}

func numbered(from, to int) string {
	var text strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	return text.String()
}

func numbers(from, to int) []string {
	return strings.Split(strings.TrimSuffix(numbered(from, to), "\n"), "\n")
}
