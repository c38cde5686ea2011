package source

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

// maxTurns bounds how many rotated files are taken up at once.
const maxRotated = 400

// maxDone is how many files are remembered that were read to their end.
const maxDone = 16

// look compares what is at the path with what is followed.
func (s *file) look(now time.Time) {
	s.looked = now
	info, err := os.Stat(s.opt.Path)
	s.absent = err != nil
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w: it is a %s", s.opt.Path, errNotPlain, kindOf(info.Mode()))
	}
	if err != nil {
		s.missing(err)
		return
	}
	if !s.resolved {
		s.resume() // and that looks again
		return
	}
	s.gone = 0
	i := s.index(identity(info))
	if i < 0 {
		if !s.open() {
			return
		}
		i = len(s.files) - 1
	} else if i < len(s.files)-1 {
		// It was renamed, and then renamed back.
		f := s.files[i]
		f.replaced = time.Time{}
		s.files = append(slices.Delete(s.files, i, i+1), f)
		i = len(s.files) - 1
	}
	if !s.files[i].failing && s.keep.trouble(true, true, nil) {
		s.opt.Log.Info("can be read again", "path", s.opt.Path)
	}
	s.observe(s.files[i].Real)
}

// index is which of the files is dev and ino, -1 if none.
func (s *file) index(dev, ino uint64) int {
	return slices.IndexFunc(s.files, func(f *follow) bool { return !f.still && f.Dev == dev && f.Ino == ino })
}

// open follows the file that is at the path now, after what was rotated since
// the last look.
func (s *file) open() bool {
	data, err := openPlain(s.opt.Path)
	if err != nil {
		s.missing(err)
		return false
	}
	info, err := data.Stat()
	if err != nil {
		data.Close()
		s.missing(err)
		return false
	}
	dev, ino := identity(info)
	if s.index(dev, ino) >= 0 {
		data.Close()
		return true // it was put back between two calls
	}
	if n := len(s.files); n > 0 && !s.files[n-1].still {
		old := s.files[n-1]
		if was, err := old.info(); err == nil {
			if unlinked(was) && old.drained() && old.holds(data) {
				// An editor wrote it anew, with all that it had.
				p := old.fileID
				p.Dev, p.Ino, p.Real = dev, ino, resolve(s.opt.Path)
				if f, err := newFollow(s.opt.Name, data, p); err == nil {
					old.close()
					s.files[n-1] = f
					return true
				}
			}
			s.between(later(was.ModTime(), old.Began))
		}
	}
	off := int64(0)
	if s.begin != nil && s.begin.Dev == dev && s.begin.Ino == ino {
		off = s.begin.Off
	}
	s.begin = nil
	s.opt.Log.Debug("a new file", "path", s.opt.Path, "inode", ino)
	return s.follow(data, s.opt.Path, off) != nil
}

// between follows what was rotated after t and never read.
func (s *file) between(t time.Time) {
	for range maxRotated {
		data, r := s.unread(t)
		if data == nil {
			return
		}
		f := s.follow(data, r.path, 0)
		if f == nil {
			return
		}
		f.Dev, f.Ino, f.First, f.Real, f.still = r.dev, r.ino, r.ino, r.path, r.gzip
	}
}

// overrun reports whether file i, of which nothing was read, had lines that were
// copied and truncated since the last look.
func (s *file) overrun(i int) bool {
	f := s.files[i]
	if f.still || i < len(s.files)-1 || f.split.next > 0 {
		return false
	}
	info, err := f.info()
	if err != nil || info.ModTime().Equal(f.mtime) {
		return false
	}
	f.mtime = time.Time{} // for load: it must look
	data, _ := s.unread(f.since)
	if data != nil {
		data.Close()
	}
	return data != nil
}

