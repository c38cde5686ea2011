package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// Clock checks the clock as far as that goes without asking a server: that the
// kernel takes it for synchronized, and that it is not before the program's
// own build.
func Clock() Check {
	return Check{Run: func(_ context.Context, r *Report) {
		const hint = "sudo timedatectl set-ntp true"
		if built := buildTime(); r.Now.Before(built) {
			r.Fail("clock", hint, "it says %s, and this program is of %s", Stamp(r.Now), Stamp(built))
			return
		}
		switch synced, known := clockSynced(); {
		case !known:
			r.OK("clock", "%s; whether it is synchronized is not known here", Stamp(r.Now))
		case !synced:
			r.Warn("clock", hint, "%s, and nothing synchronizes it", Stamp(r.Now))
		default:
			r.OK("clock", "%s, synchronized", Stamp(r.Now))
		}
	}}
}

// buildTime returns the time of the commit that the program is of, zero where
// the Go tool did not know it.
func buildTime() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, _ := time.Parse(time.RFC3339, s.Value)
			return t
		}
	}
	return time.Time{}
}

// How little free disk is worth a warning, and how little is too little. An
// event is a file of some kilobytes.
const (
	lowDisk    = 100 << 20
	noDisk     = 4 << 20
	fewInodes  = 1000
	noInodes   = 10
	accessMode = unix.W_OK | unix.X_OK
)

// Folders checks that the spool and the state folder can be written, and that
// their disks have room. A login waits patience for a spool that hangs; again is
// the command that makes both.
func Folders(spool, state string, patience time.Duration, again string) Check {
	return Check{Run: func(_ context.Context, r *Report) {
		seen := map[int64]bool{}
		for _, f := range []struct{ name, dir string }{{"spool", spool}, {"state", state}} {
			// Root may write everywhere, but where nobody can.
			if err := unix.Access(f.dir, accessMode); err != nil {
				hint := "ls -ld " + quote(f.dir)
				switch err {
				case unix.ENOENT:
					hint = again
				case unix.EROFS:
					hint = "mount -o remount,rw $(df --output=target " + quote(f.dir) + " | tail -n 1)"
				}
				r.Fail(f.name, hint, "%s can't be written: %v", f.dir, err)
				continue
			}
			r.OK(f.name, "%s can be written", f.dir)
			var st unix.Statfs_t
			if err := unix.Statfs(f.dir, &st); err != nil {
				r.Warn("disk space", "df -h "+quote(f.dir), "%s: %v", f.dir, err)
				continue
			}
			if kind := networkFS(&st); kind != "" && f.name == "spool" {
				r.Warn("spool's file system", "a folder on a local disk: spool_dir in the settings, and --spool in the hook's line",
					"%s is on %s: while that does not answer, each login waits %v, and its event is kept in the overflow or the system log", f.dir, kind, patience)
			}
			// Two folders on one disk have the same numbers, and need one line.
			key := int64(st.Blocks)<<20 ^ int64(st.Files)
			if !seen[key] {
				r.room(f.dir, int64(st.Bavail)*int64(st.Bsize), int64(st.Ffree), st.Files > 0)
			}
			seen[key] = true
		}
	}}
}

// room judges the free bytes and inodes of a disk; counted is false for a file
// system that does not count inodes.
func (r *Report) room(dir string, free, inodes int64, counted bool) {
	state, hint := OK, ""
	text := fmt.Sprintf("%d MiB free for %s", free>>20, dir)
	few := counted && inodes < fewInodes
	switch {
	case free < noDisk:
		state, hint = Fail, "df -h "+quote(dir)
	case counted && inodes < noInodes:
		state, hint = Fail, "df -i "+quote(dir)
	case free < lowDisk:
		state, hint = Warn, "df -h "+quote(dir)
	case few:
		state, hint = Warn, "df -i "+quote(dir)
	}
	if few {
		text += fmt.Sprintf(", and room for %d files", inodes)
	}
	r.add("disk space", state, hint, "%s", text)
}

// dullName matches the names of machines that nobody gave a name.
const dullName = `^(localhost|\(none\)|ip-\d+-\d+-\d+-\d+|ip\d+|vps-?[0-9a-f]*|vm-?\d*|[0-9a-f]{12}|ubuntu|debian|fedora|centos|alpine|archlinux|raspberrypi|server|host|linux|unknown)$`

// HostName checks that an alert says which host it is about. name is what the
// settings say, if anything.
func HostName(name string) Check {
	return Check{Run: func(_ context.Context, r *Report) {
		name, from := name, "the settings"
		dir, sudo := filepath.Join(filepath.Dir(r.Config), "conf.d"), ""
		if r.Host {
			sudo = "sudo "
		}
		hint := `host = "db1.example.com" in ` + r.Config
		if name == "" {
			from = "the kernel"
			hint = fmt.Sprintf("%smkdir -p %s && echo 'host = \"db1.example.com\"' | %stee %s", sudo, quote(dir), sudo, quote(filepath.Join(dir, "host.toml")))
			var err error
			if name, err = os.Hostname(); err != nil {
				r.Warn("host name", "hostname", "it can't be found out: %v", err)
				return
			}
		}
		first, _, _ := strings.Cut(strings.ToLower(name), ".")
		if first == "" || regexp.MustCompile(dullName).MatchString(first) {
			r.Warn("host name", hint, "%q, from %s, does not say which machine an alert is about", event.Clean(name, 253), from)
			return
		}
		r.OK("host name", "%s, from %s", event.Clean(name, 253), from)
	}}
}

// SystemLog checks that there is a system log: the hook's last resort. used
// says that alerts go there, and only that they go nowhere else.
func SystemLog(used, only bool) Check {
	return Check{Run: func(_ context.Context, r *Report) {
		for _, p := range syslog.New().Paths {
			if _, err := os.Stat(p); err != nil {
				continue
			}
			if only {
				r.Warn("system log", "[destination.slack] with webhook_url_file, in "+r.Config, "%s, and the only place where alerts go", p)
			} else {
				r.OK("system log", "%s", p)
			}
			return
		}
		const hint = "systemctl status systemd-journald || apt-get install rsyslog"
		if used {
			r.Fail("system log", hint, "there is none, and alerts go there")
		} else {
			r.Warn("system log", hint, "there is none: errors of the hook can't be reported")
		}
	}}
}

func quote(word string) string { return ShellLine(word) }

// ShellLine returns a command that can be pasted into a shell.
func ShellLine(words ...string) string {
	out := make([]string, len(words))
	for i, s := range words {
		out[i] = s
		if s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+/.:,@") != "" {
			out[i] = "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// serverClockOff is how far a clock may be from a server's before a certificate, or
// the order of events, is at risk.
const serverClockOff = 2 * time.Minute

// ServerClock compares this machine's clock with a server's, which counts in
// seconds.
func (r *Report) ServerClock(date time.Time) {
	if off := time.Since(date); off > serverClockOff || off < -serverClockOff {
		r.Fail("clock online", "sudo timedatectl set-ntp true", "it is %v away from the server's", off.Round(time.Second))
	}
}
