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
	top   []string // keys that stand before the first table
	open  *File    // the last one that was said to be open to others
}

// Errors returns what is wrong so far, as it was found.
func (d *Decoder) Errors() []*Error { return d.errs }

// Notes returns what is read, and should be written otherwise.
func (d *Decoder) Notes() []*Error { return d.notes }

// Decode reads a whole document into a struct.
func (d *Decoder) Decode(root *Node, to any) {
	d.root, d.top = root, nil
	for _, f := range d.fields(reflect.ValueOf(to).Elem()) {
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
		for _, f := range d.fields(reflect.ValueOf(s).Elem()) {
			known = append(known, f.key)
			if f.secret {
				known = append(known, f.key+fileSuffix)
				d.secret(n, f)
			} else if c := n.Child(f.key); c != nil {
				d.value(c, f.value, f.tag)
			} else if f.required {
				d.Fail(n, "%s is missing", f.key)
			}
		}
	}
	for _, c := range n.Children {
		if !slices.Contains(known, c.Key) {
			d.Fail(c, "unknown key").Hint = d.hintFor(n, c.Key, known)
		}
	}
	for _, s := range to {
		d.validate(n, s, before)
	}
}

func (d *Decoder) hintFor(table *Node, key string, known []string) string {
	if h := didYouMean(key, known); h != "" {
		return h
	}
	// A line added at the end of a file belongs to the last table there.
	if table.Path != "" && slices.Contains(d.top, key) {
		return "if it is not meant for " + table.Path + ", put it before the first [table] of the file"
	}
	return "known here: " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
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
	switch p := v.Addr().Interface().(type) {
	case Unmarshaler:
		before := len(d.errs)
		p.DecodeTOML(d, n)
		d.validate(n, p, before)
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
		before := len(d.errs)
		d.slice(n, v, t)
		d.validate(n, v.Addr().Interface(), before)
	case reflect.Map:
		before := len(d.errs)
		d.mapping(n, v, t)
		d.validate(n, v.Addr().Interface(), before)
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
		d.Is(n, List)
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
	if tables {
		d.unique(n, elem)
	}
}

// unique looks at the keys of a list of tables of which no two may be the same.
func (d *Decoder) unique(list *Node, elem reflect.Type) {
	for _, f := range d.fields(reflect.New(elem).Elem()) {
		if !f.unique {
			continue
		}
		seen := map[string]*Node{}
		for _, table := range list.Children {
			n := table.Child(f.key)
			if n == nil || n.Kind != Text {
				continue
			}
			if was := seen[n.Text]; was != nil {
				d.Fail(n, "the %s in line %d%s has this %s", list.Key, was.Line, was.In(n), f.key)
				continue
			}
			seen[n.Text] = n
		}
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
	required, one, unique, secret, secretURL bool

	each  string
	check check
}

type check struct {
	line           int
	path, nonempty bool
	words          []string
	min, max       string
}

func (d *Decoder) fields(v reflect.Value) (all []field) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("toml"), ",")
		if key == "" {
			if f.Anonymous && f.Type.Kind() == reflect.Struct {
				all = append(all, d.fields(v.Field(i))...)
			}
			continue
		}
		t := tag{each: f.Tag.Get("each")}
		for o := range strings.SplitSeq(options, ",") {
			switch o {
			case "":
			case "required":
				t.required = true
			case "one":
				t.one = true
			case "unique":
				t.unique = true
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
