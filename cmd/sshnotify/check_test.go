package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// perlPlugin reads perfdata from standard input as the Perl module for plugins
// does, and prints each value.
const perlPlugin = `use Monitoring::Plugin::Performance use_die => 1;
local $/; my $line = <STDIN>;
for my $p (Monitoring::Plugin::Performance->parse_perfstring($line)) {
	print join(" ", $p->label, $p->value, $p->uom // "", $p->warning // "", $p->critical // ""), "\n";
}`

// Nagios' and Icinga's parsers take what check prints, and an unprivileged user can run it: the
// service is stopped, so that it is CRITICAL once the worker has gone silent.
func TestCheckForWhoeverMonitors(t *testing.T) {
	t.Parallel()
	nobody := 0
	if os.Getuid() == 0 {
		nobody = 65534
	}
	dir := t.TempDir()
	for _, at := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(at, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	s := siteIn(t, dir, standin.SlackOptions{}, "")
	worker := s.start(call{args: []string{"deliver", "--follow", "--config", s.settings}})
	if r := s.run(nil, "alert", "--config", s.settings, "--no-worker", "hello"); r.code != 0 {
		t.Fatal(r)
	}
	file := filepath.Join(s.state, "figures.json")
	until(t, "the figures have the message", func() bool {
		b, _ := os.ReadFile(file)
		return strings.Contains(string(b), `"sent":1`)
	})
	if err := os.Chmod(s.state, 0o711); err != nil { // as install does for the host's
		t.Fatal(err)
	}
	check := s.do(call{args: []string{"check", "--state", s.state}, uid: nobody})
	line, perf, _ := strings.Cut(check.out, " | ")
	if check.code != 0 || !strings.HasPrefix(line, "SSHNOTIFY OK: nothing waits, slack ") {
		t.Fatalf("%+v", check)
	}
	t.Run("Monitoring::Plugin", func(t *testing.T) {
		if exec.Command("perl", "-MMonitoring::Plugin", "-e1").Run() != nil {
			lacking(t, "libmonitoring-plugin-perl")
		}
		c := exec.Command("perl", "-e", perlPlugin)
		c.Stdin = strings.NewReader(perf)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		want := []string{"waiting 0  100 1000", "retry 0   ", "oldest 0 s 600 3600", "dead 0  0 ", "logins_1h 0   ", "sent_slack 1 c  ", "failed_slack 0 c  "}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q\nof   %s", got, want, perf)
		}
	})
	t.Run("Icinga", func(t *testing.T) {
		icinga, root := standin.Program(t, "icinga2")
		var got []string
		for p := range strings.FieldsSeq(perf) {
			c := exec.Command(icinga, "console", "--eval", `parse_performance_data("`+p+`")`)
			c.Env = standin.Libraries(root)
			out, err := c.CombinedOutput()
			var v struct {
				Label, Unit string
				Value       float64
				Warn, Crit  *float64
			}
			if err != nil || json.Unmarshal(out, &v) != nil {
				t.Fatalf("%s: %v: %s", p, err, out)
			}
			limits := ""
			for _, l := range []*float64{v.Warn, v.Crit} {
				if l != nil {
					limits += fmt.Sprint(" ", *l)
				}
			}
			got = append(got, fmt.Sprint(v.Label, " ", v.Value, v.Unit, limits))
		}
		want := []string{"waiting 0 100 1000", "retry 0", "oldest 0seconds 600 3600", "dead 0 0", "logins_1h 0", "sent_slack 1", "failed_slack 0"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q\nof   %s", got, want, perf)
		}
	})
	worker.signal(syscall.SIGTERM)
	worker.result()
	check = s.run(nil, "check", "--config", s.settings)
	if check.code != 2 || !strings.HasPrefix(check.out, "SSHNOTIFY CRITICAL: the worker does not run |") {
		t.Errorf("%+v", check)
	}
	// Who may not look at the lock goes by when it last wrote.
	b, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.ReplaceAll(string(b), time.Now().UTC().Format("2006-01-02T"), "2020-01-02T")), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	check = s.do(call{args: []string{"check", "--state", s.state}, uid: nobody})
	if check.code != 2 || !strings.HasPrefix(check.out, "SSHNOTIFY CRITICAL: the worker has shown no life for ") {
		t.Errorf("%+v", check)
	}
}
