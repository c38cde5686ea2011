package watch

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

const toRoot = "session opened for user root(uid=0) by alice(uid=1000)"

// journaled is an entry of the journal, of a program that it vouches for.
func journaled(at time.Time, program string, pid int, text string) source.Batch {
	return source.Batch{Lines: []line.Line{{Source: "journal", Time: at, Host: "db1", Program: program, PID: pid, Text: text}}}
}

// covering has the hook tell of these services on db1, and of no other.
func (p *post) covering(services ...string) {
	p.Covered = func(service, host string, at time.Time) bool {
		for _, s := range services {
			if s == service && (host == "" || host == "db1") {
				return true
			}
		}
		return false
	}
}

func (p *post) witnesses() (all []string) {
	for _, e := range p.events {
		if e.Kind == event.KindWitness {
			all = append(all, fmt.Sprintf("%s %s by %s [%d]", e.Service, e.User, e.By(), e.Session.PID))
		}
	}
	return all
}

func TestWitness(t *testing.T) {
	p := newPost(t)
	p.covering("su")
	p.clock = night.Add(3 * time.Second)
	if err := p.Take(journaled(night, "su", 4711, "pam_unix(su:session): "+toRoot)); err != nil {
		t.Fatal(err)
	}
	want := []event.Event{{
		V: event.Version, Kind: event.KindWitness, Time: night, Host: "db1.example.com", Via: event.ViaWatch,
		Service: "su", User: "root", Witness: event.Witness{By: "alice"}, Session: event.Session{PID: 4711},
	}}
	if diff := cmp.Diff(want, p.events, cmpopts.IgnoreFields(event.Event{}, "ID"), cmpopts.EquateComparable(Addr{})); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}

	// auth.log has it, too: that is the same event, which is queued once.
	p.takes(night.Format(time.RFC3339) + " db1 su[4711]: pam_unix(su:session): " + toRoot)
	if len(p.events) != 2 || p.events[1].ID != p.events[0].ID {
		t.Errorf("another log's word of it: %+v", p.events)
	}
}

// Without a terminal pam_unix knows no name of who called su.
func TestWitnessKnowsWhoByTheirNumber(t *testing.T) {
	p := newPost(t)
	p.covering("su")
	p.Account = func(uid int) string { return map[int]string{1000: "alice"}[uid] }
	if err := p.Take(journaled(night, "su", 4711, "pam_unix(su:session): session opened for user root(uid=0) by (uid=1000)")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"su root by alice [4711]"}, p.witnesses()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoWitness(t *testing.T) {
	at := func(d time.Duration) string { return night.Add(d).Format(time.RFC3339) }
	for _, row := range []struct{ name, text string }{
		{"a service that the hook does not tell of", at(0) + " db1 sudo[4711]: pam_unix(sudo:session): " + toRoot},
		{"another machine's", at(0) + " db2 su[4711]: pam_unix(su:session): " + toRoot},
		{"of yesterday", at(-24*time.Hour) + " db1 su[4711]: pam_unix(su:session): " + toRoot},
		{"of tomorrow", at(24*time.Hour) + " db1 su[4711]: pam_unix(su:session): " + toRoot},
		{"its end", at(0) + " db1 su[4711]: pam_unix(su:session): session closed for user root"},
		{"without a time", "su[4711]: pam_unix(su:session): " + toRoot},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPost(t)
			p.covering("su")
			p.takes(row.text)
			if len(p.events) > 0 {
				t.Errorf("witnesses: %+v", p.events)
			}
		})
	}
	t.Run("a replay", func(t *testing.T) {
		p := newPost(t)
		p.takes(at(0) + " db1 su[4711]: pam_unix(su:session): " + toRoot)
		if len(p.events) > 0 {
			t.Errorf("witnesses: %+v", p.events)
		}
	})
}

