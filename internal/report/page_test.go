package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

var update = flag.Bool("update", false, "write the golden pages anew")

func draw(t testing.TB, p Page) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The pages are also what the pictures in docs are made of.
func TestGoldenPages(t *testing.T) {
	for name, mask := range map[string]bool{"page.html": false, "masked.html": true} {
		b, r := sample(mask)
		got, file := draw(t, b.Page(r)), filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (go test ./internal/report -update writes it anew): %s", name, diff)
		}
	}
}

// The map is what tools/worldmap made of Natural Earth's data.
func TestMapIsAsItWasMade(t *testing.T) {
	for name, row := range map[string]struct{ text, sum string }{
		"world.path": {worldPath, "9ca560229711aa40d318337657d78effe178ae42c448e5a9343be02bb06e56ac"},
		"places.txt": {worldPlaces, "7621197f3323d322f2726a48fb9cae4893d47260110bc89b85676af630b4b33b"},
	} {
		if sum := sha256.Sum256([]byte(row.text)); hex.EncodeToString(sum[:]) != row.sum {
			t.Errorf("%s has the sum %x", name, sum)
		}
	}
	for code, want := range map[string][2]float64{"IE": {53, -8}, "FR": {46, 2}, "FJ": {-18, 178}, "MT": {36, 14}, "AU": {-25, 134}} {
		if lat, lon, ok := middle(code); !ok || lat-want[0] > 2 || want[0]-lat > 2 || lon-want[1] > 2 || want[1]-lon > 2 {
			t.Errorf("%s is at %v, %v", code, lat, lon)
		}
	}
	for _, code := range []string{"", "X", "ZZ", "IE ", "53", "\n", ". "} {
		if lat, lon, ok := middle(code); ok {
			t.Errorf("%q is at %v, %v", code, lat, lon)
		}
	}
}

// names are what a stranger may have for a name; slackmsg and cmd/sshnotify have the
// like, for what chats act on.
var names = map[string]string{
	"a script":                `<script>alert(1)</script>`,
	"the end of a cell":       `</td></tr></table><script>alert(1)</script>`,
	"the end of a title":      `</title></svg><img src=x onerror=alert(1)>`,
	"the end of the style":    `</style><style>*{display:none}</style>`,
	"the end of an attribute": `" onmouseover="alert(1)" x="`,
	"single quotes":           `' onclick='alert(1)`,
	"a comment":               `<!-- x --!> -->`,
	"a link":                  `<a href="javascript:alert(1)">x</a>`,
	"a meta tag":              `<meta http-equiv="refresh" content="0;url=https://evil.example/">`,
	"a template":              `{{.User}} ${7*7} {{template "more" 1}}`,
	"an entity":               `&lt;b&gt; &amp;amp; &#60;script&#62;`,
	"half an entity":          `&#x3c`,
	"CDATA":                   `<![CDATA[ x ]]>`,
	"a processing order":      `<?xml version="1.0"?>`,
	"newlines":                "alice\nroot\r\nadmin",
	"Unicode's line breaks":   "a\u2028b\u2029c\u0085d\vd\ff",
	"bidi override":           "\u202egnp.exe\u202c",
	"bidi isolate":            "\u2067abc\u2069",
	"zero-width":              "ro\u200bot\u200c\u200d\ufeff",
	"odd spaces":              "a\u00a0b\u3000c\u3164d\u2800e",
	"tags":                    "a\U000e0041\U000e0042",
	"NUL":                     "a\x00b",
	"invalid UTF-8":           "a\xff\xfe\xc3b\xe2\x80",
	"a terminal's title":      "\x1b]0;pwned\x07\x1b[31mroot\x1b[0m",
	"C1 controls":             "\u009b31mroot",
	"combining marks":         "a" + strings.Repeat("\u0301", 300),
	"10,000 characters":       strings.Repeat("A", 10000),
	"10,000 ampersands":       strings.Repeat("&", 10000),
	"10,000 overrides":        strings.Repeat("\u202e", 10000),
	"wide characters":         strings.Repeat("漢", 200),
	"right to left letters":   "שלום",
	"a path of SVG":           `M0 0" fill="url(https://evil.example/x)`,
	"only spaces":             "   ",
	"UTF-7":                   "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
	"a formula":               `=HYPERLINK("https://evil.example/","x")`,
	"a network that is none":  "net:<b>x</b>",
}

