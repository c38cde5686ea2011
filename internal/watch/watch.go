package watch

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

const (
	// tickEvery is how often ends are looked for: of attacks, of thresholds.
	tickEvery = 5 * time.Second
	// saveEvery is how often what is counted is written down; a kill loses the
	// counts since, and nothing that was told.
	saveEvery = 10 * time.Second
	// silentAfter is how long lines may come of which none is understood before
	// that is said.
	silentAfter = time.Hour
)

// Settings say what to make of lines.
type Settings struct {
	Host     string // this host's, in the events
	Labels   map[string]string
	Each     bool // attacks are told when they begin and end; else in the daily digest
	DigestAt time.Duration
	Zone     *time.Location
	// Place returns the network and country of an address, without asking anybody;
	// nil: nobody knows.
	Place func(ip Addr) (network, country string, asn uint32)
	// Ignored says whose attempts are not looked at; nil: nobody's.
	Ignored func(user string) bool
	// UID returns the number of an account of this host, as text; nil: nobody knows.
	UID func(user string) (uid string, known bool)
	// Covered reports whether the hook has to tell of a session of a PAM service
	// that was opened at a time. host is what the line names as its own, "" in
	// the journal. nil: no witness is written.
	Covered func(service, host string, at time.Time) bool
	// Account returns the name of a user id; nil: nobody knows.
	Account func(uid int) string
	// Published is told of each attack by an address that has ended; nil: nobody
	// wants to know.
	Published func(attack.Finding) []event.Event
}

// Watcher turns lines into events.
type Watcher struct {
	Settings
	Parser   *parse.Parser
	Attacks  *attack.Engine
	Patterns *pattern.Engine // nil: none
	Runner   *pattern.Runner // nil: nothing is run
	Pending  *PendingDigest  // of the digest; nil: there is none
	// Put keeps an event for good. The lines that it came of are not read again
	// once it returns.
	Put func(event.Event) error
	// Save writes down what is counted; nil: nothing is.
	Save func(*Watcher) error
	Log  *slog.Logger
	Now  func() time.Time // nil: time.Now

	stats map[string]*Stat // by source
	last  struct {         // of the line before
		source string
		stat   *Stat
	}
	// forged has what was forged since it was last said, by source.
	forged map[string]*forgedIn

	came time.Time // when the batch came

	changed bool // what is counted, since Store last wrote it

	written written // witnesses of plain files
}

// quiet watches for a source that nobody understands.
type quiet struct {
	since time.Time // of the first line that was not understood, with none understood after it
	said  bool
}

// Stat counts what became of a source's lines.
type Stat struct {
	Lines   int64            `json:"lines"`
	Parsed  map[string]int64 `json:"parsed,omitempty"`  // by parser
	Matched int64            `json:"matched,omitempty"` // by a pattern
	Unknown int64            `json:"unknown"`
	// Unread are lines of known daemons of which nobody knows what they say. They are
	// unknown, too.
	parse.Unread
	// OnlyName are attempts of which the log has a name and no address, Ambiguous
	// lines that a stranger may have written to look like the daemon's.
	OnlyName  int64     `json:"only_name,omitempty"`
	Ambiguous int64     `json:"ambiguous,omitempty"`
	LastTime  time.Time `json:"last_time,omitzero"` // of an understood line

	// Forged counts entries of the journal that tell of a login or an attempt in a
	// daemon's name and are not its word; none of them is believed.
	Forged   int64     `json:"forged,omitempty"`
	ForgedBy Forger    `json:"forged_by,omitzero"` // who wrote the last one
	ForgedAt time.Time `json:"forged_at,omitzero"`

	quiet quiet

	// run are lines of one parser, one after another, that Parsed does not count yet.
	run struct {
		parser string
		lines  int64
	}
}

func (s *Stat) parsed(parser string) {
	if parser != s.run.parser {
		s.settle()
		s.run.parser = parser
	}
	s.run.lines++
}

