package enrich

import (
	"math"
	"strings"

	"github.com/tidwall/gjson"
)

// scoreResult says what came of reading a score.
type scoreResult int

const (
	scoreFound   scoreResult = iota
	scoreMissing             // nothing there
	scoreOdd                 // of the right type, with a value that can't be
	scoreWrong               // of another type
)

// read turns what stands where the score belongs into 0 to 100.
func (s *scoreForm) read(f gjson.Result) (int, scoreResult) {
	if !f.Exists() || f.IsArray() && len(f.Array()) == 0 {
		if s.Missing != nil {
			return *s.Missing, scoreFound
		}
		return 0, scoreMissing
	}
	if s.Words != nil {
		return s.readWords(f)
	}
	switch {
	case f.Type != gjson.Number:
		return 0, scoreWrong
	case !isFinite(f.Num) || !s.Fractions && f.Num != math.Trunc(f.Num):
		return 0, scoreOdd
	case s.Range != nil:
		return s.linear(f.Num)
	}
	return s.step(f.Num)
}

// linear rounds up: what is not nothing is not 0.
func (s *scoreForm) linear(v float64) (int, scoreResult) {
	from, to := s.Range[0], s.Range[1]
	if v < min(from, to) || v > max(from, to) {
		return 0, scoreOdd
	}
	n := (v - from) / (to - from) * 100
	// 7/100 of 100 is 7.000000000000001.
	return int(math.Ceil(math.Round(n*1e6) / 1e6)), scoreFound
}

func (s *scoreForm) step(v float64) (int, scoreResult) {
	n, what := 0, scoreOdd
	for _, step := range s.Steps {
		if v >= step[0] {
			n, what = int(step[1]), scoreFound
		}
	}
	return n, what
}

// readWords takes one word or a list of them, of which the worst counts.
func (s *scoreForm) readWords(f gjson.Result) (int, scoreResult) {
	best, what := 0, scoreOdd
	for _, one := range f.Array() { // of one that is no list, itself
		var word string
		switch one.Type {
		case gjson.String, gjson.True, gjson.False:
			word = strings.ToLower(strings.TrimSpace(one.String()))
		default:
			return 0, scoreWrong
		}
		n, ok := s.Words[word]
		if !ok && s.Other != nil {
			n, ok = *s.Other, true
		}
		if ok {
			best, what = max(best, n), scoreFound
		}
	}
	return best, what
}
