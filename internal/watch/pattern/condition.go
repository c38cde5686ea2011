package pattern

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/internal/glob"
)

// condition is a Condition that is ready to be held against a value.
type condition struct {
	of     ref
	equals []string
	globs  []string
	match  *matcher
	min    *float64
	max    *float64
}

func compileCondition(of ref, c Condition) (condition, error) {
	for _, limit := range []*float64{c.Min, c.Max} {
		if limit != nil && math.IsNaN(*limit) {
			return condition{}, errors.New("min and max must be numbers")
		}
	}
	if c.Min != nil && c.Max != nil && *c.Min > *c.Max {
		return condition{}, errors.New("min is more than max: nothing is both")
	}
	ready := condition{of: of, equals: c.Equals, globs: c.Glob, min: c.Min, max: c.Max}
	if c.Match != nil {
		m, err := newMatcher(c.Match)
		if err != nil {
			return condition{}, err
		}
		ready.match = &m
	}
	return ready, nil
}

func (c *condition) holds(value string, there bool) bool {
	switch {
	case !there,
		len(c.equals) > 0 && !slices.Contains(c.equals, value),
		len(c.globs) > 0 && !slices.ContainsFunc(c.globs, func(p string) bool { return glob.Match(p, value) }),
		c.match != nil && !c.match.matches(value):
		return false
	}
	if c.min == nil && c.max == nil {
		return true
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && (c.min == nil || n >= *c.min) && (c.max == nil || n <= *c.max)
}
