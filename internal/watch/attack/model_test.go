package attack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// model says the same as the engine in the plainest way: it keeps every attempt,
// and counts them all each time. It knows detectors by address and by user,
// without services.
type model struct {
	ds   []Detector
	keys map[string]*modelKey
}

type modelKey struct {
	by             By
	name           string
	all            []modelAttempt
	total          int
	first, last    int64
	muted          int64
	told           map[string]int64
	attack         string
	within, began  int64
	attackAttempts int
}

type modelAttempt struct {
	t   int64
	who string
}

func (o *model) key(by By, name string) *modelKey {
	k := string(by) + " " + name
	if o.keys[k] == nil {
		o.keys[k] = &modelKey{by: by, name: name, told: map[string]int64{}, first: -1}
	}
	return o.keys[k]
}

func (k *modelKey) after(t int64) (n int, who map[string]bool) {
	who = map[string]bool{}
	for _, a := range k.all {
		if a.t > t {
			n++
			who[a.who] = true
		}
	}
	return n, who
}

func (o *model) advance(t int64) (out []string) {
	var due []*modelKey
	for _, k := range o.keys {
		if k.attack != "" && k.last+k.within <= t {
			due = append(due, k)
		}
	}
	slices.SortFunc(due, func(a, b *modelKey) int {
		return cmp.Or(cmp.Compare(a.last+a.within, b.last+b.within), cmp.Compare(a.began, b.began), cmp.Compare(a.by, b.by), cmp.Compare(a.name, b.name))
	})
	for _, k := range due {
		out = append(out, fmt.Sprint(k.last+k.within, " ended ", k.attack, " ", k.name, " ", k.attackAttempts))
		k.attack, k.muted = "", k.last
	}
	return out
}

func (o *model) take(r parse.Result) []string {
	t := r.Time.UnixMilli()
	out := o.advance(t)
	ip := site(r.IP, ByAddress).String()
	if r.Outcome == parse.Success {
		return append(out, o.success(t, ip, r)...)
	}
	out = append(out, o.failure(o.key(ByAddress, ip), t, r.User)...)
	return append(out, o.failure(o.key(ByUser, r.User), t, r.IP.String())...)
}

func (o *model) failure(k *modelKey, t int64, who string) (out []string) {
	if k.first < 0 || k.attack == "" && t-k.last >= (24*time.Hour).Milliseconds() {
		*k = modelKey{by: k.by, name: k.name, told: map[string]int64{}, first: t}
	}
	k.total++
	k.last = t
	k.all = append(k.all, modelAttempt{t, who})
	if k.attack != "" {
		k.attackAttempts++
		return nil
	}
	for _, d := range o.ds {
		if d.By != k.by {
			continue
		}
		n, different := k.after(max(t-d.Within.Milliseconds(), k.muted))
		if n >= d.Count && len(different) >= d.Distinct {
			k.attack, k.within, k.began, k.attackAttempts = d.Name, d.Within.Milliseconds(), t, n
			return []string{fmt.Sprint(t, " begun ", d.Name, " ", k.name, " ", n)}
		}
	}
	return nil
}

func (o *model) success(t int64, ip string, r parse.Result) []string {
	from, against := o.key(ByAddress, ip), o.key(ByUser, r.User)
	since := t - (24 * time.Hour).Milliseconds()
	own, others := 0, 0
	// Only the last twenty judge.
	for _, a := range from.all[max(0, len(from.all)-judged):] {
		switch {
		case a.t <= since:
		case a.who == r.User:
			own++
		default:
			others++
		}
	}
	elsewhere := 0
	for _, a := range against.all[max(0, len(against.all)-judged):] {
		if a.t > since && a.who != r.IP.String() {
			elsewhere++
		}
	}
	attacked := against.attack != "" || elsewhere >= 5
	accounts := map[string]bool{}
	for _, k := range o.keys { // all are of one /24
		if k.by != ByAddress {
			continue
		}
		for _, a := range k.all[max(0, len(k.all)-judged):] {
			if u := o.keys[string(ByUser)+" "+a.who]; a.t > since && u != nil && u.first >= 0 {
				accounts[a.who] = true
			}
		}
	}
	fromBad := own >= 5 || others >= 3 || len(accounts) >= 3
	if !fromBad {
		for k, who := range map[*modelKey]string{from: r.User, against: r.IP.String()} {
			if k.attack != "" {
				continue
			}
			k.all = k.all[max(0, len(k.all)-judged):] // no more are kept
			before := len(k.all)
			k.all = slices.DeleteFunc(k.all, func(a modelAttempt) bool { return a.who == who })
			k.total -= before - len(k.all)
			if len(k.all) == 0 && len(k.told) == 0 {
				delete(o.keys, string(k.by)+" "+k.name)
			}
		}
		if !attacked {
			return nil
		}
	}
	told := false
	const hour = 3600_000
	tell := func(k *modelKey, who string) {
		if k.first < 0 || k.attack == "" && t-k.last >= (24*time.Hour).Milliseconds() {
			*k = modelKey{by: k.by, name: k.name, told: map[string]int64{}, first: t, last: t}
		}
		if at, ok := k.told[who]; ok && (t-at < hour || at <= t && k.last <= at) {
			told = true
			return
		}
		k.told[who] = t
	}
	if fromBad {
		tell(from, r.User)
	}
	if attacked {
		tell(against, r.IP.String())
	}
	if told {
		return nil
	}
	return []string{fmt.Sprint(t, " success ", r.User, " ", r.IP, " ", fromBad, " ", attacked)}
}

