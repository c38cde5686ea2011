package main

import (
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

// hearer is a service that hears of users, fails by turns, and says when something
// arrived.
type hearer struct {
	mu      sync.Mutex
	heard   map[string]int // user → in how many messages that were taken
	n, turn int            // of every three requests, the turn-th fails
	mended  *atomic.Bool
	arrived chan struct{}
}

// crowdName is a user of the crowd in JSON, where \n may stand before it.
func crowdName() *regexp.Regexp { return regexp.MustCompile(`user\d{3}\b`) }

func (h *hearer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case h.arrived <- struct{}{}:
	default:
	}
	h.n++
	if !h.mended.Load() && h.n%3 == h.turn { // refused, and not taken
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	in := map[string]bool{}
	for _, user := range crowdName().FindAllString(string(body), -1) {
		in[user] = true
	}
	for user := range in {
		h.heard[user]++
	}
	if !h.mended.Load() && rand.N(12) == 0 { // taken, and not answered
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"id":"1"}`)
}

// channelFile describes a service of which a hearer is one. A digest's whole body is
// sent, so that every user can be seen.
func channelFile(retry string) string {
	return fmt.Sprintf("form = 1\ntitle = \"Hearer\"\nkey = \"none\"\npace = \"20ms\"\nretry = %q\n[limit]\nlines = 1000\nbody = 60000\ndigest = 60000\n"+
		"[[request]]\nname = \"send\"\nmethod = \"POST\"\npath = \"/m\"\njson = {text = \"{headline}\\n{body}\"}\nexpect = [\"id\"]\n", retry)
}

// Logins from 20 processes, three destinations that fail by turns, and a worker that
// is killed 60 times (in a soak 200): none misses a login. To the one that nothing may be sent to
// twice each is told once at most, and what may have arrived is known.
func TestPromise2ThreeChannelsAndAWorkerThatIsAlwaysKilled(t *testing.T) {
	e2e(t)
	t.Parallel()
	logins, kills := 150, 60
	if soak() {
		logins, kills = 500, 200
	}
	var mended atomic.Bool
	arrived := make(chan struct{}, 1)
	s := newSwiftSite(t, standin.SlackOptions{Behave: func(n int, _ *http.Request) *standin.Answer {
		if !mended.Load() && n%3 == 0 {
			return &standin.Answer{Status: 500, Body: "rollup_error"}
		}
		return nil
	}}, "")
	far := map[string]*hearer{}
	settings, err := os.ReadFile(s.settings)
	if err != nil {
		t.Fatal(err)
	}
	for i, retry := range []string{"safe", "never"} {
		h := &hearer{heard: map[string]int{}, turn: i + 1, mended: &mended, arrived: arrived}
		srv := httptest.NewUnstartedServer(h)
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.Start()
		t.Cleanup(srv.Close)
		far[retry] = h
		settings = fmt.Appendf(settings, "[destination.%s]\ntype = \"http\"\nfile = \"%[1]s.toml\"\nurl = %q\n", retry, srv.URL)
		if err := os.WriteFile(filepath.Join(s.dir, retry+".toml"), []byte(channelFile(retry)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.configure(string(settings))

	people := newCrowd(s, 20)
	killed := 0
	for i := range kills {
		people.login((i+1)*logins/kills - people.next)
		s.forgetPace() // or most lives of a worker had nothing to send
		select {
		case <-arrived: // of the worker before
		default:
		}
		p := s.start(call{args: []string{"deliver", "--spool", s.spool, "--config", s.settings}})
		chance := time.After(rand.N(150 * time.Millisecond))
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
	people.end()
	mended.Store(true)
	s.forgetPace()
	if r := s.run(nil, "queue", "retry", "--no-worker", "--config", s.settings); r.code != 0 {
		t.Errorf("queue retry: %+v", r)
	}
	s.mustDeliver()
	for _, sub := range []string{"new", "cur", "failed"} {
		if left := s.left(sub); len(left) > 0 {
			t.Errorf("left in %s/: %q", sub, left)
		}
	}
	if killed < kills/2 {
		t.Errorf("only %d of %d workers were killed", killed, kills)
	}

	db, err := store.Open(filepath.Join(s.state, store.FileName), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all, err := deliver.ReadDelivered(t.Context(), db, "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	maybe := map[string]bool{} // the users that the last destination may have heard of
	for _, d := range all {
		for _, sent := range d.Sent {
			if sent.Dest == "never" && sent.Maybe {
				maybe[d.User] = true
			}
		}
	}
	slack := newTally(s.slack.Messages()).told
	copies := 0
	for i := range logins {
		user := crowdUser(i)
		if len(slack[user]) == 0 || far["safe"].heard[user] == 0 {
			t.Errorf("%s was never told: %d times to Slack, %d to safe", user, len(slack[user]), far["safe"].heard[user])
		}
		copies += far["safe"].heard[user] - 1
		switch n := far["never"].heard[user]; {
		case n > 1:
			t.Errorf("%s was told %d times where nothing may be", user, n)
		case n == 0 && !maybe[user]:
			t.Errorf("%s was lost where nothing may be sent twice, and nobody says so", user)
		}
	}
	t.Logf("%d of %d workers killed; %d of %d logins may have arrived where nothing is sent twice, %d copies where they may be", killed, kills, len(maybe), logins, copies)
}
