package strictoml

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Decoder reads documents into values and gathers what is wrong. The zero value
// is ready for use.
type Decoder struct {
	WithoutSecrets bool // no secret is read; all of them stay zero

	errs  []*Error
	notes []*Error
	root  *Node
	top   []string         // keys that stand before the first table
	first map[string]*Node // see First
}

// Errors returns what is wrong so far, as it was found.
func (d *Decoder) Errors() []*Error { return d.errs }

// Notes returns what is read, and should be written otherwise.
func (d *Decoder) Notes() []*Error { return d.notes }

// Decode reads a whole document into a struct.
func (d *Decoder) Decode(root *Node, to any) {
	d.root, d.top = root, nil
	for _, f := range fields(reflect.ValueOf(to).Elem()) {
		t := f.value.Type()
		if k := t.Kind(); k != reflect.Struct && k != reflect.Slice && (k != reflect.Map || t.Elem().Kind() == reflect.String) {
			d.top = append(d.top, f.key)
		}
	}
	d.Table(root, to)
}

// Table reads the keys of a table into a struct, or into several that share it.
func (d *Decoder) Table(n *Node, to ...any) {
	if !d.Is(n, Table) {
		return
	}
	before := len(d.errs)
	var known []string
	for _, s := range to {
		for _, f := range fields(reflect.ValueOf(s).Elem()) {
			known = append(known, f.key)
			if f.secret {
				known = append(known, f.key+fileSuffix)
				d.secret(n, f)
				continue
			}
			old := n.Child(f.old)
			if f.old != "" {
				known = append(known, f.old)
			}
			if old != nil {
				d.value(old, f.value, f.tag)
			}
			if c := n.Child(f.key); c != nil {
				d.value(c, f.value, f.tag)
			} else if f.required && old == nil {
				d.Fail(n, "%s is missing", f.key)
			}
		}
	}
	for _, c := range n.Children {
		if !slices.Contains(known, c.Key) {
			d.Unknown(n, c, known)
		}
	}
	for _, s := range to {
		d.validate(n, s, before)
	}
}

// Unknown notes a key of a table that is none of the known ones.
func (d *Decoder) Unknown(table, key *Node, known []string) {
	e := d.Fail(key, "unknown key")
	if e.Hint = didYouMean(key.Key, known); e.Hint != "" {
		return
	}
	// A line added at the end of a file belongs to the last table there.
	if table.Path != "" && slices.Contains(d.top, key.Key) {
		e.Hint = "if it is not meant for " + table.Path + ", put it before the first [table] of the file"
		return
	}
	e.Hint = "known here: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// Choice reads one of some words.
func (d *Decoder) Choice(n *Node, words ...string) (string, bool) {
	return d.text(n, check{words: words})
}

func (d *Decoder) validate(n *Node, v any, before int) {
	if v, ok := v.(Validator); ok {
		v.Validate(At{d: d, node: n, before: before})
	}
}

// Is reports whether a node is of a kind, and notes it where it is not.
func (d *Decoder) Is(n *Node, k Kind) bool {
	if n.Kind != k {
		d.Fail(n, "must be %s, not %s", k, n.Kind)
	}
	return n.Kind == k
}

// Fail notes what is wrong with a node. The caller may set the error's hint.
func (d *Decoder) Fail(n *Node, format string, args ...any) *Error {
	e := errorAt(n, format, args...)
	d.errs = append(d.errs, e)
	return e
}

// First returns the first node that it was called with for a thing of which there
// must be one in all of the document.
func (d *Decoder) First(thing string, n *Node) *Node {
	if d.first == nil {
		d.first = map[string]*Node{}
	}
	if was := d.first[thing]; was != nil {
		return was
	}
	d.first[thing] = n
	return n
}

// Note notes what is read, and should be written otherwise.
func (d *Decoder) Note(n *Node, format string, args ...any) {
	d.notes = append(d.notes, errorAt(n, format, args...))
}

func errorAt(n *Node, format string, args ...any) *Error {
	return &Error{File: n.File.Name, Line: n.Line, Column: n.Column, Key: n.Path, Message: fmt.Sprintf(format, args...)}
}

// Value reads one value, as a field without checks would be.
func (d *Decoder) Value(n *Node, to any) { d.value(n, reflect.ValueOf(to).Elem(), tag{}) }

func (d *Decoder) value(n *Node, v reflect.Value, t tag) {
	before := len(d.errs)
	d.read(n, v, t)
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		d.validate(n, v.Addr().Interface(), before)
	default:
		if t.unique != "" && len(d.errs) == before {
			d.Once(n, t.unique+" "+fmt.Sprint(v.Interface()))
		}
	}
}

