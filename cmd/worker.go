package cmd

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/login"
	"github.com/sshnotify/sshnotify/internal/spool"
)

// hostSpool and hostOverflow are the contract's places of the host.
const (
	hostSpool    = "/var/spool/sshnotify"
	hostOverflow = "/run/sshnotify"
)

// workerPath is the PATH of a worker: it runs nothing, but what it is linked
// with might look.
const workerPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// places gives the default places of a user who runs a command.
func places(uid int, getenv func(string) string) config.Places {
	return config.Places{
		UID: uid, Home: getenv("HOME"),
		XDGConfigHome: getenv("XDG_CONFIG_HOME"), XDGStateHome: getenv("XDG_STATE_HOME"),
		MachineID: machineID(),
	}
}

// hookPlaces gives the default places for a hook. Where the environment is a
// stranger's, only the password file counts, and for root not even that.
func hookPlaces(h login.Host, stranger bool) config.Places {
	if h.UID == 0 && stranger {
		return config.Places{} // the host's, whatever a home has
	}
	_, home := h.Account()
	if stranger {
		return config.Places{UID: h.UID, Home: home, MachineID: machineID()}
	}
	p := places(h.UID, os.Getenv)
	p.Home = cmp.Or(p.Home, home)
	return p
}

func machineID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"} {
		if b, err := os.ReadFile(path); err == nil && len(strings.TrimSpace(string(b))) > 0 {
			return string(b)
		}
	}
	name, _ := os.Hostname() // an empty one is a name like any other
	return name
}

// spoolOptions says how a folder is used as a spool. Root's is the host's,
// whoever works it, and has an overflow of its own in memory.
func spoolOptions(dir string, uid int) spool.Options {
	o := spool.Options{Dir: dir, UID: uid, Host: uid == 0}
	var st syscall.Stat_t
	if !o.Host && syscall.Stat(dir, &st) == nil && st.Uid == 0 {
		o.Host = true
	}
	if o.Host {
		o.Overflow = overflow(dir)
	}
	return o
}

// overflow gives each spool a folder of its own, so that no worker takes
// another spool's events. A "-" of the path becomes "_-", which keeps
// /a-b and /a/b apart.
func overflow(dir string) string {
	if dir == hostSpool {
		return hostOverflow
	}
	return hostOverflow + strings.NewReplacer("_", "__", "-", "_-", "/", "-").Replace(filepath.Clean(dir))
}

// workerEnv is the whole environment of a worker that a hook starts.
func workerEnv(h login.Host, stranger bool) []string {
	env := []string{workerPath, "LC_ALL=C.UTF-8"}
	if h.UID == 0 && stranger {
		return env
	}
	_, home := h.Account()
	if !stranger {
		home = cmp.Or(os.Getenv("HOME"), home)
		for _, k := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME"} {
			if v := os.Getenv(k); v != "" {
				env = append(env, k+"="+v)
			}
		}
	}
	if home != "" {
		env = append(env, "HOME="+home)
	}
	return env
}

// startWorker starts a worker that nobody waits for: not the hook, not sshd,
// not a session that closes, and not a pipe that somebody reads to its end.
func startWorker(spoolDir, configFile string, env []string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := os.Stat(exe); err != nil {
		exe = "/proc/self/exe" // the file was replaced since this process started
	}
	args := []string{"sshnotify", "deliver", "--syslog", "--spool", spoolDir}
	if configFile != "" {
		args = append(args, "--config", absolute(configFile))
	}
	closeOnExec(3)
	stayAlive()
	syscall.Umask(0o077)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(exe, args, &os.ProcAttr{
		Dir: "/", Env: env, Files: []*os.File{null, null, null},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	return p.Release()
}

// giveState makes the state folder that of the spool's worker. The host's is not
// given to a user whose own spool root was told to work.
func giveState(spoolDir, stateDir string, uid, gid int) error {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return err
	}
	d, err := os.Open(stateDir)
	if err != nil {
		return err
	}
	defer d.Close()
	var folder, queue syscall.Stat_t
	if err := syscall.Fstat(int(d.Fd()), &folder); err != nil {
		return err
	}
	if err := syscall.Stat(spoolDir, &queue); err != nil {
		return err
	}
	switch {
	case int(folder.Uid) == uid:
		return nil
	case folder.Uid != 0 || queue.Uid != 0:
		return withHint(fmt.Errorf("%s is the queue of uid %d, and %s is that of uid %d", spoolDir, uid, stateDir, folder.Uid),
			fmt.Sprintf("run it as that user: sudo -u '#%d' sshnotify …", uid))
	}
	return d.Chown(uid, gid)
}

// becomeOwner makes a process of root's the owner of the spool's cur/, so that
// no file of root's locks the service out. Other processes stay who they are.
func (a *app) becomeOwner(spoolDir, stateDir string) error {
	if a.uid != 0 {
		return nil
	}
	uid, gid, err := spool.Open(spoolOptions(spoolDir, a.uid)).Owner()
	if err != nil {
		return err
	}
	if uid == 0 {
		return nil
	}
	if err := giveState(spoolDir, stateDir, uid, gid); err != nil {
		return err
	}
	if err := syscall.Setgroups([]int{gid}); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	if err := syscall.Setuid(uid); err != nil {
		return err
	}
	a.uid = uid
	return nil
}
