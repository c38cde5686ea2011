package config

import (
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
)

// Watching is all that a watcher needs of the settings. It holds no secret, nor
// where one is, so that a watcher need not be able to read the settings
// themselves. It can be written as JSON and read back.
type Watching struct {
	Host      string
	Labels    map[string]string
	TimeZone  string
	SpoolDir  string
	StateDir  string
	Digest    Digest
	Watch     Watch
	Sources   []Source
	Detectors []attack.Detector
	Patterns  []pattern.Pattern
	Publish   Publish
}

// Watching gives what a watcher needs.
func (c Config) Watching() Watching {
	return Watching{
		Host: c.Host, Labels: c.Labels, TimeZone: c.TimeZone, SpoolDir: c.SpoolDir, StateDir: c.StateDir, Digest: c.Digest,
		Watch: c.Watch, Sources: c.Sources, Detectors: c.Detectors, Patterns: c.Patterns, Publish: c.Publish,
	}
}

// Config gives settings that say just this, and are the defaults otherwise.
func (w Watching) Config() Config {
	c := Default()
	c.Host, c.Labels, c.TimeZone, c.SpoolDir, c.StateDir, c.Digest = w.Host, w.Labels, w.TimeZone, w.SpoolDir, w.StateDir, w.Digest
	c.Watch, c.Sources, c.Detectors, c.Patterns, c.Publish = w.Watch, w.Sources, w.Detectors, w.Patterns, w.Publish
	return c
}
