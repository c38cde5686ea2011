// Package strictoml decodes TOML into tagged structs and says all that is wrong
// with it at once: an unknown key with the one that was meant, a value that
// can't be meant, a secret that others can read, each with file, line, column
// and key. Every TOML file that sshnotify reads goes through it.
//
// It must never show a secret: an error shows keys and values only where they
// look like what belongs there.
//
// # Structs
//
// A field is decoded where it has a tag:
//
//	toml:"KEY"            the key; embedded structs without a tag are part of the table
//	toml:"KEY,old=OLD"    OLD is what the key was called before, and is still read
//	toml:"KEY,required"   the table must have it
//	toml:"KEY,one"        of a list: one value may stand for a list of one, and
//	                      the list is not empty
//	toml:"KEY,unique=THING"  no THING in the document is twice
//	toml:"KEY,secret"     KEY is the secret itself, KEY_file a file that holds it
//	                      or credential:NAME; the field's type is
//	                      outbound.Secret or another encoding.TextUnmarshaler
//	toml:"KEY,secreturl"  the same for a URL, which is a secret only where it
//	                      has a user name or a query
//
//	check:"line=64"       text: one visible line of at most so many characters
//	check:"path"          text: an absolute path; it is cleaned
//	check:"file"          text: a path; a relative one begins in the folder of the
//	                      document, and becomes absolute
//	check:"nonempty"      text: any but ""
//	check:"oneof=a b c"   text: one of these words
//	check:"min=1,max=9"   a whole number, or a duration ("min=1s,max=31d"); a
//	                      duration without min is more than 0
//	each:"label"          a map: its keys are names (letters, digits, _ and -),
//	                      and this is what they are names of
//
// The check of a list or a pointer is that of its elements. What a key does not
// say stays as it is, so that a struct is filled with its defaults before.
//
// Fields may be strings, whole numbers, fractions, booleans, time.Duration (see
// ParseDuration), netip.Prefix (or an address alone), *regexp.Regexp, structs,
// and lists, maps from string, and pointers of these; whatever implements
// Unmarshaler reads itself, and an encoding.TextUnmarshaler takes text. The
// error of the latter says what the text must be and leaves the text itself
// out: "must be hours such as …".
//
// A type that has a Validate method (see Validator) is asked once its own keys
// are read, whether they were right or not.
package strictoml

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// File is where a document comes from.
type File struct {
	Name string      // where relative paths in it begin; empty: there are none
	Mode fs.FileMode // who may read the secrets in it; 0: nobody else
}

// path makes a path that stands in the document absolute. problem says why that
// can't be done, without the path.
func (f *File) path(s string) (at, problem string) {
	switch {
	case filepath.IsAbs(s):
		return filepath.Clean(s), ""
	case s == "" || f.Name == "":
		return "", "must be the path of a file"
	case s[0] == '~':
		return "", "must be a path without ~, which only a shell understands"
	}
	abs, err := filepath.Abs(filepath.Join(filepath.Dir(f.Name), s))
	if err != nil {
		return "", "must be a path from the root (/…)" // the current folder is gone
	}
	return abs, ""
}

// Error is one thing that is wrong with a document. No field of it holds a
// secret.
type Error struct {
	File    string // may be empty
	Line    int    // from 1; 0: the file as a whole
	Column  int    // from 1, in bytes
	Key     string // dotted: destination.slack.webhook_url; may be empty
	Message string
	Hint    string // what to do, best a command; may be empty
	Err     error  // the operating system's, where it is one; may be nil
}

// Error returns "FILE:LINE:COL: KEY: message", without what is not known.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		if e.File != "" {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%d:%d", e.Line, e.Column)
	}
	for _, s := range []string{e.Key, e.Message} {
		if s != "" && b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(s)
	}
	return b.String()
}

// Unwrap returns the operating system's error: errors.Is finds fs.ErrNotExist
// and fs.ErrPermission.
func (e *Error) Unwrap() error { return e.Err }

