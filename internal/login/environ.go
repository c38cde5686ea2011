package login

import (
	"os"
	"slices"
	"strings"
)

// maxEnviron is more than an environment can have: Linux allows arguments and
// environment 6 MiB together (three quarters of _STK_LIM, see execve(2)).
const maxEnviron = 8 << 20

// Env is an environment as the kernel handed it over: in order, and with keys
// that occur twice. It is read-only, and safe for concurrent use.
type Env struct{ list []string }

// ParseEnviron reads the form of /proc/PID/environ, see proc(5): entries that
// end in NUL. What has no "=" after at least one character is left out.
func ParseEnviron(raw []byte) Env {
	return FromStrings(strings.Split(string(raw), "\x00"))
}

// FromStrings takes KEY=VALUE entries in order.
func FromStrings(entries []string) Env {
	env := Env{list: make([]string, 0, len(entries))}
	for _, entry := range entries {
		if strings.IndexByte(entry, '=') > 0 {
			env.list = append(env.list, entry)
		}
	}
	return env
}

// Last returns the value of the last entry with the key. pam_exec appends its own
// after whatever a user got into the environment.
func (e Env) Last(key string) (string, bool) {
	for _, entry := range slices.Backward(e.list) {
		if k, v, _ := strings.Cut(entry, "="); k == key {
			return v, true
		}
	}
	return "", false
}

func (e Env) last(key string) string {
	v, _ := e.Last(key)
	return v
}

// pam reports whether pam_exec made this environment.
func (e Env) pam() bool {
	for _, key := range []string{"PAM_TYPE", "PAM_SERVICE", openPAMType} {
		if _, ok := e.Last(key); ok {
			return true
		}
	}
	return false
}

// foreignRHost reports whether the environment ends as pam_exec ends it for
// sshd, but with no PAM_RHOST there: then sshd set none, as for a login over
// vsock, and one that stands further up is a user's. pam_exec appends
// PAM_SERVICE, PAM_USER, PAM_TTY, PAM_RHOST, PAM_RUSER and PAM_TYPE, in this
// order and without those that are not set.
func (e Env) foreignRHost() bool {
	_, set := e.Last("PAM_RHOST")
	return set && (e.endsWith("PAM_SERVICE", "PAM_USER", "PAM_TTY", "PAM_TYPE") ||
		e.endsWith("PAM_SERVICE", "PAM_USER", "PAM_TTY", "PAM_RUSER", "PAM_TYPE"))
}

func (e Env) endsWith(keys ...string) bool {
	if len(e.list) < len(keys) {
		return false
	}
	for i, entry := range e.list[len(e.list)-len(keys):] {
		if key, _, _ := strings.Cut(entry, "="); key != keys[i] {
			return false
		}
	}
	return true
}

// ReadEnviron returns the hook's environment. Go's own view of it will not do: it
// keeps the first of two entries with the same key, which is the one that a
// user can set. That view is only taken where /proc can't be read; then raw is
// false.
func ReadEnviron(h Host) (env Env, raw bool) {
	b, err := readFile(h.path("proc/self/environ"), maxEnviron)
	if err == nil && len(b) > 0 {
		return ParseEnviron(b), true
	}
	environ := h.Environ
	if environ == nil {
		environ = os.Environ
	}
	return FromStrings(environ()), false
}
