package cmd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each command that the documentation names in a sentence is there, with the flags that
// stand with it. Those in blocks are run: see TestDocumentationHost.
func TestDocumentedCommands(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"../*.md", "../docs/*.md", "../examples/*/*", "../examples/*.toml"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, names...)
	}
	// In a sentence, or on a line of its own in a comment of an example.
	span := regexp.MustCompile("(?m)(?:`(?:\\$ )?(?:sudo )?(?:/usr/bin/|~/\\.local/bin/)?sshnotify(?:-nats)? ([a-z][^`]*)`|^#\\s+(?:sudo )?sshnotify ([a-z].*)$)")
	n := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			if info, e := os.Stat(page); e == nil && info.IsDir() {
				continue
			}
			t.Fatal(err)
		}
		if filepath.Base(page) == "CHANGELOG.md" {
			continue // it names what was
		}
		for _, m := range span.FindAllStringSubmatch(string(text), -1) {
			n++
			if problem := unparsed(m[1] + m[2]); problem != "" {
				t.Errorf("%s: sshnotify %s: %s", page, m[1]+m[2], problem)
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d commands", n)
	}
}

// unparsed says what is wrong with the words of a command, as a page writes them:
// a|b is a choice, and [--flag] may be there.
func unparsed(text string) string {
	text = strings.NewReplacer("[", "", "]", "", `\|`, "|").Replace(text)
	text, _, _ = strings.Cut(text, " >")
	text, _, _ = strings.Cut(text, " <")
	text, _, _ = strings.Cut(text, " # ")
	words := strings.Fields(text)
	root := newRootCmd(&app{})
	c, rest, err := root.Find(words)
	switch {
	case err != nil:
		return err.Error()
	case c == root:
		return "there is no such command"
	case c.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && c.Run == nil && c.RunE == nil:
		return rest[0] + " is none of its commands"
	}
	for _, word := range rest {
		if problem := unknownFlag(c, word); problem != "" {
			return problem
		}
	}
	return ""
}

func unknownFlag(c *cobra.Command, word string) string {
	switch {
	case strings.HasPrefix(word, "--"):
		name, _, _ := strings.Cut(strings.TrimRight(word[2:], ",.;:"), "=")
		if name != "" && c.Flag(name) == nil && name != "help" {
			return "it has no --" + name
		}
	case len(word) == 2 && word[0] == '-':
		if c.Flags().ShorthandLookup(word[1:]) == nil && c.InheritedFlags().ShorthandLookup(word[1:]) == nil && word != "-h" {
			return "it has no " + word
		}
	}
	return ""
}
