package policy

import (
	"strings"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/glob"
)

// SilencedKinds are what a silence can keep from being told. Digests are told: they
// say what was held.
func SilencedKinds() []event.Kind {
	return []event.Kind{event.KindLogin, event.KindLogout, event.KindAttack, event.KindMatch, event.KindAlert, event.KindWitness, event.KindGate}
}

// Silences reports whether a silence keeps an event from being told. What sshnotify itself has
// to say never is, nor what is meant for the public.
func Silences(s event.Silence, e event.Event, v event.Verdict) bool {
	n := e.Note()
	switch {
	case v.Severity >= event.Critical, e.Kind == event.KindDigest, e.Kind == event.KindAlert && e.Via == event.ViaSelf, n != nil && n.Public:
		return false
	case e.Time.Before(s.From) || !e.Time.Before(s.Until):
		return false
	}
	return (s.Kind == "" || s.Kind == e.Kind) &&
		(s.User == "" || e.User != "" && glob.Match(s.User, e.User)) &&
		(s.Host == "" || e.Host != "" && glob.Match(strings.ToLower(s.Host), strings.ToLower(e.Host))) &&
		(s.Rule == "" || s.Rule == v.Rule) &&
		(!s.Network.IsValid() || s.Network.Contains(e.Remote.IP))
}
