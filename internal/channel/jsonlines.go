package channel

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
)

// FileType is the channel's name in the settings.
const FileType = "file"

// File are the settings of a file of JSON Lines (https://jsonlines.org).
type File struct {
	Path string `toml:"path,required" check:"path" doc:"the file, which is made if it is missing; its folder must be there, and be the worker's user's own"`
}

// Words say that a line has a headline alone.
func (s *File) Words() (headline, text bool) { return true, false }

// Open returns the channel. The file is opened for each alert, so that whoever
// rotates it needs no signal.
func (s *File) Open(name string, _ Env) (Channel, error) {
	if !filepath.IsAbs(s.Path) {
		return nil, errors.New("no absolute path")
	}
	return &jsonLines{name, s.Path}, nil
}

type jsonLines struct{ name, path string }

func (f *jsonLines) Name() string   { return f.name }
func (f *jsonLines) Traits() Traits { return Traits{} }

// Send adds a line, and returns once it survives a power loss.
func (f *jsonLines) Send(ctx context.Context, a event.Alert) (event.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return nil, &Error{Class: Again, Err: err}
	}
	line, err := NewPayload(a).Bytes()
	if err != nil {
		return nil, &Error{Class: Bug, Err: err}
	}
	file, err := f.open()
	if err != nil {
		return nil, fileError(err)
	}
	defer file.Close()
	sent, err := appendLine(file, line)
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		e := fileError(err)
		e.Sent = sent
		return nil, e
	}
	return nil, nil
}

// filePerm lets a group read what is written, which the folder decides on.
const filePerm = 0o640

func (f *jsonLines) open() (*os.File, error) {
	dir, err := state.OwnFolder(filepath.Dir(f.path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	name := filepath.Base(f.path)
	file, err := dir.Open(name, os.O_RDWR|os.O_APPEND)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if file, err = dir.Open(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL); err != nil {
		return nil, err
	}
	if err = file.Chmod(filePerm); err == nil {
		err = state.SyncFolder(filepath.Dir(f.path)) // to keep the file's name
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// appendLine writes a line at once. Where a kill or a full disk has left a part
// of one, that is ended first. sent: it may stand there, and not be durable.
func appendLine(f *os.File, line []byte) (sent bool, err error) {
	line = append(line, '\n')
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if size := info.Size(); size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return false, err
		}
		if last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	if _, err := f.Write(line); err != nil {
		return false, err
	}
	return true, f.Sync()
}

// fileError classes what the operating system says: a disk may have room again.
func fileError(err error) *Error {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.EINTR, syscall.EAGAIN, syscall.ENOMEM, syscall.ESTALE} {
		if errors.Is(err, errno) {
			return &Error{Class: Again, Err: err}
		}
	}
	e := &Error{Class: Broken, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Hint = "make its folder, which must be the worker's user's own: sudo install -d -m 750 -o sshnotify FOLDER"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Hint = "let the service write there: systemctl edit sshnotify, and ReadWritePaths=FOLDER under [Service]"
	case errors.Is(err, state.ErrExposed):
		e.Hint = "name a folder of the worker's user's own that nobody else writes to: sudo install -d -m 750 -o sshnotify FOLDER"
	case errors.Is(err, state.ErrForeign):
		e.Hint = "path must be a plain file of the worker's user, or none yet"
	}
	return e
}

// Checks look whether the folder is there and nobody else's, and what stands in
// the file's place.
func (f *jsonLines) Checks() []doctor.Check {
	return []doctor.Check{{Run: func(_ context.Context, r *doctor.Report) {
		name, folder := "file "+f.name, filepath.Dir(f.path)
		dir, err := state.OpenFolder(folder)
		if err == nil {
			defer dir.Close()
			err = dir.Check(filepath.Base(f.path))
		}
		owner := "$USER"
		if r.Host {
			owner = "sshnotify"
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.Fail(name, "sudo install -d -m 750 -o "+owner+" "+folder, "there is no %s", folder)
		case errors.Is(err, state.ErrExposed):
			r.Fail(name, "name a folder of its own in path: sudo install -d -m 750 -o "+owner+" FOLDER", "%s is another user's, or others can write there, so nothing is written", folder)
		case errors.Is(err, state.ErrForeign):
			r.Fail(name, "sudo rm "+f.path, "%s is a link, no plain file, or another user's", f.path)
		case err != nil:
			r.Warn(name, r.Command("test"), "%v", err)
		default:
			r.OK(name, "%s can be written by its owner only", folder)
		}
	}}}
}