// plain is what the model says of a finding.
func plain(fs []Finding) (out []string) {
	for _, f := range fs {
		name := f.User
		if f.Network.IsValid() {
			name = f.Network.String()
		}
		switch f.Kind {
		case SuccessAfter:
			out = append(out, fmt.Sprint(f.Time.UnixMilli(), " success ", f.User, " ", f.IP, " ", f.FromAddress+f.NetworkAccounts > 0, " ", f.AgainstUser > 0))
		default:
			out = append(out, fmt.Sprint(f.Time.UnixMilli(), " ", string(f.Kind), " ", f.Detector, " ", name, " ", f.Attempts))
		}
	}
	return out
}

// stream is a few days of a few addresses and accounts, in bursts and lulls.
func stream(seed uint64, n int) []parse.Result {
	rnd := rand.New(rand.NewPCG(seed, 1))
	now := start
	addresses := 1 + rnd.IntN(6)
	users := 1 + rnd.IntN(6)
	var out []parse.Result
	for range n {
		switch rnd.IntN(20) {
		case 0:
			now = now.Add(time.Duration(rnd.Int64N(int64(30 * time.Hour))))
		case 1, 2, 3:
			now = now.Add(time.Duration(rnd.Int64N(int64(time.Hour))))
		case 4: // at the same moment
		default:
			now = now.Add(time.Duration(rnd.Int64N(int64(4 * time.Minute))))
		}
		r := parse.Result{Outcome: parse.Failure, Count: 1, Time: now.Truncate(time.Millisecond), Service: "sshd",
			User: string(rune('a' + rnd.IntN(users))), IP: netip.AddrFrom4([4]byte{203, 0, 113, byte(rnd.IntN(addresses))})}
		if rnd.IntN(8) == 0 {
			r.Outcome = parse.Success
		}
		out = append(out, r)
	}
	return out
}

func TestAgainstTheModel(t *testing.T) {
	ds := []Detector{
		{Name: "fast", Count: 5, Within: 10 * time.Minute, By: ByAddress},
		{Name: "slow", Count: 12, Within: 24 * time.Hour, By: ByAddress},
		{Name: "user", Count: 5, Within: 20 * time.Minute, By: ByUser, Distinct: 3},
		{Name: "user-slow", Count: 12, Within: 24 * time.Hour, By: ByUser},
	}
	kinds := map[Kind]int{}
	for seed := range uint64(400) {
		g, o := newEngine(t, Options{Detectors: ds}), &model{ds: ds, keys: map[string]*modelKey{}}
		for i, r := range stream(seed, 200) {
			fs := g.Take(r)
			for _, f := range fs {
				kinds[f.Kind]++
			}
			if diff := gocmp.Diff(o.take(r), plain(fs)); diff != "" {
				t.Fatalf("seed %d, result %d, %+v:\n%s", seed, i, r, diff)
			}
		}
	}
	if len(kinds) != 3 {
		t.Errorf("only these were found: %v", kinds)
	}
}

// A restart anywhere changes nothing, nor does memory that is short.
func TestRestoreGoesOn(t *testing.T) {
	seeds := uint64(16)
	if os.Getenv("SSHNOTIFY_E2E") != "" {
		seeds = 60
	}
	for seed := range seeds {
		o := Options{}
		if seed%2 == 1 {
			o = Options{MaxKeys: 5, MaxKnown: 2}
		}
		in := stream(seed, 200)
		whole, part := newEngine(t, o), newEngine(t, o)
		var want, got []Finding
		for i, r := range in {
			want = append(want, whole.Take(r)...)
			got = append(got, part.Take(r)...)
			if i%37 == int(seed)%37 {
				part = restart(t, part, o)
			}
		}
		want, got = append(want, whole.Close()...), append(got, part.Close()...)
		if diff := gocmp.Diff(want, got, gocmp.Comparer(func(a, b netip.Addr) bool { return a == b }), gocmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		a, _ := json.Marshal(whole.Known())
		b, _ := json.Marshal(part.Known())
		if !bytes.Equal(a, b) {
			t.Fatalf("seed %d: %s %s", seed, a, b)
		}
		if k, err := ReadKnown(a); err != nil || len(k.Attackers) != len(whole.Known().Attackers) {
			t.Fatal(err)
		}
		if whole.bytes != part.bytes {
			t.Fatalf("seed %d: %d bytes, %d after the restart", seed, whole.bytes, part.bytes)
		}
	}
}

func restart(t *testing.T, g *Engine, o Options) *Engine {
	t.Helper()
	var b, again bytes.Buffer
	if err := g.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	g, err := Restore(&b, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Snapshot(&again); err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(text, again.String()); diff != "" {
		t.Fatal(diff)
	}
	return g
}
