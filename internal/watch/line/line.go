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
	Program string // SYSLOG_IDENTIFIER, or _COMM: of the writer's choice
	PID     int

	// Entry is there for an entry of the journal. Its Text is what a program said,
	// and nothing that stands in it tells who that was.
	Entry *Entry
}

// Entry says whose word an entry of the journal is.
type Entry struct {
	Daemon string // the daemon that wrote it, beyond doubt; "" for all else
	Claim  string // the daemon in whose name it came though it is not its word; "" none
	UID    string // of its writer, as the kernel says
	Exe    string // the file that its writer runs, as the kernel says; "" not known
}
