package cmd

import (
	"fmt"
	"regexp"
	"strings"
)

// manFiles says where things are, in the page of the whole program.
var manFiles = []struct{ path, what string }{
	{"/etc/sshnotify/config.toml", "the host's settings, then conf.d/*.toml beside it"},
	{"/var/spool/sshnotify", "the host's queue; /run/sshnotify when that is full or broken"},
	{"/var/lib/sshnotify", "what the host's service remembers"},
	{"~/.config/sshnotify/config.toml", "a user's settings ($XDG_CONFIG_HOME)"},
	{"~/.local/state/sshnotify", "a user's queue and memory ($XDG_STATE_HOME)"},
}

// manPage is a command's page in man(7). day is YYYY-MM-DD, or nothing.
func manPage(c helpText, release, day string) []byte {
	var b strings.Builder
	page := strings.Join(c.name, "-")
	fmt.Fprintf(&b, ".TH %s 1 %s %s %s\n", manQuote(strings.ToUpper(page)), manQuote(day), manQuote("sshnotify "+release), manQuote("sshnotify"))
	// Left aligned: a narrow terminal shows no rivers.
	b.WriteString(".ad l\n.nh\n")
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(page), roff(lowerFirst(c.short)))

	b.WriteString(".SH SYNOPSIS\n")
	for i, line := range c.section("Usage") {
		if i > 0 {
			b.WriteString(".br\n")
		}
		line = strings.TrimSpace(line)
		rest, _ := strings.CutPrefix(line, strings.Join(c.name, " "))
		fmt.Fprintf(&b, "\\fB%s\\fR%s\n", roff(strings.Join(c.name, " ")), roff(rest))
	}
	b.WriteString(".SH DESCRIPTION\n")
	manProse(&b, c.section(""))
	// Sections of the help that cobra does not lay out: its author's own.
	for _, s := range c.sections {
		switch s.title {
		case "", "Usage", "Examples", "Available Commands", "Flags", "Global Flags", "Aliases", "EXIT STATUS":
		default:
			fmt.Fprintf(&b, ".SH %s\n", manQuote(s.title))
			manProse(&b, s.lines)
		}
	}
	if lines := c.section("Available Commands"); lines != nil {
		b.WriteString(".SH COMMANDS\n")
		for _, line := range lines {
			sub, what, _ := strings.Cut(strings.TrimSpace(line), " ")
			if sub == "help" {
				continue
			}
			manTagged(&b, page+"-"+sub+"(1)", strings.TrimSpace(what))
		}
	}
	manOptions(&b, "OPTIONS", c.section("Flags"))
	manOptions(&b, "GLOBAL OPTIONS", c.section("Global Flags"))
	b.WriteString(".SH EXIT STATUS\n")
	for _, line := range c.section("EXIT STATUS") {
		code, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		manTagged(&b, code, strings.TrimSpace(what))
	}
	if len(c.name) == 1 {
		b.WriteString(".SH FILES\n")
		for _, f := range manFiles {
			manTagged(&b, f.path, f.what)
		}
	}
	if lines := c.section("Examples"); lines != nil {
		b.WriteString(".SH EXAMPLES\n")
		manVerbatim(&b, lines)
	}
	if len(c.name) > 1 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(strings.Join(c.name[:len(c.name)-1], "-")))
	}
	return []byte(b.String())
}

// prose writes paragraphs; lines that are indented keep their form.
func manProse(b *strings.Builder, lines []string) {
	for len(lines) > 0 {
		n := 0
		indented := strings.HasPrefix(lines[0], " ")
		for n < len(lines) && lines[n] != "" && strings.HasPrefix(lines[n], " ") == indented {
			n++
		}
		if indented {
			manVerbatim(b, lines[:n])
		} else {
			for _, line := range lines[:n] {
				b.WriteString(startLine(roff(line)) + "\n")
			}
		}
		lines = lines[n:]
		if len(lines) > 0 && lines[0] == "" {
			lines = trimBlank(lines)
			b.WriteString(".PP\n")
		}
	}
}

func manVerbatim(b *strings.Builder, lines []string) {
	b.WriteString(".nf\n")
	for _, line := range lines {
		b.WriteString(startLine(roff(line)) + "\n")
	}
	b.WriteString(".fi\n")
}

// Flag lines of cobra: "  -h, --help        help for queue".
var flagLine = regexp.MustCompile(`^ {2,}((?:-\w, )?--\S+(?: \S+)?) {2,}(\S.*)$`)

func manOptions(b *strings.Builder, title string, lines []string) {
	if lines == nil {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", manQuote(title))
	for _, line := range lines {
		if m := flagLine.FindStringSubmatch(line); m != nil {
			manTagged(b, m[1], m[2])
		} else {
			b.WriteString(startLine(roff(strings.TrimSpace(line))) + "\n")
		}
	}
}

func manTagged(b *strings.Builder, tag, what string) {
	fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(tag), startLine(roff(what)))
}

var roffSpecial = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`)

// roff escapes what groff would read or typeset otherwise (groff_char(7)).
func roff(s string) string { return roffSpecial.Replace(s) }

// startLine keeps a text line from being a request. (An apostrophe is escaped
// already.)
func startLine(s string) string {
	if strings.HasPrefix(s, ".") {
		return `\&` + s
	}
	return s
}

// quote makes a macro's argument of several words one.
func manQuote(s string) string { return `"` + roff(s) + `"` }

// lowerFirst keeps names in capitals.
func lowerFirst(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
