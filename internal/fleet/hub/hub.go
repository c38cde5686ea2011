// Package hub owns the hub's end of a fleet: who may come in, what hosts hand over,
// until the worker is done with it, and what is told of hosts themselves.
//
// It believes the certificate and never the event: no host may speak for another, end
// another's session, or choose who is told. What it has answered for outlives a power
// failure.
package hub

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Options is what a hub needs.
type Options struct {
	DB       *store.DB // the worker's
	Settings fleet.Settings
	Hostname string // the kernel's
	Log      *slog.Logger
	Alarm    func(string) // as deliver.Job.Alarm
	Figures  *figures.Recorder
	Evidence string   // the folder in which that of hosts is kept; empty: none is taken
	Page     MakePage // nil: no page is served
}

// Hub is the hub's end. Its methods may be called concurrently.
type Hub struct {
	o     Options
	reg   *Registry
	ca    *authority
	began time.Time
	inbox *inbox
	pages *pages // nil: there is none

	commits chan *batch
	done    chan struct{} // Run is over

	copying  sync.Mutex // a copy of the database is on its way
	evidence sync.Mutex // evidence is counted and kept

	mu        sync.Mutex
	byName    map[string]*member
	byToken   map[[sha256.Size]byte]*member
	joins     map[netip.Prefix]*rate.Limiter // of those who ask in vain
	strangers map[netip.Prefix]int           // connections of who is not known yet
	changed   int64                          // of the registry, as it is here
	failing   bool                           // the last commit failed
	pruned    int64
	orders    outgoing
}

// New returns a hub on a database, which it brings up to date.
func New(ctx context.Context, o Options) (*Hub, error) {
	h := &Hub{
		o: o, reg: NewRegistry(o.DB), began: time.Now(), inbox: newInbox(o.DB),
		joins: map[netip.Prefix]*rate.Limiter{}, strangers: map[netip.Prefix]int{}, commits: make(chan *batch), done: make(chan struct{}),
		byName: map[string]*member{}, byToken: map[[sha256.Size]byte]*member{}, orders: newOutgoing(),
	}
	if o.Page != nil {
		h.pages = newPages(o.Page)
	}
	hostname := strings.ToLower(o.Hostname)
	first, _, _ := strings.Cut(hostname, ".")
	h.reg.own = []string{"localhost", hostname, first}
	err := o.DB.Migrate(ctx)
	if err == nil {
		h.ca, err = loadCA(ctx, o.DB, time.Now())
	}
	if err != nil {
		return nil, err
	}
	return h, h.refresh(ctx)
}

func (h *Hub) now() time.Time { return h.reg.now() }

// refresh reads what changed in the registry.
func (h *Hub) refresh(ctx context.Context) error {
	return h.o.DB.Read(ctx, store.BatchLimit, func(t *store.Tx) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.reload(t)
	})
}

// Start serves hosts at the address of the settings, if they have one, until the
// context ends, and returns once it listens. What it returns waits until all is over.
func (h *Hub) Start(ctx context.Context) (wait func() error, err error) {
	var all sync.WaitGroup
	var failed error
	if address := h.o.Settings.Listen; address != "" { // or hosts come over a broker alone
		if h.o.Settings.CertFile != "" {
			if _, err := tls.LoadX509KeyPair(h.o.Settings.CertFile, h.o.Settings.KeyFile); err != nil {
				return nil, fmt.Errorf("cert_file and key_file of [hub]: %w", err)
			}
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, err
		}
		h.o.Log.Info("the hub listens", "address", l.Addr().String())
		all.Go(func() { failed = h.serve(ctx, l) })
	}
	all.Go(func() { h.run(ctx) })
	return func() error {
		all.Wait()
		return failed
	}, nil
}

// refreshEvery is how long a host that is revoked may still beat: what it hands over
// is refused at once.
const refreshEvery = time.Second

// run commits what hosts hand over, and tells of the hosts, until the context ends.
func (h *Hub) run(ctx context.Context) {
	defer close(h.done)
	var all sync.WaitGroup
	all.Go(func() { h.commitAll(ctx) })
	all.Go(func() { h.sweepAll(ctx) })
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			all.Wait()
			return
		case <-tick.C:
			if err := h.refresh(ctx); err != nil && ctx.Err() == nil {
				h.o.Log.Warn("the hub's list of hosts can't be read anew", "error", err)
			}
			if err := h.lookAtOrders(ctx); err != nil && ctx.Err() == nil {
				h.o.Log.Warn("the orders to hosts can't be read", "error", err)
			}
		}
	}
}
