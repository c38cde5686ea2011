package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// maxLinks bounds the links followed in one path, as Linux does
// (path_resolution(7)).
const maxLinks = 40

var errLoop = errors.New("too many links")

// resolve follows every link in p, an absolute target being taken from Root,
// and gives a path of the host without links. What does not exist is kept as
// it is written.
func (h Host) resolve(p string) (string, error) {
	done := "/"
	todo := parts(p)
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if name == ".." {
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, name)
		fi, err := os.Lstat(h.real(next))
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			// Nothing there can be a link. Where a folder is a file, opening
			// the path says so.
			done = next
			continue
		case err != nil:
			return "", h.plain(err)
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: %w", p, errLoop)
		}
		target, err := os.Readlink(h.real(next))
		if err != nil {
			return "", h.plain(err)
		}
		if path.IsAbs(target) {
			done = "/"
		}
		todo = append(parts(target), todo...)
	}
	return done, nil
}

func parts(p string) []string {
	var out []string
	for s := range strings.SplitSeq(p, "/") {
		if s != "" && s != "." {
			out = append(out, s)
		}
	}
	return out
}

// plain takes Root out of the path that an error of the system names.
func (h Host) plain(err error) error {
	var (
		p  string
		pe *fs.PathError
		le *os.LinkError
	)
	switch {
	case errors.As(err, &pe):
		p, err = pe.Path, pe.Err
	case errors.As(err, &le):
		p, err = le.New, le.Err
	default:
		return err
	}
	if !h.live() {
		p = "/" + strings.TrimPrefix(strings.TrimPrefix(p, h.real("/")), "/")
	}
	return fmt.Errorf("%s: %w", p, err)
}
