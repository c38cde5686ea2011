package enrich

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// Each error of an owner's file says of which file it is: the settings have none
// of its lines.
func TestErrorsNameTheirFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.toml")
	if err := os.WriteFile(file, []byte("form = 1\ntitel = \"X\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := describedSettings{File: file}
	_, err := s.Open(Env{Name: "mine"})
	all := strictoml.Errors(err)
	if len(all) == 0 {
		t.Fatalf("the file was taken: %v", err)
	}
	for _, e := range all {
		if e.File != file {
			t.Errorf("%v does not name the file", e)
		}
	}
}
