package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// script is a source that gives what a test puts into it.
type script struct {
	name string
	in   chan source.Batch
	held []source.Batch // given after Close, as a pipe does

	mu        sync.Mutex
	committed int // batches
	closed    bool
}

func newScript(name string) *script { return &script{name: name, in: make(chan source.Batch, 100)} }

func (s *script) Name() string { return s.name }

func (s *script) Read(ctx context.Context) (source.Batch, error) {
	if err := ctx.Err(); err != nil {
		return source.Batch{}, err
	}
	s.mu.Lock()
	if s.closed {
		defer s.mu.Unlock()
		if len(s.held) == 0 {
			return source.Batch{}, io.EOF
		}
		b := s.held[0]
		s.held = s.held[1:]
		return b, nil
	}
	s.mu.Unlock()
	select {
	case b, open := <-s.in:
		if !open {
			return b, io.EOF
		}
		return b, nil
	case <-ctx.Done():
		return source.Batch{}, ctx.Err()
	}
}

func (s *script) Commit(source.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed++
	return nil
}

func (s *script) commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed
}

func (s *script) Status() source.Status { return source.Status{} }

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// runs starts the watcher in a bubble; its result comes through the channel.
func (p *post) runs(ctx context.Context, sources ...source.Source) <-chan error {
	p.Watcher.Now = nil // the bubble's
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, sources) }()
	synctest.Wait()
	return done
}

func TestRunEndsWithItsSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t)
		a, b := newScript("a"), newScript("b")
		done := p.runs(t.Context(), a, b)
		a.in <- batch(failed(night, 3, "root", "203.0.113.7")...)
		close(a.in)
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("it ended with one of two: %v", err)
		default:
		}
		b.in <- batch("nonsense")
		close(b.in)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if a.commits() != 1 || b.commits() != 1 || p.saves != 1 {
			t.Errorf("%d and %d batches, %d saves", a.commits(), b.commits(), p.saves)
		}
		if s := p.Stats()["auth"]; s.Lines != 4 || s.Parsed["sshd"] != 3 || s.Unknown != 1 || !s.LastTime.Equal(night.Add(2*time.Second)) {
			t.Errorf("%+v", s)
		}
	})
}

func TestRunWithoutSources(t *testing.T) {
	p := newPost(t)
	if err := p.Run(t.Context(), nil); err != nil || p.saves != 1 {
		t.Errorf("error %v, %d saves", err, p.saves)
	}
}

// What a pipe's writers have written is taken, also when the watcher is told to
// end; and only what is taken is committed.
func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t)
		s := newScript("pipe")
		s.held = []source.Batch{batch("one", "two"), batch("three")}
		ctx, cancel := context.WithCancel(t.Context())
		done := p.runs(ctx, s)
		s.in <- batch("zero")
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := p.Stats()["auth"].Lines; got != 4 || s.commits() != 3 || !s.closed || p.saves != 1 {
			t.Errorf("%d lines, %d batches, closed %v, %d saves", got, s.commits(), s.closed, p.saves)
		}
	})
}

var errFull = errors.New("no space left")

// snapshots keeps what a watcher counts as a disk does.
func (p *post) snapshots() *bytes.Buffer {
	kept := new(bytes.Buffer)
	p.Save = func(w *Watcher) error {
		p.saves++
		kept.Reset()
		return w.Attacks.Snapshot(kept)
	}
	return kept
}

// Somebody gets in while nothing can be queued. The watcher ends, neither its
// place in the log nor what it counted moves past that line, and the next one
// tells it: a watcher that had noted it as told never would.
func TestWhatCouldNotBeQueuedIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t)
		kept := p.snapshots()
		s := newScript("auth")
		done := p.runs(t.Context(), s)
		s.in <- batch(failed(night, 6, "root", "203.0.113.7")...)
		time.Sleep(saveEvery + tickEvery)
		synctest.Wait()
		if p.saves != 1 || s.commits() != 1 {
			t.Fatalf("%d saves, %d batches", p.saves, s.commits())
		}
		p.failing(errFull)
		got := batch("nonsense", sshd(night.Add(time.Minute), 9, "Accepted password for root from 203.0.113.7 port 4000 ssh2"))
		s.in <- got
		if err := <-done; !errors.Is(err, errFull) {
			t.Errorf("the error %v", err)
		}
		if s.commits() != 1 {
			t.Error("the batch is committed")
		}

		next := newPost(t)
		var err error
		if next.Attacks, err = attack.Restore(kept, attack.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := next.Take(got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"got in after 6 failures"}, next.titles()); d != "" {
			t.Error(d)
		}
	})
}

