// Package pattern turns lines into matches of the owner's patterns: a regular
// expression or the fields of a record (JSON, CSV, the alerts of Snort and
// Suricata), held against hours and a threshold, told in the owner's words, and
// if wanted given to a program.
//
// Event time decides, so that a replay gives the same. It must never reach a
// network, never run a shell, and never let what stands in a line be more than
// text: not a template, not a command, not a hidden character.
package pattern

import (
	"fmt"
	"regexp"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// Pattern is what the owner wants to be told of. Its parts must all hold. The
// bounds that the tags state are the settings' to check: New relies on them.
type Pattern struct {
	Name    string   `toml:"name,required,unique=pattern" check:"line=64"` // not empty, of its own among all patterns
	Sources []string `toml:"source,one" check:"line=4096"`                 // globs (* and ? fit any characters) of the line's source; empty: all

	// Decoder makes fields of a line; empty: there are none. A line that it does
	// not understand does not match.
	//
	//	json         an object a line; a syslog header before it is passed over
	//	csv          RFC 4180; Columns names the fields
	//	snort        alert_csv of Snort 2; without Columns its 27, or the 13 or 15 of pfSense
	//	snort3-csv   alert_csv of Snort 3; without Columns its default ones
	//	snort3-json  alert_json of Snort 3
	//	suricata     eve.json; alerts only, unless Where asks for event_type
	Decoder string   `toml:"decoder" check:"oneof=json csv snort snort3-csv snort3-json suricata"`
	Columns []string `toml:"columns,one" check:"line=64"` // of csv, snort and snort3-csv: as many as each line has

	// Match is held against the line; nil: every line. What it may cost is
	// bounded: one of more than some hundred characters sees less of a line that
	// is longer than 4 KiB, and one that repeats too much is an error.
	Match  *regexp.Regexp   `toml:"match"`
	Ignore []*regexp.Regexp `toml:"ignore,one"` // a line that one of them matches is passed over
	Where  Where            `toml:"where"`

	// Severity of the match; nil: that of the alert, which Snort calls priority,
	// and medium where there is none.
	Severity *event.Severity `toml:"severity" check:"oneof=low medium high critical"`

	// Title and Text are templates. ${NAME} stands for a named capture of Match,
	// ${1} for a numbered one, ${0} for all that matched, ${source}, ${line},
	// ${pattern}, ${count} (how many lines this match stands for) and ${left_out}
	// (how many before it were not told) for themselves, and of a line without a
	// decoder ${host} and ${program} for what the journal knows. Any other name
	// is a field of the record: a column, or a path as alert.signature or
	// tags.0; with a point in front, as ${.source}, it is one in any case. $$
	// is a $. A name that can't be is an error of New. Empty: the pattern's name
	// and the line; of Snort and Suricata, what there is to say of an alert.
	Title string `toml:"title" check:"nonempty"`
	Text  string `toml:"text" check:"nonempty"`

	// By is a template for what the threshold counts by, as "${src_ip}"; empty:
	// all lines alike.
	By        string     `toml:"by" check:"nonempty"`
	Threshold *Threshold `toml:"threshold"` // nil: at most one a minute, and how many were left out

	Active       []policy.Hours `toml:"active,one"`      // in Options.Zone; empty: always
	Destinations []string       `toml:"destination,one"` // empty: all; handed on as they are

	// IPField names the capture or field that holds the address to look up.
	// Empty: the capture named ip, or the source of an alert.
	IPField string `toml:"ip" check:"nonempty"`
	Exec    *Exec  `toml:"exec"`
}

// Threshold has the meaning of Snort's event_filter, in event time. A window
// begins with the first line after the last one ended, of each key of its own.
//
// https://www.snort.org/faq/readme-filters
type Threshold struct {
	Type    ThresholdType `toml:"type,required" check:"oneof=limit threshold both"`
	Count   int           `toml:"count,required" check:"min=1,max=1000000"`
	Seconds int           `toml:"seconds,required" check:"min=1,max=2678400"` // 31 days
	By      string        `toml:"by" check:"nonempty" json:"-"`               // another place for Pattern.By
}

// ThresholdType says which lines of a window are told.
type ThresholdType string

// The types.
const (
	Limit ThresholdType = "limit"     // the first Count of each window
	Each  ThresholdType = "threshold" // every Count-th, if they come within Seconds
	Both  ThresholdType = "both"      // the Count-th of each window, and no more
)

// Condition is what must hold of a field; all that is set must. The zero value
// wants the field to be there.
type Condition struct {
	Equals Scalars        `toml:"equals"`   // one of them
	Glob   []string       `toml:"glob,one"` // one of them fits all of it; * and ? fit any characters
	Match  *regexp.Regexp `toml:"match"`    // somewhere in it
	Min    *float64       `toml:"min"`      // a number, at least
	Max    *float64       `toml:"max"`      // a number, at most
}

// Exec is a program to run with each match.
type Exec struct {
	// Command is the program's absolute path, which is no template, and its
	// arguments, which may be. The match is in its environment (SSHNOTIFY_LINE,
	// SSHNOTIFY_IP, SSHNOTIFY_FIELD_USER, …) and as JSON on standard input too,
	// and there is the better place to take it from: an argument that a stranger
	// wrote may mean something to the program. So a shell, an interpreter or a
	// program that runs others takes no templates, and a "-" with which a value
	// would begin an argument is written \u002d.
	Command []string      `toml:"command,required"`
	Timeout time.Duration `toml:"timeout" check:"max=10m"` // until SIGTERM; 0: 10 s; at most 10 minutes
}

// Error is what is wrong with a pattern's setting.
type Error struct {
	Pattern string // its name; "#3" for the third if it has none
	Key     string // as in the settings: "title", "threshold.count"
	Err     error
	field   string // of where
}

func (e *Error) Error() string { return fmt.Sprintf("pattern %q: %s: %v", e.Pattern, e.Key, e.Err) }

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }
