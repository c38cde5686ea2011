package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// Where people of the stories are.
const (
	office = "81.2.69.142"   // in the United Kingdom
	home   = "2.216.1.9"     // another network of it
	inside = "10.0.0.5"      // a private network
	abroad = "46.11.20.7"    // Malta
	malta  = "46.11.99.1"    // the same provider, another address
	away   = "185.220.101.5" // Germany
)

// train is an address of a carrier in Ireland, a new one each time.
func train(n int) string { return fmt.Sprintf("109.78.%d.%d", 1+n%200, 1+n*7%250) }

// runner is an address of a cloud, a new one each day.
func runner(day int) string { return fmt.Sprintf("54.93.%d.%d", 10+day, 20+day) }

// diary is a log of sshd, told as a story.
type diary struct {
	first time.Time // the day 0; zero: monday
	at    time.Time
	pid   int
	lines []string
	odd   []oddLogin
}

// oddLogin is one that must be told at once.
type oddLogin struct {
	at          time.Time
	user, from  string
	least, most event.Severity
}

// monday is when a story begins.
var monday = time.Date(2026, 10, 5, 0, 0, 0, 0, time.UTC)

// on goes to a day of the story, the first is 0, and a time of it.
func (d *diary) on(day int, clock string) *diary {
	at, err := time.Parse("15:04", clock)
	if err != nil {
		panic(err)
	}
	first := d.first
	if first.IsZero() {
		first = monday
	}
	d.at = first.AddDate(0, 0, day).Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + 37*time.Second) // nobody comes at whole minutes
	return d
}

func (d *diary) say(text string) {
	d.lines = append(d.lines, fmt.Sprintf("%s web1 sshd[%d]: %s", d.at.Format("2006-01-02T15:04:05.000000Z07:00"), d.pid, text))
	d.at = d.at.Add(time.Second)
}

// comes has somebody log in: by "password", by a key, or by a certificate as
// "cert KEYID of CA with KEY".
func (d *diary) comes(user, from, by string) *diary {
	d.pid++
	key := func(name string) string { return fmt.Sprintf("SHA256:%.43s", name+strings.Repeat("x", 43)) }
	how := "publickey for %s from %s port 4022 ssh2: ED25519 " + key(by)
	var id, ca, of string
	if by == "password" {
		how = "password for %s from %s port 4022 ssh2"
	} else if n, _ := fmt.Sscanf(by, "cert %s of %s with %s", &id, &ca, &of); n == 3 {
		how = "publickey for %s from %s port 4022 ssh2: ED25519-CERT " + key(of) + " ID " + id + " (serial 7) CA ED25519 " + key(ca)
	}
	d.say("Accepted " + fmt.Sprintf(how, user, from))
	return d
}

// fails has somebody try passwords.
func (d *diary) fails(user, from string, times int) *diary {
	for range times {
		d.pid++
		d.say(fmt.Sprintf("Failed password for %s from %s port 4022 ssh2", user, from))
	}
	return d
}

// ftp has somebody log in to the FTP server by password, or fail to.
func (d *diary) ftp(user, from, what string) *diary {
	d.lines = append(d.lines, fmt.Sprintf("%s web1 vsftpd[%d]: [%s] %s LOGIN: Client \"%s\"", d.at.Format("2006-01-02T15:04:05.000000Z07:00"), d.pid, user, what, from))
	return d
}

// oddlyFTP is oddly for the FTP server.
func (d *diary) oddlyFTP(user, from string, least, most event.Severity) *diary {
	d.odd = append(d.odd, oddLogin{d.at, user, from, least, most})
	return d.ftp(user, from, "OK")
}

// oddly has somebody log in that must be told at once, and how severe.
func (d *diary) oddly(user, from, by string, least, most event.Severity) *diary {
	d.odd = append(d.odd, oddLogin{d.at, user, from, least, most})
	return d.comes(user, from, by)
}

