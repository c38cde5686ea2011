package deliver

import (
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/figures"
	"github.com/sshnotify/sshnotify/internal/heartbeat"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/store"
)

// switchboard is a made-up dead man's switch.
type switchboard struct {
	mu     sync.Mutex
	status int // 0: it answers nothing
	got    []string
}

func (s *switchboard) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.got = append(s.got, time.Now().UTC().Format("15:04:05 ")+r.URL.Path)
	status := s.status
	s.mu.Unlock()
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("")), Header: http.Header{}}, nil
}

func (s *switchboard) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

// beating makes a bench's worker send heartbeats, every five minutes.
func (b *bench) beating(s *switchboard) (j Job) {
	b.set.Heartbeat = heartbeat.New(heartbeat.Settings{URL: outbound.NewSecret("https://hc.example.com/uuid"), Protocol: heartbeat.Healthchecks, Every: 5 * time.Minute},
		outbound.New(outbound.Options{Transport: s}))
	j = b.job(Follow)
	j.Figures = figures.NewRecorder(b.state, "", "1")
	return j
}

func titles(d *fakeDest) (all []string) {
	for _, a := range d.alerts() {
		all = append(all, a.Event.Alert.Title)
	}
	return all
}

// A beat comes at the start and every five minutes, and says by its URL whether
// something is wrong.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &fakeDest{name: "slack"}, &switchboard{status: 200}
		d.fail = func(n int, _ alert) error {
			if n == 1 {
				return bug()
			}
			return nil
		}
		b := newBench(t, d)
		stop := start(t, b.beating(s))
		time.Sleep(6 * time.Minute)
		b.put(login("alice", 1, 1)) // becomes a dead letter
		time.Sleep(5 * time.Minute)
		stop()
		if want := []string{"00:00:00 /uuid", "00:05:00 /uuid", "00:10:00 /uuid/fail"}; !slices.Equal(s.got, want) {
			t.Errorf("%q", s.got)
		}
		f, err := figures.Read(b.state)
		if err != nil || f.Beat == nil || !f.Beat.Failing.IsZero() || f.Beat.Last.UTC().Format("15:04") != "00:10" {
			t.Errorf("%+v %v", f.Beat, err)
		}
	})
}

// What does not arrive is said once, at once where nothing else can be expected,
// and that it arrives again.
func TestLostHeartbeats(t *testing.T) {
	for _, row := range []struct {
		situation string
		status    int
		said      int // how many beats until then
	}{
		{"the check was deleted", 404, 1},
		{"the service is out of order", 503, 3},
		{"no answer", 0, 3},
	} {
		t.Run(row.situation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, s := &fakeDest{name: "slack"}, &switchboard{status: row.status}
				b := newBench(t, d)
				b.set.Window = 0
				j := b.beating(s)
				stop := start(t, j)
				time.Sleep(time.Duration(row.said)*5*time.Minute - 10*time.Second)
				synctest.Wait()
				if got := titles(d); len(got) != 1 {
					t.Errorf("after %d beats: %q", row.said, got)
				}
				time.Sleep(time.Hour)
				stop()
				// Another worker goes on, and says it no second time.
				stop = start(t, b.beating(s))
				time.Sleep(time.Hour)
				synctest.Wait()
				f, _ := figures.Read(b.state)
				if f.Beat == nil || f.Beat.Failing.IsZero() {
					t.Errorf("%+v", f.Beat)
				}
				s.answer(200)
				time.Sleep(6 * time.Minute)
				stop()
				if got, want := titles(d), []string{"sshnotify's heartbeat does not arrive", "sshnotify's heartbeat arrives again"}; !slices.Equal(got, want) {
					t.Errorf("%q", got)
				}
				if got := b.said(); len(got) != 1 || strings.Contains(got[0], "uuid") {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// A failure or two are nothing to tell.
func TestABeatMayFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &fakeDest{name: "slack"}, &switchboard{status: 503}
		b := newBench(t, d)
		stop := start(t, b.beating(s))
		time.Sleep(9 * time.Minute)
		s.answer(200)
		time.Sleep(5 * time.Minute)
		stop()
		if got := titles(d); len(got) > 0 {
			t.Errorf("%q", got)
		}
	})
}

// A worker that is to stop or to load its settings does not wait for a beat, and
// leaves none behind: the bubble would not end.
func TestABeatHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &fakeDest{name: "slack"}, &switchboard{}
		b := newBench(t, d)
		j := b.beating(s)
		reload := make(chan struct{}, 1)
		j.Reload = reload
		stop := start(t, j)
		time.Sleep(time.Second)
		began := time.Now()
		reload <- struct{}{}
		synctest.Wait()
		stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if len(s.got) != 1 {
			t.Errorf("%q: a reload must not ping at once again", s.got)
		}
	})
}

