package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store/storetest"
)

// listener is a destination that keeps what it is told.
type listener struct {
	mu  sync.Mutex
	all []event.Alert
	at  []time.Time
}

func (*listener) Name() string           { return "chat" }
func (*listener) Traits() channel.Traits { return channel.Traits{Pace: time.Second} }

func (l *listener) Send(_ context.Context, a event.Alert) (event.Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all, l.at = append(l.all, a), append(l.at, time.Now())
	return nil, nil
}

// handedOver is a deliver.Inbox of what hosts handed over.
type handedOver struct {
	mu      sync.Mutex
	records map[string][]byte
	waiting []string // not claimed, in order
	changed chan struct{}
}

func (h *handedOver) add(id string, record []byte) {
	h.mu.Lock()
	h.records[id], h.waiting = record, append(h.waiting, id)
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

func (h *handedOver) Changed() <-chan struct{}            { return h.changed }
func (h *handedOver) Claimed() ([]deliver.Waiting, error) { return nil, nil }

func (h *handedOver) Claim(_ bool, limit int) (ids []string, more bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := min(limit, len(h.waiting))
	ids, h.waiting = h.waiting[:n:n], h.waiting[n:]
	return ids, len(h.waiting) > 0, nil
}

func (h *handedOver) Read(id string) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if b, ok := h.records[id]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

func (h *handedOver) Write(id string, record []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records[id] = record
	return nil
}

func (h *handedOver) Remove(id string) (there bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, there = h.records[id]
	delete(h.records, id)
	return there, nil
}

// story is the worker of a hub with its real memory and the default settings, in a
// time of its own. What hosts hand over is there as the hub admits it.
type story struct {
	*listener
	t      *testing.T
	inbox  *handedOver
	memory *memory
	n      int // events so far
	stop   func()
}

// networks are where people of a story come from.
var storyNetworks = map[netip.Prefix]event.Facts{
	netip.MustParsePrefix("192.0.2.0/24"):    {Network: event.Network{ASN: 64500, Name: "Office"}, Place: event.Place{Country: "IE"}},
	netip.MustParsePrefix("203.0.113.0/24"):  {Network: event.Network{ASN: 64501, Name: "CI"}, Place: event.Place{Country: "NL"}},
	netip.MustParsePrefix("198.51.100.0/24"): {Network: event.Network{ASN: 64502, Name: "Elsewhere"}, Place: event.Place{Country: "BG"}},
}

func storyFacts(_ context.Context, ip netip.Addr) event.Facts {
	for p, f := range storyNetworks {
		if p.Contains(ip) {
			return f
		}
	}
	return event.Facts{}
}

// newStory begins one at midnight, in a bubble.
func newStory(t *testing.T) *story {
	dir := t.TempDir()
	c := config.Default()
	c.Host, c.TimeZone, c.Enrich.Builtin = "hub", "UTC", false
	db := storetest.Open(t, filepath.Join(dir, "state"))
	db.BePatient(30)
	set, err := workerSettings(c, filepath.Join(dir, "state"), db)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{listener: &listener{}, t: t, n: 1000, memory: &memory{history.New(db, c.History.Options(time.UTC))},
		inbox: &handedOver{records: map[string][]byte{}, changed: make(chan struct{}, 1)}}
	set.Targets, set.Enrich, set.Memory, set.Zone = []deliver.Target{{Dest: s.listener}}, storyFacts, s.memory, time.UTC
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- deliver.Run(ctx, deliver.Job{
			Spool: spool.Open(spool.Options{Dir: filepath.Join(dir, "spool"), UID: os.Getuid()}), Inbox: s.inbox, Mode: deliver.Follow,
			Store: db, StateDir: filepath.Join(dir, "state"), Hostname: "hub",
			Load: func() (deliver.Settings, error) { return set, nil },
			Log:  slog.New(slog.DiscardHandler), Alarm: func(text string) { t.Errorf("alarm: %s", text) },
			NewWatcher: func([]string) (<-chan struct{}, func(), error) { return nil, func() {}, nil },
		})
	}()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return s
}

// login is one of a user on a host, by their key.
func (s *story) login(host, user, ip string) event.Event {
	s.n++
	return event.Event{
		V: event.Version, ID: event.NewID(), Kind: event.KindLogin, Time: time.Now(), Host: host, User: user, Service: "sshd", Via: event.ViaPAM,
		Session: event.Session{PID: s.n, Start: uint64(s.n), Boot: host + ":boot"}, Remote: event.Remote{IP: netip.MustParseAddr(ip), Port: 40000},
		Login: event.Login{Auth: event.Auth{Method: "publickey", KeyType: "ssh-ed25519", Fingerprint: "SHA256:" + fmt.Sprintf("%043d", len(user)*100+int(user[0]))}},
	}
}

// attempts is what the watcher of a host counted in a day.
func (s *story) attempts(host string, n int) event.Event {
	return event.Event{
		V: event.Version, ID: event.NewID(), Kind: event.KindDigest, Time: time.Now(), Host: host, Via: event.ViaWatch,
		Digest: &event.Digest{Of: event.KindAttempt, First: time.Now().Add(-24 * time.Hour), Last: time.Now(), Failures: &event.Failures{
			Attempts: n, Addresses: n / 2, Accounts: 3, Names: event.Tally{Most: []event.Count{{Name: "root", N: n - n/4}, {Name: "admin", N: n / 4}}},
		}},
	}
}

