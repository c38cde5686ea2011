package spool

import (
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// limits are how much a spool takes.
type limits struct {
	count int
	bytes int64
}

// countOften is how many times, on average, new/ is counted anew while what is
// left of its room is used up.
const countOften = 100

// checkRoom reports whether size bytes more fit: ErrFull if they do not. What
// is in cur/ it believes the worker, a hook having no business in there. What is
// in new/ it counts, but seldom, because reading a folder of 10,000 names takes
// several milliseconds and a login must not wait: it keeps the last count, and
// counts anew with a chance of countOften times the share of the room left that
// this event takes. So the count is due long before the room is gone, without a
// counter that many hooks would have to share and a crash would upset.
func checkRoom(root, tmp, ready folder, most limits, size int) error {
	held := readSummary(root)
	most.count -= held.count
	most.bytes -= held.bytes
	full := fmt.Errorf("%s: %w", root.path, ErrFull)
	if most.count <= 0 || most.bytes < int64(size) {
		return full
	}
	changed, err := ready.stat()
	if err != nil {
		return err
	}
	last, ok := readCount(tmp)
	if ok && last.leaves(most, size) {
		share := max(1/float64(most.count-last.count), float64(size)/float64(most.bytes-last.bytes))
		if rand.Float64() > countOften*share {
			return nil
		}
	} else if ok && last.stands(changed) {
		return full
	}
	sum, err := measure(ready, most.count)
	if err != nil {
		return err
	}
	last = counted{summary: sum, changed: modified(changed)}
	writeCount(tmp, last)
	if !last.leaves(most, size) {
		return full
	}
	return nil
}

// sampleSize is how many sizes are asked for before every other one is left
// out, and again every other. Asking for all of 100,000 would take a tenth of a
// second, and seconds from a cold disk.
const sampleSize = 256

// measure counts the entries of a folder, most of them at most, and returns their
// size together, estimated where there are more than sampleSize.
func measure(d folder, most int) (sum summary, err error) {
	step, asked := 1, 0
	err = d.each(func(e fs.DirEntry) bool {
		if sum.count%step == 0 {
			if st, err := d.lstat(e.Name()); err == nil && isRegular(st) {
				sum.bytes += st.Size * int64(step)
			}
			if asked++; asked == sampleSize {
				step, asked = 2*step, 0
			}
		}
		sum.count++
		return sum.count < most
	})
	return sum, err
}

// counted is the last count of new/, kept in tmp/, where only hooks can write.
type counted struct {
	summary
	changed int64 // when new/ was changed last, as of the count; Unix time in ns
	at      int64 // when the count was written down, by the same clock
}

// leaves reports whether there was room for one more.
func (c counted) leaves(most limits, size int) bool {
	return c.count < most.count && c.bytes+int64(size) <= most.bytes
}

// stands reports whether new/ is certainly as it was when counted. A change in
// the same tick of the file system's clock would not show, thus the second.
func (c counted) stands(now unix.Stat_t) bool {
	return c.changed == modified(now) && c.at-c.changed > int64(time.Second)
}

func modified(st unix.Stat_t) int64 { return time.Unix(st.Mtim.Unix()).UnixNano() }

// countName is not a name that writeTemp gives, and sweep leaves dots alone.
const countName = ".count"

// countSize is a summary and 20 bytes more, one of them the line's end.
const countSize = summarySize + 20

func readCount(tmp folder) (counted, bool) {
	b, at := readNote(tmp, countName, countSize)
	if b == nil {
		return counted{}, false
	}
	sum, ok := parseSummary(b[:summarySize])
	changed, err := strconv.ParseInt(string(b[summarySize:countSize-1]), 10, 64)
	return counted{sum, changed, at}, ok && err == nil
}

func writeCount(tmp folder, c counted) {
	writeNote(tmp, countName, fmt.Appendf(c.encode(), "%019d\n", c.changed))
}

// summary says how much is in cur/. The worker keeps it on disk for the hooks.
// It is a hint for a limit and no more: old after a crash, and then too high or
// too low by what that worker did since; the next worker counts anew.
type summary struct {
	count int
	bytes int64
}

// summarySize is the length of a summary on disk. It is always the same, so
// that a summary is replaced by one write in place, which neither tears for a
// reader nor needs room on a full disk.
const summarySize = 32

func (s summary) encode() []byte {
	return fmt.Appendf(nil, "%011d %019d\n", s.count, s.bytes)
}

func parseSummary(b []byte) (summary, bool) {
	if len(b) != summarySize || b[11] != ' ' || b[summarySize-1] != '\n' {
		return summary{}, false
	}
	count, err1 := strconv.ParseUint(string(b[:11]), 10, 31)
	bytes, err2 := strconv.ParseUint(string(b[12:summarySize-1]), 10, 50)
	if err1 != nil || err2 != nil {
		return summary{}, false
	}
	return summary{int(count), int64(bytes)}, true
}

// readSummary returns nothing where there is no summary. It is the one thing that
// a hook, which may be root, reads of what the service wrote: that may lie (and
// so fill the queue, which the service could do anyhow), and can do no more.
func readSummary(root folder) summary {
	b, _ := readNote(root, curName+"/"+summaryName, summarySize)
	sum, _ := parseSummary(b)
	return sum
}

func writeSummary(cur folder, s summary) { writeNote(cur, summaryName, s.encode()) }

// readNote returns a file of exactly size bytes and its time of change (Unix time
// in ns), or nil.
func readNote(d folder, name string, size int) (b []byte, at int64) {
	f, err := d.open(name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != int64(size) {
		return nil, 0
	}
	b = make([]byte, size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, 0
	}
	return b, info.ModTime().UnixNano()
}

// writeNote is not synced, and its errors are nobody's concern: notes are hints.
func writeNote(d folder, name string, b []byte) {
	f, err := d.open(name, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		f.WriteAt(b, 0)
	}
}
