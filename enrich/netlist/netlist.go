// Package netlist owns lists of addresses and networks: Tor's exits, ranges of
// VPNs and data centres, somebody's own lists of what to block or to allow. It
// reads them from a file or gets them from a URL, keeps a copy of what it got,
// and says which address is on them.
//
// Nobody is told the address that is looked up. It must never hold a look-up
// up for a download while there is any older state of the list, never take an
// address that is on no list for a safe one, and never replace a list by
// something that is none.
package netlist

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

// DefaultRefresh is the age from which a list is got anew where Options.Refresh
// is 0.
const DefaultRefresh = 24 * time.Hour

// minRefresh keeps a mistake in the settings from becoming a nuisance for those
// who give their lists away: Tor's, the fastest, is made every half hour.
const minRefresh = 10 * time.Minute

// lookEvery is how often, at most, the disk is looked at for a new state.
const lookEvery = time.Second

// maxLabel is how much of a label is kept, in characters.
const maxLabel = 60

// Trait is what an address is that is on a list.
type Trait string

// The traits.
const (
	TraitNone    Trait = ""
	TraitTor     Trait = "tor"
	TraitVPN     Trait = "vpn"
	TraitProxy   Trait = "proxy"
	TraitHosting Trait = "hosting"
	TraitMobile  Trait = "mobile"
)

// Options describe one list. They are its settings, too.
type Options struct {
	Name  string // its table in the settings: letters, digits, "-", "_"
	Title string // as people know it; empty: Name
	Label string `toml:"label" check:"line=60"`       // what an address on it is: "Tor exit"; empty: Title
	Score *int   `toml:"score" check:"min=0,max=100"` // the risk of an address on it; nil: nothing is said about risk
	Trait Trait  `toml:"trait" check:"oneof=tor vpn proxy hosting mobile"`
	Allow bool   `toml:"allow"` // who is on it is expected; excludes Score

	Path string          `toml:"path" check:"file"` // of a file; read anew when it changes
	URL  outbound.Secret `toml:"url,secreturl"`     // or where to get it; see outbound.CheckURL

	// The rest is for a list with a URL.
	Refresh  time.Duration `toml:"refresh" check:"min=10m,max=30d"` // how old it may get; 0: DefaultRefresh
	Client   *outbound.Client
	StateDir string           // for the folder lists
	Now      func() time.Time // nil: time.Now
}

// List is one list. It may be used concurrently.
type List struct {
	o      Options
	source source
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	idle   *run // that is over

	mu      sync.Mutex
	list    *list // nil: there is none yet
	problem error // why there is none, or none newer
	asOf    time.Time
	looked  time.Time
	running *run
	runs    sync.WaitGroup
}

// run is one look at where a list comes from.
type run struct {
	loaded chan struct{} // closed when what is on the disk was read
	done   chan struct{} // closed when it was got, too
}

func newRun() *run { return &run{loaded: make(chan struct{}), done: make(chan struct{})} }

// source is where a list comes from. One goroutine uses it at a time.
type source interface {
	// load reads what is on the disk.
	load() outcome
	// fetch gets a newer state if it is time for that.
	fetch(ctx context.Context) outcome
}

// outcome is what a source has come to.
type outcome struct {
	list    *list     // nil: the same as before
	asOf    time.Time // zero: the same as before
	problem error     // what is wrong now, whatever it was before
}

