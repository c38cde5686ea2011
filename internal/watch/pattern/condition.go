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
	Condition
	of    ref
	match *matcher
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
	ready := condition{Condition: c, of: of}
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
		len(c.Equals) > 0 && !slices.Contains(c.Equals, value),
		len(c.Glob) > 0 && !slices.ContainsFunc(c.Glob, func(p string) bool { return glob.Match(p, value) }),
		c.match != nil && !c.match.matches(value):
		return false
	}
	if c.Min == nil && c.Max == nil {
		return true
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && (c.Min == nil || n >= *c.Min) && (c.Max == nil || n <= *c.Max)
}