// settle makes Parsed whole.
func (s *Stat) settle() {
	if s.run.lines > 0 {
		s.Parsed[s.run.parser] += s.run.lines
	}
	s.run.lines = 0
}

// Forms returns the forms of unread lines of all stats, the commonest first, and how
// many lines of known daemons are not read.
func Forms(stats ...*Stat) (forms []parse.Form, total int64) {
	all := make([]parse.Unread, len(stats))
	for i, s := range stats {
		all[i] = s.Unread
	}
	return parse.Forms(all...)
}

type given struct {
	from  source.Source
	batch source.Batch
}

// Run reads the sources until ctx ends, or until each has come to its end. When
// ctx ends it closes them, and takes what they hold already: what was written
// into a pipe is nowhere else. With an error nothing is written down of what is
// counted, because what led to it is read again.
func (w *Watcher) Run(ctx context.Context, sources []source.Source) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := make(chan given)
	over := make(chan struct{})
	defer close(over)
	var readers sync.WaitGroup
	for _, s := range sources {
		readers.Go(func() { w.read(ctx, s, batches, over) })
	}
	go func() {
		readers.Wait()
		close(batches)
	}()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	saved := w.now()
	for {
		select {
		case g, open := <-batches:
			if !open {
				if err := w.drain(ctx, sources); err != nil {
					return err
				}
				return w.save()
			}
			if err := w.take(g); err != nil {
				return err
			}
		case <-tick.C:
			if err := w.Tick(w.now()); err != nil {
				return err
			}
		}
		if now := w.now(); now.Sub(saved) >= saveEvery {
			saved = now
			if err := w.save(); err != nil {
				w.Log.Error("what is counted can't be kept", "error", err)
			}
		}
	}
}

// take commits a batch once all that came of it is kept.
func (w *Watcher) take(g given) error {
	if err := w.Take(g.batch); err != nil {
		return err
	}
	if err := g.from.Commit(g.batch); err != nil {
		w.Log.Error("a position can't be kept", "source", g.from.Name(), "error", err)
	}
	return nil
}