// hand hands an event over, in the name of its host.
func (s *story) hand(e event.Event) {
	s.t.Helper()
	data, err := json.Marshal(deliver.Record{V: event.Version, From: e.Host, Event: e})
	if err != nil {
		s.t.Fatal(err)
	}
	s.inbox.add(e.ID, data)
}

// remember has the memory know a login of before the story.
func (s *story) remember(at time.Time, host, user, ip string) {
	s.t.Helper()
	e := s.login(host, user, ip)
	e.Time = at
	if err := s.memory.Remember(e, storyFacts(s.t.Context(), e.Remote.IP), event.Verdict{}, policy.Telling{When: policy.Now, Teaches: true}); err != nil {
		s.t.Fatal(err)
	}
}

// text is a message as somebody reads it: title, then lines.
func text(a event.Alert) []string {
	m := message.New(a)
	lines := []string{m.Title.Fit(message.Form{}, 300).Text()}
	for _, l := range m.Body(message.Form{}, 3000, 30) {
		lines = append(lines, l.Text())
	}
	return lines
}

// digests returns the daily digests that were told.
func (s *story) digests() (all []event.Alert) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.all {
		if a.Event.Kind == event.KindDigest {
			all = append(all, a)
		}
	}
	return all
}

// The digest of three hundred hosts can be read: it has a bounded length and says how
// much more there was. What comes too late for it is in the next one.
func TestDigestOfManyHosts(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) {
		const hosts = 300
		time.Sleep(60 * 24 * time.Hour)
		s := newStory(t)
		defer s.stop()
		host := func(i int) string { return fmt.Sprintf("web%03d", i) }
		user := func(i int) string { return fmt.Sprintf("user%02d", i%60) }
		for day := range 3 {
			at := time.Now().Add(time.Duration(day-10)*24*time.Hour + 9*time.Hour)
			for i := range hosts {
				s.remember(at.Add(time.Duration(i)*time.Second), host(i), user(i), "192.0.2.7")
			}
		}
		time.Sleep(time.Hour)
		for i := range hosts { // so that logins are many
			s.hand(s.login(host(i), user(i), "192.0.2.7"))
			time.Sleep(30 * time.Second)
		}
		time.Sleep(time.Until(time.Now().Truncate(24 * time.Hour).Add(8 * time.Hour)))
		for i := range hosts - 1 {
			s.hand(s.attempts(host(i), 1000+i))
			time.Sleep(500 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		if n := len(s.digests()); n != 1 {
			t.Fatalf("%d digests in the morning", n)
		}
		s.hand(s.attempts(host(hosts-1), 123_456))
		late := s.login(host(hosts-1), "user59", "192.0.2.7")
		late.Time = late.Time.Add(-20 * time.Hour)
		s.hand(late)
		time.Sleep(24 * time.Hour)

		all := s.digests()
		if len(all) != 2 {
			t.Fatalf("%d digests, want one a day", len(all))
		}
		first, second := all[0].Event.Digest, all[1].Event.Digest
		if first.Hosts != hosts-1 || len(first.Rows) > maxDigestRows+1 || len(first.Failures.Hosts.Most) > 8 || len(first.Failures.Worst) > 5 {
			t.Errorf("of %d hosts, %d rows, failures %+v", first.Hosts, len(first.Rows), first.Failures)
		}
		if want := (hosts - 1) * (1000 + 1000 + hosts - 2) / 2; first.Failures.Attempts != want {
			t.Errorf("%d attempts in all, want %d", first.Failures.Attempts, want)
		}
		logins := 0
		for _, r := range first.Rows {
			logins += r.Count
		}
		lines := text(all[0])
		said, size := strings.Join(lines, "\n"), 0
		for _, l := range lines {
			size += len([]rune(l))
		}
		if len(lines) > 32 || size > 3000 {
			t.Errorf("%d lines of %d characters", len(lines), size)
		}
		for _, want := range []string{"The day of 299 hosts", "user10 → web010, web070, web130 and 2 more: 5 logins", "• and 30 more\n", "hosts: web298 ×1,298, web297 ×1,297", "others ×"} {
			if !strings.Contains(said, want) {
				t.Errorf("the message has no %q", want)
			}
		}
		if strings.Contains(said, "123,456") {
			t.Error("what came late is in the first")
		}
		if lines := text(all[1]); !strings.HasPrefix(lines[0], "The day of >web299<") {
			t.Errorf("what is of one host alone is told as %q", lines[0])
		}
		if second.Failures == nil || second.Failures.Attempts != 123_456 || !slices.ContainsFunc(second.Rows, func(r event.Row) bool { return r.User == "user59" && r.Count == 1 }) {
			t.Errorf("the second digest has %+v, %+v", second.Rows, second.Failures)
		}
		if t.Failed() {
			t.Logf("the first, of %d logins:\n%s\nthe second:\n%s", logins, said, strings.Join(text(all[1]), "\n"))
		}
	})
}

