package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// browse has a browser load a page, and returns what that became and what its console
// says.
func browse(t *testing.T, url string) (dom string, console []string) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		lacking(t, "chromium")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--enable-logging=stderr", "--dump-dom", url)
	c.Env = append(os.Environ(), "HOME="+dir)
	var log strings.Builder
	c.Stderr = &log
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, line)
		}
	}
	return string(out), console
}

// A browser finds nothing in the page that its policy forbids, and says so of a page
// that has something.
func TestReportInABrowser(t *testing.T) {
	e2e(t)
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
			dom, faults := browse(t, "file://"+file)
			if !strings.Contains(dom, "What this page can't see") {
				t.Errorf("it shows %.2000s", dom)
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

// The hub's page opens in a browser by a reader's token, which hands nothing over; what
// hosts say of themselves is text there, and its own logins are told as ever.
func TestReportOfAHub(t *testing.T) {
	e2e(t)
	h := newFleetHub(t, t.TempDir(), "")
	web := h.mustJoin("web1")[0]
	const odd = `</script><img src=http://127.0.0.1:9/x.png onerror=alert(1)>`
	event := loginEvent(eventID(), "web1", odd, "b007", 1, time.Now())
	if a, err := web.events(t.Context(), []simLine{{number: 1, event: event}}); err != nil || a.Stored != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	if _, err := web.beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := h.run(nil, "fleet", "token", "--reader", "--name", "alice", "--config", h.settings)
	token := strings.TrimSpace(strings.SplitN(r.out, "\n", 2)[0])
	if !strings.HasPrefix(token, "sshnr1.") {
		t.Fatalf("no token: %+v", r)
	}
	reader := newSimHost("alice", h.url(), &tls.Config{InsecureSkipVerify: true})
	if a, err := reader.post(t.Context(), "/v1/events", http.Header{"Authorization": {"Bearer " + token}, "Sshnotify-Numbering": {"n"}}, event); err != nil || a.status != 401 {
		t.Errorf("a reader hands over: %+v, %v", a, err)
	}
	until(t, "the login", func() bool { return len(h.told.read()) > 0 })
	h.lookAtHosts()
	dom, console := browse(t, "https://alice:"+token+"@"+h.address+"/report?since=1d")
	if len(console) > 0 {
		t.Errorf("the console says %q", console)
	}
	for _, want := range []string{"<h1>SSH logins: <bdi>hub</bdi> and its hosts</h1>", "&lt;/script&gt;&lt;img src=", ">web1</bdi>", ">v9.9.9</bdi>", ">reports<", "What this page can't see"} {
		if !strings.Contains(dom, want) {
			t.Errorf("it has no %s", want)
		}
	}
	if strings.Contains(dom, "<img") || strings.Contains(dom, "<script") {
		t.Errorf("a name is more than text: %s", dom)
	}
	if dom, _ := browse(t, "https://alice:x@"+h.address+"/report"); strings.Contains(dom, "web1") {
		t.Errorf("without a token it shows %s", dom)
	}
	if r := h.run(nil, "fleet", "revoke", "--reader", "alice", "--config", h.settings); r.code != 0 {
		t.Errorf("revoke: %+v", r)
	}
	if dom, _ := browse(t, "https://alice:"+token+"@"+h.address+"/report"); strings.Contains(dom, "web1") {
		t.Errorf("by a revoked token it shows %s", dom)
	}
	if strings.Contains(h.log.String(), token) {
		t.Error("the hub's log has the token")
	}
}
