package respond

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestOnce(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, whose the folder is")
	}
	dir := filepath.Join(t.TempDir(), "respond")
	open := func() *Store {
		st, err := OpenStore(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st
	}
	now := time.Now()
	// Of those who come together, one carries it out.
	var first atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		st := open()
		all.Go(func() {
			if before, err := st.Once(t.Context(), "a", now); err != nil {
				t.Error(err)
			} else if before == 0 {
				first.Add(1)
			}
		})
	}
	all.Wait()
	if n := first.Load(); n != 1 {
		t.Errorf("%d carry out one order", n)
	}
	st := open()
	if before, err := st.Once(t.Context(), "a", now.Add(onceFor-time.Minute)); err != nil || before != 8 {
		t.Errorf("days later it came %d times before, %v", before, err)
	}
	// Whoever gives very many has a hundred carried out, and breaks nothing.
	later := now.Add(2 * onceFor)
	for i := range MaxAnHour {
		if before, err := st.Once(t.Context(), fmt.Sprint("b", i), later); err != nil || before != 0 {
			t.Fatalf("order %d: %d, %v", i, before, err)
		}
	}
	if _, err := st.Once(t.Context(), "c", later); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	if before, err := st.Once(t.Context(), "c", later.Add(2*time.Hour)); err != nil || before != 1 {
		t.Errorf("one that was too many comes again: %d, %v", before, err)
	}
	if before, err := st.Once(t.Context(), "d", later.Add(2*time.Hour)); err != nil || before != 0 {
		t.Errorf("hours later: %d, %v", before, err)
	}
	full := map[string]once{}
	for i := range maxOnce {
		full[fmt.Sprintf("%032x", i)] = once{Seen: later, Times: 1}
	}
	if err := write(dir, onceName, full); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Once(t.Context(), "e", later); !errors.Is(err, ErrTooMany) {
		t.Errorf("a full file: %v", err)
	}
	if before, err := st.Once(t.Context(), fmt.Sprintf("%032x", 7), later); err != nil || before != 1 {
		t.Errorf("one of a full file: %d, %v", before, err)
	}
	if before, err := st.Once(t.Context(), "e", later.Add(2*onceLeast)); err != nil || before != 0 {
		t.Errorf("after a full file: %d, %v", before, err)
	}
}
