package enrich

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/placeholder"
	"github.com/sshnotify/sshnotify/internal/service"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// shipped are the files of the services that sshnotify knows, in the form that
// services/README.md describes.
//
//go:embed services/*.toml
var shipped embed.FS

// Service says what there is to know of a look-up service before it is used.
type Service struct {
	Name  string // the type in the settings: "abuseipdb"
	Title string // as people know it: "AbuseIPDB"
	Terms string // what its terms bind the user to, a sentence or two; may be empty
	Home  string // address of its documentation

	NeedsKey   bool   // no request without an API key
	TakesKey   bool   // a key may be given; always true with NeedsKey
	NeedsURL   bool   // there is no DefaultURL
	URLHint    string // what to put there; may be empty
	DefaultURL string
	GivesRisk  bool // see Info
	IPv4Only   bool
	Quota      Limits // of the plan that costs least
}

// Limits are how many requests may be made in any span of that length; 0: as
// many as one likes.
type Limits struct {
	PerMinute int `toml:"per_minute" check:"min=0,max=1000000"`
	PerDay    int `toml:"per_day" check:"min=0,max=1000000"`
	PerWeek   int `toml:"per_week" check:"min=0,max=1000000"`
	PerMonth  int `toml:"per_month" check:"min=0,max=1000000"`
}

func serviceNames() []string { return service.Names(shipped) }

// shippedService reads one of the files that sshnotify comes with.
func shippedService(name string) (*ServiceFile, error) {
	if !isFileName(name) {
		return nil, fmt.Errorf("no such service: %q", name)
	}
	b, err := shipped.ReadFile(path.Join("services", name+".toml"))
	if err != nil {
		return nil, fmt.Errorf("no such service: %q", name)
	}
	return ParseService(name, b)
}

// ServiceFile is a service's description, read and checked. It does not change
// and may be used concurrently.
type ServiceFile struct {
	name   string
	form   lookupForm
	digest string // of the file: what was read by another is not used
	risk   int    // index of the first request that gives a score; -1: none does
}

// ParseService reads the description of a service, in the form that
// services/README.md describes. name is what the service is called in the
// settings. strictoml.Errors returns all that is wrong with the file, the first in
// it first.
func ParseService(name string, b []byte) (*ServiceFile, error) {
	if !isFileName(name) {
		return nil, &strictoml.Error{Message: fmt.Sprintf("the name %q is not made of letters, digits, - and _ alone", event.Clean(name, 64))}
	}
	if len(b) > service.MaxFile {
		return nil, &strictoml.Error{Message: fmt.Sprintf("more than %d KiB", service.MaxFile>>10)}
	}
	f := &ServiceFile{name: name, form: lookupForm{Description: service.NewDescription(), Addresses: addressesBoth, Risk: riskAlways}}
	if err := strictoml.Unmarshal("", b, &f.form); err != nil {
		return nil, err
	}
	f.risk = slices.IndexFunc(f.form.Requests, func(r requestForm) bool { return len(r.Scores) > 0 })
	sum := sha256.Sum256(b)
	f.digest = hex.EncodeToString(sum[:])
	return f, nil
}

// Service returns what there is to know of it before it is used.
func (f *ServiceFile) Service() Service {
	return Service{
		Name: f.name, Title: f.form.Title, Terms: strings.TrimSpace(f.form.Terms), Home: f.form.Home,
		NeedsKey: f.form.Key == service.KeyRequired, TakesKey: f.form.Key != service.KeyNone,
		NeedsURL: f.form.URL == "", URLHint: f.form.URLHint, DefaultURL: f.form.URL,
		GivesRisk: f.givesRisk(), IPv4Only: f.form.Addresses == addressesIPv4,
		Quota: f.form.Quota,
	}
}

// givesRisk reports whether there is always a risk, be it unknown.
func (f *ServiceFile) givesRisk() bool { return f.risk >= 0 && f.form.Risk != riskSometimes }

// lookupForm is a service's file as TOML; services/README.md says what each key
// means.
type lookupForm struct {
	service.Description
	Addresses string        `toml:"addresses" check:"oneof=both ipv4"`
	Risk      string        `toml:"risk" check:"oneof=always sometimes"`
	CacheTTL  time.Duration `toml:"cache_ttl" check:"max=30d"` // 0: the settings'
	Quota     Limits        `toml:"quota"`
	Requests  []requestForm `toml:"request"`
	Examples  []exampleForm `toml:"example"`
}

// The words of a service's file.
const (
	addressesBoth = "both"
	addressesIPv4 = "ipv4"

	riskAlways    = "always"
	riskSometimes = "sometimes"

	// placeholderIP is that of the address.
	placeholderIP = "ip"

	// What an answer can mean beside what it can to everybody.
	meansUnseen  service.Means = "unseen"  // nothing bad is known of the address
	meansUnknown service.Means = "unknown" // nothing is known of the address
)

