package cmd

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/country"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
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

// remembers reports whether the history in a state folder has a login. The service
// of a package makes an empty one at its first start.
func remembers(ctx context.Context, stateDir string) bool {
	st, err := lookInto(stateDir)
	if err != nil {
		return true
	}
	defer st.Close()
	for _, err := range history.New(st, history.Options{ReadOnly: true}).List(ctx, history.Filter{Limit: 1}) {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return false
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
func (m *memory) Remember(e event.Event, f event.Facts, v event.Verdict, t policy.Telling) error {
	entry := history.EntryOf(e, f, v)
	entry.Usual = t.When != policy.Now // for the digest
	switch {
	case t.When == policy.Counted:
		entry.Class = history.LeftOut
	case t.When == policy.Silenced:
		entry.Class = history.Silenced
	case !t.Ordinary:
		entry.Class = history.Again
	}
	entry.Told, entry.Untaught, entry.Late = t.When == policy.Now, !t.Teaches && !t.Late, t.Late
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
	var d deliver.Digest
	if id == "" {
		if rows, err := m.db.Undigested(ctx, before); err != nil {
			return d, err
		} else if len(rows) > 0 {
			id, at = event.NewID(), before
		}
	}
	if id != "" {
		rows, err := m.db.BeginDigest(ctx, id, at)
		if err != nil {
			return d, err
		}
		d = digestOf(id, rows)
	}
	return d, m.standing(ctx, before, &d)
}

// standing adds what a digest tells besides logins.
func (m *memory) standing(ctx context.Context, before time.Time, d *deliver.Digest) (err error) {
	if d.Promoted, err = m.promoted(ctx, before); err != nil {
		return err
	}
	if d.Learned, err = m.learned(ctx, before); err != nil {
		return err
	}
	d.Unanswered, d.MoreUnanswered, err = m.unanswered(ctx)
	return err
}

// recalling is a memory that others share, see recalled.
type recalling struct {
	*memory
	id     string // of the event that was asked about last
	answer event.Memory
	err    error // that it answered with last
}

// Recall implements deliver.Memory.
func (m *recalling) Recall(e event.Event, f event.Facts) (event.Memory, error) {
	answer, err := m.memory.Recall(e, f)
	if err == nil {
		m.id, m.answer = e.ID, answer
	} else {
		m.err = err
	}
	return answer, err
}

// recalled is the memory of a worker that is given the same as another, after it, and
// need not ask anew. It differs in what it leaves to the digest, which it counts for
// itself; what was told of a login is what the other told.
type recalled struct {
	of   *recalling
	left map[string]string // users by the id of the login
}

// Recall implements deliver.Memory.
func (m *recalled) Recall(e event.Event, f event.Facts) (event.Memory, error) {
	if e.ID == m.of.id {
		return m.of.answer, nil
	}
	return m.of.memory.Recall(e, f)
}

// Remember implements deliver.Memory.
func (m *recalled) Remember(e event.Event, _ event.Facts, _ event.Verdict, t policy.Telling) error {
	if t.When != policy.Now {
		if m.left == nil {
			m.left = map[string]string{}
		}
		m.left[e.ID] = e.User
	}
	return nil
}

// Digest implements deliver.Memory.
func (m *recalled) Digest(before time.Time) (d deliver.Digest, err error) {
	users := map[string]int{}
	for _, user := range m.left {
		users[user]++
	}
	for user, n := range users {
		d.ID = event.NewID()
		d.Rows = append(d.Rows, event.Row{User: user, Kind: event.KindLogin, Count: n, Severity: event.Low})
	}
	return d, m.of.standing(context.Background(), before, &d)
}

// Digested implements deliver.Memory.
func (m *recalled) Digested(string) error {
	m.left = nil
	return nil
}

// maxUnanswered is how much of what waits for an answer a digest names.
const maxUnanswered = 8

// maxNamedHosts is how many hosts a row of it names.
const maxNamedHosts = 3

// unanswered returns what was told as high or worse and nobody acknowledged.
func (m *memory) unanswered(ctx context.Context) (rows []event.Unanswered, more int, err error) {
	all, more, err := m.db.Alarms(ctx, maxUnanswered)
	for _, a := range all {
		from := a.Place
		if country.Known(from) {
			from = country.Name(from)
		}
		rows = append(rows, event.Unanswered{Ref: event.Ref(a.ID), User: a.User, From: from, Severity: a.Severity, Since: a.Since, Count: a.Count, Reasons: message.Reasons(a.Reasons), Hosts: a.Hosts[:min(len(a.Hosts), maxNamedHosts)], MoreHosts: max(0, len(a.Hosts)-maxNamedHosts)})
	}
	return rows, more, err
}

// promoted returns the pairs that became usual in the day before a time.
func (m *memory) promoted(ctx context.Context, before time.Time) ([]event.PairRow, error) {
	pairs, err := m.db.Promoted(ctx, before.Add(-24*time.Hour), before)
	n := min(len(pairs), maxPairRows)
	return pairRows(pairs[:n], len(pairs)-n), err
}

// pairRow puts a pair into words: the history has its networks and keys by what
// tells them apart.
func pairRow(p history.PairInfo) event.PairRow {
	from := strings.TrimPrefix(strings.TrimPrefix(p.Network, "net:"), "org:")
	key := strings.TrimPrefix(p.Key, "method:")
	if ca, ok := strings.CutPrefix(p.Key, "ca:"); ok {
		_, key, _ = strings.Cut(ca, " ")
	}
	r := event.PairRow{User: p.User, From: cmp.Or(p.Name, from), Key: key}
	if p.First != "" {
		r.Ref = event.Ref(p.First)
	}
	return r
}

// maxPairRows is how many pairs a section of a digest names; the others are one more
// line.
const maxPairRows = 9

// learned returns the pairs that came for the first time in the day before a time.
func (m *memory) learned(ctx context.Context, before time.Time) ([]event.PairRow, error) {
	pairs, more, err := m.db.Learned(ctx, before.Add(-24*time.Hour), before, maxPairRows)
	return pairRows(pairs, more), err
}

func pairRows(pairs []history.PairInfo, more int) (rows []event.PairRow) {
	for _, p := range pairs {
		rows = append(rows, pairRow(p))
	}
	if more > 0 {
		rows = append(rows, event.PairRow{More: more})
	}
	return rows
}

// Digested implements deliver.Memory.
func (m *memory) Digested(id string) error { return m.db.EndDigest(context.Background(), id) }

// How many users a digest names; the others are one more line.
const (
	maxDigestRows  = 39
	maxCountedRows = 9
	// of users that came to one of several hosts alone
	maxHostRows = 5
)

// why says of what is counted and not ordinary why it is not told by itself.
func why(c history.Class) string {
	switch c {
	case history.Again:
		return "told before, or one of many new"
	case history.LeftOut:
		return "left out by the settings"
	case history.Silenced:
		return "silenced"
	}
	return ""
}

func digestOf(id string, rows []history.DigestRow) deliver.Digest {
	d := deliver.Digest{ID: id}
	var more, others [2]int
	hosts := map[string]bool{}
	for _, r := range rows {
		for _, host := range r.Hosts {
			hosts[host] = true
		}
	}
	if len(hosts) > 1 {
		d.Hosts = len(hosts)
	}
	type part struct {
		of   int
		host string
	}
	own := map[part]int{} // rows of one host alone
	for _, r := range rows {
		if d.First.IsZero() || r.First.Before(d.First) {
			d.First = r.First
		}
		if r.Last.After(d.Last) {
			d.Last = r.Last
		}
		of, list, most := 0, &d.Rows, maxDigestRows
		if r.Class != history.Ordinary {
			of, list, most = 1, &d.Counted, maxCountedRows
		}
		alone := len(hosts) > 1 && len(r.Hosts) == 1
		if alone {
			own[part{of, r.Hosts[0]}]++
		}
		if len(*list) == most || r.Users > 0 || alone && own[part{of, r.Hosts[0]}] > maxHostRows {
			more[of] += max(1, r.Users)
			others[of] += r.Count
			continue
		}
		row := event.Row{User: r.User, Host: r.Hosts[0], Kind: event.KindLogin, Count: r.Count, MoreIPs: r.More, Severity: event.Low, Reason: why(r.Class)}
		if n := len(r.Hosts); n > 1 {
			row.Host, row.Hosts, row.MoreHosts = "", r.Hosts[:min(n, maxNamedHosts)], max(0, n-maxNamedHosts)
		}
		for _, from := range r.From {
			row.IPs = append(row.IPs, from.IP)
		}
		if row.Reason == "" && len(r.From) > 0 {
			row.Reason = cmp.Or(r.From[0].Network, r.From[0].Country)
		}
		*list = append(*list, row)
	}
	for part, list := range []*[]event.Row{&d.Rows, &d.Counted} {
		if more[part] > 0 {
			host := ""
			if d.Hosts == 0 {
				host = rows[0].Hosts[0]
			}
			*list = append(*list, event.Row{More: more[part], Host: host, Kind: event.KindLogin, Count: others[part], Severity: event.Low})
		}
	}
	return d
}
