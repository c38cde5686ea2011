package strictoml

import (
	"errors"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Kind is what a node is.
type Kind int

// The kinds.
const (
	Table Kind = iota
	List
	Text
	Integer
	Bool
	Float
	Other // a date: nothing that is read is one
)

func (k Kind) String() string {
	return [...]string{"a table", "a list", "text in quotes", "a whole number", "true or false", "a fraction", "something else"}[k]
}

// Node is a table, a value, or an element of a list, with its place. A tree of
// these keeps what decoding into structs would lose: where each key stands, and
// in which order.
type Node struct {
	File         *File
	Line, Column int    // from 1
	Key          string // as written
	Path         string // from the root, as it may be shown
	Kind         Kind
	Text         string  // of text, a number, a fraction, true or false
	Children     []*Node // of a table its keys, of a list its elements
}

// Child returns a key of a table or, by its index, an element of a list; nil if
// there is none.
func (n *Node) Child(key string) *Node {
	if n.Kind == List {
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Children) {
			return n.Children[i]
		}
		return nil
	}
	for _, c := range n.Children {
		if c.Key == key {
			return c
		}
	}
	return nil
}

// In names the file of a node if it is not that of another: " of FILE".
func (n *Node) In(other *Node) string {
	if n.File.Name == other.File.Name {
		return ""
	}
	return " of " + n.File.Name
}

// Parse reads a document and returns its root table. The error is an *Error.
func Parse(file *File, data []byte) (*Node, error) {
	// Syntax comes first and by itself, because the texts of the parser's
	// errors hold no more than one character of the file. The decoder's can
	// hold keys and values.
	var p unstable.Parser
	data = slices.Clip(data) // the parser counts places from the end of what is allocated
	p.Reset(data)
	for p.NextExpression() {
	}
	if err := p.Error(); err != nil {
		return nil, syntaxError(file, data, &p, err)
	}
	var all map[string]any
	if err := toml.Unmarshal(data, &all); err != nil {
		e := &Error{File: file.Name, Line: 1, Column: 1, Message: "not valid TOML"}
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			e.Line, e.Column = d.Position()
			e.Message = "not a valid number or date"
			if key := d.Key(); key != nil {
				e.Key = joinKeys(key)
				e.Message = "already set above"
			}
		}
		return nil, e
	}

	b := builder{file: file, root: &Node{File: file, Line: 1, Column: 1}, lines: []int{0}}
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
	return b.root, nil
}

func syntaxError(file *File, data []byte, p *unstable.Parser, err error) *Error {
	e := &Error{File: file.Name, Line: 1, Column: 1, Message: "not valid TOML"}
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
	if quote, _ := utf8.DecodeRune(data[min(at.Offset, len(data)):]); strings.ContainsRune("“”„‘’", quote) {
		e.Message, e.Hint = "a curly quote "+string(quote), `text stands in straight quotes: key = "value"`
	}
	return e
}

// barewordAt reports whether an unquoted word stands where a value is due.
func barewordAt(data []byte, i int) bool {
	if i >= len(data) || !only(string(data[i]), letters) {
		return false
	}
	for i--; i >= 0 && (data[i] == ' ' || data[i] == '\t'); i-- {
	}
	return i >= 0 && data[i] == '='
}

// builder makes the tree of a document that the decoder has found to be sound.
type builder struct {
	file  *File
	root  *Node
	lines []int // where each begins
}

func (b *builder) place(r unstable.Range, n *Node) *Node {
	at := int(r.Offset)
	n.File = b.file
	n.Line = sort.SearchInts(b.lines, at+1) // of the lines that begin at or before it, the last
	n.Column = at - b.lines[n.Line-1] + 1
	return n
}

// enter walks down from a table along a dotted key, making tables on the way,
// and returns the last one. In a list of tables ([[key]]) that is the newest
// element; with list set, a new one.
func (b *builder) enter(n *Node, key unstable.Iterator, list bool) *Node {
	for key.Next() {
		k, isNew := key.Node(), list && key.IsLast()
		next := n.Child(string(k.Data))
		if next == nil {
			next = b.add(n, k)
		}
		if isNew {
			next.Kind = List
			next.Children = append(next.Children, b.place(k.Raw, &Node{Path: next.Path}))
		}
		if next.Kind == List && len(next.Children) > 0 {
			next = next.Children[len(next.Children)-1]
		}
		n = next
	}
	return n
}

func (b *builder) add(parent *Node, key *unstable.Node) *Node {
	n := b.place(key.Raw, &Node{Key: string(key.Data)})
	n.Path = joinPath(parent.Path, n.Key)
	parent.Children = append(parent.Children, n)
	return n
}

// set puts "a.b = value" into a table.
func (b *builder) set(table *Node, e *unstable.Node) {
	key := e.Key()
	for key.Next() {
		k := key.Node()
		if key.IsLast() {
			b.fill(b.add(table, k), e.Value())
			return
		}
		next := table.Child(string(k.Data))
		if next == nil {
			next = b.add(table, k)
		}
		table = next
	}
}

func (b *builder) fill(n *Node, value *unstable.Node) {
	switch value.Kind {
	case unstable.String:
		n.Kind, n.Text = Text, string(value.Data)
	case unstable.Integer:
		n.Kind, n.Text = Integer, string(value.Data)
	case unstable.Float:
		n.Kind, n.Text = Float, string(value.Data)
	case unstable.Bool:
		n.Kind, n.Text = Bool, string(value.Data)
	case unstable.InlineTable:
		n.Kind = Table
		for it := value.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				b.set(n, it.Node())
			}
		}
	case unstable.Array:
		n.Kind = List
		for it := value.Children(); it.Next(); {
			// Only simple values know their own place.
			c := &Node{File: n.File, Line: n.Line, Column: n.Column, Path: n.Path}
			if raw := it.Node().Raw; raw.Length > 0 {
				c = b.place(raw, c)
			}
			b.fill(c, it.Node())
			n.Children = append(n.Children, c)
		}
	default:
		n.Kind = Other
	}
}
