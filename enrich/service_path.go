package enrich

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// checkPath reports what is wrong with a gjson path. gjson takes any text for
// a path and finds nothing, or something else; here a path is names, numbers
// and # joined by points, and queries such as #(type=="VPN")#. What gjson can do
// besides (modifiers, literals, wildcards, several paths in one) is not needed to
// find a field, and is refused.
//
// https://github.com/tidwall/gjson/blob/v1.20.0/SYNTAX.md
func checkPath(path string) error {
	if path == "" {
		return errors.New("an empty path")
	}
	if len(path) > 200 {
		return errors.New("a path of more than 200 characters")
	}
	for rest := path; ; {
		part, more, last, err := cutPath(rest)
		if err != nil {
			return err
		}
		if part == "" {
			return fmt.Errorf("the path %q has nothing between two points, or at an end", path)
		}
		if err := checkPart(part); err != nil {
			return err
		}
		if last {
			return nil
		}
		rest = more
	}
}

// cutPath takes the first part off a path.
func cutPath(path string) (part, rest string, last bool, err error) {
	depth, quoted := 0, false
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c < ' ' || c == 0x7f:
			return "", "", false, errors.New("a control character in a path")
		case c == '\\':
			if i++; i == len(path) {
				return "", "", false, fmt.Errorf(`the path %q ends in \`, path)
			}
		case c == '"' && depth > 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth < 0 {
				return "", "", false, fmt.Errorf("the path %q closes a bracket that is not open", path)
			}
		case c == '.' && depth == 0:
			return path[:i], path[i+1:], false, nil
		case c == '|' && depth == 0:
			return "", "", false, fmt.Errorf("| in the path %q: join its parts by points", path)
		}
	}
	if depth != 0 || quoted {
		return "", "", false, fmt.Errorf("the path %q does not close what it opens", path)
	}
	return path, "", true, nil
}

// checkPart looks at what stands between two points.
func checkPart(part string) error {
	if query, ok := strings.CutPrefix(part, "#("); ok {
		query = strings.TrimSuffix(query, "#")
		query, ok = strings.CutSuffix(query, ")")
		if !ok {
			return fmt.Errorf("a query ends in ) or )#, unlike %q", part)
		}
		return checkQuery(query)
	}
	if part == "#" {
		return nil
	}
	for i := 0; i < len(part); i++ {
		switch c := part[i]; c {
		case '\\':
			i++
		case '@', '!', '{', '[', '*', '?', '#', '(', ')', '"', '}', ']':
			return fmt.Errorf(`%q in the path part %q: write \%c where the field's name has it`, c, part, c)
		}
	}
	return nil
}

// checkQuery takes PATH OPERATOR VALUE, where PATH may be missing.
func checkQuery(query string) error {
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		path, value, ok := strings.Cut(query, op)
		if !ok {
			continue
		}
		if path != "" {
			if err := checkPath(path); err != nil {
				return err
			}
		}
		if !gjson.Valid(value) || strings.ContainsAny(value[:1], "{[") {
			return fmt.Errorf("in a query, %q is no text in quotes, number, true or false", value)
		}
		return nil
	}
	return fmt.Errorf("the query (%s) compares nothing", query)
}

// sentence is a text with paths in braces: "{data.totalReports} reports".
type sentence struct {
	texts []string // one more than paths
	paths []string
}

func parseSentence(s string) (sentence, error) {
	var out sentence
	for {
		text, rest, open := strings.Cut(s, "{")
		if strings.Contains(text, "}") {
			return out, fmt.Errorf("} without { in %q", text)
		}
		out.texts = append(out.texts, text)
		if !open {
			return out, nil
		}
		path, after, closed := strings.Cut(rest, "}")
		if !closed {
			return out, fmt.Errorf("{ without } in %q", s)
		}
		if err := checkPath(path); err != nil {
			return out, err
		}
		out.paths = append(out.paths, path)
		s = after
	}
}

// placeholders lists the names in braces of a template.
func placeholders(template string) ([]string, error) {
	var out []string
	for s := template; ; {
		text, rest, open := strings.Cut(s, "{")
		if strings.Contains(text, "}") {
			return nil, fmt.Errorf("} without { in %q", template)
		}
		if !open {
			return out, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !isFileName(name) {
			return nil, fmt.Errorf("{ without a name and } in %q", template)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
		s = after
	}
}

// fill puts values into a template, each through escape. A value is not looked
// at again.
func fill(template string, values map[string]string, escape func(string) string) string {
	var b strings.Builder
	for s := template; ; {
		text, rest, open := strings.Cut(s, "{")
		b.WriteString(text)
		if !open {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(escape(values[name]))
		s = after
	}
}
