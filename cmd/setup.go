package cmd

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/paths"
)

// setter is what install, uninstall and doctor need besides the app to find
// out where a set-up stands.
type setter struct {
	app    *app
	getenv func(string) string
	exe    func() (string, error)
	host   func(root string) (install.Host, error) // root "": this machine
}

func newSetter(a *app) setter {
	return setter{app: a, getenv: os.Getenv, exe: os.Executable, host: func(root string) (install.Host, error) {
		if root == "" {
			return install.Live(), nil
		}
		return install.At(root)
	}}
}

// setup is where a set-up of the host, or of an account, stands. Paths are the
// host's own, whatever its root is.
type setup struct {
	host         install.Host
	config       string // the settings file
	spool, state string
	there        bool // there are settings already
	// mute: those settings name no destination, as a package brings them.
	mute bool
	// settings are what the file says. Those of an image are not read: the
	// files that they name are not where they say.
	settings config.Config
	broken   error              // why the settings can't be used
	keeps    []install.FileText // of them what an upgrade would change: see kept
	// binary is the program that the hook runs, copied from from unless that
	// is "".
	binary, from string

	// The rest is for an account only.
	home, configHome, zdotdir string
	shells                    []string
	// ownHome: home is the one of /etc/passwd, so that the user's crontab and
	// timers are about this set-up.
	ownHome bool
}

func (s *setup) image() bool { return filepath.Clean(s.host.Root) != "/" }

// onDisk is where a path of the host is on this machine.
func (s *setup) onDisk(p string) string { return filepath.Join("/", s.host.Root, p) }

// addedFile is where install adds something to settings that stay as they are: a
// package's next version brings its own.
func (s *setup) addedFile(what string) string {
	return filepath.Join(filepath.Dir(s.config), "conf.d", what+".toml")
}

// app returns the app of a command that is run with the set-up's settings, or
// with none where there are none that can be used here.
func (s *setup) app(a *app) *app {
	b := *a
	b.configFile, b.places = "", paths.User{UID: -1}
	_, err := os.Lstat(s.onDisk(s.config)) // install may have written it since
	if (s.there || err == nil) && s.broken == nil && !s.image() {
		b.configFile = s.config
	}
	return &b
}

// read looks for settings, and takes the folders from them.
func (s *setup) read(a *app, spool, state string) {
	_, err := os.Lstat(s.onDisk(s.config))
	more := config.Added(s.onDisk(s.config))
	// A conf.d alone is settings too, which Load says what is wrong with.
	s.there = !errors.Is(err, fs.ErrNotExist) || len(more) > 0
	switch {
	case !s.there:
		s.settings = config.Default()
	case s.image():
		s.mute = len(more) == 0 && saysNothing(s.onDisk(s.config))
	default:
		s.settings, s.broken = s.app(a).settings()
		s.mute = s.broken == nil && len(s.settings.Destinations) == 0 && !s.settings.Hub.Host()
	}
	s.spool, s.state = cmp.Or(s.settings.SpoolDir, spool), cmp.Or(s.settings.StateDir, state)
}