// A message a day, or on Mondays, says how it is; the first day has none, because
// there is nothing to compare with.
func TestAllWell(t *testing.T) {
	for _, row := range []struct {
		every string
		want  []string
	}{
		// The bubble begins on a Saturday at midnight, and lasts ten days.
		{heartbeat.Daily, []string{"Sat 08:00", "Sun 08:00", "Mon 08:00", "Tue 08:00", "Wed 08:00", "Thu 08:00", "Fri 08:00", "Sat 08:00", "Sun 08:00", "Mon 08:00"}},
		{heartbeat.Weekly, []string{"Mon 08:00", "Mon 08:00"}},
		{heartbeat.None, nil},
	} {
		t.Run(row.every, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				named, other := &fakeDest{name: "slack"}, &fakeDest{name: "mail"}
				b := newBench(t, named, other)
				b.set.Zone, b.set.DigestAt, b.set.AllWell = time.UTC, 8*time.Hour, AllWell{Every: row.every, Only: []string{"slack"}}
				for day := range 10 { // a worker each day, from a minute before
					time.Sleep(8*time.Hour - time.Minute)
					if day == 1 {
						b.put(login("alice", 1, 1))
					}
					j := b.job(Follow)
					j.Figures = figures.NewRecorder(b.state, "", "1")
					stop := start(t, j)
					time.Sleep(2 * time.Minute)
					stop()
					time.Sleep(16*time.Hour - time.Minute)
				}
				var got []string
				for i, a := range named.alerts() {
					if a.Event.Alert == nil {
						continue // alice
					}
					got = append(got, named.at[i].UTC().Format("Mon 15:04"))
					if n := a.Event.Alert; n.Title != "sshnotify is well" || !strings.Contains(n.Text, "if it does not come, look at the host") {
						t.Errorf("%+v", n)
					}
				}
				if !slices.Equal(got, row.want) {
					t.Errorf("%q", got)
				}
				if len(other.alerts()) != 1 { // alice
					t.Errorf("%d to the other one", len(other.alerts()))
				}
				if row.every == heartbeat.Daily {
					texts := map[bool]int{}
					for _, a := range named.alerts() {
						if n := a.Event.Alert; n != nil {
							texts[strings.Contains(n.Text, ": 1 login, ")]++
						}
					}
					if texts[true] != 1 {
						t.Errorf("the login is counted in %d messages", texts[true])
					}
				}
			})
		})
	}
}

// What the doctor says of heartbeats, without a secret and with what to do.
func TestHeartbeatCheck(t *testing.T) {
	says := func(t *testing.T, b *bench) doctor.Result {
		check := HeartbeatCheck(filepath.Join(b.state, store.FileName), b.state, "start it")
		return doctor.Run(t.Context(), doctor.Target{Settings: true, Now: time.Now()}, []doctor.Check{check}).Results[0]
	}
	for _, row := range []struct {
		situation string
		status    int // 0: no beat is sent
		state     doctor.State
		want      string
		hint      string
	}{
		{"none is sent", 0, doctor.Warn, "none has been sent", "start it"},
		{"they arrive", 200, doctor.OK, "the last one arrived ", ""},
		{"the check was deleted", 404, doctor.Warn, "the check is not there (HTTP 404); none has ever arrived", "make the check anew, or put"},
	} {
		t.Run(row.situation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, &fakeDest{name: "slack"})
				if row.status != 0 {
					stop := start(t, b.beating(&switchboard{status: row.status}))
					time.Sleep(time.Minute)
					stop()
				}
				if got := says(t, b); got.State != row.state || !strings.Contains(got.Message, row.want) || !strings.HasPrefix(got.Hint, row.hint) || strings.Contains(got.Message, "uuid") {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}
