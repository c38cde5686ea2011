package cmd

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/records"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// importer makes an import whose /var/log is p's, on db1.
func (p *place) importer(change func(*historyImport)) *historyImport {
	a := p.app()
	a.configFile = filepath.Join(p.home, "config.toml")
	o := &historyImport{
		app: a, records: records.Host{Root: p.home, In: strings.NewReader(p.in), Silence: time.Minute, Most: 1 << 20, Zone: time.UTC, Now: func() time.Time { return historyNow }},
		now: func() time.Time { return historyNow }, machine: "db1", importFlags: importFlags{json: true},
	}
	if change != nil {
		change(o)
	}
	return o
}

// imports runs an import and gives what it says of each record.
func (p *place) imports(o *historyImport, args ...string) ([]imported, error) {
	p.t.Helper()
	err := o.run(p.t.Context(), args)
	var all []imported
	for dec := json.NewDecoder(&p.out); dec.More(); {
		var im imported
		if err := dec.Decode(&im); err != nil {
			p.t.Fatal(err)
		}
		im.Record = strings.TrimPrefix(im.Record, p.home+"/")
		all = append(all, im)
	}
	return all, err
}

// remembered returns what the memory holds, the newest first.
func (p *place) remembered() []history.Entry {
	p.t.Helper()
	db, err := history.Open(p.databaseFile(), history.Options{ReadOnly: true})
	if err != nil {
		p.t.Fatal(err)
	}
	defer db.Close()
	var all []history.Entry
	for e, err := range db.List(p.t.Context(), history.Filter{}) {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (p *place) packed(name, content string) {
	p.t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, content)
	w.Close()
	p.write(name, b.String())
}

func syslogLine(day, user, ip string) string {
	return "Nov " + day + " 02:15:04 db1 sshd[812]: Accepted publickey for " + user + " from " + ip + " port 51234 ssh2: ED25519 " + aliceKey + "\n"
}

func wtmpRecord(user, ip string, at time.Time) string {
	r := make([]byte, 384)
	r[0] = 7
	copy(r[8:], "pts/0")
	copy(r[44:], user)
	copy(r[76:], ip)
	binary.LittleEndian.PutUint32(r[340:], uint32(at.Unix()))
	a := netip.MustParseAddr(ip).AsSlice()
	copy(r[348:], a)
	return string(r)
}

func journalLine(user, ip string) string {
	return `{"MESSAGE":"Accepted password for ` + user + ` from ` + ip + ` port 4000 ssh2","_COMM":"sshd-session","_EXE":"/usr/lib/openssh/sshd-session","_TRANSPORT":"syslog","_UID":"0","_HOSTNAME":"db1","__REALTIME_TIMESTAMP":"1795226400000000","__CURSOR":"s=` + user + strings.Map(func(r rune) rune { return max(r, '0') }, ip) + `"}` + "\n"
}

// shell writes a script that stands in for journalctl.
func (p *place) shell(text string) string {
	p.write("bin/journalctl", "#!/bin/sh\n"+text)
	path := filepath.Join(p.home, "bin/journalctl")
	if err := os.Chmod(path, 0o700); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func counts(n, known int) (*int, *int) { return &n, &known }

func TestImportWhatIsThere(t *testing.T) {
	t.Parallel()
	p := remembering(t)
	at := historyNow.AddDate(0, 0, -3)
	p.write("var/log/wtmp", wtmpRecord("alice", "203.0.113.7", at)+wtmpRecord("bob", "2001:db8::7", at))
	p.write("var/log/wtmp.1", wtmpRecord("alice", "203.0.113.7", at.AddDate(-2, 0, 0))) // too old
	p.packed("var/log/wtmp-20251101.gz", wtmpRecord("carol", "8.8.8.8", at.AddDate(0, -6, 0)))
	p.write("var/log/auth.log", syslogLine("20", "alice", "203.0.113.7")+"Nov 20 02:15:05 db1 sshd[812]: Failed password for root from 203.0.113.7 port 51234 ssh2\n"+
		"Nov 20 02:15:05 db1 sshd[812]: Accepted nonsense\n")
	p.packed("var/log/auth.log.2.gz", syslogLine("19", "alice", "203.0.113.7"))
	p.write("var/log/secure", "")
	p.write("var/log/wtmp.db", "SQLite format 3\x00")
	p.write("var/log/secure-20251101.xz", "\xfd7zXZ\x00more")
	if err := os.Mkdir(filepath.Join(p.home, "var/log/auth.log.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	change := func(o *historyImport) {
		o.records.Journalctl = p.shell(`case "$*" in *_COMM=sshd\ +\ _COMM=sshd-session\ +\ *_COMM=dropbear*) ;; *) exit 3;; esac
cat <<'END'
` + journalLine("alice", "203.0.113.7") + "END\n")
	}
	want := []imported{
		{Record: "var/log/wtmp", Format: "wtmp", Read: 2, Logins: 2},
		{Record: "var/log/wtmp.1", Format: "wtmp", Read: 1, Logins: 1, Outside: 1},
		{Record: "var/log/wtmp.db", Error: records.ErrNoForm.Error()},
		{Record: "var/log/wtmp-20251101.gz", Format: "wtmp", Read: 1, Logins: 1},
		{Record: "journal", Format: "journal", Read: 1, Logins: 1},
		{Record: "var/log/auth.log", Format: "auth.log", Read: 3, Logins: 1, Bad: 1, Unread: parse.Unread{ByForm: map[string]int64{"sshd: Accepted nonsense": 1}}},
		{Record: "var/log/auth.log.2.gz", Format: "auth.log", Read: 1, Logins: 1},
		{Record: "var/log/auth.log.d", Error: "it is a folder"},
		{Record: "var/log/secure"},
		{Record: "var/log/secure-20251101.xz", Error: "unexpected EOF"},
	}
	for i := range want {
		want[i].New, want[i].Known = counts(want[i].Logins-want[i].Outside, 0)
	}
	got, err := p.imports(p.importer(change))
	if diff := cmp.Diff(want, got); diff != "" || exitCode(err) != exitFailed { // a folder and xz are failures
		t.Errorf("%v: %s", err, diff)
	}
	all := p.remembered()
	if len(all) != 6 {
		t.Fatalf("%+v", all)
	}
	for _, e := range all {
		if e.Host != "db1.example.com" {
			t.Errorf("the worker would call the host otherwise: %+v", e)
		}
		if known := e.User == "carol"; known != (e.ASN == 15169) || known != (e.Place.Country == "US") {
			t.Errorf("%+v", e)
		}
	}
	// The second time, everything is known.
	for i := range want {
		want[i].New, want[i].Known = counts(0, want[i].Logins-want[i].Outside)
	}
	got, _ = p.imports(p.importer(change))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestImportLeavesToTheJournal: of the time for which there is a journal, nobody's
// lines in auth.log make an address known; nor do entries in sshd's name.
func TestImportLeavesToTheJournal(t *testing.T) {
	t.Parallel()
	// The journal begins on 21 November, at 02:00 UTC.
	forged := strings.ReplaceAll(journalLine("eve", "203.0.113.66"), "/usr/lib/openssh/sshd-session", "/usr/bin/logger")
	for name, row := range map[string]struct {
		journal string // what journalctl does
		want    []string
		covered int
	}{
		"a journal":              {"cat <<'END'\n" + journalLine("alice", "203.0.113.7") + forged + "END\n", []string{"203.0.113.7", "203.0.113.9"}, 1},
		"one of forgeries":       {"cat <<'END'\n" + forged + "END\n", []string{"203.0.113.9"}, 1},
		"an empty one":           {"", []string{"203.0.113.67", "203.0.113.9"}, 0},
		"one that can't be read": {"cat <<'END'\n" + journalLine("alice", "203.0.113.7") + "END\necho broken >&2; exit 1\n", []string{"203.0.113.67", "203.0.113.7", "203.0.113.9"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := remembering(t)
			p.write("var/log/auth.log", syslogLine("20", "bob", "203.0.113.9")+syslogLine("21", "eve", "203.0.113.67"))
			got, err := p.imports(p.importer(func(o *historyImport) { o.records.Journalctl = p.shell(row.journal) }))
			if err != nil || len(got) != 2 || got[1].Covered != row.covered {
				t.Fatalf("%v: %+v", err, got)
			}
			var from []string
			for _, e := range p.remembered() {
				from = append(from, e.IP.String())
			}
			slices.Sort(from)
			if diff := cmp.Diff(row.want, from); diff != "" {
				t.Error(diff)
			}
			// The file that is named is read all the same.
			got, err = p.imports(p.importer(nil), filepath.Join(p.home, "var/log/auth.log"))
			if err != nil || len(got) != 1 || got[0].Logins != 2 || got[0].Covered != 0 {
				t.Errorf("%v: %+v", err, got)
			}
		})
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	two := syslogLine("20", "alice", "203.0.113.7") + syslogLine("19", "bob", "203.0.113.8")
	for _, row := range []struct {
		name    string
		prepare func(p *place)
		change  func(o *historyImport)
		args    string
		left    int // in the memory
		code    int
		says    string // in what is printed
	}{
		{"a file", nil, nil, "FILE", 2, exitDone, `"read":2,"logins":2,"new":2,"known":0,"bad":0`},
		{"standard input", func(p *place) { p.in = two }, nil, "-", 2, exitDone, `"record":"standard input","format":"auth.log"`},
		{"the journal's output", func(p *place) { p.in = journalLine("alice", "203.0.113.7") }, nil, "-", 1, exitDone, `"format":"journal"`},
		{"records of wtmp", func(p *place) { p.in = wtmpRecord("alice", "203.0.113.7", historyNow) }, nil, "-", 1, exitDone, `"format":"wtmp"`},
		{"a form that is forced", nil, func(o *historyImport) { o.format = "wtmp" }, "FILE", 0, exitDone, `"format":"wtmp","read":1,"logins":0,"new":0,"known":0,"bad":1`},
		{"what last prints", func(p *place) { p.in = "alice pts/0 203.0.113.7 Sat Nov 21 02:15 - 02:16 (00:01)\n" }, nil, "-", 0, exitFailed, records.ErrNoForm.Error()},
		{"one of two is missing", nil, nil, "none FILE", 2, exitFailed, `"error":"no such file or directory"`},
		{"a folder", nil, nil, "spool", 0, exitFailed, "it is a folder"},
		{"only read", nil, func(o *historyImport) { o.dryRun = true }, "FILE", 0, exitDone, `"read":2,"logins":2,"bad":0`},
		{"for people", nil, func(o *historyImport) { o.json = false }, "FILE", 2, exitDone, "(auth.log): 2 read, 2 logins, 2 new, 0 known before, 0 not understood\n"},
		{"of times that are not kept", func(p *place) { p.set("[history]\nkeep = \"2d\"\nlearning = \"0s\"\n") }, nil, "FILE", 1, exitDone, `"outside":1`},
		{"of a time to come", func(p *place) { p.in = wtmpRecord("alice", "203.0.113.7", historyNow.AddDate(0, 0, 2)) }, nil, "-", 0, exitDone, `"outside":1`},
		{"of another host", func(p *place) { p.in = wtmpRecord("alice", "203.0.113.7", historyNow) }, func(o *historyImport) { o.host = "web7" }, "-", 1, exitDone, `"new":1`},
		{"a bomb", func(p *place) { p.packed("log.gz", two+strings.Repeat("\x00", 4<<20)) }, nil, "log.gz", 2, exitFailed, "it is too large"},
		{"a torn file", func(p *place) {
			p.packed("log.gz", strings.Repeat(two, 2000))
			b := p.read("log.gz")
			p.write("log.gz", b[:len(b)-20])
		}, nil, "log.gz", 2, exitFailed, "unexpected EOF"},
		{"packed twice", func(p *place) {
			p.packed("log.gz", two)
			p.packed("log.gz", p.read("log.gz"))
		}, nil, "log.gz", 2, exitDone, `"format":"auth.log"`},
		{"nothing is there", nil, nil, "", 0, exitFailed, ""},
		{"no journal", func(p *place) { p.shell("echo 'No journal files were found.' >&2; exit 1") }, nil, "", 0, exitFailed, "journalctl: No journal files were found."},
		{"no journal, but more", func(p *place) {
			p.shell("exit 1")
			p.write("var/log/auth.log", two)
		}, nil, "", 2, exitDone, "journalctl: exit status 1"},
		{"a journal that hangs", func(p *place) {
			p.shell("echo '" + strings.TrimSpace(journalLine("alice", "203.0.113.7")) + "'; exec sleep 1000")
		},
			func(o *historyImport) { o.records.Silence = 50 * time.Millisecond }, "", 1, exitFailed, "said nothing for 50ms"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := remembering(t)
			p.write("FILE", two)
			if row.prepare != nil {
				row.prepare(p)
			}
			var args []string
			for _, a := range strings.Fields(row.args) {
				if a != "-" {
					a = filepath.Join(p.home, a)
				}
				args = append(args, a)
			}
			o := p.importer(row.change)
			if path := filepath.Join(p.home, "bin/journalctl"); fileExists(path) {
				o.records.Journalctl = path
			}
			err := o.run(t.Context(), args)
			if code := exitCode(err); code != row.code {
				t.Errorf("exit %d: %v", code, err)
			}
			if !strings.Contains(p.out.String(), row.says) {
				t.Errorf("it says %q", p.out.String())
			}
			if o.dryRun {
				if fileExists(p.databaseFile()) {
					t.Error("a memory was made")
				}
				return
			}
			if !fileExists(p.databaseFile()) && row.left == 0 {
				return
			}
			all := p.remembered()
			if len(all) != row.left {
				t.Errorf("%d are remembered, want %d", len(all), row.left)
			}
			if o.host != "" && all[0].Host != o.host {
				t.Errorf("%+v", all[0])
			}
		})
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// An account's own memory is about the account.
func TestImportOfAnAccount(t *testing.T) {
	t.Parallel()
	for _, everybody := range []bool{false, true} {
		p := remembering(t)
		p.in = syslogLine("20", "alice", "203.0.113.7") + syslogLine("19", "bob", "203.0.113.8")
		o := p.importer(func(o *historyImport) { o.app.uid, o.account, o.everybody = 12345, "alice", everybody })
		if os.Getuid() == 0 { // or it is root's
			if err := os.Chown(filepath.Join(p.home, "spool"), o.app.uid, -1); err != nil {
				t.Fatal(err)
			}
		}
		got, err := p.imports(o, "-")
		want := map[bool]int{false: 1, true: 0}[everybody]
		if err != nil || len(got) != 1 || got[0].Others != want || len(p.remembered()) != 2-want {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestImportBeginsAnewWhereTheMemoryIsDamaged(t *testing.T) {
	t.Parallel()
	p := remembering(t)
	p.write("state/history.db", strings.Repeat("no database ", 100))
	p.in = syslogLine("20", "alice", "203.0.113.7")
	if _, err := p.imports(p.importer(nil), "-"); err != nil || !strings.Contains(p.err.String(), "damaged") || len(p.remembered()) != 1 {
		t.Errorf("%v, %q", err, p.err.String())
	}
}

// stuck returns a text, calls then, and never anything more.
type stuck struct {
	text io.Reader
	then func()
}

func (s *stuck) Read(p []byte) (int, error) {
	if n, _ := s.text.Read(p); n > 0 {
		return n, nil
	}
	s.then()
	select {}
}

func TestImportThatIsInterrupted(t *testing.T) {
	standin.Gate(t)
	t.Parallel()
	p := remembering(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := p.importer(func(o *historyImport) {
		o.records.In = &stuck{strings.NewReader(strings.Repeat(syslogLine("20", "alice", "203.0.113.7"), 20_000)), cancel}
	})
	err := o.run(ctx, []string{"-", "never"})
	if exitCode(err) != exitFailed || err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
	if strings.Contains(p.out.String(), "never") {
		t.Errorf("it says %q", p.out.String())
	}
	if all := p.remembered(); len(all) != 1 {
		t.Errorf("%d are remembered", len(all))
	}
}

func TestImportWithoutRights(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name          string
		named, other  bool
		failed, hints bool
	}{
		{"what was named", true, true, true, true},
		{"what is there", false, true, false, false},
		{"all that is there", false, false, false, true},
	} {
		p := remembering(t)
		o := p.importer(func(o *historyImport) { o.dryRun = true })
		all := []*records.Record{records.Failed("x", row.named, fs.ErrPermission)}
		if row.other {
			all = append(all, o.records.Open(p.t.Context(), []string{"-"}, "", time.Time{})...)
			all[1].Named = row.named
		}
		c, err := o.app.settings()
		if err != nil {
			t.Fatal(err)
		}
		_, failed, err := o.all(t.Context(), c, nil, nil, all)
		if err != nil || failed != row.failed || strings.Contains(p.err.String(), "sudo") != row.hints {
			t.Errorf("%s: %v, %v, %q", row.name, failed, err, p.err.String())
		}
	}
}
