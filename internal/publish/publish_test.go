package publish

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func now() time.Time { return time.Date(2026, 11, 21, 2, 15, 4, 123, time.UTC) }

func entry(ip string, ago time.Duration) Entry {
	return Entry{IP: netip.MustParseAddr(ip), Service: "sshd", Attempts: 214, First: now().Add(-ago - time.Hour), Last: now().Add(-ago),
		ASN: 64500, Network: "EXAMPLE-NET - Example Networks, Inc.", Country: "IE", Names: []string{"root", "admin"}}
}

func hostile() Entry {
	e := entry("198.51.100.7", 2*time.Hour)
	e.Service, e.Country = "<b>", "</td>"
	e.Network = `"><script src=//evil.example></script>`
	e.Names = []string{"", "@channel", "</td><script>alert(1)</script>", "https://evil.example/x", "*a* _b_ `c`", "a\u202eb", "\x00", "203.0.113.99", "＠x", "root\nroot", "&lt;"}
	return e
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestWrite(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077)) // a web server must read what a careful service writes
	bare := Entry{IP: netip.MustParseAddr("2001:db8::7"), Service: "vsftpd", Attempts: 5, Last: now().Add(-3 * time.Hour)}
	gone, private := entry("203.0.113.1", kept), entry("10.0.0.1", 0)
	for name, entries := range map[string][]Entry{
		"some": {bare, entry("203.0.113.7", time.Hour), gone, hostile(), private, entry("::ffff:203.0.113.8", 0)},
		"none": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "attackers")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			// A link that stands in the way is replaced, and not written through.
			target := filepath.Join(filepath.Dir(dir), "target")
			if err := os.Symlink(target, filepath.Join(dir, PageName)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := Write(dir, entries, now()); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := os.Lstat(target); err == nil {
				t.Error("written through a link")
			}
			files, err := os.ReadDir(dir)
			if err != nil || len(files) != 2 {
				t.Errorf("%v %v", files, err)
			}
			for _, f := range files {
				if info, err := f.Info(); err != nil || info.Mode() != 0o644 {
					t.Errorf("%s: %v %v", f.Name(), info.Mode(), err)
				}
				data, err := os.ReadFile(filepath.Join(dir, f.Name()))
				if err != nil {
					t.Fatal(err)
				}
				golden(t, name+"-"+f.Name(), data)
				if f.Name() == PageName {
					checkPage(t, data)
				}
			}
		})
	}
	if err := Write(filepath.Join(t.TempDir(), "a", "b"), nil, now()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder in none: %v", err)
	}
}

// checkPage holds a page against what HTML and we ask of it.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	if !strings.HasPrefix(string(page), "<!DOCTYPE html>\n<html lang=\"en\">") {
		t.Error("no HTML5")
	}
	inside := map[string][]string{
		"": {"html"}, "html": {"head", "body"}, "head": {"meta", "title", "link", "style"}, "body": {"main"}, "main": {"h1", "p", "div"},
		"p": {"time", "a"}, "div": {"table"}, "table": {"thead", "tbody"}, "thead": {"tr"}, "tbody": {"tr"}, "tr": {"th", "td"}, "td": {"time"},
	}
	d := xml.NewDecoder(strings.NewReader(string(page)))
	var open []string
	cells, columns := 0, 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			parent := ""
			if len(open) > 0 {
				parent = open[len(open)-1]
			}
			name := x.Name.Local
			if !slices.Contains(inside[parent], name) {
				t.Errorf("%s in %q", name, parent)
			}
			open = append(open, name)
			switch name {
			case "tr":
				cells = 0
			case "th", "td":
				cells++
			}
			for _, a := range x.Attr {
				switch k := a.Name.Local; {
				case k == "href" && a.Value != FeedName, k == "src", k == "id", strings.HasPrefix(k, "on"):
					t.Errorf("%s=%q", k, a.Value)
				}
			}
		case xml.EndElement:
			open = open[:len(open)-1]
			if x.Name.Local == "tr" {
				if columns == 0 {
					columns = cells
				} else if cells != columns {
					t.Errorf("%d cells in %d columns", cells, columns)
				}
			}
		}
	}
}

