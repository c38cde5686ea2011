// Package state owns the state folder: how its files are opened, and the small
// JSON documents that several processes of sshnotify share, such as quotas,
// holds, and the pace of a destination. Each document is a file of its own,
// changed under a lock and replaced as a whole.
//
// It must never hold what may not be lost: a document that is missing or torn
// is read as empty. Nor may it follow a link in a state folder, wait for what
// stands in a file's place, or use a folder that somebody else can write in.
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
)

// lockTimeout bounds the wait for another process that changes the same
// document. A change takes milliseconds, so that only a stopped process can
// reach it.
const lockTimeout = 2 * time.Second

// Read gives the document at path, or the zero value where there is none that
// can be read as one.
func Read[T any](path string) T {
	var doc, zero T
	b, err := ReadFile(path, maxDocument)
	if err != nil || json.Unmarshal(b, &doc) != nil {
		return zero
	}
	return doc
}

// Update lets change alter the document at path, which other processes may
// alter at the same time, and writes it back unless change returns an error,
// which Update then returns. It makes the folder if it is missing.
func Update[T any](path string, change func(*T) error) error {
	d, err := MakeFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	name := filepath.Base(path)
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	unlock, err := d.Lock(ctx, name+".lock")
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: locked by another process for %v", path, lockTimeout)
	}
	if err != nil {
		return err
	}
	defer unlock()
	var doc T
	if b, err := d.ReadFile(name, maxDocument); err == nil && json.Unmarshal(b, &doc) != nil {
		doc = *new(T) // torn, and perhaps half read
	}
	if err := change(&doc); err != nil {
		return err
	}
	return d.write(name, doc)
}

// Write replaces the document at path as a whole.
func Write[T any](path string, doc T) error {
	d, err := OwnFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.write(filepath.Base(path), doc)
}

func (d *Folder) write(name string, doc any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return d.Replace(name, append(b, '\n'), 0o600)
}

// Replace makes data the content of the file at path as a whole, for its owner
// alone to read.
func Replace(path string, data []byte) error { return ReplaceAs(path, data, 0o600) }

// ReplaceAs is Replace for a file that others are to read.
func ReplaceAs(path string, data []byte, perm fs.FileMode) error {
	d, err := OwnFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Replace(filepath.Base(path), data, perm)
}

// Open opens the file at path as Folder.Open does: in this user's own folder
// where it is to be written. With os.O_CREATE it makes the folder, too.
func Open(path string, flags int) (*os.File, error) {
	open := OpenFolder
	switch {
	case flags&os.O_CREATE != 0:
		open = MakeFolder
	case flags&(os.O_WRONLY|os.O_RDWR) != 0:
		open = OwnFolder
	}
	d, err := open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Open(filepath.Base(path), flags)
}

// ReadFile gives the file at path, of at most limit bytes.
func ReadFile(path string, limit int64) ([]byte, error) {
	d, err := OpenFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadFile(filepath.Base(path), limit)
}

// Check looks at the file at path as Folder.Check does.
func Check(path string) error {
	d, err := OpenFolder(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Check(filepath.Base(path))
}

// Lock waits for the lock that the file at path stands for, as Folder.Lock
// does. It makes the folder if it is missing.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	d, err := MakeFolder(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Lock(ctx, filepath.Base(path))
}

// Remove deletes the document at path. That there is none is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Cooldown is a time before which something must not be done, kept on disk. It
// also keeps how long it was meant to last, so that a clock that jumps does not
// make it longer. Rebase one that was read from disk.
type Cooldown struct {
	Until time.Time     `json:"until,omitzero"`
	For   time.Duration `json:"for,omitempty"` // nanoseconds
}

// CooldownFor returns a cooldown of d from now on, which time.Now gave: within this
// process its end is by the monotonic clock, whatever happens to the other.
func CooldownFor(now time.Time, d time.Duration) Cooldown {
	return Cooldown{Until: now.Add(d), For: d}
}

// Left says how long the cooldown still lasts: 0 when it is over, and never more
// than it was meant to last.
func (c Cooldown) Left(now time.Time) time.Duration {
	return max(0, min(c.Until.Sub(now), c.For))
}

// Rebase returns the cooldown as a process should keep it that reads it from disk
// now. One that ends later than it could have begun was made before the clock
// was set back, nobody knows how long ago. It is over: if it lasted from now on,
// a process that is started every minute would wait until the clock is there
// again.
func (c Cooldown) Rebase(now time.Time) Cooldown {
	left := c.Until.Sub(now)
	if left <= 0 || left > c.For {
		return Cooldown{}
	}
	return CooldownFor(now, left)
}
