package pattern

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustCompile(s string) *regexp.Regexp { return regexp.MustCompile(s) }

func TestThresholds(t *testing.T) {
	for _, row := range []struct {
		name string
		t    Threshold
		at   []int // seconds
		want string
	}{
		{"limit: the first two of a window", Threshold{Type: Limit, Count: 2, Seconds: 10}, []int{0, 1, 2, 9, 10, 11, 12, 30}, "1 1 - - 1+2 1 - 1+1"},
		{"limit: a window begins with a line", Threshold{Type: Limit, Count: 1, Seconds: 10}, []int{0, 9, 15, 19, 24, 25}, "1 - 1+1 - - 1+2"},
		{"threshold: every third", Threshold{Type: Each, Count: 3, Seconds: 10}, []int{0, 1, 2, 3, 4, 5, 6, 7}, "- - 3 - - 3 - -"},
		{"threshold: too slow", Threshold{Type: Each, Count: 3, Seconds: 10}, []int{0, 5, 10, 15, 20, 25}, "- - - - - -"},
		{"threshold: the next window begins when told", Threshold{Type: Each, Count: 2, Seconds: 10}, []int{0, 5, 14, 16, 26, 27}, "- 2 - - - 2"},
		{"threshold: every line", Threshold{Type: Each, Count: 1, Seconds: 10}, []int{0, 0, 50}, "1 1 1"},
		{"both: once, at the third", Threshold{Type: Both, Count: 3, Seconds: 10}, []int{0, 1, 2, 3, 4, 11, 12, 13, 14}, "- - 3 - - - - 3+2 -"},
		{"both: not enough in the window", Threshold{Type: Both, Count: 3, Seconds: 10}, []int{0, 1, 10, 11, 20}, "- - - - -"},
		{"both: of one", Threshold{Type: Both, Count: 1, Seconds: 10}, []int{0, 1, 10, 11}, "1 - 1+1 -"},
		{"a little out of order", Threshold{Type: Limit, Count: 1, Seconds: 10}, []int{100, 95, 105, 101, 110}, "1 - - - 1+3"},
		{"the clock is set back", Threshold{Type: Limit, Count: 1, Seconds: 10}, []int{4000, 4001, 400, 401, 410}, "1 - 1+1 - 1+1"},
		{"one line of the year 2099", Threshold{Type: Both, Count: 2, Seconds: 10}, []int{0, math.MaxInt32, 1, 2, 3}, "- - - 2 -"},
	} {
		e := engine(t, Pattern{Name: "p", Match: mustCompile(``), Threshold: &row.t})
		var got []string
		for _, s := range row.at {
			told := "-"
			for _, m := range e.Take(text("x"), now.Add(time.Duration(s)*time.Second)) {
				told = fmt.Sprint(m.Count)
				if m.LeftOut > 0 {
					told += fmt.Sprintf("+%d", m.LeftOut)
				}
			}
			got = append(got, told)
		}
		if s := strings.Join(got, " "); s != row.want {
			t.Errorf("%s: %s, want %s", row.name, s, row.want)
		}
		if got := e.Tick(now.Add(time.Hour)); got != nil {
			t.Errorf("%s: told after all: %v", row.name, got)
		}
	}
}

// naive says which of one key's lines are told, from all of their times.
func naive(th Threshold, at []time.Time) []bool {
	told := make([]bool, len(at))
	window := time.Duration(th.Seconds) * time.Second
	switch th.Type {
	case Limit, Both:
		for i := 0; i < len(at); {
			end := i
			for end < len(at) && at[end].Sub(at[i]) < window {
				end++
			}
			for j := i; j < end; j++ {
				n := j - i + 1
				told[j] = th.Type == Limit && n <= th.Count || th.Type == Both && n == th.Count
			}
			i = end
		}
	case Each:
		var start time.Time
		for i, n := 0, 0; i < len(at); i++ {
			if i == 0 || at[i].Sub(start) >= window {
				start, n = at[i], 0
			}
			if n++; n == th.Count {
				told[i] = true
				start, n = at[i], 0
			}
		}
	}
	return told
}

func TestThresholdsAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		th := Threshold{Type: []ThresholdType{Limit, Each, Both}[rnd.IntN(3)], Count: 1 + rnd.IntN(5), Seconds: 1 + rnd.IntN(30)}
		e := engine(t, Pattern{Name: "p", Match: mustCompile(`(\w+)`), By: "${1}", Threshold: &th})
		at := now
		times, told := map[string][]time.Time{}, map[string][]bool{}
		counted := 0
		for range 200 {
			at = at.Add(time.Duration(rnd.IntN(4000*(1+rnd.IntN(3)))) * time.Millisecond)
			key := string(rune('a' + rnd.IntN(4)))
			got := e.Take(text(key), at)
			times[key], told[key] = append(times[key], at), append(told[key], len(got) == 1)
			for _, m := range got {
				counted += m.Count + m.LeftOut
				if m.Key != key {
					t.Fatalf("key %q of %q", m.Key, key)
				}
			}
		}
		for key, at := range times {
			if want := naive(th, at); !slices.Equal(want, told[key]) {
				t.Fatalf("%+v, key %s: %v", th, key, cmp.Diff(want, told[key]))
			}
		}
		if s := e.Stats()[0]; s.Told+s.LeftOut != 200 || counted > 200 {
			t.Fatalf("%+v, and %d were counted", s, counted)
		}
	}
}

func TestOneAMinute(t *testing.T) {
	e := engine(t, Pattern{Name: "p", Match: mustCompile(`n(\d+)`), Title: "${1}"}, Pattern{Name: "q", Match: mustCompile(`5$`)})
	var got []string
	note := func(all []Match) {
		for _, m := range all {
			got = append(got, fmt.Sprintf("%s %s %d+%d %s", m.Pattern, m.Title, m.Count, m.LeftOut, m.Text))
		}
	}
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	for i := range 100 { // until 99 s
		note(e.Take(text(fmt.Sprintf("n%d", i)), at(i)))
		note(e.Tick(at(i)))
	}
	note(e.Tick(at(119)))
	note(e.Tick(at(120)))
	note(e.Tick(at(500)))
	want := []string{
		"p 0 1+0 n0",
		"q q 1+0 n5",
		"p 60 1+59 n60 (and 59 more that were not told)",
		"q q 1+5 n65 (and 5 more that were not told)",
		"p 99 1+38 n99 (and 38 more that were not told)",
		"q q 1+2 n95 (and 2 more that were not told)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := e.Stats()[0]; s.Matched != 100 || s.Told != 3 || s.LeftOut != 97 {
		t.Errorf("%+v", s)
	}
	own := engine(t, Pattern{Name: "p", Match: mustCompile(``), Text: "${left_out} before"})
	own.Take(text("a"), at(0))
	own.Take(text("b"), at(1))
	if m := own.Take(text("c"), at(60)); len(m) != 1 || m[0].Text != "1 before" {
		t.Errorf("%+v", m)
	}
}

// A line without a time is as new as the newest, or the pattern would be silent
// for ever.
func TestLinesWithoutATime(t *testing.T) {
	e := engine(t, Pattern{Name: "p", Match: mustCompile(`x`)})
	var got []int
	for i := range 5 {
		e.Take(text("other"), now.Add(time.Duration(i)*40*time.Second))
		got = append(got, len(e.Take(text("x"), time.Time{})))
	}
	if want := []int{1, 0, 1, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// A line is told or counted in exactly one match, however Take and Tick come.
func TestNothingStaysUntold(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		e := engine(t, Pattern{Name: "p", Match: mustCompile(``)})
		at, lines, counted := now, 0, 0
		var told []time.Time
		note := func(all []Match, when time.Time) {
			for _, m := range all {
				counted += m.Count + m.LeftOut
				told = append(told, when)
			}
		}
		for range 100 {
			at = at.Add(time.Duration(rnd.IntN(30)) * time.Second)
			if rnd.IntN(3) == 0 {
				note(e.Tick(at), at)
			} else {
				lines++
				note(e.Take(text("x"), at), at)
			}
		}
		note(e.Tick(at.Add(time.Minute)), at.Add(time.Minute))
		if lines != counted {
			t.Fatalf("%d lines, %d counted", lines, counted)
		}
		for i := 1; i < len(told); i++ {
			if told[i].Sub(told[i-1]) < time.Minute {
				t.Fatalf("told %v after the last", told[i].Sub(told[i-1]))
			}
		}
	}
}

// A million keys take no more memory than the bound, and the ones that are in
// use stay.
func TestKeysAreBounded(t *testing.T) {
	l := newLimiter(Threshold{Type: Limit, Count: 1, Seconds: 3600}, 1000)
	for i := range 50_000 {
		at := now.Add(time.Duration(i) * time.Millisecond)
		l.take(fmt.Sprint(i), at)
		if tell, _, _ := l.take("used", at); tell != (i == 0) {
			t.Fatalf("after %d keys the one in use was forgotten", i)
		}
		if len(l.keys) > 1000 || l.order.Len() != len(l.keys) {
			t.Fatalf("%d keys, %d in order", len(l.keys), l.order.Len())
		}
	}
	l.forget(now.Add(3*time.Hour), 5000)
	if len(l.keys) != 0 {
		t.Errorf("%d keys are left when all is over", len(l.keys))
	}
}