// everywhere makes a page with a text in each place that one comes to.
func everywhere(s string, mask bool) Page {
	now := sampleNow
	ip := netip.MustParseAddr("203.0.113.7")
	b := NewBuilder(Options{Since: now.AddDate(0, 0, -1), Now: now, Zone: time.UTC, Mask: mask, People: map[string]Person{s: {Keys: []string{s}, Accounts: []string{s}}},
		Locate: func(netip.Addr) (string, string) { return s, s }})
	for i, e := range []history.Entry{
		{Key: s}, {CA: s, KeyID: s, Key: s}, {Key: "other " + s, Method: s}, {Method: s},
	} {
		e.ID, e.Time, e.User, e.Host, e.Service, e.IP, e.ASName, e.Source = s+fmt.Sprint(i), now.Add(time.Duration(i-10)*time.Minute), s, s, s, ip, s, history.SourceSeen
		e.Place = event.Place{City: s, Region: s, Country: s, Source: s, Point: &event.Point{Lat: 53, Lon: -6}}
		e.Severity, e.Reasons, e.Untaught = event.Critical, []string{s, "new_country"}, true
		b.Add(e)
	}
	return b.Page(Rest{
		Host: s, Hub: true, Remembered: now, Watched: true, Unread: []string{s},
		Alarms:       []history.Alarm{{ID: s, User: s, Place: s, Severity: event.High, Told: now, Since: now, Count: 2, Reasons: []string{s}, Hosts: []string{s, "x"}}},
		Acknowledged: map[string]history.Acknowledgement{s + "1": {By: s, Note: s, Session: s, Event: s}},
		Attackers:    []attack.Attacker{{Network: netip.PrefixFrom(ip, 32), Attempts: 9, First: now, Last: now}},
		Failures:     []Failures{{Host: s, Time: now.Add(-time.Hour), Attempts: 9, Names: []event.Count{{Name: s, N: 9}}}},
		Hosts:        []HostState{{Name: s, Beat: now, Version: s}},
	})
}

// skeleton is a page without its text: elements and attributes, but for the values
// that name something.
func skeleton(t *testing.T, page []byte) (shape []string, text string) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	var walk func(*html.Node, int)
	walk = func(n *html.Node, depth int) {
		switch n.Type {
		case html.TextNode:
			if n.Parent.Data != "style" {
				all.WriteString(n.Data + "\n")
			}
		case html.CommentNode, html.DoctypeNode:
			shape = append(shape, fmt.Sprint(depth, " ", n.Type, n.Data))
		case html.ElementNode:
			line := fmt.Sprint(depth, " ", n.Data)
			for _, a := range n.Attr {
				line += fmt.Sprintf(" %s=%q", a.Key, a.Val)
			}
			shape = append(shape, line)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, depth+1)
		}
	}
	walk(root, 0)
	return shape, all.String()
}

// Whatever somebody is called, the page has the elements and attributes that it has for
// a harmless name, and shows the name in the harmless form that all of sshnotify does.
func TestNamesStayText(t *testing.T) {
	for _, mask := range []bool{false, true} {
		want, _ := skeleton(t, draw(t, everywhere("plain", mask)))
		for name, s := range names {
			t.Run(fmt.Sprintf("%s, masked %v", name, mask), func(t *testing.T) {
				page := draw(t, everywhere(s, mask))
				got, text := skeleton(t, page)
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("the page is another: %s", diff)
				}
				if bad := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && event.Clean(string(r), 99) != string(r) && r != ' ' }); bad >= 0 {
					t.Errorf("it shows %q", text[bad:min(len(text), bad+20)])
				}
				if shown := event.Clean(s, maxText); !mask && strings.TrimSpace(s) != "" && strings.Count(text, shown) < 15 {
					t.Errorf("%q stands there %d times", shown, strings.Count(text, shown))
				}
				if n := len(page); n > 60<<10 {
					t.Errorf("it has %d bytes", n)
				}
			})
		}
	}
}

// A browser heeds the style by its hash, and nothing else.
func TestPolicyHasTheStyle(t *testing.T) {
	b, r := sample(false)
	root, err := html.Parse(bytes.NewReader(draw(t, b.Page(r))))
	if err != nil {
		t.Fatal(err)
	}
	styles, policy := 0, ""
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script", "link", "img", "iframe", "object", "embed", "form", "base", "use", "image", "foreignObject":
			t.Errorf("the page has an element %s", n.Data)
		case "style":
			styles++
			sum := sha256.Sum256([]byte(n.FirstChild.Data))
			if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(Policy(), "'sha256-"+hash+"'") {
				t.Errorf("the policy %s has not the hash %s", Policy(), hash)
			}
		}
		for _, a := range n.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") || a.Key == "href" && !strings.HasPrefix(a.Val, "#") || a.Key == "src" || strings.Contains(a.Val, "url(") {
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			}
			if n.Data == "meta" && a.Val == "Content-Security-Policy" {
				policy = n.Attr[1].Val
			}
		}
	}
	if styles != 1 || policy != Policy() {
		t.Errorf("%d styles, and the policy %q", styles, policy)
	}
}

// A page that is handed on names nobody, and no address.
func TestMaskedPageNamesNobody(t *testing.T) {
	open, r := sample(false)
	masked, _ := sample(true)
	r.Acknowledged = map[string]history.Acknowledgement{open.odd[0].ID: {By: "chiara"}}
	_, before := skeleton(t, draw(t, open.Page(r)))
	_, after := skeleton(t, draw(t, masked.Page(r)))
	for _, s := range []string{"alice", "Alice", "bob", "Okafor", "chiara", "Rossi", "dave", "Lindqvist", "deploy", "192.0.2.10", "198.51.100.66", "Dublin", key(9), "postgres"} {
		if !strings.Contains(before, s) {
			t.Errorf("the open page has no %s", s)
		}
		if strings.Contains(after, s) {
			t.Errorf("the masked page has %s: %s", s, after[max(0, strings.Index(after, s)-100):][:200])
		}
	}
	for _, s := range []string{"a.", "b.", "c.", "d.2", "198.51.100.0/24", "root", "Ireland", "EXAMPLE-HOME"} {
		if !strings.Contains(after, s) {
			t.Errorf("the masked page has no %s", s)
		}
	}
}
