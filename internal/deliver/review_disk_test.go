package deliver

import (
	"errors"
	"io/fs"
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

// Power failed while a line was written. The next one must not be part of it.
func TestTornLineSpoilsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		first, second := login("alice", 7, 100), login("bob", 8, 101)
		b.put(first)
		b.mustRun()
		lists, err := filepath.Glob(filepath.Join(b.state, "told-*.jsonl"))
		if err != nil || len(lists) != 1 {
			t.Fatal(lists, err)
		}
		f, err := os.OpenFile(lists[0], os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("\n" + `{"id":"0000`); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		b.put(second)
		b.mustRun()
		b.put(first, second)
		b.mustRun()
		if len(d.got) != 2 {
			t.Errorf("%d messages of two logins", len(d.got))
		}
	})
}

func TestListThatCantBeRewrittenGoesOn(t *testing.T) {
	dir := filepath.Join(quickDir(t), "state")
	now := time.Now()
	l, err := openLedger(dir, "/spool", now, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := l.add(&told{ID: event.NewID(), At: now.Add(-48 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := l.prune(now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a rewrite without a folder gives %v", err)
	}
	if err := l.add(&told{ID: event.NewID(), At: now}); err != nil {
		t.Errorf("after it nothing can be added: %v", err)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}
