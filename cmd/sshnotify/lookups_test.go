package main

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// However many come from an address, and at the same instant, a service is asked
// once about it, and once about its network: by the worker that they wait for, and
// by the next.
func TestOneLookUpAnAddress(t *testing.T) {
	e2e(t)
	t.Parallel()
	tj, provider := newThreatJammer(t, standin.ThreatJammerOptions{Latency: 80 * time.Millisecond})
	s := newSwiftSite(t, standin.SlackOptions{}, provider+"per_minute = 1000\n[enrich]\ntimeout = \"30s\"\n")
	addresses := []netip.Addr{aliceIP, netip.MustParseAddr("203.0.113.8"), netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("2001:db8::9")}
	port := 10000
	come := func() {
		var wg sync.WaitGroup
		for i := range 20 {
			ip := addresses[i%len(addresses)]
			env := pamEnv("open_session", crowdUser(i), ip)
			env[0] = fmt.Sprintf("SSH_CONNECTION=%s %d 192.0.2.5 22", ip, port)
			port++
			wg.Go(func() { s.hook(env) })
		}
		wg.Wait()
	}
	come()
	s.mustDeliver()
	come()
	s.deliver("--once") // which leaves held repeats where they are

	asked := map[string]int{}
	for _, r := range tj.Requests() {
		asked[r.Path]++
	}
	for _, ip := range addresses {
		about := 0
		for path, n := range asked {
			if strings.HasSuffix(path, "/"+ip.String()) {
				about++
				if n != 1 {
					t.Errorf("%s: %d requests", path, n)
				}
			}
		}
		if about == 0 {
			t.Errorf("nobody asked about %v: %v", ip, asked)
		}
	}
}
