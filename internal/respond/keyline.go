package respond

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/passwd"
)

// KeyLine is a line of somebody's authorized_keys that lets a key in.
type KeyLine struct {
	User     string    `json:"user"`
	File     string    `json:"file"`
	Line     int       `json:"line"`
	Options  string    `json:"options,omitempty"`
	Comment  string    `json:"comment,omitempty"`
	Modified time.Time `json:"modified"` // the file
	Key      string    `json:"key"`      // as in a .pub file, without its comment
}

// keyLines finds who may log in with a key, in the files where sshd looks by default
// and those that its settings name.
func (h Host) keyLines(fingerprint string) (out []KeyLine) {
	found, _ := within(patience, func() (found []KeyLine) {
		patterns := h.keyFiles()
		passwd.Find(passwd.ReadFile(h.path("/etc/passwd")), func(u passwd.User) bool {
			for _, p := range patterns {
				p = strings.NewReplacer("%%", "%", "%h", u.Home, "%u", u.Name).Replace(p)
				if !filepath.IsAbs(p) {
					p = filepath.Join(u.Home, p)
				}
				if filepath.IsAbs(p) {
					found = append(found, h.linesOf(p, u.Name, fingerprint)...)
				}
			}
			return false
		})
		return found
	})
	return append(out, found...)
}

// keyFiles are the patterns of sshd_config(5), AuthorizedKeysFile.
func (h Host) keyFiles() []string {
	var own []string
	names, _ := filepath.Glob(h.path("/etc/ssh/sshd_config.d/*.conf"))
	for _, name := range append(names, h.path("/etc/ssh/sshd_config")) {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(strings.Replace(line, "=", " ", 1))
			if len(f) > 1 && strings.EqualFold(f[0], "AuthorizedKeysFile") {
				own = append(own, f[1:]...)
			}
		}
	}
	if len(own) > 0 {
		return own
	}
	return []string{".ssh/authorized_keys", ".ssh/authorized_keys2"}
}

func (h Host) linesOf(name, user, fingerprint string) (out []KeyLine) {
	info, err := os.Stat(h.path(name))
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	text := h.text(name, 1<<20)
	n := 0
	for line := range strings.Lines(text) {
		n++
		// By the key itself: the same text may stand in another one's command.
		key, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || ssh.FingerprintSHA256(key) != fingerprint {
			continue
		}
		out = append(out, KeyLine{
			User: event.Clean(user, maxWord), File: event.Clean(name, maxWord), Line: n, Modified: info.ModTime().UTC(),
			Options: event.Clean(strings.Join(options, ","), maxWord), Comment: event.Clean(comment, 64),
			Key: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))),
		})
	}
	return out
}

// Change is a file that somebody made or changed since a time, by the kernel's word:
// nobody sets the time of a change of a file's inode.
type Change struct {
	File    string    `json:"file"`
	Changed time.Time `json:"changed"`
	UID     int       `json:"uid"`
	Mode    string    `json:"mode"`
}

// maxChanges bounds how many are shown.
const maxChanges = 200

// changes finds what keeps somebody in, and was changed since a time.
func (h Host) changes(since time.Time) (out []Change) {
	add := func(name string, info fs.FileInfo) {
		if at, uid, ok := changed(info); ok && !at.Before(since) && len(out) < maxChanges {
			rel := "/" + strings.TrimPrefix(strings.TrimPrefix(name, h.path("/")), "/")
			out = append(out, Change{event.Clean(rel, maxWord), at.UTC(), uid, info.Mode().String()})
		}
	}
	each := func(pattern string, want func(fs.FileInfo) bool) {
		names, _ := filepath.Glob(h.path(pattern))
		for _, name := range names {
			if info, err := os.Lstat(name); err == nil && !info.IsDir() && want(info) {
				add(name, info)
			}
		}
	}
	always := func(fs.FileInfo) bool { return true }
	for _, pattern := range []string{
		"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/sudoers", "/etc/sudoers.d/*", "/etc/ld.so.preload", "/etc/crontab", "/etc/cron.*/*", "/var/spool/cron/crontabs/*",
		"/var/spool/cron/*", "/var/spool/cron/atjobs/*", "/etc/systemd/system/*", "/etc/systemd/system/*/*", "/run/systemd/system/*", "/usr/lib/systemd/system/*",
		"/etc/ssh/*", "/etc/ssh/sshd_config.d/*", "/etc/pam.d/*", "/etc/profile", "/etc/profile.d/*", "/etc/rc.local", "/var/lib/systemd/linger/*",
	} {
		each(pattern, always)
	}
	suid := func(i fs.FileInfo) bool { return i.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 && i.Mode().IsRegular() }
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		each(dir+"/*", suid)
		each(dir+"/.*", suid)
	}
	homes := map[string]bool{}
	passwd.Find(passwd.ReadFile(h.path("/etc/passwd")), func(u passwd.User) bool {
		if u.Home != "/" && filepath.IsAbs(u.Home) && !homes[u.Home] && !strings.ContainsAny(u.Home, "*?[\\") {
			homes[u.Home] = true
			for _, p := range []string{".ssh/*", ".config/systemd/user/*", ".config/autostart/*", ".bashrc", ".profile", ".bash_profile", ".bash_logout", ".zshrc", ".config/fish/config.fish"} {
				each(filepath.Join(u.Home, p), always)
			}
		}
		return false
	})
	return out
}
