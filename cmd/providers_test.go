package cmd

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/config"
)

// The settings know what the services need, which stands with the services.
func TestSettingsKnowTheServices(t *testing.T) {
	t.Parallel()
	type need struct {
		Key config.KeyNeed
		URL bool
	}
	want, got := map[string]need{}, map[string]need{}
	for _, s := range enrich.Services() {
		n := need{URL: s.NeedsURL}
		switch {
		case s.NeedsKey:
			n.Key = config.KeyNeeded
		case s.TakesKey:
			n.Key = config.KeyOptional
		}
		want[s.Name] = n
	}
	for name, f := range config.Services() {
		got[name] = need{f.Key, f.NeedsURL}
	}
	if len(want) < 10 {
		t.Errorf("only %d services", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
