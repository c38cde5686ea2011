package config

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// table reads the keys of one table. It remembers which it was asked for:
// those are the known ones. A method that finds something wrong notes it and
// gives nothing.
type table struct {
	*loader
	at    *node
	known []string
}

// table gives nil, and notes it, where n is not one.
func (l *loader) table(n *node) *table {
	if n.kind != tableKind {
		l.fail(n, "", "must be a table, not %s", n.kind)
		return nil
	}
	return &table{loader: l, at: n}
}

// sub gives the table of a key, or nil.
func (t *table) sub(key string) *table {
	n := t.take(key)
	if n == nil {
		return nil
	}
	return t.table(n)
}

func (t *table) take(key string) *node {
	t.known = append(t.known, key)
	return t.at.child(key)
}

// done notes the keys that nobody asked for.
func (t *table) done() {
	for _, n := range t.at.children {
		if !slices.Contains(t.known, n.key) {
			t.fail(n, t.hintFor(n.key), "unknown key")
		}
	}
}

func (t *table) hintFor(key string) string {
	if h := didYouMean(key, t.known); h != "" {
		return h
	}
	// A line added at the end of a file belongs to the last table there.
	if t.at.path != "" && slices.Contains(topKeys, key) {
		return "if it is not meant for " + t.at.path + ", put it before the first [table] of the file"
	}
	return "known here: " + strings.Join(slices.Sorted(slices.Values(t.known)), ", ")
}

// value gives the node of a key if it is of the kind that it must be.
func (t *table) value(key string, k kind) *node {
	n := t.take(key)
	if n == nil || !t.is(n, k) {
		return nil
	}
	return n
}

func (t *table) is(n *node, k kind) bool {
	if n.kind != k {
		t.fail(n, "", "must be %s, not %s", k, n.kind)
	}
	return n.kind == k
}

func (t *table) integer(key string, to *int, least, most int) {
	n := t.value(key, numberKind)
	if n == nil {
		return
	}
	// Base 0 takes what TOML does: 0x10, 0o10, 0b10 and 1_000.
	v, err := strconv.ParseInt(n.text, 0, 0)
	if err != nil || int(v) < least || int(v) > most {
		t.fail(n, "", "must be from %d to %d%s", least, most, not(n.text))
		return
	}
	*to = int(v)
}

func (t *table) boolean(key string, to *bool) {
	if n := t.value(key, boolKind); n != nil {
		*to = n.text == "true"
	}
}

// choice takes one of some words.
func (t *table) choice(key string, to *string, words ...string) {
	n := t.value(key, textKind)
	if n == nil {
		return
	}
	if !slices.Contains(words, n.text) {
		t.fail(n, didYouMean(n.text, words), "must be %s%s", oneOf(words), not(n.text))
		return
	}
	*to = n.text
}

// path takes an absolute path: the worker is started in any folder.
func (t *table) path(key string, to *string) *node {
	n := t.value(key, textKind)
	if n == nil {
		return nil
	}
	if !filepath.IsAbs(n.text) {
		t.fail(n, "", "must be a path from the root (/…)%s", not(n.text))
		return nil
	}
	*to = filepath.Clean(n.text)
	return n
}

// texts gives the elements of a list, those that are text.
func (t *table) texts(n *node) []*node {
	if n == nil || !t.is(n, listKind) {
		return nil
	}
	var list []*node
	for _, c := range n.children {
		if t.is(c, textKind) {
			list = append(list, c)
		}
	}
	return list
}

// textOrList gives the texts of a key that takes one or a list of them, which
// must not be empty.
func (t *table) textOrList(key string) []*node {
	n := t.take(key)
	switch {
	case n == nil:
		return nil
	case n.kind == textKind:
		return []*node{n}
	case n.kind != listKind:
		t.fail(n, "", "must be text in quotes or a list of such, not %s", n.kind)
		return nil
	case len(n.children) == 0:
		t.fail(n, "leave it out", "must not be empty")
	}
	return t.texts(n)
}
