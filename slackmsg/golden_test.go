package slackmsg

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/message"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestGolden(t *testing.T) {
	for name, a := range alerts() {
		t.Run(name, func(t *testing.T) {
			raw, err := build(a).JSON()
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, raw, "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			golden(t, name+".json", pretty.Bytes())
			golden(t, name+".txt", []byte(message.New(a).Plain(false)))
			checkPayload(t, a, raw)
		})
	}
}

// A golden file that no test compares says nothing.
func TestEveryGoldenFileIsCompared(t *testing.T) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	all := alerts()
	for _, f := range files {
		name := filepath.Base(f)
		name = name[:len(name)-len(filepath.Ext(name))]
		if _, ok := all[name]; !ok && name != "plain" && name != "coloured" {
			t.Errorf("%s: no alert of that name", f)
		}
	}
	if len(files) < 2*len(all) {
		t.Errorf("%d files for %d alerts", len(files), len(all))
	}
}

func TestPlain(t *testing.T) {
	raw, err := Plain(message.New(alerts()["high"])).JSON()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "plain.json", append(raw, '\n'))
	for _, a := range alerts() {
		checkPlain(t, a)
	}
}

func TestRenderTextInColour(t *testing.T) {
	golden(t, "coloured.txt", []byte(message.New(alerts()["high"]).Plain(true)))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./slackmsg -update writes it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