// drain takes what sources hold that were told to end.
func (w *Watcher) drain(ctx context.Context, sources []source.Source) error {
	if ctx.Err() == nil {
		return nil // they came to their ends
	}
	ctx = context.WithoutCancel(ctx)
	for _, s := range sources {
		if err := s.Close(); err != nil {
			w.Log.Error("a position can't be kept", "source", s.Name(), "error", err)
		}
		for {
			b, err := s.Read(ctx)
			if err != nil {
				break
			}
			if err := w.take(given{s, b}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Watcher) now() time.Time {
	if w.Now != nil {
		return w.Now()
	}
	return time.Now()
}

func (w *Watcher) save() error {
	if w.Save == nil {
		return nil
	}
	return w.Save(w)
}

// read hands on what a source gives. What it gave is taken also when ctx has
// ended meanwhile.
func (w *Watcher) read(ctx context.Context, s source.Source, to chan<- given, over <-chan struct{}) {
	for {
		b, err := s.Read(ctx)
		if err != nil {
			if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				w.Log.Error("a source has ended", "source", s.Name(), "error", err)
			}
			return
		}
		select {
		case to <- given{s, b}:
		case <-over:
			return
		}
	}
}

// Take makes events of a batch of lines. With an error none of the batch may be
// committed: it is read again.
func (w *Watcher) Take(b source.Batch) error {
	w.changed = w.changed || len(b.Lines) > 0
	w.came = w.now() // asked once: it costs more than a line
	for i := range b.Lines {
		if err := w.line(&b, i); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) line(b *source.Batch, i int) error {
	l := &b.Lines[i]
	r := w.Parser.Next(l)
	at := r.Time
	if at.IsZero() {
		at = l.Time
	}
	understood := r.Outcome != parse.None
	framed := w.framed(l, r)
	if framed {
		not := *r
		not.Outcome, not.Count, not.Retracted = parse.Other, 0, 0
		r = &not
	}
	looked := w.looked(r)
	if w.Pending != nil && !w.Each && !w.Attacks.Ignores(looked.IP) {
		w.Pending.take(*looked)
	}
	if attack.Tells(looked) {
		for _, f := range w.Attacks.Take(*looked) {
			if err := w.found(f); err != nil {
				return err
			}
		}
	}
	if err := w.loggedIn(l, looked, at); err != nil {
		return err
	}
	matched := 0
	if w.Patterns != nil {
		for _, m := range w.Patterns.Take(*l, at) {
			matched++
			if err := w.matched(m, b.Key(i)); err != nil {
				return err
			}
		}
		understood = understood || w.Patterns.Understood()
	}
	w.count(l.Source, r, at, matched, understood)
	switch {
	case framed:
		w.forgery(*l, r.Service)
	case l.Entry != nil && l.Entry.Claim != "":
		w.disbelieve(*l)
	case r.Opened.Service != "" && w.Covered != nil:
		return w.witness(*l, *r, b.Key(i))
	}
	return nil
}

// looked is a result without what is of users whose attempts are not looked at.
func (w *Watcher) looked(r *parse.Result) *parse.Result {
	if w.Ignored == nil {
		return r
	}
	ignored := r.User != "" && w.Ignored(r.User)
	if !ignored && len(r.Located) == 0 {
		return r
	}
	rest := *r
	if ignored {
		rest.Outcome = parse.Other
	}
	rest.Located = slices.DeleteFunc(slices.Clone(r.Located), func(a parse.Attempt) bool { return w.Ignored(a.User) })
	return &rest
}

// Tick looks for what ends by the passing of time.
func (w *Watcher) Tick(now time.Time) error {
	for _, f := range w.Attacks.Tick(now) {
		w.changed = true
		if err := w.found(f); err != nil {
			return err
		}
	}
	if w.Patterns != nil {
		for _, m := range w.Patterns.Tick(now) {
			if err := w.matched(m, ""); err != nil {
				return err
			}
		}
	}
	return w.digest(now)
}

// Finish ends what goes on, at the end of a replay.
func (w *Watcher) Finish(at time.Time) error {
	for _, f := range w.Attacks.Close() {
		if err := w.found(f); err != nil {
			return err
		}
	}
	if w.Patterns == nil {
		return nil
	}
	for _, m := range w.Patterns.Tick(at.AddDate(1, 0, 0)) {
		if err := w.matched(m, ""); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) count(name string, r *parse.Result, at time.Time, matched int, understood bool) {
	if w.stats == nil {
		w.stats, w.forged = map[string]*Stat{}, map[string]*forgedIn{}
	}
	if w.last.stat == nil || w.last.source != name {
		if w.stats[name] == nil {
			w.stats[name] = &Stat{Parsed: map[string]int64{}}
		}
		w.last.source, w.last.stat = name, w.stats[name]
	}
	s := w.last.stat
	s.Lines++
	if matched > 0 {
		s.Matched++
	}
	switch {
	case r.Outcome != parse.None:
		s.parsed(r.Parser)
	case r.Unread != "":
		s.Unread.Add(*r)
	}
	if r.Ambiguous {
		s.Ambiguous++
	}
	if r.Peer != "" && r.Outcome == parse.Failure {
		s.OnlyName += int64(r.Count)
	}
	for _, a := range r.Located {
		if !a.IP.IsValid() && a.Peer != "" {
			s.OnlyName = max(s.OnlyName-int64(a.Count), 0)
		}
	}
	q := &s.quiet
	if understood {
		if !at.IsZero() {
			s.LastTime = at
		}
		*q = quiet{}
		return
	}
	s.Unknown++
	if q.since.IsZero() {
		q.since = w.came
	} else if !q.said && w.came.Sub(q.since) >= silentAfter {
		q.said = true
		w.Log.Warn("receiving lines, but none parsed for an hour: sshnotify watch --explain LINE", "source", name)
	}
}

// Stats returns what became of the lines so far, by source.
func (w *Watcher) Stats() map[string]*Stat {
	for _, s := range w.stats {
		s.settle()
	}
	return w.stats
}
