package figures

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// everything are the figures of a host that has all there is, names that must be
// escaped among it.
func everything() (Figures, *Watch) {
	at := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	f := Figures{
		Version: "1.2.3", Written: at,
		Queue:  Queue{Waiting: 3, Retry: 2, Dead: 1, Oldest: at.Add(-1500 * time.Millisecond)},
		Events: map[event.Kind]int64{event.KindLogin: 7, event.KindLogout: 2},
		Logins: map[string]int64{"high": 1, "low": 6},
		Dest: map[string]Destination{
			"slack":    {Outcomes: map[string]int64{Sent: 6, "again": 2}, Last: at},
			"a\\\"\nb": {Broken: at},
		},
		Beat:     &Heartbeat{Last: at},
		Hub:      &Hub{Hosts: 40, Silent: 2, Gaps: 1, Waiting: 5, Oldest: at, Events: map[string]int64{Stored: 8, Rejected: 1}, TurnedAway: 3, Copied: at},
		HandOver: &HandOver{Last: at, Events: map[string]int64{Stored: 8}},
	}
	for _, d := range []time.Duration{0, 100 * time.Millisecond, 3 * time.Second, time.Hour} {
		f.Delay.Observe(d)
	}
	return f, &Watch{Written: at, Attackers: 4, Sources: map[string]Source{"journal": {Lines: 9, Last: at}, "/var/log/auth.log": {Broken: true}}}
}

const (
	rulesFile     = "../../examples/monitoring/prometheus-rules.yml"
	dashboardFile = "../../examples/monitoring/grafana.json"
)

