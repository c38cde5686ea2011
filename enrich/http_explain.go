package enrich

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
)

// explain says in a few words what is wrong, and what to do about it. A refusal
// by the ledger is explained like the answer that it remembers.
func (p *httpProvider) explain(e *ProviderError) *ProviderError {
	next := ""
	if !e.Until.IsZero() {
		next = "; next try at " + e.Until.Format("2006-01-02 15:04:05 MST")
	}
	hint := ""
	switch e.means {
	case meansRefused:
		e.Problem = withStatus(cmp.Or(e.Problem, "taken for no public address"), e.Status)
		e.Hint = cmp.Or(e.Hint, "the service answers for public addresses only")
		return e
	case meansUnknown:
		e.Problem = cmp.Or(e.Problem, problemNotKnown)
		return e
	case meansKey:
		e.Problem = withStatus(cmp.Or(e.Problem, "key refused"), e.Status)
		hint = "check api_key: " + p.host + " does not take it"
	case meansPlan:
		e.Problem = withStatus(cmp.Or(e.Problem, "not in the key's plan"), e.Status)
		hint = "the plan of this API key is too low for it"
		if p.key.IsZero() {
			hint = "it may need an API key"
		}
	case meansQuota:
		e.Problem = problemQuota
	}
	switch e.Problem {
	case problemQuota:
		hint = "a longer enrich.cache_ttl, or a larger plan, makes the quota last longer"
	case problemTimeout:
		hint = "see whether " + p.host + " can be reached from here, or raise enrich.timeout"
	case problemTLS:
		hint = "see who answers at " + p.host
	case problemDown:
		hint = "see whether " + p.host + " can be reached from here"
	case problemNotUnderstood:
		hint = "check url: what answers at " + p.host + " does not speak the API of " + p.Title()
	}
	if e.Status/100 == 3 {
		hint = "no redirect is followed; correct url, or remove the provider"
	}
	if e.Hint = cmp.Or(e.Hint, hint); e.Hint != "" {
		e.Hint += next
	}
	return e
}

// expand puts the host into a hint.
func (p *httpProvider) expand(hint string) string {
	return strings.ReplaceAll(hint, "{host}", p.host)
}

// withStatus adds a status that says something.
func withStatus(problem string, status int) string {
	if status == http.StatusOK {
		return problem
	}
	return fmt.Sprintf("%s (%d)", problem, status)
}
