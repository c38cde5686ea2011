package config

import (
	"time"
	// The program depends on nothing on the host, and small systems have no
	// time zones. It is 450 KB of data that are not touched until asked for.
	_ "time/tzdata"
)

// Zone is where the times of messages are told. (time.LoadLocation takes an
// empty name for UTC.)
func (c Config) Zone() *time.Location {
	if c.TimeZone == "" {
		return time.Local
	}
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil { // Load has checked it; a Config made by hand may be wrong
		return time.UTC
	}
	return zone
}
