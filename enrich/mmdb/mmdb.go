// Package mmdb owns the MaxMind DB files that the settings name: how they are
// opened, kept up to date while they are replaced, and what is understood in
// them. It asks nobody.
//
// A file belongs to somebody else, who may replace it, rewrite it in place or
// put something else there at any time, and its content is a stranger's. It
// must never take the program down, and never give facts out of a file that
// was changed while it was being read.
package mmdb

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/event"
)

// lookEvery is how often, at most, a file is looked at for a replacement: a
// file changes once a week, and addresses may come by the hundred.
const lookEvery = time.Second

// Options say which file a Provider reads.
type Options struct {
	Name  string           // its table in the settings
	Title string           // as people know it; empty: Name
	Path  string           `toml:"path,required" check:"file"`
	Now   func() time.Time // nil: time.Now
}

// Provider answers from one file. It may be used concurrently.
type Provider struct {
	name, title, path string
	now               func() time.Time
	copyUpTo          int64 // bytes

	looking sync.Mutex // held by who looks at the file
	looked  time.Time  // when that was; with looking held
	refused os.FileInfo

	mu      sync.RWMutex // read-held while db is in use
	db      *database    // nil: none could be opened yet
	problem error        // a *FileError about what stands at path now; nil: it is db
}

// New makes a provider. It touches nothing on disk: the file is opened by the
// first look-up, or by Check.
func New(o Options) (*Provider, error) {
	if o.Path == "" {
		return nil, errors.New("no path of a file")
	}
	if o.Title == "" {
		o.Title = o.Name
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Provider{name: o.Name, title: o.Title, path: o.Path, now: o.Now, copyUpTo: copyUpTo}, nil
}

// Info implements enrich.Provider. That an address is a VPN's is a trait of it,
// and no risk.
func (p *Provider) Info() enrich.Info {
	return enrich.Info{Name: p.name, Title: p.title, Local: true}
}

// Path is the file's.
func (p *Provider) Path() string { return p.path }

// Check looks at the file now and says what is wrong with it, as a *FileError.
// An older state of it may be in use all the same; see Date.
func (p *Provider) Check() error {
	p.look(true)
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.problem
}

// Date is when the data in use were built; zero if there are none.
func (p *Provider) Date() time.Time {
	p.look(false)
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.db == nil {
		return time.Time{}
	}
	return p.db.built
}

// Kind is what the file in use calls itself ("GeoLite2-City"), cleaned; empty
// if there is none. Nothing is decided by it.
func (p *Provider) Kind() string {
	p.look(false)
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.db == nil {
		return ""
	}
	return p.db.kind
}

// Close lets go of the file. A later look-up opens it again.
func (p *Provider) Close() {
	p.looking.Lock()
	defer p.looking.Unlock()
	p.looked, p.refused = time.Time{}, nil
	p.replace(nil, nil)
}

// Lookup returns what the file says of an address; nothing for one that is not in
// it. Beside facts, an error is about a newer file that can't be used, so that
// an older state answered. It does not wait for anything but the disk.
func (p *Provider) Lookup(_ context.Context, ip netip.Addr) (event.Facts, error) {
	// Files keep IPv4 below ::/96, where an IPv6 address would find it too.
	if ip = ip.Unmap().WithZone(""); !ip.IsValid() || ip.Is6() && netip.MustParsePrefix("::/96").Contains(ip) {
		return event.Facts{}, nil
	}
	p.look(false)
	found, err := p.find(ip)
	if errors.Is(err, errChanged) {
		p.look(true)
		found, err = p.find(ip)
	}
	return facts(found, p.title), err
}

// find asks the file that is in use.
func (p *Provider) find(ip netip.Addr) (map[string]any, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.db == nil {
		return nil, p.problem
	}
	found, err := p.db.find(ip)
	if err != nil {
		return nil, damaged(p.path, err)
	}
	return found, p.problem
}

// look opens what stands at the path, if that is not what is in use: at once
// if now is set, else at most every lookEvery, and not twice at a time.
func (p *Provider) look(now bool) {
	if !now && p.isOpen() {
		if !p.looking.TryLock() {
			return
		}
	} else {
		p.looking.Lock()
	}
	defer p.looking.Unlock()
	at := p.now()
	if age := at.Sub(p.looked); !now && !p.looked.IsZero() && age >= 0 && age < lookEvery {
		return
	}
	p.looked = at
	info, err := os.Stat(p.path)
	if err != nil {
		p.fail(explain(p.path, err))
		return
	}
	// Only we, who hold looking, replace db.
	if p.db != nil && isSame(info, p.db.info) {
		p.mu.Lock()
		p.problem = nil
		p.mu.Unlock()
		return
	}
	if !now && p.refused != nil && isSame(info, p.refused) {
		p.fail(p.problem)
		return
	}
	db, err := open(p.path, p.copyUpTo)
	if err != nil {
		p.refused = info
		p.fail(explain(p.path, err))
		return
	}
	p.refused = nil
	p.replace(db, nil)
}

func (p *Provider) isOpen() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.db != nil
}

// fail keeps what is in use, unless that is changing under our hands.
func (p *Provider) fail(problem error) {
	if p.db != nil && p.db.isChanged() {
		p.replace(nil, problem)
		return
	}
	p.mu.Lock()
	p.problem = problem
	p.mu.Unlock()
}

func (p *Provider) replace(db *database, problem error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db != nil {
		p.db.close()
	}
	p.db, p.problem = db, problem
}

// isSame reports whether nothing has happened to a file in between.
func isSame(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
