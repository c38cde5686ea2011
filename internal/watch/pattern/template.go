package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// template is a text with places for values. It is built once; what fills a
// place is never looked through for more of them.
type template []piece

type piece struct {
	text string // if of is nil
	of   *ref
}

// maxTemplate bounds what one may hold, in bytes.
const maxTemplate = 4 << 10

func parseTemplate(s string, in scope) (template, error) {
	if len(s) > maxTemplate {
		return nil, fmt.Errorf("more than %d bytes", maxTemplate)
	}
	if strings.ContainsRune(s, 0) {
		return nil, errors.New("a NUL in it")
	}
	var t template
	add := func(text string) {
		if n := len(t); n > 0 && t[n-1].of == nil {
			t[n-1].text += text
		} else if text != "" {
			t = append(t, piece{text: text})
		}
	}
	for {
		before, after, found := strings.Cut(s, "$")
		add(before)
		if !found {
			return t, nil
		}
		if rest, ok := strings.CutPrefix(after, "$"); ok {
			add("$")
			s = rest
			continue
		}
		inside, ok := strings.CutPrefix(after, "{")
		if !ok {
			return nil, errors.New("a $ by itself: write $$ for one, or ${name}")
		}
		name, rest, closed := strings.Cut(inside, "}")
		if !closed {
			return nil, errors.New("a ${ without its }")
		}
		of, err := in.find(name)
		if err != nil {
			return nil, err
		}
		t = append(t, piece{of: &of})
		s = rest
	}
}

func (t template) expand(value func(ref) string) string {
	if len(t) == 1 && t[0].of != nil { // as most of what is counted by
		return value(*t[0].of)
	}
	var b strings.Builder
	for _, p := range t {
		if p.of == nil {
			b.WriteString(p.text)
		} else {
			b.WriteString(value(*p.of))
		}
	}
	return b.String()
}

// refs returns what the template is filled with.
func (t template) refs() []ref {
	var all []ref
	for _, p := range t {
		if p.of != nil {
			all = append(all, *p.of)
		}
	}
	return all
}

// ref is what a name stands for.
type ref struct {
	kind  refKind
	name  string   // as written, without a point in front
	group int      // of a capture
	paths []string // of a field of JSON: how gjson finds it
}

type refKind int

const (
	refCapture refKind = iota
	refField
	refOwn // what has a name of its own here
)

// scope is what names may stand for.
type scope struct {
	re      *regexp.Regexp // nil: no captures
	decoder *decoder       // nil: no fields
	told    bool           // the threshold has spoken: count and left_out are known
}

// own returns the names that have a meaning of their own here. Most logs in JSON
// have a host or a program themselves.
func (s scope) own() []string {
	names := []string{"source", "line", "pattern"}
	if s.decoder == nil {
		names = append(names, "host", "program")
	}
	if s.told {
		names = append(names, "count", "left_out")
	}
	return names
}

func (s scope) find(name string) (ref, error) {
	if field, ok := strings.CutPrefix(name, "."); ok {
		if s.decoder == nil {
			return ref{}, fmt.Errorf("unknown name %q: without a decoder there are no fields", name)
		}
		return s.field(field)
	}
	if s.re != nil {
		if i := s.re.SubexpIndex(name); i > 0 {
			return ref{kind: refCapture, name: name, group: i}, nil
		}
	}
	if name != "" && strings.Trim(name, "0123456789") == "" {
		n, err := strconv.Atoi(name)
		if err != nil || s.re == nil || n > s.re.NumSubexp() {
			return ref{}, s.unknown(name)
		}
		return ref{kind: refCapture, name: name, group: n}, nil
	}
	if slices.Contains(s.own(), name) {
		return ref{kind: refOwn, name: name}, nil
	}
	// What can't be known yet is no field by accident.
	if s.decoder == nil || !s.told && (name == "count" || name == "left_out") {
		return ref{}, s.unknown(name)
	}
	return s.field(name)
}

func (s scope) field(name string) (ref, error) {
	if !s.decoder.json {
		if !slices.Contains(s.decoder.known, name) {
			return ref{}, s.unknown(name)
		}
		return ref{kind: refField, name: name}, nil
	}
	paths, err := jsonPaths(name)
	if err != nil {
		return ref{}, err
	}
	return ref{kind: refField, name: name, paths: paths}, nil
}

func (s scope) unknown(name string) error {
	var known []string
	if s.re != nil {
		for i, n := range s.re.SubexpNames() {
			if n == "" {
				n = strconv.Itoa(i)
			}
			known = append(known, n)
		}
	}
	if s.decoder != nil {
		known = append(known, s.decoder.known...)
	}
	return fmt.Errorf("unknown name %q; there are %s", name, strings.Join(append(known, s.own()...), ", "))
}
