package history

import (
	"time"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Settings are what the settings file says of the memory of logins.
type Settings struct {
	Enabled  bool          `toml:"enabled"`
	Keep     time.Duration `toml:"keep" check:"min=1d,max=3650d"`
	Learning time.Duration `toml:"learning" check:"min=0d,max=90d"` // at most Keep; 0: what is new raises from the first login on
}

// DefaultSettings are those without a settings file.
func DefaultSettings() Settings {
	return Settings{Enabled: true, Keep: DefaultKeep, Learning: DefaultLearning}
}

// Validate compares the two times.
func (s *Settings) Validate(at strictoml.At) {
	if s.Learning <= s.Keep || !at.OK() {
		return
	}
	key := "keep"
	if at.Has("learning") {
		key = "learning"
	}
	at.Fail(key, "learning (%s) must not be longer than keep (%s)", strictoml.FormatDuration(s.Learning), strictoml.FormatDuration(s.Keep))
}

// Options are those of Open.
func (s Settings) Options(zone *time.Location) Options {
	// None at all would be the default there.
	return Options{Keep: s.Keep, Learning: max(s.Learning, 1), Zone: zone}
}
