package deliver

import (
	"context"
	"fmt"
	"time"

	"github.com/sshnotify/sshnotify/internal/digest"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// maxReportPage is how large a page may be that goes by mail: with a third more for
	// its encoding, no server refuses it.
	maxReportPage = 1 << 20
	// reportTimeout bounds the making of one.
	reportTimeout = 5 * time.Minute
	// keepReportPage is how long that of a report is kept which is told to nobody: a dead
	// letter may be tried again.
	keepReportPage = 30 * 24 * time.Hour
)

// Report is the report that goes out by itself.
type Report struct {
	Every policy.Weekly
	Since time.Duration // how far it goes back from the time that it is due
	// Make returns what a report says in short, and the page as HTML. It is called beside
	// the worker, one at a time; nil: none goes out.
	Make func(ctx context.Context, since, now time.Time) (event.Digest, []byte, error)
}

// The kinds of documents that a reportDoc is, by the spool's name, and the page of a
// report that is on its way, by the id of its event.
const (
	kindReport     = "report"
	kindReportPage = "report-page"
)

// reportDoc is what later workers must know of reports.
type reportDoc struct {
	Every string    `json:"every,omitempty"` // as the settings had it; empty: never
	Due   time.Time `json:"due,omitzero"`    // of the newest that was made, or need not be
}

// reportPage is kept from before a report is queued until it is told.
type reportPage struct {
	Made int64  `json:"made"` // milliseconds since 1970
	HTML []byte `json:"html"`
}

// madeReport is one that was made beside the worker.
type madeReport struct {
	id   string
	due  time.Time
	what event.Digest
	html []byte
	err  error
}

func (w *worker) loadReport() {
	if w.Store != nil {
		w.reports, _ = store.Load[reportDoc](context.Background(), w.Store, kindReport, w.delivered.spool)
	}
	if w.set.Report.Make == nil && w.reports.Every != "" { // whoever asks for it again does not want those of meanwhile
		w.reports = reportDoc{}
		w.keepReport()
	}
}

func (w *worker) keepReport() {
	err := store.Update(context.Background(), w.Store, kindReport, w.delivered.spool, func(d *reportDoc) error { *d = w.reports; return nil })
	if err != nil {
		w.Log.Warn("that a report was made can't be kept", "error", err)
	}
}

// makeReport has a report made when one is due: at its time, or as soon as a worker runs
// after it, the newest alone. It returns how long until it should be asked again.
func (w *worker) makeReport(ctx context.Context, now time.Time) time.Duration {
	set := w.set.Report
	if set.Make == nil || w.hub != nil || w.Store == nil || w.reporting != nil {
		return forever
	}
	at := time.Duration(set.Every.At) * time.Minute
	due := digest.DueWeekly(now, set.Every.Days, at, w.set.zone())
	next := digest.NextWeekly(due, set.Every.Days, at, w.set.zone()).Add(w.settles())
	d := &w.reports
	switch {
	case d.Every != set.Every.String(): // nothing of before was promised
		d.Every, d.Due = set.Every.String(), due
		w.keepReport()
		return next.Sub(now)
	case !d.Due.Before(due):
		return next.Sub(now)
	case now.Before(w.reportAgain):
		return w.reportAgain.Sub(now)
	case now.Before(due.Add(w.settles())) && w.Mode == Follow:
		return due.Add(w.settles()).Sub(now)
	}
	// A kill after it was queued, and before that was written down, leads here again with
	// the same id.
	id := event.LoginID(event.Session{Boot: "report"}, w.delivered.spool+due.UTC().Format(time.RFC3339))
	if w.items[id] != nil || w.delivered.has(id) {
		d.Due = due
		w.keepReport()
		return next.Sub(now)
	}
	made := make(chan madeReport, 1)
	w.reporting = made
	go func() {
		ctx, cancel := context.WithTimeout(ctx, reportTimeout)
		defer cancel()
		what, html, err := set.Make(ctx, due.Add(-set.Since), now)
		made <- madeReport{id, due, what, html, err}
	}()
	return forever
}

// finishReport queues a report that was made, with its page kept before it.
func (w *worker) finishReport(m madeReport, now time.Time) {
	w.reporting = nil
	err := m.err
	if err == nil && m.what.Report == nil {
		err = fmt.Errorf("a report of nothing")
	}
	if err == nil && len(m.html) > maxReportPage {
		m.what.Report.Oversize, m.html = len(m.html), nil
	}
	if err == nil {
		err = w.Store.WriteDurably(context.Background(), store.BatchLimit, func(t *store.Tx) error {
			if _, err := t.Exec(`DELETE FROM state WHERE kind = ? AND json_extract(value, '$.made') < ?`, kindReportPage, now.Add(-keepReportPage).UnixMilli()); err != nil {
				return err
			}
			return store.Put(t, kindReportPage, m.id, reportPage{now.UnixMilli(), m.html})
		})
	}
	if err == nil {
		err = w.ownDigest(event.Event{ID: m.id, Kind: event.KindDigest, Time: now, Host: w.hostname(), Via: event.ViaSelf, Digest: &m.what})
	}
	if err != nil {
		w.Log.Error("the report can't be made", "error", err)
		w.reportAgain = now.Add(digestRetry)
		return
	}
	w.reports.Due = m.due
	w.keepReport()
}

// awaitReport waits for a report that is being made. The caller has ended its context.
func (w *worker) awaitReport() {
	if w.reporting != nil {
		<-w.reporting
		w.reporting = nil
	}
}

// isReport reports whether an event is a report.
func isReport(e event.Event) bool { return e.Digest != nil && e.Digest.Report != nil }

// pageOf returns the page of a report; nil: there is none.
func (w *worker) pageOf(e event.Event) []byte {
	if !isReport(e) || w.Store == nil {
		return nil
	}
	p, err := store.Load[reportPage](context.Background(), w.Store, kindReportPage, e.ID)
	if err != nil {
		w.Log.Warn("the page of a report can't be read, and is not attached", "id", e.ID, "error", err)
	}
	return p.HTML
}

// forgetPage forgets the page of a report that everybody has.
func (w *worker) forgetPage(it *item) {
	if !isReport(it.e) || w.Store == nil || it.dead() {
		return
	}
	if err := store.Delete(context.Background(), w.Store, kindReportPage, it.e.ID); err != nil {
		w.Log.Warn("the page of a report can't be forgotten yet", "id", it.e.ID, "error", err)
	}
}
