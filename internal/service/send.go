package service

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// Service is a described service that can be asked: whose, where and as whom. It
// may be used concurrently.
type Service struct {
	Name        string // its table in the settings; logs name it
	Description *Description
	Client      *outbound.Client
	BaseURL     string          // without "/" at its end; empty with KeyURL
	Key         outbound.Secret // zero: none; with KeyURL the URL
}

// New returns a service whose base URL, empty for the description's own, and key
// are fit for it.
func New(name string, d *Description, c *outbound.Client, baseURL string, key outbound.Secret) (*Service, error) {
	if d.Key == KeyURL {
		if err := outbound.CheckURL(key.Reveal()); err != nil {
			return nil, err
		}
		return &Service{Name: name, Description: d, Client: c, Key: key}, nil
	}
	if baseURL == "" {
		baseURL = d.URL
	}
	if err := CheckBaseURL(baseURL); err != nil {
		return nil, err
	}
	switch k := key.Reveal(); {
	case k == "" && d.Key == KeyRequired:
		return nil, errors.New("no API key")
	case k != "" && d.Key == KeyNone:
		return nil, fmt.Errorf("%s takes no API key", d.Title)
	case strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("the API key contains a space or a character that no key has")
	case k == "." || k == "..":
		return nil, errors.New("that is no API key")
	}
	return &Service{Name: name, Description: d, Client: c, BaseURL: strings.TrimRight(baseURL, "/"), Key: key}, nil
}

// CheckBaseURL returns what is wrong with the URL that the requests' begin with.
func CheckBaseURL(base string) error {
	if err := outbound.CheckURL(base); err != nil {
		return err
	}
	if strings.ContainsAny(base, "?#") {
		return errors.New("the URL must end before any ? or #")
	}
	return nil
}

// Host returns the host that is asked, with its port.
func (s *Service) Host() string {
	u, err := url.Parse(cmp.Or(s.BaseURL, s.Key.Reveal()))
	if err != nil {
		return ""
	}
	return u.Host
}

// Build makes a request of its description and of values for its placeholders.
// Each value is escaped for the place where it stands. A header, a parameter or a
// field that is made of the key is left out without one, and so are a parameter
// and a field that are one empty value. A path that would lead
// elsewhere than the description says is an error: no escape keeps "..", which
// proxies and servers resolve, from it.
func (s *Service) Build(r *Request, values map[string]string) (outbound.Request, error) {
	all := map[string]string{keyName: s.Key.Reveal()}
	for k, v := range values {
		all[k] = v
	}
	out := outbound.Request{
		Method: r.Method, Purpose: s.Name + " " + r.Name, MaxBody: int64(s.Description.MaxAnswer),
		Header: http.Header{"Accept": {"application/json"}},
	}
	for _, more := range []map[string]string{s.Description.Headers, r.Headers} {
		for k, template := range more {
			if !s.lacksKey(template) {
				out.Header.Set(k, fill(template, all, asIs))
			}
		}
	}
	if s.Description.Basic != "" {
		out.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(fill(s.Description.Basic, all, asIs))))
	}
	path := fill(r.Path, all, url.PathEscape)
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return outbound.Request{}, fmt.Errorf("%s: a part of the path is %q", r.Name, part)
		}
	}
	base, own := s.BaseURL, ""
	if s.Description.Key == KeyURL {
		base, own, _ = strings.Cut(s.Key.Reveal(), "?")
		if path != "" {
			base = strings.TrimRight(base, "/")
		}
	}
	u := base + path
	if query := joinQuery(own, s.form(r.Query, all)); query != "" {
		u += "?" + query
	}
	out.URL = outbound.NewSecret(u)
	switch {
	case r.JSON != nil:
		out.Header.Set("Content-Type", "application/json")
		out.Body = r.JSON.Fill(s.Description.v, all)
	case len(r.Form) > 0:
		out.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		out.Body = []byte(s.form(r.Form, all))
	case r.Text != "":
		out.Header.Set("Content-Type", "text/plain; charset=utf-8")
		out.Body = []byte(fill(r.Text, all, asIs))
	}
	return out, nil
}

// joinQuery joins two queries; either may be empty.
func joinQuery(a, b string) string { return strings.Trim(a+"&"+b, "&") }

func (s *Service) lacksKey(template string) bool {
	return s.Key.IsZero() && strings.Contains(template, "{"+keyName+"}")
}

func (s *Service) form(templates, values map[string]string) string {
	out := make(url.Values)
	for k, template := range templates {
		if name := alone(template); s.lacksKey(template) || name != "" && values[name] == "" {
			continue
		}
		out.Set(k, fill(template, values, asIs))
	}
	return out.Encode()
}

// marshal can't fail: a Body holds nothing that JSON has not.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return nil
	}
	return bytes.TrimSpace(b.Bytes())
}

// Do sends a request and returns the answer, whatever it means. An error is an
// *outbound.Error, nobody answered, or Build's.
func (s *Service) Do(ctx context.Context, r *Request, values map[string]string) (*Answer, error) {
	req, err := s.Build(r, values)
	if err != nil {
		return nil, err
	}
	resp, err := s.Client.Do(ctx, req)
	if err != nil {
		return nil, err
	}
	return s.Read(r, resp, time.Now()), nil
}
