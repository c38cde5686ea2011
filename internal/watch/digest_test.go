package watch

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// over is an attack that has ended.
func over(n int, ip string, attempts int, names attack.Tally) attack.Finding {
	a := netip.MustParseAddr(ip)
	bits := 32
	if a.Is6() {
		bits = 64
	}
	net, _ := a.Prefix(bits)
	at := night.Add(time.Duration(n) * time.Hour)
	return attack.Finding{
		Kind: attack.Ended, By: attack.ByAddress, Attack: fmt.Sprint(ip, n), IP: a, Network: net,
		Attempts: attempts, Names: names, First: at, Last: at.Add(time.Minute), Time: at.Add(11 * time.Minute),
	}
}

func TestBookAddsUpAnAttacker(t *testing.T) {
	var b PendingDigest
	b.add(over(2, "203.0.113.7", 10, tallied("root", 9, "admin", 1)))
	b.add(over(2, "203.0.113.7", 10, tallied("root", 9, "admin", 1))) // after a kill
	b.add(over(0, "203.0.113.7", 30, tallied("oracle", 25, "admin", 5)))
	b.add(over(1, "2001:db8::1", 5, tallied("root", 5)))
	b.add(over(2, "2001:db8::2", 5, tallied("root", 5)))
	b.add(attack.Finding{Kind: attack.Ended, By: attack.ByUser, Attack: "u", User: "alice", Attempts: 4, First: night, Last: night})
	b.add(attack.Finding{Kind: attack.Ended, By: attack.ByNetwork, Attack: "n", Network: netip.MustParsePrefix("203.0.113.0/24"), Attempts: 3, First: night, Last: night})
	want := []Line{
		{Who: "203.0.113.7", IP: netip.MustParseAddr("203.0.113.7"), Attack: "203.0.113.70", Attacks: 2, Attempts: 40, Names: tallied("oracle", 25, "root", 9, "admin", 6), First: night, Last: night.Add(2*time.Hour + time.Minute)},
		{Who: "2001:db8::/64", IP: netip.MustParseAddr("2001:db8::2"), Attack: "2001:db8::22", Attacks: 2, Attempts: 10, Names: tallied("root", 10), First: night.Add(time.Hour), Last: night.Add(2*time.Hour + time.Minute)},
		{Who: "against alice", Attack: "u", Attacks: 1, Attempts: 4, First: night, Last: night},
		{Who: "203.0.113.0/24", Attack: "n", Attacks: 1, Attempts: 3, First: night, Last: night},
	}
	if d := cmp.Diff(want, b.Attacks, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestMergeLosesNoAttempt(t *testing.T) {
	a, b := attack.Tally{Rest: 3}, attack.Tally{Rest: 4}
	for i := range 15 {
		a.Most = append(a.Most, attack.Count{Name: fmt.Sprint("a", i), N: 100 - i})
		b.Most = append(b.Most, attack.Count{Name: fmt.Sprint("b", i), N: 100 - i})
	}
	got := merge(a, b)
	sum := func(x attack.Tally) int {
		n := x.Rest
		for _, c := range x.Most {
			n += c.N
		}
		return n
	}
	if len(got.Most) != lineNames || got.Most[1].Name != "b0" || sum(got) != sum(a)+sum(b) {
		t.Errorf("%d attempts, want %d: %+v", sum(got), sum(a)+sum(b), got)
	}
}

// However many attack, the book ends somewhere, and its counts do not.
func TestBookIsBounded(t *testing.T) {
	p := newPost(t)
	ip := netip.MustParseAddr("198.51.100.0")
	for i := range maxBook + 100 {
		p.Pending.add(over(0, ip.String(), 5+i%2, tallied("root", 5)))
		ip = ip.Next()
	}
	p.Pending.add(over(3, "198.51.100.0", 1000, tallied("root", 1000))) // known already
	if len(p.Pending.Attacks) != maxBook {
		t.Errorf("%d lines", len(p.Pending.Attacks))
	}
	e := p.digestEvent(night)
	if want := fmt.Sprintf("%d attacks, %d attempts", maxBook+101, (maxBook+100)*11/2+1000); titleOf(e) != want {
		t.Errorf("%q, want %q", titleOf(e), want)
	}
	sum := 0
	for _, r := range e.Digest.Rows {
		sum += r.Count
	}
	last := e.Digest.Rows[len(e.Digest.Rows)-1]
	if len(e.Digest.Rows) != digestLines+1 || message.Who(last) != fmt.Sprintf("%d more", maxBook-digestLines+100) || sum != (maxBook+100)*11/2+1000 {
		t.Errorf("%d rows of %d attempts, the last %+v", len(e.Digest.Rows), sum, last)
	}
	if message.Who(e.Digest.Rows[0]) != "198.51.100.0" || e.Digest.Rows[0].Count != 1005 {
		t.Errorf("the worst first: %+v", e.Digest.Rows[0])
	}
	if !e.Digest.First.Equal(night) || !e.Digest.Last.Equal(night.Add(3*time.Hour+time.Minute)) {
		t.Errorf("from %s to %s", e.Digest.First, e.Digest.Last)
	}
}

func TestDigestLines(t *testing.T) {
	p := newPost(t)
	p.Place = func(ip Addr) (string, string, uint32) {
		switch {
		case ip.Is6():
			return "", "", 0
		case ip == netip.MustParseAddr("198.51.100.9"):
			return "EXAMPLE", "", 64500
		}
		return "EXAMPLE", "IE", 64500
	}
	p.Pending.add(over(0, "203.0.113.7", 9, tallied("root", 5, "a", 1, "b", 1, "c", 1, "d", 1)))
	p.Pending.add(over(0, "198.51.100.9", 8, attack.Tally{}))
	p.Pending.add(over(0, "2001:db8::1", 7, tallied("root", 7)))
	p.Pending.add(attack.Finding{By: attack.ByUser, Attack: "u", User: "alice", IP: netip.MustParseAddr("203.0.113.7"), Attempts: 6, First: night, Last: night})
	row := func(who string, n int, reason string) event.Row {
		return event.Row{User: who, Host: "db1.example.com", Kind: event.KindAttempt, Count: n, Severity: event.Low, Reason: reason}
	}
	want := []event.Row{
		row("203.0.113.7", 9, "EXAMPLE IE; root ×5, a ×1, b ×1, c ×1, others ×1"), row("198.51.100.9", 8, "EXAMPLE"),
		row("2001:db8::/64", 7, "root ×7"), row("against alice", 6, ""),
	}
	var got []event.Row
	for _, r := range p.digestEvent(night).Digest.Rows {
		got = append(got, row(message.Who(r), r.Count, message.Why(r)))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	one := newPost(t)
	one.Pending.add(over(0, "203.0.113.7", 1, attack.Tally{}))
	if got := titleOf(one.digestEvent(night)); got != "1 attack, 1 attempt" {
		t.Errorf("%q", got)
	}
}

// Names of four bytes a character and a long host leave room for fewer lines,
// which is no reason to tell nothing.
func TestDigestFitsAnEvent(t *testing.T) {
	p := newPost(t)
	p.Host = strings.Repeat("h", 253)
	p.Place = func(Addr) (string, string, uint32) { return strings.Repeat(`\`, 50), "IE", 0 }
	name := strings.Repeat(`"`, 64)
	for i := range 100 {
		p.Pending.add(attack.Finding{By: attack.ByUser, Attack: fmt.Sprint(i), User: fmt.Sprint(i, name), Attempts: 5, Names: tallied(strings.Repeat("\U0001f600", 16), 1, strings.Repeat("\U0001f601", 16), 1, "\U0001f602", 2, name, 1), First: night, Last: night})
	}
	e := p.digestEvent(night)
	if err := p.put(e); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, r := range p.events[0].Digest.Rows {
		sum += r.Count
	}
	if sum != 500 || !strings.HasPrefix(titleOf(e), "100 attacks, 500 ") {
		t.Errorf("%d attempts in the lines of %q", sum, titleOf(e))
	}
}

// restarted is a post that has what another one kept.
func restarted(t *testing.T, b PendingDigest) *post {
	p := newPost(t)
	b.Attacks = append([]Line(nil), b.Attacks...)
	p.Pending = &b
	return p
}

func TestDigestIsMadeOnce(t *testing.T) {
	p := newPost(t)
	tick := func(p *post, at time.Time) {
		t.Helper()
		p.clock = at
		if err := p.Tick(at); err != nil {
			t.Fatal(err)
		}
	}
	tick(p, night)
	p.Pending.add(over(0, "203.0.113.7", 9, attack.Tally{}))
	tick(p, night.Add(6*time.Hour+49*time.Minute)) // 08:59
	if len(p.events) > 0 {
		t.Fatalf("told before it is time: %q", p.titles())
	}
	kept := *p.Pending
	tick(p, night.Add(6*time.Hour+50*time.Minute)) // 09:00
	if len(p.events) != 1 || p.saves != 1 || len(p.Pending.Attacks) != 0 {
		t.Fatalf("%d digests, %d saves, %+v", len(p.events), p.saves, p.Pending)
	}
	if want := night.Add(30*time.Hour + 50*time.Minute); !p.Pending.Due.Equal(want) {
		t.Errorf("the next one is due at %s", p.Pending.Due)
	}
	tick(p, night.Add(7*time.Hour))
	// A kill after it was queued and before that was kept.
	again := restarted(t, kept)
	tick(again, night.Add(7*time.Hour))
	if len(again.events) != 1 || again.events[0].ID != p.events[0].ID {
		t.Errorf("%+v, then %+v", p.events, again.events)
	}
	// Nothing happened for a day.
	tick(p, night.Add(31*time.Hour))
	if len(p.events) != 1 {
		t.Errorf("told of nothing: %q", p.titles())
	}
	// The next day's is another.
	p.Pending.add(over(31, "203.0.113.7", 9, attack.Tally{}))
	tick(p, night.Add(55*time.Hour))
	if len(p.events) != 2 || p.events[1].ID == p.events[0].ID {
		t.Errorf("%+v", p.events)
	}
}

// Three failures every ten minutes, for days: the attack never ends, and each
// digest tells what is new of it.
func TestDigestTellsAttacksThatGoOn(t *testing.T) {
	p := newPost(t)
	p.clock = night
	if err := p.Tick(night); err != nil {
		t.Fatal(err)
	}
	at, n := night, 0
	for ; at.Before(night.Add(72 * time.Hour)); at = at.Add(10 * time.Minute) {
		for range 3 {
			n++
			for _, f := range p.Attacks.Take(parse.Result{
				Parser: "sshd", Outcome: parse.Failure, Time: at, Service: "sshd", IP: netip.MustParseAddr("203.0.113.7"), User: "root", Count: 1,
			}) {
				if err := p.found(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.clock = at
		if err := p.Tick(at); err != nil {
			t.Fatal(err)
		}
	}
	told := 0
	for _, e := range p.events {
		for _, r := range e.Digest.Rows {
			if message.Who(r) == "203.0.113.7" {
				told += r.Count
			}
		}
	}
	if len(p.events) != 3 {
		t.Errorf("%d digests of three days: %q", len(p.events), p.titles())
	}
	for _, f := range p.Attacks.Close() {
		if err := p.found(f); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range p.Pending.Attacks {
		if l.Who == "203.0.113.7" {
			told += l.Attempts
		}
	}
	if told < n-5 || told > n {
		t.Errorf("told are %d of %d attempts", told, n)
	}
}

// A spool that takes nothing keeps the book as it is; a disk that keeps nothing
// is said, and ends nobody.
func TestDigestThatFails(t *testing.T) {
	p := newPost(t)
	p.Pending.Due = night
	p.Pending.add(over(0, "203.0.113.7", 9, attack.Tally{}))
	p.failing(errFull)
	if err := p.Tick(night); err == nil || len(p.Pending.Attacks) != 1 {
		t.Errorf("error %v, %+v", err, p.Pending)
	}
	p.failing(nil)
	p.Save = func(*Watcher) error { return errFull }
	if err := p.Tick(night); err != nil || len(p.events) != 1 || !strings.Contains(p.said.String(), "no space left") {
		t.Errorf("error %v, %d events, %s", err, len(p.events), p.said.String())
	}
}

// Attacks that were noted for the digest before the settings said "each".
func TestDigestOfOtherSettings(t *testing.T) {
	p := newPost(t)
	p.Each = true
	p.Pending.Due = night
	p.Pending.add(over(0, "203.0.113.7", 9, attack.Tally{}))
	if err := p.Tick(night); err != nil || len(p.events) != 1 {
		t.Errorf("error %v, %d events", err, len(p.events))
	}
}

func TestNextDue(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		zone *time.Location
		at   time.Duration
		now  string
		want string
	}{
		"later today":                  {nil, 9 * time.Hour, "2026-11-20T08:59:59Z", "2026-11-20T09:00:00Z"},
		"it is the hour":               {nil, 9 * time.Hour, "2026-11-20T09:00:00Z", "2026-11-21T09:00:00Z"},
		"the next month":               {nil, 9*time.Hour + 30*time.Minute, "2026-11-30T10:00:00Z", "2026-12-01T09:30:00Z"},
		"midnight":                     {nil, 0, "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z"},
		"a zone":                       {berlin, 9 * time.Hour, "2026-11-20T07:00:00Z", "2026-11-20T08:00:00Z"},
		"the night summer time begins": {berlin, 9 * time.Hour, "2026-03-28T09:00:00Z", "2026-03-29T07:00:00Z"},
		"the night summer time ends":   {berlin, 9 * time.Hour, "2026-10-24T08:00:00Z", "2026-10-25T08:00:00Z"},
		"an hour that there is not":    {berlin, 150 * time.Minute, "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"},
		"an hour that there is twice":  {berlin, 150 * time.Minute, "2026-10-24T12:00:00Z", "2026-10-25T01:30:00Z"},
		"the first of the two":         {berlin, 150 * time.Minute, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		"the second of the two":        {berlin, 150 * time.Minute, "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPost(t)
			p.Zone, p.DigestAt = c.zone, c.at
			now, err := time.Parse(time.RFC3339, c.now)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.nextDue(now).UTC().Format(time.RFC3339); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// A clock that was a year ahead when the digest was planned does not put it off
// by a year; one that is set back by less than a day tells it when it was due.
func TestDigestAfterTheClockWasSetBack(t *testing.T) {
	for name, c := range map[string]struct{ due, want time.Time }{
		"by a year":                 {night.AddDate(1, 0, 0), night.Add(6*time.Hour + 50*time.Minute)},
		"by an hour":                {night.Add(time.Hour), night.Add(time.Hour)},
		"by no more than a DST day": {night.Add(25 * time.Hour), night.Add(25 * time.Hour)},
	} {
		p := newPost(t)
		p.Pending.Due = c.due
		if err := p.Tick(night); err != nil || !p.Pending.Due.Equal(c.want) {
			t.Errorf("%s: due at %s, want %s, error %v", name, p.Pending.Due, c.want, err)
		}
	}
}
