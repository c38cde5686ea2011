// Package dns owns what is asked of look-up services that speak DNS: Team
// Cymru's, which knows the network of an address, and the Tor Project's, which
// knows its own exits.
//
// The address is told to the host's name server and to the service. It must
// therefore never be used unless the settings name the service, and never
// believe an answer that has not the form that the service documents.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/event"
)

// Options are what few need to change.
type Options struct {
	Name   string // its table in the settings; empty: the service's own
	Title  string // as people know it; empty: the service's own
	Server string // address of the name server, with or without a port; empty: the host's (/etc/resolv.conf)
}

// service is what both have in common.
type service struct {
	name, title string
	resolver    *net.Resolver
}

func newService(o Options, name, title string) (service, error) {
	if o.Name == "" {
		o.Name = name
	}
	if o.Title == "" {
		o.Title = title
	}
	// Go's own resolver obeys its context; the C library's would need cgo.
	s := service{name: o.Name, title: o.Title, resolver: &net.Resolver{PreferGo: true, StrictErrors: true}}
	if o.Server == "" {
		return s, nil
	}
	server, err := netip.ParseAddrPort(o.Server)
	if err != nil {
		addr, err := netip.ParseAddr(o.Server)
		if err != nil {
			return s, fmt.Errorf("%q is no address of a name server", event.Clean(o.Server, maxDetail))
		}
		server = netip.AddrPortFrom(addr, 53)
	}
	s.resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.String())
	}
	return s, nil
}

// Info implements enrich.Provider.
func (s *service) Info() enrich.Info { return enrich.Info{Name: s.name, Title: s.title} }

// Error is a question that got no answer, or none that makes sense.
type Error struct {
	Problem string // in a few words: "timed out"
	hint    string
	Err     error // what the network or the service said; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Problem
	}
	return e.Problem + ": " + event.Clean(e.Err.Error(), maxDetail)
}

// Unwrap returns what the network or the service said.
func (e *Error) Unwrap() error { return e.Err }

// Hint is what to do about it, for a person; it may be empty.
func (e *Error) Hint() string { return e.hint }

// How much is shown or kept of texts that are not ours, in characters.
const (
	maxDetail = 160
	maxName   = 100
)

// nonsense is about an answer that the service would not give.
func nonsense(err error) error {
	return &Error{"the answer makes no sense", "see whether the name server answers truly: it may put its own answers in the place of missing ones", err}
}

// explain says why there is no answer; nil if the answer is that there is
// nothing.
func explain(ctx context.Context, err error) error {
	de, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{"cancelled", "", context.Canceled}
	case errors.Is(ctx.Err(), context.DeadlineExceeded), isDNS && de.IsTimeout:
		return &Error{"timed out", "", context.DeadlineExceeded}
	case isDNS && de.IsNotFound:
		return nil
	}
	return &Error{"the name server gave no answer", "see whether the host's name server works", err}
}

// reverse gives an address the way that names are made of it: the bytes of
// IPv4 or the hexadecimal digits of IPv6, the last first, with dots (RFC 1035,
// 3.5; RFC 3596, 2.5).
func reverse(ip netip.Addr) string {
	var parts []string
	if ip.Is4() {
		b := ip.As4()
		for i := len(b) - 1; i >= 0; i-- {
			parts = append(parts, strconv.Itoa(int(b[i])))
		}
	} else {
		b := ip.As16()
		for i := len(b) - 1; i >= 0; i-- {
			parts = append(parts, strconv.FormatUint(uint64(b[i]&0xf), 16), strconv.FormatUint(uint64(b[i]>>4), 16))
		}
	}
	return strings.Join(parts, ".")
}
