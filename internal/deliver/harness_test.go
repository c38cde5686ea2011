package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

// fakeDest is a destination that a test scripts. fail decides on the n-th
// attempt, from 1; nil takes everything.
type fakeDest struct {
	name   string
	pace   time.Duration
	retry  channel.Retry
	perDay int
	fail   func(n int, a event.Alert) error

	mu    sync.Mutex
	tries int
	got   []event.Alert
	at    []time.Time
}

func (d *fakeDest) Name() string { return d.name }
func (d *fakeDest) Traits() channel.Traits {
	return channel.Traits{Pace: d.pace, Retry: d.retry, PerDay: d.perDay}
}

func (d *fakeDest) Send(_ context.Context, a event.Alert) (event.Receipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tries++
	if d.fail != nil {
		if err := d.fail(d.tries, a); err != nil {
			return nil, err
		}
	}
	d.got = append(d.got, a)
	d.at = append(d.at, time.Now())
	return nil, nil
}

func (d *fakeDest) alerts() []event.Alert {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]event.Alert(nil), d.got...)
}

func again() error  { return &channel.Error{Class: channel.Again, Err: errors.New("no answer")} }
func broken() error { return &channel.Error{Class: channel.Broken, Err: errors.New("no_service")} }
func bug() error    { return &channel.Error{Class: channel.Bug, Err: errors.New("invalid_payload")} }

// bench is a spool with what a worker needs, for one test.
type bench struct {
	t       *testing.T
	spool   *spool.Spool
	dir     string
	state   string
	set     Settings
	changed chan struct{} // the notice of new files
	alive   func(event.Session) (bool, bool)
	mu      sync.Mutex
	alarms  []string
	score   map[netip.Addr]int // risk scores; other addresses have none
	log     strings.Builder
	// hasty: what has the database keeps it, so that there is no use in waiting
	// longer than a worker does.
	hasty bool
}

func newBench(t *testing.T, dests ...channel.Channel) *bench {
	t.Helper()
	dir := quickDir(t)
	b := &bench{t: t, dir: filepath.Join(dir, "spool"), state: filepath.Join(dir, "state"), changed: make(chan struct{}, 1)}
	b.spool = spool.Open(spool.Options{Dir: b.dir, UID: os.Getuid()})
	b.set = Settings{
		Policy: policy.DefaultSettings(), NotifyLogout: "alerted",
		Window: 10 * time.Minute, EnrichTimeout: 3 * time.Second,
		Enrich: func(_ context.Context, ip netip.Addr) event.Facts {
			b.mu.Lock()
			defer b.mu.Unlock()
			if s, ok := b.score[ip]; ok {
				return event.Facts{Risk: &event.Risk{Provider: "Test", Known: true, Score: s}}
			}
			return event.Facts{}
		},
	}
	for _, d := range dests {
		b.set.Targets = append(b.set.Targets, Target{Dest: d})
	}
	return b
}

// openStore opens the database of a state folder.
func openStore(t *testing.T, stateDir string) *store.DB {
	t.Helper()
	db := storetest.Open(t, stateDir)
	db.BePatient(30)
	return db
}

// quickDir gives a folder in memory where there is one: thousands of syncs to a
// busy disk take a minute, and the spool's own tests look at those.
func quickDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sshnotify-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// said gives the alarms so far. A worker may raise more meanwhile.
func (b *bench) said() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.alarms)
}

func (b *bench) job(m Mode) Job {
	db := openStore(b.t, b.state)
	if b.hasty {
		db.BePatient(1)
	}
	return Job{
		Spool: b.spool, Mode: m, Store: db, StateDir: b.state, Hostname: "db1",
		Load: func() (Settings, error) { return b.set, nil },
		Log:  slog.New(slog.NewTextHandler(&b.log, nil)),
		Alarm: func(s string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.alarms = append(b.alarms, s)
		},
		Alive: b.alive,
		NewWatcher: func([]string) (<-chan struct{}, func(), error) {
			return b.changed, func() {}, nil
		},
	}
}

// rate sets an address's score while a worker runs.
func (b *bench) rate(ip netip.Addr, score int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.score = map[netip.Addr]int{ip: score}
}

func (b *bench) run(m Mode) error {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*24*time.Hour)
	defer cancel()
	return Run(ctx, b.job(m))
}

// mustRun runs until the queue is empty.
func (b *bench) mustRun() {
	b.t.Helper()
	if err := b.run(UntilEmpty); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) put(events ...event.Event) {
	b.t.Helper()
	for _, e := range events {
		data, err := e.Encode()
		if err != nil {
			b.t.Fatal(err)
		}
		if _, err := b.spool.Put(e.ID+".json", data); err != nil {
			b.t.Fatal(err)
		}
	}
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// pile fills new/ as put does, without its care for the disk.
func (b *bench) pile(events []event.Event) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Join(b.dir, "new"), 0o700); err != nil {
		b.t.Fatal(err)
	}
	for _, e := range events {
		data, err := e.Encode()
		if err == nil {
			err = os.WriteFile(filepath.Join(b.dir, "new", e.ID+".json"), data, 0o600)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// login makes up the login of a user from 192.0.2.N; pid makes it one of its own.
func login(user string, n byte, pid int) event.Event {
	s := event.Session{PID: pid, Start: 1000, Boot: "boot"}
	return event.Event{
		ID: event.LoginID(s, fmt.Sprint(user, n)), Kind: event.KindLogin, Time: time.Now(), Host: "db1", User: user,
		Service: "sshd", Via: event.ViaPAM, Session: s,
		Remote: event.Remote{IP: netip.AddrFrom4([4]byte{192, 0, 2, n})},
	}
}

func logout(of event.Event) event.Event {
	e := of
	e.ID, e.Kind, e.Time = event.LogoutID(of.Session), event.KindLogout, time.Now()
	return e
}

type (
	addr  = netip.Addr
	alert = event.Alert
)

// start runs a job in the background; the function that it returns ends it.
func start(t *testing.T, j Job) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, j) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the worker ended with %v", err)
		}
	}
}

// files lists the names in a folder of the spool, hidden ones left out.
func (b *bench) files(folder string) []string {
	b.t.Helper()
	entries, err := os.ReadDir(filepath.Join(b.dir, folder))
	if err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			out = append(out, e.Name())
		}
	}
	return out
}

// counted gives how often each user's events are counted in the alerts.
func counted(alerts []event.Alert) map[string]int {
	out := make(map[string]int)
	for _, a := range alerts {
		if len(a.Rows) == 0 {
			out[a.Event.User] += a.Count
		}
		for _, r := range a.Rows {
			out[r.User] += r.Count
		}
	}
	return out
}

// dirs lets a bench work where another one did.
func (b *bench) dirs(root string) {
	b.dir, b.state = filepath.Join(root, "spool"), filepath.Join(root, "state")
	b.spool = spool.Open(spool.Options{Dir: b.dir, UID: os.Getuid()})
}
