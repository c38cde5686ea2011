package cmd

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/hook"
)

// serviceCredentials is where systemd keeps the credentials of the service
// (systemd.exec(5), LoadCredential=); root can read them.
const serviceCredentials = "/run/credentials/sshnotify.service"

// credentials reads settings that name credentials as the service does.
func (x *examination) credentials() {
	if x.broken == nil || os.Getenv("CREDENTIALS_DIRECTORY") != "" {
		return
	}
	if _, err := os.Stat(serviceCredentials); err != nil || os.Setenv("CREDENTIALS_DIRECTORY", serviceCredentials) != nil {
		return
	}
	if c, err := (&setup{host: x.host, config: x.config, there: true}).app(x.app).settings(); err == nil {
		x.settings, x.broken = c, nil
	}
}

// hookedServices are the services that the host was set up for: sshd, and
// those whose stacks have the hook.
func hookedServices(ctx context.Context, h install.Host) []string {
	out := []string{"sshd"}
	for _, l := range install.Look(ctx, h).Hooks {
		name := map[string]string{
			"sudo": "sudo", "sudo-i": "sudo", "su": "su", "su-l": "su", "login": "login", "remote": "login",
		}[filepath.Base(l.File)]
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// asService checks that the service's user can read the settings and their
// secrets: root, who runs the doctor, can read everything.
func (x *examination) asService(ctx context.Context) {
	const name = "settings as the service"
	u, ok := install.Live().UserByName(install.ServiceUser)
	if !ok {
		return // install's own checks have said so
	}
	if os.Getenv("CREDENTIALS_DIRECTORY") != "" {
		x.add(name, install.OK, "", "not tried: they name credentials that only the service has")
		return
	}
	c := exec.CommandContext(ctx, x.binary, "config", "check", "--config", x.config)
	var out bytes.Buffer
	c.Dir, c.Env, c.Stderr = "/", []string{hook.WorkerPath}, &out
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}}
	if err := c.Run(); err != nil {
		first, _, _ := strings.Cut(strings.TrimPrefix(out.String(), "sshnotify: error: "), "\n")
		if first == "" {
			first = err.Error()
		}
		dir := shellQuoted(filepath.Dir(x.config))
		x.add(name, install.Fail, "sudo chgrp -R "+install.ServiceUser+" "+dir+" && sudo chmod -R g+rX,o-rwx "+dir, "%s", event.Clean(first, 300))
		return
	}
	x.add(name, install.OK, "", "%s can read them", install.ServiceUser)
}

// programInUse checks that the service runs the program that is there now.
func (x *examination) programInUse(ctx context.Context) {
	if x.host.Run == nil {
		return
	}
	out, err := x.host.Run(ctx, install.Command{Args: []string{"systemctl", "show", "-p", "MainPID", "--value", "sshnotify.service"}})
	pid, err2 := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || err2 != nil || pid == 0 {
		return // that it does not run is said already
	}
	exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	if err == nil && strings.HasSuffix(exe, " (deleted)") {
		x.add("service's program", install.Warn, "sudo systemctl restart sshnotify", "the service still runs the program from before an update")
	}
}

// denials looks for what SELinux kept the hook or the service from, today.
func (x *examination) denials(ctx context.Context) {
	if x.host.Run == nil || install.Look(ctx, x.host).SELinux == "" {
		return
	}
	const ask = "ausearch -m AVC -ts today -c sshnotify --raw"
	out, err := x.host.Run(ctx, install.Command{Args: strings.Fields(ask)})
	n := strings.Count(string(out), "denied")
	var exit *exec.ExitError
	switch {
	case n > 0:
		x.add("SELinux denials", install.Fail, "sudo "+ask+" | audit2why", "%d today", n)
	case err == nil || errors.As(err, &exit) && exit.ExitCode() == 1: // nothing found
		x.add("SELinux denials", install.OK, "", "none today")
	default:
		x.add("SELinux denials", install.Warn, "sudo "+ask, "they could not be looked for: %v", err)
	}
}
