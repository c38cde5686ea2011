package source

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/sshnotify/sshnotify/internal/journald"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// Usual returns those that need no settings: the journal, or else the system's
// logs of who is let in, and the logs that daemons write themselves.
func Usual(exists func(string) bool, journal bool) []Named {
	var out []Named
	if journal {
		out = append(out, Named{Name: "journal", Type: JournalType, Settings: &Journal{Match: journald.Matches()}})
	}
	logs := parse.Logs()
	if !journal {
		logs = append([]string{"/var/log/auth.log", "/var/log/secure"}, logs...)
	}
	for _, path := range logs {
		if exists(path) {
			out = append(out, Named{Name: filepath.Base(path), Type: FileType, Settings: &File{Path: path}})
		}
	}
	return out
}

// Live returns the usual sources of this host.
func Live() []Named {
	return Usual(func(path string) bool { _, err := os.Stat(path); return err == nil }, HasJournal())
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
		o.Name = n.Name
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
