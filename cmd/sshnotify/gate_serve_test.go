package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// Codes for other programs, by the program itself: a code is sent and taken, too many
// wrong ones lock the number until root unlocks it, and what is on its way is sent
// before it stops.
func TestGateServe(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("gate unlock is root's")
	}
	texts := make(chan string, 10)
	services := standin.Services()
	twilio := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := r.PostFormValue("Body")
		services["twilio-sms"](w, r)
		time.Sleep(50 * time.Millisecond) // it is on its way when the program is told to stop
		texts <- body
	}))
	defer twilio.Close()
	const token, number = "0123456789abcdef0123456789abcdef", "+15551234567"
	dir := t.TempDir()
	file := filepath.Join(dir, "codes.toml")
	settings := fmt.Sprintf(`[gate]
sends = "50/15m"
[gate.http]
listen = "127.0.0.1:0"
state_dir = %q
[gate.http.client.portal]
token = %q
[gate.twilio]
account = %q
api_key = %q
api_secret = %q
from = "+15557654321"
countries = ["+1"]
url = %q
[person.alice]
phone = %q
`, filepath.Join(dir, "state"), token, standin.ServiceAccount, standin.ServiceKey, standin.ServiceToken, twilio.URL, number)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), binary, "gate", "serve", "--settings", file)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	log, url := bufio.NewReader(stderr), ""
	for url == "" {
		line, err := log.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`address=(\S+)`).FindStringSubmatch(line); found != nil {
			url = "http://" + found[1]
		}
	}
	post := func(path, body string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	send := func() string {
		t.Helper()
		if got := post("/sms", fmt.Sprintf(`{"number":%q}`, number)); got != 202 {
			t.Fatalf("sms: %d", got)
		}
		code, _, _ := strings.Cut(<-texts, " ")
		return code
	}
	check := func(code string) int { return post("/auth", fmt.Sprintf(`{"number":%q,"token":%q}`, number, code)) }
	if got := check(send()); got != 200 {
		t.Errorf("the right code: %d", got)
	}
	for range 11 {
		check("1")
	}
	if got := check(send()); got != 429 {
		t.Errorf("the right code after eleven wrong ones: %d", got)
	}
	if out, err := exec.CommandContext(t.Context(), binary, "gate", "unlock", number, "--settings", file).CombinedOutput(); err != nil || string(out) != number+" is unlocked\n" {
		t.Errorf("unlock: %v %s", err, out)
	}
	if got := check(send()); got != 200 {
		t.Errorf("unlocked: %d", got)
	}
	if got := post("/sms", fmt.Sprintf(`{"number":%q}`, number)); got != 202 {
		t.Errorf("sms: %d", got)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	said, _ := io.ReadAll(log)
	if err := c.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	select {
	case <-texts:
	default:
		t.Error("it did not send what was on its way")
	}
	if strings.Contains(string(said), number) || strings.Contains(string(said), token) {
		t.Errorf("the log has a number or a token:\n%s", said)
	}
}
