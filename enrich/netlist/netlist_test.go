package netlist

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

func score(n int) *int { return &n }

func TestNewRefuses(t *testing.T) {
	url := outbound.NewSecret("https://lists.example.com/tor?key=geheim")
	ok := Options{Name: "tor", URL: url, Client: outbound.New(outbound.Options{}), StateDir: t.TempDir()}
	for _, row := range []struct {
		name   string
		change func(*Options)
	}{
		{"neither a path nor a URL", func(o *Options) { o.URL = outbound.Secret{} }},
		{"both", func(o *Options) { o.Path = "/etc/list" }},
		{"plain http", func(o *Options) { o.URL = outbound.NewSecret("http://lists.example.com/geheim") }},
		{"a file URL", func(o *Options) { o.URL = outbound.NewSecret("file:///etc/geheim") }},
		{"a score below", func(o *Options) { o.Score = score(-1) }},
		{"a score above", func(o *Options) { o.Score = score(101) }},
		{"a score for those who are expected", func(o *Options) { o.Score, o.Allow = score(10), true }},
		{"an unknown trait", func(o *Options) { o.Trait = "evil" }},
		{"every second", func(o *Options) { o.Refresh = time.Second }},
		{"less than nothing", func(o *Options) { o.Refresh = -time.Hour }},
		{"no client", func(o *Options) { o.Client = nil }},
		{"no state folder", func(o *Options) { o.StateDir = "" }},
		{"a name that leads elsewhere", func(o *Options) { o.Name = "../tor" }},
	} {
		o := ok
		row.change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s was taken", row.name)
		} else if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the URL is in the error: %v", row.name, err)
		}
	}
	l, err := New(ok)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestFacts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte("192.0.2.0/24\n2001:db8::/32\nnonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	on, off := "192.0.2.1", "198.51.100.1"
	for _, row := range []struct {
		name string
		o    Options
		ip   string
		want event.Facts
	}{
		{"on a list without more", Options{}, on, event.Facts{Traits: event.Traits{Lists: []string{"mine"}}}},
		{"mapped into IPv6", Options{}, "::ffff:192.0.2.1", event.Facts{Traits: event.Traits{Lists: []string{"mine"}}}},
		{"IPv6 with a zone", Options{}, "2001:db8::1%eth0", event.Facts{Traits: event.Traits{Lists: []string{"mine"}}}},
		{"on none", Options{}, off, event.Facts{}},
		{"a score", Options{Title: "Tor exits", Label: "Tor exit", Score: score(75), Trait: TraitTor}, on, event.Facts{
			Risk:   &event.Risk{Provider: "Tor exits", Known: true, Score: 75, Reason: "Tor exit"},
			Traits: event.Traits{Tor: "Tor exits", Lists: []string{"Tor exit"}}}},
		{"on no list is not safe", Options{Title: "Tor exits", Score: score(75), Trait: TraitTor}, off, event.Facts{}},
		{"the score 0 is one", Options{Score: score(0)}, on, event.Facts{
			Risk: &event.Risk{Provider: "mine", Known: true, Reason: "mine"}, Traits: event.Traits{Lists: []string{"mine"}}}},
		{"VPN", Options{Trait: TraitVPN}, on, event.Facts{Traits: event.Traits{VPN: "mine", Lists: []string{"mine"}}}},
		{"proxy", Options{Trait: TraitProxy}, on, event.Facts{Traits: event.Traits{Proxy: "mine", Lists: []string{"mine"}}}},
		{"hosting", Options{Trait: TraitHosting}, on, event.Facts{Traits: event.Traits{Hosting: "mine", Lists: []string{"mine"}}}},
		{"mobile", Options{Trait: TraitMobile}, on, event.Facts{Traits: event.Traits{Mobile: "mine", Lists: []string{"mine"}}}},
		{"a label that hides something", Options{Label: "bad\u202e\n"}, on, event.Facts{Traits: event.Traits{Lists: []string{`bad\u202e\u000a`}}}},
	} {
		o := row.o
		o.Name, o.Path = "mine", path
		l, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.Lookup(t.Context(), netip.MustParseAddr(row.ip))
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
		if info := l.Info(); info.Allow != row.o.Allow || !info.Local || info.GivesRisk {
			t.Errorf("%s: %+v", row.name, info)
		}
		if s := l.Status(t.Context()); s.Lines != 2 || s.Skipped != 1 || s.AsOf.IsZero() || s.Problem != nil {
			t.Errorf("%s: %+v", row.name, s)
		}
		if _, err := l.Lookup(t.Context(), netip.Addr{}); err != nil {
			t.Errorf("%s: no address at all: %v", row.name, err)
		}
		l.Close()
	}
}

