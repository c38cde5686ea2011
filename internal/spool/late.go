package spool

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/event"
)

// PutOverflow is Put into the overflow alone. It does not look at Dir, which may
// be on a file system that does not answer.
func (s *Spool) PutOverflow(name string, data []byte) (where string, err error) {
	if !ValidName(name) || len(data) > event.MaxSize {
		return "", &fs.PathError{Op: "put", Path: name, Err: syscall.EINVAL}
	}
	if !s.o.Host || s.o.Overflow == "" {
		return "", errors.New("this spool has no overflow")
	}
	blind := *s
	blind.o.Dir = "" // whose group would be asked
	over, err := blind.makeOverflow()
	if err != nil {
		return "", err
	}
	defer over.close()
	return s.o.Overflow, s.publish(over, name, data, s.over)
}
