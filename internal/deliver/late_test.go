package deliver

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	wording "github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/policy"
)

// attentive is a memory that notes what it is told of each user's login.
type attentive struct {
	*fakeMemory
	told map[string]policy.Telling
}

func (m attentive) Remember(e event.Event, f event.Facts, v event.Verdict, t policy.Telling) error {
	m.told[e.User] = t
	return m.fakeMemory.Remember(e, f, v, t)
}

// What another host hands over more than a day late is told as late, and teaches
// nothing: else a host could make up in a minute what takes days.
func TestWhatComesLateTeachesNothing(t *testing.T) {
	for _, row := range []struct {
		situation string
		user      string
		host      string // empty: this one
		age       time.Duration
		late      bool
		teaches   bool
		word      string // in the message
	}{
		{"at once", "fresh", "web1", time.Second, false, true, ""},
		{"by a host that was cut off for the night", "night", "web1", 23*time.Hour + 59*time.Minute, false, true, "told 24 h late"},
		{"by a host that was cut off for a day", "day", "web1", 24*time.Hour + time.Minute, true, false, "told 24 h late"},
		{"by a host that was cut off for a week", "week", "web1", 7 * 24 * time.Hour, true, false, "told 7 days late"},
		{"out of the own spool, which nobody else writes", "own", "", 7 * 24 * time.Hour, false, true, "told 7 days late"},
	} {
		t.Run(row.situation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(10 * 24 * time.Hour) // so that nothing happened before the clock began
				d, m := &fakeDest{name: "file"}, attentive{newFakeMemory(), map[string]policy.Telling{}}
				b := newBench(t, d)
				b.set.Memory = m
				e := login(row.user, 7, 100)
				e.Time = time.Now().Add(-row.age)
				if row.host == "" {
					b.put(e)
				} else {
					b.hand(onHost(row.host, e))
				}
				b.mustRun()
				if got, ok := m.told[row.user]; !ok || got.Late != row.late || got.Teaches != row.teaches {
					t.Errorf("the memory is told %+v", got)
				}
				all := d.alerts()
				if len(all) != 1 {
					t.Fatalf("%d messages", len(all))
				}
				said := ""
				for _, s := range wording.New(all[0]).Footer.Tail {
					said += s.Text
				}
				if row.word != "" && said != " · "+row.word || row.word == "" && said != "" {
					t.Errorf("the message says %q, want %q", said, row.word)
				}
			})
		})
	}
}
