package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

// crew are hosts that come over a broker, so that none has to join, and a hub whose
// clock a test sets.
type crew struct {
	*served
	fleet.Receiver
	events map[string]event.Event // by host, numbering and number
	newest map[string]fleet.Beat  // what each host's beats say
}

func newCrew(t *testing.T) *crew {
	s := serve(t, openDB(t))
	return &crew{s, s.Receiver(t.TempDir()), map[string]event.Event{}, map[string]fleet.Beat{}}
}

// hand hands events over: a number that came before is the same event again.
func (c *crew) hand(host, numbering string, numbers ...int64) {
	c.t.Helper()
	b := fleet.Batch{Numbering: numbering}
	for _, n := range numbers {
		key := fmt.Sprint(host, numbering, n)
		e, ok := c.events[key]
		if !ok {
			e = loginOf("alice")
			e.Time = c.now()
			c.events[key] = e
		}
		b.Lines = append(b.Lines, fleet.Line{Number: n, Event: stored(c.t, e)})
	}
	if _, err := c.Ingest(context.Background(), host, b); err != nil {
		c.t.Fatalf("%s hands over: %v", host, err)
	}
	c.newest[host] = fleet.Beat{Numbering: numbering, Number: max(c.newest[host].Number, slices.Max(numbers))}
}

// beat has hosts beat, and returns what the hub said to the last of them.
func (c *crew) beat(hosts ...string) (have int64) {
	c.t.Helper()
	for _, host := range hosts {
		b := c.newest[host]
		b.Time = c.now()
		a, err := c.Beat(context.Background(), host, b)
		if err != nil {
			c.t.Fatalf("%s beats: %v", host, err)
		}
		have = a.Have
	}
	return have
}

// pass lets time pass, in which these hosts beat and the hub looks at all of them.
func (c *crew) pass(d time.Duration, alive ...string) {
	c.t.Helper()
	step := time.Minute
	if d > 3*time.Hour {
		step = 10 * time.Minute
	}
	for range int(d / step) {
		c.ahead.Add(int64(step))
		c.beat(alive...)
		c.sweep(context.Background(), c.now())
	}
}

// notes returns what the hub told on its own account since it was last asked.
func (c *crew) notes() (all []event.Note) {
	c.t.Helper()
	for _, r := range c.waiting() {
		if r.From != "" {
			continue
		}
		all = append(all, *r.Event.Alert)
		if _, err := c.inbox.Remove(r.Event.ID); err != nil {
			c.t.Fatal(err)
		}
	}
	return all
}

// Forty hosts that fall silent at once, as behind a switch, are one message, and so is
// it that they are back.
func TestHostsThatFallSilentTogether(t *testing.T) {
	c := newCrew(t)
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprintf("web%02d", i+1))
	}
	c.beat(names...)
	c.pass(time.Minute, "db1")
	if got := c.notes(); len(got) > 0 {
		t.Fatalf("all is well, and the hub tells %+v", got)
	}
	one := func(when, title string) {
		t.Helper()
		got := c.notes()
		if len(got) != 1 || !strings.Contains(got[0].Title, title) {
			t.Fatalf("%s the hub tells %+v, want one message: %q", when, got, title)
		}
		said := got[0].Title + " " + got[0].Text
		for _, name := range names[:30] {
			if !strings.Contains(said, name) {
				t.Errorf("%s %s is not named: %s", when, name, said)
			}
		}
		if !strings.Contains(said, "10 more") || strings.Contains(said, "db1") {
			t.Errorf("%s the message says %s", when, said)
		}
	}
	c.pass(fleet.SilentAfter+time.Minute, "db1")
	one("after a while", "40 hosts are silent")
	all, err := c.reg.Hosts(t.Context())
	if err != nil || slices.ContainsFunc(all, func(h Host) bool { return h.Silent.IsZero() != (h.Name == "db1") }) {
		t.Errorf("the list has %+v, %v", all, err)
	}
	c.pass(2*time.Hour, "db1")
	if got := c.notes(); len(got) > 0 {
		t.Errorf("hours later the hub tells %+v again", got)
	}
	c.pass(time.Minute, append(names, "db1")...)
	one("then", "40 hosts are back")
	c.pass(time.Minute, append(names, "db1")...)
	if got := c.notes(); len(got) > 0 {
		t.Errorf("after that it tells %+v", got)
	}
}

