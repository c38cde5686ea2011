package enrich

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// maxAnswer is how much of an answer is read where the service's file says
// nothing else.
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
	problemIPv4Only      = "knows IPv4 only"
)

// url gives the address of the request. It may hold the key.
func (p *part) url() outbound.Secret {
	u := p.p.base + fill(p.form.Path, p.values, url.PathEscape)
	query := make(url.Values)
	for k, template := range p.form.Query {
		if template != "{key}" || !p.p.key.IsZero() {
			query.Set(k, fill(template, p.values, func(s string) string { return s }))
		}
	}
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	return outbound.NewSecret(u)
}

func (p *part) header() http.Header {
	h := http.Header{"Accept": {"application/json"}}
	for _, more := range []map[string]string{p.p.file.form.Headers, p.form.Headers} {
		for k, template := range more {
			if !strings.Contains(template, "{key}") || !p.p.key.IsZero() {
				h.Set(k, fill(template, p.values, func(s string) string { return s }))
			}
		}
	}
	return h
}

// get makes one request. The answer's retryAfter is set with an error too.
func (p *part) get(ctx context.Context) (answer, *ProviderError) {
	name, form := p.form.Name, &p.p.file.form
	resp, err := p.p.client.Do(ctx, outbound.Request{
		Purpose: p.p.name + " " + name, URL: p.url(), Header: p.header(), MaxBody: int64(form.MaxAnswer),
	})
	if err != nil {
		return answer{}, noAnswer(name, err)
	}
	a := answer{status: resp.Status, retryAfter: resp.RetryAfter, secrets: secretsOf(p.p.key), blank: form.Blank}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	why := ""
	switch {
	case resp.Truncated:
		why = fmt.Sprintf("more than %d KiB", form.MaxAnswer>>10)
	case media != "application/json" && !strings.HasSuffix(media, "+json"):
		why = "no JSON"
	default:
		why = faultOf(resp.Body)
	}
	if why == "" {
		a.root = gjson.ParseBytes(resp.Body)
	}
	e := &ProviderError{Part: name, Status: resp.Status}
	a.readError(form.Error, e)
	if reply := p.replyOf(a); reply != nil {
		e.means, e.Hint, a.reply = reply.Means, p.p.expand(reply.Hint), reply
		if reply.Problem != "" {
			e.Problem = reply.Problem
		}
		if reply.wait > 0 && a.retryAfter == 0 {
			a.retryAfter = reply.wait
		}
	} else {
		e.means = meaning(resp.Status)
	}
	switch e.means {
	case meansUnseen:
		return a, nil
	case meansAnswer:
		if a.hasForm(p.form.Answer) {
			return a, nil
		}
	case meansUnknown, meansRefused:
		e.effect = effectUp
		return a, e
	case meansKey, meansPlan:
		e.effect = effectRefused
		return a, e
	case meansQuota:
		e.effect = effectQuota
		return a, e
	case meansDown:
		e.effect = effectDown
		if resp.Status/100 == 3 {
			e.Problem = fmt.Sprintf("redirected elsewhere (%d)", resp.Status)
			if to := resp.RedirectHost(); to != "" {
				e.Err = errors.New("leads to " + a.clean(to, maxTitle))
			}
		}
		e.Problem = cmp.Or(e.Problem, problemDown)
		return a, e
	}
	return a, notUnderstood(name, resp.Status, cmp.Or(why, "no answer of this service"))
}

// meaning is that of a status where the service's file says nothing else. Only
// the file can know what the others mean.
func meaning(status int) string {
	switch {
	case status == http.StatusOK:
		return meansAnswer
	case status == http.StatusUnauthorized:
		return meansKey
	case status == http.StatusForbidden:
		return meansPlan
	case status == http.StatusTooManyRequests:
		return meansQuota
	case status >= 500, status/100 == 3:
		return meansDown
	}
	return ""
}

// replyOf finds what the service's file says of an answer; nil if nothing.
func (p *part) replyOf(a answer) *replyForm {
	for _, list := range [][]replyForm{p.form.Replies, p.p.file.form.Replies} {
		for i := range list {
			if a.matches(&list[i]) {
				return &list[i]
			}
		}
	}
	return nil
}

func (a answer) matches(r *replyForm) bool {
	if len(r.Status) > 0 && !slices.Contains(r.Status, a.status) {
		return false
	}
	if r.Path == "" {
		return true
	}
	f := a.root.Get(r.Path)
	if !f.Exists() {
		return false
	}
	if len(r.Is)+len(r.Contains) == 0 {
		return f.Type != gjson.Null
	}
	text := f.String()
	return slices.ContainsFunc(r.Is, func(s string) bool { return strings.EqualFold(s, text) }) ||
		slices.ContainsFunc(r.Contains, func(s string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(s)) })
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