// truncated goes on with file i, which holds no longer what was read of it: with
// the copy that was made before, if there is one, and then from its start.
func (s *file) truncated(i int, b *Batch) {
	old := s.files[i]
	newer := slices.Clone(s.files[i+1:])
	s.files = s.files[:i]
	s.unsaved = true
	if old.still {
		s.lost(old.fileID)
		old.close()
		s.files = append(s.files, newer...)
		return
	}
	rest, r, err := s.find(old.fileID, old.since)
	switch {
	case err == nil && r.ino == old.Ino && r.dev == old.Dev:
		// Only the line that was not complete is gone.
		old.close()
		s.files = append(append(s.files, rest), newer...)
		return
	case err == nil:
		rest.still = true
		s.files = append(s.files, rest)
		s.between(later(r.mtime, old.Began))
	default:
		old.split.flush(b)
		b.from = old.key(s.opt.Name)
		s.lost(old.fileID)
		s.between(old.Began)
	}
	if f := s.follow(old.data, old.Real, 0); f != nil {
		f.Real = old.Real
	}
	s.files = append(s.files, newer...)
}

// copied reports whether there is a copy of p's file, be it shorter than what was
// read.
func copied(p fileID, path string) bool {
	for _, r := range candidates(p, path) {
		data, err := r.open()
		if err != nil {
			continue
		}
		same := p.begins(data)
		data.Close()
		if same {
			return true
		}
	}
	return false
}

// lost says that what was written after p is nowhere to be found, unless there
// is a copy that was made before p was reached: then nothing was.
func (s *file) lost(p fileID) {
	s.finish(p)
	if p.HeadLen == 0 || copied(p, s.opt.Path) {
		return
	}
	s.opt.Log.Warn("the file was truncated or is gone: what was written to it after the position is lost",
		"path", p.Real, "position", p.Off, "inode", p.Ino)
	s.keep.note(func(st *Status) { st.Lost++ })
}

// finished reports whether nothing more is to be expected of file i, which was
// read to its end.
func (s *file) finished(i int, now time.Time) bool {
	f := s.files[i]
	if f.still {
		return true
	}
	over := s.absent
	if i < len(s.files)-1 {
		over = slices.ContainsFunc(s.files[i+1:], func(n *follow) bool { return n.split.next > 0 || n.size() > 0 })
	} else if over {
		info, err := f.info()
		over = err == nil && unlinked(info)
	}
	if !over {
		f.replaced = time.Time{}
		return false
	}
	if f.replaced.IsZero() {
		f.replaced = now
		f.buf, f.r, f.w = nil, 0, 0 // there may be many
	}
	return now.Sub(f.replaced) >= s.opt.grace || i < len(s.files)-maxFiles
}

// leave lets go of file i, which was read to its end.
func (s *file) leave(i int) {
	f := s.files[i]
	f.close()
	s.files = slices.Delete(s.files, i, i+1)
	s.finish(f.fileID)
	s.unsaved = true
}

// finish remembers a file by its beginning.
func (s *file) finish(p fileID) {
	s.done = append(s.done, p)
	s.done = slices.Clone(s.done[max(0, len(s.done)-maxDone):]) // positions have the old one
}

// snapshot is the position after all lines that were given.
func (s *file) snapshot() position {
	pos := position{Gen: s.gen, Done: s.done, At: time.Now()}
	for _, f := range s.files {
		pos.Files = append(pos.Files, f.fileID)
	}
	return pos
}

// observe has the system tell when the file at path changes.
func (s *file) observe(path string) {
	if s.watcher == nil || s.watched == path && !s.unsaved {
		return
	}
	if s.watched != "" {
		s.watcher.Remove(s.watched)
	}
	s.watched = path
	if s.watcher.Add(path) != nil {
		s.watched = ""
	}
}

// key is what the keys of the file's lines begin with.
func (f *follow) key(name string) string {
	return name + "\x00" + strconv.FormatUint(f.First, 10) + "\x00" + strconv.FormatInt(f.Gen, 10)
}
