package source

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/state"
)

// saveEvery is the least time between two writes of a document: each one is an
// fsync, and what is lost by waiting is only read again.
const saveEvery = time.Second

// checkpoint keeps a source's document: what was committed, and its status.
type checkpoint struct {
	path  string // "": nowhere
	every time.Duration

	mu    sync.Mutex
	doc   document
	dirty bool
	saved time.Time // the last attempt
	seq   int64     // of the batch that was committed last
}

// allCommitted reports whether batch seq and all before it were committed.
func (k *checkpoint) allCommitted(seq int64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seq >= seq
}

// newKeeper reads the document that the source left. One that can't be read is
// said, and then forgotten.
func newCheckpoint(opt Options, kind string) (*checkpoint, error) {
	k := &checkpoint{every: opt.save}
	if opt.StateDir != "" {
		if err := os.MkdirAll(opt.StateDir, 0o700); err != nil {
			return nil, err
		}
		k.path = documentPath(opt.StateDir, opt.Name)
		doc, err := readDocument(k.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil && errors.Is(err, fs.ErrPermission):
			return nil, err
		case err != nil:
			opt.Log.Warn("the position is lost", "error", err)
		case doc.Status.Kind == kind && doc.Status.Path == opt.Path:
			k.doc = doc
		}
	}
	st := &k.doc.Status
	k.doc.V = documentVersion
	st.Name, st.Kind, st.Path = opt.Name, kind, opt.Path
	st.Started = time.Now()
	st.There, st.Readable, st.Err, st.ErrAt, st.Denied, st.Behind = false, false, "", time.Time{}, false, 0
	return k, nil
}

// position is the one that was committed last.
func (k *checkpoint) position() position {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.doc.Position
}

func (k *checkpoint) status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.doc.Status
}

// note changes the status, which is written before long.
func (k *checkpoint) note(change func(*Status)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.doc.Status)
	k.dirty = true
}

// trouble notes err, or that it is over, and tells whether that is news.
func (k *checkpoint) trouble(there, readable bool, err error) (news bool) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	st := &k.doc.Status
	if st.There == there && st.Readable == readable && st.Err == text {
		return false
	}
	news = st.Err != text
	st.There, st.Readable, st.Err, st.ErrAt = there, readable, text, time.Time{}
	st.Denied = errors.Is(err, fs.ErrPermission)
	if err != nil {
		st.ErrAt = time.Now()
	}
	k.dirty = true
	return news
}

// got counts what a batch has.
func (k *checkpoint) got(b Batch) {
	k.note(func(st *Status) {
		st.Lines += int64(len(b.Lines))
		st.Bytes += int64(b.textBytes())
		st.LastLine = time.Now()
	})
}

// commit makes b's position the one to keep. It is written at once when a file
// was begun or left, for then the count of files must not be lost.
func (k *checkpoint) commit(b Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.doc.Position
	k.doc.Position = b.pos
	k.seq = b.seq
	if n := len(b.pos.Files); n > 0 {
		k.doc.Status.Offset = b.pos.Files[n-1].Off
	}
	k.dirty = true
	if b.seq == 0 {
		// Where it begins. The first lines are to follow at once, so that a
		// reader that never lives for long comes on all the same.
		err := k.write()
		k.saved = time.Time{}
		return err
	}
	if old.Gen != b.pos.Gen || len(old.Files) != len(b.pos.Files) || time.Since(k.saved) >= k.every {
		return k.write()
	}
	return nil
}

// saveDue writes the document if it changed and was not written of late. It
// returns how long to wait until it is due, 0 if nothing is.
func (k *checkpoint) saveDue() (time.Duration, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dirty || k.path == "" {
		return 0, nil
	}
	if left := k.every - time.Since(k.saved); left > 0 {
		return left, nil
	}
	return 0, k.write()
}

// save writes the document if it changed.
func (k *checkpoint) save() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dirty {
		return nil
	}
	return k.write()
}

func (k *checkpoint) write() error {
	if k.path == "" {
		k.dirty = false
		return nil
	}
	k.saved = time.Now()
	k.doc.Status.Saved = k.saved
	if err := state.Write(k.path, k.doc); err != nil {
		return err // still dirty: the next one tries again
	}
	k.dirty = false
	return nil
}
