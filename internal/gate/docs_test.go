package gate

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// Every key of the settings stands in the documentation.
func TestEveryKeyIsDocumented(t *testing.T) {
	b, err := os.ReadFile("../../docs/gate.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, table := range []any{Settings{}, Rules{}, Twilio{}, Slack{}, HTTP{}, Client{}} {
		typ := reflect.TypeOf(table)
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("toml"), ",")
			if key == "" {
				continue
			}
			n++
			if !strings.Contains(string(b), "`"+key) && !strings.Contains(string(b), "."+key) && !strings.Contains(string(b), "\n"+key) && !strings.Contains(string(b), "["+key) {
				t.Errorf("%s: %s is not in docs/gate.md", typ, key)
			}
		}
	}
	if n < 20 {
		t.Errorf("%d keys were found", n)
	}
}
