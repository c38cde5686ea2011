package cmd

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/install"
	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
)

// coverAge is how long what the PAM stacks say is believed: what install writes
// counts at once, and a flood of lines does not read them over and over.
const coverAge = time.Second

// covers knows of which sessions the hook has to tell in a spool. It is not safe
// for concurrent use.
type covers struct {
	host  install.Host
	spool string
	log   *slog.Logger
	now   func() time.Time
	name  func() (string, error) // of this machine
	known map[string]cover
}

type cover struct {
	install.Cover
	is   bool
	read time.Time
	said string // why it can't be read
}

func newCovers(spoolDir string, log *slog.Logger) *covers {
	return &covers{host: install.Live(), spool: filepath.Clean(spoolDir), log: log, now: time.Now, name: os.Hostname, known: map[string]cover{}}
}

// covered reports whether the hook's line stood in the stack of a service at a
// time, and reports into this spool. A line that names another host is not about
// a session here.
func (c *covers) covered(service, host string, at time.Time) bool {
	if !event.Witnessed(service) || host != "" && !c.here(host) {
		return false
	}
	k := c.look(service)
	return k.is && k.Spool == c.spool && at.After(k.Since)
}

func (c *covers) look(service string) cover {
	k, now := c.known[service], c.now()
	if age := now.Sub(k.read); age >= 0 && age < coverAge {
		return k
	}
	was := k.said
	k = cover{read: now}
	var err error
	if k.Cover, k.is, err = c.host.Covered(service); err != nil {
		k.said = err.Error()
		if k.said != was {
			c.log.Warn("the PAM stack of a service can't be read: whether the hook misses its sessions is not known", "service", service, "error", err)
		}
	}
	c.known[service] = k
	return k
}

// here reports whether a log's host is this one. Logs shorten names.
func (c *covers) here(host string) bool {
	name, err := c.name()
	if err != nil {
		return false
	}
	first := func(s string) string { s, _, _ = strings.Cut(strings.ToLower(s), "."); return s }
	return first(host) == first(name)
}

// witnessed says of which services the watcher knows whether the hook missed a
// session.
func (x examined) witnessed(r *doctor.Report) {
	c := newCovers(x.spool, x.app.logger())
	c.host = x.host
	var on []string
	for _, service := range []string{"sshd", "su", "su-l", "sudo", "sudo-i", "login", "remote"} {
		if k := c.look(service); k.said != "" {
			r.Warn("second witness", "", "the PAM stack of %s can't be read, so that its missed sessions go untold: %s", service, k.said)
		} else if k.is && k.Spool == c.spool {
			on = append(on, service)
		}
	}
	if len(on) == 0 {
		r.Warn("second witness", "sudo sshnotify install --system --watch", "no PAM stack holds the hook's line: the watcher can't know which sessions it misses")
		return
	}
	r.OK("second witness", "sessions of %s that the hook does not report within a minute are told", strings.Join(on, ", "))
}
