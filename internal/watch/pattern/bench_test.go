package pattern

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// twenty are patterns as people have them.
func twenty() []Pattern {
	var all []Pattern
	for i, expr := range []string{
		`Out of memory: Killed process (?P<pid>\d+) \((?P<name>[^)]+)\)`, `(?i)segfault at`, `(?i)kernel panic`, `I/O error, dev (?P<disk>\w+)`,
		`EXT4-fs error \(device (?P<disk>\w+)\)`, `md/raid.*(?:failed|degraded)`, `nf_conntrack: table full`, `oom-kill:`,
		`sudo:\s+(?P<user>\S+) : .*COMMAND=(?P<cmd>.*)`, `useradd\[\d+\]: new user: name=(?P<user>[^,]+)`, `usermod\[\d+\]: add '(?P<user>[^']+)' to group '(?:sudo|wheel)'`,
		`CRON\[\d+\]: \(root\) CMD \((?P<cmd>.*)\)`, `systemd\[1\]: (?P<unit>\S+): Failed with result`, `error: maximum authentication attempts exceeded`,
		`smartd.*(?:FAILED|Currently unreadable)`, `named.*(?:denied|refused)`, `(?i)certificate has expired`, `postfix/smtpd\[\d+\]: NOQUEUE: reject`,
		`Accepted \S+ for root from (?P<ip>\S+)`, `BREAK-IN ATTEMPT|repeated login failures`,
	} {
		all = append(all, Pattern{Name: fmt.Sprint("p", i), Match: mustCompile(expr)})
	}
	return all
}

// logLines are like those of an auth log that is under attack.
func logLines() (all []line.Line) {
	for i := range 10_000 {
		stamp := now.Add(time.Duration(i) * time.Second).Format(time.RFC3339)
		ip := fmt.Sprintf("203.0.113.%d", i%250)
		for _, s := range [...]string{
			"sshd-session[%d]: Failed password for invalid user admin from " + ip + " port 40124 ssh2",
			"sshd-session[%d]: Connection closed by authenticating user root " + ip + " port 40124 [preauth]",
			"sshd-session[%d]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=" + ip + "  user=root",
			"CRON[%d]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
			"systemd-logind[%d]: New session 812 of user alice.",
		} {
			all = append(all, line.Line{Source: "/var/log/auth.log", Text: stamp + " web1 " + fmt.Sprintf(s, 800+i)})
		}
	}
	return all
}

func BenchmarkTwentyPatterns(b *testing.B) {
	e, lines := engine(b, twenty()...), logLines()
	n := 0
	for b.Loop() {
		for i := range lines {
			e.Take(lines[i], now.Add(time.Duration(i)*time.Second))
		}
		n += len(lines)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
}

// Every line matches, and is counted by an address.
func BenchmarkThreshold(b *testing.B) {
	e, lines := engine(b, Pattern{Name: "p", Match: mustCompile(`Failed password for (?:invalid user )?(?P<user>.*) from (?P<ip>\S+) port`),
		By: "${ip}", Threshold: &Threshold{Type: Both, Count: 5, Seconds: 600}}), logLines()
	n := 0
	for b.Loop() {
		for i := 0; i < len(lines); i += 5 {
			e.Take(lines[i], now.Add(time.Duration(i)*time.Second))
		}
		n += len(lines) / 5
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkDecoders(b *testing.B) {
	for name, s := range map[string]string{"suricata": eve, "snort": snort27, "snort3-csv": snort3, "snort3-json": snort3J} {
		b.Run(name, func(b *testing.B) {
			e := engine(b, Pattern{Name: "p", Decoder: name, By: "${proto}", Threshold: &Threshold{Type: Limit, Count: 1, Seconds: 60}})
			for b.Loop() {
				e.Take(text(s), now)
			}
		})
	}
	b.Run("suricata, no alert", func(b *testing.B) {
		e, s := engine(b, Pattern{Name: "p", Decoder: "suricata"}), strings.ReplaceAll(eve, "alert", "flow")
		for b.Loop() {
			e.Take(text(s), now)
		}
	})
}

// The worst that is taken: the biggest program against the longest line.
func BenchmarkWorst(b *testing.B) {
	e := engine(b, Pattern{Name: "p", Match: mustCompile(`(?:a?b?){490}x`)})
	l := text(strings.Repeat("ab", line.MaxText/2))
	for b.Loop() {
		e.Take(l, now)
	}
}
