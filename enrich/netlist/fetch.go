package netlist

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/state"
)

// maxValidator bounds what is kept of an ETag or a date; real ones have 40
// bytes.
const maxValidator = 256

var errNotKept = errors.New("it can't be kept on disk")

// fetch gets the list if it is time for that, or waits for another process
// that does.
func (d *download) fetch(ctx context.Context) outcome {
	if !d.isDue() {
		return outcome{problem: d.problem()}
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		// Nothing is asked where it can't be remembered that it was.
		d.unkept++
		d.wait(0)
		return outcome{problem: d.because(explainFetch(d.host, fmt.Errorf("%w: %w", errNotKept, err)))}
	}
	defer unlock()
	out := d.load() // another process may have got it in the meantime
	if !d.isDue() {
		return out
	}
	a, err := d.get(ctx)
	switch {
	case ctx.Err() != nil: // that is not the server's fault
		return out
	case err != nil:
		d.fail(explainFetch(d.host, err), a.retryAfter)
		out.problem = d.problem()
		return out
	}
	n := note{ETag: a.etag, Modified: a.modified, Checked: d.now().UTC().Round(0)}
	if a.list == nil {
		n.ETag, n.Modified = d.note.ETag, d.note.Modified
	} else {
		err = state.Replace(d.base+".list", a.body)
		d.seen, _ = os.Stat(d.base + ".list")
		d.good = err == nil
	}
	if err == nil {
		err = state.Write(d.base+".json", n)
	}
	d.note, out.asOf, out.problem = n, n.Checked, nil
	if a.list != nil {
		out.list = a.list
		d.removeOthers()
	}
	if err != nil {
		d.unkept++
		d.wait(0)
		out.problem = &Error{Place: d.host, Problem: errNotKept.Error(), Err: err}
		return out
	}
	d.unkept = 0
	return out
}

// lock waits for other processes that get the same list.
func (d *download) lock(ctx context.Context) (unlock func(), err error) {
	return state.Lock(ctx, d.base+".lock")
}

// answer is what a server said. Without a list it is that nothing has changed.
type answer struct {
	list           *list
	body           []byte
	etag, modified string
	retryAfter     time.Duration
}

// get asks the server, once, for what is newer than what is in use.
func (d *download) get(ctx context.Context) (answer, error) {
	h := http.Header{"Accept": {"text/plain, */*;q=0.5"}}
	if d.good && d.note.ETag != "" {
		h.Set("If-None-Match", d.note.ETag)
	}
	if d.good && d.note.Modified != "" {
		h.Set("If-Modified-Since", d.note.Modified)
	}
	resp, err := d.client.Do(ctx, outbound.Request{Purpose: "list", URL: d.url, Header: h, MaxBody: maxBytes, Retry: true})
	if err != nil {
		return answer{}, err
	}
	a := answer{retryAfter: resp.RetryAfter, body: resp.Body,
		etag: validator(resp.Header.Get("ETag")), modified: validator(resp.Header.Get("Last-Modified"))}
	switch {
	case resp.Status == http.StatusNotModified && d.good:
		return a, nil
	case resp.Status/100 == 3 && resp.RedirectHost() != "":
		return a, fmt.Errorf("it is redirected to %s, which is not followed; name the new address in the settings", resp.RedirectHost())
	case resp.Status != http.StatusOK:
		return a, fmt.Errorf("it answered %d", resp.Status)
	case resp.Truncated:
		return a, errTooBig
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return a, errHTML
	}
	a.list, err = parse(string(resp.Body))
	return a, err
}

// validator drops what could not be sent back as it came.
func validator(s string) string {
	if len(s) > maxValidator || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// fail remembers a failure, and when to ask again: later each time, and not
// before the server wants it.
func (d *download) fail(why *Error, retryAfter time.Duration) {
	d.note.Tries++
	d.note.Problem, d.note.Hint = why.Error(), why.hint
	d.wait(retryAfter)
	d.note.Hold = d.hold
	// Where it can't be written, hold stands in for it.
	_ = state.Write(d.base+".json", d.note)
}

// wait keeps this process from asking again soon.
func (d *download) wait(atLeast time.Duration) {
	d.hold = state.CooldownFor(d.now(), max(atLeast, outbound.Backoff(max(d.note.Tries, d.unkept, 1), rand.Float64)))
}

// because adds what is used all the same.
func (d *download) because(e *Error) error {
	if d.good {
		e.Used = d.note.Checked
	}
	return e
}

// removeOthers removes what was kept for other URLs of the same name.
func (d *download) removeOthers() {
	dir, stem := filepath.Split(d.base)
	stem = stem[:len(stem)-hashLength]
	files, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, f := range files {
		hash, ok := strings.CutPrefix(strings.TrimSuffix(f.Name(), filepath.Ext(f.Name())), stem)
		if ok && len(hash) == hashLength && strings.Trim(hash, "0123456789abcdef") == "" && stem+hash != filepath.Base(d.base) {
			os.Remove(filepath.Join(dir, f.Name()))
		}
	}
}
