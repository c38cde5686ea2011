package service

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/placeholder"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// fill puts values into a template, each through escape. A value is not looked
// at again.
func fill(template string, values map[string]string, escape func(string) string) string {
	texts, inside, err := placeholder.Split(template)
	if err != nil { // Check has refused it
		return ""
	}
	var b strings.Builder
	for i, text := range texts {
		b.WriteString(text)
		if i < len(inside) {
			b.WriteString(escape(values[inside[i]]))
		}
	}
	return b.String()
}

func asIs(s string) string { return s }

// Body is a JSON document with placeholders in its texts. It is written in TOML,
// and filled as a value, so that no value can end a text or begin a field.
type Body struct {
	value any // map[string]any, []any, string, json.Number or bool
}

// DecodeTOML reads a table.
func (b *Body) DecodeTOML(d *strictoml.Decoder, n *strictoml.Node) {
	if d.Is(n, strictoml.Table) {
		b.value = bodyOf(d, n)
	}
}

func bodyOf(d *strictoml.Decoder, n *strictoml.Node) any {
	switch n.Kind {
	case strictoml.Table:
		m := make(map[string]any, len(n.Children))
		for _, c := range n.Children {
			m[c.Key] = bodyOf(d, c)
		}
		return m
	case strictoml.List:
		list := make([]any, 0, len(n.Children))
		for _, c := range n.Children {
			list = append(list, bodyOf(d, c))
		}
		return list
	case strictoml.Text:
		return n.Text
	case strictoml.Bool:
		return n.Text == "true"
	case strictoml.Integer, strictoml.Float:
		if s := strings.ReplaceAll(n.Text, "_", ""); json.Valid([]byte(s)) {
			return json.Number(s)
		}
		d.Fail(n, "must be a number as JSON has it")
	default:
		d.Fail(n, "must be text, a number, true or false")
	}
	return nil
}

// A table of a list that has the key each = "{body}" is there once for each line
// of that value, which {line} stands for in it.
const (
	eachKey  = "each"
	lineName = "line"
)

// Names returns the names of its placeholders, sorted, {line} not among them. The
// error is of the first text in which braces hold no name.
func (b *Body) Names() (names []string, err error) {
	b.templates(func(s string) {
		found, e := placeholder.Names(s)
		err = cmp.Or(err, e)
		names = append(names, found...)
	})
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == lineName })
	return names, err
}

// Fill returns the document as JSON, with a value for each placeholder.
func (b *Body) Fill(v Vocabulary, values map[string]string) []byte {
	return marshal(b.document(v, values))
}

// templates calls f with each text, names of fields left out.
func (b *Body) templates(f func(string)) { templates(b.value, f) }

func templates(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			templates(e, f)
		}
	case map[string]any:
		for _, e := range v {
			templates(e, f)
		}
	}
}

// document returns the value with its placeholders filled.
func (b *Body) document(v Vocabulary, values map[string]string) any {
	d := document{v, values}
	out, _ := d.fill(b.value, 0)
	return out
}

type document struct {
	v      Vocabulary
	values map[string]string
}

// fill returns a value of the document. One that is a single placeholder without
// a value is missing, and so is a table within another that has only such ones.
func (d document) fill(v any, depth int) (out any, ok bool) {
	switch v := v.(type) {
	case string:
		name := alone(v)
		s := fill(v, d.values, asIs)
		if name != "" && slices.Contains(d.v.JSON, name) {
			return json.RawMessage(s), s != ""
		}
		return s, name == "" || s != ""
	case []any:
		out := make([]any, 0, len(v))
		for _, e := range v {
			for one := range d.each(e) {
				if e, ok := one.fill(e, depth+1); ok {
					out = append(out, e)
				}
			}
		}
		return out, true
	case map[string]any:
		out := make(map[string]any, len(v))
		filled, missing := false, false
		for k, e := range v {
			if k == eachKey && depth > 0 {
				continue
			}
			one, ok := d.fill(e, depth+1)
			if ok {
				out[k] = one
				templates(e, func(t string) { filled = filled || strings.Contains(t, "{") })
			}
			missing = missing || !ok
		}
		return out, filled || !missing || depth == 0
	}
	return v, true
}

// each yields the document once, or with each of the lines that a table of a list
// is repeated for.
func (d document) each(element any) iter.Seq[document] {
	return func(yield func(document) bool) {
		table, _ := element.(map[string]any)
		template, repeated := table[eachKey].(string)
		if !repeated {
			yield(d)
			return
		}
		for line := range strings.SplitSeq(fill(template, d.values, asIs), "\n") {
			values := maps.Clone(d.values)
			values[lineName] = line
			if line != "" && !yield(document{d.v, values}) {
				return
			}
		}
	}
}

// alone returns the name of the placeholder that a template is, and nothing else.
func alone(template string) string {
	name, ok := strings.CutPrefix(template, "{")
	name, closed := strings.CutSuffix(name, "}")
	if !ok || !closed || !strictoml.IsName(name) {
		return ""
	}
	return name
}

// CheckPath notes what is wrong with a gjson path. gjson takes any text for a
// path and finds nothing, or something else; here a path is names, numbers and #
// joined by points, and queries such as #(type=="VPN")#. What gjson can do
// besides (modifiers, literals, wildcards, several paths in one) is not needed to
// find a field, and is refused.
//
// https://github.com/tidwall/gjson/blob/v1.20.0/SYNTAX.md
func CheckPath(at strictoml.At, key, path string) {
	if err := checkPath(path); err != nil {
		at.Fail(key, "%v", err)
	}
}

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
			return fmt.Errorf("in a query, %q is not quoted text, a number, true or false", value)
		}
		return nil
	}
	return fmt.Errorf("the query (%s) compares nothing", query)
}

// Capture takes a value out of an answer, for the placeholders of later requests.
type Capture struct {
	Path  string `toml:"path"`
	After string `toml:"after"`                             // what stands before it, and must
	Form  string `toml:"form" check:"oneof=number word id"` // empty: number
}

// read returns the value; empty if it is not of the form that it must have.
func (c Capture) read(f gjson.Result) string {
	s := f.String()
	if c.Form != "word" && c.Form != "id" {
		n := Number(f, c.After)
		if n == 0 {
			return ""
		}
		return strconv.FormatUint(uint64(n), 10)
	}
	s, ok := strings.CutPrefix(s, c.After)
	if !ok || f.Type != gjson.String || !c.Gives(s) {
		return ""
	}
	return s
}

// Gives reports whether a value is of the form that is captured.
func (c Capture) Gives(value string) bool {
	if c.Form == "id" {
		return value != "" && len(value) <= 255 && !strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'\\<>", r) })
	}
	return isWord(value) && (c.Form == "word" || value[0] != '0' && strings.Trim(value, "0123456789") == "")
}

// isWord reports whether s may be part of a path and of a file's name.
func isWord(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// Number reads the number of an autonomous system, as services write it: 15169,
// "15169", "AS15169" and "AS15169 Google LLC"; after a text that must stand before
// it, digits alone. It returns 0 for anything else.
func Number(f gjson.Result, after string) uint32 {
	digits := f.String()
	switch {
	case f.Type == gjson.Number && after == "":
		digits = f.Raw
	case f.Type != gjson.String:
		return 0
	case after != "":
		var ok bool
		if digits, ok = strings.CutPrefix(digits, after); !ok {
			return 0
		}
	default:
		digits, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(digits, "AS"), "as"), " ")
	}
	if digits == "" || len(digits) > 10 || strings.Trim(digits, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}
