package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// ownFile checks a settings file of an account. That a secret in it can't be
// read by others is seen to where it is read.
func (x *examination) ownFile(name string) {
	var st syscall.Stat_t
	switch err := syscall.Stat(name, &st); {
	case err != nil:
		x.add("settings", install.Fail, "", "%s: %v", name, err)
	case int(st.Uid) != x.host.UID && st.Uid != 0:
		x.add("settings", install.Fail, "", "%s belongs to another user (uid %d)", name, st.Uid)
	case st.Mode&0o022 != 0:
		x.add("settings", install.Fail, "chmod go-w "+shellQuoted(name), "%s can be written by others (mode %04o)", name, st.Mode&0o7777)
	default:
		x.add("settings", install.OK, "", "%s", name)
	}
}

// shellLine writes a command to paste.
func shellLine(words ...string) string { return install.Command{Args: words}.String() }

func shellQuoted(word string) string { return shellLine(word) }

// secrets says which secrets were found: without one the settings are broken.
func (x *examination) secrets() {
	var found []string
	for _, d := range x.settings.Destinations {
		if d.WebhookURL.IsZero() {
			continue
		}
		found = append(found, "destination."+d.Name)
		if d.Type == config.DestinationSlack && !channel.KnownSlackHost(d.WebhookURL) {
			x.add("secrets", install.Warn, x.command("test"), "the webhook of destination.%s does not begin with https://hooks.slack.com/services/: right for a relay only", d.Name)
		}
	}
	for _, p := range x.settings.Providers {
		if !p.APIKey.IsZero() {
			found = append(found, "provider."+p.Name)
		}
	}
	if len(found) > 0 {
		x.add("secrets", install.OK, "", "there for %s", strings.Join(found, ", "))
	}
}

// How little free disk is worth a word, and how little is too little. An event
// is a file of some kilobytes.
const (
	littleDisk   = 100 << 20
	noDisk       = 4 << 20
	littleInodes = 1000
	noInodes     = 10
)

// folders checks that the spool and the state can be written, and that their
// disks have room.
func (x *examination) folders() {
	seen := map[int64]bool{} // a disk is told of once
	for _, f := range []struct{ name, dir string }{{"spool", x.spool}, {"state", x.state}} {
		// Root may write everywhere, but where nobody can.
		if err := unix.Access(f.dir, unix.W_OK|unix.X_OK); err != nil {
			hint := "ls -ld " + shellQuoted(f.dir)
			if err == unix.EROFS {
				hint = "mount -o remount,rw $(df --output=target " + shellQuoted(f.dir) + " | tail -n 1)"
			}
			x.add(f.name, install.Fail, hint, "%s can't be written: %v", f.dir, err)
			continue
		}
		x.add(f.name, install.OK, "", "%s can be written", f.dir)
		var st unix.Statfs_t
		if err := unix.Statfs(f.dir, &st); err != nil {
			x.add("disk space", install.Warn, "df -h "+shellQuoted(f.dir), "%s: %v", f.dir, err)
			continue
		}
		if kind := isAway(&st); kind != "" && f.name == "spool" {
			x.add("spool's file system", install.Warn, "a folder on a local disk: spool_dir in the settings, and --spool in the hook's line",
				"%s is on %s: while that does not answer, each login waits %v, and its event is kept in the overflow or the system log", f.dir, kind, hook.Patience)
		}
		// Two folders on one disk have the same numbers, and need one line.
		key := int64(st.Blocks)<<20 ^ int64(st.Files)
		if seen[key] {
			continue
		}
		seen[key] = true
		x.room(f.dir, int64(st.Bavail)*int64(st.Bsize), int64(st.Ffree), st.Files > 0)
	}
}

func (x *examination) room(dir string, free, inodes int64, counted bool) {
	state, hint := install.OK, "df -h "+shellQuoted(dir)
	text := fmt.Sprintf("%d MiB free for %s", free>>20, dir)
	switch {
	case free < noDisk:
		state = install.Fail
	case counted && inodes < noInodes:
		state, hint = install.Fail, "df -i "+shellQuoted(dir)
	case free < littleDisk:
		state = install.Warn
	case counted && inodes < littleInodes:
		state, hint = install.Warn, "df -i "+shellQuoted(dir)
	}
	if counted && inodes < littleInodes {
		text += fmt.Sprintf(", and room for %d files", inodes)
	}
	x.add("disk space", state, hint, "%s", text)
}

// dullNames are what machines are called that nobody gave a name.
var dullNames = regexp.MustCompile(`^(localhost|\(none\)|ip-\d+-\d+-\d+-\d+|ip\d+|vps-?[0-9a-f]*|vm-?\d*|[0-9a-f]{12}|ubuntu|debian|fedora|centos|alpine|archlinux|raspberrypi|server|host|linux|unknown)$`)

// hostName checks that an alert says which host it is about.
func (x *examination) hostName() {
	name, from := x.settings.Host, "the settings"
	if name == "" {
		from = "the kernel"
		var err error
		if name, err = os.Hostname(); err != nil {
			x.add("host name", install.Warn, "", "it can't be found out: %v", err)
			return
		}
	}
	first, _, _ := strings.Cut(strings.ToLower(name), ".")
	if first != "" && !dullNames.MatchString(first) {
		x.add("host name", install.OK, "", "%s, from %s", event.Clean(name, 253), from)
		return
	}
	dir := filepath.Join(filepath.Dir(x.config), "conf.d")
	sudo := ""
	if x.system {
		sudo = "sudo "
	}
	hint := fmt.Sprintf("%smkdir -p %s && echo 'host = \"db1.example.com\"' | %stee %s", sudo, shellQuoted(dir), sudo, shellQuoted(filepath.Join(dir, "host.toml")))
	if x.settings.Host != "" {
		hint = `host = "db1.example.com" in ` + x.settings.Files[0]
	}
	x.add("host name", install.Warn, hint, "%q, from %s, does not say which machine an alert is about", event.Clean(name, 253), from)
}

// systemLog checks that there is a system log: the last resort of the hook,
// and the only destination where the settings name none.
func (x *examination) systemLog() {
	needed := len(x.settings.Destinations) == 0 || slices.ContainsFunc(x.settings.Destinations, func(d config.Destination) bool {
		return d.Type == config.DestinationLog
	})
	for _, p := range syslog.New().Paths {
		if _, err := os.Stat(p); err == nil {
			if len(x.settings.Destinations) == 0 && x.there && x.broken == nil {
				x.add("system log", install.Warn, "[destination.slack] with webhook_url_file, in "+x.config, "%s, and the only place where alerts go", p)
				return
			}
			x.add("system log", install.OK, "", "%s", p)
			return
		}
	}
	const hint = "systemctl status systemd-journald || apt-get install rsyslog"
	if needed {
		x.add("system log", install.Fail, hint, "there is none, and alerts go there")
		return
	}
	x.add("system log", install.Warn, hint, "there is none: what goes wrong in the hook can't be said")
}
