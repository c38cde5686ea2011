// Package placeholder owns texts with names in braces, that values stand in for:
// "{user} on {host}".
//
// It must never put in a value: what that may hold, and how it is escaped, is the
// caller's.
package placeholder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Split takes a text with names or paths in braces apart: "{data.total} reports".
// There is one more of texts than of what stood in braces.
func Split(template string) (texts, inside []string, err error) {
	for s := template; ; {
		text, rest, open := strings.Cut(s, "{")
		if strings.Contains(text, "}") {
			return nil, nil, fmt.Errorf("} without { in %q", template)
		}
		texts = append(texts, text)
		if !open {
			return texts, inside, nil
		}
		in, after, closed := strings.Cut(rest, "}")
		if !closed {
			return nil, nil, fmt.Errorf("{ without a name and } in %q", template)
		}
		inside = append(inside, in)
		s = after
	}
}

// Names returns the names in braces of a text, sorted, each once. What else stands
// in braces is an error.
func Names(template string) ([]string, error) {
	_, inside, err := Split(template)
	if err != nil {
		return nil, err
	}
	for _, name := range inside {
		if !strictoml.IsName(name) {
			return nil, fmt.Errorf("{ without a name and } in %q", template)
		}
	}
	slices.Sort(inside)
	return slices.Compact(inside), nil
}