func contents(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMetrics(t *testing.T) {
	got := string(Text(everything()))
	const golden = "testdata/sshnotify.prom"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(contents(t, golden), got); d != "" {
		t.Error(d)
	}
}

// What the rules and the dashboard name is there, and the dashboard has all of it.
func TestRulesAndDashboardNameWhatThereIs(t *testing.T) {
	samples, families := map[string]bool{}, []string{}
	for line := range strings.Lines(string(Text(everything()))) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			families = append(families, strings.Fields(rest)[0])
		} else if name := regexp.MustCompile("^[a-z_]+").FindString(line); name != "" {
			samples[name] = true
		}
	}
	named := regexp.MustCompile(`sshnotify_[a-z_]+`)
	for what, text := range map[string]string{"rules": contents(t, rulesFile), "dashboard": strings.Join(expressions(t), "\n")} {
		for _, name := range named.FindAllString(text, -1) {
			if !samples[name] {
				t.Errorf("the %s name %s, which there is not", what, name)
			}
		}
	}
	shown := strings.Join(expressions(t), "\n")
	for _, name := range families {
		if !strings.Contains(shown, name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// expressions are those of the dashboard's panels, whose places and ids are looked
// at as well.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	type source struct{ Type, UID string }
	var d struct {
		UID, Title    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type string }
		}
		Panels []struct {
			ID          int
			Type, Title string
			GridPos     struct{ H, W, X, Y int }
			Datasource  *source
			Targets     []struct {
				RefID, Expr string
				Datasource  *source
			}
		}
	}
	if err := json.Unmarshal([]byte(contents(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" || d.SchemaVersion != 39 || len(d.Templating.List) != 2 || d.Templating.List[0].Type != "datasource" {
		t.Errorf("%+v", d)
	}
	const width = 24
	ids, taken, ours := map[int]bool{}, map[[2]int]string{}, source{"prometheus", "${ds}"}
	for _, p := range d.Panels {
		if p.ID == 0 || ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q has no id or title of its own", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > width || p.GridPos.H == 0 || p.GridPos.W == 0 {
			t.Errorf("%s is at %+v", p.Title, p.GridPos)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" {
					t.Fatalf("%s lies over %s", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
		if p.Type != "row" && (p.Datasource == nil || *p.Datasource != ours || len(p.Targets) == 0) {
			t.Errorf("%s asks %v", p.Title, p.Datasource)
		}
		for _, q := range p.Targets {
			if q.Datasource == nil || *q.Datasource != ours || q.RefID == "" {
				t.Errorf("%s asks %v", p.Title, q.Datasource)
			}
			all = append(all, q.Expr)
		}
	}
	return all
}

// Prometheus' own linter takes the metrics, as a file and as they are served, the
// rules, and each expression of the dashboard.
func TestPromtool(t *testing.T) {
	promtool, _ := standin.Program(t, "promtool")
	run := func(stdin string, args ...string) string {
		t.Helper()
		c := exec.Command(promtool, args...)
		c.Stdin = strings.NewReader(stdin)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("promtool %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	r := NewRecorder(t.TempDir(), "", "1.2.3")
	r.f, _ = everything()
	served := httptest.NewRecorder()
	r.Handler().ServeHTTP(served, httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil))
	for what, text := range map[string]string{
		"all there is":   string(Text(everything())),
		"a new worker":   string(Text(Figures{Version: "1"}, nil)),
		"what is served": served.Body.String(),
	} {
		if out := run(text, "check", "metrics"); out != "" {
			t.Errorf("%s: %s", what, out)
		}
	}
	run("", "check", "rules", rulesFile)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for i, expr := range expressions(t) {
		expr = strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*").Replace(expr)
		fmt.Fprintf(&rules, "  - {record: expression_%d, expr: %q}\n", i, expr)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	run("", "check", "rules", file)
	if c := exec.Command(promtool, "check", "metrics"); true { // it does find faults
		c.Stdin = strings.NewReader("# TYPE sshnotify_events counter\nsshnotify_events 1\n")
		if c.Run() == nil {
			t.Error("promtool takes a counter without _total")
		}
	}
}

// A real node exporter shows the figures through a link, beside what others left
// in its folder, a file that it can't read among it.
func TestNodeExporter(t *testing.T) {
	exporter, _ := standin.Program(t, "prometheus-node-exporter")
	dir, state := t.TempDir(), t.TempDir()
	r := NewRecorder(state, "", "1.2.3")
	r.Tried("slack", Sent, time.Now())
	keep := func() {
		if err := r.Keep(time.Now(), true, Queue{Waiting: 2}, map[string]Destination{"slack": {}}); err != nil {
			t.Fatal(err)
		}
	}
	keep()
	if err := os.Symlink(filepath.Join(state, MetricsName), filepath.Join(dir, MetricsName)); err != nil {
		t.Fatal(err)
	}
	foreign := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	foreign("apt.prom", "# HELP apt_upgrades_pending Packages\n# TYPE apt_upgrades_pending gauge\napt_upgrades_pending 3\n")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := ln.Addr().String()
	ln.Close()
	c := exec.Command(exporter, "--collector.disable-defaults", "--collector.textfile", "--collector.textfile.directory="+dir, "--web.listen-address="+at)
	var said bytes.Buffer
	c.Stderr = &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { c.Process.Kill(); c.Wait() }()
	scrape := func() string {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if resp, err := http.Get("http://" + at + "/metrics"); err == nil {
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}
			if time.Now().After(end) {
				t.Fatalf("it does not listen: %s", said.String())
			}
		}
	}
	has := func(text string, samples ...string) {
		t.Helper()
		for _, s := range samples {
			if !strings.Contains(text, "\n"+s+"\n") {
				t.Errorf("%s is missing in\n%s", s, text)
			}
		}
	}
	ours := []string{`sshnotify_queue_events{state="waiting"} 2`, `sshnotify_destination_up{destination="slack"} 1`, `sshnotify_delivery_seconds_count 0`, `apt_upgrades_pending 3`}
	has(scrape(), append(ours, `sshnotify_deliveries_total{destination="slack",outcome="sent"} 1`, "node_textfile_scrape_error 0")...)
	foreign("broken.prom", "this is none")
	r.Tried("slack", Sent, time.Now())
	keep() // another file, and the link leads there
	has(scrape(), append(ours, `sshnotify_deliveries_total{destination="slack",outcome="sent"} 2`, "node_textfile_scrape_error 1")...)
}
