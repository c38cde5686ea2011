package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with the settings. No field of it holds a
// secret.
type Error struct {
	File    string
	Line    int    // from 1; 0: the file as a whole
	Column  int    // from 1, in bytes
	Key     string // dotted: destination.slack.webhook_url; may be empty
	Message string
	Hint    string // what to do, best a command; may be empty
	Err     error  // the operating system's, where it is one; may be nil
}

// Error gives "FILE:LINE:COL: KEY: message", without what is not known.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	b.WriteString(": " + e.Message)
	return b.String()
}

// Unwrap gives the operating system's error: errors.Is finds fs.ErrNotExist
// and fs.ErrPermission.
func (e *Error) Unwrap() error { return e.Err }

// Errors gives all that is wrong, from an error that Load returned or that
// wraps one: in the order of files, and in a file in the order of lines.
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

// join makes one error of many, in the order in which a person works them off.
func join(errs []*Error, files []string) error {
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
