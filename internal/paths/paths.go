// Package paths owns where sshnotify's files are by default: the host's places
// for root, and each user's own. It must never look at a settings file, which
// may name others.
package paths

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// User is all that the default paths depend on. Under PAM the environment is a
// stranger's: there the caller leaves the XDG values out and takes Home from
// the password file.
type User struct {
	UID           int    // 0: the host's paths
	Home          string // of the user
	XDGConfigHome string // $XDG_CONFIG_HOME
	XDGStateHome  string // $XDG_STATE_HOME
	MachineID     string // contents of /etc/machine-id; where there is none, the host's name
}

// Of returns the user who runs a command, by what getenv says of it.
func Of(uid int, getenv func(string) string) User {
	return User{
		UID: uid, Home: getenv("HOME"),
		XDGConfigHome: getenv("XDG_CONFIG_HOME"), XDGStateHome: getenv("XDG_STATE_HOME"),
		MachineID: MachineID(),
	}
}

// Absolute returns a path that means the same to a worker, which runs in /, and
// by which what is remembered of a spool is found again. An empty one stays so.
func Absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// ConfigFile is the default settings file. Like all paths, it is empty for a
// user whose home is not known.
func (u User) ConfigFile() string {
	if u.UID == 0 {
		return "/etc/sshnotify/config.toml"
	}
	return u.under(u.XDGConfigHome, ".config", "config.toml")
}

// SpoolDir is the default folder of waiting events.
func (u User) SpoolDir() string {
	if u.UID == 0 {
		return "/var/spool/sshnotify"
	}
	return u.under(u.XDGStateHome, ".local/state", u.machine(), "spool")
}

// StateDir is the default folder of what is remembered.
func (u User) StateDir() string {
	if u.UID == 0 {
		return "/var/lib/sshnotify"
	}
	return u.under(u.XDGStateHome, ".local/state", u.machine())
}

// under follows the XDG base directory specification: a path that is not
// absolute counts as not set.
func (u User) under(xdg, fallback string, parts ...string) string {
	if !filepath.IsAbs(xdg) {
		if !filepath.IsAbs(u.Home) {
			return ""
		}
		xdg = filepath.Join(u.Home, fallback)
	}
	return filepath.Join(append([]string{xdg, "sshnotify"}, parts...)...)
}

// machine names this machine's folder in a home that several may share.
// machine-id(5) asks that the id be shown to nobody as it is, and be hashed
// with it as the key.
func (u User) machine() string {
	mac := hmac.New(sha256.New, []byte(strings.TrimSpace(u.MachineID)))
	mac.Write([]byte("sshnotify"))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

// MachineID returns what tells this machine from others with which it may share
// a home: see machine-id(5).
func MachineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"} {
		if b, err := os.ReadFile(path); err == nil && len(strings.TrimSpace(string(b))) > 0 {
			return string(b)
		}
	}
	name, _ := os.Hostname() // an empty one is a name like any other
	return name
}
