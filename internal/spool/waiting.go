package spool

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// Folder says where in a spool a file is.
type Folder string

// The folders that Waiting lists.
const (
	InNew      Folder = "new"
	InOverflow Folder = "overflow" // new/ of the overflow folder
	InDrop     Folder = "watch"    // new/ of watch/
	InCur      Folder = "cur"
	InFailed   Folder = "failed"
)

// File is something in the spool.
type File struct {
	Name   string // as it is on disk, whatever it is: Show cleans it
	Folder Folder
	Size   int64     // bytes
	Time   time.Time // of the last change
}

// ID names a file: by the id of the event that it should hold, as the worker
// will know it, and else by an id of its own, which stays when the worker moves
// it to failed/.
func (f File) ID() string {
	id, isEvent := strings.CutSuffix(f.Name, ".json")
	isEvent = isEvent && event.ValidID(id)
	switch {
	case isEvent && f.Folder == InDrop:
		return droppedID(id)
	case isEvent:
		return id
	}
	if kept, ok := strings.CutPrefix(f.Name, refusedPrefix); ok && f.Folder == InFailed && len(kept) > event.IDLength && event.ValidID(kept[:event.IDLength]) {
		return kept[:event.IDLength]
	}
	return ownID(f)
}

// IsEvent reports whether the file's name is that of an event.
func (f File) IsEvent() bool {
	id, ok := strings.CutSuffix(f.Name, ".json")
	return ok && event.ValidID(id)
}

// IsWorkers reports whether the file is one that workers keep beside events: a
// request to them, or a message that several events share.
func (f File) IsWorkers() bool {
	if f.Folder == InCur && strings.HasPrefix(f.Name, "msg-") {
		return ValidName(f.Name)
	}
	return f.Folder != InFailed && f.Folder != InDrop && ValidName(f.Name) && isRequest(f.Name)
}

// Show returns the file's name as it may stand in a line of text.
func (f File) Show() string { return event.Clean(f.Name, maxShown) }

// ownID makes an id out of what of a file stays when it is moved. In failed/
// its name is all that counts.
func ownID(f File) string {
	of := f.Name
	if f.Folder != InFailed {
		of = fmt.Sprintf("%s\x00%d\x00%d", f.Name, f.Size, f.Time.UnixNano())
	}
	sum := sha256.Sum256([]byte("file\x00" + of))
	return base32ID.EncodeToString(sum[:16])
}

func fileOf(in Folder, name string, st unix.Stat_t) File {
	return File{Name: name, Folder: in, Size: st.Size, Time: time.Unix(st.Mtim.Unix())}
}

// Waiting lists the regular files of new/, the overflow, watch/, cur/ and failed/, and
// changes nothing. What can't be read is an error, which comes with all that
// can; a folder that does not exist is empty, but for the host's spool folder
// itself (ErrMissing).
func (s *Spool) Waiting() ([]File, error) {
	return s.list(isRegular)
}

// Strange lists what Waiting leaves out: links, folders, FIFOs and the like,
// which nobody claims.
func (s *Spool) Strange() ([]File, error) {
	return s.list(func(st unix.Stat_t) bool { return !isRegular(st) })
}

func (s *Spool) list(wanted func(unix.Stat_t) bool) ([]File, error) {
	var files []File
	var errs []error
	if s.o.Host {
		if d, err := s.openDir(); err == nil {
			d.close()
		} else if errors.Is(err, ErrMissing) {
			errs = append(errs, err)
		}
	}
	for _, in := range []Folder{InNew, InOverflow, InDrop, InCur, InFailed} {
		if in == InOverflow && s.o.Overflow == "" || in == InDrop && !s.o.Host {
			continue
		}
		err := s.look(in, wanted, func(f File) { files = append(files, f) })
		if err != nil {
			errs = append(errs, err)
		}
	}
	return files, errors.Join(errs...)
}

// maxListed is how many entries of the drop are listed: its owner could make
// them faster than they are read.
const maxListed = 2 * DropLimit

func (s *Spool) look(in Folder, wanted func(unix.Stat_t) bool, visit func(File)) error {
	d, err := s.existing(s.place(in))
	if err != nil || d.f == nil {
		return err
	}
	defer d.close()
	n := 0
	err = d.each(func(e fs.DirEntry) bool {
		if n++; in == InDrop && n > maxListed {
			return false
		}
		if strings.HasPrefix(e.Name(), ".") {
			return true
		}
		// What has gone since was claimed or delivered.
		if st, err := d.lstat(e.Name()); err == nil && wanted(st) {
			visit(fileOf(in, e.Name(), st))
		}
		return true
	})
	if err == nil && in == InDrop && n > maxListed {
		err = fmt.Errorf("%s holds more than %d files", d.path, maxListed)
	}
	return err
}

// existing opens a subfolder by path; one that does not exist has no file.
func (s *Spool) existing(path, sub string) (folder, error) {
	root, err := openFolder(path, s.fault)
	if err == nil {
		defer root.close()
		root, err = root.folder(sub)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return folder{}, nil
	}
	return root, err
}
