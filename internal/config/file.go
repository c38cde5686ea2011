package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/paths"
)

// maxFile is the most bytes that are read of any file: far more than settings
// for a fleet need, and little enough to hold in memory.
const maxFile = 1 << 20

var (
	errNotRegular = errors.New("not a regular file")
	errTooLarge   = fmt.Errorf("larger than %d bytes", maxFile)
)

// readFile reads a regular file, following links, and gives the permissions of
// what it read. It does not wait, whatever path is. The error's text is
// without the path.
func readFile(path string) ([]byte, fs.FileMode, error) {
	// Looked at before it is opened: opening a FIFO sets its writer going, and
	// opening a device can do anything.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	// It may be another file by now, for which opening must not wait.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, bare(err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, 0, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, 0, bare(err)
	}
	if len(data) > maxFile {
		return nil, 0, errTooLarge
	}
	return data, info.Mode(), nil
}

// bare leaves the path off an error of package os.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// confD lists the files that are merged after the settings file at path, in
// the order of their names.
func confD(path string) ([]string, error) {
	dir := filepath.Join(filepath.Dir(path), "conf.d")
	entries, err := os.ReadDir(dir) // sorted
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{File: dir, Message: bare(err).Error(), Err: bare(err)}
	}
	var paths []string
	for _, e := range entries {
		// What editors leave behind while they work begins with a dot.
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// othersCanRead is about everybody who is neither the owner nor in the group.
func othersCanRead(mode fs.FileMode) bool { return mode&0o004 != 0 }

// closeToOthers is the command that ends that.
func closeToOthers(path string) string { return "chmod o-r " + shellWord(path) }

func shellWord(s string) string {
	plain := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+@%,:=", r))
	}
	if s != "" && s[0] != '-' && strings.IndexFunc(s, plain) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Find returns the default settings file, and whether there is one to Load. If
// not, Default holds. A file that can't be looked at, and a conf.d without a
// config.toml, count as settings, so that Load says what is wrong with them.
func Find(u paths.User) (path string, ok bool) {
	path = u.ConfigFile()
	if path == "" {
		return "", false
	}
	return path, found(path)
}

func found(path string) bool {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return true
	}
	more, err := confD(path)
	return err != nil || len(more) > 0
}
