package dns

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// server is a name server on loopback. It answers with TXT or A records, or
// as said by the codes; what it does not know does not exist.
type server struct {
	txt    map[string][]string
	a      map[string][]string
	codes  map[string]dnsmessage.RCode
	silent map[string]bool // names that get no answer at all
	junk   map[string]bool // names that get bytes that are no message

	addr  string
	mu    sync.Mutex
	asked []string
}

func (s *server) start(t *testing.T) *server {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	s.addr = conn.LocalAddr().String()
	var wg sync.WaitGroup
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if reply := s.reply(t, buf[:n]); reply != nil {
				conn.WriteToUDPAddrPort(reply, from)
			}
		}
	})
	return s
}

func (s *server) reply(t *testing.T, query []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		t.Errorf("no question: %v", err)
		return nil
	}
	q := m.Questions[0]
	name := q.Name.String()
	s.mu.Lock()
	s.asked = append(s.asked, strings.TrimPrefix(q.Type.String(), "Type")+" "+name)
	s.mu.Unlock()
	switch {
	case s.silent[name]:
		return nil
	case s.junk[name]:
		return []byte("junk")
	}
	m.Response, m.RecursionAvailable, m.RCode = true, true, s.codes[name]
	m.Additionals = nil
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
	if q.Type == dnsmessage.TypeTXT {
		for _, text := range s.txt[name] {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.TXTResource{TXT: []string{text}}})
		}
	}
	if q.Type == dnsmessage.TypeA {
		for _, ip := range s.a[name] {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()}})
		}
	}
	if len(m.Answers) == 0 && m.RCode == 0 && s.txt[name] == nil && s.a[name] == nil {
		m.RCode = dnsmessage.RCodeNameError
	}
	b, err := m.Pack()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return b
}

// questions returns what was asked since the last call.
func (s *server) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}