// The same with an attack's end, which the passing of time gives.
func TestAnEndThatCouldNotBeQueuedIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t)
		p.Each = true
		kept := p.snapshots()
		s := newScript("auth")
		now := time.Now()
		done := p.runs(t.Context(), s)
		s.in <- batch(failed(now, 6, "root", "203.0.113.7")...)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		p.failing(errFull)
		if err := <-done; !errors.Is(err, errFull) {
			t.Fatalf("the error %v", err)
		}
		next := newPost(t)
		next.Each = true
		var err error
		if next.Attacks, err = attack.Restore(kept, attack.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := next.Tick(time.Now()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"End of the attack from 203.0.113.7: 6 failures"}, next.titles()); d != "" {
			t.Error(d)
		}
	})
}

// A source ends with an error: that is said, and the others go on.
func TestRunSaysWhichSourceEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t)
		s := newScript("auth")
		ctx, cancel := context.WithCancel(t.Context())
		done := p.runs(ctx, broken{newScript("journal")}, s)
		s.in <- batch("nonsense")
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := p.said.String(); strings.Count(got, "a source has ended") != 1 || !strings.Contains(got, "source=journal error=\"no journal\"") {
			t.Errorf("%s", got)
		}
		if s.commits() != 1 {
			t.Error("the other source is not read")
		}
	})
}

type broken struct{ *script }

func (broken) Read(context.Context) (source.Batch, error) {
	return source.Batch{}, errors.New("no journal")
}

// What is counted is written down every ten seconds, and an error of the disk
// ends nobody.
func TestRunSavesEverySoOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost(t)
		p.Save = func(*Watcher) error { p.saves++; return errFull }
		ctx, cancel := context.WithCancel(t.Context())
		done := p.runs(ctx, newScript("auth"))
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if p.saves != 6 {
			t.Errorf("%d saves in a minute", p.saves)
		}
		cancel()
		if err := <-done; !errors.Is(err, errFull) {
			t.Errorf("the last one's error is %v", err)
		}
	})
}

// Lines that nobody understands are said after an hour, once, and again only
// when there was one that somebody did.
func TestSilentSource(t *testing.T) {
	p := newPost(t)
	said := func() int { return strings.Count(p.said.String(), "none parsed for an hour") }
	steps := []struct {
		after time.Duration
		line  string
		said  int
	}{
		{0, "nonsense", 0},
		{59 * time.Minute, "nonsense", 0},
		{time.Minute, "nonsense", 1},
		{5 * time.Hour, "nonsense", 1},
		{time.Minute, sshd(night, 1, "Server listening on 0.0.0.0 port 22."), 1},
		{2 * time.Hour, "nonsense", 1},
		{time.Hour, "nonsense", 2},
		{time.Hour, "nonsense", 2},
	}
	for i, s := range steps {
		p.clock = p.clock.Add(s.after)
		p.takes(s.line)
		if got := said(); got != s.said {
			t.Fatalf("step %d: said %d times, want %d", i, got, s.said)
		}
	}
	if !strings.Contains(p.said.String(), "source=auth") {
		t.Error(p.said.String())
	}
}

// A watcher publishes what is to be published before it tells the owner, and
// what can't be queued is an error.
func TestPublishedIsQueued(t *testing.T) {
	p := newPost(t)
	p.Published = func(f attack.Finding) []event.Event {
		return []event.Event{{ID: event.NewID(), Kind: event.KindAttack, Time: night, Attack: &event.Attack{Note: event.Note{Title: "public " + f.Attack}}}}
	}
	if err := p.found(attack.Finding{Kind: attack.Ended, Attack: "1"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"public 1"}, p.titles()); d != "" {
		t.Error(d)
	}
	p.failing(errFull)
	if err := p.found(attack.Finding{Kind: attack.Ended, Attack: "2"}); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}

// At the end of a replay every attack that goes on has its end.
func TestFinish(t *testing.T) {
	p := newPost(t)
	p.Each, p.Pending = true, nil
	for i := range 3 {
		p.takes(failed(night.Add(time.Duration(i)*time.Minute), 5, "root", fmt.Sprintf("203.0.113.%d", i))...)
	}
	if err := p.Finish(night); err != nil {
		t.Fatal(err)
	}
	ends := 0
	for _, title := range p.titles() {
		if strings.HasPrefix(title, "End of the attack") {
			ends++
		}
	}
	if begins := len(p.events) - ends; ends != 4 || begins != 4 { // three addresses, and root
		t.Errorf("%q", p.titles())
	}
}
