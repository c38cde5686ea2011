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
	var text strings.Builder
	for s != "" {
		before, after, found := strings.Cut(s, "$")
		text.WriteString(before)
		if !found {
			break
		}
		switch {
		case strings.HasPrefix(after, "$"):
			text.WriteByte('$')
			s = after[1:]
		case strings.HasPrefix(after, "{"):
			name, rest, closed := strings.Cut(after[1:], "}")
			if !closed {
				return nil, errors.New("a ${ without its }")
			}
			of, err := in.find(name)
			if err != nil {
				return nil, err
			}
			if text.Len() > 0 {
				t = append(t, piece{text: text.String()})
				text.Reset()
			}
			t = append(t, piece{of: &of})
			s = rest
		default:
			return nil, errors.New("a $ by itself: write $$ for one, or ${name}")
		}
	}
	if text.Len() > 0 {
		t = append(t, piece{text: text.String()})
	}
	return t, nil
}

func (t template) expand(value func(ref) string) string {
	if len(t) == 1 && t[0].of == nil {
		return t[0].text
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
	refSource
	refLine
	refPattern
	refHost
	refProgram
	refCount
	refLeftOut
)

// scope is what names may stand for.
type scope struct {
	re      *regexp.Regexp // nil: no captures
	decoder *decoder       // nil: no fields
	told    bool           // the threshold has spoken: count and left_out are known
}

var ownNames = []struct {
	name string
	kind refKind
}{
	{"source", refSource}, {"line", refLine}, {"pattern", refPattern},
	{"host", refHost}, {"program", refProgram}, {"count", refCount}, {"left_out", refLeftOut},
}

// own reports whether a name has a meaning of its own here. Most logs in JSON
// have a host or a program themselves.
func (s scope) own(kind refKind) bool {
	switch kind {
	case refHost, refProgram:
		return s.decoder == nil
	case refCount, refLeftOut:
		return s.told
	}
	return true
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
	for _, o := range ownNames {
		if o.name == name && s.own(o.kind) {
			return ref{kind: o.kind, name: name}, nil
		}
	}
	// What can't be known yet is no field by accident.
	if s.decoder == nil || !s.told && (name == "count" || name == "left_out") {
		return ref{}, s.unknown(name)
	}
	return s.field(name)
}

func (s scope) field(name string) (ref, error) {
	if !s.decoder.json() {
		if !slices.Contains(s.decoder.known(), name) {
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
		known = append(known, s.decoder.known()...)
	}
	for _, o := range ownNames {
		if s.own(o.kind) {
			known = append(known, o.name)
		}
	}
	return fmt.Errorf("unknown name %q; there are %s", name, strings.Join(known, ", "))
}
