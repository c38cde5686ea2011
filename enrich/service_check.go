package enrich

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
)

const (
	maxRequests  = 8       // of one look-up
	maxMaxAnswer = 1 << 20 // bytes; an answer is held in memory as a whole
	maxWait      = 24 * time.Hour
	maxTerms     = 400 // characters
)

// checker finds all that is wrong with a file that has no unknown keys.
type checker struct {
	places map[string]place
	errs   []*FileError
}

// bad notes what is wrong with a key; its place, or that of the table it
// belongs into.
func (c *checker) bad(key, format string, args ...any) {
	e := &FileError{Key: key, Message: event.Clean(fmt.Sprintf(format, args...), 2*maxDetail)}
	for at := key; ; {
		if p, ok := c.places[at]; ok {
			e.Line, e.Column = p.line, p.column
			break
		}
		i := strings.LastIndexAny(at, ".[")
		if i < 0 {
			break
		}
		at = at[:i]
	}
	c.errs = append(c.errs, e)
}

func (c *checker) oneOf(key string, v *string, words ...string) {
	if *v == "" {
		*v = words[0]
	}
	if !slices.Contains(words, *v) {
		c.bad(key, "%q is none of %s", *v, strings.Join(words, ", "))
	}
}

func (c *checker) path(key, path string) {
	if path == "" {
		return
	}
	if err := checkPath(path); err != nil {
		c.bad(key, "%v", err)
	}
}

func (c *checker) paths(key string, paths []string) {
	for i, p := range paths {
		if p == "" {
			c.bad(fmt.Sprintf("%s[%d]", key, i), "an empty path")
		}
		c.path(fmt.Sprintf("%s[%d]", key, i), p)
	}
}

// text takes a text that is shown, and must be fit for it.
func (c *checker) text(key, s string, max int) {
	if event.Clean(s, max) != s {
		c.bad(key, "not one line of at most %d plain characters", max)
	}
}

func (c *checker) score(key string, n int) {
	if n < 0 || n > 100 {
		c.bad(key, "%d is not within 0 to 100", n)
	}
}

func (c *checker) duration(key, s string, max time.Duration) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > max {
		c.bad(key, "%q is no time of at most %v, such as 90s or 1h", s, max)
		return 0
	}
	return d
}

func (c *checker) service(f *ServiceFile) {
	s := &f.form
	if s.Form != 1 {
		c.bad("form", "form = 1 says which form this file has")
	}
	if s.Title == "" {
		c.bad("title", "the service's name is missing")
	}
	c.text("title", s.Title, 40)
	c.text("home", s.Home, maxDetail)
	c.text("terms", strings.TrimSpace(s.Terms), maxTerms)
	c.text("url_hint", s.URLHint, maxDetail)
	if s.URL != "" {
		if err := outbound.CheckURL(s.URL); err != nil {
			c.bad("url", "%v", err)
		} else if strings.ContainsAny(s.URL, "?#{}") {
			c.bad("url", "it ends before any ? or #, and holds no { }")
		}
	}
	c.oneOf("key", &s.Key, keyRequired, keyOptional, keyNone)
	c.oneOf("addresses", &s.Addresses, addressesBoth, addressesIPv4)
	c.oneOf("risk", &s.Risk, riskAlways, riskSometimes)
	s.ttl = c.duration("cache_ttl", s.CacheTTL, 30*24*time.Hour)
	if s.MaxAnswer == 0 {
		s.MaxAnswer = maxAnswer
	}
	if s.MaxAnswer < 1024 || s.MaxAnswer > maxMaxAnswer {
		c.bad("max_answer", "%d is not within 1024 to %d bytes", s.MaxAnswer, maxMaxAnswer)
	}
	for _, n := range []int{s.Quota.PerMinute, s.Quota.PerDay, s.Quota.PerWeek, s.Quota.PerMonth} {
		if n < 0 || n > 1_000_000 {
			c.bad("quota", "%d is no number of requests", n)
		}
	}
	c.headers("headers", s.Headers)
	c.paths("error.title", s.Error.Title)
	c.paths("error.detail", s.Error.Detail)
	c.paths("error.type", s.Error.Type)
	c.replies("reply", s.Replies)
	c.requests(f)
}

