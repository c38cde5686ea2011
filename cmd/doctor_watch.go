package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// farBehind is how much of a log may wait to be read before that is said.
const farBehind = 64 << 20

// watched looks at each source of the watcher: whether it is there and readable,
// whether lines come and are understood. Where nobody watches, nothing is said.
func (x *examination) watched() {
	dir := watchDir(x.settings, x.state)
	if _, err := os.Stat(dir); err != nil && len(x.settings.Sources)+len(x.settings.Patterns) == 0 {
		return
	}
	named := x.settings.Sources
	if len(named) == 0 {
		named = liveSources()
	}
	stats := state.Read[map[string]watch.Stat](filepath.Join(dir, statsFile))
	for _, s := range named {
		x.watchedSource(s, filepath.Join(dir, "sources"), stats[s.Name])
	}
}

func (x *examination) watchedSource(s config.Source, dir string, stat watch.Stat) {
	name := "source " + s.Name
	start := "sshnotify watch"
	if x.system {
		start = "sudo sshnotify install --system --watch"
	}
	st, err := source.ReadStatus(dir, s.Name)
	what := s.Path
	if what == "" {
		what = "the journal"
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.add(name, install.Warn, start, "%s: nobody has watched it yet", what)
	case err != nil:
		x.add(name, install.Warn, start, "%s: how it stands can't be read: %v", what, err)
	case !st.There:
		x.add(name, install.Fail, "ls -l "+what, "%s: not there", what)
	case st.Err != "":
		x.add(name, install.Fail, "ls -l "+what, "%s: %s", what, st.Err)
	case st.Lines == 0 && s.Type == config.SourcePipe:
		x.add(name, install.Warn, "ls -l "+what, "%s: nothing was ever written to it: look at the output of the program that should, and at the pipe's owner", what)
	case st.Lines == 0:
		x.add(name, install.Warn, "ls -l "+what, "%s: no line has come yet", what)
	case st.Dropped > 0:
		x.add(name, install.Warn, "systemctl status sshnotify-watch", "%s: %d lines came faster than they were read, and are lost", what, st.Dropped)
	case st.Behind > farBehind:
		x.add(name, install.Warn, "systemctl status sshnotify-watch", "%s: %d MiB of it are not read yet", what, st.Behind>>20)
	case stat.Lines > 0 && stat.Unknown == stat.Lines && st.Lines >= 100:
		x.add(name, install.Warn, x.command("watch --explain \"$(tail -n 1 "+what+")\""), "%s: %d lines, of which none was understood", what, stat.Lines)
	default:
		x.add(name, install.OK, "", "%s: %d lines, the last read %s%s", what, st.Lines, ago(x.now, st.LastLine), understoodText(stat))
	}
}

func understoodText(s watch.Stat) string {
	if s.Lines == 0 || s.LastTime.IsZero() {
		return ""
	}
	return fmt.Sprintf("; the last that was understood is of %s", s.LastTime.UTC().Format(time.DateTime))
}
