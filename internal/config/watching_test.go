package config

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// What a watcher is handed is all that it needs, and neither a secret nor where
// one is.
func TestWatching(t *testing.T) {
	dir := t.TempDir()
	c, err := Load(write(t, dir, "config.toml", sample(t, dir), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Destinations) == 0 || len(c.Providers) == 0 || c.Outbound.Proxy.IsZero() || len(c.Patterns) == 0 {
		t.Fatal("the sample says too little")
	}
	data, err := json.Marshal(c.Watching)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append([]string{"slack.url", "threatjammer", "credential", "proxy"}, planted...) {
		if strings.Contains(string(data), secret) {
			t.Errorf("%q is in %s", secret, data)
		}
	}
	var back Watching
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	same := cmp.Options{cmp.Comparer(func(a, b *regexp.Regexp) bool {
		return a == nil && b == nil || a != nil && b != nil && a.String() == b.String()
	}), cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty()}
	if d := cmp.Diff(c.Watching, back, same); d != "" {
		t.Errorf("read back (-want +got):\n%s", d)
	}
	if d := cmp.Diff(c.Watching, back.Config().Watching, same); d != "" {
		t.Errorf("as settings (-want +got):\n%s", d)
	}
}
