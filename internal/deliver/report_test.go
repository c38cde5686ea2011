package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/store"
)

// onMondays are reports at eight on Mondays, each another. The bubble begins on a
// Saturday at midnight.
func (b *bench) onMondays() *atomic.Int64 {
	b.t.Helper()
	var made atomic.Int64
	var every policy.Weekly
	if err := every.UnmarshalText([]byte("mon 08:00")); err != nil {
		b.t.Fatal(err)
	}
	b.set.Zone, b.set.Window = time.UTC, 0
	b.set.Report = Report{Every: every, Since: 7 * 24 * time.Hour, Make: func(_ context.Context, since, now time.Time) (event.Digest, []byte, error) {
		n := made.Add(1)
		return event.Digest{Of: event.KindReport, First: since, Last: now, Report: &event.Report{Sentence: fmt.Sprintf("Report %d.", n)}}, fmt.Appendf(nil, "<html>%d", n), nil
	}}
	return &made
}

// reportsAt returns when reports came, and the days that they are of.
func (d *fakeDest) reportsAt() (all []string) {
	for i, a := range d.alerts() {
		if r := a.Event.Digest; r != nil && r.Report != nil {
			all = append(all, d.at[i].UTC().Format("2 15:04")+" "+a.First.UTC().Format("2-")+a.Last.UTC().Format("2"))
		}
	}
	return all
}

const day = 24 * time.Hour

// Each comes once, at its time or as soon as a worker runs after it, and the newest alone.
func TestWhenReportsCome(t *testing.T) {
	standin.Gate(t)
	for _, row := range []struct {
		situation string
		runs      [][2]time.Duration // of a worker, from and to, since the beginning
		want      []string
	}{
		{"a worker that stays", [][2]time.Duration{{2 * day, 3 * day}, {9*day + 7*time.Hour, 10 * day}}, []string{"3 08:00 27-3", "10 08:00 3-10"}},
		{"one that is started anew every few hours", func() (all [][2]time.Duration) {
			for at := day; at < 11*day; at += 15 * time.Hour {
				all = append(all, [2]time.Duration{at, at + time.Hour})
			}
			return all
		}(), []string{"3 21:00 27-3", "10 18:00 3-10"}},
		{"away on the Monday", [][2]time.Duration{{0, time.Hour}, {4 * day, 4*day + time.Hour}}, []string{"5 00:00 27-5"}},
		{"away for a month", [][2]time.Duration{{0, time.Hour}, {32 * day, 32*day + time.Hour}}, []string{"2 00:00 24-2"}},
		{"set up on a Wednesday", [][2]time.Duration{{4 * day, 4*day + time.Hour}}, nil},
		{"set up a moment after the time", [][2]time.Duration{{2*day + 8*time.Hour + time.Second, 3 * day}}, nil},
		{"stopped within the minute", [][2]time.Duration{{0, 2*day + 8*time.Hour + 10*time.Second}, {2*day + 9*time.Hour, 3 * day}}, []string{"3 09:00 27-3"}},
	} {
		t.Run(row.situation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack"}
				b := newBench(t, d)
				b.onMondays()
				began := time.Now()
				for _, run := range row.runs {
					time.Sleep(run[0] - time.Since(began))
					stop := start(t, b.job(Follow))
					time.Sleep(run[1] - time.Since(began))
					stop()
				}
				if got := d.reportsAt(); !slices.Equal(got, row.want) {
					t.Errorf("%q, want %q", got, row.want)
				}
			})
		})
	}
}

// A worker that a timer starts, and which ends when nothing waits, makes it as well.
func TestReportWithoutAService(t *testing.T) {
	for _, mode := range []Mode{Once, UntilEmpty} {
		synctest.Test(t, func(t *testing.T) {
			d := &fakeDest{name: "slack"}
			b := newBench(t, d)
			b.onMondays()
			for range 3 * 6 {
				if err := b.run(mode); err != nil {
					t.Fatal(err)
				}
				time.Sleep(4 * time.Hour)
			}
			if got, want := d.reportsAt(), []string{"3 08:00 27-3"}; !slices.Equal(got, want) {
				t.Errorf("%v: %q, want %q", mode, got, want)
			}
		})
	}
}

// However often it is tried, and whoever does it, a report and its page stay what they
// were; once everybody has them, the page is kept no longer.
func TestReportStaysTheSame(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) {
		away := true
		d := &fakeDest{name: "mail", fail: func(int, event.Alert) error {
			if away {
				return again()
			}
			return nil
		}}
		b := newBench(t, d, &fakeDest{name: "slack"})
		made := b.onMondays()
		time.Sleep(day)
		for range 3 {
			stop := start(t, b.job(Follow))
			time.Sleep(day)
			stop()
		}
		pages := func() map[string]reportPage {
			t.Helper()
			all, err := store.LoadAll[reportPage](t.Context(), openStore(t, b.state), kindReportPage)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if n := len(pages()); n != 1 {
			t.Errorf("%d pages are kept while one waits", n)
		}
		away = false
		b.mustRun()
		got := d.alerts()
		if len(got) != 1 || string(got[0].Page) != "<html>1" || got[0].Event.Digest.Report.Sentence != "Report 1." || made.Load() != 1 {
			t.Errorf("%d came, of %d made: %+v", len(got), made.Load(), got)
		}
		if n := len(pages()); n != 0 {
			t.Errorf("%d pages are kept", n)
		}
	})
}