// maxRequests are those of one look-up.
const maxRequests = 8

type requestForm struct {
	service.Request
	Scores  []scoreForm `toml:"score"`
	Word    string      `toml:"word"`
	Reason  []string    `toml:"reason"`
	Unsure  unsureForm  `toml:"unsure"`
	Seen    []string    `toml:"seen"`
	Network networkForm `toml:"network"`
	Place   placeForm   `toml:"place"`
	Traits  traitsForm  `toml:"traits"`

	needs   []string // what other requests must have captured
	asksIP  bool     // the address is in it
	reasons []sentence
}

// exampleForm is an example of a file, and what is read from its answer.
type exampleForm struct {
	service.Example
	Score  *int   `toml:"score" check:"min=0,max=100"`
	Reason string `toml:"reason"`
}

// scoreForm turns a value into 0 to 100, in one of three ways.
type scoreForm struct {
	Path      string         `toml:"path"`
	Range     []float64      `toml:"range"`
	Steps     [][]float64    `toml:"steps"`
	Words     map[string]int `toml:"words"`
	Fractions bool           `toml:"fractions"`
	Missing   *int           `toml:"missing" check:"min=0,max=100"`
	Other     *int           `toml:"other" check:"min=0,max=100"`
}

// unsureForm says which low scores are not to be believed.
type unsureForm struct {
	Words []string `toml:"words"` // "" is no word
	UpTo  int      `toml:"up_to" check:"min=0,max=100"`
}

type networkForm struct {
	ASN         string `toml:"asn"`
	ASNAfter    string `toml:"asn_after"`
	Name        string `toml:"name"`
	Description string `toml:"description"`
}

type placeForm struct {
	City     string `toml:"city"`
	Region   string `toml:"region"`
	Country  string `toml:"country"`
	Lat      string `toml:"lat"`
	Lon      string `toml:"lon"`
	Accuracy string `toml:"accuracy"` // in km
}

type traitsForm struct {
	Tor     traitForm `toml:"tor"`
	VPN     traitForm `toml:"vpn"`
	Proxy   traitForm `toml:"proxy"`
	Hosting traitForm `toml:"hosting"`
	Mobile  traitForm `toml:"mobile"`
}

// traitForm is a yes where one of paths leads to true, or to one of words.
type traitForm struct {
	Paths []string `toml:"paths"`
	Words []string `toml:"words"`
}

// Validate notes what is wrong beside single keys, and readies the file for use.
func (f *lookupForm) Validate(at strictoml.At) {
	requests := make([]*service.Request, len(f.Requests))
	for i := range f.Requests {
		requests[i] = &f.Requests[i].Request
	}
	f.Check(at, service.Vocabulary{
		Values: []string{placeholderIP}, Means: append(service.Everybody(), meansUnseen, meansUnknown), Trusted: []service.Means{meansUnseen, meansUnknown}, Limit: maxRequests,
	}, requests)
	f.replies(at, "reply", f.Replies)
	for i := range f.Requests {
		f.request(at, fmt.Sprintf("request.%d", i), &f.Requests[i])
	}
	if !at.OK() {
		return
	}
	for i := range f.Examples {
		f.example(at, fmt.Sprintf("example.%d", i), &f.Examples[i], requests)
	}
}

// example plays one through.
func (f *lookupForm) example(at strictoml.At, key string, e *exampleForm, requests []*service.Request) {
	r, a := e.Play(at, key, &f.Description, requests)
	if r == nil || e.Score == nil && e.Reason == "" {
		return
	}
	got, err := f.Requests[slices.Index(requests, r)].read(a)
	risk := got.Facts.Risk
	switch {
	case err != nil:
		at.Fail(key, "%v", err)
	case risk == nil || !risk.Known:
		at.Fail(key+".score", "it gives no score")
	case e.Score != nil && risk.Score != *e.Score:
		at.Fail(key+".score", "it gives a score of %d", risk.Score)
	case e.Reason != "" && risk.Reason != e.Reason:
		at.Fail(key+".reason", "it gives the reason %q", risk.Reason)
	}
}

func (f *lookupForm) replies(at strictoml.At, key string, list []service.Reply) {
	for i, r := range list {
		if r.Means != meansUnseen && (r.Score != 0 || r.Reason != "") {
			at.Fail(fmt.Sprintf("%s.%d", key, i), "score and reason belong to means = %q", meansUnseen)
		}
	}
}

