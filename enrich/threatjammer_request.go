package enrich

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// maxAnswer is how much of an answer is read. An assessment lists the data sets
// that an address is in, some fifty bytes each; checking deeply nested JSON
// takes about a hundred bytes of memory for each byte.
const maxAnswer = 64 << 10

// What a message says in place of a score.
const (
	problemTimeout       = "timed out"
	problemCancelled     = "cancelled"
	problemQuota         = "quota used up"
	problemDown          = "service down"
	problemTLS           = "no secure connection"
	problemNotUnderstood = "answer not understood"
	problemNotKnown      = "not known there"
	problemNoScore       = "no score given"
)

// get makes one request. The answer's retryAfter is set with an error too.
func (t *threatJammer) get(ctx context.Context, part, path string) (answer, *ProviderError) {
	resp, err := t.client.Do(ctx, outbound.Request{
		Purpose: t.name + " " + part,
		URL:     outbound.NewSecret(t.base + path),
		Header: http.Header{
			"Accept":        {"application/json"},
			"Authorization": {"Bearer " + t.key.Reveal()},
		},
		MaxBody: maxAnswer,
	})
	if err != nil {
		return answer{}, noAnswer(part, err)
	}
	a := answer{status: resp.Status, retryAfter: resp.RetryAfter, key: t.key.Reveal()}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isJSON := media == "application/json" && !resp.Truncated && gjson.ValidBytes(resp.Body)
	if isJSON {
		a.root = gjson.ParseBytes(resp.Body)
	}
	e := &ProviderError{Part: part, Status: resp.Status}
	a.readError(e)
	switch s := resp.Status; {
	case s/100 == 3:
		e.effect, e.Problem = effectDown, fmt.Sprintf("redirected elsewhere (%d)", s)
		if to := resp.RedirectHost(); to != "" {
			e.Err = errors.New("leads to " + a.clean(to, maxTitle))
		}
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		e.effect = effectRefused
	case s == http.StatusTooManyRequests:
		e.effect = effectQuota
	case s >= 500:
		e.effect, e.Problem = effectDown, problemDown
	case resp.Truncated:
		return a, notUnderstood(part, s, fmt.Sprintf("more than %d KiB", maxAnswer>>10))
	case media != "application/json":
		return a, notUnderstood(part, s, "no JSON")
	case !isJSON:
		return a, notUnderstood(part, s, "broken JSON")
	case s == http.StatusOK && a.root.IsObject():
		return a, nil
	case e.Title != "" && (s == http.StatusBadRequest || s == http.StatusNotFound || s == http.StatusUnprocessableEntity):
		e.effect = effectUp
	default:
		e = notUnderstood(part, s, "no answer of this service")
	}
	return a, e
}

// noAnswer explains a request that nobody answered.
func noAnswer(part string, err error) *ProviderError {
	e := &ProviderError{Part: part, Problem: problemDown, Err: err, effect: effectDown}
	if oe, ok := errors.AsType[*outbound.Error](err); ok {
		switch oe.Kind {
		case outbound.Canceled:
			e.Problem, e.effect = problemCancelled, effectNone
		case outbound.Timeout:
			e.Problem = problemTimeout
		case outbound.TLS:
			e.Problem = problemTLS
		case outbound.Invalid:
			e.Problem, e.effect = "not asked", effectNone
		}
	}
	return e
}

// noTime explains a request that was not made because ctx had ended.
func noTime(part string, err error) *ProviderError {
	e := &ProviderError{Part: part, Problem: problemTimeout, Err: err}
	if errors.Is(err, context.Canceled) {
		e.Problem = problemCancelled
	}
	return e
}

func notUnderstood(part string, status int, why string) *ProviderError {
	return &ProviderError{Part: part, Status: status, Problem: problemNotUnderstood, Err: errors.New(why), effect: effectDown}
}

// explain says what is wrong and what to do about it.
func (t *threatJammer) explain(e *ProviderError) *ProviderError {
	next := ""
	if !e.Until.IsZero() {
		next = "; next try at " + e.Until.Format("2006-01-02 15:04:05 MST")
	}
	switch e.Status {
	case http.StatusBadRequest:
		e.Problem, e.Hint = cmp.Or(e.Problem, "taken for no public address (400)"), cmp.Or(e.Hint, "the service answers for public addresses only")
	case http.StatusUnauthorized:
		e.Problem, e.Hint = "key refused (401)", "check api_key: it is wrong, or a key for another region than "+t.host+next
	case http.StatusForbidden:
		e.Problem, e.Hint = "not in the key's plan (403)", "the plan of this API key is too low for it"+next
	case http.StatusNotFound:
		e.Problem = cmp.Or(e.Problem, problemNotKnown)
	case http.StatusUnprocessableEntity:
		e.Problem, e.Hint = cmp.Or(e.Problem, "request not understood (422)"), "the service at "+t.host+" may speak a newer version of the API"
	case http.StatusTooManyRequests:
		e.Problem = problemQuota
	}
	switch {
	case e.Problem == problemQuota:
		e.Hint = "a longer enrich.cache_ttl, or a larger plan, makes the quota last longer" + next
	case e.Problem == problemTimeout:
		e.Hint = "see whether " + t.host + " can be reached from here, or raise enrich.timeout" + next
	case e.Problem == problemTLS:
		e.Hint = "see who answers at " + t.host + next
	case e.Problem == problemDown:
		e.Hint = "see whether " + t.host + " can be reached from here" + next
	case e.Problem == problemNotUnderstood:
		e.Hint = "check url: what answers at " + t.host + " does not speak Threat Jammer's API" + next
	case e.Status/100 == 3:
		e.Hint = "no redirect is followed; the domain of Threat Jammer has changed hands: correct url, or remove the provider" + next
	}
	return e
}
