package enrich

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/event"
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

// lowBand is the end of the scores that the service's documentation calls low.
const lowBand = 34

// answer is what came back; root is there as far as it is JSON.
type answer struct {
	status     int
	root       gjson.Result
	retryAfter time.Duration
	key        string // must not come back in a text
}

// readError reads the service's error body, title, detail and type, into e. Its
// documentation spells the last one "type:"; errors in a request's form have
// FastAPI's body, {"detail":[{"loc":["path","ip_address"],"msg":"…"}]}.
func (a answer) readError(e *ProviderError) {
	if e.Status < 400 || !a.root.IsObject() {
		return
	}
	e.Title = a.text("title", maxTitle)
	e.Detail = a.text("detail", maxDetail)
	e.Type = cmp.Or(a.text("type", maxDetail), a.text("type:", maxDetail))
	list := a.field("detail")
	if e.Status != http.StatusUnprocessableEntity || !list.IsArray() {
		return
	}
	var said []string
	list.ForEach(func(_, one gjson.Result) bool {
		var where []string
		one.Get("loc").ForEach(func(_, l gjson.Result) bool {
			where = append(where, l.String())
			return len(where) < 5
		})
		said = append(said, strings.Join(where, ".")+": "+one.Get("msg").String())
		return len(said) < 3
	})
	if len(said) > 0 {
		e.Title = cmp.Or(e.Title, "Validation error")
		e.Detail = a.clean(strings.Join(said, ", "), maxDetail)
	}
}

// field gives the first field of that very name; gjson's paths give some
// characters a meaning.
func (a answer) field(name string) (found gjson.Result) {
	if a.root.IsObject() {
		a.root.ForEach(func(k, v gjson.Result) bool {
			if k.String() == name {
				found = v
			}
			return !found.Exists()
		})
	}
	return found
}

// text gives a field's text, empty where it is missing or no text.
func (a answer) text(name string, max int) string {
	if f := a.field(name); f.Type == gjson.String {
		return a.clean(f.String(), max)
	}
	return ""
}

// clean makes a text fit to be shown. A server may well send back what it was
// sent, the key included.
func (a answer) clean(s string, max int) string {
	if a.key != "" {
		s = strings.ReplaceAll(s, a.key, "[redacted]")
	}
	return event.Clean(strings.TrimSpace(s), max)
}

// assessment is what /v1/assess/ip says.
type assessment struct {
	Risk event.Risk `json:"risk"`
	ASN  uint32     `json:"asn,omitempty"`
}

// readAssessment takes a whole number of 0 to 100 for a score, and nothing else.
// A low one without an opinion (UNKNOWN) is not one to call safe.
func readAssessment(a answer) (assessment, bool) {
	risk, score := a.field("risk"), a.field("score")
	if !isOrMissing(gjson.String, risk) || !isOrMissing(gjson.Number, score) || !risk.Exists() && !score.Exists() {
		return assessment{}, false
	}
	out := assessment{ASN: asnOf(a.field("asn"))}
	out.Risk = event.Risk{Word: a.text("risk", maxWord), Reason: a.text("reason", maxReason)}
	n := int(score.Num)
	switch {
	case score.Type != gjson.Number:
		out.Risk.Problem = problemNoScore
	case score.Num < 0 || score.Num > 100 || float64(n) != score.Num:
		out.Risk.Problem = problemNotUnderstood
	case n <= lowBand && (out.Risk.Word == "" || strings.EqualFold(out.Risk.Word, "unknown")):
		out.Risk.Problem = problemNotKnown
	default:
		out.Risk.Known, out.Risk.Score = true, n
	}
	return out, true
}

// isOrMissing reports whether the fields that are there are of type t.
func isOrMissing(t gjson.Type, fields ...gjson.Result) bool {
	for _, f := range fields {
		if f.Type != t && f.Type != gjson.Null {
			return false
		}
	}
	return true
}

// asnOf reads the path that an assessment names, /v1/asn/15704; 0 if it is
// anything else. It is never used as a path itself.
func asnOf(path gjson.Result) uint32 {
	digits, ok := strings.CutPrefix(path.String(), "/v1/asn/")
	if !ok || path.Type != gjson.String || digits == "" || len(digits) > 10 || strings.Trim(digits, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// readNetwork reads what /v1/asn says. Either text may be empty.
func readNetwork(a answer) (event.Network, bool) {
	out := event.Network{Name: a.text("name", maxName), Description: a.text("description", maxDescription)}
	return out, a.field("name").Type == gjson.String
}

// readPlace reads what /v1/geo says.
func readPlace(a answer) (event.Place, bool) {
	city, region, country := a.field("city_name"), a.field("region_name"), a.field("country_iso_code")
	if !country.Exists() || !isOrMissing(gjson.String, city, region, country) {
		return event.Place{}, false
	}
	return event.Place{City: a.text("city_name", maxPlace), Region: a.text("region_name", maxPlace), Country: countryOf(country.String())}, true
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
