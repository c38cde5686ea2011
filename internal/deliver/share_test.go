package deliver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// alertOf is what a host says of itself, as severe as it likes.
func alertOf(host, title string, s event.Severity) Record {
	return onHost(host, event.Event{ID: event.NewID(), Kind: event.KindAlert, Time: time.Now(), Via: event.ViaCLI, Alert: &event.Note{Title: title, Severity: s}})
}

// messageOf returns which message, from 0, was the first that told an event; -1: none was.
func (d *fakeDest) messageOf(id string) int {
	for i, a := range d.alerts() {
		if a.ID == id {
			return i
		}
		for _, ref := range a.Refs {
			if ref == event.Ref(id) || ref == id {
				return i
			}
		}
	}
	return -1
}

// A host may lie about how severe things are, and about how many there are: at a
// destination that takes one message every few seconds others are told of all the same.
func TestOneHostsFloodHidesNoOthers(t *testing.T) {
	standin.Gate(t)
	for _, row := range []struct {
		situation string
		pause     time.Duration // between its events
		within    int           // messages after the others' events
	}{
		{"all at once", 0, 0},
		{"for as long as it likes", time.Second, 3},
	} {
		t.Run(row.situation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "mail", pace: 5 * time.Second}
				b := newBench(t, d)
				var stop func()
				if row.pause > 0 {
					stop = start(t, b.job(Follow))
				}
				others := []Record{alertOf("web1", "disk", event.High), alertOf("web2", "update", event.Low)}
				before := 0
				for i := range 400 {
					b.hand(alertOf("liar", fmt.Sprint("fire ", i), event.Critical))
					if time.Sleep(row.pause); i == 200 {
						b.hand(others...)
						before = len(d.alerts())
					}
				}
				if stop == nil {
					stop = start(t, b.job(Follow))
				}
				time.Sleep(20 * time.Minute)
				stop()
				for _, r := range others {
					if n := d.messageOf(r.Event.ID); n < 0 || n-before > row.within {
						t.Errorf("%s of %s was in message %d of %d, %d of them before it came", r.Event.Alert.Title, r.From, n, len(d.alerts()), before)
					}
				}
			})
		})
	}
}

// Half of a day's messages are one host's at most, and what is over that waits for
// tomorrow.
func TestOneHostDoesNotUseUpTheBudget(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "phone", pace: time.Second, perDay: 10}
		b := newBench(t, d)
		b.set.Zone = time.UTC
		stop := start(t, b.job(Follow))
		for i := range 20 {
			b.hand(alertOf("liar", fmt.Sprint("fire ", i), event.Critical))
			time.Sleep(time.Minute)
		}
		high, low := alertOf("web1", "disk", event.Critical), alertOf("web2", "update", event.Low)
		b.hand(high, low)
		time.Sleep(20 * time.Minute)
		today := d.alerts()
		if d.messageOf(high.Event.ID) < 0 || d.messageOf(low.Event.ID) < 0 {
			t.Error("another host's events were not told")
		}
		liars := 0
		for _, a := range today {
			if a.Event.Host == "liar" {
				liars++
			}
		}
		if liars != 5 {
			t.Errorf("%d of the day's 10 messages were the liar's", liars)
		}
		time.Sleep(24 * time.Hour)
		stop()
		if n := len(d.alerts()) - len(today); n < 1 || n > 3 {
			t.Errorf("%d messages the next day", n)
		}
	})
}
