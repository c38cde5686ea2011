package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

// fileDest tells into a file, a line an alert, that outlives a kill.
type fileDest struct{ file string }

func (fileDest) Name() string           { return "file" }
func (fileDest) Traits() channel.Traits { return channel.Traits{} }

func (d fileDest) Send(_ context.Context, a event.Alert) (event.Receipt, error) {
	f, err := os.OpenFile(d.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "%s %s\n", a.Event.ID, a.Event.User)
	return nil, errors.Join(err, f.Close())
}

// work runs a hub and its worker in a folder until the context ends, and writes
// where the hub listens into a file.
func work(ctx context.Context, dir string, dest channel.Channel) error {
	db, err := store.Open(filepath.Join(dir, "state", store.FileName), store.Options{})
	if err != nil {
		return err
	}
	db.BePatient(30)
	log := slog.New(slog.DiscardHandler)
	h, err := New(ctx, Options{DB: db, Settings: fleet.Settings{Listen: "127.0.0.1:0"}, Hostname: "hub1", Log: log, Alarm: func(string) {}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at := filepath.Join(dir, "at")
	if err := errors.Join(os.WriteFile(at+".new", []byte("https://"+l.Addr().String()), 0o600), os.Rename(at+".new", at)); err != nil {
		return err
	}
	var all sync.WaitGroup
	all.Go(func() { h.run(ctx) })
	all.Go(func() { _ = h.serve(ctx, l) })
	err = deliver.Run(ctx, deliver.Job{
		Spool: spool.Open(spool.Options{Dir: filepath.Join(dir, "spool"), UID: os.Getuid()}), Mode: deliver.Follow, Inbox: h.Inbox(),
		Store: db, StateDir: filepath.Join(dir, "state"), Hostname: "hub1", Log: log, Alarm: func(string) {},
		Load: func() (deliver.Settings, error) {
			return deliver.Settings{Targets: []deliver.Target{{Dest: dest}}, Policy: policy.DefaultSettings(), NotifyLogout: "all"}, nil
		},
	})
	all.Wait()
	return err
}

// killedDir is the environment variable by which this test program becomes a hub.
const killedDir = "SSHNOTIFY_TEST_HUB"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		if err := work(context.Background(), dir, fileDest{filepath.Join(dir, "told")}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// A hub is killed again and again while hosts hand over: what it has answered for is
// told, under the same ref, and nothing is told that nobody handed over.
func TestKilledHubLosesNothing(t *testing.T) {
	standin.Gate(t)
	dir := t.TempDir()
	at := filepath.Join(dir, "at")
	start := func() *exec.Cmd {
		os.Remove(at)
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), killedDir+"="+dir)
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	url := func() string {
		for range 600 {
			if b, err := os.ReadFile(at); err == nil {
				return string(b)
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatal("the hub does not come up")
		return ""
	}
	child := start()
	t.Cleanup(func() { child.Process.Kill(); child.Wait() })
	db, err := store.Open(filepath.Join(dir, "state", store.FileName), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db.BePatient(30)
	defer db.Close()
	url()
	token := newToken(t, NewRegistry(db), TokenOptions{Name: "web1"})
	c := fleet.CredentialsIn(filepath.Join(t.TempDir(), "state"))
	if _, err := fleet.Join(t.Context(), fleet.HTTPSOptions{URL: url(), Credentials: c}, token, "web1"); err != nil {
		t.Fatal(err)
	}
	const kills, each = 2, 20
	acked, way := map[string]bool{}, fleet.NewHTTPS(fleet.HTTPSOptions{URL: url(), Credentials: c})
	killed := 0
	for n := int64(0); len(acked) < (kills+1)*each; n++ {
		e := loginOf(fmt.Sprintf("user%d", n))
		e.Session.PID = int(n) + 1
		b := batchFrom(t, "n", n+1, e)
		for {
			_, err := way.HandOver(t.Context(), b)
			if err == nil {
				break
			}
			way.Close()
			way = fleet.NewHTTPS(fleet.HTTPSOptions{URL: url(), Credentials: c})
			time.Sleep(20 * time.Millisecond)
		}
		acked[event.HubID("web1", e.ID)] = true
		if len(acked) == (killed+1)*each && killed < kills {
			killed++
			child.Process.Kill()
			child.Wait()
			child = start()
		}
	}
	way.Close()
	told := map[string]int{}
	for range 600 {
		clear(told)
		b, _ := os.ReadFile(filepath.Join(dir, "told"))
		for line := range strings.Lines(string(b)) {
			id, _, _ := strings.Cut(line, " ")
			told[id]++
		}
		if len(told) >= len(acked) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	twice := 0
	for id := range acked {
		if told[id] == 0 {
			t.Errorf("%s was acknowledged, and is not told", id)
		}
		twice += max(0, told[id]-1)
	}
	for id := range told {
		if !acked[id] {
			t.Errorf("%s is told, and nobody handed it over", id)
		}
	}
	if twice > kills { // what was sent and not marked at each kill
		t.Errorf("%d were told twice, in %d kills", twice, kills)
	}
}

// memDest keeps what it is told.
type memDest struct {
	mu  sync.Mutex
	got map[string]time.Time // by user
}

func (*memDest) Name() string           { return "mem" }
func (*memDest) Traits() channel.Traits { return channel.Traits{} }

func (d *memDest) Send(_ context.Context, a event.Alert) (event.Receipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got[a.Event.User] = time.Now()
	return nil, nil
}

func (d *memDest) has(user string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.got[user].IsZero()
}

// What is fresh is told before a backlog.
func TestFreshGoesBeforeABacklog(t *testing.T) {
	dir := t.TempDir()
	db := openDBIn(t, dir)
	s := serve(t, db)
	web := s.join("web1", TokenOptions{})
	const late = 1500
	for n := int64(0); n < late; n += 100 {
		var many []event.Event
		for i := range int64(100) {
			e := loginOf(fmt.Sprintf("late%d", n+i))
			e.Time, e.Session.PID = time.Now().Add(-24*time.Hour), int(n+i)+1
			many = append(many, e)
		}
		web.hand(batchFrom(t, "n", n+1, many...))
	}
	s.stop()
	dest := &memDest{got: map[string]time.Time{}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- work(ctx, dir, dest) }()
	var url string
	await(t, "the hub", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "at"))
		url = string(b)
		return err == nil
	})
	s.url = url
	e := loginOf("fresh")
	s.connect("web1", web.c).hand(batchFrom(t, "n", late+1, e))
	await(t, "the fresh login", func() bool { return dest.has("fresh") })
	dest.mu.Lock()
	before := len(dest.got)
	dest.mu.Unlock()
	if before > late/2 {
		t.Errorf("the fresh login is told after %d of %d late ones", before, late)
	}
	await(t, "the backlog", func() bool {
		dest.mu.Lock()
		defer dest.mu.Unlock()
		return len(dest.got) == late+1
	})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for range 1200 {
		if is() {
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%s: not within 30 seconds", what)
}