// Each step is what somebody does to the file, and what is then said of
// 192.0.2.1 and 198.51.100.1, which the first and the second state hold.
func TestFileIsReadAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	put := func(text string) func() {
		return func() {
			if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
	}
	clock := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	l, err := New(Options{Name: "mine", Path: path, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, step := range []struct {
		name    string
		do      func()
		pass    time.Duration
		first   bool // 192.0.2.1 is on it
		second  bool // 198.51.100.1 is
		problem string
	}{
		{"it is not there yet", func() {}, 0, false, false, "there is no such file"},
		{"it is made, a moment later", put("192.0.2.1\n"), lookEvery / 2, false, false, "there is no such file"},
		{"it is seen", func() {}, lookEvery, true, false, ""},
		{"it is replaced", put("198.51.100.1\n"), lookEvery, false, true, ""},
		{"by something that is no list", put("hello\n"), lookEvery, false, true, "no line of it"},
		{"still", func() {}, lookEvery, false, true, "no line of it"},
		{"by a web page", put("<html>192.0.2.1"), lookEvery, false, true, "web page"},
		{"it is removed", func() { os.Remove(path) }, lookEvery, false, true, "there is no such file"},
		{"a folder is in its place", func() { os.Mkdir(path, 0o755) }, lookEvery, false, true, "not a regular file"},
		{"a FIFO is", func() { os.Remove(path); syscall.Mkfifo(path, 0o644) }, lookEvery, false, true, "not a regular file"},
		{"it is much too big", func() { put("192.0.2.1\n")(); os.Truncate(path, maxBytes+1) }, lookEvery, false, true, "larger"},
		{"it is back, and the clock was put back", put("192.0.2.1\n"), -time.Hour, true, false, ""},
	} {
		l.runs.Wait() // a look that is not over yet saw what was before
		step.do()
		clock = clock.Add(step.pass)
		for ip, want := range map[string]bool{"192.0.2.1": step.first, "198.51.100.1": step.second} {
			got, err := l.Lookup(t.Context(), netip.MustParseAddr(ip))
			if (len(got.Traits.Lists) > 0) != want {
				t.Errorf("%s: %s is on the list: %v", step.name, ip, !want)
			}
			if step.problem == "" && err != nil || step.problem != "" && (err == nil || !strings.Contains(err.Error(), step.problem)) {
				t.Errorf("%s: %v", step.name, err)
			}
			if e, ok := err.(*Error); err != nil && (!ok || !strings.Contains(e.Error(), path)) {
				t.Errorf("%s: %v does not name the file", step.name, err)
			}
		}
	}
}

func TestLookupAfterTheEnd(t *testing.T) {
	l, err := New(Options{Name: "mine", Path: filepath.Join(t.TempDir(), "list")})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if f, err := l.Lookup(ctx, netip.MustParseAddr("192.0.2.1")); !cmp.Equal(f, event.Facts{}) || err != nil {
		t.Errorf("%+v, %v", f, err)
	}
}

func BenchmarkLookup100000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "list")
	if err := os.WriteFile(path, []byte(many(100_000)), 0o644); err != nil {
		b.Fatal(err)
	}
	l, err := New(Options{Name: "mine", Path: path, Score: score(50)})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for name, ip := range map[string]string{"on it": "1.128.64.1", "not on it": "1.128.64.200"} {
		addr := netip.MustParseAddr(ip)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Lookup(b.Context(), addr); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
