package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/paths"
)

// What is told as high is told again every five minutes by whichever worker there is,
// until somebody says ack, which is told, and again once that is taken back.
func TestRemindersEndWithAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		in := func(name string) string { return filepath.Join(dir, name) }
		for _, folder := range []string{"spool", "spool/new", "home"} {
			if err := os.Mkdir(in(folder), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		write := func(name, text string) {
			if err := os.WriteFile(in(name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("config.toml", strings.ReplaceAll(`host = "db1.example.com"
state_dir = "DIR/state"
spool_dir = "DIR/spool"
[enrich]
builtin = false
[[rule]]
user = "alice"
severity = "high"
[destination.phone]
type = "file"
path = "DIR/phone.jsonl"
remind = "5m"
`, "DIR", dir))
		write("spool/new/7K3F0000000000000000000000.json", `{"v":2,"id":"7K3F0000000000000000000000","kind":"login","time":"`+time.Now().Format(time.RFC3339)+
			`","host":"db1.example.com","user":"alice","service":"sshd","via":"pam","remote":{"ip":"203.0.113.7","port":4022},"login":{"auth":{"method":"password"}}}`)
		var out, errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &errs, uid: os.Getuid(), places: paths.User{UID: os.Getuid(), Home: in("home")}}
		run := func(args ...string) {
			t.Helper()
			if code := a.run(t.Context(), append(args, "--config", in("config.toml"))); code != exitDone && code != exitAgain {
				t.Fatalf("%q: exit %d: %s", args, code, errs.String())
			}
		}
		told := func() (titles []string) {
			b, err := os.ReadFile(in("phone.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(b) {
				var p channel.Payload
				if err := json.Unmarshal(line, &p); err != nil {
					t.Fatal(err)
				}
				title, _, _ := strings.Cut(p.Title, ":")
				titles = append(titles, title)
			}
			return titles
		}
		wait := func(d time.Duration) {
			for range int(d / time.Minute) {
				time.Sleep(time.Minute)
				run("deliver", "--once")
			}
		}
		run("deliver", "--once")
		wait(12 * time.Minute)
		run("ack", "7K3F", "--no-worker")
		wait(12 * time.Minute)
		run("ack", "7K3F", "--undo", "--no-worker")
		wait(5 * time.Minute)
		want := []string{"", "Not acknowledged", "Not acknowledged", "Acknowledged", "No longer acknowledged", "Not acknowledged"}
		if got := told(); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}
