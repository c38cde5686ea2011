package spool

import "path/filepath"

// Dir is the spool folder.
func (s *Spool) Dir() string { return s.o.Dir }

// RequestName returns the name under which a request to the worker is Put; id is
// an event's or one of that form.
func RequestName(id string) string { return "req-" + id + ".req" }

// Peek reads a file that Waiting named, without the lock. It may be gone by
// now: fs.ErrNotExist.
func (s *Spool) Peek(f File) ([]byte, error) {
	d, err := s.at(f.Folder)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.read(f.Name)
}

// at opens the folder that holds a file of Waiting's.
func (s *Spool) at(in Folder) (folder, error) {
	path, sub := s.place(in)
	root, err := openFolder(path, s.fault)
	if err != nil {
		return folder{}, err
	}
	defer root.close()
	return root.folder(sub)
}

// place returns a folder's path in two parts: links in the first are followed.
func (s *Spool) place(in Folder) (path, sub string) {
	switch in {
	case InOverflow:
		return s.o.Overflow, newName
	case InDrop:
		return filepath.Join(s.o.Dir, dropName), newName
	}
	return s.o.Dir, string(in)
}
