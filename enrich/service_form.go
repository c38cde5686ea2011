package enrich

import "time"

// serviceForm is a service's file as TOML; services/README.md says what each
// key means.
type serviceForm struct {
	Form      int               `toml:"form"`
	Title     string            `toml:"title"`
	Home      string            `toml:"home"`
	Terms     string            `toml:"terms"`
	URL       string            `toml:"url"`
	URLHint   string            `toml:"url_hint"`
	Key       string            `toml:"key"`
	Addresses string            `toml:"addresses"`
	Risk      string            `toml:"risk"`
	CacheTTL  string            `toml:"cache_ttl"`
	MaxAnswer int               `toml:"max_answer"`
	Blank     []string          `toml:"blank"`
	Headers   map[string]string `toml:"headers"`
	Quota     quotaForm         `toml:"quota"`
	Error     errorForm         `toml:"error"`
	Replies   []replyForm       `toml:"reply"`
	Requests  []requestForm     `toml:"request"`

	ttl time.Duration // of CacheTTL; 0: the settings'
}

// The words of a service's file.
const (
	keyRequired = "required"
	keyOptional = "optional"
	keyNone     = "none"

	addressesBoth = "both"
	addressesIPv4 = "ipv4"

	riskAlways    = "always"
	riskSometimes = "sometimes"

	answerObject = "object"
	answerList   = "list" // or null

	formNumber = "number"
	formWord   = "word"
)

type quotaForm struct {
	PerMinute int `toml:"per_minute"`
	PerDay    int `toml:"per_day"`
	PerWeek   int `toml:"per_week"`
	PerMonth  int `toml:"per_month"`
}

// errorForm names where the service says what is wrong; the first path that
// holds a text counts.
type errorForm struct {
	Title  []string `toml:"title"`
	Detail []string `toml:"detail"`
	Type   []string `toml:"type"`
}

// replyForm says how an answer is read that is not simply good.
type replyForm struct {
	Status   []int    `toml:"status"`
	Path     string   `toml:"path"`
	Is       []string `toml:"is"`
	Contains []string `toml:"contains"`
	Means    string   `toml:"means"`
	Score    int      `toml:"score"`
	Reason   string   `toml:"reason"`
	Problem  string   `toml:"problem"`
	Hint     string   `toml:"hint"`
	Wait     string   `toml:"wait"`

	wait time.Duration
}

// What a reply can mean.
const (
	meansAnswer  = "answer"  // read it as a good answer
	meansUnseen  = "unseen"  // nothing bad is known of the address
	meansUnknown = "unknown" // nothing is known of the address
	meansRefused = "refused" // not a question that it answers
	meansKey     = "key"     // the key is wrong
	meansPlan    = "plan"    // the key's plan does not include it
	meansQuota   = "quota"   // too many requests
	meansDown    = "down"    // it does not work
)

// isUnderstood reports whether a reply is an answer to the question, which is
// kept, and which only the service itself can give.
func isUnderstood(means string) bool {
	switch means {
	case meansAnswer, meansUnseen, meansUnknown, meansRefused:
		return true
	}
	return false
}

type requestForm struct {
	Name    string                 `toml:"name"`
	Path    string                 `toml:"path"`
	Query   map[string]string      `toml:"query"`
	Headers map[string]string      `toml:"headers"`
	Answer  string                 `toml:"answer"`
	Expect  []string               `toml:"expect"`
	Capture map[string]captureForm `toml:"capture"`
	Replies []replyForm            `toml:"reply"`
	Scores  []scoreForm            `toml:"score"`
	Word    string                 `toml:"word"`
	Reason  []string               `toml:"reason"`
	Unsure  unsureForm             `toml:"unsure"`
	Seen    []string               `toml:"seen"`
	Network networkForm            `toml:"network"`
	Place   placeForm              `toml:"place"`
	Traits  traitsForm             `toml:"traits"`

	needs   []string // what other requests must have captured
	asksIP  bool     // the address is in it
	reasons []sentence
}

// captureForm takes a value for the paths of other requests.
type captureForm struct {
	Path  string `toml:"path"`
	After string `toml:"after"` // what stands before it, and must
	Form  string `toml:"form"`
}

// scoreForm turns a value into 0 to 100, in one of three ways.
type scoreForm struct {
	Path      string         `toml:"path"`
	Range     []float64      `toml:"range"`
	Steps     [][]float64    `toml:"steps"`
	Words     map[string]int `toml:"words"`
	Fractions bool           `toml:"fractions"`
	Missing   *int           `toml:"missing"`
	Other     *int           `toml:"other"`
}

// unsureForm says which low scores are not to be believed.
type unsureForm struct {
	Words []string `toml:"words"` // "" is no word
	UpTo  int      `toml:"up_to"`
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
