package deliver

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
)

// onHost makes a host hand over an event, as the hub's inbox has it: the host is that
// of the certificate, and so is the session.
func onHost(host string, e event.Event, change ...func(*event.Event)) Record {
	e.V, e.Host, e.Session.Boot = event.Version, host, host+":"+e.Session.Boot
	if e.Kind == event.KindLogin {
		e.ID = event.LoginID(e.Session, fmt.Sprint(host, e.User, e.Remote.IP))
	} else if e.Kind == event.KindLogout {
		e.ID = event.LogoutID(e.Session)
	}
	for _, c := range change {
		c(&e)
	}
	return Record{V: event.Version, From: host, Event: e}
}

func withKey(key string) func(*event.Event) {
	return func(e *event.Event) { e.Login.Auth = event.Auth{Method: "publickey", Fingerprint: key} }
}

// hand puts what hosts handed over where the worker claims it.
func (b *bench) hand(records ...Record) {
	b.t.Helper()
	for _, r := range records {
		data, err := json.Marshal(r)
		if err == nil {
			_, err = b.spool.Put(r.Event.ID+".json", data)
		}
		if err != nil {
			b.t.Fatal(err)
		}
	}
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// burst hands over logins of a user from one address to so many hosts in a minute.
func (b *bench) burst(user string, n int, change ...func(*event.Event)) {
	for i := range n {
		b.hand(onHost(fmt.Sprintf("web%d", i+1), login(user, 7, 100), change...))
		time.Sleep(time.Minute / time.Duration(n))
	}
}

// What was told: headlines, in their order.
func (d *fakeDest) headlines() (all []string) {
	for _, a := range d.alerts() {
		all = append(all, wording.New(a).Short())
	}
	return all
}

func TestManyHosts(t *testing.T) {
	const key, other = "SHA256:uNiVztksCsDhcc0u9e8BrjUYLbCcTx5Qs6w0hQ3xVxI", "SHA256:Bd1vF0a4yqEjlQbWVnLzYcN7oD9S2uX6KtPgHm8RZ5w"
	env := func(of string) func(*event.Event) {
		return func(e *event.Event) { e.Labels = map[string]string{"env": of} }
	}
	for _, row := range []struct {
		situation string
		within    time.Duration // in which all is told
		of        func(b *bench)
		want      []string
	}{
		{"one person on forty hosts in a minute", 15 * time.Minute, func(b *bench) { b.burst("alice", 40, withKey(key)) },
			[]string{"alice → web1 from 192.0.2.7", "alice → 39 more hosts: web2, web3, web4, web5, web6, web7, web8, web9, web10, …"}},
		{"without a key, by the user", 15 * time.Minute, func(b *bench) { b.burst("alice", 40) },
			[]string{"alice → web1 from 192.0.2.7", "alice → 39 more hosts: web2, web3, web4, web5, web6, web7, web8, web9, web10, …"}},
		{"one key, under another name on each", 15 * time.Minute, func(b *bench) {
			b.hand(onHost("web1", login("root", 7, 100), withKey(key)))
			time.Sleep(5 * time.Second)
			b.hand(onHost("web2", login("deploy", 7, 100), withKey(key)))
			time.Sleep(5 * time.Second)
			b.hand(onHost("web3", login("root", 7, 100), withKey(key)))
		}, []string{"root → web1 from 192.0.2.7", "deploy, root → 2 more hosts: web2, web3"}},
		{"one key, under another name on the same host", time.Minute, func(b *bench) {
			b.hand(onHost("web1", login("deploy", 7, 100), withKey(key)))
			time.Sleep(5 * time.Second)
			b.hand(onHost("web1", login("root", 7, 101), withKey(key)))
		}, []string{"deploy → web1 from 192.0.2.7", "root → web1 from 192.0.2.7"}},
		{"two people behind one address", time.Minute, func(b *bench) {
			b.hand(onHost("web1", login("alice", 7, 100), withKey(key)))
			time.Sleep(5 * time.Second)
			b.hand(onHost("web2", login("bob", 7, 100), withKey(other)))
		}, []string{"alice → web1 from 192.0.2.7", "bob → web2 from 192.0.2.7"}},
		{"one among them from another address", time.Minute, func(b *bench) {
			b.burst("alice", 3, withKey(key))
			b.hand(onHost("web9", login("alice", 8, 100), withKey(key)))
		}, []string{"alice → web1 from 192.0.2.7", "alice → web9 from 192.0.2.8"}},
		{"one among them with another key", time.Minute, func(b *bench) {
			b.burst("alice", 3, withKey(key))
			b.hand(onHost("web9", login("alice", 7, 100), withKey(other)))
		}, []string{"alice → web1 from 192.0.2.7", "alice → web9 from 192.0.2.7"}},
		{"prod among dev", time.Minute, func(b *bench) {
			b.burst("alice", 3, env("dev"))
			b.hand(onHost("web9", login("alice", 7, 100), env("prod")))
		}, []string{"alice → web1 (dev) from 192.0.2.7", "alice → web9 (prod) from 192.0.2.7"}},
		{"one among them that is high", time.Minute, func(b *bench) {
			b.burst("alice", 3)
			b.hand(onHost("web9", login("alice", 7, 100), func(e *event.Event) { e.Flags = []event.Flag{event.FlagAddressMismatch} }))
		}, []string{"alice → web1 from 192.0.2.7", "HIGH alice → web9: SSH_CONNECTION was forged, sshd saw 192.0.2.7, 00:01"}},
		{"a stranger on forty hosts in a minute", 3 * time.Minute, func(b *bench) {
			b.rate(netip.MustParseAddr("192.0.2.7"), 99)
			b.burst("root", 40)
		}, []string{"HIGH root → web1 from 192.0.2.7: Test 99, 00:00", "HIGH root → 39 more hosts from 192.0.2.7: web2, web3, web4, web5, web6, web7, …"}},
		{"one alert of each of forty hosts", 15 * time.Minute, func(b *bench) {
			for i := range 40 {
				e := event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Via: event.ViaCLI, Alert: &event.Note{Title: "disk is full", Severity: event.Medium}}
				b.hand(onHost(fmt.Sprintf("web%d", i+1), e))
				time.Sleep(time.Second)
			}
		}, []string{"MEDIUM web1: disk is full", "MEDIUM 39 more hosts: disk is full"}},
		{"the same person on this host and on others", 15 * time.Minute, func(b *bench) {
			b.put(login("alice", 7, 100))
			time.Sleep(5 * time.Second)
			b.burst("alice", 3)
		}, []string{"alice → db1 from 192.0.2.7", "alice → web1 from 192.0.2.7", "alice → 2 more hosts: web2, web3"}},
		{"all logouts of somebody", 15 * time.Minute, func(b *bench) {
			b.burst("alice", 3)
			time.Sleep(12 * time.Minute)
			for i := range 3 {
				b.hand(onHost(fmt.Sprintf("web%d", i+1), logout(login("alice", 7, 100))))
				time.Sleep(2 * time.Second)
			}
		}, []string{"alice → web1 from 192.0.2.7", "alice → 2 more hosts: web2, web3", "Ended: alice → web1 after 13 min (1WDY)", "Ended: alice → 2 more hosts: web2, web3"}},
	} {
		t.Run(row.situation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.NotifyLogout = "all"
				stop := start(t, b.job(Follow))
				row.of(b)
				time.Sleep(row.within)
				stop()
				if diff := cmp.Diff(row.want, d.headlines()); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
				for _, h := range d.headlines() {
					if n := len([]rune(h)); n > 80 {
						t.Errorf("%d characters: %s", n, h)
					}
				}
			})
		})
	}
}
