package cmd

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/store"
)

// Where logins were told before, an upgrade writes what held; nowhere else.
func TestConfigUpgrade(t *testing.T) {
	begin := func(p *place) { // the worker of this version
		db, err := store.Open(p.databaseFile(), store.Options{})
		if err != nil {
			p.t.Fatal(err)
		}
		defer db.Close()
		c, err := config.Load(filepath.Join(p.home, "config.toml"))
		if err != nil {
			p.t.Fatal(err)
		}
		if _, err := toldBefore(db, c, true); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, row := range []struct {
		name  string
		host  func(*place)
		exit  int
		wrote bool
	}{
		{"nothing ran yet", func(*place) {}, exitDone, false},
		{"a new host, which told logins", func(p *place) { begin(p); p.remember(pastLogins()...) }, exitDone, false},
		{"logins that were imported only", func(p *place) {
			all := pastLogins()
			for i := range all {
				all[i].Source = history.SourceWtmp
			}
			p.remember(all...)
		}, exitDone, false},
		{"an older worker's logins", func(p *place) { p.remember(pastLogins()...) }, exitDone, true},
		{"and the new worker has begun", func(p *place) { p.remember(pastLogins()...); begin(p) }, exitDone, true},
		{"and the settings say it", func(p *place) {
			p.remember(pastLogins()...)
			p.set("notify = \"auto\"\n[login]\nnotify_logout = \"none\"")
		}, exitDone, false},
		{"and said it once", func(p *place) {
			p.remember(pastLogins()...)
			p.set("notify = \"auto\"\n[login]\nnotify_logout = \"none\"")
			begin(p)
			p.set("")
		}, exitDone, false},
		{"the first version's database", func(p *place) {
			script, err := os.ReadFile("../internal/store/testdata/version1.sql")
			if err != nil {
				p.t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(p.databaseFile()), 0o700); err != nil {
				p.t.Fatal(err)
			}
			db, err := sql.Open("sqlite", p.databaseFile())
			if err != nil {
				p.t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(string(script)); err != nil {
				p.t.Fatal(err)
			}
		}, exitDone, true},
		{"a database that can't be read", func(p *place) {
			p.remember(pastLogins()...)
			if err := os.WriteFile(p.databaseFile(), []byte("no database"), 0o600); err != nil {
				p.t.Fatal(err)
			}
		}, exitFailed, false},
		{"settings that are wrong", func(p *place) { p.remember(pastLogins()...); p.set("notify = \"some\"") }, exitSettings, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := remembering(t)
			row.host(p)
			file := filepath.Join(p.home, "upgraded.toml")
			p.runs(row.exit, "config", "upgrade")
			before, err := os.ReadFile(file)
			if wrote := err == nil; wrote != row.wrote {
				t.Fatalf("wrote it: %v; it says %s%s", wrote, p.out.String(), p.err.String())
			}
			if row.exit != exitDone {
				return
			}
			p.out.Reset()
			p.runs(exitDone, "config", "upgrade")
			if after, _ := os.ReadFile(file); string(after) != string(before) || !strings.HasPrefix(p.out.String(), "nothing to do: ") {
				t.Errorf("the second time: %s", p.out.String())
			}
		})
	}
}
