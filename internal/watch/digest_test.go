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
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// tried is an attempt.
func tried(after time.Duration, ip, user string) parse.Result {
	r := parse.Result{Parser: "sshd", Outcome: parse.Failure, Time: night.Add(after), Service: "sshd", User: user, Count: 1}
	if ip != "" {
		r.IP = netip.MustParseAddr(ip)
	}
	return r
}

func ticked(t *testing.T, p *post, at time.Time) {
	t.Helper()
	p.clock = at
	if err := p.Tick(at); err != nil {
		t.Fatal(err)
	}
}

// Each attempt of a log counts once, whatever it was found by, and however its
// lines tell it.
func TestDigestCountsAttemptsOnce(t *testing.T) {
	p := newPost(t)
	p.Place = func(ip Addr) (string, string, uint32) {
		if ip.Is4() && ip.As4()[0] == 203 {
			return "EXAMPLE", "IE", 64500
		}
		return "", "", 0
	}
	var lines []string
	at := night
	say := func(format string, args ...any) {
		lines = append(lines, at.Format("2006-01-02T15:04:05Z ")+"db1 "+fmt.Sprintf(format, args...))
		at = at.Add(time.Second)
	}
	for i := range 40 { // an attack by the address's count and by the account's
		say("sshd[%d]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.%d  user=root", 100+i, i%4)
		say("sshd[%d]: Failed password for root from 203.0.113.%d port 4000 ssh2", 100+i, i%4)
		say("sshd[%d]: Connection closed by authenticating user root 203.0.113.%d port 4000 [preauth]", 100+i, i%4)
	}
	say("sshd[200]: Invalid user oracle from 2001:db8::1 port 4000")
	say("sshd[200]: Failed password for invalid user oracle from 2001:db8::1 port 4000 ssh2")
	say("sshd[201]: Failed password for invalid user oracle from 2001:db8::2 port 4000 ssh2")
	say("sshd[202]: message repeated 2 times: [ Failed password for alice from 198.51.100.9 port 4000 ssh2]")
	say("sshd[203]: Accepted publickey for bob from 192.0.2.1 port 4000 ssh2: ED25519 SHA256:abc")
	var batch source.Batch
	for _, text := range lines {
		batch.Lines = append(batch.Lines, line.Line{Source: "log", Text: text})
	}
	ticked(t, p, night)
	if err := p.Take(batch); err != nil {
		t.Fatal(err)
	}
	ticked(t, p, night.Add(24*time.Hour))
	if len(p.events) != 1 {
		t.Fatalf("%d digests", len(p.events))
	}
	tally := func(rest int, of ...any) event.Tally {
		out := event.Tally{Rest: rest}
		for i := 0; i < len(of); i += 2 {
			out.Most = append(out.Most, event.Count{Name: of[i].(string), N: of[i+1].(int)})
		}
		return out
	}
	got := *p.events[0].Digest.Failures
	if len(got.Worst) != 5 || got.Worst[4].Count != 2 {
		t.Errorf("the worst: %+v", got.Worst)
	}
	got.Worst = nil
	want := event.Failures{
		Attempts: 44, Addresses: 6, Accounts: 3, Names: tally(0, "root", 40, "alice", 2, "oracle", 2),
		Networks: tally(0, "EXAMPLE", 40), Countries: tally(0, "IE", 40),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What an attempt's later lines take back, or say of its address, changes where it
// is counted, and not how often.
func TestDigestFollowsCorrections(t *testing.T) {
	var b PendingDigest
	named := tried(0, "", "alice")
	named.Peer = "host.example.com"
	b.take(named)
	end := tried(time.Second, "203.0.113.7", "alice")
	end.Outcome, end.Count = parse.Other, 0
	end.Located = []parse.Attempt{{Time: night, Peer: named.Peer, User: "alice", Count: 1}}
	b.take(end)
	b.take(tried(time.Minute, "203.0.113.8", "bob"))
	got := tried(time.Minute, "203.0.113.8", "bob")
	got.Outcome, got.Retracted = parse.Success, 1
	b.take(got)
	if b.Attempts != 1 || b.addresses() != 1 || b.Sources[0].Attempts != 1 || b.Tried["alice"] != 1 || len(b.Tried) != 1 {
		t.Errorf("%+v", b)
	}
}

// A digest is made where there is something new, with what that is, and once.
func TestDigestOfDays(t *testing.T) {
	p := newPost(t)
	p.Place = func(ip Addr) (string, string, uint32) { return fmt.Sprint("NET", ip.As4()[0]), "", 0 }
	day := func(n int, rs ...parse.Result) *event.Failures {
		t.Helper()
		for _, r := range rs {
			p.Pending.take(r)
		}
		kept := *p.Pending
		was := len(p.events)
		ticked(t, p, night.Add(time.Duration(n)*24*time.Hour))
		if len(p.events) == was {
			return nil
		}
		e := p.events[was]
		if e.Kind != event.KindDigest || e.Digest.Of != event.KindAttempt {
			t.Errorf("%+v", e)
		}
		// A kill after it was queued and before that was kept.
		again := newPost(t)
		again.Pending, again.Place = &kept, p.Place
		ticked(t, again, night.Add(time.Duration(n)*24*time.Hour))
		if len(again.events) != 1 || again.events[0].ID != e.ID {
			t.Errorf("told anew: %+v", again.events)
		}
		return e.Digest.Failures
	}
	ticked(t, p, night)
	if f := day(1, tried(0, "203.0.113.7", "root"), tried(0, "203.0.113.8", "admin")); f == nil || f.Attempts != 2 || f.NewAddresses != 0 || len(f.NewNames) != 0 {
		t.Errorf("the first day: %+v", f)
	}
	if f := day(2, tried(0, "203.0.113.8", "root"), tried(0, "198.51.100.9", "oracle")); f == nil || f.NewAddresses != 1 ||
		strings.Join(f.NewNames, " ") != "oracle" || strings.Join(f.NewNetworks, " ") != "NET198" {
		t.Errorf("a new address: %+v", f)
	}
	if f := day(3, tried(0, "203.0.113.8", "root"), tried(0, "203.0.113.8", "root")); f != nil {
		t.Errorf("nothing new: %+v", f)
	}
	if f := day(4); f != nil {
		t.Errorf("nothing at all: %+v", f)
	}
	if f := day(5, tried(0, "203.0.113.8", "root")); f == nil || f.NewAddresses != 1 {
		t.Errorf("it was not there the day before: %+v", f)
	}
	p.Each = true
	p.Pending.take(tried(0, "203.0.113.9", "root"))
	if f := day(6); f == nil {
		t.Error("what was noted before the settings said each is not told")
	}
}

// However many attack, the book ends somewhere, its count of attempts does not, and
// that of addresses stays about right.
func TestBookIsBounded(t *testing.T) {
	p := newPost(t)
	p.Host = strings.Repeat("h", 253)
	p.Place = func(Addr) (string, string, uint32) { return strings.Repeat("\U0001f601", 50), "IE", 0 }
	const n = 100_000
	for i := range n {
		r := tried(0, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), fmt.Sprint(strings.Repeat("\U0001f600", 60), i))
		p.Pending.take(r)
	}
	if len(p.Pending.Sources) != maxSources || len(p.Pending.Tried) != maxTried {
		t.Errorf("%d addresses, %d names", len(p.Pending.Sources), len(p.Pending.Tried))
	}
	dir := t.TempDir()
	if err := state.Write(dir+"/"+bookFile, *p.Pending); err != nil {
		t.Fatal(err)
	}
	if back := state.Read[PendingDigest](dir + "/" + bookFile); back.Attempts != n || back.addresses() != p.Pending.addresses() {
		t.Errorf("it comes back with %d attempts from %d addresses", back.Attempts, back.addresses())
	}
	f, _ := p.failures()
	if f.Attempts != n || f.Addresses < n*97/100 || f.Addresses > n*103/100 {
		t.Errorf("%d attempts from %d addresses", f.Attempts, f.Addresses)
	}
	if err := p.put(p.digestEvent(night, f)); err != nil {
		t.Error(err)
	}
}

// A spool that takes nothing keeps the book as it is; a disk that keeps nothing
// is said, and ends nobody.
func TestDigestThatFails(t *testing.T) {
	p := newPost(t)
	p.Pending.Due = night
	p.Pending.take(tried(0, "203.0.113.7", "root"))
	p.failing(errFull)
	if err := p.Tick(night); err == nil || p.Pending.Attempts != 1 {
		t.Errorf("error %v, %+v", err, p.Pending)
	}
	p.failing(nil)
	p.Save = func(*Watcher) error { return errFull }
	if err := p.Tick(night); err != nil || len(p.events) != 1 || !strings.Contains(p.said.String(), "no space left") {
		t.Errorf("error %v, %d events, %s", err, len(p.events), p.said.String())
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
// by a year; one that is set back by less than a day tells it when it was due. A
// new hour in the settings holds from now on, but for what is due already.
func TestDigestIsPlannedAnew(t *testing.T) {
	const at0310 = 3*time.Hour + 10*time.Minute // an hour after night
	for name, c := range map[string]struct {
		at        time.Duration // by the settings
		due, want time.Time
	}{
		"set back by a year":                 {at0310, night.AddDate(1, 0, 0), night.Add(time.Hour)},
		"set back by an hour":                {at0310, night.Add(time.Hour), night.Add(time.Hour)},
		"set back by no more than a DST day": {at0310, night.Add(25 * time.Hour), night.Add(25 * time.Hour)},
		"a later hour":                       {9 * time.Hour, night.Add(time.Hour), night.Add(6*time.Hour + 50*time.Minute)},
		"an earlier hour, of tomorrow":       {time.Hour, night.Add(time.Hour), night.Add(22*time.Hour + 50*time.Minute)},
	} {
		p := newPost(t)
		p.Pending.Due, p.DigestAt = c.due, c.at
		if err := p.Tick(night); err != nil || !p.Pending.Due.Equal(c.want) {
			t.Errorf("%s: due at %s, want %s, error %v", name, p.Pending.Due, c.want, err)
		}
	}
}
