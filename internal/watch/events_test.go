package watch

import (
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/pattern"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

var night = time.Date(2026, 11, 20, 2, 10, 0, 0, time.UTC)

// post is a watcher whose events are looked at.
type post struct {
	*Watcher
	t      *testing.T
	events []event.Event // as stored
	mu     sync.Mutex
	fail   error // of Put, while it is set
	saves  int
	said   strings.Builder
	clock  time.Time
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{t: t, clock: night}
	attacks, err := attack.New(attack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Watcher = &Watcher{
		Settings: Settings{Host: "db1.example.com", DigestAt: 9 * time.Hour},
		Parser:   parse.New(parse.Options{Now: func() time.Time { return p.clock }}), Attacks: attacks, Pending: &PendingDigest{},
		Put: p.put, Log: slog.New(slog.NewTextHandler(&p.said, nil)),
		Save: func(*Watcher) error { p.saves++; return nil },
		Now:  func() time.Time { return p.clock },
	}
	return p
}

// failing has every Put fail from now on; nil: none.
func (p *post) failing(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

func (p *post) put(e event.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	data, err := e.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	stored, err := event.Decode(data)
	if err != nil {
		p.t.Fatalf("%v: %s", err, data)
	}
	p.events = append(p.events, stored)
	return nil
}

// takes reads lines of a log, each of which begins with its time.
func (p *post) takes(lines ...string) {
	p.t.Helper()
	if err := p.Take(batch(lines...)); err != nil {
		p.t.Fatal(err)
	}
}

func batch(lines ...string) (b source.Batch) {
	for _, l := range lines {
		b.Lines = append(b.Lines, line.Line{Source: "auth", Text: l})
	}
	return b
}

// failed are n wrong passwords, a second apart.
func failed(at time.Time, n int, user, from string) (lines []string) {
	for i := range n {
		t := at.Add(time.Duration(i) * time.Second)
		lines = append(lines, sshd(t, 1000*at.Minute()+i, "Failed password for %s from %s port 4000 ssh2", user, from))
	}
	return lines
}

func sshd(at time.Time, pid int, format string, args ...any) string {
	return fmt.Sprintf("%s db1 sshd[%d]: %s", at.Format(time.RFC3339), pid, fmt.Sprintf(format, args...))
}

func (p *post) titles() (all []string) {
	for _, e := range p.events {
		all = append(all, titleOf(e))
	}
	return all
}

func titleOf(e event.Event) string { title, _ := message.Note(e, nil); return title }

func textOf(e event.Event) string { _, text := message.Note(e, nil); return text }

func tallied(pairs ...any) (t attack.Tally) {
	for i := 0; i < len(pairs); i += 2 {
		t.Most = append(t.Most, attack.Count{Name: pairs[i].(string), N: pairs[i+1].(int)})
	}
	return t
}

func TestEvents(t *testing.T) {
	ip := netip.MustParseAddr("203.0.113.7")
	by := func(k attack.Kind) attack.Finding {
		return attack.Finding{
			Kind: k, Time: night.Add(time.Minute), Attack: "a1", By: attack.ByAddress, IP: ip, Network: netip.MustParsePrefix("203.0.113.7/32"),
			Attempts: 214, First: night, Last: night.Add(time.Minute), Names: tallied("root", 200, "admin", 14), Services: tallied("sshd", 214),
		}
	}
	change := func(f attack.Finding, how func(*attack.Finding)) attack.Finding { how(&f); return f }
	login := attack.Finding{
		Kind: attack.SuccessAfter, Time: night.Add(time.Hour), Attack: "l1", User: "root", IP: ip, Port: 4000, Service: "sshd", Method: "password",
		FromAddress: 7, First: night, Names: tallied("root", 7),
	}
	for name, c := range map[string]struct {
		found    attack.Finding
		severity event.Severity
		title    string
		text     string
		user     string
		service  string
	}{
		"an address attacks": {by(attack.Begun), event.Medium, "Attack from 203.0.113.7: 214 failures",
			"20 Nov 02:10:00 to 02:11:00; tried: root ×200, admin ×14", "", "sshd"},
		"it ends": {by(attack.Ended), event.Low, "End of the attack from 203.0.113.7: 214 failures",
			"20 Nov 02:10:00 to 02:11:00; tried: root ×200, admin ×14", "", "sshd"},
		"more names than are shown": {change(by(attack.Ended), func(f *attack.Finding) {
			f.Names = tallied("a", 9, "b", 8, "c", 7, "d", 6, "e", 5, "f", 4, "g", 3, "h", 2, "i", 1)
		}), event.Low, "End of the attack from 203.0.113.7: 214 failures",
			"20 Nov 02:10:00 to 02:11:00; tried: a ×9, b ×8, c ×7, d ×6, e ×5, f ×4, g ×3, h ×2, others ×1", "", "sshd"},
		"a network": {change(by(attack.Begun), func(f *attack.Finding) {
			f.By, f.Network, f.Addresses = attack.ByNetwork, netip.MustParsePrefix("203.0.113.0/24"), tallied("203.0.113.7", 5)
		}), event.Medium, "Attack from the network 203.0.113.0/24: 214 failures",
			"20 Nov 02:10:00 to 02:11:00; tried: root ×200, admin ×14; from: 203.0.113.7 ×5", "", "sshd"},
		"an account": {change(by(attack.Begun), func(f *attack.Finding) {
			f.By, f.User, f.Names, f.Addresses, f.Attempts = attack.ByUser, "alice", attack.Tally{}, tallied("203.0.113.7", 3, "203.0.113.8", 2), 5
		}), event.Medium, "Attack against alice: 5 failures from 2 addresses",
			"20 Nov 02:10:00 to 02:11:00; from: 203.0.113.7 ×3, 203.0.113.8 ×2", "alice", "sshd"},
		"an account, from more addresses than are kept": {change(by(attack.Ended), func(f *attack.Finding) {
			f.By, f.User, f.Addresses = attack.ByUser, "alice", attack.Tally{Most: tallied("203.0.113.7", 3, "203.0.113.8", 2).Most, Rest: 209}
		}), event.Low, "End of the attack against alice: 214 failures from more than 2 addresses",
			"20 Nov 02:10:00 to 02:11:00; from: 203.0.113.7 ×3, 203.0.113.8 ×2, others ×209", "alice", "sshd"},
		"an account, from this host": {change(by(attack.Begun), func(f *attack.Finding) {
			f.By, f.User, f.IP, f.Network, f.Names, f.Attempts, f.Services = attack.ByUser, "root", netip.Addr{}, netip.Prefix{}, attack.Tally{}, 1, tallied("sudo", 1)
		}), event.Medium, "Attack against root: 1 failure", "20 Nov 02:10:00 to 02:11:00", "root", "sudo"},
		"somebody got in": {login, event.Critical, "got in after 7 failures",
			"7 failures from this address; since 20 Nov 02:10:00; tried: root ×7", "root", "sshd"},
		"into an account under attack": {change(login, func(f *attack.Finding) { f.FromAddress, f.AgainstUser, f.Names = 0, 1, attack.Tally{} }),
			event.Low, "got in by password while others attack the account", "1 failure for this user from elsewhere; since 20 Nov 02:10:00", "root", "sshd"},
		"a flood": {attack.Finding{Kind: attack.Flooded, Time: night.Add(time.Minute), Attack: "f1", First: night, Last: night.Add(time.Minute), Flood: attack.Flood{
			Addresses: attack.Lost{N: 17252, Attempts: 138016}, Accounts: attack.Lost{N: 1, Attempts: 3},
		}}, event.High, "flood: 17,252 addresses, 138,016 attempts",
			"20 Nov 02:10:00 to 02:11:00; more than can be counted, so these are part of no attack that is reported; who gets in after failures is reported all the same; also 1 account, 3 attempts", "", ""},
		"somebody got in, of whom a flood has left something": {change(login, func(f *attack.Finding) { f.DroppedFrom = 4 }), event.Critical, "got in after 7 failures",
			"7 failures from this address; since 20 Nov 02:10:00; during a flood; earlier attempts of this address may have been dropped; tried: root ×7", "root", "sshd"},
		"somebody got in, of whom a flood has left nothing": {change(login, func(f *attack.Finding) {
			f.DroppedFrom, f.FromAddress, f.First, f.Names = 4, 0, time.Time{}, attack.Tally{}
		}),
			event.Critical, "got in during a flood of failures", "during a flood; earlier attempts of this address may have been dropped", "root", "sshd"},
		"into an account, of which a flood has left nothing": {change(login, func(f *attack.Finding) {
			f.DroppedAgainst, f.FromAddress, f.First, f.Names = 9, 0, time.Time{}, attack.Tally{}
		}),
			event.Low, "got in by password while others attack the account", "during a flood; earlier attempts against this user may have been dropped", "root", "sshd"},
		"among failures for others": {change(login, func(f *attack.Finding) { f.OwnFailures = 2 }), event.Critical, "got in after 7 failures",
			"7 failures from this address; 2 of them for this user; since 20 Nov 02:10:00; tried: root ×7", "root", "sshd"},
		"after a network's": {change(login, func(f *attack.Finding) {
			f.FromAddress, f.FromNetwork, f.NetworkAccounts, f.Names = 0, 4, 3, attack.Tally{}
		}), event.Critical, "got in after 4 failures",
			"4 failures for 3 accounts of this host from its network; since 20 Nov 02:10:00", "root", "sshd"},
		"both": {change(login, func(f *attack.Finding) { f.AgainstUser = 30 }), event.Critical, "got in after 7 failures",
			"7 failures from this address; 30 failures for this user; since 20 Nov 02:10:00; tried: root ×7", "root", "sshd"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			p.Each, p.Labels = true, map[string]string{"env": "prod"}
			if err := p.found(c.found); err != nil {
				t.Fatal(err)
			}
			want := event.Event{
				V: event.Version, Kind: event.KindAttack, Time: c.found.Time, Host: "db1.example.com", Labels: p.Labels, Via: event.ViaWatch,
				User: c.user, Service: c.service, Remote: event.Remote{IP: c.found.IP, Port: c.found.Port},
			}
			if d := cmp.Diff([]event.Event{want}, p.events, cmpopts.IgnoreFields(event.Event{}, "ID", "Attack"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Error(d)
			}
			got := p.events[0].Attack
			if got.Severity != c.severity || got.Auth.Method != c.found.Method || got.Attempts != c.found.Attempts {
				t.Errorf("%+v", got)
			}
			if title, text := message.Note(p.events[0], nil); title != c.title || text != c.text {
				t.Errorf("it is told as %q, %q", title, text)
			}
			if !event.ValidID(p.events[0].ID) {
				t.Errorf("the id %q", p.events[0].ID)
			}
		})
	}
}

// What is found again, after a kill or in a replay, is the same event; an
// attack's begin, its end and a login are three.
func TestEventIDs(t *testing.T) {
	ids := func() map[string]bool {
		p := newPost(t)
		p.Each = true
		out := map[string]bool{}
		for _, id := range []string{"a1", "a2"} {
			for _, k := range []attack.Kind{attack.Begun, attack.Ended, attack.SuccessAfter} {
				if err := p.found(attack.Finding{Kind: k, Attack: id, Time: night}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, e := range p.events {
			out[e.ID] = true
		}
		return out
	}
	first := ids()
	if len(first) != 6 {
		t.Errorf("6 events have %d ids", len(first))
	}
	if d := cmp.Diff(first, ids()); d != "" {
		t.Error(d)
	}
}

// Names that move what is seen are written out, and no title grows without an
// end.
func TestHostileNames(t *testing.T) {
	for _, name := range []string{"a\nb", "\x1b[2J", "\u202eroot", strings.Repeat("\U0001f600", 4000), "a\xff"} {
		p := newPost(t)
		p.Each = true
		f := attack.Finding{Kind: attack.Begun, By: attack.ByUser, User: name, Attack: "a", Time: night, Names: tallied(name, 3), Addresses: tallied(name, 3), Services: tallied(name, 1)}
		for _, f.Kind = range []attack.Kind{attack.Begun, attack.Ended, attack.SuccessAfter} {
			if err := p.found(f); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range p.events {
			if all := e.User + e.Service + titleOf(e) + textOf(e); !utf8.ValidString(all) || strings.ContainsAny(all, "\n\x1b\u202e") || len(titleOf(e)) > 1000 {
				t.Errorf("%.20q: %.300q", name, all)
			}
		}
	}
}

func TestEachOrDigest(t *testing.T) {
	attacked := append(failed(night, 6, "root", "203.0.113.7"), sshd(night.Add(time.Minute), 9, "Accepted password for root from 203.0.113.7 port 4000 ssh2"))
	for name, c := range map[string]struct {
		each bool
		want []string
		book int
	}{
		"each":   {true, []string{"Attack from 203.0.113.7: 5 failures", "got in after 6 failures", "End of the attack from 203.0.113.7: 6 failures"}, 0},
		"digest": {false, []string{"got in after 6 failures"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			p.Each = c.each
			published := 0
			p.Published = func(f attack.Finding) []event.Event {
				published++
				return []event.Event{{ID: event.NewID(), Kind: event.KindAttack, Time: night, Attack: &event.Attack{Note: event.Note{Title: "published"}}}}
			}
			p.takes(attacked...)
			if published != 0 {
				t.Error("an attack that goes on is published")
			}
			if err := p.Tick(night.Add(20 * time.Minute)); err != nil {
				t.Fatal(err)
			}
			if err := p.Tick(night.Add(40 * time.Minute)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, title := range p.titles() {
				if title != "published" {
					got = append(got, title)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if published != 1 || len(p.events) != len(c.want)+1 {
				t.Errorf("published %d times, %d events", published, len(p.events))
			}
			if p.Pending.Attacks != c.book {
				t.Errorf("the book: %+v", p.Pending)
			}
		})
	}
}

func TestIgnoredUsers(t *testing.T) {
	p := newPost(t)
	p.Each = true
	p.Ignored = func(user string) bool { return user == "backup" }
	p.takes(failed(night, 30, "backup", "203.0.113.7")...)
	p.takes(sshd(night.Add(time.Minute), 7, "Accepted password for backup from 203.0.113.7 port 4000 ssh2"))
	if len(p.events) > 0 {
		t.Errorf("told: %q", p.titles())
	}
	p.takes(failed(night.Add(2*time.Minute), 5, "root", "203.0.113.7")...)
	if d := cmp.Diff([]string{"Attack from 203.0.113.7: 5 failures"}, p.titles()); d != "" {
		t.Error(d)
	}
	if s := p.Stats()["auth"]; s.Lines != 36 || s.Parsed["sshd"] != 36 {
		t.Errorf("they are counted as lines all the same: %+v", s)
	}
}

// A match is told under its line's name; one that Tick gives under its time.
func TestMatches(t *testing.T) {
	told := func() []event.Event {
		p := newPost(t)
		high := event.High
		e, err := pattern.New([]pattern.Pattern{{Name: "disk", Match: regexp.MustCompile("disk"), Title: "disk full", Severity: &high, Destinations: []string{"oncall"}}}, pattern.Options{})
		if err != nil {
			t.Fatal(err)
		}
		p.Patterns = e
		p.takes(sshd(night, 1, "disk 1 is full"), sshd(night.Add(time.Second), 1, "disk 2 is full"))
		if err := p.Tick(night.Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		return p.events
	}
	got := told()
	if len(got) != 2 || got[0].ID == got[1].ID || !strings.Contains(got[1].Match.Text, "disk 2") {
		t.Fatalf("%+v", got)
	}
	e := got[0]
	if e.Kind != event.KindMatch || e.Via != event.ViaWatch || e.Match.Pattern != "disk" || e.Match.Severity != event.High ||
		e.Match.Title != "disk full" || len(e.Match.Only) != 1 || !e.Time.Equal(night) {
		t.Errorf("%+v, %+v", e, e.Match)
	}
	for i, again := range told() {
		if again.ID != got[i].ID {
			t.Errorf("the same lines gave %s, then %s", got[i].ID, again.ID)
		}
	}
}

// Lines of a known daemon that nobody can read are told apart by their form.
func TestUnreadLinesAreCounted(t *testing.T) {
	p := newPost(t)
	for i := range 3 {
		p.takes(fmt.Sprintf("Nov 20 02:00:00 db1 sshd[%d]: Something new of 203.0.113.%d", i, i))
	}
	p.takes("Nov 20 02:00:00 db1 cron[1]: Something new")
	s := p.Stats()["auth"]
	forms, n := Forms(s)
	if n != 3 || len(forms) != 1 || forms[0] != (parse.Form{Form: "sshd: Something new of #", N: 3}) || s.Unknown != 4 {
		t.Errorf("%d lines, %+v; %d unknown", n, forms, s.Unknown)
	}
}
