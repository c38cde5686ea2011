package channel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/outbound"
)

// A real Gotify keeps a message with its priority, and says of tokens that may not
// send what our hints are for. The gate builds one; without it nothing is tried.
func TestRealGotify(t *testing.T) {
	program := filepath.Join(os.Getenv("SSHNOTIFY_SERVERS"), "usr/bin/gotify-server")
	if _, err := os.Stat(program); err != nil || os.Getenv("SSHNOTIFY_SERVERS") == "" {
		t.Skip("there is no gotify-server: .ci/run says how it is built")
	}
	dir, port := t.TempDir(), freePort(t)
	cmd := exec.Command(program)
	cmd.Dir = dir
	cmd.Env = []string{"GOTIFY_SERVER_LISTENADDR=127.0.0.1", "GOTIFY_SERVER_PORT=" + port, "GOTIFY_DEFAULTUSER_PASS=admin's",
		"GOTIFY_DATABASE_CONNECTION=" + filepath.Join(dir, "gotify.db")}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	url := "http://127.0.0.1:" + port
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(url + "/health"); err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not listen: %s", said.String())
		}
	}
	ask := func(method, path, body string, answer any) {
		t.Helper()
		q, err := http.NewRequest(method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.SetBasicAuth("admin", "admin's")
		q.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode/100 != 2 || json.Unmarshal(b, answer) != nil {
			t.Fatalf("%s %s: HTTP %d %v %s", method, path, resp.StatusCode, err, b)
		}
	}
	var app, reader struct{ Token string }
	ask("POST", "/application", `{"name":"sshnotify"}`, &app)
	ask("POST", "/client", `{"name":"phone"}`, &reader)
	c := outbound.New(outbound.Options{})
	defer c.CloseIdleConnections()
	open := func(token string) Channel {
		t.Helper()
		to, err := openDescribed("gotify", fmt.Sprintf("url=%q\ntoken=%q", url, token), c)
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	to := open(app.Token)
	if said := checked(t, to); !strings.Contains(said, "✓ online far") {
		t.Errorf("doctor says %s", said)
	}
	a := login()
	if _, err := to.Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Messages []struct {
			Title, Message string
			Priority       int
		}
	}
	ask("GET", "/message", "", &kept)
	if len(kept.Messages) != 1 {
		t.Fatalf("%+v", kept)
	}
	m := kept.Messages[0]
	if want := map[string]int{"low": 2, "medium": 5, "high": 8, "critical": 10}[a.Verdict.Severity.String()]; m.Priority != want || !strings.Contains(m.Title, a.Event.User) || !strings.Contains(m.Message, a.Event.Remote.IP.String()) {
		t.Errorf("%+v", m)
	}
	// What a stranger chose stays text.
	a.ID += "2"
	a.Event.User = `<b>*x*</b>`
	if _, err := to.Send(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	ask("GET", "/message", "", &kept)
	if len(kept.Messages) != 2 || !strings.Contains(kept.Messages[0].Title, a.Event.User) {
		t.Errorf("%+v", kept)
	}
	// A token that was deleted, and a client's in disguise.
	wrong := open("AAAAAAAAAAAAAAA")
	var e *Error
	if _, err := wrong.Send(t.Context(), a); !errors.As(err, &e) || e.Class != Broken || !strings.Contains(e.Hint, "make one in Gotify") || strings.Contains(err.Error(), "AAAAAAAA") {
		t.Errorf("%v", err)
	}
	if said := checked(t, wrong); !strings.Contains(said, "✗ online far") || !strings.Contains(said, "make one in Gotify") {
		t.Errorf("doctor says %s", said)
	}
	if _, err := openDescribed("gotify", fmt.Sprintf("url=%q\ntoken=%q", url, reader.Token), c); err == nil || !strings.Contains(err.Error(), "is a client's token") {
		t.Errorf("a client's token: %v", err)
	}
}
