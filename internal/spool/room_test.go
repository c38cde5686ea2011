package spool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFull(t *testing.T) {
	const big = 1000
	for _, tt := range []struct {
		situation string
		limit     limits
		prepare   func(t *testing.T, s *Spool)
		want      int // events of 1,000 bytes that fit
	}{
		{"by count", limits{7, 1 << 20}, nil, 7},
		{"by bytes", limits{50, 5*big + 1}, nil, 5},
		{"by what the worker has", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			q := mustLock(t, s)
			mustPut(t, s, newEvent(), newEvent(), newEvent())
			mustClaim(t, q)
		}, 4},
		{"by the bytes that the worker has", limits{50, 10 * big}, func(t *testing.T, s *Spool) {
			q := mustLock(t, s)
			if err := q.Write(newEvent(), make([]byte, 5*big)); err != nil {
				t.Fatal(err)
			}
			q.Unlock()
		}, 5},
		{"by foreign files", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			put(t, filepath.Join(s.o.Dir, newName, "foreign"), nil)
		}, 6},
		{"a summary that is none", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			put(t, filepath.Join(s.o.Dir, curName, summaryName), []byte("99999999999 full of myself\n"))
		}, 7},
		{"a summary that is a FIFO", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			put(t, filepath.Join(s.o.Dir, curName, "x"), nil)
			if err := syscall.Mkfifo(filepath.Join(s.o.Dir, curName, summaryName), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 7},
	} {
		t.Run(tt.situation, func(t *testing.T) {
			s := Open(hostOptions(t, fastDir(t)))
			s.limit, s.over = tt.limit, limits{3, 1 << 20}
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			got := map[string]int{}
			var last error
			for range 60 {
				where, err := s.Put(newEvent(), make([]byte, big))
				if err != nil {
					last = err
					break
				}
				got[where]++
			}
			if want := map[string]int{s.o.Dir: tt.want, s.o.Overflow: 3}; !cmp.Equal(got, want) {
				t.Errorf("took %v, want %v", got, want)
			}
			wantErrs(t, "both full", last, ErrFull)
			if !strings.Contains(last.Error(), s.o.Dir) || !strings.Contains(last.Error(), s.o.Overflow) {
				t.Errorf("error %v, want both folders named", last)
			}
			if err := os.RemoveAll(filepath.Join(s.o.Dir, newName)); err != nil {
				t.Fatal(err)
			}
			if where, err := s.Put(newEvent(), make([]byte, big)); err != nil || where != s.o.Dir {
				t.Errorf("with new/ emptied: Put = %q, %v", where, err)
			}
		})
	}
}

// Counting 100,000 names takes a login a tenth of a second: it is done seldom.
func TestCountingIsSeldom(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	fillNew(t, s, 2000, 10)
	reads := 0
	s.fault = func(op, path string) error {
		if op == "readdir" && strings.HasSuffix(path, newName) {
			reads++
		}
		return nil
	}
	for range 300 {
		mustPut(t, s, newEvent())
	}
	// A count is 6 reads; the room is 98,000 events, so that a count is due every
	// 980, and three or more in 300 come once in 2,000 runs.
	if reads < 5 || reads > 6*6 {
		t.Errorf("%d reads of the folder in 300 publications", reads)
	}
}

// While the spool is full, a login does not count either.
func TestFullIsRemembered(t *testing.T) {
	s := Open(hostOptions(t, fastDir(t)))
	s.limit.count = 5
	fillNew(t, s, 5, 10)
	dir := filepath.Join(s.o.Dir, newName)
	past := time.Now().Add(-time.Minute)
	if err := os.Chtimes(dir, past, past); err != nil {
		t.Fatal(err)
	}
	reads := 0
	s.fault = func(op, path string) error {
		if op == "readdir" && path == dir {
			reads++
		}
		return nil
	}
	for range 10 {
		if where, err := s.Put(newEvent(), nil); err != nil || where != s.o.Overflow {
			t.Fatalf("Put = %q, %v", where, err)
		}
	}
	if reads == 0 || reads > 2 {
		t.Errorf("%d reads of the folder in 10 publications, want those of one count", reads)
	}
	unlinkNew(t, s, fmt.Sprintf("%026d.json", 0))
	if where, err := s.Put(newEvent(), nil); err != nil || where != s.o.Dir {
		t.Errorf("with room again: Put = %q, %v", where, err)
	}
}

func TestMeasure(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 100, 256, 257, 3000} {
		s := Open(Options{Dir: fastDir(t)})
		d, err := s.openDir()
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		ready, err := s.sub(d, newName)
		if err != nil {
			t.Fatal(err)
		}
		defer ready.close()
		var exact int64
		for i := range n {
			size := 300 + rnd.IntN(2)*30_000 // the widest that events can differ
			put(t, filepath.Join(ready.path, fmt.Sprint(i)), make([]byte, size))
			exact += int64(size)
		}
		sum, err := measure(ready, 1<<20)
		if err != nil || sum.count != n {
			t.Errorf("%d files: counted %d, error %v", n, sum.count, err)
		}
		if n <= sampleSize && sum.bytes != exact {
			t.Errorf("%d files: %d bytes, want %d", n, sum.bytes, exact)
		}
		if off := float64(sum.bytes-exact) / float64(exact+1); off < -0.2 || off > 0.2 {
			t.Errorf("%d files: estimated %d bytes of %d", n, sum.bytes, exact)
		}
		if sum, _ := measure(ready, 50); sum.count > 50 {
			t.Errorf("%d files: counted %d, want no more than 50", n, sum.count)
		}
	}
}
