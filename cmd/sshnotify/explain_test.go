package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// TestPolicyTestExplains has a host remember stories of the last forty days, and asks
// policy test about a login of each: it has a reason of its own, and the time since
// when.
func TestPolicyTestExplains(t *testing.T) {
	t.Parallel()
	first := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -40)
	day := func(n int) string { return first.AddDate(0, 0, n).Format("2 Jan 2006") }
	people := []string{"alice", "bob", "carol"}
	by := func(name string) []string { return []string{"--key", fingerprintOf(name)} }
	password := []string{"--method", "password"}
	for _, row := range []struct {
		name       string
		tell       func(d *diary)
		told       *event.Event // came the day before yesterday, and was told
		user, from string
		flags      []string
		at         string // a time of today
		want       []string
	}{
		{
			name: "a small server's only admin, as ever",
			tell: func(d *diary) { d.everyDay(40, func(n int) { d.on(n, "08:03").comes("anna", home, "anna") }) },
			user: "anna", from: home, flags: by("anna"), at: "08:03",
			want: []string{"severity low, usual", "told to slack", "usual since " + day(2), "because it is usual since .*, and ordinary logins are few on this host"},
		},
		{
			name: "a university host of 400 accounts: another one, from the campus",
			tell: func(d *diary) {
				d.everyDay(40, func(n int) {
					for i := range 40 {
						s := (n*40 + i) % 400
						d.on(n, fmt.Sprintf("09:%02d", i)).comes(fmt.Sprint("student", s), office, fmt.Sprint("key", s))
					}
				})
			},
			user: "freshman", from: office, flags: by("freshman"), at: "09:30",
			want: []string{"severity medium", "reason medium: first login of freshman ever", "none of this user; 1600 logins of others from this network since " + day(0)},
		},
		{
			name: "a bastion: a stranger's key into the account of all",
			tell: func(d *diary) {
				d.everyDay(40, func(n int) {
					for i := range 6 {
						d.on(n, fmt.Sprintf("%02d:00", 8+i)).comes("jump", office, fmt.Sprint("key", i))
					}
				})
			},
			user: "jump", from: office, flags: by("stranger"), at: "09:30",
			want: []string{"severity medium", "reason medium: first login with this key", "pair never seen", "240 logins of this user since " + day(0)},
		},
		{
			name: "a fleet of runners: the address of today",
			tell: func(d *diary) {
				d.people(40, people...)
				d.everyDay(40, func(n int) { d.on(n, "03:00").comes("runner", runner(n), "runner") })
			},
			user: "runner", from: runner(40), flags: by("runner"), at: "03:00",
			want: []string{"severity low, usual", "pair usual since " + day(2), "40 logins of them from this network since " + day(0)},
		},
		{
			name: "a person in the train",
			tell: func(d *diary) {
				d.people(40, people...)
				d.everyDay(40, func(n int) { d.on(n, "07:10").comes("alice", train(n), "alice") })
			},
			user: "alice", from: train(77), flags: by("alice"), at: "07:10",
			want: []string{"severity low, usual", "pair usual since " + day(2), "40 logins of them from this network since " + day(0)},
		},
		{
			name: "the same person in a hotel",
			tell: func(d *diary) { d.people(40, people...) },
			user: "alice", from: abroad, flags: by("alice"), at: "14:00",
			want: []string{"severity high", "reason high: first login from Malta", "80 logins of this user since " + day(0) + "; none of them from this network", "because it is high, and was never told"},
		},
		{
			name: "a stolen key: the thief's third visit",
			tell: func(d *diary) { d.people(40, people...) },
			told: &event.Event{User: "alice", Remote: event.Remote{IP: netip.MustParseAddr(abroad)}, Login: event.Login{Auth: event.Auth{Method: "publickey", Fingerprint: fingerprintOf("alice")}}},
			user: "alice", from: malta, flags: by("alice"), at: "23:59",
			want: []string{"severity high", "reason high: first login from Malta", "pair told as high, last on " + day(38) + ", and not acknowledged", "because nobody has answered since it was told at .* as high"},
		},
		{
			name: "a password, by its owner: it is never usual by itself",
			tell: func(d *diary) {
				d.people(40, people...)
				d.everyDay(40, func(n int) { d.on(n, "19:30").comes("dora", office, "password") })
			},
			user: "dora", from: office, flags: password, at: "19:30",
			want: []string{"severity low", "reason low: not usual yet by password from this network: until somebody acknowledges it", "pair new: 40 logins since " + day(0) + "; a password, .* only when somebody acknowledges it"},
		},
		{
			name: "a password that many networks guessed for a month",
			tell: func(d *diary) {
				d.people(40, people...)
				d.everyDay(40, func(n int) { d.on(n, "19:30").comes("dora", office, "password") })
			},
			user: "dora", from: abroad, flags: append([]string{"--attacked", "600"}, password...), at: "19:30",
			want: []string{"severity critical", "reason critical: by password, from where dora never came, while others attack the account", "none of them from this network"},
		},
		{
			name: "a shared account: one of its keys",
			tell: func(d *diary) {
				d.everyDay(40, func(n int) {
					for i := range 5 {
						d.on(n, fmt.Sprintf("09:%02d", i)).comes("deploy", office, fmt.Sprint("key", i))
					}
				})
			},
			user: "deploy", from: office, flags: by("key3"), at: "09:03",
			want: []string{"severity low, usual", "pair usual since " + day(2), "200 logins of this user since " + day(0)},
		},
		{
			name: "a certificate, made anew today",
			tell: func(d *diary) {
				d.people(40, people...)
				d.everyDay(40, func(n int) { d.on(n, "09:00").comes("jo", office, fmt.Sprintf("cert jo of ca with jo%d", n)) })
			},
			user: "jo", from: office, flags: []string{"--ca", fingerprintOf("ca"), "--key-id", "jo", "--key", fingerprintOf("jo40")}, at: "09:00",
			want: []string{"severity low, usual", "pair usual since " + day(2)},
		},
		{
			name: "a certificate of another authority",
			tell: func(d *diary) {
				d.people(40, people...)
				d.everyDay(40, func(n int) { d.on(n, "09:00").comes("jo", office, fmt.Sprintf("cert jo of ca with jo%d", n)) })
			},
			user: "jo", from: office, flags: []string{"--ca", fingerprintOf("other"), "--key-id", "jo", "--key", fingerprintOf("jo40")}, at: "09:00",
			want: []string{"severity medium", "reason medium: first login with this certificate's name", "40 logins of this user since " + day(0)},
		},
		{
			name: "a robot's account, by hand from the office",
			tell: func(d *diary) {
				d.people(40, people...)
				d.everyDay(40, func(n int) { d.on(n, "02:30").comes("backup", inside, "backup") })
			},
			user: "backup", from: office, flags: by("backup"), at: "15:11",
			want: []string{"severity high", "reason high: first login from the United Kingdom", "40 logins of this user since " + day(0) + "; none of them from this network"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			sample(t, row.name, "a small server's only admin, as ever", "a bastion: a stranger's key into the account of all", "the same person in a hotel", "a stolen key: the thief's third visit")
			t.Parallel()
			d := &diary{first: first}
			row.tell(d)
			slices.SortStableFunc(d.lines, strings.Compare)
			s := newSwiftSite(t, standin.SlackOptions{}, "[history]\nenabled = true\n")
			text, err := os.ReadFile(s.settings)
			if err != nil {
				t.Fatal(err)
			}
			s.configure(strings.Replace(string(text), "db1.example.com", "web1", 1)) // whose log it is
			log := filepath.Join(s.dir, "auth.log")
			if err := os.WriteFile(log, []byte(strings.Join(d.lines, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if r := s.run(nil, "history", "import", "--config", s.settings, log); r.code != 0 {
				t.Fatalf("%+v", r)
			}
			if e := row.told; e != nil {
				e.ID, e.Kind, e.Time, e.Host, e.Service, e.Via = event.NewID(), event.KindLogin, first.AddDate(0, 0, 38).Add(3*time.Hour), "web1", "sshd", event.ViaPAM
				b, err := e.Encode()
				if err == nil {
					err = os.MkdirAll(filepath.Join(s.spool, "new"), 0o700)
				}
				if err == nil {
					err = os.WriteFile(filepath.Join(s.spool, "new", e.ID+".json"), b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				s.mustDeliver()
			}
			args := []string{"policy", "test", "--config", s.settings, "--host", "web1", "--user", row.user, "--ip", row.from, "--at", first.AddDate(0, 0, 40).Format("2006-01-02T") + row.at}
			r := s.run(nil, append(args, row.flags...)...)
			if r.code != 0 {
				t.Fatalf("%+v", r)
			}
			for _, want := range row.want {
				if label, text, _ := strings.Cut(want, " "); !regexp.MustCompile(`(?m)^  `+label+` +`+text).MatchString(r.out) && !regexp.MustCompile(want).MatchString(r.out) {
					t.Errorf("no %q in\n%s", want, r.out)
				}
			}
		})
	}
}

// fingerprintOf returns what the diary's log has of a key.
func fingerprintOf(name string) string { return "SHA256:" + (name + strings.Repeat("x", 43))[:43] }
