package enrich

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/store"
)

// newTracker returns a tracker on a database in dir; empty: in memory.
func newTracker(t testing.TB, dir string, k *clock) *quotaTracker {
	return &quotaTracker{db: testStore(t, dir), name: "p", owner: "me", limits: Limits{PerMinute: 10, PerMonth: 5000}, now: k.now}
}

func tell(l *quotaTracker, part string, e effect, status int, problem string, wait time.Duration) time.Time {
	return l.tell(part, &ProviderError{Status: status, Problem: problem, effect: e}, wait)
}

// asks says how many of n requests, one after the other, may be made.
func asks(l *quotaTracker, n int) (granted int) {
	for range n {
		if l.ask(partAssess)[partAssess] == nil {
			granted++
		}
	}
	return granted
}

func TestQuotaMinute(t *testing.T) {
	k := &clock{noon}
	l := newTracker(t, t.TempDir(), k)
	if got := asks(l, 20); got != 10 {
		t.Fatalf("%d requests in a minute", got)
	}
	k.t = noon.Add(time.Minute - 1)
	why := l.ask(partAssess)[partAssess]
	if why == nil || why.Problem != problemQuota || !why.Until.Equal(noon.Add(time.Minute)) {
		t.Errorf("just before the minute's end: %v", why)
	}
	k.t = noon.Add(time.Minute)
	if got := asks(l, 20); got != 10 {
		t.Errorf("%d requests in the next minute", got)
	}
}

func TestQuotaMinuteSlides(t *testing.T) {
	k := &clock{noon}
	l := newTracker(t, "", k)
	var made []time.Time
	for range 600 {
		if asks(l, 1) == 1 {
			made = append(made, k.t)
		}
		k.t = k.t.Add(time.Second)
	}
	if len(made) != 100 {
		t.Errorf("%d requests in ten minutes", len(made))
	}
	for i := range made {
		if i >= 10 && made[i].Sub(made[i-10]) < time.Minute {
			t.Fatalf("eleven requests within %v", made[i].Sub(made[i-10]))
		}
	}
}

func TestQuotaServesTheMostImportantFirst(t *testing.T) {
	l := newTracker(t, "", &clock{noon})
	asks(l, 9)
	refused := l.ask(partAssess, partGeo)
	if refused[partAssess] != nil || refused[partGeo] == nil {
		t.Errorf("with one request left: %v", refused)
	}
}

func TestQuotaMonth(t *testing.T) {
	k := &clock{noon}
	l := newTracker(t, t.TempDir(), k)
	l.limits.PerMonth = 25
	for range 10 {
		asks(l, 10)
		k.t = k.t.Add(time.Minute)
	}
	why := l.ask(partAssess)[partAssess]
	if why == nil || why.Problem != problemQuota || !why.Until.Equal(noon.Add(2*time.Minute+monthSpan)) {
		t.Fatalf("after 25 requests: %v", why)
	}
	// The last of them was made in the third minute.
	k.t = noon.Add(2*time.Minute + monthSpan)
	if got := asks(l, 5); got != 5 {
		t.Errorf("%d of 5 requests in the next month", got)
	}
}

func TestQuotaRemembersTooManyRequests(t *testing.T) {
	for _, tc := range []struct {
		name       string
		wait, want time.Duration
	}{
		{"for as long as it says", 7 * time.Minute, 7 * time.Minute},
		{"for a minute if it says nothing", 0, time.Minute},
		{"for an hour if it says a week", 7 * 24 * time.Hour, time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &clock{noon}
			dir := t.TempDir()
			if until := tell(newTracker(t, dir, k), partGeo, effectQuota, 429, "", tc.wait); !until.Equal(noon.Add(tc.want)) {
				t.Errorf("until %v", until)
			}
			l := newTracker(t, dir, k) // another process
			k.t = noon.Add(tc.want - 1)
			if asks(l, 1) != 0 {
				t.Error("asked too early")
			}
			k.t = noon.Add(tc.want)
			if asks(l, 1) != 1 {
				t.Error("not asked when it was over")
			}
		})
	}
}

func TestQuotaRefusedKey(t *testing.T) {
	k := &clock{noon}
	dir := t.TempDir()
	l := newTracker(t, dir, k)
	tell(l, partASN, effectRefused, 403, "", 0)
	if r := l.ask(partAssess, partASN); r[partAssess] != nil || r[partASN] == nil || r[partASN].Status != 403 {
		t.Errorf("what the plan does not include stops more than that, or nothing: %v", r)
	}
	tell(l, "", effectRefused, 401, "", 0)
	if r := l.ask(partAssess); r[partAssess] == nil || r[partAssess].Status != 401 {
		t.Errorf("a wrong key: %v", r)
	}
	other := newTracker(t, dir, k)
	other.owner = "another key"
	if asks(other, 1) != 1 {
		t.Error("another key is not tried")
	}
	l = newTracker(t, t.TempDir(), k)
	tell(l, "", effectRefused, 401, "", 0)
	k.t = noon.Add(refusedFor)
	if asks(l, 1) != 1 {
		t.Error("not tried again")
	}
}