func TestFeedIsBounded(t *testing.T) {
	var all []Entry
	for i := range maxEntries + 10 {
		e := entry("203.0.113.7", time.Duration(i)*time.Second)
		e.IP = netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		all = append(all, e)
	}
	all[0].Names = slices.Repeat([]string{"a"}, 100)
	for i := range 100 {
		all[1].Names = append(all[1].Names, fmt.Sprint("n", i))
	}
	slices.Reverse(all)
	dir := t.TempDir()
	if err := Write(dir, all, now()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, FeedName))
	if err != nil {
		t.Fatal(err)
	}
	var f Feed
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Entries) != maxEntries || f.Entries[0].IP != "203.0.0.0" || len(f.Entries[0].Names) != 1 || len(f.Entries[1].Names) != maxNames {
		t.Errorf("%d entries, %+v", len(f.Entries), f.Entries[:2])
	}
}

func TestText(t *testing.T) {
	long := entry("2001:db8::7", 0)
	long.Names, long.Attempts, long.First = strings.Fields("administrator postgresql elasticsearch minecraft teamspeak zabbix jenkins ansible terraform kubernetes nagios gitlab-runner"), 1, long.Last
	for _, row := range []struct {
		situation   string
		e           Entry
		title, text string
	}{
		{"usual", entry("203.0.113.7", 0), "214 attempts to log in from 203.0.113.7 (sshd)",
			"203.0.113.7 made 214 attempts to log in by sshd from 21 Nov 2026 01:15 to 21 Nov 2026 02:15 UTC; network: AS64500 EXAMPLE-NET - Example Networks, Inc. (IE); names tried: root, admin"},
		{"many names", long, "1 attempt to log in from 2001:db8::7 (sshd)",
			"2001:db8::7 made 1 attempt to log in by sshd on 21 Nov 2026 02:15 UTC; network: AS64500 EXAMPLE-NET - Example Networks, Inc. (IE); names tried: administrator, postgresql, elasticsearch, minecraft, teamspeak, zabbix, jenkins, ansible, terraform, kubernetes and others"},
		{"little is known", Entry{IP: netip.MustParseAddr("203.0.113.7"), Service: "vsftpd", Attempts: 5, Country: "IE"},
			"5 attempts to log in from 203.0.113.7 (vsftpd)", "203.0.113.7 made 5 attempts to log in by vsftpd; network: IE"},
	} {
		title, text := Text(row.e)
		if title != row.title || text != row.text {
			t.Errorf("%s: %s\n%s", row.situation, title, text)
		}
	}
	title, text := Text(hostile())
	if strings.ContainsAny(title+text, "@<>*_`\n\u202e") || strings.Contains(text, "://") || strings.Contains(text, "203.0.113.99") {
		t.Errorf("%s\n%s", title, text)
	}
}

