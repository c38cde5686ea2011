package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/publish"
	"github.com/sshnotify/sshnotify/internal/spool"
	"github.com/sshnotify/sshnotify/internal/state"
	"github.com/sshnotify/sshnotify/internal/watch"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

func TestUsualSources(t *testing.T) {
	for name, c := range map[string]struct {
		journal bool
		files   []string
		want    []string
	}{
		"Debian with a journal":        {true, []string{"/var/log/auth.log"}, []string{"journal"}},
		"and vsftpd, which has a log":  {true, []string{"/var/log/auth.log", "/var/log/vsftpd.log"}, []string{"journal", "vsftpd.log"}},
		"Debian without one":           {false, []string{"/var/log/auth.log"}, []string{"auth.log"}},
		"Fedora without one":           {false, []string{"/var/log/secure", "/var/log/vsftpd.log"}, []string{"secure", "vsftpd.log"}},
		"both names":                   {false, []string{"/var/log/auth.log", "/var/log/secure"}, []string{"auth.log", "secure"}},
		"nothing":                      {false, nil, nil},
		"a journal alone":              {true, nil, []string{"journal"}},
		"a log that is nobody's usual": {false, []string{"/var/log/messages"}, nil},
	} {
		var got []string
		for _, s := range usualSources(func(path string) bool { return slices.Contains(c.files, path) }, c.journal) {
			got = append(got, s.Name)
			if journal := s.Type == source.JournalType; journal != slices.Contains(matches(s), "_COMM=sshd-session") {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// matches are the journal's.
func matches(s source.Named) []string {
	if j, ok := s.Settings.(*source.Journal); ok {
		return j.Match
	}
	return nil
}

func unheard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// press is a publisher whose output is looked at.
func press(t *testing.T, change func(*publish.Settings)) (*publisher, string) {
	t.Helper()
	dir := t.TempDir()
	c := config.Config{Watching: config.Watching{Host: "db1.example.com", Publish: publish.Settings{
		Destinations: []string{"world"}, Dir: filepath.Join(dir, "www"), Names: true, PerHour: 3, MinAttempts: 5,
	}}}
	if change != nil {
		change(&c.Publish)
	}
	p := newPublisher(c, dir, func(netip.Addr) (string, string, uint32) { return "EXAMPLE-NET", "IE", 64500 }, unheard())
	if p != nil {
		p.ours = func(user string) bool { return user == "alice" }
	}
	return p, dir
}

func endedAttack(ip string) attack.Finding {
	a := netip.MustParseAddr(ip)
	net, _ := a.Prefix(a.BitLen())
	at := time.Now().UTC().Add(-time.Hour)
	return attack.Finding{
		Kind: attack.Ended, Attack: "a1" + ip, By: attack.ByAddress, IP: a, Network: net, Attempts: 214, First: at, Last: at.Add(time.Minute), Time: at.Add(11 * time.Minute),
		Names:    attack.Tally{Most: []attack.Count{{Name: "root", N: 200}, {Name: "alice", N: 10}, {Name: "<!channel>@x", N: 4}}},
		Services: attack.Tally{Most: []attack.Count{{Name: "sshd", N: 214}}}, Hosts: attack.Tally{Most: []attack.Count{{Name: "db1", N: 214}}},
	}
}

// What everybody reads has the address as it is, names that mean nothing to
// anybody, and neither a host nor a user of ours.
func TestPublished(t *testing.T) {
	p, dir := press(t, nil)
	f := endedAttack("203.0.113.7")
	got := p.ended(f)
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	e := got[0]
	if e.Host != "" || e.User != "" || e.Labels != nil || !e.Attack.Public || !slices.Equal(e.Attack.Only, []string{"world"}) || !event.ValidID(e.ID) || e.Via != event.ViaWatch || e.Kind != event.KindAttack {
		t.Errorf("%+v, %+v", e, e.Attack)
	}
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"the event": string(data)}
	for _, name := range []string{"www/index.html", "www/feed.json", "published.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(b)
	}
	for name, text := range texts {
		if !strings.Contains(text, "203.0.113.7") || !strings.Contains(text, "214") || !strings.Contains(text, "root") {
			t.Errorf("%s lacks something: %s", name, text)
		}
		for _, bad := range []string{"alice", "db1", "<!channel", "@x"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q: %s", name, bad, text)
			}
		}
	}
	if again := p.ended(f); again != nil {
		t.Errorf("published twice in a day: %+v", again)
	}
}

func TestNotPublished(t *testing.T) {
	change := func(how func(*attack.Finding)) attack.Finding {
		f := endedAttack("203.0.113.7")
		how(&f)
		return f
	}
	for name, f := range map[string]attack.Finding{
		"an account that is attacked": change(func(f *attack.Finding) { f.By, f.User = attack.ByUser, "alice" }),
		"a network":                   change(func(f *attack.Finding) { f.By = attack.ByNetwork }),
		"no address":                  change(func(f *attack.Finding) { f.IP = netip.Addr{} }),
		"few attempts":                change(func(f *attack.Finding) { f.Attempts = 4 }),
		"a private address":           endedAttack("192.168.1.7"),
		"this host":                   endedAttack("127.0.0.1"),
		"a link":                      endedAttack("fe80::1"),
	} {
		p, dir := press(t, nil)
		if got := p.ended(f); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "www")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a page is written, %v", name, err)
		}
	}
}