// Once reports whether this is the first of a thing in the document, and notes it
// where it is not.
func (d *Decoder) Once(n *Node, thing string) bool {
	was := d.First(thing, n)
	if was != n {
		d.Fail(n, "already used in line %d%s", was.Line, was.In(n))
	}
	return was == n
}

func (d *Decoder) read(n *Node, v reflect.Value, t tag) {
	switch p := v.Addr().Interface().(type) {
	case Unmarshaler:
		p.DecodeTOML(d, n)
		return
	case *time.Duration:
		d.duration(n, p, t.check)
		return
	case *netip.Prefix:
		d.network(n, p)
		return
	case **regexp.Regexp:
		d.expression(n, p)
		return
	case encoding.TextUnmarshaler:
		if s, ok := d.text(n, t.check); ok {
			if err := p.UnmarshalText([]byte(s)); err != nil {
				d.Fail(n, "%s%s", quiet(err.Error()), Not(s))
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.Table(n, v.Addr().Interface())
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), t)
		v.Set(p)
	case reflect.String:
		if s, ok := d.text(n, t.check); ok {
			v.SetString(s)
		}
	case reflect.Int, reflect.Int64:
		d.integer(n, v, t.check)
	case reflect.Float64:
		d.float(n, v)
	case reflect.Bool:
		if d.Is(n, Bool) {
			v.SetBool(n.Text == "true")
		}
	case reflect.Slice:
		d.slice(n, v, t)
	case reflect.Map:
		d.mapping(n, v, t)
	default:
		panic(fmt.Sprintf("strictoml: no %v can be read", v.Type()))
	}
}

func (d *Decoder) slice(n *Node, v reflect.Value, t tag) {
	elem := v.Type().Elem()
	_, reads := reflect.New(elem).Interface().(Unmarshaler)
	_, isText := reflect.New(elem).Interface().(encoding.TextUnmarshaler)
	tables := elem.Kind() == reflect.Struct && !reads && !isText && elem != reflect.TypeFor[netip.Prefix]()
	nodes := n.Children
	switch {
	case n.Kind == List && len(nodes) == 0 && t.one:
		d.Fail(n, "must not be empty").Hint = "leave it out"
	case n.Kind == List:
	case tables:
		d.Fail(n, "must be a list of tables, not %s", n.Kind).Hint = "write [[" + n.Key + "]]"
		return
	case t.one && (reads || n.Kind == Text):
		nodes = []*Node{n}
	case t.one:
		d.Fail(n, "must be text in quotes or a list of such, not %s", n.Kind)
		return
	default:
		d.Fail(n, "must be %s, not %s", List, n.Kind).Hint = `a list stands in brackets, also of one: ["…"]`
		return
	}
	// What is wrong stays in the list, so that Validate finds each by its index.
	out := reflect.MakeSlice(v.Type(), len(nodes), len(nodes))
	for i, c := range nodes {
		d.value(c, out.Index(i), t)
	}
	if len(nodes) > 0 {
		v.Set(out)
	}
}