// everyDay tells the same of each day before one.
func (d *diary) everyDay(days int, tell func(day int)) {
	for day := range days {
		tell(day)
	}
}

// people are so many who come to the office each morning.
func (d *diary) people(days int, names ...string) {
	d.everyDay(days, func(day int) {
		for i, name := range names {
			d.on(day, fmt.Sprintf("08:%02d", i)).comes(name, office, name)
			d.on(day, fmt.Sprintf("14:%02d", i)).comes(name, office, name)
		}
	})
}

// TestJudgement plays stories through the whole judgement, with the defaults and an
// empty memory. What is odd must be told at once, as severe as it says; nothing else
// is high; what else is medium comes from people of the first days; and there are
// no more messages than somebody reads.
func TestJudgement(t *testing.T) {
	if !endToEnd() {
		t.Skip("it takes some ten seconds: set SSHNOTIFY_E2E=1")
	}
	for _, s := range []struct {
		name string
		tell func(d *diary)
		days int  // after these, nothing that is not odd is medium
		most int  // messages in all, digests included
		each bool // each login of anna's is told
	}{
		{"a small server: one admin, three logins a day, beside a job every ten minutes", func(d *diary) {
			d.everyDay(8, func(day int) {
				for m := 0; m < 24*60; m += 10 {
					d.on(day, fmt.Sprintf("%02d:%02d", m/60, m%60)).comes("cron", inside, "cron")
				}
				for _, clock := range []string{"08:03", "13:03", "20:03"} {
					d.on(day, clock).comes("anna", home, "anna")
				}
			})
		}, 3, 50, true},
		{"a university host: accounts come from the campus and from home, a burglar on the second day", func(d *diary) {
			rnd := rand.New(rand.NewPCG(1, 2))
			d.everyDay(4, func(day int) {
				for i := range 120 {
					from := office
					if rnd.IntN(2) == 0 {
						from = train(i)
					}
					d.on(day, fmt.Sprintf("%02d:%02d", 7+i/10, i%60)).comes(fmt.Sprint("student", i), from, fmt.Sprint("key", i))
				}
			})
			d.on(1, "20:00").oddly("student7", abroad, "password", event.Medium, event.Critical)
			d.on(2, "21:00").oddly("student9", away, "key9", event.Medium, event.Critical)
		}, 1, 60, false},
		{"a bastion: everybody comes through it to one account, told apart by key", func(d *diary) {
			d.everyDay(14, func(day int) {
				for i := range 12 {
					d.on(day, fmt.Sprintf("%02d:%02d", 8+i/2, i*4)).comes("jump", office, fmt.Sprint("key", i))
				}
			})
			d.on(10, "03:00").oddly("jump", away, "key3", event.High, event.Critical)
			d.on(11, "09:30").oddly("jump", office, "stranger", event.Medium, event.High)
		}, 3, 55, false},
		{"a fleet of runners with new addresses daily", func(d *diary) {
			d.people(14, "alice", "bob")
			d.everyDay(14, func(day int) {
				for m := 3; m < 24*60; m += 15 {
					d.on(day, fmt.Sprintf("%02d:%02d", m/60, m%60)).comes("runner", runner(day), "runner")
				}
			})
			d.on(9, "03:30").oddly("runner", abroad, "runner", event.High, event.Critical)
		}, 3, 80, false},
		{"a person who moves between office, home, train and hotel", func(d *diary) {
			d.people(20, "alice", "bob", "carol")
			d.everyDay(20, func(day int) {
				d.on(day, "20:10").comes("alice", home, "alice")
				if day%2 == 0 {
					d.on(day, "07:10").comes("alice", train(day), "alice")
				}
			})
			d.on(12, "22:00").oddly("alice", abroad, "alice", event.High, event.High)
			d.on(13, "22:00").oddly("alice", abroad, "alice", event.Medium, event.High)
		}, 3, 210, false},
		{"a stolen key that is used slowly, from other addresses of the thief's provider", func(d *diary) {
			d.people(30, "alice", "bob", "carol", "dave", "erin", "frank")
			for _, day := range []int{10, 12, 14, 16} {
				d.on(day, "03:00").oddly("alice", fmt.Sprintf("46.11.20.%d", day), "alice", event.High, event.Critical)
			}
			d.on(17, "03:00").oddly("bob", "46.11.20.16", "bob", event.High, event.Critical)
		}, 3, 100, false},
		{"a password that is guessed over a month from many networks", func(d *diary) {
			d.people(30, "alice", "bob", "carol")
			d.everyDay(30, func(day int) {
				d.on(day, "19:30").comes("dora", office, "password")
				for i := range 20 {
					d.on(day, fmt.Sprintf("%02d:%02d", i, 20+i)).fails("dora", fmt.Sprintf("198.51.%d.%d", day*7+i, 1+i), 1)
				}
			})
			d.on(29, "23:00").oddly("dora", abroad, "password", event.Critical, event.Critical)
		}, 3, 260, false},
		{"a shared account: its keys tell apart who comes", func(d *diary) {
			d.everyDay(20, func(day int) {
				for i := range 5 {
					d.on(day, fmt.Sprintf("09:%02d", i*10)).comes("deploy", office, fmt.Sprint("key", i))
				}
			})
			d.on(15, "12:00").oddly("deploy", office, "key9", event.Medium, event.High)
			d.on(16, "12:00").oddly("deploy", abroad, "key1", event.High, event.Critical)
		}, 3, 130, false},
		{"certificates: made anew each day, they count by authority and name", func(d *diary) {
			d.everyDay(14, func(day int) {
				for i, who := range []string{"jo", "kim", "lea"} {
					d.on(day, fmt.Sprintf("09:%02d", i)).comes(who, office, fmt.Sprintf("cert %s of ca with %s%d", who, who, day))
				}
			})
			d.on(10, "12:00").oddly("jo", office, "cert jo of otherca with z", event.Medium, event.High)
			d.on(11, "12:00").oddly("jo", office, "cert kim of ca with zz", event.Medium, event.High)
			d.on(12, "03:00").oddly("kim", away, "cert kim of ca with zzz", event.High, event.Critical)
		}, 3, 70, false},
		{"a robot's account that is used by hand", func(d *diary) {
			d.people(14, "alice", "bob")
			d.everyDay(14, func(day int) {
				for h := range 24 {
					d.on(day, fmt.Sprintf("%02d:30", h)).comes("backup", inside, "backup")
				}
			})
			d.on(10, "03:11").oddly("backup", inside, "password", event.Low, event.Medium)
			d.on(11, "15:11").oddly("backup", office, "backup", event.Medium, event.High)
			d.on(12, "03:11").oddly("backup", abroad, "backup", event.High, event.Critical)
		}, 3, 80, false},
		{"an FTP server, whose logins no hook reports, and bots that try its users' names", func(d *diary) {
			d.people(40, "alice", "bob", "carol")
			d.everyDay(40, func(day int) {
				for i := range 12 {
					d.on(day, fmt.Sprintf("%02d:%02d", i*2, 5+i)).ftp("shop", fmt.Sprintf("198.51.%d.%d", day*6+i, 1+i), "FAIL")
				}
				if day == 12 {
					d.on(day, "23:30").oddlyFTP("shop", home, event.Medium, event.Medium) // nobody knows where shop comes from
				} else if day > 12 {
					d.on(day, "23:30").ftp("shop", home, "OK")
				}
			})
			for m := range 6 {
				d.on(30, fmt.Sprintf("02:%02d", m)).ftp("shop", away, "FAIL")
			}
			d.on(30, "02:10").oddlyFTP("shop", away, event.Critical, event.Critical)
		}, 3, 330, false}, // shop's password is told each day until somebody acknowledges it
		{"a host that people reach by FTP alone, and a stranger who has the password", func(d *diary) {
			d.everyDay(32, func(day int) {
				for i, who := range []string{"shop", "printer", "photos", "press"} {
					d.on(day, fmt.Sprintf("09:%02d", i)).ftp(who, office, "OK")
				}
				for h := range 24 {
					d.on(day, fmt.Sprintf("%02d:40", h)).ftp("camera", inside, "OK")
				}
			})
			// Passwords are usual only when somebody acknowledges them, so that the host is
			// young for four weeks.
			d.on(12, "20:00").oddlyFTP("camera", away, event.Medium, event.High)
			d.on(30, "20:00").oddlyFTP("shop", abroad, event.High, event.Critical)
			d.on(31, "21:00").oddlyFTP("nobodyknows", "203.0.114.9", event.Medium, event.Critical)
		}, 3, 230, false},
		{"an office behind one address, where one mistypes six times", func(d *diary) {
			d.people(14, "alice", "bob", "carol", "dave", "erin", "frank")
			d.on(10, "13:50").fails("alice", office, 6)
			d.on(10, "13:58").oddly("alice", office, "alice", event.Medium, event.Medium)
		}, 3, 75, false},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d := new(diary)
			s.tell(d)
			slices.SortStableFunc(d.lines, strings.Compare)
			log := filepath.Join(t.TempDir(), "auth.log")
			if err := os.WriteFile(log, []byte(strings.Join(d.lines, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			told := replayed(t, "", log)
			if len(told) > s.most {
				t.Errorf("%d messages", len(told))
			}
			for _, o := range d.odd {
				if worst := toldOf(told, o.at, o.user, o.from); worst < o.least || worst > o.most {
					t.Errorf("%s from %s at %v is told as %v, not %v to %v", o.user, o.from, o.at, worst, o.least, o.most)
				}
			}
			anna := 0
			for _, m := range told {
				if m.Kind != "digest" && slices.Contains(m.Users, "anna") {
					anna += m.Events
				}
				if m.odd {
					continue
				}
				if m.Severity >= event.High || m.Severity == event.Medium && m.Time.After(monday.AddDate(0, 0, s.days)) {
					t.Errorf("false: %v %s: %v", m.Time, m.Headline, m.Reasons)
				}
			}
			if want := strings.Count(strings.Join(d.lines, "\n"), "for anna "); s.each && anna != want {
				t.Errorf("%d logins of anna's are told, not %d", anna, want)
			}
		})
	}
}

// replayedMessage is a message of sshnotify replay --json.
type replayedMessage struct {
	Time       time.Time
	Kind       string
	Severity   event.Severity
	Headline   string
	Reasons    []string
	Events     int
	Users, IPs []string
	odd        bool // toldOf found it
}

// replayed plays a log with an empty memory. A host has one digest a day.
func replayed(t *testing.T, settings, log string) (all []*replayedMessage) {
	t.Helper()
	s := newSite(t, standin.SlackOptions{}, settings+"[history]\nenabled = true\n")
	r := s.run(nil, "replay", "--json", "--config", s.settings, log)
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	for d := json.NewDecoder(strings.NewReader(r.out)); d.More(); {
		m := new(replayedMessage)
		if err := d.Decode(m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	digests := map[string]int{}
	for _, m := range all {
		if day := m.Time.Format(time.DateOnly); m.Kind == "digest" {
			if digests[day]++; digests[day] == 2 {
				t.Errorf("a second digest on %s: %s", day, m.Headline)
			}
		}
	}
	return all
}

// toldOf returns how severe a login was told, at most, at once; less than low: it
// was not.
func toldOf(all []*replayedMessage, at time.Time, user, ip string) event.Severity {
	worst := event.Severity(-1)
	for _, m := range all {
		if after := m.Time.Sub(at); m.Kind != "digest" && after > -time.Minute && after < 2*time.Minute && slices.Contains(m.Users, user) && slices.Contains(m.IPs, ip) {
			m.odd = true
			worst = max(worst, m.Severity)
		}
	}
	return worst
}
