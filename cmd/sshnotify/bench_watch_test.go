package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/tools/loggen"
)

// BenchmarkWatch reads one log of 300,000 lines with the whole program, with
// Debian's fail2ban-regex and with grep, by turns in one run: medians of the
// processor's time in seconds. It needs fail2ban for its row.
//
//	go test -run '^$' -bench Watch -benchtime 3x ./cmd/sshnotify
func BenchmarkWatch(b *testing.B) {
	dir := b.TempDir()
	log := filepath.Join(dir, "auth.log")
	f, err := os.Create(log)
	if err != nil {
		b.Fatal(err)
	}
	stats, err := loggen.Write(f, loggen.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	settings := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(settings, []byte("time_zone = \"UTC\"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	rows := []struct {
		name string
		args []string
	}{
		{"sshnotify", []string{binary, "watch", "--config", settings, "--replay", log}},
		{"fail2ban-regex", []string{"fail2ban-regex", log, "/etc/fail2ban/filter.d/sshd.conf"}},
		{"grep", []string{"grep", "-cE", "Failed password|Invalid user|authentication failure", log}},
	}
	spent := make([][]time.Duration, len(rows))
	var memory int64
	for b.Loop() {
		for i, row := range rows {
			if _, err := exec.LookPath(row.args[0]); err != nil {
				continue
			}
			c := exec.Command(row.args[0], row.args[1:]...)
			c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
			if out, err := c.CombinedOutput(); err != nil {
				b.Fatalf("%s: %v\n%s", strings.Join(row.args, " "), err, out)
			}
			spent[i] = append(spent[i], c.ProcessState.UserTime()+c.ProcessState.SystemTime())
			if usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok && i == 0 {
				memory = max(memory, int64(usage.Maxrss))
			}
		}
	}
	b.ReportMetric(0, "ns/op") // the rows are what counts
	for i, row := range rows {
		if len(spent[i]) > 0 {
			b.ReportMetric(median(spent[i])/1000, row.name+"-s")
		}
	}
	b.ReportMetric(float64(stats.Lines)/(median(spent[0])/1000)/1e6, "Mlines/s")
	b.ReportMetric(float64(memory)/1024, "MiB")
}
