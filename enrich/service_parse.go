package enrich

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/sshnotify/sshnotify/internal/event"
)

// maxServiceFile is more than any description needs; the longest shipped one
// has 6 KiB.
const maxServiceFile = 64 << 10

// FileError is one thing that is wrong with a service's file.
type FileError struct {
	Line, Column int    // from 1; 0: the file as a whole
	Key          string // dotted, lists with their index from 0: request[1].path; may be empty
	Message      string
	Nearest      string // the key that may have been meant, in the place of an unknown one; may be empty
}

func (e *FileError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", e.Line, e.Column)
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Message)
	if e.Nearest != "" {
		fmt.Fprintf(&b, ", did you mean %s?", e.Nearest)
	}
	return b.String()
}

// ParseService reads the description of a service, in the form that
// services/README.md describes. name is what the service is called in the
// settings. Every error is a *FileError, or several of them joined, the first
// in the file first.
func ParseService(name string, b []byte) (*ServiceFile, error) {
	if !isFileName(name) {
		return nil, &FileError{Message: fmt.Sprintf("the name %q is not made of letters, digits, - and _ alone", event.Clean(name, 64))}
	}
	if len(b) > maxServiceFile {
		return nil, &FileError{Message: fmt.Sprintf("more than %d KiB", maxServiceFile>>10)}
	}
	b = slices.Clip(b) // the parser counts places from the end of what is allocated
	f := &ServiceFile{name: name, risk: -1}
	if errs := f.form.decode(b); len(errs) > 0 {
		return nil, joinFileErrors(errs)
	}
	c := checker{places: placesOf(b)}
	c.service(f)
	if len(c.errs) > 0 {
		return nil, joinFileErrors(c.errs)
	}
	sum := sha256.Sum256(b)
	f.digest = hex.EncodeToString(sum[:])
	return f, nil
}

func joinFileErrors(errs []*FileError) error {
	slices.SortStableFunc(errs, func(a, b *FileError) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	if len(errs) == 1 {
		return errs[0]
	}
	list := make([]error, len(errs))
	for i, e := range errs {
		list[i] = e
	}
	return errors.Join(list...)
}

func (f *serviceForm) decode(b []byte) (errs []*FileError) {
	err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(f)
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		for i := range strict.Errors {
			errs = append(errs, unknownKey(&strict.Errors[i]))
		}
		return errs
	}
	e := &FileError{Message: event.Clean(strings.TrimPrefix(err.Error(), "toml: "), maxDetail)}
	if d, ok := errors.AsType[*toml.DecodeError](err); ok {
		e.Line, e.Column = d.Position()
		e.Key = event.Clean(strings.Join(d.Key(), "."), maxDetail)
	}
	return []*FileError{e}
}

func unknownKey(d *toml.DecodeError) *FileError {
	key := d.Key()
	e := &FileError{Key: event.Clean(strings.Join(key, "."), maxDetail), Message: "there is no such key"}
	e.Line, e.Column = d.Position()
	if len(key) > 0 {
		e.Nearest = nearest(key[len(key)-1], keysAt(reflect.TypeFor[serviceForm](), key[:len(key)-1]))
	}
	return e
}

// keysAt lists the keys of the table that a dotted key leads to.
func keysAt(t reflect.Type, key []string) []string {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if t.Kind() == reflect.Map && len(key) > 0 {
			key = key[1:]
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("toml")
		if name == "" {
			continue
		}
		if len(key) > 0 && name == key[0] {
			return keysAt(t.Field(i).Type, key[1:])
		}
		names = append(names, name)
	}
	if len(key) > 0 {
		return nil
	}
	return names
}

// nearest gives the name that differs in the fewest letters, if few enough.
func nearest(word string, names []string) string {
	best, least := "", len(word)/3+1
	for _, n := range names {
		if d := distance(strings.ToLower(word), n); d <= least {
			if d < least || best == "" {
				best, least = n, d
			}
		}
	}
	return best
}

// distance counts the letters to add, take away or change.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := corner
			if a[i] != b[j] {
				d = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

type place struct{ line, column int }

// placesOf finds where each key stands in a document that the decoder took.
func placesOf(b []byte) map[string]place {
	places := make(map[string]place)
	lists := make(map[string]int) // how many elements of each list have begun
	var p unstable.Parser
	p.Reset(b)
	note := func(key string, at unstable.Range) {
		start := p.Shape(at).Start
		if _, there := places[key]; !there {
			places[key] = place{start.Line, start.Column}
		}
	}
	// dotted follows the parts of a key from table on. An element of a list is
	// the last one that has begun.
	dotted := func(table string, it unstable.Iterator) (key string, at unstable.Range) {
		key = table
		for it.Next() {
			if n := lists[key]; n > 0 {
				key = fmt.Sprintf("%s[%d]", key, n-1)
			}
			key = strings.TrimPrefix(key+"."+string(it.Node().Data), ".")
			at = it.Node().Raw
		}
		return key, at
	}
	var value func(key string, n *unstable.Node)
	value = func(key string, n *unstable.Node) {
		if n.Kind != unstable.InlineTable && n.Kind != unstable.Array {
			return
		}
		for i, it := 0, n.Children(); it.Next(); i++ {
			child := it.Node()
			if n.Kind == unstable.Array {
				value(fmt.Sprintf("%s[%d]", key, i), child)
				continue
			}
			if child.Kind == unstable.KeyValue {
				k, at := dotted(key, child.Key())
				note(k, at)
				value(k, child.Value())
			}
		}
	}
	table := ""
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			k, at := dotted("", e.Key())
			if e.Kind == unstable.ArrayTable {
				lists[k]++
				k = fmt.Sprintf("%s[%d]", k, lists[k]-1)
			}
			table = k
			note(k, at)
		case unstable.KeyValue:
			k, at := dotted(table, e.Key())
			note(k, at)
			value(k, e.Value())
		}
	}
	return places
}
