package spool

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
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
	Name   string // not checked: quote it
	Folder Folder
	Size   int64     // bytes
	Time   time.Time // of the last change
}

// Waiting lists the regular files of new/, the overflow, watch/, cur/ and failed/, and
// changes nothing. What can't be read is an error, which comes with all that
// can; a folder that does not exist is empty, but for the host's spool folder
// itself (ErrMissing).
func (s *Spool) Waiting() ([]File, error) {
	var files []File
	var errs []error
	list := func(path, sub string, as Folder) {
		err := s.look(path, sub, func(f File) {
			f.Folder = as
			files = append(files, f)
		})
		if err != nil {
			errs = append(errs, err)
		}
	}
	if s.o.Host {
		if d, err := s.openDir(); err == nil {
			d.close()
		} else if errors.Is(err, ErrMissing) {
			errs = append(errs, err)
		}
	}
	list(s.o.Dir, newName, InNew)
	if s.o.Overflow != "" {
		list(s.o.Overflow, newName, InOverflow)
	}
	if s.o.Host {
		list(filepath.Join(s.o.Dir, dropName), newName, InDrop)
	}
	list(s.o.Dir, curName, InCur)
	list(s.o.Dir, failedName, InFailed)
	return files, errors.Join(errs...)
}

func (s *Spool) look(path, sub string, visit func(File)) error {
	d, err := s.existing(path, sub)
	if err != nil || d.f == nil {
		return err
	}
	defer d.close()
	return d.each(func(e fs.DirEntry) bool {
		if strings.HasPrefix(e.Name(), ".") {
			return true
		}
		// What has gone since was claimed or delivered.
		if st, err := d.lstat(e.Name()); err == nil && isRegular(st) {
			visit(File{Name: e.Name(), Size: st.Size, Time: time.Unix(st.Mtim.Unix())})
		}
		return true
	})
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
