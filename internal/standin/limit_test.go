package standin

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPace(t *testing.T) {
	for name, row := range map[string]struct {
		perSecond float64
		burst     int
		at        []int // milliseconds
		want      []bool
	}{
		"one a second":                     {1, 0, []int{0, 1000, 2000}, []bool{true, true, true}},
		"two at once":                      {1, 0, []int{0, 0, 1000}, []bool{true, false, true}},
		"early within the tolerance":       {1, 0, []int{0, 950}, []bool{true, true}},
		"too early":                        {1, 0, []int{0, 949}, []bool{true, false}},
		"early every time adds up":         {1, 0, []int{0, 950, 1900, 2850}, []bool{true, true, false, true}},
		"late, then in time":               {1, 0, []int{0, 1500, 2500}, []bool{true, true, true}},
		"late ones save nothing up":        {1, 0, []int{0, 9000, 9000}, []bool{true, true, false}},
		"the refused do not count":         {1, 0, []int{0, 500, 900, 1000}, []bool{true, false, false, true}},
		"a burst of one more":              {1, 1, []int{0, 0, 0}, []bool{true, true, false}},
		"a burst does not come back soon":  {1, 1, []int{0, 0, 1000, 1000}, []bool{true, true, true, false}},
		"a burst comes back after a rest":  {1, 1, []int{0, 0, 2000, 2000}, []bool{true, true, true, true}},
		"no limit":                         {0, 0, []int{0, 0, 0}, []bool{true, true, true}},
		"ten a second":                     {10, 0, []int{0, 95, 190, 290}, []bool{true, true, false, true}},
		"a clock that is not asked in row": {1, 0, []int{1000, 0}, []bool{true, false}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPace(row.perSecond, row.burst)
			start := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
			var got []bool
			for _, ms := range row.at {
				got = append(got, p.take(start.Add(time.Duration(ms)*time.Millisecond)))
			}
			if d := cmp.Diff(row.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	start := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	after := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	w := window{limit: 2, span: time.Minute}
	for _, step := range []struct {
		name string
		at   float64
		wait time.Duration
		ok   bool
	}{
		{"the first", 0, 0, true},
		{"the second", 20, 0, true},
		{"one too many", 30, 30 * time.Second, false},
		{"still one too many, for the refused do not count", 59.5, 500 * time.Millisecond, false},
		{"the first has left the window", 60, 0, true},
		{"the window slides, it does not reset", 61, 19 * time.Second, false},
		{"the second has left too", 80, 0, true},
	} {
		wait, ok := w.take(after(step.at))
		if ok != step.ok || wait != step.wait {
			t.Errorf("%s: %v, %v, want %v, %v", step.name, wait, ok, step.wait, step.ok)
		}
	}
	none := window{span: time.Minute}
	for range 100 {
		if _, ok := none.take(start); !ok {
			t.Fatal("refused without a limit")
		}
	}
}
