package cmd

import (
	"runtime/debug"
	"time"

	"github.com/sshnotify/sshnotify/install"
)

// clock checks the clock as far as that goes without asking anybody: that the
// kernel thinks it is synchronised, and that it is not before the program.
func (x *examination) clock() {
	const hint = "sudo timedatectl set-ntp true"
	if built := buildTime(); x.now.Before(built) {
		x.add("clock", install.Fail, hint, "it says %s, and this program is of %s", stamp(x.now), stamp(built))
		return
	}
	switch synced, known := clockSynced(); {
	case !known:
		x.add("clock", install.OK, "", "%s; whether it is synchronised is not known here", stamp(x.now))
	case !synced:
		x.add("clock", install.Warn, hint, "%s, and nothing synchronises it", stamp(x.now))
	default:
		x.add("clock", install.OK, "", "%s, synchronised", stamp(x.now))
	}
}

// buildTime is the time of the commit that the program is of; zero where the
// Go tool did not know it.
func buildTime() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			t, err := time.Parse(time.RFC3339, s.Value)
			if err == nil {
				return t
			}
		}
	}
	return time.Time{}
}
