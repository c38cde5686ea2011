package config

import (
	"errors"
	"io/fs"
	"slices"
	"sort"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is one settings file.
type document struct {
	path string
	mode fs.FileMode
	root *node
}

type kind int

const (
	tableKind kind = iota
	listKind
	textKind
	numberKind
	boolKind
	fractionKind
	otherKind // a date: nothing in the settings is one
)

func (k kind) String() string {
	return [...]string{"a table", "a list", "text in quotes", "a whole number", "true or false", "a fraction", "something else"}[k]
}

// node is a table, a value, or an element of a list, with its place. A tree of
// these keeps what decoding into structs would lose: where each key stands, and
// in which order.
type node struct {
	doc          *document
	line, column int
	key          string // as written
	path         string // from the root, as it may be shown
	kind         kind
	text         string  // of a text, a number, a fraction, true or false
	children     []*node // of a table its keys, of a list its elements
}

func (n *node) child(key string) *node {
	for _, c := range n.children {
		if c.key == key {
			return c
		}
	}
	return nil
}

// parse reads a TOML document. Its error is without Key.
func parse(doc *document, data []byte) *Error {
	// Syntax comes first and by itself, because the texts of the parser's
	// errors hold no more than one character of the file. The decoder's can
	// hold keys and values.
	var p unstable.Parser
	data = slices.Clip(data) // the parser counts places from the end of what is allocated
	p.Reset(data)
	for p.NextExpression() {
	}
	if err := p.Error(); err != nil {
		return syntaxError(doc, data, &p, err)
	}
	var all map[string]any
	if err := toml.Unmarshal(data, &all); err != nil {
		e := &Error{File: doc.path, Line: 1, Column: 1, Message: "no valid TOML"}
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			e.Line, e.Column = d.Position()
			e.Message = "no valid number or date"
			if key := d.Key(); key != nil {
				e.Key = joinKeys(key)
				e.Message = "already set above"
			}
		}
		return e
	}

	b := builder{doc: doc, root: &node{doc: doc, line: 1, column: 1}, lines: []int{0}}
	for i, c := range data {
		if c == '\n' {
			b.lines = append(b.lines, i+1)
		}
	}
	table := b.root
	p.Reset(data)
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			table = b.enter(b.root, e.Key(), false)
		case unstable.ArrayTable:
			table = b.enter(b.root, e.Key(), true)
		case unstable.KeyValue:
			b.set(table, e)
		}
	}
	doc.root = b.root
	return nil
}

func syntaxError(doc *document, data []byte, p *unstable.Parser, err error) *Error {
	e := &Error{File: doc.path, Line: 1, Column: 1, Message: "no valid TOML"}
	perr, ok := errors.AsType[*unstable.ParserError](err)
	if !ok {
		return e // its text could be any
	}
	e.Message = err.Error()
	at := p.Shape(p.Range(perr.Highlight)).Start
	e.Line, e.Column = at.Line, at.Column
	if barewordAt(data, at.Offset) {
		e.Message, e.Hint = "no value", `text stands in quotes: key = "value"`
	}
	return e
}

// barewordAt reports whether an unquoted word stands where a value is due.
func barewordAt(data []byte, i int) bool {
	if i >= len(data) || !isLetter(data[i]) {
		return false
	}
	for i--; i >= 0 && (data[i] == ' ' || data[i] == '\t'); i-- {
	}
	return i >= 0 && data[i] == '='
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// builder makes the tree of a document that the decoder has found to be sound.
type builder struct {
	doc   *document
	root  *node
	lines []int // where each begins
}

func (b *builder) place(r unstable.Range, n *node) *node {
	at := int(r.Offset)
	n.doc = b.doc
	n.line = sort.SearchInts(b.lines, at+1) // of the lines that begin at or before it, the last
	n.column = at - b.lines[n.line-1] + 1
	return n
}

// enter walks down from a table along a dotted key, making tables on the way,
// and gives the last one. In a list of tables ([[key]]) that is the newest
// element; with list set, a new one.
func (b *builder) enter(n *node, key unstable.Iterator, list bool) *node {
	for key.Next() {
		k, isNew := key.Node(), list && key.IsLast()
		next := n.child(string(k.Data))
		if next == nil {
			next = b.add(n, k)
		}
		if isNew {
			next.kind = listKind
			next.children = append(next.children, b.place(k.Raw, &node{path: next.path}))
		}
		if next.kind == listKind && len(next.children) > 0 {
			next = next.children[len(next.children)-1]
		}
		n = next
	}
	return n
}

func (b *builder) add(parent *node, key *unstable.Node) *node {
	n := b.place(key.Raw, &node{key: string(key.Data)})
	n.path = joinPath(parent.path, n.key)
	parent.children = append(parent.children, n)
	return n
}

// set puts "a.b = value" into a table.
func (b *builder) set(table *node, e *unstable.Node) {
	key := e.Key()
	for key.Next() {
		k := key.Node()
		if key.IsLast() {
			b.fill(b.add(table, k), e.Value())
			return
		}
		next := table.child(string(k.Data))
		if next == nil {
			next = b.add(table, k)
		}
		table = next
	}
}

func (b *builder) fill(n *node, value *unstable.Node) {
	switch value.Kind {
	case unstable.String:
		n.kind, n.text = textKind, string(value.Data)
	case unstable.Integer:
		n.kind, n.text = numberKind, string(value.Data)
	case unstable.Float:
		n.kind, n.text = fractionKind, string(value.Data)
	case unstable.Bool:
		n.kind, n.text = boolKind, string(value.Data)
	case unstable.InlineTable:
		n.kind = tableKind
		for it := value.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				b.set(n, it.Node())
			}
		}
	case unstable.Array:
		n.kind = listKind
		for it := value.Children(); it.Next(); {
			// Only simple values know their own place.
			c := &node{doc: n.doc, line: n.line, column: n.column, path: n.path}
			if raw := it.Node().Raw; raw.Length > 0 {
				c = b.place(raw, c)
			}
			b.fill(c, it.Node())
			n.children = append(n.children, c)
		}
	default:
		n.kind = otherKind
	}
}
