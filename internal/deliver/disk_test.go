package deliver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/spool"
)

// What can't be claimed (here, the overflow is not a folder) is no reason not
// to tell the rest.
func TestOneBadFolderStopsNoOtherEvents(t *testing.T) {
	for _, m := range []Mode{UntilEmpty, Once} {
		synctest.Test(t, func(t *testing.T) {
			d := &fakeDest{name: "slack"}
			b := newBench(t, d)
			over := filepath.Join(filepath.Dir(b.dir), "overflow")
			if err := os.WriteFile(over, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			b.spool = spool.Open(spool.Options{Dir: b.dir, UID: os.Getuid(), Overflow: over})
			b.put(login("alice", 7, 100))
			if err := b.run(m); err == nil {
				t.Errorf("mode %d: nothing was said of the bad folder", m)
			}
			if len(d.got) != 1 {
				t.Errorf("mode %d: %d messages", m, len(d.got))
			}
		})
	}
}

func TestUnwritableStateFolderStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		if err := os.WriteFile(b.state, nil, 0o600); err != nil { // no folder
			t.Fatal(err)
		}
		in := login("alice", 7, 100)
		b.set.NotifyLogout = "all"
		b.put(in)
		stop := start(t, b.job(Follow))
		time.Sleep(time.Minute)
		b.put(logout(in))
		time.Sleep(time.Minute)
		stop()
		if len(d.got) != 2 || d.got[1].LoginID != in.ID {
			t.Errorf("%d messages, want the login's and its logout's", len(d.got))
		}
		if len(b.said()) != 1 || !strings.Contains(b.said()[0], "state") {
			t.Errorf("said out loud: %q", b.said())
		}
	})
}

// A database that can't be written to keeps nothing from being delivered, and
// gets what it missed when it can.
func TestDatabaseThatCantBeWrittenIsWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(quickDir(t), "state")
		db := openStore(t, dir)
		l, err := openDeliveryLog(db, "/spool", time.Now(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil { // which it must not be used in
			t.Fatal(err)
		}
		db.Close()
		for range 200 {
			if err := l.add(&Delivered{ID: event.NewID(), At: time.Now()}); err == nil {
				t.Fatal("it was written to")
			}
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := l.add(&Delivered{ID: event.NewID(), At: time.Now()}); !errors.Is(err, errDatabaseRests) {
			t.Errorf("it is not left alone: %v", err)
		}
		time.Sleep(databaseRest)
		if err := l.flush(); err != nil {
			t.Error(err)
		}
		if all, err := ReadDelivered(t.Context(), db, "/spool", time.Time{}); len(all) != 201 || err != nil {
			t.Errorf("%d of 201 are recorded: %v", len(all), err)
		}
	})
}
