package spool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
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
			q.Unlock()
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
		{"a mark of an older count", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			put(t, filepath.Join(s.o.Dir, tmpName, fullName), nil)
		}, 7},
		{"a mark that is a folder", limits{7, 1 << 20}, func(t *testing.T, s *Spool) {
			put(t, filepath.Join(s.o.Dir, tmpName, fullName, "x"), nil)
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
	// A count is 6 reads, and one in 100 counts: more than 12 in 300 come once in
	// 100,000 runs.
	if reads > 6*12 {
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

// What the worker has may be all that there is room for. Once that is delivered
// there is room, although nothing has changed new/.
func TestFullIsForgotten(t *testing.T) {
	s := Open(hostOptions(t, fastDir(t)))
	s.limit.count = 5
	mustPut(t, s, newEvent())
	var held []string
	for i := range 5 {
		held = append(held, filepath.Join(s.o.Dir, curName, fmt.Sprintf("%026d.json", i)))
		put(t, held[i], nil)
	}
	dir := filepath.Join(s.o.Dir, newName)
	past := time.Now().Add(-time.Minute)
	if err := os.Chtimes(dir, past, past); err != nil {
		t.Fatal(err)
	}
	if where, err := s.Put(newEvent(), nil); err != nil || where != s.o.Overflow {
		t.Fatalf("Put = %q, %v", where, err)
	}
	for _, path := range held {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if where, err := s.Put(newEvent(), nil); err != nil || where != s.o.Dir {
		t.Errorf("with room again: Put = %q, %v", where, err)
	}
}

// countReads counts what is read of new/ and cur/ by s from now on.
func countReads(s *Spool) *int {
	reads := new(int)
	s.fault = func(op, path string) error {
		// tmp/ is swept by one hook in many.
		if op == "readdir" && filepath.Dir(path) == s.o.Dir && filepath.Base(path) != tmpName {
			*reads++
		}
		return nil
	}
	return reads
}

// Where a worker lives, no login counts: neither when there is room nor when
// there is none, however much the worker writes.
func TestTheWorkerCounts(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	worker, hook := Open(o), Open(o)
	worker.limit.count, hook.limit.count = 5, 5 // each hook would count
	q := mustLock(t, worker)
	defer q.Unlock()
	reads := countReads(hook)
	count := func() {
		t.Helper()
		q.counted = time.Time{}
		mustClaim(t, q)
	}
	putInto := func(want string) {
		t.Helper()
		if where, err := hook.Put(newEvent(), nil); err != nil || where != want {
			t.Fatalf("Put = %q, %v, want %q", where, err, want)
		}
	}
	for range 8 { // more than the limit, but nobody has counted yet
		putInto(o.Dir)
	}
	count()
	putInto(o.Overflow)
	names, err := q.List()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Write(names[0], []byte("tried")); err != nil {
		t.Fatal(err)
	}
	putInto(o.Overflow)
	if *reads != 0 {
		t.Errorf("hooks read the folders %d times beside a worker", *reads)
	}
	for _, name := range names {
		if err := q.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	count()
	putInto(o.Dir)
}

// What a worker said last is true after its end as well, until something leaves.
func TestTheWorkersCountStays(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	s := Open(o)
	s.limit.count = 5
	q := mustLock(t, s)
	var names []string
	for range 5 {
		names = append(names, newEvent())
		if err := q.Write(names[len(names)-1], nil); err != nil {
			t.Fatal(err)
		}
	}
	q.counted = time.Time{}
	q.Beat()
	if err := q.Unlock(); err != nil {
		t.Fatal(err)
	}
	reads := countReads(s)
	for range 10 {
		if where, err := s.Put(newEvent(), nil); err != nil || where != o.Overflow {
			t.Fatalf("full: Put = %q, %v", where, err)
		}
	}
	if *reads != 0 {
		t.Errorf("hooks read the folders %d times after a worker had", *reads)
	}
	if err := os.Remove(filepath.Join(o.Dir, curName, names[0])); err != nil {
		t.Fatal(err)
	}
	if where, err := s.Put(newEvent(), nil); err != nil || where != o.Dir {
		t.Errorf("with room again: Put = %q, %v", where, err)
	}
}

// A worker that was stopped counts no more, so that hooks do.
func TestAStoppedWorkerDoesNotCount(t *testing.T) {
	o := hostOptions(t, fastDir(t))
	s := Open(o)
	s.limit.count = 5
	q := mustLock(t, s)
	defer q.Unlock()
	past := time.Now().Add(-2 * SilentAfter)
	if err := os.Chtimes(s.lockPath(), past, past); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, newEvent(), newEvent(), newEvent(), newEvent(), newEvent())
	if where, err := s.Put(newEvent(), nil); err != nil || where != o.Overflow {
		t.Errorf("Put = %q, %v", where, err)
	}
}

// Nobody delivers for a week: the hooks alone must keep the limit.
func TestLimitHoldsWithoutAWorker(t *testing.T) {
	s := Open(Options{Dir: fastDir(t)})
	s.limit = limits{3000, 1 << 30} // one in three counts
	fillNew(t, s, 2990, 10)
	n := 0
	for ; n < 200; n++ {
		if _, err := s.Put(newEvent(), nil); err != nil {
			wantErrs(t, "full", err, ErrFull)
			break
		}
	}
	if n < 10 || n > 60 { // 50 beyond the limit come once in a billion runs
		t.Errorf("%d events were taken where 10 have room", n)
	}
	for range 20 { // in the same second, in which one of three would not count
		_, err := s.Put(newEvent(), nil)
		wantErrs(t, "still full", err, ErrFull)
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
		count, bytes, err := measure(ready, 1<<20)
		if err != nil || count != n {
			t.Errorf("%d files: counted %d, error %v", n, count, err)
		}
		if n <= sampleSize && bytes != exact {
			t.Errorf("%d files: %d bytes, want %d", n, bytes, exact)
		}
		if off := float64(bytes-exact) / float64(exact+1); off < -0.2 || off > 0.2 {
			t.Errorf("%d files: estimated %d bytes of %d", n, bytes, exact)
		}
		if count, _, _ := measure(ready, 50); count > 50 {
			t.Errorf("%d files: counted %d, want no more than 50", n, count)
		}
	}
}
