package enrich

import (
	"context"
	"fmt"
	"net/http"
)

// request is one of the requests of a look-up.
type request struct {
	t       *threatJammer
	part    string
	path    string
	cached  bool           // no need to ask
	refused *ProviderError // may not be asked now
}

// part is a request and what came of it.
type part[T any] struct {
	request
	cache *cache
	key   string
	value T
	err   *ProviderError
}

// kept is a part as it is in the cache: a value, or an understood no.
type kept[T any] struct {
	Value  T      `json:"value"`
	Status int    `json:"status,omitempty"` // 400, 404, 422; 0 is a value
	Title  string `json:"title,omitempty"`
	Detail string `json:"detail,omitempty"`
	Type   string `json:"type,omitempty"`
}

// open looks into the cache for a part. id is what it is about.
func open[T any](t *threatJammer, c *cache, name, path, id string) *part[T] {
	p := &part[T]{request: request{t: t, part: name, path: path}, cache: c, key: name + "-" + id + "-" + t.source}
	var k kept[T]
	if c.get(p.key, &k) {
		p.cached = true
		p.take(k)
	}
	return p
}

func (p *part[T]) take(k kept[T]) {
	p.value = k.Value
	if k.Status != 0 {
		p.err = p.t.explain(&ProviderError{Part: p.part, Status: k.Status, Title: k.Title, Detail: k.Detail, Type: k.Type, effect: effectUp})
	}
}

// leave asks the ledger for leave to make the requests, the most important
// first. Where there is no time left, none is made, which spares the quota.
func (t *threatJammer) leave(ctx context.Context, requests ...*request) {
	var parts []string
	for _, r := range requests {
		if r.cached {
			continue
		}
		if err := ctx.Err(); err != nil {
			r.refused = t.explain(noTime(r.part, err))
			continue
		}
		parts = append(parts, r.part)
	}
	refused := t.ledger.ask(parts...)
	for _, r := range requests {
		if why := refused[r.part]; why != nil {
			r.refused = t.explain(why)
		}
	}
}

// fetch gets the part from the service, unless it is there or may not be asked
// for.
func (p *part[T]) fetch(ctx context.Context, read func(answer) (T, bool)) {
	if p.cached {
		return
	}
	if p.refused != nil {
		p.err = p.refused
		return
	}
	defer func() {
		// A mistake in reading a stranger's answer must not take the delivery down.
		if x := recover(); x != nil {
			p.err = p.t.explain(notUnderstood(p.part, 0, "it broke the reader"))
		}
	}()
	a, err := p.t.get(ctx, p.part, p.path)
	if err == nil {
		value, ok := read(a)
		if ok {
			p.t.ledger.tell(p.part, effectUp, a.status, "", 0)
			p.keep(kept[T]{Value: value})
			return
		}
		err = notUnderstood(p.part, a.status, "the fields that belong there are missing")
	}
	ledgerPart := p.part
	if err.Status == http.StatusUnauthorized {
		ledgerPart = "" // the key itself is wrong, whatever it is used for
	}
	err.Until = p.t.ledger.tell(ledgerPart, err.effect, err.Status, err.Problem, a.retryAfter)
	p.err = p.t.explain(err)
	if err.isNo() {
		p.keep(kept[T]{Status: err.Status, Title: err.Title, Detail: err.Detail, Type: err.Type})
	}
}

func (p *part[T]) keep(k kept[T]) {
	p.take(k)
	p.cache.put(p.key, k)
}

// isNo reports whether the service understood the question and had no answer.
func (e *ProviderError) isNo() bool {
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity:
		return e.effect == effectUp
	}
	return false
}

// isMissing reports whether the service knows nothing, which is an answer.
func (e *ProviderError) isMissing() bool {
	return e.isNo() && e.Status == http.StatusNotFound
}

// joinErrors says each trouble once, the most important first. That a place or
// a name is not known is none.
func joinErrors(all ...*ProviderError) error {
	var out error
	said := make(map[string]bool)
	for _, e := range all {
		switch {
		case e == nil || said[e.Problem] || e.isMissing() && e.Part != partAssess:
			continue
		case out == nil:
			out = e
		default:
			out = fmt.Errorf("%w; %w", out, e)
		}
		said[e.Problem] = true
	}
	return out
}