func (c *checker) replies(key string, list []replyForm) {
	for i := range list {
		r, key := &list[i], fmt.Sprintf("%s[%d]", key, i)
		for _, n := range r.Status {
			if n < 200 || n > 599 {
				c.bad(key+".status", "%d is no status of an answer", n)
			}
		}
		c.path(key+".path", r.Path)
		if r.Path == "" && len(r.Is)+len(r.Contains) > 0 {
			c.bad(key, "is and contains need a path")
		}
		for j, s := range r.Contains {
			if s == "" {
				c.bad(fmt.Sprintf("%s.contains[%d]", key, j), "every text contains an empty one")
			}
		}
		c.oneOf(key+".means", &r.Means, "", meansAnswer, meansUnseen, meansUnknown, meansRefused, meansKey, meansPlan, meansQuota, meansDown)
		switch {
		case r.Means == "":
			c.bad(key+".means", "what it means is missing")
		case r.Path == "" && isUnderstood(r.Means):
			// A 404 of anybody's would pass for an answer.
			c.bad(key, "only a path shows that it is the service that says so")
		case r.Path == "" && len(r.Status) == 0:
			c.bad(key, "neither a status nor a path: every answer would be one")
		}
		if slices.ContainsFunc(r.Status, func(n int) bool { return n >= 300 && n < 400 }) && r.Means != meansDown {
			c.bad(key+".means", "a redirect means down")
		}
		c.score(key+".score", r.Score)
		if r.Means != meansUnseen && (r.Score != 0 || r.Reason != "") {
			c.bad(key, "score and reason belong to means = %q", meansUnseen)
		}
		c.text(key+".reason", r.Reason, maxReason)
		c.text(key+".problem", r.Problem, 40)
		c.text(key+".hint", r.Hint, maxDetail)
		if r.wait = c.duration(key+".wait", r.Wait, maxWait); r.wait > 0 && r.Means != meansQuota {
			c.bad(key+".wait", "it belongs to means = %q", meansQuota)
		}
	}
}

func (c *checker) requests(f *ServiceFile) {
	list := f.form.Requests
	if len(list) == 0 || len(list) > maxRequests {
		c.bad("request", "%d requests, there must be 1 to %d", len(list), maxRequests)
		return
	}
	seen, captured, keyUsed := make(map[string]bool), make(map[string]bool), false
	for i := range list {
		r, key := &list[i], fmt.Sprintf("request[%d]", i)
		if !isFileName(r.Name) || len(r.Name) > 32 {
			c.bad(key+".name", "a name of letters, digits, - and _ is missing")
		}
		if seen[r.Name] {
			c.bad(key+".name", "there is another request of this name")
		}
		seen[r.Name] = true
		names := c.request(key, r, f.form.Key)
		for _, n := range names {
			switch n {
			case "ip":
				r.asksIP = true
			case "key":
				keyUsed = true
			default:
				if !captured[n] {
					c.bad(key, "{%s} is captured by no request before this one", n)
				}
				r.needs = append(r.needs, n)
			}
		}
		if !r.asksIP && len(r.needs) == 0 {
			c.bad(key, "neither {ip} nor a captured value is in its path or query")
		}
		for name := range r.Capture {
			if captured[name] {
				c.bad(key+".capture."+name, "captured twice")
			}
			captured[name] = true
		}
		if len(r.Scores) > 0 && f.risk < 0 {
			f.risk = i
		}
	}
	for _, v := range f.form.Headers {
		keyUsed = keyUsed || strings.Contains(v, "{key}")
	}
	if known := f.form.Key == keyRequired || f.form.Key == keyOptional || f.form.Key == keyNone; known && keyUsed != (f.form.Key != keyNone) {
		c.bad("key", "key is %q, and {key} stands in %s", f.form.Key, map[bool]string{true: "a request", false: "no request"}[keyUsed])
	}
}

