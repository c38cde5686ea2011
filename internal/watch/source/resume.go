package source

import (
	"bytes"
	"os"
	"slices"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// resume takes up the position, or begins where there is none. It leaves
// s.resolved false where it can't tell yet.
func (s *file) resume() {
	pos := s.keep.position()
	s.gen, s.done = pos.Gen, pos.Done
	if len(pos.Files) == 0 && pos.Gen == 0 {
		s.resolved = true
		s.start()
		return
	}
	probe, noPath := openPlain(s.opt.Path)
	if noPath == nil {
		probe.Close()
	}
	path := resolve(s.opt.Path)
	newest, atPath := pos.At, false
	var lost []fileID
	for _, p := range pos.Files {
		f, r, err := s.find(p, pos.At)
		switch {
		case err == nil:
			s.files = append(s.files, f)
			newest, atPath = later(r.mtime, p.Began), r.path == path
		case noPath != nil: // it may be the one that can't be looked at
			for _, f := range s.files {
				f.close()
			}
			s.files = nil
			s.missing(noPath)
			return
		default:
			lost, atPath = append(lost, p), false
		}
	}
	s.resolved = true
	for _, p := range lost {
		s.lost(p)
	}
	if !atPath {
		s.between(newest)
	}
	s.look(time.Now())
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// find looks for p's file, to go on with it; since is when it was as p says.
func (s *file) find(p fileID, since time.Time) (*follow, rotated, error) {
	path := resolve(s.opt.Path)
	data, r, err := search(p, s.opt.Path)
	if err != nil {
		return nil, r, err
	}
	copied := r.ino != p.Ino && r.path != path
	if r.path == path && p.HeadLen == 0 {
		// Nothing had been read of it, so that any file would fit. If one was
		// made since by copying and truncating, that is what it was.
		if c, other := s.unread(since); c != nil {
			data.Close()
			data, r, copied = c, other, true
		}
	}
	p.Dev, p.Ino, p.Real = r.dev, r.ino, r.path
	f, err := newFollow(s.opt.Name, data, p)
	if err != nil {
		data.Close()
		return nil, r, err
	}
	f.still = r.gzip || copied
	f.since = since
	return f, r, nil
}

// clockSlack is how much earlier the times of files may be than those of
// time.Now: the kernel takes them from its last tick.
const clockSlack = 20 * time.Millisecond

// unread opens the oldest of what was rotated after since and is neither being
// read nor was read, and returns nil if there is none.
func (s *file) unread(since time.Time) (content, rotated) {
	path := resolve(s.opt.Path)
	all := newerThan(path, since.Add(-clockSlack))
	if path != s.opt.Path {
		all = append(all, newerThan(s.opt.Path, since.Add(-clockSlack))...)
	}
	var dev, ino uint64
	if info, err := os.Stat(path); err == nil {
		dev, ino = identity(info)
	}
	for _, r := range all {
		if r.ino == ino && r.dev == dev ||
			slices.ContainsFunc(s.files, func(f *follow) bool { return f.Dev == r.dev && f.Ino == r.ino }) {
			continue
		}
		data, err := r.open()
		if err != nil {
			if s.keep.trouble(true, true, err) {
				s.opt.Log.Warn("what was rotated can't be read", "path", r.path, "error", err)
			}
			continue
		}
		if slices.ContainsFunc(s.done, func(p fileID) bool { return p.begins(data) }) {
			data.Close()
			continue
		}
		return data, r
	}
	return nil, rotated{}
}

// start begins with the file as it is, and no position.
func (s *file) start() {
	f, err := openPlain(s.opt.Path)
	if err != nil {
		if info, err := os.Stat(s.opt.Path); err == nil && !s.opt.FromStart {
			dev, ino := identity(info)
			s.begin = &fileID{Dev: dev, Ino: ino, Off: info.Size()}
		}
		s.missing(err)
		return
	}
	off := int64(0)
	if !s.opt.FromStart {
		off = lineStart(f)
	}
	s.follow(f, s.opt.Path, off)
	s.keep.trouble(true, true, nil)
}

// lineStart is where the last line begins that has no end yet.
func lineStart(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	from := max(0, info.Size()-line.MaxText)
	b, err := readAt(f, from, int(info.Size()-from))
	if i := bytes.LastIndexByte(b, '\n'); err == nil && i >= 0 {
		return from + int64(i) + 1
	}
	if from == 0 {
		return 0
	}
	return info.Size()
}

// follow adds a file that was not followed yet, as the newest.
func (s *file) follow(data content, path string, off int64) *follow {
	s.gen++
	p := fileID{Gen: s.gen, Real: resolve(path), Off: off}
	if f, ok := data.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			p.Dev, p.Ino = identity(info)
			p.Off = min(off, info.Size())
		}
	}
	p.First, p.Began = p.Ino, time.Now()
	f, err := newFollow(s.opt.Name, data, p)
	if err != nil {
		data.Close()
		s.missing(err)
		return nil
	}
	f.since = p.Began
	if info, err := f.info(); err == nil && info.Size() == 0 {
		f.mtime = info.ModTime()
	}
	s.files = append(s.files, f)
	s.unsaved = true
	return f
}
