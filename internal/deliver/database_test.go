package deliver

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// Whatever is wrong with the database, every login is delivered, at worst twice
// with one id; and once it is well again, nothing is delivered any more.
func TestDatabaseInTroubleStopsNothing(t *testing.T) {
	for name, trouble := range map[string]func(t *testing.T, path string) (end func()){
		"locked by another process": func(t *testing.T, path string) func() {
			db, err := sql.Open("sqlite", "file:"+path)
			if err != nil {
				t.Fatal(err)
			}
			c, err := db.Conn(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range []string{"PRAGMA locking_mode = exclusive", "PRAGMA journal_mode = delete", "BEGIN EXCLUSIVE"} {
				if _, err := c.ExecContext(context.Background(), q); err != nil {
					t.Fatal(err)
				}
			}
			return func() { c.Close(); db.Close() }
		},
		"damaged": func(t *testing.T, path string) func() {
			if err := os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
			return func() {}
		},
		"a newer sshnotify's": func(t *testing.T, path string) func() {
			set := func(version string) {
				db, err := sql.Open("sqlite", "file:"+path)
				if err == nil {
					_, err = db.Exec("PRAGMA user_version = " + version)
					db.Close()
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			set("99")
			return func() { set(strconv.Itoa(store.Version)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.hasty = true
				first, second := login("alice", 7, 100), login("bob", 8, 101)
				b.put(first)
				b.mustRun()
				end := trouble(t, filepath.Join(b.state, store.FileName))
				b.put(second, first)
				b.mustRun()
				end()
				time.Sleep(time.Minute)
				alarms := len(b.said())
				b.put(second, first)
				b.mustRun()
				b.put(second, first)
				b.mustRun()
				ids := map[string]int{}
				for _, a := range d.alerts() {
					ids[a.ID]++
				}
				if ids[first.ID] < 1 || ids[first.ID] > 2 || ids[second.ID] < 1 || ids[second.ID] > 2 {
					t.Errorf("delivered: %v", ids)
				}
				if alarms == 0 || len(b.said()) != alarms {
					t.Errorf("said: %q", b.said())
				}
			})
		})
	}
}
