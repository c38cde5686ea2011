// Package figures owns the numbers by which sshnotify itself is watched: what was
// told and what was not, what waits and since when, what the watcher reads. The
// worker and the watcher keep them; the monitoring plugin, the metrics and the
// heartbeat show them.
//
// They are for everybody to read, so that whoever monitors a host needs no right
// of sshnotify's. They hold names of destinations and of sources, and must never
// hold a user's, an address, a key or another host.
package figures

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/state"
)

// FileName is the name of the file in the worker's and in the watcher's state
// folder that has their figures, a Figures and a Watch.
const FileName = "figures.json"

// docVersion is that of both files.
const docVersion = 1

// Figures are those of a worker.
type Figures struct {
	V       int       `json:"v"`
	Version string    `json:"version"`         // of the program
	Written time.Time `json:"written"`         // when the worker last showed that it lives
	Follow  time.Time `json:"follow,omitzero"` // when one last did that stays; see Expected
	Queue   Queue     `json:"queue"`
	// Events are those done with, by kind, and Logins by severity, since there is
	// a state folder.
	Events map[event.Kind]int64   `json:"events"`
	Logins map[string]int64       `json:"logins"`
	Delay  Histogram              `json:"delay"` // from an event to its being told
	Dest   map[string]Destination `json:"destinations"`
	Recent []Minute               `json:"recent"`              // of the last hour, the oldest first
	Beat   *Heartbeat             `json:"heartbeat,omitempty"` // nil: none is sent
	Hub    *Hub                   `json:"hub,omitempty"`       // nil: this is none
	// HandOver is nil where this host hands over to no hub.
	HandOver *HandOver `json:"hand_over,omitempty"`

	Stopped bool `json:"-"` // whoever reads them has seen that no worker runs
}

// Queue is what waits.
type Queue struct {
	Waiting int `json:"waiting"` // all of it, what is held for a while as well
	Retry   int `json:"retry"`   // of Waiting: what a destination has not taken, or can't take now
	Dead    int `json:"dead"`    // dead letters
	// Oldest is the time of the oldest event of Retry; zero where there is none.
	Oldest time.Time `json:"oldest,omitzero"`
}

// Destination is what became of the messages to one.
type Destination struct {
	Outcomes map[string]int64 `json:"outcomes"`          // of tries: sent, or a class of channel.Error
	Last     time.Time        `json:"last,omitzero"`     // when one arrived
	Broken   time.Time        `json:"broken,omitzero"`   // since when nothing arrives; zero: it does
	Paused   bool             `json:"paused,omitempty"`  // a quota is used up
	Waiting  int              `json:"waiting,omitempty"` // events
}

// Sent is the outcome of a message that arrived.
const Sent = "sent"

// Up reports whether messages arrive there, as far as anybody knows.
func (d Destination) Up() bool { return d.Broken.IsZero() && !d.Paused }

// Failed returns how many tries failed.
func (d Destination) Failed() (n int64) {
	for outcome, count := range d.Outcomes {
		if outcome != Sent {
			n += count
		}
	}
	return n
}

// Heartbeat is how those arrive that a worker sends to a dead man's switch.
type Heartbeat struct {
	Last    time.Time `json:"last,omitzero"`    // when one arrived
	Failing time.Time `json:"failing,omitzero"` // since when none does; zero: it does
}

// Minute is how many logins came in a minute.
type Minute struct {
	At     int64 `json:"at"` // Unix time of its beginning
	Logins int   `json:"logins"`
}

// LoginsSince returns how many logins came at or after a time of the last hour.
func (f Figures) LoginsSince(t time.Time) (n int) {
	for _, m := range f.Recent {
		if m.At >= t.Unix() {
			n += m.Logins
		}
	}
	return n
}

// Expected reports whether a worker should be running: one that stays did so
// last, or within a day.
func (f Figures) Expected(now time.Time) bool {
	return !f.Follow.IsZero() && (f.Follow.Equal(f.Written) || now.Sub(f.Follow) < 24*time.Hour)
}

// Buckets are the upper ends of a Histogram's, in seconds.
var Buckets = [...]float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600}

// Histogram counts times by Buckets, not cumulated; the last one has what is
// beyond.
type Histogram struct {
	Counts [len(Buckets) + 1]int64 `json:"counts"`
	Sum    float64                 `json:"sum"` // seconds
}

// Observe counts a time. One before now, by a clock that was set back, is none.
func (h *Histogram) Observe(d time.Duration) {
	s := max(0, d.Seconds())
	i, _ := slices.BinarySearch(Buckets[:], s) // an end belongs to its bucket
	h.Counts[i]++
	h.Sum += s
}

// Watch are the figures of the watcher.
type Watch struct {
	V       int               `json:"v"`
	Written time.Time         `json:"written"`
	Sources map[string]Source `json:"sources"`
	// Attackers are networks and addresses that tried to get in within the hour.
	Attackers int `json:"attackers"`
}

// Source is how one of the watcher's stands.
type Source struct {
	Lines   int64     `json:"lines"`
	Unknown int64     `json:"unknown"` // of Lines: not understood
	Last    time.Time `json:"last,omitzero"`
	Broken  bool      `json:"broken,omitempty"` // it is missing, or can't be read
}

// maxFile is far above what either file has.
const maxFile = 4 << 20

// Read returns the worker's figures of a state folder, which may be another
// user's. An error that is fs.ErrNotExist says that there are none yet.
func Read(stateDir string) (Figures, error) {
	var f Figures
	err := read(stateDir, &f, &f.V)
	return f, err
}