// saysNothing reports whether a settings file holds comments only.
func saysNothing(name string) bool {
	b, err := os.ReadFile(name)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

// settingsFile returns the place of the settings: that of --config, or another.
func (o *setter) settingsFile(usual string) (string, error) {
	if o.app.configFile == "" {
		return usual, nil
	}
	return filepath.Abs(o.app.configFile)
}

// hostSetup finds the set-up of the whole host.
func (o *setter) hostSetup(root string) (*setup, error) {
	h, err := o.host(root)
	if err != nil {
		return nil, err
	}
	s := &setup{host: h, binary: install.DefaultBinary}
	if s.config, err = o.settingsFile(install.DefaultConfig); err != nil {
		return nil, err
	}
	s.read(o.app, install.DefaultSpool, install.DefaultState)
	exe, err := o.exe()
	if err != nil {
		return nil, err
	}
	if exe != s.binary || s.image() {
		s.from = exe
	}
	return s, nil
}

func (s *setup) places() install.Places {
	return install.Places{Binary: s.binary, Config: s.config, Spool: s.spool, State: s.state}
}

// accountSetup finds the set-up of the account of whoever runs this.
func (o *setter) accountSetup(root string, shells []string) (*setup, error) {
	h, err := o.host(root)
	if err != nil {
		return nil, err
	}
	s := &setup{host: h, shells: shells}
	// Root's account has its own places too, beside the host's.
	at := o.app.places
	at.UID = -1
	user, known := h.UserByID(h.UID)
	if s.image() {
		at.XDGConfigHome, at.XDGStateHome = "", ""
		if known {
			at.Home = user.Home
		}
		if b, err := os.ReadFile(s.onDisk("/etc/machine-id")); err == nil && strings.TrimSpace(string(b)) != "" {
			at.MachineID = string(b)
		}
	} else if filepath.IsAbs(at.XDGConfigHome) {
		s.configHome = at.XDGConfigHome
	}
	at.Home = cmp.Or(at.Home, user.Home)
	if !filepath.IsAbs(at.Home) {
		return nil, withHint(errors.New("the account's home folder is not known"), "HOME=/home/… sshnotify install")
	}
	s.home, s.ownHome = at.Home, known && sameFile(s.onDisk(at.Home), s.onDisk(user.Home))
	if s.config, err = o.settingsFile(at.ConfigFile()); err != nil {
		return nil, err
	}
	s.read(o.app, at.SpoolDir(), at.StateDir())
	if !s.image() {
		s.zdotdir = o.getenv("ZDOTDIR")
	}
	if len(s.shells) == 0 {
		s.shells = o.usedShells(s, user.Shell)
	}
	return s, o.program(s)
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// usedShells returns the shell that sshd starts, which /etc/passwd names, or a
// name service that only $SHELL can tell of. Where that is none that is known,
// those count that the home has start-up files of.
func (o *setter) usedShells(s *setup, login string) []string {
	if login == "" && !s.image() {
		login = o.getenv("SHELL")
	}
	known := map[string][]string{
		install.Bash: {".bashrc", ".bash_profile", ".bash_login"},
		install.Zsh:  {".zshrc", ".zshenv", ".zprofile"},
		install.Fish: {".config/fish"},
	}
	if name := filepath.Base(login); known[name] != nil {
		return []string{name}
	}
	var found []string
	for name, files := range known {
		if slices.ContainsFunc(files, func(f string) bool {
			_, err := os.Lstat(s.onDisk(filepath.Join(s.home, f)))
			return err == nil
		}) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// program decides which program the account's hook runs: this one where it
// will stay, else a copy of it. It does not look at $PATH, which is another
// for cron.
func (o *setter) program(s *setup) error {
	exe, err := o.exe()
	if err != nil {
		return err
	}
	if !s.image() {
		for _, dir := range []string{
			"/usr", "/opt", "/bin", "/sbin", "/nix", "/home/linuxbrew",
			filepath.Join(s.home, ".local/bin"), filepath.Join(s.home, "bin"), filepath.Join(s.home, "go/bin"),
		} {
			if strings.HasPrefix(exe, dir+"/") {
				s.binary = exe
				return nil
			}
		}
	}
	s.binary, s.from = filepath.Join(s.home, ".local/bin/sshnotify"), exe
	return nil
}

func (s *setup) userOptions() install.UserOptions {
	return install.UserOptions{
		Home: s.home, Shells: s.shells, ConfigHome: s.configHome, ZDotDir: s.zdotdir,
		Binary: s.binary, BinaryFrom: s.from, Config: s.config, Spool: s.spool, State: s.state,
		Resend: s.ownHome,
	}
}

// hostTells reports whether the host's own set-up tells of logins by SSH.
func hostTells(ctx context.Context, h install.Host) bool {
	f := install.Look(ctx, h)
	return slices.ContainsFunc(f.Hooks, func(l install.HookLine) bool {
		name := filepath.Base(l.File)
		return name == f.SSHD.Service || strings.HasPrefix(name, "common-")
	})
}
