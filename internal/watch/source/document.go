package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/state"
)

// documentVersion is raised when a change makes older documents unreadable.
const documentVersion = 1

// maxDocument bounds what is read of a document, in bytes: one is a few KiB.
const maxDocument = 1 << 20

// document is what a source keeps on disk: how far it came, and its status.
type document struct {
	V        int      `json:"v"`
	Position position `json:"position"`
	Status   Status   `json:"status"`
}

// position is how far a source came.
type position struct {
	Files  []fileID `json:"files,omitempty"` // oldest first; the last is the newest
	Done   []fileID `json:"done,omitempty"`  // files read to their end, the latest last
	Gen    int64    `json:"gen,omitempty"`   // how many files there have been
	Cursor string   `json:"cursor,omitempty"`

	// At is when it was true; a file with a later time may have lines that it
	// does not know of.
	At    time.Time `json:"at,omitzero"`
	Since int64     `json:"since,omitempty"` // microseconds: the journal's time at the first start
}

// fileID is an offset in one file, and what tells that file from others: the
// bytes before the offset can't have changed, if it is the same.
type fileID struct {
	Gen     int64     `json:"gen"` // which file of this source: counted, so that an inode that comes back is another
	Dev     uint64    `json:"dev"`
	Ino     uint64    `json:"ino"`
	First   uint64    `json:"first"` // the inode that the first line of it was read from
	Real    string    `json:"real"`  // its path, without symbolic links
	Began   time.Time `json:"began"` // when it was first seen
	Off     int64     `json:"off"`   // where the first line begins that was not given
	HeadLen int       `json:"head_len"`
	Head    string    `json:"head"`            // digest of the first HeadLen bytes, all of them before Off
	Short   []byte    `json:"short,omitempty"` // these bytes, where they are less than headSize
	TailLen int       `json:"tail_len"`
	Tail    string    `json:"tail"` // of the TailLen bytes before Off
}

var errDamaged = errors.New("is damaged")

// parseDocument reads what encode wrote. Anything else is an error, and never
// gives a position that makes no sense.
func parseDocument(b []byte) (document, error) {
	var doc document
	if err := json.Unmarshal(b, &doc); err != nil {
		return document{}, errDamaged
	}
	if doc.V != documentVersion {
		return document{}, fmt.Errorf("has version %d, not %d", doc.V, documentVersion)
	}
	for _, p := range append(doc.Position.Files, doc.Position.Done...) {
		if p.Off < 0 || p.Gen < 0 || p.Gen > doc.Position.Gen ||
			p.HeadLen < 0 || p.HeadLen > headSize || int64(p.HeadLen) > p.Off ||
			len(p.Short) > p.HeadLen || p.TailLen < 0 || p.TailLen > tailSize || int64(p.TailLen) > p.Off {
			return document{}, errDamaged
		}
	}
	if doc.Position.Since < 0 || doc.Position.Cursor != "" && !validCursor(doc.Position.Cursor) {
		return document{}, errDamaged
	}
	return doc, nil
}

func readDocument(path string) (document, error) {
	b, err := state.ReadFile(path, maxDocument)
	if errors.Is(err, state.ErrTooLarge) || errors.Is(err, state.ErrForeign) {
		return document{}, fmt.Errorf("%s: %w", path, errDamaged)
	}
	if err != nil {
		return document{}, err
	}
	doc, err := parseDocument(b)
	if err != nil {
		return document{}, fmt.Errorf("%s: %w", path, err)
	}
	return doc, nil
}

// documentPath is where the source of this name, which may be a path, keeps its
// document.
func documentPath(dir, name string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, name)
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(dir, "source-"+strings.Trim(clean[max(0, len(clean)-40):], "-")+"-"+hex.EncodeToString(sum[:4])+".json")
}
