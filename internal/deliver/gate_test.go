package deliver

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
)

// stepOf is what became of the second step of a login.
func stepOf(login event.Event, result event.GateResult, reason string) event.Event {
	e := login
	challenge := event.GateID(login.Session, login.User)
	e.ID, e.Kind, e.Time, e.Login = event.GateID(login.Session, challenge+string(result)), event.KindGate, time.Now(), event.Login{}
	e.Gate = &event.Gate{
		Result: result, Challenge: challenge, Factor: "sms", Reason: reason, Life: 5 * time.Minute,
		Auth: event.Auth{Method: "publickey", Fingerprint: "SHA256:k"},
	}
	return e
}

func TestSecondStep(t *testing.T) {
	for _, row := range []struct {
		name string
		want []string // severity and the reason's first words, or the login's second step
		of   func(b *bench)
	}{
		{"asked and passed", []string{"login passed sms"}, func(b *bench) {
			e := login("alice", 7, 100)
			b.put(stepOf(e, event.GateAsked, ""))
			time.Sleep(20 * time.Second)
			b.put(stepOf(e, event.GatePassed, ""))
			e.Time = time.Now()
			b.put(e)
		}},
		{"asked, and gone", []string{"critical was asked"}, func(b *bench) { b.put(stepOf(login("alice", 7, 100), event.GateAsked, "")) }},
		{"asked, gone, and back a minute later", []string{"login passed sms"}, func(b *bench) {
			b.put(stepOf(login("alice", 7, 100), event.GateAsked, ""))
			time.Sleep(time.Minute)
			e := login("alice", 7, 101)
			b.put(stepOf(e, event.GateAsked, ""), stepOf(e, event.GatePassed, ""))
			time.Sleep(time.Second)
			b.put(e)
		}},
		{"asked, gone, and somebody comes from elsewhere", []string{"critical was asked", "login passed sms"}, func(b *bench) {
			b.put(stepOf(login("alice", 7, 100), event.GateAsked, ""))
			time.Sleep(time.Minute)
			e := login("alice", 8, 101)
			b.put(stepOf(e, event.GateAsked, ""), stepOf(e, event.GatePassed, ""))
			time.Sleep(time.Second)
			b.put(e)
		}},
		{"wrong codes", []string{"critical typed wrong codes"}, func(b *bench) {
			e := login("alice", 7, 100)
			b.put(stepOf(e, event.GateAsked, ""))
			time.Sleep(time.Second)
			b.put(stepOf(e, event.GateRefused, "wrong codes"))
		}},
		{"locked", []string{"critical too many wrong codes", "critical typed wrong codes"}, func(b *bench) {
			e := login("alice", 7, 100)
			b.put(stepOf(e, event.GateAsked, ""))
			time.Sleep(time.Second)
			b.put(stepOf(e, event.GateLocked, ""))
			time.Sleep(time.Second)
			b.put(stepOf(e, event.GateRefused, "wrong codes"))
		}},
		{"not enrolled", []string{"medium was refused"}, func(b *bench) { b.put(stepOf(login("alice", 7, 100), event.GateRefused, "not enrolled")) }},
		{"too many codes", []string{"high was refused"}, func(b *bench) { b.put(stepOf(login("alice", 7, 100), event.GateRefused, "too many codes")) }},
		{"fail open", []string{"critical got in without", "login fail-open sms"}, func(b *bench) {
			e := login("alice", 7, 100)
			b.put(stepOf(e, event.GateFailOpen, "no code could be sent"))
			time.Sleep(2 * time.Second)
			b.put(e)
		}},
		{"exempt", []string{"login exempt sms"}, func(b *bench) {
			e := login("alice", 7, 100)
			b.put(stepOf(e, event.GateExempt, ""))
			time.Sleep(time.Second)
			b.put(e)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &fakeDest{name: "slack", pace: time.Second}
				b := newBench(t, d)
				b.set.Window = 0
				stop := start(t, b.job(Follow))
				row.of(b)
				time.Sleep(8 * time.Minute)
				stop()
				var told []string
				for _, a := range d.alerts() {
					if a.Event.Kind == event.KindLogin {
						told = append(told, "login "+string(a.Event.Login.Step.Result)+" "+a.Event.Login.Step.Factor)
						continue
					}
					told = append(told, a.Verdict.Severity.String()+" "+a.Verdict.Reasons[0])
				}
				slices.Sort(told)
				if !slices.EqualFunc(told, row.want, strings.HasPrefix) {
					t.Errorf("told %q, want %q\n%s", told, row.want, b.log.String())
				}
				if left := b.files("cur"); len(left) > 0 {
					t.Errorf("left in the queue: %q", left)
				}
			})
		})
	}
}

// A worker that ends while somebody is waited for leaves the judgement to the next.
func TestSecondStepOutlivesTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		stop := start(t, b.job(Follow))
		asked, passed := login("alice", 7, 100), login("bob", 8, 101)
		b.put(stepOf(asked, event.GateAsked, ""), stepOf(passed, event.GateAsked, ""), stepOf(passed, event.GatePassed, ""))
		time.Sleep(time.Minute)
		stop()
		stop = start(t, b.job(Follow))
		passed.Time = time.Now()
		b.put(passed)
		time.Sleep(8 * time.Minute)
		stop()
		all := d.alerts()
		if len(all) != 2 || all[0].Event.Login.Step.Result != event.GatePassed || all[1].Verdict.Severity != event.Critical {
			t.Errorf("told %+v\n%s", all, b.log.String())
		}
	})
}

// What the settings or root let in without a second step teaches nothing.
func TestWithoutASecondStepNothingIsLearnt(t *testing.T) {
	for result, teaches := range map[event.GateResult]bool{event.GatePassed: true, event.GateExempt: false, event.GateOff: false, event.GateFailOpen: false} {
		synctest.Test(t, func(t *testing.T) {
			d := &fakeDest{name: "slack", pace: time.Second}
			b := newBench(t, d)
			m := newFakeMemory("alice")
			b.set.Memory = m
			e := login("alice", 7, 100)
			b.put(stepOf(e, result, ""))
			stop := start(t, b.job(Follow))
			time.Sleep(time.Second)
			b.put(e)
			time.Sleep(time.Minute)
			stop()
			if _, nothing := m.worst[e.ID]; nothing == teaches || len(m.logins) != 2 {
				t.Errorf("%s: it teaches nothing: %v", result, nothing)
			}
		})
	}
}

// Repeats of what is told hold up no login.
func TestSecondStepRefusedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &fakeDest{name: "slack", pace: time.Second}
		b := newBench(t, d)
		stop := start(t, b.job(Follow))
		for pid := range 2 {
			e := login("alice", 7, 100+pid)
			b.put(stepOf(e, event.GateAsked, ""))
			time.Sleep(time.Second)
			b.put(stepOf(e, event.GateRefused, "wrong codes"))
			time.Sleep(time.Second)
		}
		e := login("alice", 7, 110)
		b.put(stepOf(e, event.GateAsked, ""))
		time.Sleep(time.Second)
		b.put(stepOf(e, event.GatePassed, ""), e)
		time.Sleep(time.Minute)
		stop()
		all := d.alerts()
		if len(all) != 2 || all[0].Verdict.Severity != event.Critical || all[1].Event.Kind != event.KindLogin {
			t.Errorf("told %d\n%s", len(all), b.log.String())
		}
	})
}