// A hub that was off has heard of nobody, and waits before it calls anybody silent.
func TestHubThatWasOff(t *testing.T) {
	c := newCrew(t)
	c.beat("web1")
	c.ahead.Store(int64(24 * time.Hour))
	now := c.now()
	c.mu.Lock()
	c.began = now
	c.mu.Unlock()
	c.sweep(t.Context(), c.now())
	if got := c.notes(); len(got) > 0 {
		t.Errorf("it has just begun, and tells %+v", got)
	}
	c.pass(fleet.SilentAfter + time.Minute)
	if got := c.notes(); len(got) != 1 || got[0].Title != "web1 is silent" {
		t.Errorf("later it tells %+v", got)
	}
}

// What the numbers of a host tell: whether something is missing, and whose they are.
func TestNumbersOfAHost(t *testing.T) {
	const missing, anew, twice = "web1 lost events", "web1 began anew", "web1 is at two places"
	for _, row := range []struct {
		situation string
		of        func(c *crew)
		want      []string // that is told
		have      int64
		gap       bool // in the list of hosts
	}{
		{"all in order", func(c *crew) {
			c.hand("web1", "a", 1, 2)
			c.hand("web1", "a", 3)
			c.pass(2*time.Hour, "web1")
		}, nil, 3, false},
		{"out of order", func(c *crew) {
			c.hand("web1", "a", 3)
			c.hand("web1", "a", 1, 2)
			c.pass(2*time.Hour, "web1")
		}, nil, 3, false},
		{"the same again: an answer was lost", func(c *crew) {
			c.hand("web1", "a", 1, 2, 3)
			c.hand("web1", "a", 1, 2, 3)
			c.pass(2*time.Hour, "web1")
		}, nil, 3, false},
		{"the host was restarted", func(c *crew) {
			c.hand("web1", "a", 1)
			c.pass(20*time.Minute - fleet.SilentAfter)
			c.hand("web1", "a", 2)
			c.pass(2*time.Hour, "web1")
		}, nil, 2, false},
		{"one is missing, and comes", func(c *crew) {
			c.hand("web1", "a", 1, 3)
			c.pass(9*time.Minute, "web1")
			c.hand("web1", "a", 2)
			c.pass(2*time.Hour, "web1")
		}, nil, 3, false},
		{"one is lost", func(c *crew) {
			c.hand("web1", "a", 1, 3)
			c.pass(12*time.Minute, "web1")
		}, []string{missing}, 3, true},
		{"one is lost, and told once", func(c *crew) {
			c.hand("web1", "a", 1, 3)
			c.pass(23*time.Hour, "web1")
		}, []string{missing}, 3, true},
		{"a day later the list is clean", func(c *crew) {
			c.hand("web1", "a", 1, 3)
			c.pass(25*time.Hour, "web1")
		}, []string{missing}, 3, false},
		{"two gaps are told together", func(c *crew) {
			c.hand("web1", "a", 1, 3, 7)
			c.pass(2*time.Hour, "web1")
		}, []string{missing}, 7, true},
		{"one that came after it was given up", func(c *crew) {
			c.hand("web1", "a", 1, 3)
			c.pass(12*time.Minute, "web1")
			c.hand("web1", "a", 2)
			c.pass(2*time.Hour, "web1")
		}, []string{missing}, 3, true},
		{"the host says that there were more", func(c *crew) {
			c.hand("web1", "a", 1, 2)
			c.newest["web1"] = fleet.Beat{Numbering: "a", Number: 4}
			c.pass(12*time.Minute, "web1")
		}, []string{missing}, 4, true},
		{"the host has more to hand over", func(c *crew) {
			c.hand("web1", "a", 1, 2)
			c.newest["web1"] = fleet.Beat{Numbering: "a", Number: 4, Waiting: 2}
			c.pass(2*time.Hour, "web1")
		}, nil, 2, false},
		{"a gap, and the host has more to hand over", func(c *crew) {
			c.hand("web1", "a", 1, 3)
			c.newest["web1"] = fleet.Beat{Numbering: "a", Number: 9, Waiting: 2}
			c.pass(50*time.Minute, "web1")
		}, nil, 1, false},
		{"a gap, and the host has more to hand over for an hour", func(c *crew) {
			c.hand("web1", "a", 1, 3)
			c.newest["web1"] = fleet.Beat{Numbering: "a", Number: 9, Waiting: 2}
			c.pass(70*time.Minute, "web1")
		}, []string{missing}, 3, true},
		{"the host was reinstalled", func(c *crew) {
			c.hand("web1", "a", 1, 2, 3)
			c.hand("web1", "b", 1)
			c.newest["web1"] = fleet.Beat{Numbering: "b", Number: 1}
			c.pass(2*time.Hour, "web1")
		}, []string{anew}, 1, false},
		{"its database is a new one every hour", func(c *crew) {
			for i := range 6 {
				c.hand("web1", fmt.Sprint("a", i), 1)
				c.newest["web1"] = fleet.Beat{Numbering: fmt.Sprint("a", i), Number: 1}
				c.pass(time.Hour, "web1")
			}
		}, []string{anew}, 1, false},
		{"two machines have the certificate", func(c *crew) {
			for _, n := range []int64{1, 2} {
				c.hand("web1", "a", n)
				c.hand("web1", "b", n)
			}
			c.newest["web1"] = fleet.Beat{Numbering: "b", Number: 2}
			c.pass(time.Minute, "web1")
		}, []string{twice}, 0, false}, // it asks for all of what came last
		{"two events have one number: the host was set back", func(c *crew) {
			c.hand("web1", "a", 1, 2, 3)
			delete(c.events, "web1a2")
			c.hand("web1", "a", 2)
			c.pass(2*time.Hour, "web1")
		}, []string{twice}, 3, false},
	} {
		t.Run(row.situation, func(t *testing.T) {
			if !slices.Contains([]string{"out of order", "one is lost", "one is missing, and comes", "the host says that there were more"}, row.situation) {
				standin.Gate(t)
			}
			c := newCrew(t)
			row.of(c)
			var got []string
			for _, n := range c.notes() {
				got = append(got, n.Title)
			}
			if d := cmp.Diff(row.want, got); d != "" {
				t.Errorf("told (-want +got):\n%s", d)
			}
			if have := c.beat("web1"); have != row.have {
				t.Errorf("the hub says that it has all up to %d, want %d", have, row.have)
			}
			all, err := c.reg.Hosts(t.Context())
			if err != nil || len(all) != 1 || all[0].Gap != row.gap {
				t.Errorf("the list has %+v, %v; want a gap: %v", all, err, row.gap)
			}
		})
	}
}