// ReadWatch is Read for the watcher's.
func ReadWatch(stateDir string) (Watch, error) {
	var w Watch
	err := read(stateDir, &w, &w.V)
	return w, err
}

// read opens the file by its path: a folder may be passed through by those who
// may not list it. What is read decides nothing but what is shown.
func read(dir string, doc any, v *int) error {
	path := filepath.Join(dir, FileName)
	// No link is followed, and no pipe waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return err
	case len(b) > maxFile:
		return fmt.Errorf("%s: %w", path, state.ErrTooLarge)
	}
	if err := json.Unmarshal(b, doc); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if *v != docVersion {
		return fmt.Errorf("%s: version %d is not known", path, *v)
	}
	return nil
}

// WriteWatch writes the watcher's figures into its state folder.
func WriteWatch(stateDir string, w Watch) error {
	w.V = docVersion
	return write(stateDir, w)
}

func write(dir string, doc any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return state.ReplaceAs(filepath.Join(dir, FileName), append(b, '\n'), 0o644)
}

// Recorder keeps the figures of a worker. Its methods may be called concurrently,
// and do nothing where it is nil.
type Recorder struct {
	dir      string // the state folder
	watchDir string // the watcher's

	mu   sync.Mutex
	f    Figures
	kept time.Time // when Keep was last called; zero: not by this process
}

// NewRecorder goes on from the figures in a state folder; watchDir is the watcher's. Without any that can be
// read it begins anew.
func NewRecorder(stateDir, watchDir, version string) *Recorder {
	f, err := Read(stateDir)
	if err != nil {
		f = Figures{}
	}
	f.V, f.Version = docVersion, version
	if f.Events == nil {
		f.Events = map[event.Kind]int64{}
	}
	if f.Logins == nil {
		f.Logins = map[string]int64{}
	}
	if f.Dest == nil {
		f.Dest = map[string]Destination{}
	}
	return &Recorder{dir: stateDir, watchDir: watchDir, f: f}
}

// Finished counts an event that is done with.
func (r *Recorder) Finished(e event.Event, s event.Severity) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Events[e.Kind]++
	if e.Kind != event.KindLogin {
		return
	}
	r.f.Logins[s.String()]++
	at := e.Time.Unix() / 60 * 60
	i, there := slices.BinarySearchFunc(r.f.Recent, at, func(m Minute, at int64) int { return int(m.At - at) })
	if !there {
		r.f.Recent = slices.Insert(r.f.Recent, i, Minute{At: at})
	}
	r.f.Recent[i].Logins++
}

// Tried counts a try to tell something at a destination.
func (r *Recorder) Tried(dest, outcome string, now time.Time) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.f.Dest[dest]
	if d.Outcomes == nil {
		d.Outcomes = map[string]int64{}
	}
	d.Outcomes[outcome]++
	if outcome == Sent {
		d.Last = now.UTC()
	}
	r.f.Dest[dest] = d
}

// Told counts how long after it happened an event was told.
func (r *Recorder) Told(after time.Duration) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Delay.Observe(after)
}

// Beaten counts a heartbeat that was sent. failing is since when none arrives; zero:
// this one did.
func (r *Recorder) Beaten(now, failing time.Time) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	h := Heartbeat{Failing: failing}
	if failing.IsZero() {
		h.Last = now.UTC()
	} else if r.f.Beat != nil {
		h.Last = r.f.Beat.Last
	}
	r.f.Beat = &h
}

// NoHeartbeat says that none is sent.
func (r *Recorder) NoHeartbeat() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.f.Beat = nil
}

// Now returns the figures as they are, and the watcher's; nil where nobody watches.
func (r *Recorder) Now() (Figures, *Watch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.f
	f.Events, f.Logins, f.Dest, f.Recent = maps.Clone(f.Events), maps.Clone(f.Logins), maps.Clone(f.Dest), slices.Clone(f.Recent)
	for name, d := range f.Dest {
		d.Outcomes = maps.Clone(d.Outcomes)
		f.Dest[name] = d
	}
	f.Hub, f.HandOver = f.Hub.clone(), f.HandOver.clone()
	return f, r.watch()
}

// sinceKept returns how long ago Keep was last called; negative: it never was.
func (r *Recorder) sinceKept(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept.IsZero() {
		return -1
	}
	return max(0, now.Sub(r.kept))
}

func (r *Recorder) watch() *Watch {
	if w, err := ReadWatch(r.watchDir); err == nil && r.watchDir != "" {
		return &w
	}
	return nil
}

// Keep writes the figures down. q is what waits, and dest how each destination
// stands, of which Broken, Paused and Waiting are looked at; others are forgotten.
// follow: this worker stays.
func (r *Recorder) Keep(now time.Time, follow bool, q Queue, dest map[string]Destination) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = now
	r.f.Written, r.f.Queue = now.UTC().Truncate(time.Second), q
	if follow {
		r.f.Follow = r.f.Written
	}
	all := make(map[string]Destination, len(dest))
	for name, d := range dest {
		old := r.f.Dest[name]
		d.Outcomes, d.Last = old.Outcomes, old.Last
		all[name] = d
	}
	r.f.Dest = all
	hour := now.Add(-time.Hour - time.Minute).Unix()
	r.f.Recent = slices.DeleteFunc(r.f.Recent, func(m Minute) bool { return m.At < hour || m.At > now.Unix()+3600 })
	return errors.Join(write(r.dir, r.f), state.ReplaceAs(filepath.Join(r.dir, MetricsName), Text(r.f, r.watch()), 0o644))
}
