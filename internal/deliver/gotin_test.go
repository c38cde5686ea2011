package deliver

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// word is what the watcher says of a login, in whole seconds, as files have them.
func word(of event.Event, change func(*event.Attack)) event.Event {
	a := &event.Attack{Note: event.Note{Severity: event.Critical}, Phase: event.PhaseSuccess, FromAddress: 30, OwnFailures: 30, Auth: event.Auth{Method: "password"}}
	if change != nil {
		change(a)
	}
	return event.Event{
		ID: event.LoginID(event.Session{Boot: "watch"}, of.ID), Kind: event.KindAttack, Time: of.Time.Truncate(time.Second), Host: of.Host,
		User: of.User, Service: "sshd", Via: event.ViaWatch, Remote: of.Remote, Attack: a,
	}
}

// TestOneLoginOneMessage: the hook and the watcher see the same login.
func TestOneLoginOneMessage(t *testing.T) {
	in := func(b *bench, es ...event.Event) { b.put(es...); b.mustRun() }
	bots := func(a *event.Attack) { a.Severity, a.FromAddress, a.OwnFailures, a.AgainstUser = event.Low, 0, 0, 4000 }
	for _, row := range []struct {
		name string
		do   func(b *bench, hook, watcher event.Event)
		bots bool     // they only try the account, whose owner is known
		want []string // the messages: kind, severity and whose ref
		// worst is what the memory knows of the login, if that teaches nothing.
		worst event.Severity
	}{
		{"both wait in the spool", func(b *bench, hook, watcher event.Event) { in(b, hook, watcher) }, false, []string{"login critical hook"}, event.Critical},
		{"the hook first, and it is told already", func(b *bench, hook, watcher event.Event) {
			in(b, hook)
			time.Sleep(3 * time.Second)
			in(b, watcher)
		}, false, []string{"login low hook", "attack critical hook"}, event.Critical},
		{"the watcher first, and it is told already", func(b *bench, hook, watcher event.Event) {
			in(b, watcher)
			time.Sleep(3 * time.Second)
			in(b, hook)
		}, false, []string{"attack critical watcher"}, event.Critical},
		{"a minute apart they are two logins", func(b *bench, hook, watcher event.Event) {
			in(b, watcher)
			time.Sleep(time.Minute)
			hook.Time = time.Now()
			in(b, hook)
		}, false, []string{"attack critical watcher", "login low hook"}, event.Low},
		{"only the watcher saw it", func(b *bench, _, watcher event.Event) { in(b, watcher) }, false, []string{"attack critical watcher"}, event.Low},
		{"only the watcher saw it, as no hook reports FTP", func(b *bench, _, watcher event.Event) {
			watcher.Service = "vsftpd"
			in(b, watcher)
		}, false, []string{"attack critical watcher"}, event.Critical},
		{"somebody else from there", func(b *bench, hook, watcher event.Event) { watcher.User = "root"; in(b, hook, watcher) }, false,
			[]string{"attack critical watcher", "login low hook"}, event.Low},
		{"bots try the account: a login as ever", func(b *bench, hook, watcher event.Event) { in(b, hook, watcher) }, true, []string{"login low hook"}, event.Low},
		{"the same, told already", func(b *bench, hook, watcher event.Event) {
			in(b, hook)
			time.Sleep(time.Second)
			in(b, watcher)
		}, true, []string{"login low hook"}, event.Low},
		{"the same, the watcher first", func(b *bench, hook, watcher event.Event) {
			in(b, watcher)
			time.Sleep(time.Second)
			in(b, hook)
		}, true, []string{"login low hook"}, event.Low},
		{"bots try the account, and only the watcher saw its owner", func(b *bench, _, watcher event.Event) { in(b, watcher) }, true, nil, event.Low},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.NotifyLogout = "none"
				b.set.Memory = newFakeMemory("alice")
				hook := login("alice", 7, 100)
				watcher := word(hook, nil)
				if row.bots {
					watcher = word(hook, bots)
				}
				row.do(b, hook, watcher)
				m := b.set.Memory.(*fakeMemory)
				if worst := max(m.worst[hook.ID], m.worst[watcher.ID]); worst != row.worst {
					t.Errorf("it is remembered as %v", worst)
				}
				var got []string
				for _, a := range d.alerts() {
					ref := slices.Concat(a.Refs, []string{a.ID})[0]
					whose := map[string]string{hook.ID: "hook", watcher.ID: "watcher"}[ref]
					got = append(got, fmt.Sprint(a.Event.Kind, " ", a.Verdict.Severity, " ", whose))
				}
				slices.Sort(got)
				slices.Sort(row.want)
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// A worker that is killed after it joined the two has both in the login's record.
func TestJoinedLoginIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second, fail: func(n int, _ event.Alert) error {
			if n == 1 {
				return again()
			}
			return nil
		}}
		b := newBench(t, d)
		hook := login("alice", 7, 100)
		b.put(hook, word(hook, nil))
		if err := b.run(Once); err != ErrWaiting {
			t.Fatal(err)
		}
		b.mustRun()
		if len(d.got) != 1 || d.got[0].Verdict.Severity != event.Critical || d.got[0].Event.Login.After == nil {
			t.Errorf("%+v", d.got)
		}
	})
}
