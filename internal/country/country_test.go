package country

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for code, want := range map[string]string{
		"BG": "Bulgaria", "AD": "Andorra", "ZW": "Zimbabwe", "US": "the United States", "CI": "Côte d'Ivoire",
		"bg": "bg", "": "", "EU": "EU", "\nB": "\nB", "BGR": "BGR",
	} {
		if got := Name(code); got != want {
			t.Errorf("%q: %q", code, got)
		}
	}
	// ISO 3166-1 has 249 codes; Kosovo's is not among them.
	lines := strings.Split(strings.TrimSpace(countries), "\n")
	if len(lines) != 250 {
		t.Errorf("%d countries", len(lines))
	}
	for i, l := range lines {
		if l[2] != ' ' || i > 0 && lines[i-1][:2] >= l[:2] {
			t.Errorf("out of order: %s", l)
		}
	}
}
