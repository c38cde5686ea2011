package figures

import (
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

func TestRanges(t *testing.T) {
	for _, row := range []struct {
		text   string
		alerts []float64
		well   []float64
	}{
		{"10", []float64{-1, 10.5}, []float64{0, 10}},
		{"10:", []float64{9.9, -5}, []float64{10, 1e9}},
		{"~:10", []float64{11}, []float64{10, -1e9}},
		{"10:20", []float64{9, 21}, []float64{10, 20}},
		{"@10:20", []float64{10, 15, 20}, []float64{9.9, 21}},
		{"0", []float64{1}, []float64{0}},
		{"1.5", []float64{2}, []float64{1.5}},
	} {
		r, err := ParseRange(row.text)
		if err != nil {
			t.Errorf("%s: %v", row.text, err)
		}
		for _, v := range row.alerts {
			if !r.Alerts(v) {
				t.Errorf("%s does not alert %v", row.text, v)
			}
		}
		for _, v := range row.well {
			if r.Alerts(v) {
				t.Errorf("%s alerts %v", row.text, v)
			}
		}
	}
	for _, bad := range []string{"", "x", "20:10", "1,5", "@", "1:2:3", "NaN", "Inf", "0x10", "1e3", "5s"} {
		if _, err := ParseRange(bad); err == nil {
			t.Errorf("%q is taken for a range", bad)
		}
	}
}

func TestVerdicts(t *testing.T) {
	now := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	well := func() Figures {
		return Figures{
			Written: now.Add(-10 * time.Second), Follow: now.Add(-10 * time.Second),
			Dest:   map[string]Destination{"slack": {Outcomes: map[string]int64{Sent: 12, "again": 2}, Last: now.Add(-3 * time.Minute)}},
			Recent: []Minute{{now.Add(-2 * time.Hour).Unix(), 7}, {now.Add(-10 * time.Minute).Unix(), 2}},
		}
	}
	watch := func() *Watch {
		return &Watch{Written: now.Add(-20 * time.Second), Attackers: 4, Sources: map[string]Source{"journal": {Lines: 9, Last: now.Add(-time.Minute)}}}
	}
	for _, row := range []struct {
		situation string
		change    func(*Figures, *Watch)
		warn      string
		crit      string
		status    Status
		want      string
	}{
		{"all is well", func(*Figures, *Watch) {}, "", "", OK,
			"SSHNOTIFY OK: nothing waits, slack 3 min ago | waiting=0;100;1000;0 retry=0;;;0 oldest=0s;600;3600;0 dead=0;0;;0 logins_1h=2;;;0 attackers_1h=4;;;0 silence=60s;86400;;0 sent_slack=12c failed_slack=2c"},
		{"some wait, which is usual", func(f *Figures, _ *Watch) { f.Queue.Waiting = 3 }, "", "", OK, "SSHNOTIFY OK: 3 waiting, slack 3 min ago | waiting=3;"},
		{"a backlog", func(f *Figures, _ *Watch) { f.Queue.Waiting = 101 }, "", "", Warning, "SSHNOTIFY WARNING: 101 waiting |"},
		{"as many as are allowed", func(f *Figures, _ *Watch) { f.Queue.Waiting = 100 }, "", "", OK, "SSHNOTIFY OK: 100 waiting,"},
		{"one is too old", func(f *Figures, _ *Watch) {
			f.Queue.Waiting, f.Queue.Retry, f.Queue.Oldest = 1, 1, now.Add(-2*time.Hour)
		}, "", "", Critical, "SSHNOTIFY CRITICAL: the oldest has waited for 2 h | waiting=1;100;1000;0 retry=1;;;0 oldest=7200s;600;3600;0 "},
		{"a dead letter", func(f *Figures, _ *Watch) { f.Queue.Dead = 1 }, "", "", Warning, "SSHNOTIFY WARNING: dead letters: 1 |"},
		{"the worst comes first", func(f *Figures, _ *Watch) {
			f.Queue.Dead, f.Dest["slack"] = 1, Destination{Broken: now.Add(-time.Hour)}
		}, "", "", Critical, "SSHNOTIFY CRITICAL: slack has been out of order for 60 min, dead letters: 1 |"},
		{"a quota is used up", func(f *Figures, _ *Watch) { f.Dest["slack"] = Destination{Paused: true} }, "", "", Warning, "SSHNOTIFY WARNING: slack takes nothing for now |"},
		{"the service hangs", func(f *Figures, _ *Watch) { f.Written = now.Add(-10 * time.Minute); f.Follow = f.Written }, "", "", Critical, "SSHNOTIFY CRITICAL: the worker has shown no life for 10 min |"},
		{"the service was stopped", func(f *Figures, _ *Watch) { f.Stopped = true }, "", "", Critical, "SSHNOTIFY CRITICAL: the worker does not run |"},
		{"somebody delivers by hand, and the service is down", func(f *Figures, _ *Watch) {
			f.Follow = now.Add(-time.Hour)
			f.Written = now.Add(-time.Hour + time.Minute)
		}, "", "", Critical, "SSHNOTIFY CRITICAL: the worker has shown no life for 59 min |"},
		{"workers that hooks start, none of late", func(f *Figures, _ *Watch) { f.Follow, f.Written, f.Stopped = time.Time{}, now.Add(-9*time.Hour), true }, "", "", OK, "SSHNOTIFY OK: nothing waits,"},
		{"heartbeats are lost", func(f *Figures, _ *Watch) { f.Beat = &Heartbeat{Failing: now.Add(-15 * time.Minute)} }, "", "", Warning, "SSHNOTIFY WARNING: no heartbeat has arrived for 15 min |"},
		{"heartbeats arrive", func(f *Figures, _ *Watch) { f.Beat = &Heartbeat{Last: now} }, "", "", OK, "SSHNOTIFY OK: nothing waits,"},
		{"the watcher hangs", func(_ *Figures, w *Watch) { w.Written = now.Add(-time.Hour) }, "", "", Warning, "SSHNOTIFY WARNING: the watcher has shown no life for 60 min |"},
		{"a source is closed to the watcher", func(_ *Figures, w *Watch) { w.Sources["auth"] = Source{Broken: true} }, "", "", Warning, "SSHNOTIFY WARNING: source auth can't be read |"},
		{"a source is silent", func(_ *Figures, w *Watch) { w.Sources["journal"] = Source{Last: now.Add(-25 * time.Hour)} }, "", "", Warning, "SSHNOTIFY WARNING: source journal has been silent for 25 h |"},
		{"no login, where one is expected", func(f *Figures, _ *Watch) { f.Recent = nil }, "logins=1:", "", Warning, "SSHNOTIFY WARNING: 0 logins in an hour | waiting=0;100;1000;0 retry=0;;;0 oldest=0s;600;3600;0 dead=0;0;;0 logins_1h=0;;;0 "},
		{"limits of one's own", func(f *Figures, _ *Watch) { f.Queue.Waiting = 6 }, "2,oldest=60", "5", Critical, "SSHNOTIFY CRITICAL: 6 waiting | waiting=6;2;5;0 retry=0;;;0 oldest=0s;60;3600;0 "},
		{"names that mean something to graphs", func(f *Figures, _ *Watch) {
			f.Dest = map[string]Destination{"Db.1": {}, "db 1": {}, "a|b'=": {Broken: now}}
		}, "", "", Critical, "SSHNOTIFY CRITICAL: a/b'= has been out of order for 0 s | waiting=0;100;1000;0 retry=0;;;0 oldest=0s;600;3600;0 dead=0;0;;0 logins_1h=2;;;0 attackers_1h=4;;;0 silence=60s;86400;;0 sent_db_1=0c failed_db_1=0c sent_a_b__=0c failed_a_b__=0c sent_db_1_2=0c failed_db_1_2=0c"},
		{"a hub that hears of all its hosts", func(f *Figures, _ *Watch) {
			f.Hub = &Hub{Hosts: 40, Events: map[string]int64{Stored: 99, Duplicate: 1}, TurnedAway: 3}
		}, "", "", OK, "SSHNOTIFY OK: nothing waits, slack 3 min ago | waiting=0;100;1000;0 retry=0;;;0 oldest=0s;600;3600;0 dead=0;0;;0 logins_1h=2;;;0 attackers_1h=4;;;0 silence=60s;86400;;0 " +
			"hosts=40;;;0 silent_hosts=0;0;;0 gaps=0;0;;0 inbox=0;1000;50000;0 inbox_oldest=0s;600;3600;0 stored=99c duplicate=1c rejected=0c turned_away=3c sent_slack=12c"},
		{"hosts are silent, of one events are missing", func(f *Figures, _ *Watch) { f.Hub = &Hub{Hosts: 40, Silent: 2, Gaps: 1} }, "", "", Warning,
			"SSHNOTIFY WARNING: silent hosts: 2, hosts of which events are missing: 1 |"},
		{"the hub's worker is behind", func(f *Figures, _ *Watch) { f.Hub = &Hub{Waiting: 2, Oldest: now.Add(-61 * time.Minute)} }, "", "", Critical,
			"SSHNOTIFY CRITICAL: the oldest from a host came 61 min ago |"},
		{"fewer hosts than there should be", func(f *Figures, _ *Watch) { f.Hub = &Hub{Hosts: 39} }, "", "hosts=40:", Critical, "SSHNOTIFY CRITICAL: hosts: 39 |"},
		{"a hub that stands by with a fresh copy", func(f *Figures, _ *Watch) { f.Hub = &Hub{Standby: true, Copied: now.Add(-time.Minute)} }, "", "", OK, "SSHNOTIFY OK: nothing waits,"},
		{"a hub that stands by with an old copy", func(f *Figures, _ *Watch) { f.Hub = &Hub{Standby: true, Copied: now.Add(-time.Hour / 2)} }, "", "", Warning,
			"SSHNOTIFY WARNING: the copy of the hub is of 30 min ago |"},
		{"a hub that stands by without a copy", func(f *Figures, _ *Watch) { f.Hub = &Hub{Standby: true} }, "", "", Critical, "SSHNOTIFY CRITICAL: there is no copy of the hub |"},
		{"the hub takes what the host has", func(f *Figures, _ *Watch) {
			f.HandOver = &HandOver{Last: now.Add(-2 * time.Minute), Events: map[string]int64{Stored: 7, Duplicate: 1}}
		}, "", "", OK, "SSHNOTIFY OK: nothing waits, slack 3 min ago | waiting=0;100;1000;0 retry=0;;;0 oldest=0s;600;3600;0 dead=0;0;;0 logins_1h=2;;;0 attackers_1h=4;;;0 silence=60s;86400;;0 hub=120s;960;7200;0 handed_over=8c sent_slack=12c"},
		{"the hub is away", func(f *Figures, _ *Watch) {
			f.HandOver = &HandOver{Last: now.Add(-20 * time.Minute), Failing: now.Add(-15 * time.Minute)}
		}, "", "", Warning, "SSHNOTIFY WARNING: the hub has not answered for 20 min |"},
		{"the hub never answered", func(f *Figures, _ *Watch) { f.HandOver = &HandOver{Failing: now.Add(-3 * time.Hour)} }, "", "", Critical,
			"SSHNOTIFY CRITICAL: the hub has not answered for 3 h |"},
		{"the hub does not know the host any more", func(f *Figures, _ *Watch) { f.HandOver = &HandOver{Last: now, Refused: true} }, "", "", Critical,
			"SSHNOTIFY CRITICAL: the hub does not let this host in |"},
		{"a line too long for a pager", func(f *Figures, _ *Watch) {
			f.Dest[strings.Repeat("x", 90)] = Destination{Paused: true}
		}, "", "", Warning, "SSHNOTIFY WARNING: " + strings.Repeat("x", 60) + "… |"},
	} {
		t.Run(row.situation, func(t *testing.T) {
			f, w := well(), watch()
			row.change(&f, w)
			limits := DefaultThresholds()
			for text, critical := range map[string]bool{row.warn: false, row.crit: true} {
				if text == "" {
					continue
				}
				if err := limits.Set(text, critical); err != nil {
					t.Fatal(err)
				}
			}
			v := Judge(f, w, limits, now, false)
			if v.Status != row.status || !strings.HasPrefix(v.String(), row.want) {
				t.Errorf("%v\n got %s\nwant %s", v.Status, v, row.want)
			}
		})
	}
}

func TestThresholdsSayWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"wating=3": `"wating" is no figure; figures are: attackers, copy, `,
		"dead=x":   `must be a range such as`,
		"9:3":      `the range's start is beyond its end, not "9:3"`,
	} {
		if err := DefaultThresholds().Set(text, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What a worker counted is still there after the next one has started, also for
// readers who may not list its folder.
func TestTheNextWorkerGoesOn(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 11, 29, 8, 0, 30, 0, time.UTC)
	r := NewRecorder(dir, "", "1")
	login := event.Event{Kind: event.KindLogin, Time: now}
	for range 3 {
		r.Finished(login, event.High)
	}
	r.Tried("slack", Sent, now)
	r.Tried("gone", "broken", now)
	r.Hub(func(h *Hub) { h.Hosts, h.Events[Stored] = 2, 3 })
	r.HandOver(func(h *HandOver) { h.Events[Stored]++ })
	r.Told(250 * time.Millisecond)
	r.Told(time.Hour)
	stands := map[string]Destination{"slack": {Waiting: 1}}
	if err := r.Keep(now, true, Queue{Waiting: 1}, stands); err != nil {
		t.Fatal(err)
	}
	r = NewRecorder(dir, "", "2")
	r.Finished(login, event.Low)
	before, _ := r.Now()
	r.Hub(func(h *Hub) { h.Hosts, h.Events[Stored] = 3, h.Events[Stored]+1 })
	if before.Hub.Hosts != 2 || before.Hub.Events[Stored] != 3 {
		t.Errorf("what was read changes: %+v", before.Hub)
	}
	if err := r.Keep(now.Add(time.Minute), false, Queue{}, stands); err != nil {
		t.Fatal(err)
	}
	f, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f.Version != "2" || f.Events[event.KindLogin] != 4 || f.Logins["high"] != 3 || f.LoginsSince(now.Add(-time.Hour)) != 4 {
		t.Errorf("%+v", f)
	}
	if d := f.Dest["slack"]; d.Outcomes[Sent] != 1 || !d.Last.Equal(now) || len(f.Dest) != 1 {
		t.Errorf("%+v", f.Dest)
	}
	if f.Delay.Counts[1] != 1 || f.Delay.Counts[len(Buckets)] != 1 {
		t.Errorf("%+v", f.Delay)
	}
	if !f.Expected(now.Add(time.Hour)) || f.Expected(now.Add(25*time.Hour)) {
		t.Error("a service that a worker by hand came after is expected for a day")
	}
	if f.Hub == nil || f.Hub.Hosts != 3 || f.Hub.Events[Stored] != 4 || f.HandOver == nil || f.HandOver.Events[Stored] != 1 {
		t.Errorf("%+v %+v", f.Hub, f.HandOver)
	}
	r.NoHub()
	r.NoHandOver()
	if f, _ := r.Now(); f.Hub != nil || f.HandOver != nil {
		t.Errorf("%+v %+v", f.Hub, f.HandOver)
	}
	if err := r.Keep(now.Add(3*time.Hour), false, Queue{}, stands); err != nil {
		t.Fatal(err)
	}
	if f, err = Read(dir); err != nil || len(f.Recent) != 0 {
		t.Errorf("%v %+v", err, f.Recent)
	}
}
