package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/store"
)

// queued leaves an event of alice's in an account's spool.
func (p *place) queued(kind event.Kind) event.Event {
	p.t.Helper()
	e := event.Event{ID: event.NewID(), Kind: kind, Time: time.Now(), Host: "db1", User: "alice", Service: "sshd", Via: event.ViaShell}
	b, err := e.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := spool.Open(spool.Options{Dir: p.spool(), UID: os.Getuid()}).Put(e.ID+".json", b); err != nil {
		p.t.Fatal(err)
	}
	return e
}

func (p *place) state() string {
	return paths.User{UID: -1, Home: p.home, MachineID: "0123"}.StateDir()
}

func (p *place) spool() string { return filepath.Join(p.state(), "spool") }

func TestUninstallMindsTheQueue(t *testing.T) {
	p := newAccount(t)
	if err := p.install(func(o *installOptions) { o.webhookURL = madeUpWebhook }); err != nil {
		t.Fatal(err)
	}
	e := p.queued(event.KindLogin)
	purge := func(o *uninstallOptions) { o.purge = true }
	before := p.snapshot()
	if err := p.uninstall(purge); err == nil || !strings.Contains(strings.Join((&app{}).hints(err), "\n"), "--yes") {
		t.Errorf("events are thrown away without a word: %v", err)
	}
	for _, want := range []string{"the network is down", event.Ref(e.ID) + "  login of alice"} {
		if !strings.Contains(p.err.String(), want) {
			t.Errorf("%q is not said:\n%s", want, p.err.String())
		}
	}
	p.answers("y", "n")
	if err := p.uninstall(purge); err == nil || !strings.Contains(p.said.String(), "Throw them away?") {
		t.Errorf("after a no: %v", err)
	}
	if diff := cmp.Diff(before, p.snapshot()); diff != "" {
		t.Errorf("something was changed:\n%s", diff)
	}
	p.ask = nil
	if err := p.uninstall(func(o *uninstallOptions) { purge(o); o.yes, o.json = true, true }); err != nil {
		t.Fatal(err)
	}
	var doc result
	if err := json.Unmarshal(bytes.ReplaceAll(p.out.Bytes(), []byte(`"changed"`), []byte(`"-"`)), &doc); err != nil || len(doc.Queued) != 1 || doc.Queued[0].ID != e.ID {
		t.Errorf("what went is not named: %v\n%s", err, p.out.String())
	}
}

// What install says it saw is what a real worker wrote down.
func TestInstallWaitsForALogin(t *testing.T) {
	p := newAccount(t)
	if err := p.install(func(o *installOptions) { o.webhookURL = madeUpWebhook }); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	e := p.queued(event.KindLogin)
	wait := func(o *installOptions) { o.wait, o.noWait = 10*time.Millisecond, false }
	a := p.app()
	o := installOptions{changer: changer{setter: p.setter(a)}, shells: []string{"bash"}}
	wait(&o)
	s, err := o.find(o.shells)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := o.await(t.Context(), s, nil, start)
	if err == nil || seen == nil || seen.ID != e.ID {
		t.Errorf("a login that waits: %+v, %v", seen, err)
	}

	log := deliverLog(t, p, deliver.Target{Dest: stub{}})
	// The database comes while it waits: there is none before the first worker.
	done := make(chan error, 1)
	o.wait = time.Minute
	time.AfterFunc(50*time.Millisecond, func() { done <- log() })
	seen, err = o.await(t.Context(), s, nil, start)
	if err != nil || seen == nil || seen.ID != e.ID || len(seen.Told) != 1 || seen.Told[0].Dest != "stub" {
		t.Errorf("a login that was told: %+v, %v", seen, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	wait(&o)
	if !strings.Contains(p.out.String(), "seen: login of alice") || !strings.Contains(p.out.String(), "told: stub had it") {
		t.Errorf("it is not said:\n%s", p.out.String())
	}
	if seen, err := o.await(t.Context(), s, nil, time.Now().Add(time.Second)); err == nil || seen != nil {
		t.Errorf("a login from before counts: %+v", seen)
	}
}

// A login that nobody will be told of while install waits is not waited for.
func TestInstallKnowsWhenToWaitNoMore(t *testing.T) {
	p := newAccount(t)
	if err := p.install(func(o *installOptions) { o.webhookURL = madeUpWebhook }); err != nil {
		t.Fatal(err)
	}
	a := p.app()
	o := installOptions{changer: changer{setter: p.setter(a)}, shells: []string{"bash"}}
	o.wait = time.Minute
	s, err := o.find(o.shells)
	if err != nil {
		t.Fatal(err)
	}
	wanted := deliver.Target{Dest: stub{}}
	wanted.MinSeverity = event.Critical
	start := time.Now()
	e := p.queued(event.KindLogin)
	if err := deliverLog(t, p, wanted)(); err != nil {
		t.Fatal(err)
	}
	seen, err := o.await(t.Context(), s, nil, start)
	if err != nil || seen == nil || seen.ID != e.ID || !seen.Done || len(seen.Told) > 0 || !strings.Contains(p.out.String(), "counted, and not told") {
		t.Errorf("a login that nobody wants to know of: %+v, %v\n%s", seen, err, p.out.String())
	}

	p.queued(event.KindLogin) // told
	wanted.MinSeverity = event.Low
	if err := deliverLog(t, p, wanted)(); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	e = p.queued(event.KindLogin) // a repeat
	if err := deliverLog(t, p, wanted)(); err == nil {
		t.Fatal("a repeat is told at once")
	}
	seen, err = o.await(t.Context(), s, nil, start)
	if err != nil || seen == nil || seen.ID != e.ID || seen.Held.IsZero() || !strings.Contains(p.out.String(), "held until ") {
		t.Errorf("a repeat: %+v, %v\n%s", seen, err, p.out.String())
	}
}

// stub is a destination that takes everything.
type stub struct{}

func (stub) Name() string                                             { return "stub" }
func (stub) Traits() channel.Traits                                   { return channel.Traits{Pace: time.Millisecond} }
func (stub) Send(context.Context, event.Alert) (event.Receipt, error) { return nil, nil }

// deliverLog runs a worker at the account's spool, which tells a target.
func deliverLog(t *testing.T, p *place, target deliver.Target) func() error {
	a := p.app()
	return func() error {
		db, err := store.Open(databaseFile(p.state()), store.Options{})
		if err != nil {
			return err
		}
		return deliver.Run(t.Context(), deliver.Job{
			Spool: spool.Open(spool.Options{Dir: p.spool(), UID: os.Getuid()}), Mode: deliver.Once, Store: db, StateDir: p.state(),
			Load: func() (deliver.Settings, error) {
				return deliver.Settings{Targets: []deliver.Target{target}, Window: 10 * time.Minute, Zone: time.UTC}, nil
			},
			Log: a.logger(), Alarm: func(string) {},
		})
	}
}
