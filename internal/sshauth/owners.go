package sshauth

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshnotify/sshnotify/internal/event"
)

// How much of an authorized_keys file is read, and of a comment shown.
const (
	maxAuthorizedKeys = 1 << 20
	MaxComment        = 64 // characters
)

// Owners knows whose key a login was made with: from the settings, else from
// the comment beside the key in the account's authorized_keys, where that can be
// read. Who tells of others' logins must ask for no home but its own: the comments
// are the users' words. Safe for concurrent use.
type Owners struct {
	people map[string]string        // names, by fingerprint
	home   func(user string) string // "" where it is not known

	mu   sync.Mutex
	kept map[string]comments // by file
}

// comments are those of one authorized_keys file, by fingerprint.
type comments struct {
	at   time.Time // the file's
	size int64
	of   map[string]string
}

// NewOwners returns the owners of keys: people are fingerprints by name, and
// home returns the home folder of a user, "" where it is not known.
func NewOwners(people map[string][]string, home func(user string) string) *Owners {
	o := &Owners{people: make(map[string]string), home: home, kept: make(map[string]comments)}
	for name, keys := range people {
		for _, k := range keys {
			o.people[k] = name
		}
	}
	return o
}

// Of returns the owner of a login's key, cleaned, or "".
func (o *Owners) Of(e event.Event) string {
	key := e.Login.Auth.Fingerprint
	if key == "" {
		return ""
	}
	if name := o.people[key]; name != "" {
		return name
	}
	home := o.home(e.User)
	if !filepath.IsAbs(home) {
		return ""
	}
	return o.comment(filepath.Join(home, ".ssh/authorized_keys"), key)
}

func (o *Owners) comment(file, key string) string {
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

// KeyFingerprint returns the fingerprint of what a person has at hand: a
// fingerprint itself, a line of authorized_keys or of a .pub file, or one of
// ssh-keygen -lf. A certificate's is that of the key in it, by which sshd logs
// it; that of an authority's key, which is nobody's, is "", as of all else.
func KeyFingerprint(s string) string {
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(s))
	switch {
	case err != nil:
		for _, word := range strings.Fields(s) {
			if IsFingerprint(word) {
				return word
			}
		}
		return ""
	case len(bytes.TrimSpace(rest)) > 0 || slices.Contains(options, "cert-authority"):
		return ""
	}
	if cert, ok := key.(*ssh.Certificate); ok {
		key = cert.Key
	}
	return ssh.FingerprintSHA256(key)
}

// IsFingerprint reports whether s has the form that sshd logs: a SHA-256 sum in
// base 64 without padding.
func IsFingerprint(s string) bool {
	sum, ok := strings.CutPrefix(s, "SHA256:")
	return ok && len(sum) == 43 && strings.Trim(sum, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/") == ""
}

// parseComments reads sshd(8)'s authorized_keys format.
func parseComments(text []byte) map[string]string {
	out := make(map[string]string)
	for len(text) > 0 {
		key, comment, _, rest, err := ssh.ParseAuthorizedKey(text)
		if err != nil {
			break // nothing but comments and what is no key is left
		}
		if comment = event.Clean(comment, MaxComment); comment != "" {
			out[ssh.FingerprintSHA256(key)] = comment
		}
		text = rest
	}
	return out
}
