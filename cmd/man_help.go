package cmd

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"
)

// helpText is what one command's --help says.
type helpText struct {
	name  []string // sshnotify, queue, retry
	short string   // in one line
	// In the order of the help: the opening has the title "", the others are
	// "EXIT STATUS", "Usage", "Examples", "Available Commands", "Flags",
	// "Global Flags".
	sections []helpSection
}

// helpSection is a titled part of a help text, without the blank lines around it.
type helpSection struct {
	title string
	lines []string
}

func (c helpText) section(title string) []string {
	for _, s := range c.sections {
		if s.title == title {
			return s.lines
		}
	}
	return nil
}

// helpTexts are the helps of a command and all below it, the top one first.
// The program's own words are what is documented: no page can be about a flag
// that it does not have.
func helpTexts(top *cobra.Command) ([]helpText, error) {
	var all []helpText
	var walk func(c *cobra.Command) error
	walk = func(c *cobra.Command) error {
		var b bytes.Buffer
		c.InitDefaultHelpFlag() // as it stands in its help
		c.SetOut(&b)
		err := c.Help()
		c.SetOut(nil)
		if err != nil {
			return err
		}
		h := parseHelp(strings.Fields(c.CommandPath()), c.Short, b.String())
		all = append(all, h)
		for _, sub := range c.Commands() {
			// cobra's own help command says what --help does.
			if sub.IsAvailableCommand() && sub.Name() != "help" {
				if err := walk(sub); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return all, walk(top)
}

// parseHelp takes a help text apart, as cobra lays it out: titles stand at the
// beginning of a line and end with a colon, or are in capitals.
func parseHelp(name []string, short, text string) helpText {
	c := helpText{name: name, short: short, sections: []helpSection{{}}}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " ")
		if title, ok := heading(line); ok {
			c.sections = append(c.sections, helpSection{title: title})
			continue
		}
		// Says how to ask for more help.
		if strings.HasPrefix(line, `Use "sshnotify `) {
			continue
		}
		s := &c.sections[len(c.sections)-1]
		s.lines = append(s.lines, line)
	}
	for i := range c.sections {
		c.sections[i].lines = trimBlank(c.sections[i].lines)
	}
	return c
}

func heading(line string) (title string, ok bool) {
	switch title, _ := strings.CutSuffix(line, ":"); title {
	case "Usage", "Examples", "Available Commands", "Flags", "Global Flags", "Aliases":
		return title, title != line
	}
	if line == "" || strings.Trim(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ") != "" || line[0] == ' ' {
		return "", false
	}
	return line, true
}

func trimBlank(lines []string) []string {
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}
