// Package line is what a watcher's sources give and its readers take: one line
// of a log, or one entry of the journal.
//
// It is plain data, and must never touch the operating system.
package line

import "time"

// MaxText is how much of a line is kept, in bytes. What no log has that long is
// cut, and counts as one line all the same.
const MaxText = 64 << 10

// Line is one line of a log, as it was written.
type Line struct {
	Source string // the source's name in the settings, or its path
	Text   string // without its end, at most MaxText; any bytes but a newline
	Cut    bool   // Text is not all of it

	// The rest is what the journal knows; of a file it stands in Text.
	Time    time.Time // zero: not known
	Host    string
	Program string // SYSLOG_IDENTIFIER, or _COMM
	PID     int
}
