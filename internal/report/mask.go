package report

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// masker shows people, addresses and keys: as they are, or for others to read.
type masker struct {
	on     bool
	shown  map[string]string // what stands for a name
	called map[string]int    // how many an initial stands for
}

// person leaves of a name its initial, and a number where another one has the same;
// root is nobody's name.
func (m *masker) person(name string) string {
	if !m.on || name == "root" || name == "" {
		return clean(name)
	}
	lower := strings.ToLower(name)
	if s, known := m.shown[lower]; known {
		return s
	}
	if m.shown == nil {
		m.shown, m.called = map[string]string{}, map[string]int{}
	}
	_, size := utf8.DecodeRuneInString(lower)
	initial := clean(lower[:size])
	m.called[initial]++
	s := initial + "."
	if n := m.called[initial]; n > 1 {
		s += fmt.Sprint(n)
	}
	m.shown[lower] = s
	return s
}

// ip leaves of an address the network that a customer usually has.
func (m *masker) ip(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return m.prefix(netip.PrefixFrom(ip, ip.BitLen()))
}

func (m *masker) prefix(p netip.Prefix) string {
	bits := 24
	if p.Addr().Is6() {
		bits = 48
	}
	if m.on && p.Bits() > bits {
		p = netip.PrefixFrom(p.Addr(), bits).Masked()
	}
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// keyShown is as much of a fingerprint as tells keys apart.
const keyShown = len("SHA256:") + 8

// key shortens a fingerprint. Of a certificate the key id may be a name.
func (m *masker) key(key string) string {
	if id, ok := strings.CutPrefix(key, "certificate "); ok {
		return strings.TrimSpace("certificate " + m.person(id))
	}
	if key = clean(key); strings.HasPrefix(key, "SHA256:") && len(key) > keyShown {
		return key[:keyShown] + "…"
	}
	return key
}

// wholeKey is a fingerprint that somebody is to look for.
func (m *masker) wholeKey(key string) string {
	if m.on {
		return m.key(key)
	}
	return clean(key)
}
