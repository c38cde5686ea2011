package netlist

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// maxBytes bounds a list: a million lines of IPv4.
const maxBytes = 16 << 20

// file is a list that somebody else writes.
type file struct {
	path    string
	seen    os.FileInfo // of what was read last, good or bad
	problem error
}

// load reads the file if it is not what was read last. What can't be read
// leaves the old state in use.
func (f *file) load() outcome {
	text, info, err := readIfChanged(f.path, f.seen)
	if errors.Is(err, errUnchanged) {
		return outcome{problem: f.problem}
	}
	f.seen, f.problem = info, nil
	var l *list
	if err == nil {
		l, err = parse(text)
	}
	if err != nil {
		f.problem = explainFile(f.path, err)
		return outcome{problem: f.problem}
	}
	return outcome{list: l, asOf: info.ModTime()}
}

// fetch has nothing to get.
func (f *file) fetch(context.Context) outcome { return outcome{problem: f.problem} }

var (
	errUnchanged = errors.New("unchanged")
	errNoFile    = errors.New("it is not a regular file")
	errTooBig    = errors.New("it is larger than 16 MiB")
	errTorn      = errors.New("it changed while it was read")
)

// readIfChanged returns a file's text, unless it is the one that was seen.
func readIfChanged(path string, seen os.FileInfo) (string, os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, err
	}
	if seen != nil && isSame(info, seen) {
		return "", info, errUnchanged
	}
	// Whoever put a FIFO there would have us wait.
	in, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", info, err
	}
	defer in.Close()
	if info, err = in.Stat(); err != nil {
		return "", nil, err
	}
	if !info.Mode().IsRegular() {
		return "", info, errNoFile
	}
	if info.Size() > maxBytes {
		return "", info, errTooBig
	}
	text, err := io.ReadAll(io.LimitReader(in, maxBytes+1))
	if err != nil {
		return "", info, err
	}
	if len(text) > maxBytes {
		return "", info, errTooBig
	}
	if after, err := in.Stat(); err != nil || !isSame(info, after) {
		return "", nil, errTorn // and read anew by the next look
	}
	return string(text), info, nil
}

// isSame reports whether nothing has happened to a file in between.
func isSame(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
