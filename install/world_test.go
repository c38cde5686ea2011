package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// world is a made-up host: a tree in a temporary folder, and commands that are
// written down and answered from a table.
type world struct {
	Host
	t       *testing.T
	ran     []string
	answers map[string]string // command → output; absent: it can't be found
	fail    map[string]error
	crontab *string
}

// newWorld makes a host of files; a name that ends in "/" is a folder, content
// that begins with "-> " a link.
func newWorld(t *testing.T, files map[string]string) *world {
	t.Helper()
	w := &world{t: t, answers: map[string]string{}, fail: map[string]error{}}
	w.Host = Host{Root: t.TempDir(), UID: os.Getuid(), Run: w.command}
	for name, content := range files {
		w.write(name, content)
	}
	return w
}

func (w *world) write(name, content string) {
	w.t.Helper()
	p := filepath.Join(w.Root, name)
	mode := fs.FileMode(0o755)
	if err := os.MkdirAll(filepath.Dir(p), mode); err != nil {
		w.t.Fatal(err)
	}
	var err error
	if target, ok := strings.CutPrefix(content, "-> "); ok {
		err = os.Symlink(target, p)
	} else if strings.HasSuffix(name, "/") {
		err = os.MkdirAll(p, mode)
	} else {
		mode = 0o644
		if strings.Contains(name, "bin/") {
			mode = 0o755
		}
		if err = os.WriteFile(p, []byte(content), mode); err == nil {
			err = os.Chmod(p, mode)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) content(name string) string {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.Root, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func (w *world) command(_ context.Context, c Command) ([]byte, error) {
	line := c.String()
	switch {
	case w.fail[line] != nil:
		w.ran = append(w.ran, line)
		return nil, w.fail[line]
	case c.Args[0] == "crontab" && w.crontab != nil:
		return w.cron(c)
	case c.Args[0] == "systemd-sysusers" && strings.HasSuffix(line, "-watch.conf"):
		w.addWatcher()
	case slices.Contains([]string{"systemd-sysusers", "useradd", "adduser"}, c.Args[0]):
		w.addUser()
	case slices.Contains([]string{"userdel", "deluser"}, c.Args[0]):
		w.delUser(c.Args[1])
	case strings.Contains(line, " pam-auth-update "):
		w.pamAuthUpdate(c.Args[3])
	case strings.HasPrefix(line, "systemctl enable"):
		name := c.Args[len(c.Args)-1]
		unit := "/etc/systemd/system/" + name
		if !w.exists(unit) {
			unit = w.packaged(name)
		}
		w.write(filepath.Join(filepath.Dir(unitWants), name), "-> "+unit)
		w.answers["systemctl is-active --quiet "+name] = ""
		w.answers["systemctl is-active "+name] = "active"
	case strings.HasPrefix(line, "systemctl disable"):
		name := c.Args[len(c.Args)-1]
		os.Remove(filepath.Join(filepath.Dir(w.real(unitWants)), name))
		os.Remove(filepath.Dir(w.real(unitWants)))
		delete(w.answers, "systemctl is-active --quiet "+name)
		delete(w.answers, "systemctl is-active "+name)
	case strings.HasPrefix(line, "systemctl --user enable"):
		w.write("/home/alice/.config/systemd/user/timers.target.wants/sshnotify-resend.timer", "x")
	case strings.HasPrefix(line, "systemctl --user disable"):
		os.RemoveAll(w.real("/home/alice/.config/systemd/user/timers.target.wants")) // empty by then
	case strings.HasPrefix(line, "rc-update add"):
		w.write(openrcLevel, "-> "+openrcPath)
	case strings.HasPrefix(line, "rc-update del"):
		os.Remove(w.real(openrcLevel))
	case slices.Contains([]string{"systemctl", "semodule", "restorecon", "rc-service", "addgroup", "find", "gpasswd", "ausearch"}, c.Args[0]) &&
		!strings.Contains(line, "is-active") && !strings.Contains(line, "status") && !strings.Contains(line, " show ") && !strings.Contains(line, "-l"):
	default:
		if out, ok := w.answers[line]; ok {
			return []byte(out), nil
		}
		return nil, fmt.Errorf("%s: %w", c.Args[0], exec.ErrNotFound)
	}
	w.ran = append(w.ran, line)
	return nil, nil
}

func (w *world) cron(c Command) ([]byte, error) {
	switch c.Args[1] {
	case "-l":
		if *w.crontab == "" {
			return nil, fmt.Errorf("%w: \"no crontab for alice\"", &exec.ExitError{})
		}
		return []byte(*w.crontab), nil
	case "-r":
		*w.crontab = ""
	case "-":
		*w.crontab = string(c.Stdin)
	}
	w.ran = append(w.ran, c.String())
	return nil, nil
}

// pamAuthUpdate does what pam-auth-update does for a profile of Additional
// rules, with one of a high priority.
func (w *world) pamAuthUpdate(flag string) {
	_, rule, _ := strings.Cut(w.text(profilePath), "Session:\n\t")
	for at, before := range map[string]string{commonSession: "# and here are more per-package modules (the \"Additional\" block)\nsession\t", profileSaved + "/session": "Module: unix\nrequired"} {
		text, line := w.content(at), "session\t"+rule
		if at != commonSession {
			line = "Module: sshnotify\n" + rule
		}
		// Whatever the profile said when it was enabled.
		var rest strings.Builder
		for l := range strings.Lines(text) {
			if l != "Module: sshnotify\n" && !mentionsHook(l) {
				rest.WriteString(l)
			}
		}
		text = rest.String()
		if flag == "--enable" {
			head, last := before[:strings.LastIndexByte(before, '\n')+1], before[strings.LastIndexByte(before, '\n')+1:]
			if at != commonSession {
				head, last = "", before
			}
			text = strings.Replace(text, before, head+line+last, 1)
		}
		w.write(at, text)
	}
}

// serviceIDs are another user's where the test may give files away.
func serviceIDs() (uid, gid int) {
	if os.Getuid() == 0 {
		return 990, 991
	}
	return os.Getuid(), os.Getgid()
}

func (w *world) addUser() {
	uid, gid := serviceIDs()
	w.write("/etc/passwd", w.text("/etc/passwd")+fmt.Sprintf("sshnotify:x:%d:%d:sshnotify:/var/lib/sshnotify:/usr/sbin/nologin\n", uid, gid))
	w.write("/etc/group", w.text("/etc/group")+fmt.Sprintf("sshnotify:x:%d:\n", gid))
}

// addWatcher does what systemd-sysusers does by the watcher's list.
func (w *world) addWatcher() {
	uid, gid := serviceIDs()
	if os.Getuid() == 0 {
		uid, gid = uid+2, gid+2
	}
	groups := w.text("/etc/group")
	list := w.text(watchSysusersPath)
	if list == "" {
		list = Places{}.WatchSysusers()
	}
	if _, there := w.UserByName(WatchUser); !there {
		w.write("/etc/passwd", w.text("/etc/passwd")+fmt.Sprintf("sshnotify-watch:x:%d:%d::/var/lib/sshnotify-watch:/usr/sbin/nologin\n", uid, gid))
		groups += fmt.Sprintf("sshnotify-watch:x:%d:\n", gid)
	}
	for l := range strings.Lines(list) {
		f := strings.Fields(l)
		if len(f) != 3 || f[0] != "m" {
			continue
		}
		at := strings.Index("\n"+groups, "\n"+f[2]+":")
		if at < 0 {
			groups += f[2] + ":x:4711:sshnotify-watch\n"
			continue
		}
		end := at + strings.IndexByte(groups[at:], '\n')
		if line := groups[at:end]; !strings.Contains(line, WatchUser) {
			if !strings.HasSuffix(line, ":") {
				line += ","
			}
			groups = groups[:at] + line + WatchUser + groups[end:]
		}
	}
	w.write("/etc/group", groups)
}

// delUser takes a user out, and out of every group.
func (w *world) delUser(name string) {
	for _, p := range []string{"/etc/passwd", "/etc/group"} {
		var keep []string
		for l := range strings.Lines(w.text(p)) {
			if !strings.HasPrefix(l, name+":") {
				l = strings.TrimSuffix(l, "\n")
				l = strings.TrimSuffix(strings.TrimSuffix(l, name), ",")
				keep = append(keep, l+"\n")
			}
		}
		w.write(p, strings.Join(keep, ""))
	}
}

// snapshot returns every file, folder and link under a path, with its mode and
// owner, as lines.
func (w *world) snapshot(under string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(filepath.Join(w.Root, under), func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := os.Lstat(p)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(p, w.Root)
		s := fi.Mode().String()
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			s += " -> " + target
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			s += " " + string(b)
		}
		out[name] = s
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// system is what every host has.
func systemFiles(more ...map[string]string) map[string]string {
	me := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	files := map[string]string{
		"/etc/passwd":        "root:x:" + me + ":root:/root:/bin/bash\n",
		"/etc/group":         fmt.Sprintf("root:x:%d:\n", os.Getgid()),
		"/usr/bin/sshnotify": "program",
		"/var/spool/":        "",
		"/var/lib/":          "",
		"/run/":              "",
		"/root/":             "",
	}
	for _, m := range more {
		maps.Copy(files, m)
	}
	return files
}

// fixture reads a host from testdata/hosts: "-- name --" begins a file.
func fixture(t testing.TB, name string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "hosts", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files, at := map[string]string{}, ""
	for l := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(l, "-- "); ok && strings.HasSuffix(n, " --\n") {
			at = "/" + strings.TrimSuffix(n, " --\n")
			files[at] = ""
		} else if at != "" {
			files[at] += l
		}
	}
	return files
}

// apply applies a plan that must succeed.
func (w *world) apply(p Plan) Report {
	w.t.Helper()
	r, err := p.Apply(w.t.Context(), w.Host)
	if err != nil {
		w.t.Fatalf("apply: %v\nplan:\n%s", err, p.Diff())
	}
	return r
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

var errBoom = errors.New("boom")

func chmod(t *testing.T, w *world, name string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(w.real(name), mode); err != nil {
		t.Fatal(err)
	}
}
