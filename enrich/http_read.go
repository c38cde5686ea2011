package enrich

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/event"
)

// reasonItems is how many elements of a list a reason names.
const reasonItems = 3

// read takes from an answer what the service's file says is in it.
func (a answer) read(p *part) (kept, *ProviderError) {
	form := p.form
	if a.reply != nil && a.reply.Means == meansUnseen {
		var k kept
		if len(form.Scores) > 0 {
			k.Facts.Risk = &event.Risk{Known: true, Score: a.reply.Score, Reason: cmp.Or(a.reply.Reason, "not seen")}
		}
		return k, nil
	}
	if err := a.isExpected(form); err != nil {
		return kept{}, notUnderstood(form.Name, a.status, err.Error())
	}
	r := reader{a: a}
	var k kept
	f := &k.Facts
	f.Risk = r.risk(form)
	r.strict = f.Risk == nil || !f.Risk.Known // a score is not thrown away for a town's name
	f.Network = event.Network{Name: r.text("network.name", form.Network.Name, maxName), Description: r.text("network.description", form.Network.Description, maxDescription)}
	asn := a.get(form.Network.ASN)
	f.Network.ASN = asnOf(asn, form.Network.ASNAfter)
	if f.Network.Name == "" && f.Network.ASN != 0 && form.Network.ASNAfter == "" && asn.Type == gjson.String {
		if _, name, ok := strings.Cut(asn.String(), " "); ok { // AS64500 Example Networks
			f.Network.Name = a.clean(name, maxName)
		}
	}
	f.Place = event.Place{
		City: r.text("place.city", form.Place.City, maxPlace), Region: r.text("place.region", form.Place.Region, maxPlace),
		Country: countryOf(r.text("place.country", form.Place.Country, maxPlace)), Point: a.point(form.Place),
	}
	yes := func(t traitForm) string {
		if slices.ContainsFunc(t.Paths, func(path string) bool { return isYes(a.get(path), t.Words) }) {
			return "yes" // who says so is put in its place later
		}
		return ""
	}
	f.Traits = event.Traits{Tor: yes(form.Traits.Tor), VPN: yes(form.Traits.VPN), Proxy: yes(form.Traits.Proxy), Hosting: yes(form.Traits.Hosting), Mobile: yes(form.Traits.Mobile)}
	for name, c := range form.Capture {
		// A key that comes back must not become part of a file's name.
		if v := captured(a.get(c.Path), c); v != "" && a.clean(v, len(v)) == v {
			if k.Capture == nil {
				k.Capture = make(map[string]string)
			}
			k.Capture[name] = v
		}
	}
	if r.err != nil {
		return kept{}, notUnderstood(form.Name, a.status, r.err.Error())
	}
	return k, nil
}

// isExpected looks for the fields that show whose answer it is: at least one of
// them in an object, and each in every element of a list.
func (a answer) isExpected(form *requestForm) error {
	if form.Answer != answerList {
		if !slices.ContainsFunc(form.Expect, func(p string) bool { return a.root.Get(p).Exists() }) {
			return errors.New("the fields that belong there are missing")
		}
		return nil
	}
	list := a.root.Array()
	for _, path := range form.Expect {
		for _, one := range list {
			if !one.IsObject() || !one.Get(strings.TrimPrefix(path, "#.")).Exists() {
				return errors.New("the fields that belong there are missing")
			}
		}
	}
	return nil
}

// reader collects what is wrong with an answer's fields.
type reader struct {
	a      answer
	strict bool // a field of the wrong type is an error; else it is left out
	err    error
}

func (r *reader) wrong(key string, f gjson.Result) {
	r.err = cmp.Or(r.err, fmt.Errorf("%s is %s", key, typeName(f)))
}

func (r *reader) text(key, path string, max int) string {
	f := r.a.get(path)
	if f.Exists() && f.Type != gjson.String {
		if r.strict {
			r.wrong(key, f)
		}
		return ""
	}
	return r.a.clean(f.String(), max)
}

// risk reads the scores, of which the highest counts. What is no score, or one
// that is not to be believed, is unknown.
func (r *reader) risk(form *requestForm) *event.Risk {
	if len(form.Scores) == 0 {
		return nil
	}
	word := r.a.get(form.Word)
	if word.Exists() && word.Type != gjson.String {
		r.wrong("word", word)
		return nil
	}
	out := &event.Risk{Word: r.a.clean(word.String(), maxWord)}
	found, odd := -1, false
	for i := range form.Scores {
		s := &form.Scores[i]
		f := r.a.get(s.Path)
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
		if out.Reason = r.a.fill(s); out.Reason != "" {
			break
		}
	}
	switch {
	case odd:
		out.Problem = problemNotUnderstood
	case found < 0:
		out.Problem = problemNoScore
	case len(form.Seen) > 0 && !slices.ContainsFunc(form.Seen, func(p string) bool { return isSomething(r.a.get(p)) }):
		out.Problem = problemNotKnown // nobody has looked at it, which is no 0
	case found <= lowScore && (event.SaysNothing(out.Word) || form.Word == "" && r.a.saysNothing(form.Scores)):
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
func (a answer) saysNothing(scores []scoreForm) bool {
	for i := range scores {
		parent := ""
		if at := strings.LastIndex(scores[i].Path, "."); at >= 0 {
			parent = scores[i].Path[:at+1]
		}
		if slices.ContainsFunc(besides, func(name string) bool {
			f := a.root.Get(parent + name)
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
func (a answer) fill(s sentence) string {
	text := s.texts[0]
	for i, path := range s.paths {
		value := a.list(path)
		if value == "" {
			return ""
		}
		text += value + s.texts[i+1]
	}
	return a.clean(text, maxReason)
}

// list gives a text, a number, or the first of several.
func (a answer) list(path string) string {
	f := a.get(path)
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
func (a answer) point(form placeForm) *event.Point {
	lat, okLat := numberOf(a.get(form.Lat))
	lon, okLon := numberOf(a.get(form.Lon))
	if !okLat || !okLon || math.Abs(lat) > 90 || math.Abs(lon) > 180 || lat == 0 && lon == 0 {
		return nil
	}
	out := &event.Point{Lat: lat, Lon: lon}
	if km, ok := numberOf(a.get(form.Accuracy)); ok && km > 0 && km <= 20_000 {
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

// asnOf reads 15169, "15169", "AS15169" and "AS15169 Google LLC"; after a text
// that must stand before it, digits alone. 0 if it is anything else.
func asnOf(f gjson.Result, after string) uint32 {
	digits := f.String()
	switch {
	case f.Type == gjson.Number && after == "":
		digits = f.Raw
	case f.Type != gjson.String:
		return 0
	case after != "":
		var ok bool
		if digits, ok = strings.CutPrefix(digits, after); !ok {
			return 0
		}
	default:
		digits, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(digits, "AS"), "as"), " ")
	}
	if digits == "" || len(digits) > 10 || strings.Trim(digits, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// captured reads a value for another request's path; empty if it is not of the
// form that it must have.
func captured(f gjson.Result, c captureForm) string {
	if c.Form == formNumber {
		if n := asnOf(f, c.After); n != 0 {
			return strconv.FormatUint(uint64(n), 10)
		}
		return ""
	}
	s, ok := strings.CutPrefix(f.String(), c.After)
	if !ok || f.Type != gjson.String || !isFileName(s) {
		return ""
	}
	return s
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
