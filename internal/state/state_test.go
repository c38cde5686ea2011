package state

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

type counter struct{ N int }

func TestUpdateCountsEveryChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "counter.json")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if err := Update(path, func(c *counter) error { c.N++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := Read[counter](path); got.N != 40 {
		t.Errorf("40 changes gave %d", got.N)
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counter.json")
	if err := Write(path, counter{N: 7}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if err := Update(path, func(c *counter) error { c.N = 8; return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v, want the change's own error", err)
	}
	if got := Read[counter](path); got.N != 7 {
		t.Errorf("a refused change left %d", got.N)
	}
}

func TestTornDocumentIsEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counter.json")
	if err := os.WriteFile(path, []byte(`{"N":4`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Read[counter](path); got.N != 0 {
		t.Errorf("a torn document was read as %d", got.N)
	}
}

func TestHoldLeft(t *testing.T) {
	now := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	h := CooldownFor(now, time.Minute)
	for _, row := range []struct {
		name string
		at   time.Time
		want time.Duration
	}{
		{"at its start", now, time.Minute},
		{"half-way", now.Add(30 * time.Second), 30 * time.Second},
		{"over", now.Add(2 * time.Minute), 0},
		{"the clock jumped back an hour", now.Add(-time.Hour), time.Minute},
	} {
		if got := h.Left(row.at); got != row.want {
			t.Errorf("%s: %v left, want %v", row.name, got, row.want)
		}
	}
	for _, row := range []struct {
		name string
		at   time.Time
		want time.Duration
	}{
		{"by the next process, half-way", now.Add(30 * time.Second), 30 * time.Second},
		{"over", now.Add(time.Hour), 0},
		{"the clock jumped back an hour", now.Add(-time.Hour), 0},
	} {
		if got := h.Rebase(row.at).Left(row.at); got != row.want {
			t.Errorf("read from disk, %s: %v left, want %v", row.name, got, row.want)
		}
	}
	if got := (Cooldown{}).Left(now); got != 0 {
		t.Errorf("no hold has %v left", got)
	}
}