func TestPassingAGap(t *testing.T) {
	for _, row := range []struct {
		situation string
		have      int64
		ahead     []span
		newest    int64
		missing   int64
		want      numbers
	}{
		{"nothing is missing", 5, nil, 5, 0, numbers{5, nil}},
		{"what the host has beyond", 5, nil, 8, 3, numbers{8, nil}},
		{"a beat that is older than what is here", 5, nil, 3, 0, numbers{5, nil}},
		{"a gap", 5, []span{{7, 9}}, 9, 1, numbers{9, []span{}}},
		{"the first of two gaps", 5, []span{{7, 9}, {12, 12}}, 12, 1, numbers{9, []span{{12, 12}}}},
	} {
		n := numbers{row.have, row.ahead}
		if missing := n.pass(row.newest); missing != row.missing || !cmp.Equal(n, row.want, cmp.AllowUnexported(numbers{}, span{})) {
			t.Errorf("%s: %d are missing, and then it is %+v; want %d, %+v", row.situation, missing, n, row.missing, row.want)
		}
	}
}

// Events that are done with are known again for two weeks, and those that wait stay for
// as long as they do.
func TestOldEventsAreForgotten(t *testing.T) {
	db := openDB(t)
	s := serve(t, db)
	const each = pruneMost + 100
	fill := func(first int, done bool, received time.Time) {
		t.Helper()
		err := db.Write(t.Context(), store.BatchLimit, func(t *store.Tx) error {
			for i := range each {
				var data any = []byte("{}")
				if done {
					data = nil
				}
				if _, err := t.Exec(`INSERT INTO fleet_event(id, host, run, number, time, received, data) VALUES (?, 1, 1, ?, ?, ?, ?)`,
					fmt.Sprint(first+i), first+i, received.UnixMilli(), received.UnixMilli(), data); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	left := func() (n int) {
		t.Helper()
		err := db.Read(t.Context(), store.ReadLimit, func(t *store.Tx) error {
			_, err := t.One([]any{&n}, `SELECT count(*) FROM fleet_event`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	sweep := func() {
		for range pruneTimes {
			if !s.prune(t.Context(), s.now()) {
				return
			}
		}
	}
	begin := s.now()
	fill(0, false, begin)   // they wait, more than are looked at at a time
	fill(each, true, begin) // and are older than others that don't
	fill(2*each, true, begin.Add(time.Hour))
	s.ahead.Store(int64(keepFor - time.Minute))
	if sweep(); left() != 3*each {
		t.Errorf("%d of %d are left within two weeks", left(), 3*each)
	}
	s.ahead.Store(int64(keepFor + time.Minute))
	if sweep(); left() != 2*each {
		t.Errorf("%d are left after two weeks, want those that wait and those that are newer: %d", left(), 2*each)
	}
	s.ahead.Store(int64(keepFor + 2*time.Hour))
	if sweep(); left() != each {
		t.Errorf("%d are left later, want those that wait: %d", left(), each)
	}
	if err := db.Write(t.Context(), store.BatchLimit, func(t *store.Tx) error {
		_, err := t.Exec(`UPDATE fleet_event SET data = NULL`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if sweep(); left() != 0 {
		t.Errorf("%d are left once they are done with", left())
	}
}

// A host that joins again keeps its labels, unless the token says others.
func TestLabelsOfAHostThatJoinsAgain(t *testing.T) {
	ctx := t.Context()
	r := NewRegistry(openDB(t))
	ca, err := loadCA(ctx, r.db, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	prod, dev := map[string]string{"env": "prod", "role": "web"}, map[string]string{"env": "dev"}
	revoke := func() error { return r.Revoke(ctx, "web1") }
	for _, row := range []struct {
		situation string
		before    func() error
		token     TokenOptions
		want      map[string]string
	}{
		{"it joins", nil, TokenOptions{Labels: prod}, prod},
		{"again", nil, TokenOptions{}, prod},
		{"after it was revoked", revoke, TokenOptions{}, prod},
		{"to stand by", nil, TokenOptions{Kind: KindStandby}, prod},
		{"with others", nil, TokenOptions{Labels: dev}, dev},
		{"again, as before", nil, TokenOptions{}, dev},
		{"by a bearer token", revoke, TokenOptions{Kind: KindBearer}, dev},
		{"by one with others", nil, TokenOptions{Kind: KindBearer, Labels: prod}, prod},
	} {
		if row.before != nil {
			if err := row.before(); err != nil {
				t.Fatal(err)
			}
		}
		row.token.Name = "web1"
		if row.token.Kind == KindBearer {
			_, err = r.NewToken(ctx, row.token)
		} else {
			req := fleet.JoinRequest{Token: newToken(t, r, row.token).Secret, CSR: newCSR(t, "web1")}
			for range 2 { // the answer to the first was lost
				if _, _, err = r.join(ctx, ca, req); err != nil {
					break
				}
			}
		}
		if err != nil {
			t.Fatalf("%s: %v", row.situation, err)
		}
		all, err := r.Hosts(ctx)
		if err != nil || len(all) != 1 || !cmp.Equal(all[0].Labels, row.want) {
			t.Errorf("%s: %+v, %v; want the labels %v", row.situation, all, err, row.want)
		}
	}
}
