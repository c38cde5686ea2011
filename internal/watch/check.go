package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// How much of a log may wait to be read before that is said: while it is read,
// and where its position has not moved for stuckAfter. A line that is not yet
// complete always waits.
const (
	farBehind  = 64 << 20
	stuckBytes = 4 << 10
	stuckAfter = 5 * time.Minute
)

// What the watcher writes into its folder for doctor to read.
const (
	StatsFile = "stats.json" // a Stat for each source
	FloodFile = "flood.json" // an attack.Flood
)

// Check checks each source of the watcher that keeps its state in dir: whether it is
// there and readable, whether lines come and are understood. journal says that this
// host has one; closed returns why the watcher's service may not read a log, and what
// to do about it, as far as owners and modes say.
func Check(dir string, sources []source.Named, journal bool, closed func(log string) (problem, hint string)) doctor.Check {
	return doctor.Check{Run: func(_ context.Context, r *doctor.Report) {
		stats := state.Read[map[string]Stat](filepath.Join(dir, StatsFile))
		there := slices.DeleteFunc(slices.Clone(sources), func(s source.Named) bool { return !s.There() })
		if len(there) == 0 && len(sources) > 0 {
			r.Warn("sources", "name a log: [source.NAME] with path", "no journal, and none of the usual logs is here; they are waited for")
		}
		for _, s := range there {
			checkSource(r, s, filepath.Join(dir, "sources"), stats[s.Name], closed)
			checkForgery(r, s, stats[s.Name], journal)
		}
		if f := state.Read[attack.Flood](filepath.Join(dir, FloodFile)); f.Any() && r.Now.Sub(f.Last) < floodShown {
			r.Warn("flood", "let sshd refuse sooner: PerSourcePenalties and PerSourceMaxStartups, see man sshd_config",
				"%s were given up, from %s to %s, because more came than can be counted", strings.Join(message.Lost(event.Flood(f)), "; "), f.First.UTC().Format(time.DateTime), f.Last.UTC().Format(time.DateTime))
		}
	}}
}

// floodShown is how long a flood is reported.
const floodShown = 7 * 24 * time.Hour

func checkSource(r *doctor.Report, s source.Named, dir string, stat Stat, closed func(log string) (problem, hint string)) {
	name := "source " + s.Name
	start := "sshnotify watch"
	if r.Host {
		start = "sudo sshnotify install --system --watch"
	}
	st, err := source.ReadStatus(dir, s.Name)
	what := s.Settings.Reads()
	look, last := doctor.ShellLine("ls", "-l", what), doctor.ShellLine("tail", "-n", "1", what)
	if s.Type == source.JournalType {
		look, last = "journalctl -n 5", "journalctl -n 1 -o cat"
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Warn(name, start, "%s: nobody has watched it yet", what)
	case err != nil:
		r.Warn(name, start, "%s: how it stands can't be read: %v", what, err)
	case !st.There && s.Type == source.FileType:
		r.Fail(name, look, "%s: not there", what)
	case st.Dropped > 0:
		r.Warn(name, "systemctl status sshnotify-watch", "%s: %d lines came faster than they were read, and are lost", what, st.Dropped)
	case st.Denied && r.Host:
		problem, hint := closed(what)
		if problem == "" {
			problem, hint = what+": "+st.Err, look
		}
		r.Fail(name, hint, "%s", problem)
	case st.Denied:
		r.Fail(name, doctor.ShellLine("sudo", "setfacl", "-m", "u:"+strconv.Itoa(os.Geteuid())+":r", what), "%s: %s", what, st.Err)
	case st.Err != "":
		r.Fail(name, look, "%s: %s", what, st.Err)
	case st.Lines == 0 && s.Type == source.PipeType:
		r.Warn(name, look, "%s: nothing was ever written to it: look at the output of the program that should, and at the pipe's owner", what)
	case st.Lines == 0 && s.Type == source.JournalType:
		r.OK(name, "%s: no line has come yet", what)
	case st.Lines == 0:
		r.Warn(name, look, "%s: no line has come yet", what)
	case st.Behind > farBehind:
		r.Warn(name, "systemctl status sshnotify-watch", "%s: %d MiB of it are not read yet", what, st.Behind>>20)
	case st.Behind > stuckBytes && r.Now.Sub(st.Saved) > stuckAfter:
		r.Warn(name, start, "%s: %d KiB of it are not read, and nobody has read on since %s: the watcher does not run", what, st.Behind>>10, st.Saved.UTC().Format(time.DateTime))
	case stat.Lines > 0 && stat.Unknown == stat.Lines && st.Lines >= 100:
		r.Warn(name, r.Command("watch --explain \"$("+last+")\""), "%s: %d lines, of which none was understood", what, stat.Lines)
	case stat.OnlyName > 0:
		r.Warn(name, "sudo sshd -T | grep usedns", "%s: %d attempts had only a name, without address: they count for their accounts alone; set UseDNS no in sshd_config", what, stat.OnlyName)
	default:
		r.OK(name, "%s: %d lines, the last read %s%s", what, st.Lines, r.Ago(st.LastLine), understoodText(stat))
	}
}

// forgedFor is how long forged entries are worth a warning.
const forgedFor = 7 * 24 * time.Hour

// checkForgery reports who can forge a source's lines, or has tried. journal: this host
// has one.
func checkForgery(r *doctor.Report, s source.Named, stat Stat, journal bool) {
	name := "forgery in " + s.Name
	switch by := stat.ForgedBy; {
	case stat.Forged > 0 && r.Now.Sub(stat.ForgedAt) < forgedFor:
		r.Warn(name, doctor.ShellLine("journalctl", "-o", "verbose", "_UID="+by.UID), "%d entries bear a daemon's name, nothing shows that it wrote them, and they are not believed; the last, %s, was written by %s",
			stat.Forged, r.Ago(stat.ForgedAt), by)
	case s.Type != source.FileType || !bySyslog(s.Settings.Reads(), stat):
	case journal:
		r.Warn(name, `read the journal, which knows who wrote: [source.journal] with type = "journal", in the place of this source`,
			"%s: anybody on this host can write lines in sshd's name into it, with logger(1)", s.Settings.Reads())
	default:
		r.OK(name, "%s: anybody on this host can write lines in sshd's name into it, with logger(1); without a journal nothing tells them from true ones", s.Settings.Reads())
	}
}

// bySyslog reports whether a file has what a syslog daemon writes for others; FTP
// servers write files of their own.
func bySyslog(path string, stat Stat) bool {
	for _, parser := range []string{"sshd", "dropbear", "sudo", "su"} {
		if stat.Parsed[parser] > 0 {
			return true
		}
	}
	for _, usual := range []string{"auth.log", "secure", "messages", "syslog"} {
		if filepath.Base(path) == usual {
			return true
		}
	}
	return false
}

// formsShown is how many forms of unread lines doctor names.
const formsShown = 3

func understoodText(s Stat) string {
	if s.Lines == 0 {
		return ""
	}
	text := ""
	if !s.LastTime.IsZero() {
		text = fmt.Sprintf("; the last that was understood is of %s", s.LastTime.UTC().Format(time.DateTime))
	}
	if forms, n := Forms(&s); n > 0 {
		text += fmt.Sprintf("; %d of known daemons were not, such as", n)
		for i, f := range forms[:min(len(forms), formsShown)] {
			text += fmt.Sprintf("%s %q ×%d", strings.Repeat(",", min(i, 1)), f.Form, f.N)
		}
	}
	if s.Ambiguous > 0 {
		text += fmt.Sprintf("; %d were ambiguous (could be forged), and count for no address", s.Ambiguous)
	}
	return text
}
