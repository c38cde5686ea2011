package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A browser finds nothing in the page that its policy forbids, and says so of a page
// that has something.
func TestReportInABrowser(t *testing.T) {
	e2e(t)
	browser, err := exec.LookPath("chromium")
	if err != nil {
		lacking(t, "chromium")
	}
	page, err := os.ReadFile("../../internal/report/testdata/page.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		situation string
		before    string // what stands in place of </body>
		faults    []string
	}{
		{"the page as it is", "", nil},
		{"a script", "<script>1</script>", []string{"script"}},
		{"a picture of another's", "<img src=http://127.0.0.1:9/x.png>", []string{"127.0.0.1:9/x.png"}},
		{"a style attribute", `<p style="color:red">x</p>`, []string{"inline style"}},
		{"a style of another's", "<style>p{color:red}</style>", []string{"inline style"}},
	} {
		t.Run(row.situation, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "page.html")
			if err := os.WriteFile(file, []byte(strings.Replace(string(page), "</body>", row.before+"</body>", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"),
				"--enable-logging=stderr", "--screenshot="+filepath.Join(dir, "page.png"), "file://"+file)
			c.Env = append(os.Environ(), "HOME="+dir)
			out, err := c.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if _, err := os.Stat(filepath.Join(dir, "page.png")); err != nil {
				t.Fatal(err)
			}
			var faults []string
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "CONSOLE") {
					faults = append(faults, line)
				}
			}
			if len(faults) != len(row.faults) {
				t.Errorf("the console says %q", faults)
			}
			for i, s := range row.faults {
				if i < len(faults) && (!strings.Contains(faults[i], s) || !strings.Contains(faults[i], "Content Security Policy")) {
					t.Errorf("the console says %q, not of %q", faults[i], s)
				}
			}
		})
	}
}