func (f *lookupForm) request(at strictoml.At, key string, r *requestForm) {
	if r.Method != "" && r.Method != "GET" {
		at.Fail(key+".method", "a look-up is a GET")
	}
	if r.Answer == service.Any {
		at.Fail(key+".answer", "must be object or list")
	}
	for _, n := range r.Names() {
		switch n {
		case placeholderIP:
			r.asksIP = true
		case "key":
		default:
			r.needs = append(r.needs, n)
		}
	}
	if !r.asksIP && len(r.needs) == 0 {
		at.Fail(key, "neither {ip} nor a captured value is in its path or query")
	}
	f.replies(at, key+".reply", r.Replies)
	r.validate(at, key)
	for k, p := range map[string]string{
		"network.asn": r.Network.ASN, "network.name": r.Network.Name, "network.description": r.Network.Description,
		"place.city": r.Place.City, "place.region": r.Place.Region, "place.country": r.Place.Country,
		"place.lat": r.Place.Lat, "place.lon": r.Place.Lon, "place.accuracy": r.Place.Accuracy,
	} {
		optionalPath(at, key+"."+k, p)
	}
	if (r.Place.Lat == "") != (r.Place.Lon == "") {
		at.Fail(key+".place", "lat and lon belong together")
	}
	for k, t := range map[string]traitForm{"tor": r.Traits.Tor, "vpn": r.Traits.VPN, "proxy": r.Traits.Proxy, "hosting": r.Traits.Hosting, "mobile": r.Traits.Mobile} {
		paths(at, key+".traits."+k, t.Paths)
		if len(t.Paths) == 0 && len(t.Words) > 0 {
			at.Fail(key+".traits."+k, "words without paths")
		}
	}
}

func optionalPath(at strictoml.At, key, path string) {
	if path != "" {
		service.CheckPath(at, key, path)
	}
}

func paths(at strictoml.At, key string, all []string) {
	for i, p := range all {
		service.CheckPath(at, fmt.Sprintf("%s.%d", key, i), p)
	}
}

// validate looks at how a score is read.
func (r *requestForm) validate(at strictoml.At, key string) {
	if len(r.Scores) == 0 && (r.Word != "" || len(r.Reason) > 0 || len(r.Unsure.Words)+len(r.Seen) > 0) {
		at.Fail(key, "word, reason, unsure and seen need a score")
	}
	optionalPath(at, key+".word", r.Word)
	for i, s := range r.Reason {
		key := fmt.Sprintf("%s.reason.%d", key, i)
		parsed := sentence{}
		var err error
		if parsed.texts, parsed.paths, err = placeholder.Split(s); err != nil {
			at.Fail(key, "%v", err)
		}
		for _, p := range parsed.paths {
			service.CheckPath(at, key, p)
		}
		r.reasons = append(r.reasons, parsed)
	}
	paths(at, key+".seen", r.Seen)
	for i := range r.Scores {
		r.Scores[i].validate(at, fmt.Sprintf("%s.score.%d", key, i))
	}
}

// sentence is a text with paths in braces: "{data.totalReports} reports".
type sentence struct {
	texts []string // one more than paths
	paths []string
}

func (s *scoreForm) validate(at strictoml.At, key string) {
	service.CheckPath(at, key+".path", s.Path)
	ways := 0
	if s.Range != nil {
		ways++
		if len(s.Range) != 2 || s.Range[0] == s.Range[1] || !isFinite(s.Range...) {
			at.Fail(key+".range", "a range is [what means 0, what means 100]")
		}
	}
	if s.Steps != nil {
		ways++
		for i, step := range s.Steps {
			if len(step) != 2 || !isFinite(step...) || step[1] != math.Trunc(step[1]) || step[1] < 0 || step[1] > 100 {
				at.Fail(key+".steps", "a step is [from which value on, a score of 0 to 100]")
				break
			}
			if i > 0 && (len(s.Steps[i-1]) != 2 || s.Steps[i-1][0] >= step[0]) {
				at.Fail(key+".steps", "each step begins higher than the one before")
				break
			}
		}
	}
	if s.Words != nil {
		ways++
		lower := make(map[string]int, len(s.Words))
		for _, w := range slices.Sorted(maps.Keys(s.Words)) {
			if n := s.Words[w]; n < 0 || n > 100 {
				at.Fail(key+".words."+w, "%d is not within 0 to 100", n)
			}
			lower[strings.ToLower(w)] = s.Words[w]
		}
		s.Words = lower
	}
	switch {
	case !at.OK():
	case ways == 0:
		at.Fail(key, "what the value means is missing: range, steps or words").Hint = "range = [0, 100], where the value is a score of 0 to 100 itself"
	case ways > 1:
		at.Fail(key, "range, steps and words are mutually exclusive").Hint = "leave all but one of them out"
	}
	if s.Other != nil && s.Words == nil {
		at.Fail(key+".other", "it belongs to words")
	}
}

func isFinite(all ...float64) bool {
	for _, n := range all {
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return false
		}
	}
	return true
}
