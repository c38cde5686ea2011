package cmd

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/sshnotify/sshnotify/docs"
)

// settingsPage is the name of the manual page of the settings, in section 5.
const settingsPage = "sshnotify.toml"

// manSettings returns the reference of the settings, docs/settings.md, in man(7).
// It takes as much of Markdown as stands there: headings, paragraphs, lists of one
// level, tables and blocks of code.
func manSettings(release, day string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 5 %s %s %s\n.ad l\n.nh\n", manQuote(strings.ToUpper(settingsPage)), manQuote(day), manQuote("sshnotify "+release), manQuote("sshnotify"))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- settings of sshnotify\n", roff(settingsPage))
	b.WriteString(".SH SYNOPSIS\n/etc/sshnotify/config.toml\n.br\n" + roff("~/.config/sshnotify/config.toml") + "\n.SH DESCRIPTION\n")
	_, text, _ := strings.Cut(docs.Settings, "\n\n") // its title is NAME
	var (
		code  []string // lines of a block; nil: not in one
		heads []string // of a table
	)
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if !strings.HasPrefix(line, "|") {
			heads = nil
		}
		head, title, isHeading := strings.Cut(line, "# ")
		switch {
		case strings.HasPrefix(line, "```") && code == nil:
			code = []string{}
		case strings.HasPrefix(line, "```"):
			manVerbatim(&b, strings.Join(code, "\n"))
			code = nil
		case code != nil:
			code = append(code, "  "+line)
		case isHeading && strings.Trim(head, "#") == "":
			section := ".SS "
			if head == "#" {
				section = ".SH "
				title = strings.ToUpper(title[:1]) + title[1:]
			}
			b.WriteString(section + manQuote(manPlain(title)) + "\n")
		case strings.HasPrefix(line, "|"):
			cells := manCells(line)
			if heads == nil {
				heads = cells
			} else if !strings.HasPrefix(line, "|-") {
				manRow(&b, heads, cells)
			}
		case strings.HasPrefix(line, "- "):
			b.WriteString(".IP \\(bu 2\n" + startLine(manInline(line[2:])) + "\n")
		case line == "":
			b.WriteString(".PP\n")
		default:
			b.WriteString(startLine(manInline(line)) + "\n")
		}
	}
	b.WriteString(".SH SEE ALSO\n.BR sshnotify (1),\n.BR " + roff("sshnotify-config-check") + " (1)\n")
	return []byte(regexp.MustCompile(`(?m)(^\.PP\n)+(\.(?:PP|SH|SS|TP|IP|nf)\b)`).ReplaceAllString(b.String(), "$2"))
}

func manCells(line string) []string {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// manRow writes a row: its first cell, and of a key its type and default, then what
// that means.
func manRow(b *strings.Builder, heads, cells []string) {
	fmt.Fprintf(b, ".TP\n%s", strings.ReplaceAll(manInline(cells[0]), "*", ""))
	rest := cells[1:]
	if heads[0] == "key" {
		fmt.Fprintf(b, ": %s", manInline(cells[1]))
		if strings.HasPrefix(cells[2], "required") {
			fmt.Fprintf(b, "; %s", manInline(cells[2]))
		} else if cells[2] != "" {
			fmt.Fprintf(b, "; default: %s", manInline(cells[2]))
		}
		rest = cells[3:]
	}
	b.WriteString("\n")
	for i, cell := range rest {
		if len(rest) > 1 && cell != "" { // several: each by its name
			cell = heads[i+1] + ": " + cell
		}
		if cell != "" {
			b.WriteString(startLine(manInline(cell)) + "\n.br\n")
		}
	}
}

// manInline sets what stands in ` or ** in bold, and names where a link leads.
func manInline(s string) string {
	link := regexp.MustCompile(`\[((?:[^\[\]]|\[+[^\[\]]*\]+)*)\]\(([^)]*)\)`)
	s = link.ReplaceAllStringFunc(s, func(l string) string {
		m := link.FindStringSubmatch(l)
		if strings.Contains(m[2], "://") {
			return m[1] + " (" + m[2] + ")"
		}
		return m[1]
	})
	var b strings.Builder
	for i, part := range regexp.MustCompile("`|\\*\\*").Split(s, -1) {
		if i%2 == 1 {
			part = `\fB` + roff(part) + `\fR`
		} else {
			part = roff(part)
		}
		b.WriteString(part)
	}
	return b.String()
}

// manPlain is a heading without its marks.
func manPlain(s string) string { return strings.ReplaceAll(s, "`", "") }
