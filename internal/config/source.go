package config

import (
	"regexp"
	"slices"
)

// Source is where lines come from.
type Source struct {
	Name  string   // of its table: what lines bear as their source
	Type  string   // SourceFile, SourceJournal or SourcePipe
	Path  string   // of a file or a pipe, absolute
	Match []string // of the journal, as journalctl(1) takes them: FIELD=VALUE, or + for or; none: all entries
	Group string   // of a pipe that is made: who may write to it; empty: the group of whoever makes it
}

// The types of sources.
const (
	SourceFile    = "file"
	SourceJournal = "journal"
	SourcePipe    = "pipe"
)

// How much of the journal's matches is taken, and of a group's name (useradd(8)).
const (
	maxMatches = 64
	maxMatch   = 200
	maxGroup   = 32
)

// isMatch tells what journalctl would take for an option or a file.
func isMatch(s string) bool {
	return s == "+" || lineOf(s, maxMatch) && regexp.MustCompile(`^[A-Z0-9_]+=.`).MatchString(s)
}

func isGroup(s string) bool {
	return len(s) <= maxGroup && regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`).MatchString(s)
}

func (l *loader) sources(n *node, c *Config) {
	files := map[string]*node{}
	journal := (*node)(nil)
	l.eachNamed(n, "source", []string{SourceFile, SourceJournal, SourcePipe}, func(t *table, name, typ string) {
		s := Source{Name: name, Type: typ}
		if typ == SourceJournal {
			if journal != nil {
				t.fail(t.at, "write all of match there, with + between", "the source in line %d%s reads the journal already", journal.line, in(journal, t.at))
			}
			journal = t.at
			s.Match = t.journalMatch()
			c.Sources = append(c.Sources, s)
			return
		}
		t.needs("path", &s.Path)
		if was := files[s.Path]; was != nil && s.Path != "" {
			t.fail(t.at.child("path"), "", "the source in line %d%s reads it already", was.line, in(was, t.at))
		}
		files[s.Path] = t.at
		if typ == SourcePipe {
			if n := t.value("group", textKind); n != nil {
				s.Group = n.text
				if !isGroup(n.text) {
					t.fail(n, "", "must be the name of a group%s", not(n.text))
				}
			}
		}
		c.Sources = append(c.Sources, s)
	})
}

func (t *table) journalMatch() (all []string) {
	nodes := t.textOrList("match")
	if len(nodes) > maxMatches {
		t.fail(t.at.child("match"), "", "at most %d of them", maxMatches)
	}
	for i, n := range nodes {
		edge := i == 0 || i == len(nodes)-1
		switch {
		case !isMatch(n.text):
			t.fail(n, "", `must be a field and its value, such as "_COMM=sshd", or "+"%s`, not(n.text))
		case n.text == "+" && (edge || nodes[i-1].text == "+"):
			t.fail(n, "", `"+" stands between two others`)
		default:
			all = append(all, n.text)
		}
	}
	return all
}

// fromSources takes globs of the names of sources. One that is no glob must be
// a name, where there are any.
func (t *table) fromSources(key string, top *node) (all []string) {
	known := declared(top, "source")
	for _, n := range t.textOrList(key) {
		isGlob := regexp.MustCompile(`[*?]`).MatchString(n.text)
		if len(known) > 0 && !isGlob && !slices.Contains(known, n.text) {
			t.fail(n, nearest(n.text, "sources", known), "must be the name of a source, or a glob%s", not(n.text))
		} else if t.isLine(n, maxPath) {
			all = append(all, n.text)
		}
	}
	return all
}

// maxPath is Linux's PATH_MAX: a source without settings is called by its path.
const maxPath = 4096
