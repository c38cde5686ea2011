package docs

import (
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"html"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

var update = flag.Bool("update", false, "redraw the messages")

// goldens is where slackmsg's tests keep what a message looks like.
const goldens = "../slackmsg/testdata/"

// check compares a file with what should be in it, or with -update writes that.
func check(t *testing.T, file, want string) {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	if string(got) == want {
		return
	}
	if !*update {
		t.Errorf("%s is out of date: go test ./docs -update, and look at the difference", file)
	} else if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each <!-- drawing NAME --> is followed by the golden message of that name.
func TestDrawings(t *testing.T) {
	page, err := os.ReadFile("messages.md")
	if err != nil {
		t.Fatal(err)
	}
	marks := regexp.MustCompile("<!-- drawing ([a-z0-9-]+) -->\n(?:```text\n(?s:.*?)```\n)?")
	if n := len(marks.FindAllIndex(page, -1)); n < 15 {
		t.Errorf("only %d drawings", n)
	}
	check(t, "messages.md", marks.ReplaceAllStringFunc(string(page), func(s string) string {
		name := marks.FindStringSubmatch(s)[1]
		text, err := os.ReadFile(goldens + name + ".txt")
		if err != nil {
			t.Error(err)
		}
		return fmt.Sprintf("<!-- drawing %s -->\n```text\n%s```\n", name, text)
	}))
}

// The values of templates are those that there are, and the example is right.
func TestTemplates(t *testing.T) {
	page, err := os.ReadFile("templates.md")
	if err != nil {
		t.Fatal(err)
	}
	table := "| value | stands for |\n|---|---|\n"
	for _, v := range message.Values() {
		table += fmt.Sprintf("| `{%s}` | %s |\n", v.Name, v.Means)
	}
	check(t, "templates.md", regexp.MustCompile("<!-- values -->\n(?:\n(?:\\|.*\n)+)?").ReplaceAllString(string(page), "<!-- values -->\n\n"+table))

	url := filepath.Join(t.TempDir(), "slack.url")
	settings := filepath.Join(t.TempDir(), "config.toml")
	example := regexp.MustCompile("(?s)```toml\n(.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("no example")
	}
	for name, text := range map[string]string{url: "https://hooks.slack.com/services/T0/B0/x", settings: strings.ReplaceAll(string(example[1]), "/etc/sshnotify/slack.url", url)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := config.Load(settings); err != nil || len(c.Destinations[0].Templates) != 2 {
		t.Errorf("%+v: %v", c.Destinations, err)
	}
}

// Each <!-- channel NAME --> of channels.md is followed by what the registry says
// of that type, and each type has one.
func TestChannels(t *testing.T) {
	page, err := os.ReadFile("channels.md")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]channel.Type{}
	for _, typ := range channel.Types() {
		types[typ.Name] = typ
	}
	marks := regexp.MustCompile("<!-- channel ([a-z0-9-]+) -->\n(?:\nTo .*\n(?:\n(?:\\|.*\n)+)?)?")
	check(t, "channels.md", marks.ReplaceAllStringFunc(string(page), func(s string) string {
		name := marks.FindStringSubmatch(s)[1]
		typ, ok := types[name]
		if !ok {
			t.Errorf("there is no channel %s, or it stands there twice", name)
			return s
		}
		delete(types, name)
		text := fmt.Sprintf("<!-- channel %s -->\n\nTo %s. Limits: %s. Retry: `%s`.\n", name, typ.About, typ.Limits, typ.Retry)
		if keys := typ.Keys(); len(keys) > 0 {
			text += "\n| key | | meaning |\n|---|---|---|\n"
			for _, k := range keys {
				need := ""
				if k.Required {
					need = "required"
				}
				if k.Secret {
					need = strings.TrimPrefix(need+", secret", ", ")
				}
				text += fmt.Sprintf("| `%s` | %s | %s |\n", k.Name, need, k.Meaning)
			}
		}
		return text
	}))
	for name := range types {
		t.Errorf("channels.md has no section with <!-- channel %s -->", name)
	}
}

// examples/channels.toml has the settings that channels.md shows, a table each, and
// all of them load and open.
func TestExampleChannels(t *testing.T) {
	page, err := os.ReadFile("channels.md")
	if err != nil {
		t.Fatal(err)
	}
	text := "# Destinations of each type, as docs/channels.md shows them, which says how to set each\n" +
		"# up. Copy what you need into the settings; go test ./docs -update writes this file.\n"
	section := regexp.MustCompile("<!-- channel ([a-z0-9-]+) -->\n\n(To .*?) Limits: ")
	block := regexp.MustCompile("(?s)```toml\n(\\[destination\\.([a-z0-9-]+)\\]\n.*?)```")
	shown := map[string]bool{}
	sections := section.FindAllSubmatchIndex(page, -1)
	for i, m := range sections {
		typ, end := string(page[m[2]:m[3]]), len(page)
		if i+1 < len(sections) {
			end = sections[i+1][0]
		}
		text += "\n# " + string(page[m[4]:m[5]]) + "\n"
		blocks := block.FindAllStringSubmatch(string(page[m[0]:end]), -1)
		if len(blocks) == 0 {
			t.Errorf("channels.md shows no settings of %s", typ)
		}
		for j, b := range blocks {
			table, name := b[1], b[2]
			if shown[name] { // another way, under a name of its own
				table = strings.Replace(table, "[destination."+name+"]\n", fmt.Sprintf("[destination.%s-%d]\ntype = %q\n", name, j+1, typ), 1)
			}
			shown[name] = true
			if j > 0 {
				text += "\n"
			}
			text += table
		}
	}
	check(t, "../examples/channels.toml", text)

	// Its files are a folder's here.
	dir := t.TempDir() + "/"
	here := strings.ReplaceAll(text, "/etc/sshnotify/", dir)
	for _, path := range regexp.MustCompile(`(?m)file = "(.*?)"`).FindAllStringSubmatch(here, -1) {
		if !strings.HasPrefix(path[1], dir) {
			t.Fatalf("%s is not of /etc/sshnotify: it would be written on this machine", path[1])
		}
		content := "https://hooks.example.com/services/T0/B0/x?key=x&token=x&sig=x"
		switch name := strings.TrimPrefix(path[1], dir); name {
		case "slack.token":
			content = "xoxb-example"
		case "x.token":
			content = "token secret"
		case "siem.secret":
			content = "whsec_ZXhhbXBsZWV4YW1wbGVleGFtcGxlZXhhbXBsZQ=="
		case "pagerduty.key":
			content = strings.Repeat("0", 32)
		case "pushover.token":
			content = strings.Repeat("0", 30)
		case "ntfy.token":
			content = "tk_example"
		case "telegram.token":
			content = "123456:example"
		case "loghost.pem":
			s := httptest.NewTLSServer(nil)
			content = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
			s.Close()
		case "pushbullet.toml":
			b, err := os.ReadFile("../examples/" + name)
			if err != nil {
				t.Fatal(err)
			}
			content = string(b)
		}
		if err := os.WriteFile(path[1], []byte(content+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := dir + "channels.toml"
	if err := os.WriteFile(file, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range c.Destinations {
		if _, err := d.Settings.Open(d.Name, channel.Env{Client: outbound.New(outbound.Options{})}); err != nil {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
}

// message.svg draws the golden message high, as Slack would show it.
func TestPicture(t *testing.T) {
	b, err := os.ReadFile(goldens + "high.json")
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Text        string
		Attachments []struct{ Color, Title, Text, Footer string }
	}
	if err := json.Unmarshal(b, &m); err != nil || len(m.Attachments) != 1 {
		t.Fatalf("%v, %d attachments", err, len(m.Attachments))
	}
	check(t, "message.svg", draw(m.Text, m.Attachments[0].Color, m.Attachments[0].Title, m.Attachments[0].Text, m.Attachments[0].Footer))
}

const (
	pictureWidth = 960
	lineHeight   = 24
)

func draw(headline, color, title, text, footer string) string {
	var b strings.Builder
	y := 40
	line := func(x int, class, s string) {
		fmt.Fprintf(&b, "  <text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, y, class, s)
		y += lineHeight
	}
	line(24, "app", "sshnotify")
	line(24, "body", span(headline))
	y += 6
	top := y - 18
	line(44, "title", span(title))
	for l := range strings.Lines(text) {
		line(44, "body", span(strings.TrimSuffix(l, "\n")))
	}
	line(44, "footer", span(footer))
	bar := fmt.Sprintf("  <rect x=\"24\" y=\"%d\" width=\"4\" height=\"%d\" rx=\"2\" fill=\"%s\"/>\n", top, y-top-lineHeight+8, color)
	y += 12
	line(24, "label", "Our own drawing, not a screenshot. A test keeps it in step with what Slack is sent.")
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img">
  <title>Drawing of a message of sshnotify in Slack</title>
  <style>
    text { font: 14px sans-serif; fill: #1d1c1d; white-space: pre; }
    .app, .title, .b { font-weight: bold; }
    .footer, .label { font-size: 12px; fill: #616061; }
    .label { font-style: italic; }
    .link { fill: #1264a3; }
  </style>
  <rect width="%[1]d" height="%[2]d" rx="8" fill="#ffffff" stroke="#dddddd"/>
%[3]s%[4]s</svg>
`, pictureWidth, y-8, bar, b.String())
}

// span turns what Slack is sent into SVG: *bold*, <link|text>, and entities.
func span(s string) string {
	s = regexp.MustCompile(`<[^>|]+\|([^>]*)>`).ReplaceAllString(s, "\x00$1\x01")
	s = html.EscapeString(html.UnescapeString(s))
	s = regexp.MustCompile(`\*([^*]+)\*`).ReplaceAllString(s, `<tspan class="b">$1</tspan>`)
	return strings.NewReplacer("\x00", `<tspan class="link">`, "\x01", "</tspan>").Replace(s)
}

// Links within the repository lead somewhere, headings included.
func TestLinks(t *testing.T) {
	pages, err := filepath.Glob("../*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, page := range append(pages, more...) {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			n++
			path, anchor, _ := strings.Cut(m[1], "#")
			if path == "" {
				path = filepath.Base(page)
			}
			path = filepath.Join(filepath.Dir(page), path)
			target, err := os.ReadFile(path)
			if err != nil {
				if info, e := os.Stat(path); e != nil || !info.IsDir() {
					t.Errorf("%s: %v", page, err)
				}
			} else if anchor != "" && !anchors(string(target))[anchor] {
				t.Errorf("%s: %s has no heading #%s", page, path, anchor)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d links", n)
	}
}

// anchors makes of headings what a forge does.
func anchors(page string) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		kept := strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
				return r
			case r == ' ':
				return '-'
			}
			return -1
		}, strings.ToLower(m[1]))
		all[kept] = true
	}
	return all
}

// The README is short, and says how to see it work and how to test it.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n > 150 {
		t.Errorf("%d lines, want 150 at most", n)
	}
	for _, want := range []string{"go run ./cmd/sshnotify demo", "go test ./...", "(docs/message.svg)", "uninstall"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s", want)
		}
	}
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !strings.Contains(string(b), "(docs/"+page+")") {
			t.Errorf("no link to docs/%s", page)
		}
	}
}