func TestQuotaBreaker(t *testing.T) {
	k := &clock{noon}
	dir := t.TempDir()
	l := newTracker(t, dir, k)
	l.limits.PerMinute = 0
	fail := func() { tell(l, partAssess, effectDown, 500, problemDown, 0) }
	fail()
	fail()
	if asks(l, 1) != 1 {
		t.Fatal("open after two failures")
	}
	for i, want := range []time.Duration{30, 60, 120, 240, 480, 600, 600} {
		want *= time.Second
		fail()
		fail() // one that was on its way counts for nothing
		why := newTracker(t, dir, k).ask(partAssess)[partAssess]
		if why == nil || why.Problem != problemDown || !why.Until.Equal(k.t.Add(want)) {
			t.Fatalf("round %d: %v, want until %v", i, why, k.t.Add(want))
		}
		k.t = k.t.Add(want)
		if asks(l, 1) != 1 {
			t.Fatalf("round %d: not tried again after %v", i, want)
		}
	}
	tell(l, partAssess, effectUp, 200, "", 0)
	fail()
	fail()
	if asks(l, 1) != 1 {
		t.Error("one success did not close it")
	}
}

func TestQuotaServiceSaysWhenItIsBack(t *testing.T) {
	k := &clock{noon}
	l := newTracker(t, "", k)
	tell(l, partAssess, effectDown, 503, problemDown, 90*time.Second)
	if asks(l, 1) != 0 {
		t.Error("asked at once")
	}
	k.t = noon.Add(90 * time.Second)
	if asks(l, 1) != 1 {
		t.Error("not asked then")
	}
}

// The clock jumps back a year; nothing may then last longer than it was meant
// to.
func TestQuotaClockJumpsBack(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*quotaTracker)
		span time.Duration
	}{
		{"a minute's requests", func(l *quotaTracker) { asks(l, 10) }, time.Minute},
		{"a month's requests", func(l *quotaTracker) { l.limits.PerMonth = 5; asks(l, 5) }, monthSpan},
		{"a quota", func(l *quotaTracker) { tell(l, partAssess, effectQuota, 429, "", time.Hour) }, time.Hour},
		{"a refused key", func(l *quotaTracker) { tell(l, "", effectRefused, 401, "", 0) }, refusedFor},
		{"an open breaker", func(l *quotaTracker) {
			for range 3 {
				tell(l, partAssess, effectDown, 0, problemDown, 0)
			}
		}, minDown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &clock{noon}
			l := newTracker(t, t.TempDir(), k)
			tc.do(l)
			jumped := noon.AddDate(-1, 0, 0)
			k.t = jumped
			if asks(l, 1) != 0 {
				t.Error("over at once")
			}
			k.t = jumped.Add(tc.span / 2)
			if asks(l, 1) != 0 {
				t.Error("over too early")
			}
			k.t = jumped.Add(tc.span)
			if asks(l, 1) != 1 {
				t.Error("lasts longer than it was meant to")
			}
		})
	}
}

func TestQuotaWithoutADisk(t *testing.T) {
	k := &clock{noon}
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := newTracker(t, dir, k)
	if got := asks(l, 20); got != 10 {
		t.Errorf("%d requests in a minute", got)
	}
	tell(l, partAssess, effectQuota, 429, "", time.Hour)
	k.t = noon.Add(30 * time.Minute)
	if asks(l, 1) != 0 {
		t.Error("the wait was forgotten")
	}
}

func TestQuotaTornDocument(t *testing.T) {
	k := &clock{noon}
	dir := t.TempDir()
	for _, torn := range []string{"", "{", `{"owner":7}`, strings.Repeat("\x00", 100), `{"owner":"me","refused":null,"minute":null}`} {
		l := newTracker(t, dir, k)
		if err := l.db.Write(t.Context(), store.WriteLimit, func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT OR REPLACE INTO state(kind, name, value) VALUES (?, 'p', ?)`, quotaKind, torn)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if asks(l, 1) != 1 {
			t.Errorf("%q stops everything", torn)
		}
		tell(l, partGeo, effectRefused, 403, "", 0)
		if l.ask(partGeo)[partGeo] == nil {
			t.Errorf("%q: nothing is remembered", torn)
		}
	}
}

// A good answer is no news, and must not cost a write.
func TestQuotaGoodAnswersWriteNothing(t *testing.T) {
	dir := t.TempDir()
	l := newTracker(t, dir, &clock{noon})
	tell(l, partAssess, effectUp, 200, "", 0)
	if n := number(t, l.db, `SELECT count(*) FROM state`); n != 0 {
		t.Errorf("%d documents were written", n)
	}
}

func FuzzQuotaDocument(f *testing.F) {
	f.Add([]byte(`{"owner":"me","minute":["2026-11-21T12:00:00Z"],"days":[{"f":1,"l":9223372036854775807,"n":9223372036854775807},{"f":-9223372036854775808,"l":0,"n":5}],"months":[{"f":1795262400,"l":1795262400,"n":-5}],"quota":{"until":"9999-12-31T23:59:59Z","for":-1},"refused":{"":{"status":401}},"fails":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var a account
		if json.Unmarshal(b, &a) != nil {
			return
		}
		a.forget(noon)
		l := &quotaTracker{limits: Limits{PerMinute: 10, PerDay: 100, PerWeek: 50, PerMonth: 5000}}
		for _, part := range []string{partAssess, partGeo} {
			l.refuse(&a, noon, part)
		}
		a.fail(noon, "x", time.Second)
	})
}