// The settings' zone says how times are shown, and nothing of a file's.
func TestWitnessInAnotherZone(t *testing.T) {
	p := newPost(t)
	p.covering("su")
	_, off := night.In(time.Local).Zone()
	p.Zone = time.FixedZone("elsewhere", off+3600)
	p.takes(night.Add(-time.Hour).Format(time.RFC3339) + " db1 su[1]: pam_unix(su:session): " + toRoot)
	p.takes(night.Add(-time.Minute).Format(time.RFC3339) + " db1 su[2]: pam_unix(su:session): " + toRoot)
	if err := p.Take(journaled(night.Add(-time.Hour), "su", 3, "pam_unix(su:session): "+toRoot)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"su root by alice [1]", "su root by alice [2]", "su root by alice [3]"}, p.witnesses()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// sudo names no process in a file: several in one second are several.
func TestWitnessesWithoutAProcess(t *testing.T) {
	p := newPost(t)
	p.covering("sudo")
	s := night.Format(time.RFC3339) + " db1 sudo: pam_unix(sudo:session): " + toRoot + "\n"
	src, err := source.OpenReader(io.NopCloser(strings.NewReader(s+s)), source.Options{Name: "auth", Once: true})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	b, err := src.Read(t.Context())
	if err != nil || len(b.Lines) != 2 {
		t.Fatalf("%v, %v", b, err)
	}
	for range 2 { // a crash has them read again
		if err := p.Take(b); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]bool{}
	for _, e := range p.events {
		ids[e.ID] = true
	}
	if len(p.events) != 4 || len(ids) != 2 {
		t.Errorf("%d events, %d of them different", len(p.events), len(ids))
	}
}

// Anybody writes into a plain file what they like: it fills no queue.
func TestForgedWitnessesAreFew(t *testing.T) {
	p := newPost(t)
	p.covering("su")
	for i := range 10_000 {
		p.clock = night.Add(time.Duration(i) * 5 * time.Millisecond)
		p.takes(fmt.Sprintf("%s db1 su[%d]: pam_unix(su:session): %s", p.clock.Format(time.RFC3339), i+1, toRoot))
	}
	if n := len(p.witnesses()); n != writtenMost {
		t.Errorf("%d witnesses in a minute", n)
	}
	if last := p.events[len(p.events)-1]; last.Kind != event.KindAlert || last.Alert.Severity != event.High || len(p.events) != writtenMost+1 {
		t.Errorf("%d events, the last %+v", len(p.events), last)
	}
	p.clock = night.Add(2 * time.Minute)
	p.takes(p.clock.Format(time.RFC3339) + " db1 su[1]: pam_unix(su:session): " + toRoot)
	if n := len(p.witnesses()); n != writtenMost+1 {
		t.Errorf("afterwards there is none: %d", n)
	}
	// What the journal vouches for is not held up.
	for i := range 2 * writtenMost {
		if err := p.Take(journaled(p.clock, "su", i+1, "pam_unix(su:session): "+toRoot)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.witnesses()); n != 3*writtenMost+1 {
		t.Errorf("of the journal's: %d", n)
	}
}

// The log's word is the only one of a login that no hook reports.
func TestLoginsThatNoHookReports(t *testing.T) {
	ftp := journaled(night, "vsftpd", 500, `[shop] OK LOGIN: Client "203.0.113.7"`)
	for _, row := range []struct {
		name  string
		batch source.Batch
		hook  string // reports this service
		want  string
	}{
		{"an FTP server's", ftp, "", "vsftpd shop 203.0.113.7"},
		{"an FTP server's, whose hook reports it", ftp, "vsftpd", ""},
		{"dropbear's", journaled(night, "dropbear", 501, "Password auth succeeded for 'bob' from 203.0.113.7:4022"), "sshd", "dropbear bob 203.0.113.7"},
		{"sshd's", journaled(night, "sshd", 502, "Accepted password for alice from 203.0.113.7 port 4022 ssh2"), "", ""},
		{"a failure", journaled(night, "vsftpd", 503, `[shop] FAIL LOGIN: Client "203.0.113.7"`), "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPost(t)
			p.clock = night.Add(3 * time.Second)
			if row.hook != "" {
				p.covering(row.hook)
			}
			for range 2 { // read again after a kill
				if err := p.Take(row.batch); err != nil {
					t.Fatal(err)
				}
			}
			got := map[string]bool{}
			for _, e := range p.events {
				if e.Kind == event.KindLogin {
					got[fmt.Sprintf("%s %s %s", e.Service, e.User, e.Remote.IP)] = true
					if e.ID != p.events[0].ID {
						t.Error("it is queued twice")
					}
				}
			}
			if len(got) > 1 || row.want != "" && !got[row.want] || row.want == "" && len(got) > 0 {
				t.Errorf("%v, want %q", got, row.want)
			}
		})
	}
}
