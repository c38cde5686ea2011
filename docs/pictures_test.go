package docs

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// pictures are drawings of each kind of message, by the golden ones that show it.
var pictures = map[string][]struct{ golden, what string }{
	"logins": {
		{"usual", "A usual login"}, {"low", "A low score"}, {"medium", "Medium"}, {"high", "High"}, {"unknown", "A look-up that failed"},
	},
	"alarms": {
		{"critical-after-attack", "Somebody got in after failures"}, {"asked", "Was it you? All that may become of the question"}, {"mismatch", "A forged address"},
		{"missed-ssh", "A session that no hook reported"}, {"attack", "An attack"},
	},
	"others": {
		{"logout", "A logout"}, {"repeat", "Repeats"}, {"many-hosts", "One person on many hosts"}, {"digest", "A burst"}, {"match", "A line of a log"}, {"alert", "Words of your own"},
	},
	"digests": {{"day", "The digest of a day"}, {"report", "The report of a week"}},
}

// slackMessage is what a drawing shows of a message.
type slackMessage struct {
	Text        string
	Attachments []struct {
		Color, Title, Text, Footer string
		Blocks                     []struct {
			Elements []struct{ Text json.RawMessage }
		}
	}
}

// The drawings are of golden messages, and messages.md shows all of them.
func TestPicturesOfMessages(t *testing.T) {
	page, err := os.ReadFile("messages.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, all := range pictures {
		p := drawing{y: 34}
		p.line(24, "label", "Our own drawings, not screenshots, of made-up people. A test keeps them in step with what Slack is sent.")
		for _, m := range all {
			raw, err := os.ReadFile(goldens + m.golden + ".json")
			if err != nil {
				t.Fatal(err)
			}
			p.message(t, m.what, raw)
		}
		check(t, "slack-"+name+".svg", p.svg())
		if !strings.Contains(string(page), "(slack-"+name+".svg)") {
			t.Errorf("messages.md does not show slack-%s.svg", name)
		}
	}
}

// drawing is a picture of messages, one below the other.
type drawing struct {
	b strings.Builder
	y int
}

// drawnWidth is how many characters have room in a line, all of them wide ones.
const drawnWidth = 112

func (p *drawing) line(x int, class, s string) {
	fmt.Fprintf(&p.b, "  <text x=\"%d\" y=\"%d\" class=\"%s\">%s</text>\n", x, p.y, class, span(s))
	p.y += lineHeight
}

// text draws lines, each as many as it needs.
func (p *drawing) text(x int, class, s string) {
	link := regexp.MustCompile(`<[^>|]+\|([^>]*)>`)
	for l := range strings.Lines(s) {
		row, width := "", 0
		for word := range strings.FieldsSeq(link.ReplaceAllStringFunc(l, func(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") })) {
			n := utf8.RuneCountInString(html.UnescapeString(link.ReplaceAllString(word, "$1"))) + 1
			if width+n > drawnWidth && row != "" {
				p.line(x, class, row)
				row, width = "", 0
			}
			row, width = strings.TrimPrefix(row+" "+word, " "), width+n
		}
		p.line(x, class, row)
	}
}

func (p *drawing) message(t *testing.T, what string, raw []byte) {
	t.Helper()
	var m slackMessage
	if err := json.Unmarshal(raw, &m); err != nil || len(m.Attachments) == 0 {
		t.Fatalf("%s: %v, %d attachments", what, err, len(m.Attachments))
	}
	p.y += 14
	p.line(24, "label", html.EscapeString(what))
	p.line(24, "app", "sshnotify")
	p.text(24, "body", m.Text)
	for _, a := range m.Attachments {
		top := p.y - 12
		if a.Title != "" {
			p.text(44, "title", a.Title)
			p.text(44, "body", a.Text)
			p.text(44, "footer", a.Footer)
		}
		for _, block := range a.Blocks {
			row := ""
			for _, e := range block.Elements {
				var text string
				var button struct{ Text string }
				switch {
				case json.Unmarshal(e.Text, &text) == nil:
				case json.Unmarshal(e.Text, &button) == nil && button.Text != "":
					text = "[ " + button.Text + " ]   "
				default:
					t.Fatalf("%s: an element that is drawn as nothing: %s", what, e.Text)
				}
				row += html.EscapeString(text)
			}
			p.line(44, "footer", row)
		}
		fmt.Fprintf(&p.b, "  <rect x=\"24\" y=\"%d\" width=\"4\" height=\"%d\" rx=\"2\" fill=\"%s\"/>\n", top, p.y-top-lineHeight+8, a.Color)
		p.y += 4
	}
}

func (p *drawing) svg() string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img">
  <title>Drawings of messages of sshnotify in Slack</title>
  <style>
    text { font: 14px sans-serif; fill: #1d1c1d; white-space: pre; }
    .app, .title, .b { font-weight: bold; }
    .footer, .label { font-size: 12px; fill: #616061; }
    .label { font-style: italic; }
    .link { fill: #1264a3; }
  </style>
  <rect width="%[1]d" height="%[2]d" rx="8" fill="#ffffff" stroke="#dddddd"/>
%[3]s</svg>
`, pictureWidth, p.y, p.b.String())
}
