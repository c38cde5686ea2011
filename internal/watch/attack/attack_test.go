package attack

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

var start = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

func failed(after time.Duration, ip, user string) parse.Result {
	r := parse.Result{Parser: "sshd", Outcome: parse.Failure, Time: start.Add(after), Host: "web1", Service: "sshd", User: user, Method: "password", Count: 1}
	if ip != "" {
		r.IP = netip.MustParseAddr(ip)
	}
	return r
}

func accepted(after time.Duration, ip, user string) parse.Result {
	r := failed(after, ip, user)
	r.Outcome = parse.Success
	return r
}

func with(r parse.Result, change func(*parse.Result)) parse.Result {
	change(&r)
	return r
}

// many is n failures, one after the other.
func many(n int, after, step time.Duration, ip, user string) []parse.Result {
	out := make([]parse.Result, n)
	for i := range out {
		out[i] = failed(after+time.Duration(i)*step, ip, user)
	}
	return out
}

func newEngine(tb testing.TB, o Options) *Engine {
	tb.Helper()
	g, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// say tells findings in a line each.
func say(fs []Finding) []string {
	var out []string
	for _, f := range fs {
		who := f.User
		if f.Network.IsValid() && f.Kind != SuccessAfter {
			who = f.Network.String()
		}
		s := fmt.Sprintf("%s %s %s %s n=%d", f.Time.Sub(start), f.Kind, f.Detector, who, f.Attempts)
		if f.Kind == SuccessAfter {
			s = fmt.Sprintf("%s %s %s@%s from=%d against=%d", f.Time.Sub(start), f.Kind, who, f.IP, f.FromAddress, f.AgainstUser)
		}
		if f.Unfinished {
			s += " unfinished"
		}
		out = append(out, s)
	}
	return out
}

const (
	s = time.Second
	m = time.Minute
	h = time.Hour
)

func TestFindings(t *testing.T) {
	flat := func(parts ...[]parse.Result) (out []parse.Result) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	one := func(rs ...parse.Result) []parse.Result { return rs }
	for _, tt := range []struct {
		name string
		o    Options
		in   []parse.Result
		want []string
	}{
		{"four attempts are no attack", Options{}, many(4, 0, s, "203.0.113.7", "root"), nil},
		{"the fifth is, and what follows is silent until a quarter of an hour has passed", Options{}, many(50, 0, s, "203.0.113.7", "root"), []string{
			"4s begun fast 203.0.113.7/32 n=5", "49s ended fast 203.0.113.7/32 n=50 unfinished"}},
		{"an attack that stops ends by itself", Options{}, flat(many(6, 0, s, "203.0.113.7", "root"), one(failed(h, "198.51.100.1", "x"))), []string{
			"4s begun fast 203.0.113.7/32 n=5", "15m5s ended fast 203.0.113.7/32 n=6"}},
		{"five in sixteen minutes are not fast", Options{}, many(5, 0, 4*m, "203.0.113.7", "root"), nil},
		{"twenty in a day are slow", Options{}, many(25, 0, h, "203.0.113.7", "root"), []string{
			"19h0m0s begun slow 203.0.113.7/32 n=20", "24h0m0s ended slow 203.0.113.7/32 n=25 unfinished"}},
		{"a fast attack does not make the next attempt a slow one", Options{}, flat(many(100, 0, s, "203.0.113.7", "root"), one(failed(3*h, "203.0.113.7", "root"))), []string{
			"4s begun fast 203.0.113.7/32 n=5", "16m39s ended fast 203.0.113.7/32 n=100"}},
		{"a repeated line counts as often as it says", Options{}, one(with(failed(0, "203.0.113.7", "root"), func(r *parse.Result) { r.Count = 7 })), []string{
			"0s begun fast 203.0.113.7/32 n=7", "0s ended fast 203.0.113.7/32 n=7 unfinished"}},
		{"a /64 is one attacker", Options{}, one(failed(0, "2001:db8::1", "a"), failed(s, "2001:db8::2", "b"), failed(2*s, "2001:db8::3", "c"),
			failed(3*s, "2001:db8::4", "d"), failed(4*s, "2001:db8:0:0:ffff::5", "e")), []string{
			"4s begun fast 2001:db8::/64 n=5", "4s ended fast 2001:db8::/64 n=5 unfinished"}},
		{"many addresses against one account", Options{}, one(failed(0, "203.0.113.1", "alice"), failed(s, "203.0.113.2", "alice"), failed(2*s, "203.0.113.3", "alice"),
			failed(3*s, "203.0.113.4", "alice"), failed(4*s, "203.0.113.5", "alice")), []string{
			"4s begun user alice n=5", "4s ended user alice n=5 unfinished"}},
		{"many addresses against an account that is not there", Options{}, one(
			with(failed(0, "203.0.113.1", "x"), func(r *parse.Result) { r.Invalid, r.Count = true, 4 }), with(failed(0, "203.0.113.2", "x"), func(r *parse.Result) { r.Invalid, r.Count = true, 4 }),
			with(failed(0, "203.0.113.3", "x"), func(r *parse.Result) { r.Invalid, r.Count = true, 4 })), nil},
		{"sudo has no address", Options{}, one(with(failed(0, "", "bob"), func(r *parse.Result) { r.Service, r.Count = "sudo", 5 })), []string{
			"0s begun local bob n=5", "0s ended local bob n=5 unfinished"}},
		{"an ignored network", Options{Ignore: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, flat(many(50, 0, s, "203.0.113.7", "root"), one(accepted(h, "203.0.113.7", "root"))), nil},
		{"a detector of one's own, by network and names", Options{Detectors: []Detector{{Name: "spray", Count: 4, Within: m, By: ByNetwork, Distinct: 3}}},
			one(failed(0, "203.0.113.1", "a"), failed(0, "203.0.113.2", "a"), failed(s, "203.0.113.3", "a"), failed(s, "203.0.113.4", "b"), failed(2*s, "203.0.113.5", "c")), []string{
				"2s begun spray 203.0.113.0/24 n=5", "2s ended spray 203.0.113.0/24 n=5 unfinished"}},
		{"a network in which each mistypes once and gets in, from an address of their own", Options{Detectors: []Detector{{Name: "spray", Count: 4, Within: h, By: ByNetwork, Distinct: 3}}}, one(
			failed(0, "203.0.113.1", "a"), accepted(s, "203.0.113.1", "a"), failed(m, "203.0.113.2", "b"), accepted(m+s, "203.0.113.2", "b"), failed(2*m, "203.0.113.3", "c"), accepted(2*m+s, "203.0.113.3", "c"),
			failed(3*m, "203.0.113.4", "d"), accepted(3*m+s, "203.0.113.4", "d"), failed(4*m, "203.0.113.5", "e")), nil},
		{"a detector of one service", Options{Detectors: []Detector{{Name: "ftp", Count: 2, Within: m, By: ByAddress, Services: []string{"vsftpd"}}}},
			one(failed(0, "203.0.113.1", "a"), failed(0, "203.0.113.1", "a"), with(failed(s, "203.0.113.1", "a"), func(r *parse.Result) { r.Service = "vsftpd" }),
				with(failed(s, "203.0.113.1", "b"), func(r *parse.Result) { r.Service = "vsftpd" })), []string{
				"1s begun ftp 203.0.113.1/32 n=2", "1s ended ftp 203.0.113.1/32 n=2 unfinished"}},

		{"a login after an attack", Options{}, flat(many(214, 0, s, "203.0.113.7", "admin"), one(accepted(h, "203.0.113.7", "admin"))), []string{
			"4s begun fast 203.0.113.7/32 n=5", "18m33s ended fast 203.0.113.7/32 n=214", "1h0m0s success-after admin@203.0.113.7 from=214 against=0"}},
		{"a login in an attack", Options{}, flat(many(6, 0, s, "203.0.113.7", "admin"), one(accepted(10*s, "203.0.113.7", "root"))), []string{
			"4s begun fast 203.0.113.7/32 n=5", "10s success-after root@203.0.113.7 from=6 against=0", "5s ended fast 203.0.113.7/32 n=6 unfinished"}},
		{"the same login is told again an hour later where failures came since", Options{}, flat(many(6, 0, s, "203.0.113.7", "admin"), one(accepted(10*s, "203.0.113.7", "admin"), accepted(30*m, "203.0.113.7", "admin"), accepted(50*m, "203.0.113.7", "admin"), accepted(61*m, "203.0.113.7", "admin"),
			failed(62*m, "203.0.113.7", "admin"), accepted(63*m, "203.0.113.7", "admin"), accepted(64*m, "203.0.113.7", "admin"))), []string{
			"4s begun fast 203.0.113.7/32 n=5", "10s success-after admin@203.0.113.7 from=6 against=0", "15m5s ended fast 203.0.113.7/32 n=6", "1h3m0s success-after admin@203.0.113.7 from=7 against=0"}},
		{"somebody mistypes twice", Options{}, one(failed(0, "203.0.113.7", "alice"), failed(s, "203.0.113.7", "alice"), accepted(2*s, "203.0.113.7", "alice")), nil},
		{"somebody mistypes four times, each day before work", Options{}, flat(many(4, 0, s, "203.0.113.7", "alice"), one(accepted(m, "203.0.113.7", "alice")),
			many(4, 23*h, s, "203.0.113.7", "alice"), one(accepted(23*h+m, "203.0.113.7", "alice")), many(4, 46*h, s, "203.0.113.7", "alice"), one(accepted(46*h+m, "203.0.113.7", "alice"))), nil},
		{"an office behind one address, each of whom mistypes once and gets in", Options{}, one(
			failed(0, "203.0.113.7", "a"), accepted(s, "203.0.113.7", "a"), failed(m, "203.0.113.7", "b"), accepted(m+s, "203.0.113.7", "b"), failed(2*m, "203.0.113.7", "c"), accepted(2*m+s, "203.0.113.7", "c"),
			failed(3*m, "203.0.113.7", "d"), accepted(3*m+s, "203.0.113.7", "d"), failed(4*m, "203.0.113.7", "e"), accepted(4*m+s, "203.0.113.7", "e"), accepted(5*m, "203.0.113.7", "f")), nil},
		{"three other names first", Options{}, one(failed(0, "203.0.113.7", "admin"), failed(s, "203.0.113.7", "test"), failed(2*s, "203.0.113.7", "oracle"), accepted(3*s, "203.0.113.7", "deploy")), []string{
			"3s success-after deploy@203.0.113.7 from=3 against=0"}},
		{"three other names two days before", Options{}, one(failed(0, "203.0.113.7", "admin"), failed(s, "203.0.113.7", "test"), failed(2*s, "203.0.113.7", "oracle"), accepted(48*h, "203.0.113.7", "deploy")), nil},
		{"a login to an account under attack, from an address that has done nothing", Options{}, one(failed(0, "203.0.113.1", "alice"), failed(s, "203.0.113.2", "alice"), failed(2*s, "203.0.113.3", "alice"),
			failed(3*s, "203.0.113.4", "alice"), failed(4*s, "203.0.113.5", "alice"), accepted(5*s, "198.51.100.9", "alice")), []string{
			"4s begun user alice n=5", "5s success-after alice@198.51.100.9 from=0 against=5", "4s ended user alice n=5 unfinished"}},
		{"a second password store: what the first one refused is taken back", Options{}, func() (out []parse.Result) {
			for i := range 20 {
				out = append(out, failed(time.Duration(i)*s, "203.0.113.7", "alice"), with(accepted(time.Duration(i)*s, "203.0.113.7", "alice"), func(r *parse.Result) { r.Retracted = 1 }))
			}
			return out
		}(), nil},
		{"sudo takes back without a login", Options{}, func() (out []parse.Result) {
			for i := range 20 {
				sudo := func(r *parse.Result) { r.Service = "sudo" }
				out = append(out, with(failed(time.Duration(i)*s, "", "bob"), sudo), with(failed(time.Duration(i)*s, "", "bob"), func(r *parse.Result) { r.Outcome, r.Count, r.Retracted = parse.Other, 0, 1 }))
			}
			return out
		}(), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newEngine(t, tt.o)
			var got []Finding
			for _, r := range tt.in {
				got = append(got, g.Take(r)...)
			}
			got = append(got, g.Close()...)
			if diff := cmp.Diff(tt.want, say(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSummaryHasTheNames(t *testing.T) {
	g := newEngine(t, Options{})
	for i, name := range strings.Fields("root root root admin admin test") {
		g.Take(failed(time.Duration(i)*s, "2001:db8::1", name))
	}
	fs := g.Tick(start.Add(h))
	if len(fs) != 1 || fs[0].Kind != Ended {
		t.Fatal(say(fs))
	}
	f := fs[0]
	if diff := cmp.Diff([]Count{{Name: "root", N: 3}, {Name: "admin", N: 2}, {Name: "test", N: 1}}, f.Names.Most); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Count{{Name: "2001:db8::1", N: 6}}, f.Addresses.Most); diff != "" {
		t.Error(diff)
	}
	if !f.First.Equal(start) || !f.Last.Equal(start.Add(5*s)) || !f.Time.Equal(start.Add(5*s+15*m)) || f.Hosts.Most[0].Name != "web1" {
		t.Errorf("%+v", f)
	}
}

func TestTheEndDoesNotDependOnTicks(t *testing.T) {
	run := func(tick bool) []string {
		g := newEngine(t, Options{})
		var got []Finding
		for i := range 40 {
			after := time.Duration(i) * 3 * m
			got = append(got, g.Take(with(failed(after, fmt.Sprintf("203.0.113.%d", i%3), "root"), func(r *parse.Result) { r.Count = 3 }))...)
			if tick {
				for k := range 6 {
					got = append(got, g.Tick(start.Add(after+time.Duration(k)*20*s))...)
				}
			}
		}
		return say(append(got, g.Tick(start.Add(100*h))...))
	}
	without, ticking := run(false), run(true)
	if len(without) < 4 {
		t.Fatal("nothing was found")
	}
	if diff := cmp.Diff(without, ticking); diff != "" {
		t.Error(diff)
	}
}

func TestReputation(t *testing.T) {
	g := newEngine(t, Options{})
	ip := netip.MustParseAddr("203.0.113.7")
	for _, r := range many(4, 0, s, "203.0.113.7", "root") {
		g.Take(r)
	}
	if _, _, ok := g.Reputation(ip); ok {
		t.Error("four wrong passwords make an attacker")
	}
	for _, r := range many(6, 4*s, s, "203.0.113.7", "root") {
		g.Take(r)
	}
	n, last, ok := g.Reputation(netip.MustParseAddr("::ffff:203.0.113.7"))
	if !ok || n != 10 || !last.Equal(start.Add(9*s)) {
		t.Error(n, last, ok)
	}
	k := g.Known()
	if a, ok := k.Lookup(ip, start.Add(29*24*h)); !ok || a.Attempts != 10 || a.Attacks != 1 || !a.First.Equal(start) {
		t.Errorf("%+v %v", a, ok)
	}
	if _, ok := k.Lookup(ip, start.Add(31*24*h)); ok {
		t.Error("known after a month")
	}
	g.Tick(start.Add(31 * 24 * h))
	if _, _, ok := g.Reputation(ip); ok {
		t.Error("known after a month")
	}
}

func TestNewRefuses(t *testing.T) {
	for name, d := range map[string]Detector{
		"no name":    {Count: 1, Within: m, By: ByUser},
		"a bad name": {Name: "a b", Count: 1, Within: m, By: ByUser},
		"no count":   {Name: "a", Within: m, By: ByUser},
		"no window":  {Name: "a", Count: 1, By: ByUser},
		"a year":     {Name: "a", Count: 1, Within: 365 * 24 * h, By: ByUser},
		"no by":      {Name: "a", Count: 1, Within: m},
		"distinct":   {Name: "a", Count: 1, Within: m, By: ByUser, Distinct: 65},
		"twice":      {Name: "same", Count: 1, Within: m, By: ByUser},
	} {
		if _, err := New(Options{Detectors: []Detector{{Name: "same", Count: 1, Within: m, By: ByUser}, d}}); err == nil {
			t.Error(name)
		}
	}
}

// Who comes twice from one address comes a second time, also if that was an attack.
func TestIdentityIsOfATime(t *testing.T) {
	at := start.UnixMilli()
	if identity("login", "192.0.2.1", "alice", at) == identity("login", "192.0.2.1", "alice", at+1) {
		t.Error("two logins have one name")
	}
}
