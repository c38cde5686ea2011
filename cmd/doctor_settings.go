package cmd

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/hook"
	"github.com/sshnotify/sshnotify/internal/passwd"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// shellLine returns a command that can be pasted into a shell.
func shellLine(words ...string) string { return doctor.ShellLine(words...) }

func shellQuoted(word string) string { return doctor.ShellLine(word) }

// settingsCheck checks that the settings can be used, and says what they name.
func (x examined) settingsCheck(ctx context.Context, r *doctor.Report) {
	const name = "settings content"
	if !x.there {
		r.Warn(name, x.again(), "%s: not there, so alerts go to the system log and no service is asked", x.config)
		return
	}
	if x.broken != nil {
		for _, e := range strictoml.Errors(x.broken) {
			r.Fail(name, cmp.Or(x.app.settingHint(e), r.Command("config check")), "%v", e)
		}
		return
	}
	c := x.settings
	if _, err := workerSettings(c, "", nil); err != nil {
		r.Fail(name, r.Command("config check"), "%v", err)
		return
	}
	r.OK(name, "%s; destinations: %s; providers: %s", x.config,
		names(c.Destinations, func(d config.Destination) string { return d.Name }, "none"),
		names(c.Providers, func(p config.Provider) string { return p.Name }, "none"))
	for _, text := range append(c.Unmatched(), x.app.unworded(c)...) {
		r.Warn(name, r.Command("config check"), "%s", text)
	}
	x.secrets(r)
	x.upgradeCheck(r)
	// The watcher's own check says more.
	if _, watched := x.host.UserByName(install.WatchUser); !x.whole || !watched {
		app := *x.app
		app.configFile = x.config
		if x.whole {
			app.places = paths.User{}
		}
		if problem, hint := app.publishProblem(c); problem != "" {
			r.Warn("publish", hint, "%s", problem)
		}
	}
	if x.whole {
		x.asService(ctx, r)
		return
	}
	for _, f := range c.Files {
		ownFile(r, f, x.host.UID)
	}
}

// ownFile checks a settings file of an account. That a secret in it can't be
// read by others is checked where it is read.
func ownFile(r *doctor.Report, name string, uid int) {
	var st syscall.Stat_t
	switch err := syscall.Stat(name, &st); {
	case err != nil:
		r.Fail("settings", shellLine("ls", "-l", name), "%s: %v", name, err)
	case int(st.Uid) != uid && st.Uid != 0:
		r.Fail("settings", shellLine("ls", "-l", name), "%s belongs to another user (uid %d)", name, st.Uid)
	case st.Mode&0o022 != 0:
		r.Fail("settings", shellLine("chmod", "go-w", name), "%s can be written by others (mode %04o)", name, st.Mode&0o7777)
	default:
		r.OK("settings", "%s", name)
	}
}

// secrets reports which secrets were found: without one the settings are broken.
func (x examined) secrets(r *doctor.Report) {
	var found []string
	for _, d := range x.settings.Destinations {
		if strictoml.HasSecret(d.Settings) {
			found = append(found, "destination."+d.Name)
		}
	}
	for _, p := range x.settings.Providers {
		if strictoml.HasSecret(p.Settings) {
			found = append(found, "provider."+p.Name)
		}
	}
	if strictoml.HasSecret(&x.settings.Heartbeat) {
		found = append(found, "heartbeat")
	}
	if len(found) > 0 {
		r.OK("secrets", "there for %s", strings.Join(found, ", "))
	}
}

// asService checks that the service's user can read the settings and their
// secrets: root, who runs the doctor, can read everything.
func (x examined) asService(ctx context.Context, r *doctor.Report) {
	const name = "settings as the service"
	u, ok := install.Live().UserByName(install.ServiceUser)
	if !ok {
		return // install's own checks have said so
	}
	if os.Getenv("CREDENTIALS_DIRECTORY") != "" {
		r.OK(name, "not tried: they name credentials that only the service has")
		return
	}
	binary := x.binary
	if own, err := os.Executable(); err == nil && x.app.broker != nil {
		binary = own // the service is this program, which knows more settings
	}
	switch problem, hint, err := unreadBy(ctx, u, binary, x.config, x.settings.Files); {
	case problem != "":
		r.Fail(name, hint, "%s", problem)
	case err != nil:
		r.Fail(name, shellLine("ls", "-l", binary), "%v", err)
	default:
		r.OK(name, "%s can read them", install.ServiceUser)
	}
}

// unreadBy has the program check the settings as a user, and returns what that user
// finds wrong and what to do. It fails where the user can't run the program.
func unreadBy(ctx context.Context, u passwd.User, binary, config string, files []string) (problem, hint string, err error) {
	c := exec.CommandContext(ctx, binary, "config", "check", "--config", config)
	var out bytes.Buffer
	c.Dir, c.Env, c.Stderr = "/", []string{hook.WorkerPath}, &out
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}}
	err = c.Run()
	said, ok := strings.CutPrefix(out.String(), "sshnotify: error: ")
	if err == nil || !ok {
		return "", "", err
	}
	problem, rest, _ := strings.Cut(said, "\n")
	// Not all that lies there is the service's: the gate's secrets are root's.
	where := shellQuoted(filepath.Dir(config))
	for _, f := range files {
		where += " " + shellQuoted(f)
	}
	hint = fmt.Sprintf("sudo chgrp %s %[2]s && sudo chmod g+rX,o-rwx %[2]s", u.Name, where)
	if own, ok := strings.CutPrefix(rest, "sshnotify: hint: "); ok && (strings.HasPrefix(problem, "provider.") || strings.Contains(problem, "_file: ")) { // a file elsewhere
		hint, _, _ = strings.Cut(own, "\n")
	}
	return event.Clean(problem, 300), hint, nil
}
