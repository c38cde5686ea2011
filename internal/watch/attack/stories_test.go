package attack

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// log is a log of sshd in the making.
type log struct {
	lines []string
	at    time.Time
	pid   int
}

func (l *log) after(d time.Duration) *log { l.at = l.at.Add(d); return l }

func (l *log) say(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf("%s web1 sshd[%d]: %s", l.at.Format("2006-01-02T15:04:05.000000Z07:00"), l.pid, fmt.Sprintf(format, args...)))
}

// wrong is a mistyped password, in a connection of its own.
func (l *log) wrong(user, from string) *log {
	l.pid++
	l.after(time.Minute).say("Failed password for %s from %s port 4000 ssh2", user, from)
	l.say("Connection closed by authenticating user %s %s port 4000 [preauth]", user, from)
	return l
}

// refused is a connection that offers a key that sshd does not know, and goes.
func (l *log) refused(user, from string) *log {
	l.pid++
	l.after(time.Minute).say("Failed publickey for %s from %s port 4000 ssh2: ED25519 SHA256:other", user, from)
	l.say("Connection closed by authenticating user %s %s port 4000 [preauth]", user, from)
	return l
}

func (l *log) password(user, from string) *log {
	l.pid++
	l.after(time.Minute).say("Accepted password for %s from %s port 4000 ssh2", user, from)
	return l
}

func (l *log) key(user, from string) *log {
	l.pid++
	l.after(time.Minute).say("Accepted publickey for %s from %s port 4000 ssh2: ED25519 SHA256:hers", user, from)
	return l
}

// TestStories are hosts' days, as sshd logs them, and what a watcher that remembers
// nobody makes of their logins.
func TestStories(t *testing.T) {
	const home, office, stranger = "192.0.2.9", "198.51.100.1", "203.0.113.66"
	month := func(l *log) {
		for i := range 30 * 40 {
			l.after(35*time.Minute).wrong("carol", fmt.Sprintf("203.0.%d.%d", i%200, i%250))
		}
	}
	for _, row := range []struct {
		name string
		day  func(l *log)
		want []string // who got in after failures: severity, and how many
	}{
		{"a password guessed over a month from many networks, its owner comes by key as ever", func(l *log) {
			month(l)
			l.key("carol", home)
		}, nil},
		{"the same, and the last guess was right: the memory knows whether she comes from there", func(l *log) {
			month(l)
			l.password("carol", "100.64.1.1")
		}, []string{"carol low: 0 from its address, 0 for 0 accounts from its network, more against it"}},
		{"an IPv6 guesser has a /64", func(l *log) {
			for i := range 5 {
				l.wrong("carol", fmt.Sprintf("2001:db8::%d", i))
			}
			l.password("carol", "2001:db8::beef")
		}, []string{"carol critical: 5 from its address, 0 for 0 accounts from its network"}},
		{"another /64 of the same provider", func(l *log) {
			for range 5 {
				l.wrong("carol", "2001:db8::1")
			}
			l.key("bob", "2001:db8:0:1::1")
		}, nil},
		{"UseDNS: the guesser and who got in have the same name, and no line says the address", func(l *log) {
			for range 5 {
				l.wrong("carol", "host.example.com")
			}
			l.password("carol", "host.example.com")
		}, []string{"carol critical: 5 from its address, 0 for 0 accounts from its network, more against it"}},
		{"colleagues behind one address mistype, and get in", func(l *log) {
			for i := range 12 {
				user := fmt.Sprint("colleague", i)
				l.wrong(user, office).wrong(user, office).password(user, office)
			}
		}, nil},
		{"a colleague who gave up after three: the next one from there looks like a guesser", func(l *log) {
			l.wrong("bob", office).wrong("bob", office).wrong("bob", office).key("alice", office)
		}, []string{"alice critical: 3 from its address, 0 for 0 accounts from its network"}},
		{"a forgetful user at home gets in at the seventh try", func(l *log) {
			for range 6 {
				l.wrong("carol", home)
			}
			l.password("carol", home)
		}, []string{"carol critical: 6 from its address, 0 for 0 accounts from its network"}},
		{"who gets in at the fifth try each day", func(l *log) {
			for range 3 {
				for range 4 {
					l.wrong("carol", home)
				}
				l.password("carol", home).after(23 * time.Hour)
			}
		}, nil},
		{"an agent with many keys", func(l *log) {
			for range 9 {
				l.refused("carol", home).refused("root", home)
			}
			l.key("carol", home)
		}, nil},
		{"keys are offered, and then passwords guessed", func(l *log) {
			for range 5 {
				l.refused("carol", stranger)
				l.say("Failed password for carol from %s port 4000 ssh2", stranger)
			}
			l.password("carol", stranger)
		}, []string{"carol critical: 5 from its address, 0 for 0 accounts from its network"}},
		{"neighbours try three of ours", func(l *log) {
			l.wrong("alice", "203.0.113.1").wrong("bob", "203.0.113.2").wrong("carol", "203.0.113.3").key("dave", stranger)
		}, []string{"dave critical: 0 from its address, 3 for 3 accounts from its network"}},
		{"neighbours try names that are none of ours", func(l *log) {
			for i := range 9 {
				l.wrong(fmt.Sprint("invalid user name", i), fmt.Sprint("203.0.113.", i))
			}
			l.key("dave", stranger)
		}, nil},
		{"a day and an hour later", func(l *log) {
			for range 9 {
				l.wrong("carol", stranger)
			}
			l.after(25*time.Hour).password("carol", stranger)
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := &log{at: start, pid: 100}
			row.day(l)
			var got []string
			found, _ := replay(t, l.lines, time.UTC, l.at)
			for _, f := range found {
				if f.Kind != SuccessAfter {
					continue
				}
				s := fmt.Sprintf("%s %s: %d from its address, %d for %d accounts from its network", f.User, f.Severity(), f.FromAddress, f.FromNetwork, f.NetworkAccounts)
				if f.AgainstUser > 0 {
					s += ", more against it"
				}
				got = append(got, s)
			}
			if d := cmp.Diff(row.want, got); d != "" {
				t.Errorf("%s\n%s", d, strings.Join(l.lines[max(0, len(l.lines)-12):], "\n"))
			}
		})
	}
}
