package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/report"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

const (
	// pageFresh is how long a page is served as it was made.
	pageFresh = 3 * time.Minute
	// pageEvery is how often any page is made, after the first pagesBurst: a year of a
	// large hub is seconds of a core's work.
	pageEvery  = 30 * time.Second
	pagesBurst = 4
	// pageTimeout bounds the making of one, within writeTimeout.
	pageTimeout = 45 * time.Second
	// maxPages is how many are kept, and maxPageKept the bytes of one.
	maxPages    = 8
	maxPageKept = 2 << 20
	// defaultSince is what a page is about if the query does not say.
	defaultSince = 30 * 24 * time.Hour
	minSince     = time.Hour
)

// PageOptions say which page is wanted.
type PageOptions struct {
	Since time.Duration // how far it goes back, an hour to report.MaxSpan
	Mask  bool
}

// MakePage makes the page that readers get, as HTML: see report.Page. It is not called
// concurrently.
type MakePage func(context.Context, PageOptions) ([]byte, error)

// pages are the newest pages, so that reading them costs the hub nothing. Its methods
// may be called concurrently.
type pages struct {
	build    MakePage
	turn     chan struct{} // who has its one value makes a page
	makes    *rate.Limiter
	requests *rate.Limiter // of all readers

	mu   sync.Mutex
	kept []keptPage // that which was asked for last at the end
}

type keptPage struct {
	PageOptions
	html []byte
	made time.Time
}

func newPages(build MakePage) *pages {
	p := &pages{
		build: build, turn: make(chan struct{}, 1),
		makes:    rate.NewLimiter(rate.Every(pageEvery), pagesBurst),
		requests: rate.NewLimiter(fleet.MaxRequests, 2*fleet.MaxRequests),
	}
	p.turn <- struct{}{}
	return p
}

// last returns the newest page of its kind, if one is kept.
func (p *pages) last(o PageOptions) (keptPage, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, k := range p.kept {
		if k.PageOptions == o {
			p.kept = append(slices.Delete(p.kept, i, i+1), k)
			return k, true
		}
	}
	return keptPage{}, false
}

func (p *pages) keep(fresh keptPage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = slices.DeleteFunc(p.kept, func(k keptPage) bool { return k.PageOptions == fresh.PageOptions })
	if p.kept = append(p.kept, fresh); len(p.kept) > maxPages {
		p.kept = slices.Delete(p.kept, 0, 1)
	}
}

// get returns a page that is at most pageFresh old or, where too many are asked for, the
// newest that there is.
func (p *pages) get(ctx context.Context, o PageOptions, now func() time.Time) ([]byte, error) {
	fresh := func() ([]byte, bool) {
		k, ok := p.last(o)
		age := now().Sub(k.made)
		return k.html, ok && age >= 0 && age < pageFresh
	}
	if html, ok := fresh(); ok {
		return html, nil
	}
	select {
	case <-p.turn:
		defer func() { p.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if html, ok := fresh(); ok { // somebody waited for the same
		return html, nil
	}
	if !p.makes.AllowN(now(), 1) {
		if k, ok := p.last(o); ok {
			return k.html, nil
		}
		return nil, &refusal{429, fleet.WhyBusy, fmt.Sprintf("too many different pages are asked for: one is made every %v", pageEvery), pageEvery}
	}
	begun := now()
	limited, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	html, err := p.build(limited, o)
	switch {
	case err == nil:
	case ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded):
		return nil, &refusal{503, fleet.WhyBusy, fmt.Sprintf("the page took more than %v: ask for less, with ?since=7d", pageTimeout), pageEvery}
	default:
		return nil, err
	}
	if len(html) <= maxPageKept {
		p.keep(keptPage{o, html, begun})
	}
	return html, nil
}

// pageOptions reads the query of a request for the page.
func pageOptions(raw string) (PageOptions, error) {
	o := PageOptions{Since: defaultSince}
	bad := func(format string, args ...any) (PageOptions, error) {
		return o, &refusal{400, fleet.WhyUnknown, fmt.Sprintf(format, args...), 0}
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return bad("the query is not well-formed: ?since=7d&mask=1 is")
	}
	for key, values := range query {
		switch {
		case key != "since" && key != "mask":
			return bad("the query has a key other than since and mask")
		case len(values) > 1:
			return bad("%s: stands in the query %d times", key, len(values))
		}
	}
	if query.Has("since") {
		d, ok := strictoml.ParseDuration(query.Get("since"))
		if !ok || d < minSince || d > report.MaxSpan {
			return bad("since: must be how long ago the page begins, such as 24h, 7d or 365d: at least %s and at most %s", strictoml.FormatDuration(minSince), strictoml.FormatDuration(report.MaxSpan))
		}
		o.Since = d.Truncate(time.Minute)
	}
	if o.Mask = query.Has("mask"); o.Mask && query.Get("mask") != "1" {
		return bad("mask: must be 1, or be left out")
	}
	return o, nil
}

// readerToken returns the token that a request shows: as a bearer token, or, as a
// browser asks for it, the password of basic authentication (RFC 7617) with any user.
func readerToken(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// pageHeaders are those of a page, and of a refusal in its place. The policy is also in
// the page, but for frame-ancestors, which holds in a header alone.
func pageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", report.Policy()+"; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
}

// servePage answers a reader with the page. Certificates count for nothing here: they
// are hosts'.
func (h *Hub) servePage(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w.Header())
	html, err := h.page(r)
	var no *refusal
	if errors.As(err, &no) && no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="sshnotify: a reader's token is the password", charset="UTF-8"`)
	}
	if err != nil {
		h.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(html)))
	_, _ = w.Write(html) // nobody is there any more
}

func (h *Hub) page(r *http.Request) ([]byte, error) {
	token := readerToken(r)
	if token == "" { // a browser's first request
		return nil, noReader()
	}
	failed := h.joiner(sourceOf(r.RemoteAddr))
	if failed.Tokens() < 1 {
		return nil, &refusal{429, fleet.WhyBusy, "too many tokens that nobody has", 10 * time.Second}
	}
	name, err := h.reg.reader(r.Context(), token)
	switch {
	case err != nil:
		return nil, err
	case name == "":
		failed.Allow() // only what fails counts
		return nil, noReader()
	case !h.pages.requests.AllowN(h.now(), 1):
		return nil, &refusal{429, fleet.WhyBusy, fmt.Sprintf("more than %d pages a second", fleet.MaxRequests), time.Second}
	}
	o, err := pageOptions(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	return h.pages.get(r.Context(), o, h.now)
}

func noReader() *refusal {
	return &refusal{401, fleet.WhyUnknown, "the page is for who has a reader's token: sshnotify fleet token --reader at the hub makes one", 0}
}
