package source

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sshnotify/sshnotify/internal/journald"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// Usual returns those that need no settings: the journal, or else the system's
// logs of who is let in, and the logs that daemons write themselves. The logs need
// not be there: one that is made later is read from its start.
func Usual(journal bool) []Named {
	var out []Named
	if journal {
		out = append(out, Named{Name: "journal", Type: JournalType, Settings: &Journal{Match: journald.Matches()}})
	}
	logs := parse.Logs()
	if !journal {
		logs = append(SystemLogs(), logs...)
	}
	for _, path := range logs {
		out = append(out, Named{Name: filepath.Base(path), Type: FileType, Settings: &File{Path: path}, Usual: true})
	}
	return out
}

// SystemLogs returns where syslog daemons write who is let in.
func SystemLogs() []string { return []string{"/var/log/auth.log", "/var/log/secure"} }

// OrUsual returns the sources, or where the settings name none the usual ones of this
// host.
func (ss Sources) OrUsual() []Named {
	if len(ss) > 0 {
		return ss
	}
	return Usual(HasJournal())
}

// There reports whether a source is there, or one that the settings name. A log
// that is usual may be missing.
func (s *Named) There() bool {
	if !s.Usual || s.Type != FileType {
		return true
	}
	_, err := os.Stat(s.Settings.Reads())
	return !errors.Is(err, fs.ErrNotExist)
}

// HasJournal reports whether this host has a journal that can be read.
func HasJournal() bool {
	_, err := exec.LookPath("journalctl")
	_, running := os.Stat("/run/systemd/journal/socket")
	return err == nil && running == nil
}

// OpenAll opens sources with what o says of all of them, or none.
func OpenAll(named []Named, o Options) (all []Source, err error) {
	for _, n := range named {
		o.Name, o.Usual = n.Name, n.Usual
		s, err := n.Settings.Open(o)
		if err != nil {
			for _, s := range all {
				s.Close()
			}
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
