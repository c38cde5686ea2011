package publish

import "github.com/sshnotify/sshnotify/internal/strictoml"

// Settings say where attacks are told to everybody.
type Settings struct {
	Destinations []string `toml:"destination,one"`   // names of destinations, which get nothing else
	Dir          string   `toml:"file" check:"file"` // the folder of index.html and feed.json; empty: none
	Names        bool     `toml:"names"`             // the names that were tried are told too
	PerHour      int      `toml:"per_hour" check:"min=1,max=200"`
	MinAttempts  int      `toml:"min_attempts" check:"min=1,max=1000000"`
}

// DefaultSettings are those without a settings file: nothing is published.
func DefaultSettings() Settings { return Settings{PerHour: 10, MinAttempts: 5} }

// Enabled reports whether anything is published.
func (s Settings) Enabled() bool { return len(s.Destinations) > 0 || s.Dir != "" }

// Validate asks for a place, and for destinations that there are.
func (s *Settings) Validate(at strictoml.At) {
	at.Known("destination", s.Destinations, at.Names("destination"), "the name of a destination", "destinations")
	if !at.Has("destination") && !at.Has("file") {
		at.Fail("", "nothing is published: it says not where").Hint = `destination = ["…"] or file = "/…"`
	}
}