func TestPublisherSettings(t *testing.T) {
	if p, _ := press(t, func(c *publish.Settings) { c.Destinations, c.Dir = nil, "" }); p != nil {
		t.Error("a publisher without a place to publish")
	}
	p, dir := press(t, func(c *publish.Settings) { c.Destinations, c.Names = nil, false })
	if got := p.ended(endedAttack("203.0.113.7")); got != nil {
		t.Errorf("an event for nobody: %+v", got)
	}
	feed, err := os.ReadFile(filepath.Join(dir, "www/feed.json"))
	if err != nil || strings.Contains(string(feed), "root") {
		t.Errorf("%s, %v", feed, err)
	}
	p, dir = press(t, func(c *publish.Settings) { c.Dir = "" })
	if got := p.ended(endedAttack("203.0.113.7")); len(got) != 1 {
		t.Errorf("%+v", got)
	}
	p.age(time.Now())
	if _, err := os.Stat(filepath.Join(dir, "www")); err == nil {
		t.Error("a page without a place for it")
	}
	// No more than so many an hour.
	p, _ = press(t, nil)
	n := 0
	for _, ip := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.5"} {
		n += len(p.ended(endedAttack(ip)))
	}
	if n != 3 {
		t.Errorf("%d in an hour", n)
	}
}

// The page is there from the start, and what is old goes from it without an
// attack.
func TestPublishedPageAges(t *testing.T) {
	p, dir := press(t, nil)
	page := filepath.Join(dir, "www/index.html")
	has := func() bool {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(b), "203.0.113.7")
	}
	now := time.Now()
	p.age(now)
	if has() {
		t.Error("it has what nobody published")
	}
	p.ended(endedAttack("203.0.113.7"))
	p.age(now.Add(time.Hour))
	if !has() {
		t.Error("it lacks what was published")
	}
	p.age(now.Add(8 * 24 * time.Hour))
	if has() {
		t.Error("it has what is a week old")
	}
}