// A kill between each two steps makes no second one.
func TestReportIsMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		b.onMondays()
		forget := func() { // that it was made
			t.Helper()
			if err := store.Update(t.Context(), openStore(t, b.state), kindReport, spoolKey(b.spool.Dir()), func(r *reportDoc) error {
				if r.Due.IsZero() {
					return errors.New("nothing is known of reports")
				}
				r.Due = r.Due.Add(-7 * day)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		b.mustRun()
		time.Sleep(2*day + 8*time.Hour + time.Minute)
		b.mustRun()
		forget()
		b.mustRun()
		d.fail = func(int, event.Alert) error { return again() }
		time.Sleep(7 * day)
		if err := b.run(Once); !errors.Is(err, ErrWaiting) { // it is queued, and not told
			t.Fatal(err)
		}
		forget()
		if err := b.run(Once); !errors.Is(err, ErrWaiting) {
			t.Fatal(err)
		}
		d.fail = nil
		b.mustRun()
		if got, want := d.reportsAt(), 2; len(got) != want {
			t.Errorf("%q, want %d", got, want)
		}
		var ids []string
		for _, a := range d.alerts() {
			ids = append(ids, a.ID)
		}
		if len(slices.Compact(slices.Sorted(slices.Values(ids)))) != 2 {
			t.Errorf("the ids are %q", ids)
		}
	})
}

func TestReportThatCannotBeMade(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		made := b.onMondays()
		whole := b.set.Report.Make
		b.set.Report.Make = func(ctx context.Context, since, now time.Time) (event.Digest, []byte, error) {
			if made.Load() < 2 {
				made.Add(1)
				return event.Digest{}, nil, errors.New("no disk")
			}
			return whole(ctx, since, now)
		}
		stop := start(t, b.job(Follow))
		defer stop()
		time.Sleep(2*day + 9*time.Hour)
		if got, want := d.reportsAt(), []string{"3 08:20 27-3"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		if !strings.Contains(b.log.String(), "no disk") {
			t.Error("the log says nothing")
		}
	})
}

// A page that no mail server takes is not attached, which the message says.
func TestReportThatIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		b.onMondays()
		whole := b.set.Report.Make
		b.set.Report.Make = func(ctx context.Context, since, now time.Time) (event.Digest, []byte, error) {
			what, _, err := whole(ctx, since, now)
			return what, make([]byte, maxReportPage+1), err
		}
		stop := start(t, b.job(Follow))
		defer stop()
		time.Sleep(2*day + 9*time.Hour)
		if got := d.alerts(); len(got) != 1 || got[0].Page != nil || got[0].Event.Digest.Report.Oversize != maxReportPage+1 {
			t.Errorf("%+v", got)
		}
	})
}

// Those that the settings name get it, whatever else they want, and nobody else does.
func TestReportForSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mail, chat := &fakeDest{name: "mail"}, &fakeDest{name: "slack"}
		b := newBench(t, mail, chat)
		b.set.Targets[0].MinSeverity = event.High
		b.onMondays()
		whole := b.set.Report.Make
		b.set.Report.Make = func(ctx context.Context, since, now time.Time) (event.Digest, []byte, error) {
			what, html, err := whole(ctx, since, now)
			what.Report.Only = []string{"mail"}
			return what, html, err
		}
		stop := start(t, b.job(Follow))
		defer stop()
		time.Sleep(2*day + 9*time.Hour)
		if len(mail.alerts()) != 1 || len(chat.alerts()) != 0 {
			t.Errorf("%d to the one that is named, %d to the other", len(mail.alerts()), len(chat.alerts()))
		}
	})
}

// Among many events it is a message of its own, with its page.
func TestReportIsNoLineOfADigest(t *testing.T) {
	standin.Gate(t)
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		away := true
		d.fail = func(int, event.Alert) error {
			if away {
				return again()
			}
			return nil
		}
		b := newBench(t, d)
		b.onMondays()
		stop := start(t, b.job(Follow))
		defer stop()
		time.Sleep(2*day + 8*time.Hour - 5*time.Minute)
		for i := range 60 {
			b.put(login(fmt.Sprintf("user%d", i), byte(i), i))
		}
		time.Sleep(10 * time.Minute)
		away = false
		time.Sleep(day)
		if got := d.reportsAt(); len(got) != 1 {
			t.Errorf("%q", got)
		}
		rows := 0
		for _, a := range d.alerts() {
			rows += len(a.Rows)
			if a.Event.Digest != nil && string(a.Page) != "<html>1" {
				t.Errorf("its page is %q", a.Page)
			}
		}
		if rows == 0 {
			t.Error("nothing made a digest")
		}
	})
}

// Whoever turns it off and on again does not get what was due meanwhile.
func TestReportThatWasOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack"}
		b := newBench(t, d)
		b.onMondays()
		on := b.set.Report
		for i, is := range []bool{true, false, true} {
			if b.set.Report = on; !is {
				b.set.Report = Report{}
			}
			stop := start(t, b.job(Follow))
			time.Sleep(time.Hour)
			stop()
			time.Sleep([]time.Duration{day, 7 * day, 0}[i])
		}
		if got := d.reportsAt(); len(got) != 0 {
			t.Errorf("%q", got)
		}
		// Nor at another time, which was not promised before.
		b.set.Report.Every.Days[time.Sunday] = true
		stop := start(t, b.job(Follow))
		defer stop()
		time.Sleep(time.Hour)
		if got := d.reportsAt(); len(got) != 0 {
			t.Errorf("%q", got)
		}
	})
}
