package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Load is LoadWith without options.
func Load(path string) (Config, error) { return LoadWith(path, Options{}) }

// Options are what the settings may name and this package does not know.
type Options struct {
	// Services are the services that are asked over HTTP, by their types. Nil:
	// those of Services.
	Services map[string]ServiceForm
	// WithoutSecrets reads no secret, for who needs none: all of them are zero.
	WithoutSecrets bool
}

// LoadWith reads the settings file at path, and then conf.d/*.toml beside it in
// the order of their names. That there is no such file is an error. Errors
// lists all that is wrong; the Config is then not to be used.
func LoadWith(path string, o Options) (Config, error) {
	l := loader{services: o.Services, withoutSecrets: o.WithoutSecrets}
	more, err := confD(path)
	if e, ok := errors.AsType[*Error](err); ok {
		l.errs = append(l.errs, e)
	}
	for _, p := range append([]string{path}, more...) {
		data, mode, err := readFile(p)
		if err == nil {
			l.add(p, mode, data)
			continue
		}
		e := &Error{File: p, Message: err.Error(), Err: err}
		if p == path && len(more) > 0 && errors.Is(err, fs.ErrNotExist) {
			e.Hint = "conf.d is read with a config.toml only, which may be empty: touch " + shellWord(path)
		}
		l.files = append(l.files, p)
		l.errs = append(l.errs, e)
	}
	return l.finish()
}

// loader gathers what is wrong, so that a person sees all of it at once.
type loader struct {
	files []string
	docs  []*document // those of files that could be parsed
	errs  []*Error
	told  map[string]bool // files that were said to be open to others

	services       map[string]ServiceForm
	withoutSecrets bool
}

// add takes the next settings file.
func (l *loader) add(path string, mode fs.FileMode, data []byte) {
	l.files = append(l.files, path)
	doc := &document{path: path, mode: mode}
	if e := parse(doc, data); e != nil {
		l.errs = append(l.errs, e)
		return
	}
	l.docs = append(l.docs, doc)
}

// finish says what all files together mean.
func (l *loader) finish() (Config, error) {
	c := Default()
	c.Files = l.files
	if l.services == nil {
		l.services = Services()
	}
	l.root(l.merge(), &c)
	if len(l.errs) > 0 {
		return Config{}, join(l.errs, l.files)
	}
	return c, nil
}

// merge makes one tree of all files. What one file has set no other may set or
// add to, so that one always knows where to look; only tables that hold named
// tables are put together, and lists of such.
func (l *loader) merge() *node {
	all := &node{}
	for _, doc := range l.docs {
		for _, n := range doc.root.children {
			old := all.child(n.key)
			named := n.kind == tableKind && slices.Contains([]string{"provider", "destination", "source"}, n.key)
			// Each has a name of its own, and their order means nothing.
			listed := n.kind == listKind && slices.Contains([]string{"detector", "pattern"}, n.key)
			switch {
			case old == nil && (named || listed):
				one := *n // its children will be those of other files too
				one.children = append([]*node(nil), n.children...)
				all.children = append(all.children, &one)
			case old == nil:
				all.children = append(all.children, n)
			case named && old.kind == tableKind:
				for _, c := range n.children {
					if was := old.child(c.key); was != nil {
						l.twice(c, was)
						continue
					}
					old.children = append(old.children, c)
				}
			case listed && old.kind == listKind:
				old.children = append(old.children, n.children...)
			default:
				l.twice(n, old)
			}
		}
	}
	return all
}

func (l *loader) twice(n, old *node) {
	l.fail(n, "", "already set in %s, line %d", old.doc.path, old.line)
}

func (l *loader) fail(n *node, hint, format string, args ...any) {
	l.errs = append(l.errs, &Error{
		File: n.doc.path, Line: n.line, Column: n.column,
		Key: n.path, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}
