package channel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/outbound"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

func openAlertmanager(settings string, c *outbound.Client) (Channel, error) {
	s := new(Alertmanager)
	if err := strictoml.Unmarshal("config.toml", []byte(settings), s); err != nil {
		return nil, err
	}
	return s.Open("far", Env{Client: c})
}

func alertmanagerRow() httpDestination {
	return httpDestination{
		name: AlertmanagerType,
		make: func(c *outbound.Client, url outbound.Secret) (Channel, error) {
			return openAlertmanager(fmt.Sprintf("url=%q\nusername='ops'\npassword=%q\nlabels={team='ops'}", url.Reveal(), standin.ServiceToken), c)
		},
		told: standin.Services()[AlertmanagerType],
		own: []answer{
			{"a label that it does not take", isJSON(400, `"invalid label set"`), &Error{Class: Bug}, "invalid label set (HTTP 400)"},
			{"a field that it does not take", isJSON(400, `{"code":601,"message":"validation failure list"}`), &Error{Class: Bug}, "validation failure"},
			{"Prometheus, which answers everything", says(200, "<html>Prometheus"), &Error{Class: Again, Sent: true}, "not Alertmanager's answer"},
			{"somebody else's JSON", isJSON(200, `{"status":"success"}`), &Error{Class: Again, Sent: true}, "not Alertmanager's answer"},
		},
	}
}

// What is wrong with the settings, and what doctor --online says.
func TestAlertmanagerMistakes(t *testing.T) {
	right := "url='URL'\nusername='ops'\npassword='" + standin.ServiceToken + "'"
	for _, tc := range []struct{ name, settings, want string }{
		{"nothing is wrong", right, "Alertmanager 0.25.0 answers"},
		{"no log-in", "url='URL'", "it wants a log-in"},
		{"a path too many", strings.Replace(right, "URL", "URL/api/v2/alerts", 1), "without /api/v2"},
		{"a label of ours", right + "\nlabels={host='x'}", "labels.host: a label is of letters"},
		{"a label that is none", right + "\nlabels={'a-b'='x'}", "labels.a-b"},
		{"two log-ins", right + "\ntoken='x'", "either a token"},
		{"plain http elsewhere", "url='http://alerts.example.com'", "use https://"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := serve(t, standin.Services()[AlertmanagerType])
			c := outbound.New(outbound.Options{})
			defer c.CloseIdleConnections()
			to, err := openAlertmanager(strings.ReplaceAll(tc.settings, "URL", f.url), c)
			said := fmt.Sprint(err)
			if err == nil {
				said = checked(t, to)
			}
			if !strings.Contains(said, tc.want) || leak(said) != "" {
				t.Errorf("%q is not in %s", tc.want, said)
			}
		})
	}
}

// A real Alertmanager fires what is told, as one alert for its repeats, and
// resolves it when the login ends.
func TestRealAlertmanager(t *testing.T) {
	program, root := standin.Program(t, "prometheus-alertmanager")
	if os.Geteuid() != 0 {
		t.Skip("it is given a /usr/share of its own, which needs root")
	}
	dir, port := t.TempDir(), freePort(t)
	conf := filepath.Join(dir, "alertmanager.yml")
	writeFile(t, conf, []byte("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"))
	// Debian's reads its templates in /usr/share: it sees that of the packages there.
	cmd := exec.Command("unshare", "--mount", "sh", "-c", `mount --bind "$1/usr/share" /usr/share && shift && exec "$@"`, "sh", root, program, "--config.file="+conf, "--storage.path="+dir, "--web.listen-address=127.0.0.1:"+port, "--cluster.listen-address=")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	url := "http://127.0.0.1:" + port
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if resp, err := http.Get(url + "/-/ready"); err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not listen: %s", said.String())
		}
	}
	c := outbound.New(outbound.Options{})
	defer c.CloseIdleConnections()
	to, err := openAlertmanager(fmt.Sprintf("url=%q\nlabels={team='ops'}", url), c)
	if err != nil {
		t.Fatal(err)
	}
	if said := checked(t, to); !strings.Contains(said, "✓ online far") {
		t.Errorf("doctor says %s", said)
	}
	type alert struct {
		Fingerprint         string
		Labels, Annotations map[string]string
		EndsAt              time.Time
	}
	active := func() (all []alert) {
		resp, err := http.Get(url + "/api/v2/alerts?active=true")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	a := login()
	a.Event.Time, a.First, a.Last = time.Now(), time.Now(), time.Now()
	var receipt event.Receipt
	for range 2 {
		if receipt, err = to.Send(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	got := active()
	if len(got) != 1 || got[0].Labels["user"] != "alice" || got[0].Labels["team"] != "ops" || got[0].Labels["severity"] != "high" || !strings.HasPrefix(got[0].Annotations["summary"], "HIGH alice") || time.Until(got[0].EndsAt) < 50*time.Minute {
		t.Fatalf("%+v", got)
	}
	if out, err := exec.Command(filepath.Join(root, "usr/bin/amtool"), "--alertmanager.url="+url, "alert", "query", "user=alice", "team=ops", "-o", "simple").CombinedOutput(); err != nil || !strings.Contains(string(out), "sshnotify") {
		t.Errorf("amtool: %v: %s", err, out)
	}
	out := a
	out.Event.Kind, out.Parent, out.Verdict.Severity = event.KindLogout, receipt, event.Low
	if _, err := to.Send(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); len(active()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it fires after the logout: %+v", active())
		}
	}
	for name, a := range alerts() {
		if _, err := to.Send(t.Context(), a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
