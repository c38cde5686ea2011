package enrich

import (
	"math/rand/v2"
	"testing"
	"time"
)

// However the requests come, no span ever holds more than the limit, and the
// limit is nearly reached.
func TestWindowNeverTooMany(t *testing.T) {
	for _, span := range []time.Duration{daySpan, weekSpan, monthSpan} {
		r := rand.New(rand.NewPCG(1, uint64(span)))
		const limit = 300
		var w window
		var made []time.Time
		now := noon.Add(123 * time.Millisecond)
		for range 20_000 {
			if r.IntN(500) == 0 {
				now = now.Add(span / 7) // a quiet time
			}
			now = now.Add(time.Duration(r.Int64N(int64(span / 2000))))
			w.forget(now, span)
			if w.wait(now, span, limit) > 0 {
				continue
			}
			w.add(now, span)
			made = append(made, now)
		}
		for i := range made {
			if i >= limit && made[i].Sub(made[i-limit]) < span {
				t.Fatalf("%v: %d requests within %v", span, limit+1, made[i].Sub(made[i-limit]))
			}
		}
		if spans := float64(now.Sub(noon)) / float64(span); float64(len(made)) < 0.9*limit*spans {
			t.Errorf("%v: %d requests in %.1f spans", span, len(made), spans)
		}
		if len(w) > buckets+1 {
			t.Errorf("%v: %d buckets", span, len(w))
		}
	}
}

func TestWindowWait(t *testing.T) {
	var w window
	for i := range 10 {
		w.add(noon.Add(time.Duration(i)*time.Hour), daySpan)
	}
	now := noon.Add(10 * time.Hour)
	for limit, want := range map[int]time.Duration{
		0:  0,
		11: 0,
		10: 14 * time.Hour, // until the first is a day old
		8:  16 * time.Hour, // until three are
	} {
		if got := w.wait(now, daySpan, limit); got != want {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
}

// Seconds are rounded to the safe side.
func TestWindowRounds(t *testing.T) {
	var w window
	w.add(noon.Add(900*time.Millisecond), daySpan)
	for at, want := range map[time.Duration]bool{800 * time.Millisecond: true, time.Second: false} {
		now := noon.Add(daySpan + at)
		w := append(window(nil), w...)
		w.forget(now, daySpan)
		if got := w.wait(now, daySpan, 1) > 0; got != want {
			t.Errorf("a day and %v later: held back %v", at, got)
		}
	}
}