func TestIsAccount(t *testing.T) {
	for name, want := range map[string]bool{"root": false, "daemon": true, "DAEMON": true, "no such user": false, "": false, "../etc": false} {
		if got := isAccount(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// place with a watcher of its own.
func (p *place) watcher(ctx context.Context, settings string) error {
	p.write("config.toml", "state_dir = "+quoted(filepath.Join(p.home, "state"))+"\nspool_dir = "+quoted(filepath.Join(p.home, "spool"))+"\n"+settings)
	a := p.app()
	a.configFile = filepath.Join(p.home, "config.toml")
	return (&watchOptions{app: a}).run(ctx)
}

func quoted(s string) string { b, _ := json.Marshal(s); return string(b) }

// Two watchers with one memory would each undo what the other counts.
func TestSecondWatcherIsRefused(t *testing.T) {
	p := newAccount(t)
	dir := filepath.Join(p.home, "state/watch")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		t.Fatal(ok, err)
	}
	err := p.watcher(t.Context(), "[source.auth]\npath = "+quoted(filepath.Join(p.home, "auth.log"))+"\n")
	if err == nil || !strings.Contains(err.Error(), "another sshnotify watch is at it") || exitCode(err) != exitFailed {
		t.Errorf("exit %d: %v", exitCode(err), err)
	}
	if _, err := os.Stat(filepath.Join(dir, "attacks.jsonl")); err == nil {
		t.Error("it wrote something")
	}
	lock.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.watcher(ctx, "[source.auth]\npath = "+quoted(filepath.Join(p.home, "auth.log"))+"\n"); err != nil {
		t.Errorf("alone: %v", err)
	}
}

// A source that can't be watched is an error that names it.
func TestWatchSourceThatIsNone(t *testing.T) {
	p := newAccount(t)
	p.write("plain", "no pipe")
	err := p.watcher(t.Context(), "[source.snort]\ntype = \"pipe\"\npath = "+quoted(filepath.Join(p.home, "plain"))+"\n")
	if err == nil || !strings.Contains(err.Error(), "is not a named pipe") {
		t.Errorf("%v", err)
	}
}

// What is counted survives; what is damaged is begun anew, and said.
func TestWatchStore(t *testing.T) {
	dir := t.TempDir()
	var said bytes.Buffer
	s := &watchStore{dir: dir, log: slog.New(slog.NewTextHandler(&said, nil))}
	engine, book, err := s.load(attack.Options{})
	if err != nil || said.Len() > 0 {
		t.Fatal(err, said.String())
	}
	at := time.Now().UTC().Truncate(time.Second)
	for range 6 {
		engine.Take(parse.Result{Outcome: parse.Failure, Time: at, IP: netip.MustParseAddr("203.0.113.7"), User: "root", Service: "sshd", Count: 1})
	}
	book.Due = at
	w := &watch.Watcher{Attacks: engine, Book: book}
	if err := s.save(w); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{attacksFile: 0o600, bookFile: 0o600, watch.StatsFile: 0o600, knownFile: 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	p := &attackers{file: filepath.Join(dir, knownFile), now: time.Now}
	if f, err := p.Lookup(t.Context(), netip.MustParseAddr("203.0.113.7")); err != nil || f.Risk == nil || !strings.HasPrefix(f.Risk.Reason, "6 failed logins here") {
		t.Errorf("%+v, %v", f, err)
	}

	engine, book, err = s.load(attack.Options{})
	if err != nil || said.Len() > 0 || !book.Due.Equal(at) {
		t.Fatal(err, said.String(), book)
	}
	if n, _, ok := engine.Reputation(netip.MustParseAddr("203.0.113.7")); !ok || n != 6 {
		t.Errorf("%d attempts, %v", n, ok)
	}
	for _, name := range []string{attacksFile, bookFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"v":1,`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, book, err = s.load(attack.Options{})
	if err != nil || engine == nil || book == nil || !strings.Contains(said.String(), "counted anew") {
		t.Errorf("%v, %s", err, said.String())
	}
}

// A kill between the book and the engine must find an attack that ended in both,
// not in neither: then it is entered once, and in the digest.
func TestWatchStoreKeepsTheBookFirst(t *testing.T) {
	dir := t.TempDir()
	s := &watchStore{dir: dir, log: unheard()}
	engine, book, err := s.load(attack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	book.More = 7
	if err := os.MkdirAll(filepath.Join(dir, attacksFile, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.save(&watch.Watcher{Attacks: engine, Book: book}); err == nil {
		t.Error("the engine was not kept, and that is no error")
	}
	if b := state.Read[watch.Book](filepath.Join(dir, bookFile)); b.More != 7 {
		t.Errorf("the book: %+v", b)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// An event is queued however often that fails, until the watcher is told to
// end; what can be stored never is no reason to wait.
func TestPutPatiently(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := spool.Open(spool.Options{Dir: dir})
	e := event.Event{ID: event.NewID(), Kind: event.KindAttack, Time: time.Now(), Via: event.ViaWatch, Attack: &event.Attack{Note: event.Note{Title: "x"}}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // no folder
		t.Fatal(err)
	}
	if err := putPatiently(ctx, s, e, unheard()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is once
		if err := putPatiently(ctx, s, e, unheard()); err != nil {
			t.Errorf("error %v", err)
		}
	}
	if all, _ := filepath.Glob(filepath.Join(dir, "new", "*.json")); len(all) != 1 {
		t.Errorf("queued: %q", all)
	}
}
