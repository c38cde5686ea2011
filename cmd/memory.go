package cmd

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/store"
)

// memory is the worker's view of the history: what is usual is what the daily
// digest shall report.
type memory struct{ db *history.DB }

// databaseFile is the worker's database in a state folder.
func databaseFile(stateDir string) string { return filepath.Join(stateDir, store.FileName) }

// lookInto opens the database of a state folder to read it. The folder may be
// another user's.
func lookInto(stateDir string) (*store.DB, error) {
	return store.Open(databaseFile(stateDir), store.Options{ReadOnly: true})
}

// askBeside opens the database for look-ups beside the worker. Root makes nothing
// in a state folder, nor the folder: what is root's there the service can't open.
func (a *app) askBeside(stateDir string) (*store.DB, error) {
	return store.Open(databaseFile(stateDir), store.Options{Existing: a.uid == 0})
}

// Recall implements deliver.Memory; the history has limits of its own for time.
func (m *memory) Recall(e event.Event, f event.Facts) (event.Memory, error) {
	return m.db.Recall(context.Background(), history.EntryOf(e, f, event.Verdict{}))
}

// Remember implements deliver.Memory.
func (m *memory) Remember(e event.Event, f event.Facts, v event.Verdict, quiet bool) error {
	entry := history.EntryOf(e, f, v)
	entry.Usual = quiet
	return m.db.Record(context.Background(), entry)
}

// Digest implements deliver.Memory. It is called once a day, which is also when
// what is too old is forgotten.
func (m *memory) Digest(before time.Time) (deliver.Digest, error) {
	ctx := context.Background()
	if _, err := m.db.Prune(ctx); err != nil {
		return deliver.Digest{}, err
	}
	id, at, err := m.db.PendingDigest(ctx)
	if err != nil {
		return deliver.Digest{}, err
	}
	if id == "" {
		rows, err := m.db.Undigested(ctx, before)
		if err != nil || len(rows) == 0 {
			return deliver.Digest{}, err
		}
		id, at = event.NewID(), before
	}
	rows, err := m.db.BeginDigest(ctx, id, at)
	if err != nil {
		return deliver.Digest{}, err
	}
	return digestOf(id, rows), nil
}

// Digested implements deliver.Memory.
func (m *memory) Digested(id string) error { return m.db.EndDigest(context.Background(), id) }

// maxDigestRows is how many users a digest names; the others are one more line.
const maxDigestRows = 39

func digestOf(id string, rows []history.DigestRow) deliver.Digest {
	d := deliver.Digest{ID: id}
	var others int
	for i, r := range rows {
		if d.First.IsZero() || r.First.Before(d.First) {
			d.First = r.First
		}
		if r.Last.After(d.Last) {
			d.Last = r.Last
		}
		if i >= maxDigestRows {
			others += r.Count
			continue
		}
		row := event.Row{User: r.User, Host: r.Host, Kind: event.KindLogin, Count: r.Count, MoreIPs: r.More, Severity: event.Low}
		for _, from := range r.From {
			row.IPs = append(row.IPs, from.IP)
		}
		if len(r.From) > 0 {
			row.Reason = cmp.Or(r.From[0].Network, r.From[0].Country)
		}
		d.Rows = append(d.Rows, row)
	}
	if more := len(rows) - maxDigestRows; more > 0 {
		d.Rows = append(d.Rows, event.Row{
			More: more, Host: rows[0].Host, Kind: event.KindLogin, Count: others, Severity: event.Low,
		})
	}
	return d
}
