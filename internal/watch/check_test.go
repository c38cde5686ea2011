package watch

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

// standing writes how a source stands where the source of that name keeps it:
// one that reads a line shows where.
func standing(t *testing.T, dir, name string, st source.Status) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("a line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := source.OpenFile(source.Options{Name: name, Path: log, StateDir: dir, FromStart: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := src.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(src.Commit(b), src.Close()); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(dir, "source-*.json"))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	data, err := json.Marshal(map[string]any{"v": 1, "position": struct{}{}, "status": st})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(all[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCheckOfSources(t *testing.T) {
	now := time.Now()
	well := source.Status{Kind: "file", There: true, Readable: true, Lines: 1000, LastLine: now.Add(-time.Minute), Saved: now.Add(-time.Minute)}
	with := func(change func(*source.Status)) *source.Status { st := well; change(&st); return &st }
	file, pipe, journal := source.Named{Name: "auth", Type: source.FileType, Settings: new(source.File)}, source.Named{Name: "snort", Type: source.PipeType, Settings: new(source.Pipe)}, source.Named{Name: "journal", Type: source.JournalType, Settings: new(source.Journal)}
	ofPipe := func(change func(*source.Status)) *source.Status {
		return with(func(st *source.Status) { st.Kind = "pipe"; change(st) })
	}
	ofJournal := func(change func(*source.Status)) *source.Status {
		return with(func(st *source.Status) { st.Kind = "journal"; change(st) })
	}
	nothing := func(*source.Status) {}
	for name, c := range map[string]struct {
		of    source.Named
		st    *source.Status // nil: it never ran
		size  int            // of the file; below 0: it is not there
		stat  Stat
		state doctor.State
		text  string
		hint  string
	}{
		"all is well":                        {file, &well, 0, Stat{Lines: 5, LastTime: time.Date(2026, 11, 20, 2, 10, 0, 0, time.UTC)}, doctor.OK, "1000 lines, the last read ", ""},
		"the last understood":                {file, &well, 0, Stat{Lines: 5, LastTime: time.Date(2026, 11, 20, 2, 10, 0, 0, time.UTC)}, doctor.OK, "understood is of 2026-11-20 02:10:00", ""},
		"nobody watches":                     {file, nil, 0, Stat{}, doctor.Warn, "nobody has watched it yet", "sshnotify watch"},
		"the file is gone":                   {file, &well, -1, Stat{}, doctor.Fail, "not there", "ls -l "},
		"it can't be read":                   {file, with(func(st *source.Status) { st.Err = "permission denied" }), 0, Stat{}, doctor.Fail, "permission denied", "ls -l "},
		"it is root's alone":                 {file, with(func(st *source.Status) { st.Err, st.Denied = "permission denied", true }), 0, Stat{}, doctor.Fail, "permission denied", "sudo setfacl -m u:"},
		"no line yet":                        {file, with(func(st *source.Status) { st.Lines = 0 }), 0, Stat{}, doctor.Warn, "no line has come yet", "ls -l "},
		"nobody understands":                 {file, &well, 0, Stat{Lines: 1000, Unknown: 1000}, doctor.Warn, "1000 lines, of which none was understood", `sshnotify watch --explain "$(tail -n 1 `},
		"few lines, that nobody understands": {file, with(func(st *source.Status) { st.Lines = 5 }), 0, Stat{Lines: 5, Unknown: 5}, doctor.OK, "5 lines", ""},
		"attempts without address":           {file, &well, 0, Stat{Lines: 1000, OnlyName: 8}, doctor.Warn, "8 attempts had only a name", "sshd -T"},
		"lines that nobody can read":         {file, &well, 0, Stat{Lines: 1000, Unread: parse.Unread{ByForm: map[string]int64{"sshd: New #": 7, "sshd: Newer": 9}}}, doctor.OK, `16 of known daemons were not, such as "sshd: Newer" ×9, "sshd: New #" ×7`, ""},
		"lines that may be forged":           {file, &well, 0, Stat{Lines: 1000, Ambiguous: 3, LastTime: time.Date(2026, 11, 20, 2, 10, 0, 0, time.UTC)}, doctor.OK, "3 were ambiguous (could be forged)", ""},
		"far behind":                         {file, &well, farBehind + 1, Stat{}, doctor.Warn, "64 MiB of it are not read yet", "systemctl status"},
		"a line that is not complete":        {file, with(func(st *source.Status) { st.Saved = now.Add(-time.Hour) }), 100, Stat{}, doctor.OK, "1000 lines", ""},
		"it is being read":                   {file, &well, 100_000, Stat{}, doctor.OK, "1000 lines", ""},
		"the watcher is dead":                {file, with(func(st *source.Status) { st.Saved = now.Add(-time.Hour) }), 100_000, Stat{}, doctor.Warn, "97 KiB of it are not read", "sshnotify watch"},

		"a pipe is well":            {pipe, ofPipe(nothing), 0, Stat{}, doctor.OK, "1000 lines", ""},
		"nothing wrote to the pipe": {pipe, ofPipe(func(st *source.Status) { st.Lines = 0 }), 0, Stat{}, doctor.Warn, "nothing was ever written to it", "ls -l "},
		"the pipe was renamed":      {pipe, ofPipe(func(st *source.Status) { st.There, st.Err = false, "is not a named pipe" }), 0, Stat{}, doctor.Fail, "is not a named pipe", "ls -l "},
		"lines were dropped": {pipe, ofPipe(func(st *source.Status) {
			st.Dropped, st.Err = 12, "lines came faster than they were taken, and were dropped"
		}),
			0, Stat{}, doctor.Warn, "12 lines came faster", "systemctl status"},

		"the journal is well":            {journal, ofJournal(nothing), 0, Stat{}, doctor.OK, "the journal: 1000 lines", ""},
		"the journal can't be read":      {journal, ofJournal(func(st *source.Status) { st.Err = "no journal files were opened" }), 0, Stat{}, doctor.Fail, "no journal files", "journalctl -n 5"},
		"nobody understands the journal": {journal, ofJournal(nothing), 0, Stat{Lines: 1000, Unknown: 1000}, doctor.Warn, "none was understood", `"$(journalctl -n 1 -o cat)"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, path := t.TempDir(), ""
			if c.of.Type != source.JournalType {
				path = filepath.Join(dir, "a log")
				c.of.Settings = &source.File{Path: path}
				if c.size >= 0 {
					if err := os.WriteFile(path, nil, 0o600); err != nil {
						t.Fatal(err)
					}
					if err := os.Truncate(path, int64(c.size)); err != nil {
						t.Fatal(err)
					}
				}
			}
			states := filepath.Join(dir, "sources")
			if c.st != nil {
				st := *c.st
				st.Name, st.Path = c.of.Name, path
				standing(t, states, c.of.Name, st)
			}
			r := &doctor.Report{Target: doctor.Target{Now: now}}
			checkSource(r, c.of, states, c.stat, nil)
			if len(r.Results) != 1 {
				t.Fatalf("%+v", r.Results)
			}
			got := r.Results[0]
			if got.State != c.state || got.Name != "source "+c.of.Name || !strings.Contains(got.Message, c.text) || !strings.Contains(got.Hint, c.hint) || (got.Hint == "") != (c.hint == "") {
				t.Errorf("%+v", got)
			}
			if strings.Contains(got.Hint, "a log") && !strings.Contains(got.Hint, "a log'") {
				t.Errorf("a hint that can't be pasted: %s", got.Hint)
			}
		})
	}
}

// TestCheckOfForgery: who can forge a source's lines, and who has tried.
func TestCheckOfForgery(t *testing.T) {
	now := time.Now()
	journal := source.Named{Name: "journal", Type: source.JournalType, Settings: new(source.Journal)}
	file := func(path string) source.Named {
		return source.Named{Name: "log", Type: source.FileType, Settings: &source.File{Path: path}}
	}
	forged := Stat{Forged: 12, ForgedAt: now.Add(-time.Hour), ForgedBy: Forger{UID: "1000", Exe: "/usr/bin/logger", Daemon: "sshd"}}
	old := forged
	old.ForgedAt = now.Add(-8 * 24 * time.Hour)
	for name, row := range map[string]struct {
		of      source.Named
		stat    Stat
		journal bool
		state   doctor.State
		text    string // none: nothing is said
		hint    string
	}{
		"somebody has tried":            {journal, forged, true, doctor.Warn, "12 entries bear a daemon's name, nothing shows that it wrote them", "journalctl -o verbose _UID=1000"},
		"and it is known who":           {journal, forged, true, doctor.Warn, "uid 1000 with /usr/bin/logger as sshd", "journalctl"},
		"long ago":                      {journal, old, true, "", "", ""},
		"nobody has":                    {journal, Stat{}, true, "", "", ""},
		"auth.log beside a journal":     {file("/var/log/auth.log"), Stat{}, true, doctor.Warn, "logger(1)", "[source.journal]"},
		"secure without a journal":      {file("/var/log/secure"), Stat{}, false, doctor.OK, "logger(1)", ""},
		"sshd's lines in another file":  {file("/srv/log/x"), Stat{Parsed: map[string]int64{"sshd": 1}}, true, doctor.Warn, "logger(1)", "[source.journal]"},
		"vsftpd's own file":             {file("/var/log/vsftpd.log"), Stat{Parsed: map[string]int64{"vsftpd": 1}}, true, "", "", ""},
		"a pipe, which has its writers": {source.Named{Name: "p", Type: source.PipeType, Settings: &source.Pipe{Path: "/run/auth.log"}}, Stat{}, true, "", "", ""},
	} {
		r := &doctor.Report{Target: doctor.Target{Now: now}}
		checkForgery(r, row.of, row.stat, row.journal)
		if row.text == "" {
			if len(r.Results) != 0 {
				t.Errorf("%s: %+v", name, r.Results)
			}
			continue
		}
		if len(r.Results) != 1 || r.Results[0].State != row.state || !strings.Contains(r.Results[0].Message, row.text) || !strings.Contains(r.Results[0].Hint, row.hint) {
			t.Errorf("%s: %+v", name, r.Results)
		}
	}
}

// Of the logs that are usual, doctor speaks of those that are there.
func TestCheckOfUsualSources(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "vsftpd.log")
	usual := []source.Named{
		{Name: "vsftpd.log", Type: source.FileType, Settings: &source.File{Path: log}, Usual: true},
		{Name: "auth.log", Type: source.FileType, Settings: &source.File{Path: filepath.Join(dir, "none", "auth.log")}, Usual: true},
	}
	check := func(want ...string) {
		t.Helper()
		r := &doctor.Report{Target: doctor.Target{Now: time.Now(), Host: true}}
		Check(dir, usual, false, nil).Run(t.Context(), r)
		var got []string
		for _, f := range r.Results {
			got = append(got, f.Name+": "+f.Message)
		}
		if len(got) != len(want) {
			t.Fatalf("%q, want %q", got, want)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%q, want %q", got[i], want[i])
			}
		}
	}
	check("sources: no journal, and none of the usual logs is here")
	src, err := source.OpenAll(usual, source.Options{StateDir: filepath.Join(dir, "sources")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, []byte("Fri Nov 27 10:00:00 2026 [pid 2] CONNECT: Client \"203.0.113.7\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := src[0].Read(t.Context())
	if err == nil {
		err = src[0].Commit(b)
	}
	for _, s := range src {
		if cerr := s.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	check("source vsftpd.log: " + log + ": 1 lines")
}

// Of a log that the watcher's service was kept from reading, what owners and modes say
// comes first: it names what opens the log.
func TestCheckOfAClosedLog(t *testing.T) {
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "vsftpd.log")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	standing(t, dir, "ftp", source.Status{Name: "ftp", Kind: "file", Path: log, Denied: true, Err: "permission denied"})
	ftp := source.Named{Name: "ftp", Type: source.FileType, Settings: &source.File{Path: log}}
	for _, row := range []struct{ problem, hint, text, do string }{
		{log + ": closed", "chgrp adm", log + ": closed", "chgrp adm"},
		{"", "", log + ": permission denied", "ls -l " + log},
	} {
		r := &doctor.Report{Target: doctor.Target{Now: time.Now(), Host: true}}
		checkSource(r, ftp, dir, Stat{}, func(name string) (string, string) {
			if name != log {
				t.Errorf("asked for %s", name)
			}
			return row.problem, row.hint
		})
		if len(r.Results) != 1 || r.Results[0].State != doctor.Fail || r.Results[0].Message != row.text || r.Results[0].Hint != row.do {
			t.Errorf("%+v, want %+v", r.Results, row)
		}
	}
}