// New makes a list. It reads and gets nothing: the first look-up does, or
// Refresh.
func New(o Options) (*List, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Title == "" {
		o.Title = o.Name
	}
	if o.Label == "" {
		o.Label = o.Title
	}
	if o.Refresh == 0 {
		o.Refresh = DefaultRefresh
	}
	o.Title, o.Label = event.Clean(o.Title, maxLabel), event.Clean(o.Label, maxLabel)
	l := &List{o: o}
	switch {
	case (o.Path == "") == o.URL.IsZero():
		return nil, errors.New("a list has either a path or a URL")
	case o.Score != nil && (*o.Score < 0 || *o.Score > 100):
		return nil, fmt.Errorf("the score %d is not within 0 to 100", *o.Score)
	case o.Score != nil && o.Allow:
		return nil, errors.New("a list with allow has no score")
	case o.Refresh < minRefresh:
		return nil, fmt.Errorf("refresh is at least %v", minRefresh)
	}
	switch o.Trait {
	case TraitNone, TraitTor, TraitVPN, TraitProxy, TraitHosting, TraitMobile:
	default:
		return nil, fmt.Errorf("%q is not a trait: tor, vpn, proxy, hosting or mobile", event.Clean(string(o.Trait), maxLabel))
	}
	if o.Path != "" {
		l.source = &file{path: o.Path}
	} else {
		d, err := newDownload(o)
		if err != nil {
			return nil, err
		}
		l.source = d
	}
	l.idle = newRun()
	close(l.idle.loaded)
	close(l.idle.done)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// Info implements enrich.Provider. Who is on no list has no risk, and not 0.
func (l *List) Info() enrich.Info {
	return enrich.Info{Name: l.o.Name, Title: l.o.Title, Local: true, Allow: l.o.Allow}
}

// Status is what there is of a list.
type Status struct {
	Lines   int       // addresses, networks and ranges; 0: there is no list
	Skipped int       // lines that could not be understood
	AsOf    time.Time // when the file was written, or the list was got or found unchanged
	Problem error     // best an *Error; there may be an older state of the list all the same
}

// Status says what there is of the list, after a look at the disk.
func (l *List) Status(ctx context.Context) Status {
	wait(ctx, l.look(false).loaded)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{AsOf: l.asOf, Problem: l.problem}
	if l.list != nil {
		s.Lines, s.Skipped = l.list.lines, l.list.skipped
	}
	return s
}

// Check looks at the list's file, where it has one, and returns what is wrong
// with it: best an *Error.
func (l *List) Check() error {
	if l.o.Path == "" {
		return nil
	}
	return l.Status(l.ctx).Problem
}

// Refresh brings the list up to date if it is time for that, and waits until
// that is done or ctx ends. Look-ups do not wait for it. A process that ends
// soon calls it when all else is done, so that the list ever gets newer.
func (l *List) Refresh(ctx context.Context) error {
	if !wait(ctx, l.look(true).done) {
		return context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem
}

// Close stops a download and waits for its end. The list may not be used any
// more.
func (l *List) Close() {
	l.cancel()
	l.runs.Wait()
}

// Lookup says whether an address is on the list: then it has its label in
// Traits.Lists, the trait and the score. Where there is no list yet, it waits
// for one, until ctx ends. Beside facts, an error says that an older state of
// the list was used.
func (l *List) Lookup(ctx context.Context, ip netip.Addr) (event.Facts, error) {
	if ip = ip.Unmap().WithZone(""); !ip.IsValid() {
		return event.Facts{}, nil
	}
	r := l.look(false)
	inTime := wait(ctx, r.loaded)
	current, asOf, problem := l.current()
	if current == nil && inTime {
		inTime = wait(ctx, r.done)
		current, asOf, problem = l.current()
	}
	if current == nil {
		if problem == nil && !inTime {
			problem = fmt.Errorf("the list was not ready in time: %w", context.Cause(ctx))
		}
		return event.Facts{}, problem
	}
	var f event.Facts
	if !current.contains(ip) {
		return f, problem
	}
	f.Traits = l.traits()
	if l.o.Score != nil {
		f.Risk = &event.Risk{Provider: l.o.Title, Known: true, Score: *l.o.Score, Reason: l.o.Label}
		if problem != nil {
			f.Risk.Stale = asOf
		}
	}
	return f, problem
}

func (l *List) current() (*list, time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list, l.asOf, l.problem
}

func (l *List) traits() event.Traits {
	t := event.Traits{Lists: []string{l.o.Label}}
	switch l.o.Trait {
	case TraitTor:
		t.Tor = l.o.Title
	case TraitVPN:
		t.VPN = l.o.Title
	case TraitProxy:
		t.Proxy = l.o.Title
	case TraitHosting:
		t.Hosting = l.o.Title
	case TraitMobile:
		t.Mobile = l.o.Title
	}
	return t
}

// look returns the run that is on its way. If there is none it begins one, unless
// the last look was a moment ago.
func (l *List) look(now bool) *run {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running != nil {
		return l.running
	}
	at := l.o.Now()
	age := at.Sub(l.looked)
	if !now && !l.looked.IsZero() && age >= 0 && age < lookEvery || l.ctx.Err() != nil {
		return l.idle
	}
	r := newRun()
	l.looked, l.running = at, r
	l.runs.Go(func() { l.work(r) })
	return r
}

// work is a run.
func (l *List) work(r *run) {
	l.take(l.source.load())
	close(r.loaded)
	l.take(l.source.fetch(l.ctx))
	l.mu.Lock()
	l.running = nil
	l.mu.Unlock()
	close(r.done)
}

// take puts a new state in the place of the old one.
func (l *List) take(s outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.problem = s.problem
	if s.list != nil {
		l.list = s.list
	}
	if !s.asOf.IsZero() {
		l.asOf = s.asOf
	}
}

// wait reports whether c was closed before ctx ended.
func wait(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
	}
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}