// A week of thirty hosts: people and a CI account go about their work, on one morning
// somebody reaches all hosts with a playbook, and at night a stranger comes with a key
// that is one of theirs. The stranger is told at once, and on each host; nothing else
// is more than ordinary.
func TestWeekOfAFleet(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) {
		const hosts, days = 30, 7
		r := rand.New(rand.NewPCG(1, 2))
		time.Sleep(60 * 24 * time.Hour)
		s := newStory(t)
		defer s.stop()
		host := func(i int) string { return fmt.Sprintf("web%02d", i+1) }
		people := []string{"alice", "bob", "carol", "dave", "erin", "frank"}
		at := func(user string) string { return fmt.Sprintf("192.0.2.%d", 10+slices.Index(people, user)) }
		begin := time.Now()
		for day := -28; day < 0; day++ {
			for i := range hosts {
				morning := begin.Add(time.Duration(day)*24*time.Hour + time.Duration(9*3600+i*60)*time.Second)
				if day%2 == 0 {
					s.remember(morning, host(i), "deploy", "203.0.113.10")
				}
				user := people[(day+28+i)%len(people)]
				s.remember(morning.Add(time.Hour), host(i), user, at(user))
			}
		}

		type visit struct {
			at             time.Time
			host, user, ip string
		}
		var all []visit
		for day := range days {
			midnight := begin.Add(time.Duration(day) * 24 * time.Hour)
			for _, user := range people {
				for range 4 + r.IntN(5) {
					all = append(all, visit{midnight.Add(9*time.Hour + rand09(r, 9*time.Hour)), host(r.IntN(hosts)), user, at(user)})
				}
			}
			for hour := range 24 {
				all = append(all, visit{midnight.Add(time.Duration(hour)*time.Hour + 7*time.Minute), host(r.IntN(hosts)), "deploy", "203.0.113.10"})
			}
		}
		playbook := begin.Add(24*time.Hour + 10*time.Hour)
		for i := range hosts {
			all = append(all, visit{playbook.Add(time.Duration(i) * 2 * time.Second), host(i), "alice", at("alice")})
		}
		thursday, friday := begin.Add(3*24*time.Hour+3*time.Hour+12*time.Minute), begin.Add(4*24*time.Hour+3*time.Hour+20*time.Minute)
		stranger := []visit{
			{thursday, "web07", "erin", "198.51.100.66"},
			{thursday.Add(3 * time.Minute), "web09", "erin", "198.51.100.66"},
			{thursday.Add(6 * time.Minute), "web11", "erin", "198.51.100.66"},
			{friday, "web20", "erin", "198.51.100.66"},
		}
		all = append(all, stranger...)
		slices.SortFunc(all, func(a, b visit) int { return a.at.Compare(b.at) })
		for _, v := range all {
			time.Sleep(time.Until(v.at))
			s.hand(s.login(v.host, v.user, v.ip))
		}
		time.Sleep(time.Until(begin.Add(days*24*time.Hour + 9*time.Hour)))

		s.mu.Lock()
		defer s.mu.Unlock()
		odd, perDay, digests := "", map[int]int{}, 0
		for i, a := range s.all {
			line := message.New(a).Short()
			t.Log(s.at[i].Format("Mon 15:04"), a.Verdict.Severity, line)
			isStranger := slices.ContainsFunc(append(a.Rows, event.Row{IPs: []netip.Addr{a.Event.Remote.IP}}), func(r event.Row) bool {
				return slices.Contains(r.IPs, netip.MustParseAddr("198.51.100.66"))
			})
			switch {
			case a.Event.Kind == event.KindDigest:
				digests++
			case isStranger:
				odd += line + "\n"
				if a.Verdict.Severity < event.High {
					t.Errorf("told as %v: %s", a.Verdict.Severity, line)
				}
			default:
				perDay[int(s.at[i].Sub(begin)/(24*time.Hour))]++
				if a.Verdict.Severity > event.Low {
					t.Errorf("false: %s", line)
				}
			}
		}
		if digests != days {
			t.Errorf("%d digests in a week", digests)
		}
		// On the first day nobody knows yet that they are many.
		if n := perDay[0]; n < 1 || n > 15 {
			t.Errorf("%d logins are told one by one on the first day", n)
		}
		for day := 1; day <= days; day++ {
			if perDay[day] > 0 {
				t.Errorf("%d other messages on day %d", perDay[day], day+1)
			}
		}
		if n := strings.Count(odd, "\n"); n != len(stranger) {
			t.Errorf("the stranger is told %d times, not %d:\n%s", n, len(stranger), odd)
		}
		for _, v := range stranger {
			if !strings.Contains(odd, v.host) {
				t.Errorf("the stranger on %s is not told at once:\n%s", v.host, odd)
			}
		}
	})
}

// rand09 is a time of a working day, in whole seconds.
func rand09(r *rand.Rand, of time.Duration) time.Duration {
	return time.Duration(r.IntN(int(of/time.Second))) * time.Second
}