// request checks one, and gives the names that its path, query and headers
// hold.
func (c *checker) request(key string, r *requestForm, useOfKey string) (names []string) {
	add := func(k, template string) {
		found, err := placeholders(template)
		if err != nil {
			c.bad(k, "%v", err)
		}
		names = append(names, found...)
	}
	if !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "?# \\") || event.Clean(r.Path, maxDetail) != r.Path {
		c.bad(key+".path", "a path begins with / and ends before any ? or #")
	}
	add(key+".path", r.Path)
	if slices.Contains(names, "key") && useOfKey != keyRequired {
		c.bad(key+".path", "with {key} in a path, key must be %q", keyRequired)
	}
	for k, v := range r.Query {
		add(key+".query."+k, v)
	}
	names = append(names, c.headers(key+".headers", r.Headers)...)
	slices.Sort(names)
	names = slices.Compact(names)

	c.oneOf(key+".answer", &r.Answer, answerObject, answerList)
	if len(r.Expect) == 0 {
		c.bad(key+".expect", "which fields show that it is this service's answer?")
	}
	c.paths(key+".expect", r.Expect)
	for name, capture := range r.Capture {
		key := key + ".capture." + name
		if !isFileName(name) || name == "ip" || name == "key" {
			c.bad(key, "no name for a captured value")
		}
		if capture.Path == "" {
			c.bad(key, "its path is missing")
		}
		c.path(key+".path", capture.Path)
		c.oneOf(key+".form", &capture.Form, formNumber, formWord)
		r.Capture[name] = capture
	}
	c.replies(key+".reply", r.Replies)
	c.risk(key, r)
	for k, p := range map[string]string{
		"network.asn": r.Network.ASN, "network.name": r.Network.Name, "network.description": r.Network.Description,
		"place.city": r.Place.City, "place.region": r.Place.Region, "place.country": r.Place.Country,
		"place.lat": r.Place.Lat, "place.lon": r.Place.Lon, "place.accuracy": r.Place.Accuracy,
	} {
		c.path(key+"."+k, p)
	}
	if (r.Place.Lat == "") != (r.Place.Lon == "") {
		c.bad(key+".place", "lat and lon belong together")
	}
	for k, t := range map[string]traitForm{"tor": r.Traits.Tor, "vpn": r.Traits.VPN, "proxy": r.Traits.Proxy, "hosting": r.Traits.Hosting, "mobile": r.Traits.Mobile} {
		c.paths(key+".traits."+k, t.Paths)
		if len(t.Paths) == 0 && len(t.Words) > 0 {
			c.bad(key+".traits."+k, "words without paths")
		}
	}
	return names
}

func (c *checker) headers(key string, h map[string]string) (names []string) {
	for k, v := range h {
		key := key + "." + k
		if !isHeaderName(k) || strings.EqualFold(k, "host") {
			c.bad(key, "no name for a header")
		}
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
			c.bad(key, "a character that no header has")
		}
		found, err := placeholders(v)
		if err != nil {
			c.bad(key, "%v", err)
		}
		for _, n := range found {
			if n != "key" {
				c.bad(key, "only {key} may stand in a header")
			}
		}
		names = append(names, found...)
	}
	return names
}

// isHeaderName takes a token of RFC 9110, 5.6.2.
func isHeaderName(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" &&
		http.CanonicalHeaderKey(s) != "User-Agent"
}

func (c *checker) risk(key string, r *requestForm) {
	if len(r.Scores) == 0 && (r.Word != "" || len(r.Reason) > 0 || len(r.Unsure.Words)+len(r.Seen) > 0) {
		c.bad(key, "word, reason, unsure and seen need a score")
	}
	c.path(key+".word", r.Word)
	for i, s := range r.Reason {
		parsed, err := parseSentence(s)
		if err != nil {
			c.bad(fmt.Sprintf("%s.reason[%d]", key, i), "%v", err)
		}
		r.reasons = append(r.reasons, parsed)
	}
	c.score(key+".unsure.up_to", r.Unsure.UpTo)
	c.paths(key+".seen", r.Seen)
	for i := range r.Scores {
		c.scale(fmt.Sprintf("%s.score[%d]", key, i), &r.Scores[i])
	}
}

func (c *checker) scale(key string, s *scoreForm) {
	if s.Path == "" {
		c.bad(key+".path", "its path is missing")
	}
	c.path(key+".path", s.Path)
	ways := 0
	if s.Range != nil {
		ways++
		if len(s.Range) != 2 || s.Range[0] == s.Range[1] || !isFinite(s.Range...) {
			c.bad(key+".range", "a range is [what means 0, what means 100]")
		}
	}
	if s.Steps != nil {
		ways++
		for i, step := range s.Steps {
			if len(step) != 2 || !isFinite(step...) || step[1] != math.Trunc(step[1]) || step[1] < 0 || step[1] > 100 {
				c.bad(key+".steps", "a step is [from which value on, a score of 0 to 100]")
				break
			}
			if i > 0 && (len(s.Steps[i-1]) != 2 || s.Steps[i-1][0] >= step[0]) {
				c.bad(key+".steps", "each step begins higher than the one before")
				break
			}
		}
		if len(s.Steps) == 0 {
			c.bad(key+".steps", "there are none")
		}
	}
	if s.Words != nil {
		ways++
		lower := make(map[string]int, len(s.Words))
		for w, n := range s.Words {
			c.score(key+".words."+w, n)
			lower[strings.ToLower(w)] = n
		}
		s.Words = lower
	}
	if ways != 1 {
		c.bad(key, "a scale is one of range, steps and words")
	}
	if s.Other != nil {
		c.score(key+".other", *s.Other)
		if s.Words == nil {
			c.bad(key+".other", "it belongs to words")
		}
	}
	if s.Missing != nil {
		c.score(key+".missing", *s.Missing)
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