func (d *Decoder) mapping(n *Node, v reflect.Value, t tag) {
	if !d.Is(n, Table) {
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, c := range n.Children {
		if t.each != "" && !d.Named(c, t.each) {
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(c, elem, t)
		out.SetMapIndex(reflect.ValueOf(c.Key).Convert(v.Type().Key()), elem)
	}
	v.Set(out)
}

// Named reports whether the key of a node is a name, and notes it where it is
// not. what is what it names: "network".
func (d *Decoder) Named(n *Node, what string) bool {
	if !IsName(n.Key) {
		d.Fail(n, "the name of a %s is made of 1 to %d letters, digits, _ and -", what, maxShownKey)
		return false
	}
	return true
}

// field is one of a struct that has a key.
type field struct {
	value reflect.Value
	key   string
	tag
}

type tag struct {
	required, one, secret, secretURL bool

	old, unique, each string
	check             check
}

type check struct {
	line                 int
	path, file, nonempty bool
	words                []string
	min, max             string
}

// Keyed is a struct of which some keys are known no sooner than when it is made.
type Keyed interface {
	Struct() any // a pointer to a struct that has them; the same in each call
}

func fields(v reflect.Value) (all []field) {
	if v.CanAddr() && v.CanInterface() {
		if k, ok := v.Addr().Interface().(Keyed); ok {
			all = fields(reflect.ValueOf(k.Struct()).Elem())
		}
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if key == "" {
			if f.Anonymous && f.Type.Kind() == reflect.Struct {
				all = append(all, fields(v.Field(i))...)
			}
			continue
		}
		t := tag{each: f.Tag.Get("each")}
		for o := range strings.SplitSeq(options, ",") {
			o, value, _ := strings.Cut(o, "=")
			switch o {
			case "":
			case "old":
				t.old = value
			case "unique":
				t.unique = value
			case "required":
				t.required = true
			case "one":
				t.one = true
			case "secret":
				t.secret = true
			case "secreturl":
				t.secret, t.secretURL = true, true
			default:
				panic(fmt.Sprintf("strictoml: %v.%s: no such option: %s", v.Type(), f.Name, o))
			}
		}
		for c := range strings.SplitSeq(f.Tag.Get("check"), ",") {
			what, value, _ := strings.Cut(c, "=")
			switch what {
			case "":
			case "line":
				t.check.line, _ = strconv.Atoi(value)
			case "path":
				t.check.path = true
			case "file":
				t.check.file = true
			case "nonempty":
				t.check.nonempty = true
			case "oneof":
				t.check.words = strings.Fields(value)
			case "min":
				t.check.min = value
			case "max":
				t.check.max = value
			default:
				panic(fmt.Sprintf("strictoml: %v.%s: no such check: %s", v.Type(), f.Name, what))
			}
		}
		all = append(all, field{v.Field(i), key, t})
	}
	return all
}

// Type is one of those that the tables [WHAT.NAME] can have, as a registry lists
// them.
type Type[S any] struct {
	Name string // as type = "…" says it; a table without it is of the type of its name
	// New returns a pointer to the struct of the type's own keys, filled with
	// their defaults, for the table of that name.
	New func(name string) S
}

// Named reads a table of named tables. read gets each whose type is known, with
// New's struct, which it has to pass to d.Table beside that of the keys which
// all types have, "type" among them. guess may say the type of a table that
// names none; nil: it can't.
func Named[S any](d *Decoder, n *Node, types []Type[S], guess func(*Node) string, read func(n *Node, typ string, s S)) {
	if n.Kind != Table {
		d.Fail(n, "must be a table of named tables, not %s", n.Kind).Hint = "write [" + n.Key + ".NAME]"
		return
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.Name
	}
	for _, c := range n.Children {
		if c.Kind != Table {
			d.Fail(c, "must be a table, not %s", c.Kind).Hint = "write [" + n.Key + ".NAME] above it"
			continue
		}
		if !d.Named(c, n.Key) {
			continue
		}
		typ, said := c.Key, c.Child("type")
		if said != nil {
			typ, _ = d.Choice(said, names...)
		} else if !slices.Contains(names, typ) {
			if typ = ""; guess != nil {
				typ = guess(c)
			}
			if typ == "" {
				hint := didYouMean(c.Key, names)
				if hint == "" {
					hint = `type = "…" names one of these; there are no others`
				}
				d.Fail(c, "type is missing, and its name is none: %s", OneOf(names)).Hint = hint
			}
		}
		if i := slices.Index(names, typ); i >= 0 {
			read(c, typ, types[i].New(c.Key))
		}
	}
}

// HasSecret reports whether a struct has a secret that is set; one that is a URL
// does not count.
func HasSecret(of any) bool {
	v := reflect.ValueOf(of).Elem()
	return v.Kind() == reflect.Struct && slices.ContainsFunc(fields(v), func(f field) bool { return f.secret && !f.secretURL && !f.value.IsZero() })
}
