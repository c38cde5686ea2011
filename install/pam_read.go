package install

import (
	"bytes"
	"fmt"
	"path"
	"strings"
)

// PAMError: a PAM file that is not understood, or in which the hook can't
// stand. Nothing is changed. Line is what to add by hand, "" where it should
// not be added at all.
type PAMError struct {
	File   string // path on the host
	Row    int    // line of the file, from 1; 0 where no line is at fault
	Reason string
	Line   string

	never bool // no place is right, not even by hand
}

func (e *PAMError) Error() string {
	if e.Row > 0 {
		return fmt.Sprintf("%s: line %d: %s", e.File, e.Row, e.Reason)
	}
	return fmt.Sprintf("%s: %s", e.File, e.Reason)
}

// pamRule is one rule of a file in pam.d (pam.d(5)), or Debian's @include,
// which stands for rules of all types.
type pamRule struct {
	span
	row     int
	file    string // that was included for it; "" for the file itself
	typ     string // auth, account, password, session; "" for @include
	dash    bool   // a missing module is not an error
	control string // in lower case, without brackets
	bracket bool
	module  string // or the file that is included
	args    []string
	// The blanks between type and control, and control and module.
	gap1, gap2 string
}

// includes reports whether the rule stands for those of another file.
func (r pamRule) includes() bool {
	return r.typ == "" || !r.bracket && (r.control == "include" || r.control == "substack")
}

// is reports whether the rule calls the module of that name: "pam_env.so".
func (r pamRule) is(module string) bool { return !r.includes() && path.Base(r.module) == module }

func (r pamRule) has(arg string) bool {
	for _, a := range r.args {
		if a == arg {
			return true
		}
	}
	return false
}

// parsePAM reads a file of pam.d as Linux-PAM does (libpam/pam_handlers.c,
// libpam_internal/pam_line.c). What its versions read in different ways, and
// what they refuse, is an error: *PAMError without the file's name.
func parsePAM(text []byte) ([]pamRule, error) {
	var (
		rules  []pamRule
		joined []byte // the text of a rule so far, without what joins its lines
		start  = -1   // where that rule begins
		row    int
	)
	for i, l := range lines(text) {
		line := bytes.TrimSuffix(text[l.from:l.to], []byte("\n"))
		if j := bytes.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); j >= 0 {
			return nil, &PAMError{Row: i + 1, Reason: fmt.Sprintf("holds the byte 0x%02x, which Linux-PAM would take for a part of a name", line[j])}
		}
		bare, _, comment := bytes.Cut(line, []byte("#"))
		words := bytes.Trim(bare, " \t")
		if start >= 0 && (comment || len(words) == 0) {
			return nil, &PAMError{Row: i + 1, Reason: "a comment or an empty line inside of a rule that a backslash continues"}
		}
		if len(words) == 0 {
			continue
		}
		if start < 0 {
			start, row, joined = l.from, i+1, nil
		}
		if !comment && words[len(words)-1] == '\\' {
			if bytes.HasSuffix(words, []byte(`\\`)) {
				return nil, &PAMError{Row: i + 1, Reason: "two backslashes at the end"}
			}
			joined = append(append(joined, bytes.TrimRight(bare, " \t")[:len(bytes.TrimRight(bare, " \t"))-1]...), ' ')
			continue
		}
		joined = append(joined, bare...)
		r, reason := parseRule(string(joined))
		if reason != "" {
			return nil, &PAMError{Row: row, Reason: reason}
		}
		r.span, r.row = span{start, l.to}, row
		if start != l.from {
			// Its gaps are not what they look like.
			r.gap1, r.gap2 = "", ""
		}
		rules = append(rules, r)
		start = -1
	}
	if start >= 0 {
		return nil, &PAMError{Row: row, Reason: "the file ends inside of a rule that a backslash continues"}
	}
	return rules, nil
}

// parseRule reads one rule; reason says why it can't.
func parseRule(s string) (r pamRule, reason string) {
	words, gaps, ok := pamWords(s)
	if !ok {
		return r, "an opening [ without its ]"
	}
	if strings.HasPrefix(strings.TrimLeft(s, " \t"), "[") {
		return r, "begins with ["
	}
	if words[0].text == "@include" {
		if len(words) != 2 {
			return r, "@include takes one name"
		}
		return pamRule{module: words[1].text}, ""
	}
	typ, dash := strings.CutPrefix(words[0].text, "-")
	r.typ, r.dash = strings.ToLower(typ), dash
	switch r.typ {
	case "auth", "account", "password", "session":
	default:
		return r, fmt.Sprintf("unknown type %q", words[0].text)
	}
	if len(words) < 3 || words[2].text == "" {
		return r, "a rule needs a type, a control and a module"
	}
	r.control, r.bracket, r.gap1, r.gap2 = strings.ToLower(words[1].text), words[1].bracket, gaps[1], gaps[2]
	if !r.bracket {
		switch r.control {
		case "required", "requisite", "sufficient", "optional", "include", "substack":
		default:
			return r, fmt.Sprintf("unknown control %q", r.control)
		}
	}
	r.module = words[2].text
	for _, w := range words[3:] {
		r.args = append(r.args, w.text)
	}
	return r, ""
}

type pamWord struct {
	text    string
	bracket bool
}

// pamWords cuts a rule into words, [a word with blanks] being one, and gives
// the blanks before each. In brackets \] is a bracket.
func pamWords(s string) (words []pamWord, gaps []string, ok bool) {
	for {
		rest := strings.TrimLeft(s, " \t")
		if rest == "" {
			return words, gaps, true
		}
		gaps = append(gaps, s[:len(s)-len(rest)])
		if rest[0] != '[' {
			end := strings.IndexAny(rest, " \t")
			if end < 0 {
				end = len(rest)
			}
			words, s = append(words, pamWord{text: rest[:end]}), rest[end:]
			continue
		}
		var b strings.Builder
		i := 1
		for ; i < len(rest) && rest[i] != ']'; i++ {
			if rest[i] == '\\' && i+1 < len(rest) && rest[i+1] == ']' {
				i++
			}
			b.WriteByte(rest[i])
		}
		if i == len(rest) {
			return nil, nil, false
		}
		words, s = append(words, pamWord{b.String(), true}), rest[i+1:]
	}
}
