// Package state owns the small JSON documents that several processes of
// sshnotify share: quotas, holds, the pace of a destination. Each is a file of
// its own, changed under a lock and replaced as a whole.
//
// It must never hold what may not be lost: a document that is missing or torn
// is read as empty.
package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// lockTimeout bounds the wait for another process that changes the same
// document. A change takes milliseconds, so that only a stopped process can
// reach it.
const lockTimeout = 2 * time.Second

// Read gives the document at path, or the zero value where there is none that
// can be read as one.
func Read[T any](path string) T {
	var doc, zero T
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &doc) != nil {
		return zero
	}
	return doc
}

// Update lets change alter the document at path, which other processes may
// alter at the same time, and writes it back unless change returns an error,
// which Update then returns. It makes the folder if it is missing.
func Update[T any](path string, change func(*T) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s: locked by another process for %v", path, lockTimeout)
		}
		return err
	}
	defer lock.Unlock()
	doc := Read[T](path)
	if err := change(&doc); err != nil {
		return err
	}
	return Write(path, doc)
}

// Write replaces the document at path as a whole.
func Write[T any](path string, doc T) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return Replace(path, append(b, '\n'))
}

// Replace makes data the content of the file at path as a whole, for its owner
// alone to read. What is being written stands beside it: renameio would try
// $TMPDIR first, and a kill would leave it there.
func Replace(path string, data []byte) error {
	return renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(filepath.Dir(path)))
}

// Remove deletes the document at path. That there is none is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Hold is a time before which something must not be done, kept on disk. It
// also keeps how long it was meant to last, so that a clock that jumps does not
// make it longer. Rebase one that was read from disk.
type Hold struct {
	Until time.Time     `json:"until,omitzero"`
	For   time.Duration `json:"for,omitempty"` // nanoseconds
}

// HoldFor gives a hold of d from now on, which time.Now gave: within this
// process its end is by the monotonic clock, whatever happens to the other.
func HoldFor(now time.Time, d time.Duration) Hold {
	return Hold{Until: now.Add(d), For: d}
}

// Left says how long the hold still lasts: 0 when it is over, and never more
// than it was meant to last.
func (h Hold) Left(now time.Time) time.Duration {
	return max(0, min(h.Until.Sub(now), h.For))
}

// Rebase gives the hold as a process should keep it that reads it from disk
// now. One that ends later than it could have begun was made before the clock
// was set back, nobody knows how long ago. It is over: if it lasted from now on,
// a process that is started every minute would wait until the clock is there
// again.
func (h Hold) Rebase(now time.Time) Hold {
	left := h.Until.Sub(now)
	if left <= 0 || left > h.For {
		return Hold{}
	}
	return HoldFor(now, left)
}
