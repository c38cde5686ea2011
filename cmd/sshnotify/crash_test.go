package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// crowdUser is the name of the i-th of many users, which tells them apart in
// messages and in the lines of digests.
func crowdUser(i int) string { return fmt.Sprintf("user%03d", i) }

// crowdEnv is what sshd and pam_exec give the hook for the i-th user, on a
// connection of their own.
func crowdEnv(i int) []string {
	env := pamEnv("open_session", crowdUser(i), aliceIP)
	env[0] = fmt.Sprintf("SSH_CONNECTION=%s %d 192.0.2.5 22", aliceIP, 10000+i)
	return env
}

var (
	singleTitle = regexp.MustCompile(`^New SSH login of &gt;(user\d+)&lt; to `)
	digestLine  = regexp.MustCompile(`^(user\d+): (\d+) logins?( |$)`)
)

// tally is who was told of in which messages.
type tally struct {
	told     map[string][]string // user → the messages, each as its ref and its users
	unread   []string            // what is neither a login nor a digest of logins
	messages int
}

func newTally(messages []standin.Message) *tally {
	y := &tally{told: make(map[string][]string), messages: len(messages)}
	for _, m := range messages {
		a := m.Payload.Attachments[0]
		var users []string
		if one := singleTitle.FindStringSubmatch(a.Title); one != nil {
			users = []string{one[1]}
		} else {
			for line := range strings.Lines(a.Text) {
				row := digestLine.FindStringSubmatch(strings.TrimSpace(line))
				if row == nil || row[2] != "1" {
					y.unread = append(y.unread, line)
					continue
				}
				users = append(users, row[1])
			}
		}
		if len(users) == 0 {
			y.unread = append(y.unread, a.Title)
		}
		slices.Sort(users)
		for _, u := range users {
			y.told[u] = append(y.told[u], a.Footer+" "+strings.Join(users, " "))
		}
	}
	return y
}

// check insists that each of n users was told, in one message and copies of it,
// that nobody else was, and that there are at most so many copies of messages.
func (y *tally) check(t *testing.T, n, copies int) {
	t.Helper()
	if len(y.unread) > 0 {
		t.Errorf("not understood: %q", y.unread)
	}
	distinct := make(map[string]bool)
	for i := range n {
		user := crowdUser(i)
		all := y.told[user]
		delete(y.told, user)
		if len(all) == 0 {
			t.Errorf("%s was never told", user)
			continue
		}
		distinct[all[0]] = true
		for _, other := range all[1:] {
			if other != all[0] {
				t.Errorf("%s was told in two messages that are not the same: %q", user, all)
				break
			}
		}
	}
	if len(y.told) > 0 {
		t.Errorf("told, but never logged in: %q", y.told)
	}
	again := y.messages - len(distinct)
	t.Logf("%d logins in %d messages, %d of them copies", n, y.messages, again)
	if again > copies {
		t.Errorf("%d messages are copies, at most %d may be", again, copies)
	}
}

// crowd queues logins from many processes, each a shell that runs the hook for
// every number that it reads.
type crowd struct {
	t     testing.TB
	feeds []io.WriteCloser
	cmds  []*exec.Cmd
	next  int
}

const crowdScript = `while read -r i; do
	SSH_CONNECTION="203.0.113.7 1$i 192.0.2.5 22" PAM_SERVICE=sshd PAM_USER="user$i" PAM_RHOST=203.0.113.7 PAM_TYPE=open_session \
		"$1" hook --spool "$2" --no-worker || exit
done`

func newCrowd(s *site, processes int) *crowd {
	c := &crowd{t: s.t}
	for range processes {
		cmd := exec.Command("sh", "-c", crowdScript, "sh", binary, s.spool)
		in, err := cmd.StdinPipe()
		if err != nil {
			s.t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			s.t.Fatal(err)
		}
		c.feeds, c.cmds = append(c.feeds, in), append(c.cmds, cmd)
	}
	s.t.Cleanup(c.end)
	return c
}

// login lets the next n users log in, and does not wait for them.
func (c *crowd) login(n int) {
	c.t.Helper()
	for range n {
		if _, err := fmt.Fprintf(c.feeds[c.next%len(c.feeds)], "%03d\n", c.next); err != nil {
			c.t.Fatal(err)
		}
		c.next++
	}
}

// end waits until all logins are queued.
func (c *crowd) end() {
	for i, cmd := range c.cmds {
		c.feeds[i].Close()
		if err := cmd.Wait(); err != nil {
			c.t.Errorf("a hook failed: %v", err)
		}
	}
	c.cmds = nil
}

// Logins from 20 processes, a Slack that fails now and then, and a worker that
// is killed 60 times (in a soak 200), by chance or while Slack has its message: every login is
// told, none is made up, and what is told twice is the same message twice.
func TestPromise2AWorkerThatIsAlwaysKilled(t *testing.T) {
	e2e(t)
	t.Parallel()
	logins, kills := 150, 60
	if soak() {
		logins, kills = 500, 200
	}
	var mended atomic.Bool
	arrived := make(chan struct{}, 1)
	s := newSwiftSite(t, standin.SlackOptions{MaxPerSecond: 50, Burst: 1, Behave: func(int, *http.Request) *standin.Answer {
		select {
		case arrived <- struct{}{}:
		default:
		}
		if mended.Load() {
			return nil
		}
		switch rand.N(24) {
		case 0:
			return &standin.Answer{Status: 500, Body: "rollup_error"}
		case 1:
			return &standin.Answer{Status: 429, Header: http.Header{"Retry-After": {"1"}}, Body: `{"retry_after":1,"ok":false,"error":"rate_limited"}`}
		case 2:
			return &standin.Answer{DropAfterAccept: true}
		case 3:
			return &standin.Answer{Drop: true}
		case 4:
			return &standin.Answer{Accept: true, Delay: 300 * time.Millisecond}
		}
		return nil
	}}, "")
	line := []string{"deliver", "--spool", s.spool, "--config", s.settings}

	people := newCrowd(s, 20)
	start, killed := time.Now(), 0
	for i := range kills {
		people.login((i+1)*logins/kills - people.next)
		s.forgetPace() // or most lives of a worker had nothing to send
		select {
		case <-arrived: // of the worker before
		default:
		}
		p := s.start(call{args: line})
		chance := time.After(rand.N(60 * time.Millisecond))
		if i%2 == 0 {
			chance = time.After(100 * time.Millisecond)
		}
		select {
		case <-chance:
		case <-arrived:
			<-time.After(rand.N(4 * time.Millisecond))
		case <-p.ended:
		}
		_ = p.cmd.Process.Kill() // it may be over
		if p.result().code == -1 {
			killed++
		}
	}
	t.Logf("killed %d of %d workers within %v", killed, kills, time.Since(start).Round(time.Millisecond))
	people.end()
	mended.Store(true)
	s.forgetPace()
	// What failed last waits for its back-off.
	if r := s.run(nil, "queue", "retry", "--no-worker", "--config", s.settings); r.code != 0 {
		t.Errorf("queue retry: %+v", r)
	}
	start = time.Now()
	s.mustDeliver()
	t.Logf("the last worker took %v", time.Since(start).Round(time.Millisecond))

	for _, sub := range []string{"new", "cur", "failed"} {
		if left := s.left(sub); len(left) > 0 {
			t.Errorf("left in %s/: %q", sub, left)
		}
	}
	if killed < kills/2 {
		t.Errorf("only %d of %d workers were killed", killed, kills)
	}
	// A kill, or an answer that did not come, makes one copy at most.
	newTally(s.slack.Messages()).check(t, logins, killed+s.slack.Stats().Scripted)
}
