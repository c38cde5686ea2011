package source

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// rotated is a file beside the one that is followed, whose name says that it
// was that file once.
type rotated struct {
	path     string
	dev, ino uint64
	mtime    time.Time
	gzip     bool
}

// turn is what rotation adds to a name: .1, -20261121, -2026-11-21-02,
// .2026-11-21T02:15:04, and .gz after it.
var turn = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[-._](?:\d[-_.:T\d]*)$`) })

// rotatedOf lists what path's writer, or logrotate, made of it, oldest first.
// What is compressed in another way than gzip is left out.
func rotatedOf(path string) []rotated {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var found []rotated
	for _, e := range entries {
		if !turnedFrom(base, e.Name()) {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		dev, ino := identity(info)
		found = append(found, rotated{filepath.Join(dir, e.Name()), dev, ino, info.ModTime(),
			strings.HasSuffix(e.Name(), ".gz")})
	}
	// While it compresses, logrotate has both.
	found = slices.DeleteFunc(found, func(r rotated) bool {
		return r.gzip && slices.ContainsFunc(found, func(o rotated) bool { return o.path+".gz" == r.path })
	})
	slices.SortStableFunc(found, func(a, b rotated) int { return a.mtime.Compare(b.mtime) })
	return found
}

// turnedFrom reports whether name is what base became when it was rotated, with
// logrotate's or savelog's numbers or dates before or after its extension.
func turnedFrom(base, name string) bool {
	name = strings.TrimSuffix(name, ".gz")
	if rest, ok := strings.CutPrefix(name, base); ok && turn().MatchString(rest) {
		return true
	}
	ext := filepath.Ext(base)
	if ext == "" || ext == base {
		return false
	}
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(base, ext))
	rest, ends := strings.CutSuffix(rest, ext)
	return ok && ends && turn().MatchString(rest)
}

// open opens what was rotated.
func (r rotated) open() (content, error) {
	if r.gzip {
		return openGzip(r.path)
	}
	return openPlain(r.path)
}

// newerThan lists what was rotated after t, oldest first.
func newerThan(path string, t time.Time) []rotated {
	return slices.DeleteFunc(rotatedOf(path), func(r rotated) bool { return r.mtime.Before(t) })
}

// search looks for the file that p is of: by its inode and what it holds, at
// its old place, at the path and among what was rotated; then by what it holds
// alone, which finds copies and what was compressed. The error is
// fs.ErrNotExist where it is nowhere, and fs.ErrPermission if it may be one
// that can't be read.
func search(p fileID, path string) (content, rotated, error) {
	all := candidates(p, path)
	none := fs.ErrNotExist
	for _, pass := range []struct {
		takes func(rotated) bool
		check func(io.ReaderAt) bool
	}{
		{func(r rotated) bool { return r.ino == p.Ino }, p.agrees},
		{func(r rotated) bool { return !r.gzip && r.ino != p.Ino }, p.holds},
		{func(r rotated) bool { return r.gzip }, p.holds},
	} {
		for _, r := range all {
			if !pass.takes(r) {
				continue
			}
			data, err := r.open()
			switch {
			case errors.Is(err, fs.ErrPermission):
				none = fs.ErrPermission
			case err != nil: // gone meanwhile, or no gzip
			case pass.check(data):
				return data, r, nil
			default:
				data.Close()
			}
		}
	}
	return nil, rotated{}, none
}

// candidates lists what may be p's file, the likeliest first.
func candidates(p fileID, path string) []rotated {
	places := []string{resolve(path)}
	if p.Real != "" && p.Real != places[0] {
		places = append(places, p.Real)
	}
	var all []rotated
	for _, at := range places {
		if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() {
			dev, ino := identity(info)
			all = append(all, rotated{at, dev, ino, info.ModTime(), strings.HasSuffix(at, ".gz")})
		}
	}
	if !slices.Contains(places, path) {
		places = append(places, path)
	}
	for _, at := range places {
		newest := rotatedOf(at)
		slices.Reverse(newest)
		all = append(all, newest...)
	}
	return append(all, renamed(p, filepath.Dir(p.Real))...)
}

// renamed returns p's file if it has any other name in dir.
func renamed(p fileID, dir string) []rotated {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if dev, ino := identity(info); ino == p.Ino {
			return []rotated{{filepath.Join(dir, e.Name()), dev, ino, info.ModTime(), strings.HasSuffix(e.Name(), ".gz")}}
		}
	}
	return nil
}

// resolve returns path without symbolic links, or path where there is nothing.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
