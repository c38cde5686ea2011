package install

import (
	_ "embed" // the texts under files/
	"fmt"
	"path"
	"strings"
)

// The texts that a package ships as they are, and install with the paths that
// it is given.
var (
	//go:embed files/sshnotify.service
	unitText string
	//go:embed files/sshnotify.sysusers
	sysusersText string
	//go:embed files/sshnotify.tmpfiles
	tmpfilesText string
	//go:embed files/sshnotify.openrc
	openrcText string
	//go:embed files/sshnotify.cil
	selinuxText string
	//go:embed files/sshnotify.pam-config
	pamConfigText string
	//go:embed files/sshnotify-watch.service
	watchUnitText string
	//go:embed files/sshnotify-watch.sysusers
	watchSysusersText string
	//go:embed files/sshnotify-watch.tmpfiles
	watchTmpfilesText string
	//go:embed files/sshnotify-respond.path
	respondPathText string
	//go:embed files/sshnotify-respond.service
	respondUnitText string
	//go:embed files/sshnotify-respond.tmpfiles
	respondTmpfilesText string
)

// The places of a host, as in the contract.
const (
	DefaultBinary = "/usr/bin/sshnotify"
	DefaultConfig = "/etc/sshnotify/config.toml"
	DefaultSpool  = "/var/spool/sshnotify"
	DefaultState  = "/var/lib/sshnotify"
	RunDir        = "/run/sshnotify" // where hooks write when the spool is full
	ServiceUser   = "sshnotify"      // the service's user and group
	unitName      = "sshnotify.service"

	// RespondSuffix ends the name of the folder beside the state folder where responses
	// are kept.
	RespondSuffix = "-respond"

	WatchState    = "/var/lib/sshnotify-watch" // where the watcher keeps its positions
	WatchRunDir   = "/run/sshnotify-watch"     // where it makes pipes
	WatchUser     = "sshnotify-watch"          // its user and group
	watchUnitName = "sshnotify-watch.service"

	RespondPath    = "sshnotify-respond.path"    // waits for orders of a hub
	RespondService = "sshnotify-respond.service" // carries them out
)

// Places are the paths of one host. Empty ones are the defaults.
type Places struct {
	Binary, Config, Spool, State string
}

func (p Places) filled() Places {
	or := func(s, d string) string {
		if s == "" {
			return d
		}
		return path.Clean(s)
	}
	return Places{or(p.Binary, DefaultBinary), or(p.Config, DefaultConfig), or(p.Spool, DefaultSpool), or(p.State, DefaultState)}
}

// pathLetters mean nothing in the files that name a path.
const pathLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+@-"

// check keeps to characters that mean nothing in unit files, in tmpfiles.d, in
// an init script and in pam.d.
func (p Places) check() error {
	for _, x := range []struct{ what, path string }{
		{"program", p.Binary}, {"settings file", p.Config}, {"spool", p.Spool}, {"state folder", p.State},
	} {
		if err := checkPath(x.what, x.path); err != nil {
			return err
		}
		if strings.Trim(x.path, pathLetters) != "" {
			return fmt.Errorf("%s %q: a path for the whole host has letters, digits and ./_+@- only", x.what, x.path)
		}
		// Folders get an owner and a mode, and go on purge: not /etc or /var.
		if !strings.Contains(x.path, "sshnotify") || x.what == "settings file" && !strings.Contains(path.Dir(x.path), "sshnotify") {
			return fmt.Errorf("%s %q: needs a folder of its own, with sshnotify in its name", x.what, x.path)
		}
	}
	return nil
}

// fill puts the host's paths into one of the texts, in one pass: nothing that
// was put in is looked at again.
func (p Places) fill(text string) string {
	p = p.filled()
	state := "ReadWritePaths="
	pairs := append(p.pairs(), DefaultState, p.State)
	if p.State != DefaultState {
		// StateDirectory= knows no other place than /var/lib.
		pairs = append(pairs, "StateDirectory=sshnotify\n# Whoever monitors the host reads figures.json there; the other files are 0600.\nStateDirectoryMode=0711\n", "", state, state+p.State+" ")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// fillWatch is fill for the watcher's texts: it has a state folder of its own,
// and no business in the service's.
func (p Places) fillWatch(text string) string {
	return strings.NewReplacer(p.filled().pairs()...).Replace(text)
}

func (p Places) pairs() []string {
	return []string{
		DefaultBinary, p.Binary, DefaultConfig, p.Config, DefaultSpool, p.Spool,
		path.Dir(DefaultConfig), path.Dir(p.Config),
	}
}

// Unit is the text of sshnotify.service (systemd.service(5)).
func (p Places) Unit() string { return p.fill(unitText) }

// Sysusers is the text of the sysusers.d file (sysusers.d(5)).
func (p Places) Sysusers() string { return p.fill(sysusersText) }

// Tmpfiles is the text of the tmpfiles.d file (tmpfiles.d(5)).
func (p Places) Tmpfiles() string { return p.fill(tmpfilesText) }

// WatchUnit is the text of sshnotify-watch.service.
func (p Places) WatchUnit() string { return p.fillWatch(watchUnitText) }

// WatchSysusers is the text of the watcher's sysusers.d file. It makes the
// watcher a member of the groups that may read logs.
func (p Places) WatchSysusers() string { return p.fillWatch(watchSysusersText) }

// WatchTmpfiles is the text of the watcher's tmpfiles.d file.
func (p Places) WatchTmpfiles() string { return p.fillWatch(watchTmpfilesText) }

// RespondPathUnit is the text of sshnotify-respond.path.
func (p Places) RespondPathUnit() string { return p.fillWatch(respondPathText) }

// RespondUnit is the text of sshnotify-respond.service.
func (p Places) RespondUnit() string { return p.fillWatch(respondUnitText) }

// RespondTmpfiles is the text of the tmpfiles.d file of the folders of orders.
func (p Places) RespondTmpfiles() string { return p.fillWatch(respondTmpfilesText) }

// OpenRC is the init script for hosts with OpenRC (openrc-run(8)).
func (p Places) OpenRC() string { return p.fill(openrcText) }

// SELinux is the source of a policy module, in CIL.
func (p Places) SELinux() string { return p.fill(selinuxText) }

type namedText struct{ name, text string }

// userUnits are the units of a user's own systemd that send what an ended
// worker left.
func userUnits(words []string) []namedText {
	return []namedText{
		{timerName + ".service", "# Put here by sshnotify install; sshnotify uninstall takes it out.\n" +
			"[Unit]\nDescription=sshnotify: send what waits\n\n" +
			// 75 means that something still waits, which the next run sees to.
			"[Service]\nType=oneshot\nSuccessExitStatus=75\nExecStart=" + quoteWords(words, quoteUnit) + "\n"},
		{timerName + ".timer", "# Put here by sshnotify install; sshnotify uninstall takes it out.\n" +
			"[Unit]\nDescription=sshnotify: send what waits\n\n" +
			fmt.Sprintf("[Timer]\nOnBootSec=1min\nOnUnitInactiveSec=%dmin\n\n[Install]\nWantedBy=timers.target\n", resendMinutes)},
	}
}

// quoteUnit quotes a word for ExecStart= (systemd.service(5), COMMAND LINES).
func quoteUnit(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(s) + `"`
}
