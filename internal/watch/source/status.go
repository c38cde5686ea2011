package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Status is how a source is doing. All counts are since the position was first
// kept, over restarts.
type Status struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // file, journal, pipe, stdin
	Path string `json:"path,omitempty"`

	There    bool `json:"there"`
	Readable bool `json:"readable"`

	Lines   int64 `json:"lines"`
	Bytes   int64 `json:"bytes"`             // of text
	Dropped int64 `json:"dropped,omitempty"` // lines of a pipe that came faster than they were read
	Lost    int64 `json:"lost,omitempty"`    // times that the rest of a file was nowhere to be found

	Offset int64 `json:"offset,omitempty"` // in the newest file: all before it was committed
	Behind int64 `json:"behind,omitempty"` // bytes of that file after Offset

	LastLine time.Time `json:"last_line,omitzero"` // when one was read
	Started  time.Time `json:"started,omitzero"`
	Saved    time.Time `json:"saved,omitzero"` // when this was written to disk

	Err    string    `json:"err,omitempty"` // the last trouble; "" when it is over
	ErrAt  time.Time `json:"err_at,omitzero"`
	Denied bool      `json:"denied,omitempty"` // the trouble is that the watcher's user may not read it
}

// ReadStatus returns what the source of this name last wrote to dir, for another
// process. Of a file, There, Readable (by this process) and Behind are as they
// are now. An error that is fs.ErrNotExist says that no such source ever ran.
func ReadStatus(dir, name string) (Status, error) {
	doc, err := readDocument(documentPath(dir, name))
	if err != nil {
		return Status{}, err
	}
	st := doc.Status
	if st.Kind != kindFile {
		return st, nil
	}
	info, err := os.Stat(st.Path)
	st.There = err == nil || !errors.Is(err, fs.ErrNotExist)
	st.Behind = 0
	if err == nil {
		st.Behind = info.Size()
		if n := len(doc.Position.Files); n > 0 {
			last := doc.Position.Files[n-1]
			if _, ino := identity(info); ino == last.Ino && info.Size() >= last.Off {
				st.Behind -= last.Off
			}
		}
	}
	f, err := openPlain(filepath.Clean(st.Path))
	st.Readable = err == nil
	if err == nil {
		f.Close()
	}
	return st, nil
}

// The kinds of sources.
const (
	kindFile    = "file"
	kindJournal = "journal"
	kindPipe    = "pipe"
	kindStdin   = "stdin"
)
