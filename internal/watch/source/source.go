// Package source gives the lines that a watcher reads: of files that rotate, of
// the journal, of named pipes and of standard input, and keeps how far it has
// come.
//
// It must never say what a line means, send anything, or read a position that
// lies beyond what its reader has committed.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// MaxLines is how many lines a batch has at most.
const MaxLines = 2048

// A Source gives lines in batches. Read must not be called twice at a time;
// everything else may be called whenever, also during a Read.
type Source interface {
	// Name is what the lines bear as their source.
	Name() string
	// Read waits for lines and returns at least one, or an error: that of ctx,
	// or io.EOF when nothing more can come: the end of standard input or of a
	// replay, or after Close. A file that is missing or can't be read is
	// waited for, and told by Status. A file that is read once gives lines that are
	// good until the next Read, of which the texts are until the one after that.
	Read(ctx context.Context) (Batch, error)
	// Commit says that what came of b and of all batches before it is safe. The
	// position after b is on disk a second later, at the next Read that waits,
	// or at Close. An error is that of the disk; a later Commit tries again.
	//
	// After a crash the lines since the position on disk are read again, with
	// the keys that they had before.
	Commit(b Batch) error
	Status() Status
	// Close ends a Read that waits and writes what was committed to disk. What
	// was taken off a named pipe already can still be read, up to io.EOF. A
	// second Close does nothing.
	Close() error
}

// Options say what to read. The first block is for all sources.
type Options struct {
	Name      string       // in the settings; "" is the path, "journal" or "stdin"
	StateDir  string       // where positions are kept; "" keeps none
	FromStart bool         // where no position is known: all there is, not only what comes
	Once      bool         // a replay: from the start to the end, then io.EOF; no position
	Log       *slog.Logger // nil: silent

	Path  string // of a file or a pipe
	Usual bool   // see Named; that it is missing is not told

	// Matches are the journal's, as journalctl(1) takes them; "+" is its or.
	Matches     []string
	JournalArgs []string // more options, such as --namespace=…
	MachineID   string   // this machine's, for Journal.Open: entries of no other are read; empty: of any
	Journalctl  string   // the program; "" looks for journalctl in $PATH

	Group  string // a pipe is made for this group to write to; "" is one's own
	Buffer int    // what a pipe's lines may take while nobody reads them, in bytes; 0 is 16 MiB

	poll  time.Duration // the longest wait between two looks; 0 is maxPoll
	grace time.Duration // how long a file that was replaced is looked at; 0 is defaultGrace
	save  time.Duration // the least time between two writes of a position; 0 is saveEvery
}

func (o Options) named(fallback string) Options {
	if o.Name == "" {
		o.Name = fallback
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("source", o.Name)
	if o.Once {
		o.FromStart, o.StateDir = true, ""
	}
	if o.poll == 0 {
		o.poll = maxPoll
	}
	if o.grace == 0 {
		o.grace = defaultGrace
	}
	if o.save == 0 {
		o.save = saveEvery
	}
	return o
}

// Batch is some lines, in their order. The texts of a batch share memory, some
// 128 KiB: who keeps a part of one for long must clone it.
type Batch struct {
	Lines []line.Line

	from string   // what the keys of all lines begin with
	offs []int64  // where each line begins
	curs []string // of the journal: the cursor of each entry
	pos  position // after the last line
	seq  int64    // counts the batches of a source

	numbered bool // in place of offs lines have the numbers from first on
	first    int64
}

// Key names line i for ever: it is the same when the line is read again after
// a crash, and no other line of this source has it. It is 24 hexadecimal
// digits.
func (b Batch) Key(i int) string {
	h := sha256.New()
	h.Write([]byte(b.from))
	if i < len(b.curs) {
		h.Write([]byte(b.curs[i]))
	}
	off := b.first + int64(i)
	if i < len(b.offs) {
		off = b.offs[i]
	}
	if b.numbered || i < len(b.offs) {
		h.Write(binary.BigEndian.AppendUint64([]byte{0}, uint64(off)))
		h.Write([]byte(b.Lines[i].Text))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// Numbered returns a batch of lines that is never committed; first is the number of
// the first one, for its Key.
func Numbered(lines []line.Line, first int) Batch {
	return Batch{Lines: lines, numbered: true, first: int64(first)}
}

func (b *Batch) add(l line.Line, off int64) {
	b.Lines = append(b.Lines, l)
	b.offs = append(b.offs, off)
}

// textBytes is the length of all lines, with the newlines that they had.
func (b Batch) textBytes() (n int) {
	for i := range b.Lines {
		n += len(b.Lines[i].Text) + 1
	}
	return n
}