func TestBook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "published.json")
	b := NewLog(Options{Path: path, PerHour: 3, MinAttempts: 5, Names: true})
	few, none := entry("203.0.113.9", 0), entry("203.0.113.9", 0)
	few.Attempts, none.IP = 4, netip.Addr{}
	const again, full = "it was published in the last day", "3 were published in the last hour"
	for _, row := range []struct {
		situation string
		after     time.Duration
		e         Entry
		why       string
	}{
		{"the first", 0, entry("203.0.113.1", 0), ""},
		{"the same again", time.Minute, entry("203.0.113.1", 0), again},
		{"written as IPv6", time.Minute, entry("::ffff:203.0.113.1", 0), again},
		{"few attempts", time.Minute, few, "4 attempts, fewer than 5"},
		{"no address", time.Minute, none, "the address is not public"},
		{"a private address", time.Minute, entry("192.168.1.1", 0), "the address is not public"},
		{"a shared address", time.Minute, entry("100.64.0.1", 0), "the address is not public"},
		{"loopback", time.Minute, entry("::1", 0), "the address is not public"},
		{"IPv6", 2 * time.Minute, entry("2001:db8::1", 0), ""},
		{"its neighbour", 2 * time.Minute, entry("2001:db8::2", 0), again},
		{"another network", 3 * time.Minute, entry("2001:db8:0:1::1", 0), ""},
		{"one too many", 4 * time.Minute, entry("203.0.113.2", 0), full},
		{"an hour after the first", time.Hour, entry("203.0.113.2", 0), ""},
		{"the clock was set back", -10 * time.Minute, entry("203.0.113.1", 0), again},
		{"a day later, not quite", 24*time.Hour - time.Second, entry("203.0.113.1", 0), again},
		{"a day later", 24 * time.Hour, entry("203.0.113.1", 0), ""},
	} {
		ok, why := b.Admit(now().Add(row.after), row.e)
		if ok != (row.why == "") || why != row.why {
			t.Errorf("%s: %v %q, want %q", row.situation, ok, why, row.why)
		}
		skipped := 0
		if row.why == full {
			skipped = 1
		}
		if n := b.Skipped(); n != skipped || b.Skipped() != 0 {
			t.Errorf("%s: %d were skipped, want %d, and once", row.situation, n, skipped)
		}
		b = NewLog(b.o) // another process
	}
	ips := func(at time.Time) (s []string) {
		for _, e := range b.Entries(at) {
			s = append(s, e.IP.String())
		}
		return s
	}
	if diff := cmp.Diff([]string{"203.0.113.1", "203.0.113.2", "2001:db8:0:1::1", "2001:db8::1", "203.0.113.1"}, ips(now().Add(25*time.Hour))); diff != "" {
		t.Error(diff)
	}
	if got := ips(now().Add(kept)); len(got) != 4 {
		t.Errorf("after a week: %v", got)
	}
	if e := b.Entries(now().Add(25 * time.Hour))[0]; !slices.Equal(e.Names, []string{"root", "admin"}) {
		t.Errorf("%+v", e)
	}
	o := b.o
	o.Names = false
	if e := NewLog(o).Entries(now().Add(25 * time.Hour))[0]; e.Names != nil {
		t.Errorf("names that must not be told any more: %+v", e)
	}
}

// What is given with names switched off is not even written down.
func TestBookWithoutNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "published.json")
	if ok, why := NewLog(Options{Path: path, PerHour: 1}).Admit(now(), entry("203.0.113.1", 0)); !ok {
		t.Fatal(why)
	}
	data, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(data), "admin") {
		t.Errorf("%s %v", data, err)
	}
}

func TestBookThatCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if ok, why := NewLog(Options{Path: path + "/published.json"}).Admit(now(), entry("203.0.113.1", 0)); ok || !strings.HasPrefix(why, "it could not be written down: ") {
		t.Errorf("%v %q", ok, why)
	}
}

// Several watchers at once publish no more than one does.
func TestBookTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "published.json")
	var wg sync.WaitGroup
	var mu sync.Mutex
	n := 0
	for i := range 16 {
		wg.Go(func() {
			if ok, _ := NewLog(Options{Path: path, PerHour: 5}).Admit(now(), entry(fmt.Sprintf("203.0.113.%d", i%8), 0)); ok {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if n != 5 {
		t.Errorf("%d were published", n)
	}
}

func FuzzPage(f *testing.F) {
	f.Add("root", "sshd", "Example", "IE")
	f.Add("</td><script>", "&amp;", "\x00]]>", "\"'")
	f.Fuzz(func(t *testing.T, name, service, network, country string) {
		e := entry("203.0.113.7", 0)
		e.Names, e.Service, e.Network, e.Country = []string{name, network}, service, network, country
		all := shown([]Entry{e}, now())
		checkPage(t, page(all, now()))
		data, err := feed(all, now())
		if err != nil || !json.Valid(data) {
			t.Errorf("%s %v", data, err)
		}
		title, text := Text(e)
		if strings.ContainsAny(title+text, "@<>*_`\n") {
			t.Errorf("%s\n%s", title, text)
		}
	})
}
