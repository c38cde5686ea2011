package enrich

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/service"
)

// How much of each text is kept, in characters.
const (
	maxWord        = 20
	maxReason      = 200
	maxName        = 80
	maxDescription = 120
	maxPlace       = 80
	maxTitle       = 100
	maxDetail      = 200
)

// reasonItems is how many elements of a list a reason names.
const reasonItems = 3

// read takes from an answer what the service's file says is in it.
func (form *requestForm) read(a *service.Answer) (kept, *ProviderError) {
	if a.Means == meansUnseen {
		var k kept
		if len(form.Scores) > 0 {
			k.Facts.Risk = &event.Risk{Known: true, Score: a.Reply.Score, Reason: cmp.Or(a.Reply.Reason, "not seen")}
		}
		return k, nil
	}
	r := reader{a: a}
	var k kept
	f := &k.Facts
	f.Risk = r.risk(form)
	r.strict = f.Risk == nil || !f.Risk.Known // a score is not thrown away for a town's name
	f.Network = event.Network{Name: r.text("network.name", form.Network.Name, maxName), Description: r.text("network.description", form.Network.Description, maxDescription)}
	asn := a.Get(form.Network.ASN)
	f.Network.ASN = service.Number(asn, form.Network.ASNAfter)
	if f.Network.Name == "" && f.Network.ASN != 0 && form.Network.ASNAfter == "" && asn.Type == gjson.String {
		if _, name, ok := strings.Cut(asn.String(), " "); ok { // AS64500 Example Networks
			f.Network.Name = a.Clean(name, maxName)
		}
	}
	f.Place = event.Place{
		City: r.text("place.city", form.Place.City, maxPlace), Region: r.text("place.region", form.Place.Region, maxPlace),
		Country: countryOf(r.text("place.country", form.Place.Country, maxPlace)), Point: pointOf(a, form.Place),
	}
	yes := func(t traitForm) string {
		if slices.ContainsFunc(t.Paths, func(path string) bool { return isYes(a.Get(path), t.Words) }) {
			return "yes" // who says so is put in its place later
		}
		return ""
	}
	f.Traits = event.Traits{Tor: yes(form.Traits.Tor), VPN: yes(form.Traits.VPN), Proxy: yes(form.Traits.Proxy), Hosting: yes(form.Traits.Hosting), Mobile: yes(form.Traits.Mobile)}
	k.Capture = a.Captured(&form.Request)
	if r.err != nil {
		return kept{}, notUnderstood(form.Name, a.Status, r.err.Error())
	}
	return k, nil
}

// reader collects what is wrong with an answer's fields.
type reader struct {
	a      *service.Answer
	strict bool // a field of the wrong type is an error; else it is left out
	err    error
}

func (r *reader) wrong(key string, f gjson.Result) {
	r.err = cmp.Or(r.err, fmt.Errorf("%s is %s", key, typeName(f)))
}

func (r *reader) text(key, path string, max int) string {
	f := r.a.Get(path)
	if f.Exists() && f.Type != gjson.String {
		if r.strict {
			r.wrong(key, f)
		}
		return ""
	}
	return r.a.Clean(f.String(), max)
}

// risk reads the scores, of which the highest counts. What is no score, or one
// that is not to be believed, is unknown.
func (r *reader) risk(form *requestForm) *event.Risk {
	if len(form.Scores) == 0 {
		return nil
	}
	word := r.a.Get(form.Word)
	if word.Exists() && word.Type != gjson.String {
		r.wrong("word", word)
		return nil
	}
	out := &event.Risk{Word: r.a.Clean(word.String(), maxWord)}
	found, odd := -1, false
	for i := range form.Scores {
		s := &form.Scores[i]
		f := r.a.Get(s.Path)
		switch n, what := s.read(f); what {
		case scoreFound:
			found = max(found, n)
		case scoreOdd:
			odd = true
		case scoreWrong:
			r.wrong(fmt.Sprintf("score[%d]", i), f)
			return nil
		}
	}
	for _, s := range form.reasons {
		if out.Reason = fillIn(r.a, s); out.Reason != "" {
			break
		}
	}
	switch {
	case odd:
		out.Problem = problemNotUnderstood
	case found < 0:
		out.Problem = problemNoScore
	case len(form.Seen) > 0 && !slices.ContainsFunc(form.Seen, func(p string) bool { return isSomething(r.a.Get(p)) }):
		out.Problem = problemNotKnown // nobody has looked at it, which is no 0
	case found <= lowScore && (event.SaysNothing(out.Word) || form.Word == "" && saysNothing(r.a, form.Scores)):
		out.Problem = problemNotKnown
	case found <= form.Unsure.UpTo && slices.ContainsFunc(form.Unsure.Words, func(s string) bool { return strings.EqualFold(s, out.Word) }):
		out.Problem = problemNotKnown
	default:
		out.Known, out.Score = true, found
	}
	return out
}

