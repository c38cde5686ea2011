package netlist

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/state"
)

// hashLength is how much of a URL's hash is in the names of its files.
const hashLength = 8

// download is a list that is got from a URL. What came last is kept as it came,
// in NAME-HASH.list, and what is known of it in NAME-HASH.json, where HASH is of
// the URL, so that another URL does not inherit them. NAME-HASH.lock is held by
// the process that is getting it.
type download struct {
	url     outbound.Secret
	host    string // of the URL, for errors
	client  *outbound.Client
	refresh time.Duration
	now     func() time.Time
	base    string // path of the files without their ends

	seen   os.FileInfo // the copy that was read last, good or bad
	good   bool        // it was good: what is in use is what the notes are about
	note   note
	hold   state.Cooldown // as note.Hold, for when that can't be written
	unkept int            // how often, in a row, it could not
}

// note is what is kept about a download.
type note struct {
	ETag     string         `json:"etag,omitempty"`
	Modified string         `json:"modified,omitempty"` // Last-Modified, as it came
	Checked  time.Time      `json:"checked,omitzero"`   // when the server last said what the list is
	Tries    int            `json:"tries,omitempty"`    // that failed, in a row
	Hold     state.Cooldown `json:"hold,omitzero"`      // nothing is asked before
	Problem  string         `json:"problem,omitempty"`  // why the last one failed
	Hint     string         `json:"hint,omitempty"`
}

func newDownload(o Options) (*download, error) {
	if err := outbound.CheckURL(o.URL.Reveal()); err != nil {
		return nil, err
	}
	u, err := url.Parse(o.URL.Reveal())
	if err != nil {
		return nil, errors.New("not a URL")
	}
	if o.StateDir == "" || o.Client == nil {
		return nil, errors.New("a list with a URL needs a client and a state folder")
	}
	if !isFileName(o.Name) {
		return nil, fmt.Errorf("the name %q is not made of letters, digits, - and _ alone", event.Clean(o.Name, maxLabel))
	}
	sum := sha256.Sum256([]byte(o.URL.Reveal()))
	return &download{
		url: o.URL, host: u.Host, client: o.Client, refresh: o.Refresh, now: o.Now,
		base: filepath.Join(o.StateDir, "lists", o.Name+"-"+hex.EncodeToString(sum[:])[:hashLength]),
	}, nil
}

// load reads the copy that was kept, by this process or another.
func (d *download) load() outcome {
	d.note = state.Read[note](d.base + ".json")
	var text string
	var info os.FileInfo
	err := state.Check(d.base + ".list")
	if err == nil {
		text, info, err = readIfChanged(d.base+".list", d.seen)
	}
	var l *list
	switch {
	case errors.Is(err, errUnchanged):
	case err != nil:
		d.seen, d.good = nil, false
	default:
		l, err = parse(text)
		d.seen, d.good = info, err == nil
	}
	return outcome{list: l, asOf: d.note.Checked, problem: d.problem()}
}

// problem is nil as long as the list is not older than it may be.
func (d *download) problem() error {
	if d.note.Problem == "" || d.good && !d.isOld() {
		return nil
	}
	e := &Error{Problem: d.note.Problem, hint: d.note.Hint}
	if d.good {
		e.Used = d.note.Checked
	}
	return e
}

// isOld also is what was got in the future: the clock was put back, and it
// might stay for years.
func (d *download) isOld() bool {
	age := d.now().Sub(d.note.Checked)
	return age < 0 || age >= d.refresh
}

// isDue reports whether the server may and should be asked.
func (d *download) isDue() bool {
	now := d.now()
	return (!d.good || d.isOld()) && d.note.Hold.Rebase(now).Left(now) == 0 && d.hold.Left(now) == 0
}

// isFileName reports whether a list's name can be part of a file name.
func isFileName(name string) bool {
	return name != "" && len(name) <= 64 &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}
