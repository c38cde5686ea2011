package hook

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sshnotify/sshnotify/internal/login"
)

// WorkerPath is the PATH of a worker: it runs nothing, but what it is linked
// with might look.
const WorkerPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Self returns the program that runs, for sshnotify, which delivers as well.
func Self() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(exe); err != nil {
		exe = "/proc/self/exe" // the file was replaced since this process started
	}
	return exe, nil
}

// Beside returns the sshnotify that was installed with this program: of
// PREFIX/libexec/sshnotify/hook (or PREFIX/lib/…) it is PREFIX/bin/sshnotify, and
// else one in the same folder. Nothing else is looked at: PATH is a stranger's.
func Beside() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	return beside(filepath.Dir(exe))
}

func beside(dir string) (string, error) {
	path := filepath.Join(dir, "sshnotify")
	if above := filepath.Base(filepath.Dir(dir)); filepath.Base(dir) == "sshnotify" && (above == "libexec" || above == "lib") {
		path = filepath.Join(dir, "../../bin/sshnotify")
	}
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", errors.New(path + " is not a program")
	}
	return path, nil
}

// WorkerEnv returns the whole environment of a worker that a user's command
// starts.
func WorkerEnv() []string { return workerEnv(login.Live(), false) }

// workerEnv returns the whole environment of a worker that a hook starts.
func workerEnv(h login.Host, stranger bool) []string {
	env := []string{WorkerPath, "LC_ALL=C.UTF-8"}
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

// StartWorker starts a worker that nobody waits for: not the hook, not sshd,
// not a session that closes, and not a pipe that somebody reads to its end.
// Both paths are absolute; configFile may be empty.
func StartWorker(program, spoolDir, configFile string, env []string) error {
	args := []string{"sshnotify", "deliver", "--syslog", "--spool", spoolDir}
	if configFile != "" {
		args = append(args, "--config", configFile)
	}
	closeOnExec(3)
	stayAlive()
	syscall.Umask(0o077)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(program, args, &os.ProcAttr{
		Dir: "/", Env: env, Files: []*os.File{null, null, null},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	return p.Release()
}
