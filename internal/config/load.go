package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sshnotify/sshnotify/internal/paths"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Load reads the settings file at path, then conf.d/*.toml beside it in the order
// of their names, and then UpgradedFile, of which only that counts which no other
// file says. That there is no file at path is an error.
// strictoml.Errors lists all that is wrong; the Config is then not to be used.
func Load(path string) (Config, error) { return load(path, false) }

// LoadWithoutSecrets is Load for who needs no secret: all of them are zero, and
// their files need not be there.
func LoadWithoutSecrets(path string) (Config, error) { return load(path, true) }

func load(path string, withoutSecrets bool) (Config, error) {
	l := loader{withoutSecrets: withoutSecrets}
	more, err := confD(path)
	if err != nil {
		l.errs = append(l.errs, err)
	}
	for _, p := range append([]string{path}, more...) {
		data, mode, err := strictoml.ReadFile(p)
		if err == nil {
			l.add(p, mode, data)
			continue
		}
		e := &strictoml.Error{File: p, Message: err.Error(), Err: err}
		if p == path && len(more) > 0 && errors.Is(err, fs.ErrNotExist) {
			e.Hint = "conf.d is read with a config.toml only, which may be empty: touch " + strictoml.ShellWord(path)
		}
		l.files = append(l.files, p)
		l.errs = append(l.errs, e)
	}
	p := UpgradedFile(path)
	data, mode, err2 := strictoml.ReadFile(p)
	switch {
	case err2 == nil:
		l.addUpgraded(p, mode, data)
	case !errors.Is(err2, fs.ErrNotExist):
		l.files = append(l.files, p)
		l.errs = append(l.errs, &strictoml.Error{File: p, Message: err2.Error(), Err: err2})
	}
	return l.finish()
}

// confD lists the files that are merged after the settings file at path, in
// the order of their names.
func confD(path string) ([]string, *strictoml.Error) {
	dir := filepath.Join(filepath.Dir(path), "conf.d")
	entries, err := os.ReadDir(dir) // sorted
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	if err != nil {
		return nil, &strictoml.Error{File: dir, Message: err.Error(), Err: err}
	}
	var paths []string
	for _, e := range entries {
		// What editors leave behind while they work begins with a dot.
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// Added returns the files that are read after the settings file at path; none where
// their folder can't be read.
func Added(path string) []string {
	paths, _ := confD(path)
	return paths
}

// UpgradedFile is where an upgrade writes what the settings file at path and those
// of conf.d left to a default that is another now. It lies beside them, because
// theirs are somebody's own, a package's, or a tool's that distributes settings:
// whatever these say later counts, and is no second word for the same key. An older
// sshnotify, whose defaults it says, does not read it.
func UpgradedFile(path string) string { return filepath.Join(filepath.Dir(path), "upgraded.toml") }

// Find returns the default settings file, and whether there is one to Load. If
// not, Default holds. A file that can't be looked at, and a conf.d without a
// config.toml, count as settings, so that Load says what is wrong with them.
func Find(u paths.User) (path string, ok bool) {
	path = u.ConfigFile()
	if path == "" {
		return "", false
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, true
	}
	more, err := confD(path)
	return path, err != nil || len(more) > 0
}

// loader gathers what is wrong, so that a person sees all of it at once.
type loader struct {
	withoutSecrets bool

	files []string
	roots []*strictoml.Node // of the files that could be parsed
	errs  []*strictoml.Error

	upgraded *strictoml.Node // the root of UpgradedFile; nil: there is none
}

// add takes the next settings file.
func (l *loader) add(path string, mode fs.FileMode, data []byte) {
	root := l.parse(path, mode, data)
	if root == nil {
		return
	}
	if n := at(root, "form"); n != nil && len(l.files) > 1 {
		l.errs = append(l.errs, &strictoml.Error{File: path, Line: n.Line, Column: n.Column,
			Message: "it describes a service, and each file of conf.d is read as settings",
			Hint:    "move it out of conf.d, and say where it is: file = \"../" + filepath.Base(path) + "\""})
		return
	}
	l.roots = append(l.roots, root)
}

// addUpgraded takes what an upgrade wrote.
func (l *loader) addUpgraded(path string, mode fs.FileMode, data []byte) {
	l.upgraded = l.parse(path, mode, data)
}

func (l *loader) parse(path string, mode fs.FileMode, data []byte) *strictoml.Node {
	l.files = append(l.files, path)
	root, err := strictoml.Parse(&strictoml.File{Name: path, Mode: mode}, data)
	l.errs = append(l.errs, strictoml.Errors(err)...)
	return root
}

// finish says what all files together mean.
func (l *loader) finish() (Config, error) {
	c, d := Default(), strictoml.Decoder{WithoutSecrets: l.withoutSecrets}
	c.Files = l.files
	all := merge(&d, l.roots)
	if l.upgraded != nil {
		complete(all, l.upgraded)
	}
	d.Decode(all, &c)
	for _, key := range keptKeys() {
		if n := at(all, key); n != nil {
			if c.SaidIn == nil {
				c.SaidIn = map[string]string{}
			}
			c.SaidIn[key] = n.File.Name
		}
	}
	c.Notes = d.Notes()
	if errs := append(l.errs, d.Errors()...); len(errs) > 0 {
		return Config{}, strictoml.Join(errs, l.files...)
	}
	return c, nil
}

// merge makes one tree of all files. What one file has set no other may set or
// add to, so that one always knows where to look; only tables that hold named
// tables are put together, and lists of such.
func merge(d *strictoml.Decoder, roots []*strictoml.Node) *strictoml.Node {
	all := &strictoml.Node{File: &strictoml.File{}}
	for _, root := range roots {
		for _, n := range root.Children {
			old := all.Child(n.Key)
			named := n.Kind == strictoml.Table && slices.Contains([]string{"provider", "destination", "source", "person"}, n.Key)
			// Each has a name of its own, and their order means nothing.
			listed := n.Kind == strictoml.List && slices.Contains([]string{"detector", "pattern"}, n.Key)
			switch {
			case old == nil && (named || listed):
				one := *n // its children will be those of other files too
				one.Children = slices.Clone(n.Children)
				all.Children = append(all.Children, &one)
			case old == nil:
				all.Children = append(all.Children, n)
			case named && old.Kind == strictoml.Table:
				for _, c := range n.Children {
					if was := old.Child(c.Key); was != nil {
						twice(d, c, was)
						continue
					}
					old.Children = append(old.Children, c)
				}
			case listed && old.Kind == strictoml.List:
				old.Children = append(old.Children, n.Children...)
			default:
				twice(d, n, old)
			}
		}
	}
	return all
}

// complete adds what another table has and a table has not.
func complete(table, with *strictoml.Node) {
	for _, n := range with.Children {
		switch old := table.Child(n.Key); {
		case old == nil:
			table.Children = append(table.Children, n)
		case old.Kind == strictoml.Table && n.Kind == strictoml.Table:
			complete(old, n)
		}
	}
}

// at returns the node of a dotted key; nil where there is none.
func at(n *strictoml.Node, key string) *strictoml.Node {
	for name := range strings.SplitSeq(key, ".") {
		if n = n.Child(name); n == nil {
			return nil
		}
	}
	return n
}

func twice(d *strictoml.Decoder, n, old *strictoml.Node) {
	d.Fail(n, "already set in %s, line %d", old.File.Name, old.Line)
}
