package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Places is all that the default places depend on. Under PAM the environment
// is a stranger's: there the caller leaves the XDG values out and takes Home
// from the password file.
type Places struct {
	UID           int    // 0: the host's places
	Home          string // of the user
	XDGConfigHome string // $XDG_CONFIG_HOME
	XDGStateHome  string // $XDG_STATE_HOME
	MachineID     string // contents of /etc/machine-id; where there is none, the host's name
}

// ConfigFile is the default settings file. Like all places, it is empty for a
// user whose home is not known.
func (p Places) ConfigFile() string {
	if p.UID == 0 {
		return "/etc/sshnotify/config.toml"
	}
	return p.under(p.XDGConfigHome, ".config", "config.toml")
}

// SpoolDir is the default folder of waiting events.
func (p Places) SpoolDir() string {
	if p.UID == 0 {
		return "/var/spool/sshnotify"
	}
	return p.under(p.XDGStateHome, ".local/state", p.machine(), "spool")
}

// StateDir is the default folder of what is remembered.
func (p Places) StateDir() string {
	if p.UID == 0 {
		return "/var/lib/sshnotify"
	}
	return p.under(p.XDGStateHome, ".local/state", p.machine())
}

// under follows the XDG base directory specification: a path that is not
// absolute counts as not set.
func (p Places) under(xdg, fallback string, parts ...string) string {
	if !filepath.IsAbs(xdg) {
		if !filepath.IsAbs(p.Home) {
			return ""
		}
		xdg = filepath.Join(p.Home, fallback)
	}
	return filepath.Join(append([]string{xdg, "sshnotify"}, parts...)...)
}

// machine names this machine's folder in a home that several may share.
// machine-id(5) asks that the id be shown to nobody as it is, and be hashed
// with it as the key.
func (p Places) machine() string {
	mac := hmac.New(sha256.New, []byte(strings.TrimSpace(p.MachineID)))
	mac.Write([]byte("sshnotify"))
	return hex.EncodeToString(mac.Sum(nil)[:4])
}

// Find returns the default settings file, and whether there is one to Load. If
// not, Default holds. A file that can't be looked at, and a conf.d without a
// config.toml, count as settings, so that Load says what is wrong with them.
func Find(p Places) (path string, ok bool) {
	path = p.ConfigFile()
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