// Errors returns all that is wrong, from an error that Join or Unmarshal
// returned or one that wraps such.
func Errors(err error) []*Error {
	switch e := err.(type) {
	case *Error:
		return []*Error{e}
	case interface{ Unwrap() []error }:
		var all []*Error
		for _, err := range e.Unwrap() {
			all = append(all, Errors(err)...)
		}
		return all
	case interface{ Unwrap() error }:
		return Errors(e.Unwrap())
	}
	return nil
}

// Join returns one error of many, in the order of files and, in a file, of
// lines; nil if there are none.
func Join(errs []*Error, files ...string) error {
	slices.SortStableFunc(errs, func(a, b *Error) int {
		return cmp.Or(
			cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
	list := make([]error, len(errs))
	for i, e := range errs {
		list[i] = e
	}
	return errors.Join(list...)
}

// Unmarshal decodes a document into a struct. name is its file, for the
// errors, and may be empty. Errors returns all that is wrong; the struct is then
// not to be used.
func Unmarshal(name string, data []byte, to any) error {
	return (&File{Name: name}).Unmarshal(data, to)
}

// Unmarshal reads data, which is what stands in f, into to.
func (f *File) Unmarshal(data []byte, to any) error {
	root, err := Parse(f, data)
	if err != nil {
		return err
	}
	var d Decoder
	d.Decode(root, to)
	return Join(d.Errors())
}

// Unmarshaler is a value that reads itself. What is wrong it tells d.Fail.
type Unmarshaler interface {
	DecodeTOML(d *Decoder, n *Node)
}

// Validator is a value whose parts must fit each other, or what stands
// elsewhere in the document. What does not is told with at.Fail.
type Validator interface {
	Validate(at At)
}

// At is where a value stands that is being validated.
type At struct {
	d      *Decoder
	node   *Node
	before int // how many errors there were before it was read
}

// Has reports whether a key is set, or its _file twin; dotted as for Fail.
func (a At) Has(key string) bool { _, ok := a.find(key); return ok }

// OK reports whether nothing has been found wrong with the value so far.
func (a At) OK() bool { return len(a.d.errs) == a.before }

// Node returns the value itself.
func (a At) Node() *Node { return a.node }

// Fail notes what is wrong with a key: dotted, elements of lists by their index
// ("threshold.count", "network.0"). Where that does not stand in the document,
// the error has the place of the table it would be in. "" is the value itself.
// The caller may set the error's hint.
func (a At) Fail(key, format string, args ...any) *Error {
	n, _ := a.find(key)
	return a.d.Fail(n, format, args...)
}

// Err is Fail with another package's error, of which it leaves out what may be
// a secret.
func (a At) Err(key string, err error) *Error { return a.Fail(key, "%s", quiet(err.Error())) }

// Names returns the keys of a table at the document's top. Those with a wrong
// value are among them, so that one mistake is not told twice.
func (a At) Names(table string) []string { return a.d.Names(table) }

// Names is At's.
func (d *Decoder) Names(table string) (names []string) {
	if n := d.root.Child(table); n != nil {
		for _, c := range n.Children {
			names = append(names, c.Key)
		}
	}
	return names
}

// Known notes those values of a list that are not among the known ones. must
// says what they have to be ("the name of a destination"), what is what they
// are called together ("destinations").
func (a At) Known(key string, values, known []string, must, what string) {
	for i, v := range values {
		n, _ := a.find(fmt.Sprintf("%s.%d", key, i))
		if n.Kind == Text && n.Text == v && !slices.Contains(known, v) { // else it was no text, or failed its check
			a.d.Fail(n, "must be %s%s", must, Not(v)).Hint = HintAt(v, what, known)
		}
	}
}

// In returns where a key stands whose name may have a point in it.
func (a At) In(key string) At {
	if n := a.node.Child(key); n != nil {
		a.node = n
	}
	return a
}

func (a At) find(key string) (n *Node, all bool) {
	n = a.node
	for key != "" {
		var part string
		part, key, _ = strings.Cut(key, ".")
		next := n.Child(part)
		if next == nil {
			next = n.Child(part + fileSuffix)
		}
		if next == nil {
			return n, false
		}
		n = next
	}
	return n, true
}

var (
	_ error                    = (*Error)(nil)
	_ encoding.TextUnmarshaler = (*Clock)(nil)
)
