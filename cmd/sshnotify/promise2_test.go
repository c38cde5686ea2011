package main

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// A worker that is killed while Slack has the message, or has it not: the next
// one brings it again, as the same one.
func TestPromise2AKilledWorkerLosesNothing(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]standin.Answer{
		"before Slack took it":           {Hang: true},
		"after Slack took it":            {Accept: true, Hang: true},
		"while Slack answers":            {Accept: true, DripBytes: true},
		"after a failure, in a back-off": {Status: 500, Body: "rollup_error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSwiftSite(t, standin.SlackOptions{Behave: func(n int, _ *http.Request) *standin.Answer {
				if n == 1 {
					return &first
				}
				return nil
			}}, "")
			s.login("alice", aliceIP)
			p := s.start(call{args: []string{"deliver", "--spool", s.spool, "--config", s.settings}})
			if err := s.slack.WaitRequests(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			if first.Status != 0 {
				until(t, "the failure on disk", func() bool { return strings.Contains(s.run(nil, "queue", "--config", s.settings).out, "rollup_error") })
			}
			p.signal(syscall.SIGKILL)
			if r := p.result(); r.code != -1 {
				t.Fatalf("the worker ended by itself: %+v", r)
			}
			// So many come meanwhile that they are a digest: it must not be what
			// is sent again.
			const others = 12
			for i := range others {
				s.hook(crowdEnv(i))
			}
			s.mustDeliver()
			var copies []string // of alice's message
			var rest []standin.Message
			for _, m := range s.slack.Messages() {
				if a := m.Payload.Attachments[0]; strings.HasPrefix(m.Payload.Text, "alice ") {
					copies = append(copies, a.Footer+a.Title)
				} else {
					rest = append(rest, m)
				}
			}
			want := 1
			if first.Accept {
				want = 2
			}
			if len(copies) != want || len(slices.Compact(copies)) != 1 {
				t.Errorf("alice is told as %q, want %d times the same", copies, want)
			}
			newTally(rest).check(t, others, 0)
		})
	}
}

// A hook that is killed at any instant leaves a whole event or none.
func TestPromise2AKilledHookLeavesNoHalfEvent(t *testing.T) {
	eachHook(t, testPromise2AKilledHookLeavesNoHalfEvent)
}

func testPromise2AKilledHookLeavesNoHalfEvent(t *testing.T, small bool) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	s.small = small
	kills := 8
	if endToEnd() {
		kills = 60
	}
	survived := 0
	for i := range kills {
		p := s.start(call{
			env:  pamEnv("open_session", "alice", netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})),
			args: []string{"hook", "--spool", s.spool, "--no-worker"},
		})
		select {
		case <-time.After(rand.N(8 * time.Millisecond)):
			_ = p.cmd.Process.Kill() // it may be over
		case <-p.ended:
		}
		if p.result().code == 0 {
			survived++
		}
	}
	whole := len(s.waiting()) // which fails on a half one
	t.Logf("%d of %d hooks ended by themselves, %d events are there", survived, kills, whole)
	if whole < survived {
		t.Errorf("%d events of %d hooks that returned", whole, survived)
	}
	s.login("bob", aliceIP)
	s.mustDeliver()
	if left := s.left("failed"); len(left) > 0 {
		t.Errorf("dead letters: %q", left)
	}
}

// What can't be delivered is kept, said out loud, and can be tried again.
func TestPromise2ADeadLetterIsKeptAndSaid(t *testing.T) {
	t.Parallel()
	var mended atomic.Bool
	s := newSwiftSite(t, standin.SlackOptions{Behave: func(int, *http.Request) *standin.Answer {
		if mended.Load() {
			return nil
		}
		return &standin.Answer{Status: 400, Body: "invalid_payload"}
	}}, "[destination.other]\ntype = \"slack\"\nwebhook_url = \"OTHER\"\n")
	other, err := standin.StartSlack(standin.SlackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	s.reconfigure("OTHER", other.URL())
	b := newSandbox(t)
	s.login("alice", aliceIP)
	if r := s.do(call{args: []string{"deliver", "--spool", s.spool, "--config", s.settings}, within: b.within()}); r.code != 0 {
		t.Fatalf("deliver: %+v", r)
	}
	if left := s.left("failed"); len(left) != 1 {
		t.Fatalf("dead letters: %q, want one", left)
	}
	b.saw("is kept as a dead letter")
	b.saw("alice")
	said := ""
	for _, m := range other.Messages() {
		said += m.Payload.Text + "\n" + m.Payload.Attachments[0].Text + "\n"
	}
	if !strings.Contains(said, "alice → db1") || !strings.Contains(said, "gave up on slack") {
		t.Errorf("the other destination is told %q", said)
	}
	list := s.run(nil, "queue", "--config", s.settings)
	if !strings.Contains(list.out, "dead letter") || !strings.Contains(list.out, "invalid_payload") {
		t.Errorf("queue says %+v", list)
	}
	mended.Store(true)
	if r := s.run(nil, "queue", "retry", "--no-worker", "--config", s.settings); r.code != 0 {
		t.Fatalf("queue retry: %+v", r)
	}
	s.mustDeliver()
	if m, _ := s.one(); !strings.HasPrefix(m.Payload.Text, "alice → db1") {
		t.Errorf("told %q", m.Payload.Text)
	}
	if left := s.left("failed"); len(left) != 0 {
		t.Errorf("dead letters after the retry: %q", left)
	}
}

// Thirty logins at once, each of whose hooks starts a worker: one of them works,
// the others go, and no event waits for the next login.
func TestPromise2ManyWorkersTellEachEventOnce(t *testing.T) {
	t.Parallel()
	s := newSwiftSite(t, standin.SlackOptions{}, "")
	const logins = 30
	var wg sync.WaitGroup
	for i := range logins {
		wg.Go(func() {
			r := s.do(call{env: crowdEnv(i), args: []string{"hook", "--spool", s.spool, "--config", s.settings}})
			if r != (result{}) {
				t.Errorf("hook %d: %+v", i, r)
			}
		})
	}
	wg.Wait()
	until(t, "the end of the workers", func() bool { return len(s.workers()) == 0 })
	if left := append(s.left("new"), s.left("cur")...); len(left) > 0 {
		t.Errorf("left in the spool: %q", left)
	}
	newTally(s.slack.Messages()).check(t, logins, 0)
}
