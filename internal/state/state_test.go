package state

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

type counter struct{ N int }

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
	h := HoldFor(now, time.Minute)
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
	if got := (Hold{}).Left(now); got != 0 {
		t.Errorf("no hold has %v left", got)
	}
}