// lowScore is the highest that Threat Jammer's documentation calls low, and the
// settings are green up to by default.
const lowScore = 34

// besides are what services call their word for a risk.
var besides = []string{"risk", "risk_level", "riskLevel", "level", "threat_level", "threatLevel", "classification", "verdict", "reputation", "rating", "severity"}

// saysNothing looks beside the scores for such a word, where the service's file
// names none.
func saysNothing(a *service.Answer, scores []scoreForm) bool {
	for i := range scores {
		parent := ""
		if at := strings.LastIndex(scores[i].Path, "."); at >= 0 {
			parent = scores[i].Path[:at+1]
		}
		if slices.ContainsFunc(besides, func(name string) bool {
			f := a.Root.Get(parent + name)
			return f.Type == gjson.String && event.SaysNothing(f.String())
		}) {
			return true
		}
	}
	return false
}

// isSomething reports whether a field says more than 0, false or nothing.
func isSomething(f gjson.Result) bool {
	switch f.Type {
	case gjson.Number:
		return f.Num > 0
	case gjson.String:
		return f.String() != ""
	case gjson.JSON:
		return len(f.Array()) > 0
	}
	return f.Type == gjson.True
}

// fill puts an answer's values into a sentence; empty if one is missing.
func fillIn(a *service.Answer, s sentence) string {
	text := s.texts[0]
	for i, path := range s.paths {
		value := listOf(a, path)
		if value == "" {
			return ""
		}
		text += value + s.texts[i+1]
	}
	return a.Clean(text, maxReason)
}

// list gives a text, a number, or the first of several.
func listOf(a *service.Answer, path string) string {
	f := a.Get(path)
	if !f.IsArray() {
		if f.IsObject() {
			return ""
		}
		return strings.TrimSpace(f.String())
	}
	var all []string
	for _, one := range f.Array() {
		s := strings.TrimSpace(one.String())
		if one.Type != gjson.String && one.Type != gjson.Number || s == "" || slices.Contains(all, s) {
			continue
		}
		if len(all) == reasonItems {
			return strings.Join(all, ", ") + ", …"
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

// point reads a place on earth. 0,0 is in the sea, and what services say where
// they know none.
func pointOf(a *service.Answer, form placeForm) *event.Point {
	lat, okLat := numberOf(a.Get(form.Lat))
	lon, okLon := numberOf(a.Get(form.Lon))
	if !okLat || !okLon || math.Abs(lat) > 90 || math.Abs(lon) > 180 || lat == 0 && lon == 0 {
		return nil
	}
	out := &event.Point{Lat: lat, Lon: lon}
	if km, ok := numberOf(a.Get(form.Accuracy)); ok && km > 0 && km <= 20_000 {
		out.Accuracy = km
	}
	return out
}

// numberOf takes a number, also one in quotes.
func numberOf(f gjson.Result) (float64, bool) {
	n := f.Num
	if f.Type == gjson.String {
		var err error
		if n, err = strconv.ParseFloat(f.String(), 64); err != nil {
			return 0, false
		}
	} else if f.Type != gjson.Number {
		return 0, false
	}
	return n, isFinite(n)
}

// isYes takes true, 1 and, with words, one of them, be it in a list.
func isYes(f gjson.Result, words []string) bool {
	if f.IsArray() {
		return len(words) > 0 && slices.ContainsFunc(f.Array(), func(one gjson.Result) bool { return isYes(one, words) })
	}
	if len(words) > 0 {
		return f.Type == gjson.String && slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, f.String()) })
	}
	return f.Type == gjson.True || f.Type == gjson.Number && f.Num == 1 || f.Type == gjson.String && strings.EqualFold(f.String(), "true")
}

// countryOf takes a country's two letters. ZZ and XX stand for none, EU and AP
// for more than one.
func countryOf(s string) string {
	s = strings.ToUpper(s)
	if len(s) != 2 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return ""
	}
	switch s {
	case "ZZ", "XX", "EU", "AP":
		return ""
	}
	return s
}

func typeName(f gjson.Result) string {
	switch {
	case f.IsArray():
		return "a list"
	case f.IsObject():
		return "an object"
	case f.Type == gjson.String:
		return "a text"
	case f.Type == gjson.Number:
		return "a number"
	}
	return f.Raw
}

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
