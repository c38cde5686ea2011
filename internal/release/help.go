package main

import (
	"context"
	"fmt"
	"strings"
)

// command is what one command's --help says.
type command struct {
	name  []string // sshnotify, queue, retry
	short string   // the line that its parent lists it with
	// In the order of the help: the opening has the title "", the others are
	// "EXIT STATUS", "Usage", "Examples", "Available Commands", "Flags",
	// "Global Flags".
	sections []section
}

// section is a titled part of a help text, without the blank lines around it.
type section struct {
	title string
	lines []string
}

func (c command) section(title string) []string {
	for _, s := range c.sections {
		if s.title == title {
			return s.lines
		}
	}
	return nil
}

// readCommands asks the program for the help of all its commands, the top one
// first. Its own words are what is documented: no page can be about a flag
// that the program does not have.
func readCommands(ctx context.Context, program string) ([]command, error) {
	var all []command
	var walk func(name []string, short string) error
	walk = func(name []string, short string) error {
		text, err := ask(ctx, program, append(name[1:len(name):len(name)], "--help")...)
		if err != nil {
			return err
		}
		c := parseHelp(name, short, string(text))
		if len(c.section("Usage")) == 0 {
			return fmt.Errorf("%s: its help has no usage", strings.Join(name, " "))
		}
		all = append(all, c)
		for _, line := range c.section("Available Commands") {
			sub, short, _ := strings.Cut(strings.TrimSpace(line), " ")
			// cobra's own help command says what --help does.
			if sub == "help" {
				continue
			}
			if err := walk(append(name[:len(name):len(name)], sub), strings.TrimSpace(short)); err != nil {
				return err
			}
		}
		return nil
	}
	return all, walk([]string{"sshnotify"}, "tell about SSH logins in Slack")
}

// parseHelp takes a help text apart, as cobra lays it out: titles stand at the
// beginning of a line and end with a colon, or are in capitals.
func parseHelp(name []string, short, text string) command {
	c := command{name: name, short: short, sections: []section{{}}}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " ")
		if title, ok := heading(line); ok {
			c.sections = append(c.sections, section{title: title})
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
