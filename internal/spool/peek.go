package spool

import "path/filepath"

// Dir is the spool folder.
func (s *Spool) Dir() string { return s.o.Dir }

// RequestName gives the name under which a request to the worker is Put; id is
// an event's or one of that form.
func RequestName(id string) string { return "req-" + id + ".req" }

// Peek reads a file that Waiting named, without the lock. It may be gone by
// now: fs.ErrNotExist.
func (s *Spool) Peek(f File) ([]byte, error) {
	path, sub := s.o.Dir, string(f.Folder)
	switch f.Folder {
	case InOverflow:
		path, sub = s.o.Overflow, newName
	case InDrop:
		path, sub = filepath.Join(s.o.Dir, dropName), newName
	}
	root, err := openFolder(path, s.fault)
	if err != nil {
		return nil, err
	}
	defer root.close()
	d, err := root.folder(sub)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.read(f.Name)
}
