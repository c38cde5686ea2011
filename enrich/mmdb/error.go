package mmdb

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sshnotify/sshnotify/internal/event"
)

// FileError says what is wrong with a file, and what to do about it.
type FileError struct {
	Path    string
	Problem string
	hint    string
	Err     error // what the system or the reader said; may be nil
}

func (e *FileError) Error() string {
	if e.Err == nil || e.Err == fs.ErrNotExist || e.Err == fs.ErrPermission { // which Problem says
		return e.Path + ": " + e.Problem
	}
	return e.Path + ": " + e.Problem + ": " + event.Clean(e.Err.Error(), maxDetail)
}

// Unwrap returns what the system or the reader said.
func (e *FileError) Unwrap() error { return e.Err }

// Hint is what to do about it, for a person.
func (e *FileError) Hint() string { return e.hint }

// maxDetail is how much is shown of an error that quotes the file, in
// characters.
const maxDetail = 160

var (
	errNoFile = errors.New("it is not a regular file")
	errEmpty  = errors.New("it is empty")
	errTooBig = errors.New("it is larger than a database can be here")
	errGzip   = errors.New("it is compressed")
	errZip    = errors.New("it is an archive")
	errHTML   = errors.New("it is a web page")
)

// otherKind is a file that holds nothing of use.
type otherKind struct{ kind string }

func (e *otherKind) Error() string { return fmt.Sprintf("it is of the type %q", e.kind) }

// otherFormat knows what is often found in a database's place.
func otherFormat(data []byte) error {
	switch {
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return errGzip
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return errZip
	case bytes.HasPrefix(data, []byte("<")):
		return errHTML
	}
	return nil
}

const replaceHint = "get it again; write it beside the old one and rename it, as geoipupdate does"

// damaged is about a file that was opened and does not hold what it says.
func damaged(path string, err error) error {
	if errors.Is(err, errChanged) {
		return explain(path, err)
	}
	return &FileError{path, "the file is damaged", replaceHint, err}
}

// explain says why a file can't be used.
func explain(path string, err error) error {
	e := &FileError{Path: path, Err: err}
	_, isKind := errors.AsType[*otherKind](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Problem, e.hint, e.Err = "there is no such file", "download it, or correct the path in the settings", fs.ErrNotExist
	case errors.Is(err, fs.ErrPermission):
		e.Problem, e.hint, e.Err = "it can't be read", "let sshnotify's user read it: chmod o+r "+path, fs.ErrPermission
	case errors.Is(err, errNoFile), errors.Is(err, errEmpty), errors.Is(err, errTooBig):
		e.Problem, e.hint = "no database", "correct the path in the settings, or download the file again"
	case errors.Is(err, errGzip), errors.Is(err, errZip):
		e.Problem, e.hint = "no database", "unpack it, and name the .mmdb file that is in it"
	case errors.Is(err, errHTML):
		e.Problem, e.hint = "no database", "download it again; the licence key may be missing"
	case isKind:
		e.Problem, e.hint = "nothing in it can be used", "name a file with countries, cities, networks (ASN) or anonymous addresses"
	case errors.Is(err, errChanged):
		e.Problem, e.hint = "the file is being rewritten", "write it beside the old one and rename it, as geoipupdate does"
	default:
		e.Problem, e.hint = "no MaxMind DB, or a damaged one", replaceHint
	}
	return e
}
