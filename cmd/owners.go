package cmd

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/login"
)

// How much of an authorized_keys file is read, and of a comment shown.
const (
	maxAuthorizedKeys = 1 << 20
	maxComment        = 64
)

// owners knows whose key a login was made with: from [people], else from the
// comment beside the key in the account's authorized_keys, where that can be
// read. A host's service sees no home, and knows [people] only.
type owners struct {
	people map[string]string // by fingerprint

	mu   sync.Mutex
	kept map[string]comments // by file
}

// comments are those of one authorized_keys file, by fingerprint.
type comments struct {
	at   time.Time // the file's
	size int64
	of   map[string]string
}

func newOwners(c config.Config) *owners {
	o := &owners{people: make(map[string]string), kept: make(map[string]comments)}
	for name, p := range c.People {
		for _, k := range p.Keys {
			o.people[k] = name
		}
	}
	return o
}

// of gives the owner of a login's key, or nothing.
func (o *owners) of(e event.Event) string {
	key := e.Auth.Fingerprint
	if key == "" {
		return ""
	}
	if name := o.people[key]; name != "" {
		return name
	}
	home := login.Live().HomeOf(e.User)
	if !filepath.IsAbs(home) {
		return ""
	}
	return o.comment(filepath.Join(home, ".ssh/authorized_keys"), key)
}

func (o *owners) comment(file, key string) string {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxAuthorizedKeys {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	c, known := o.kept[file]
	if !known || !c.at.Equal(info.ModTime()) || c.size != info.Size() {
		c = comments{info.ModTime(), info.Size(), readComments(file)}
		o.kept[file] = c
	}
	return c.of[key]
}

func readComments(file string) map[string]string {
	// O_NONBLOCK: a regular file a moment ago may be a FIFO by now.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(f, maxAuthorizedKeys)); err != nil {
		return nil
	}
	return parseComments(b.Bytes())
}

// parseComments reads sshd(8)'s authorized_keys format.
func parseComments(text []byte) map[string]string {
	out := make(map[string]string)
	for len(text) > 0 {
		key, comment, _, rest, err := ssh.ParseAuthorizedKey(text)
		if err != nil {
			break // nothing but comments and what is no key is left
		}
		if comment = event.Clean(comment, maxComment); comment != "" {
			out[ssh.FingerprintSHA256(key)] = comment
		}
		text = rest
	}
	return out
}
