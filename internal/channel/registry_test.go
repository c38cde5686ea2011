package channel

import (
	"strings"
	"testing"
)

// What sshnotify channels and the documentation say is there for each type.
func TestEveryTypeIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, typ := range Types() {
		if seen[typ.Name] || typ.About == "" || typ.Limits == "" {
			t.Errorf("%s: twice, or without a word on what it is and what its limits are", typ.Name)
		}
		seen[typ.Name] = true
		for _, k := range typ.Keys() {
			if k.Meaning == "" || strings.ContainsAny(k.Meaning, "|\n") {
				t.Errorf("%s.%s: its meaning is no cell of a table: %q", typ.Name, k.Name, k.Meaning)
			}
		}
	}
}
