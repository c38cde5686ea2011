package mmdb

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
)

// copyUpTo is the size up to which a file is read into memory. A copy can't be
// changed by whoever rewrites the file, so that the old state stays in use
// whatever happens; it costs 5 ms for the 11 MB of GeoLite2-ASN. A city file of
// 60 MB would be 16 ms, and as much memory, for each login: larger files are
// mapped, which takes 0.06 ms.
const copyUpTo = 16 << 20

// maxSize bounds a file. The largest that are sold have 2 GB.
const maxSize = 4 << 30

// A file must say something that is understood within its first records.
const (
	sampleRecords = 64
	sampleSteps   = 4096
)

// errChanged means that a mapped file was rewritten or cut off in place.
var errChanged = errors.New("it was changed in place while it was read")

// database is one state of a file.
type database struct {
	reader *maxminddb.Reader
	info   os.FileInfo // when it was opened
	built  time.Time
	kind   string
	file   *os.File // nil: it was copied
	data   []byte   // mapped
}

// open opens the file at path, and reads it into memory up to a size.
func open(path string, copyUpTo int64) (*database, error) {
	// Whoever put a FIFO there would have us wait.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	db := &database{}
	if err := db.load(f, copyUpTo); err != nil {
		db.close()
		if db.file == nil {
			f.Close()
		}
		return nil, err
	}
	if db.file == nil {
		f.Close()
	}
	return db, nil
}

func (db *database) load(f *os.File, copyUpTo int64) error {
	var err error
	if db.info, err = f.Stat(); err != nil {
		return err
	}
	size := db.info.Size()
	switch {
	case !db.info.Mode().IsRegular():
		return errNoFile
	case size == 0:
		return errEmpty
	case size > maxSize || int64(int(size)) != size:
		return errTooBig
	}
	data := []byte(nil)
	if size <= copyUpTo {
		data = make([]byte, size)
		if _, err := io.ReadFull(f, data); err != nil {
			return errChanged
		}
	} else {
		if db.data, err = unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return fmt.Errorf("mapped into memory: %w", err)
		}
		data, db.file = db.data, f
	}
	return db.guard(func() error { return db.read(data, f) })
}

// read finds out whether the data are of use.
func (db *database) read(data []byte, f *os.File) error {
	if err := otherFormat(data); err != nil {
		return err
	}
	// A login asks about one address: there is nothing to remember strings for.
	r, err := maxminddb.OpenBytes(data, maxminddb.DisableStringCache())
	if err != nil {
		return err
	}
	db.reader, db.kind = r, event.Clean(r.Metadata.DatabaseType, maxWord)
	if epoch := uint64(r.Metadata.BuildEpoch); epoch > 0 && epoch < 1<<40 {
		db.built = r.Metadata.BuildTime().UTC()
	}
	if err := db.sample(); err != nil {
		return err
	}
	if info, err := f.Stat(); err != nil || !isSame(info, db.info) {
		return errChanged
	}
	return nil
}

// sample reads the first records, to tell a file of something else from one
// that holds facts.
func (db *database) sample() error {
	records, steps := 0, 0
	for found := range db.reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if steps++; steps > sampleSteps || records == sampleRecords {
			break
		}
		if err := found.Err(); err != nil {
			return err
		}
		if !found.Found() {
			continue
		}
		records++
		var v map[string]any
		if err := found.Decode(&v); err != nil {
			return err
		}
		if !isEmpty(facts(v, "?")) {
			return nil
		}
	}
	if records == 0 {
		return nil // the data begin later; nothing can be said
	}
	return &otherKind{db.kind}
}

// find returns the record of an address; nil if there is none.
func (db *database) find(ip netip.Addr) (v map[string]any, err error) {
	if ip.Is6() && db.reader.Metadata.IPVersion == 4 {
		return nil, nil
	}
	err = db.guard(func() error { return db.reader.Lookup(ip).Decode(&v) })
	if db.isChanged() {
		return nil, errChanged
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// guard runs f, which reads the data. Where a mapped file was cut off, the
// kernel has no page to give, which would end the program.
func (db *database) guard(f func() error) (err error) {
	if db.file != nil {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	}
	defer func() {
		switch x := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // of the runtime's error for a fault
			err = errChanged
		case runtime.Error:
			err = fmt.Errorf("read wrongly: %w", x)
		default:
			err = fmt.Errorf("read wrongly: %v", x)
		}
	}()
	return f()
}

// isChanged reports whether the file that is mapped is not what it was.
func (db *database) isChanged() bool {
	if db.file == nil {
		return false
	}
	info, err := db.file.Stat()
	return err != nil || !isSame(info, db.info)
}

// close gives the memory back. Nothing may be reading.
func (db *database) close() {
	if db.data != nil {
		unix.Munmap(db.data)
		db.data = nil
	}
	if db.file != nil {
		db.file.Close()
	}
}
