package main

import (
	"encoding/json"
	"strings"
)

// monitored has the service of a host write to a real journal, serve metrics, and
// beat: what its hardening must leave it. An alert is read back from the journal
// with its fields, and with what journald itself says of who wrote it.
func (g *guest) monitored() {
	g.t.Helper()
	const beats = "127.0.0.1:9846"
	g.write("srv/beats/uuid", "OK", 0o644)
	g.run("systemd-run", "--unit=beats", "--property=WorkingDirectory=/srv/beats", "python3", "-m", "http.server", "--bind", "127.0.0.1", "9846")
	g.write("etc/sshnotify/heartbeat.url", "http://"+beats+"/uuid\n", 0o640)
	g.run("chgrp", "sshnotify", "/etc/sshnotify/heartbeat.url")
	g.write("etc/sshnotify/conf.d/monitored.toml", `[destination.journal]
kinds = ["alert"]
[metrics]
listen = "127.0.0.1:9847"
[heartbeat]
url_file = "/etc/sshnotify/heartbeat.url"
protocol = "get"
`, 0o644)
	g.run("systemctl", "reload", "sshnotify")

	// A text of several lines, one of which looks like a field.
	g.run("sshnotify", "alert", "--severity", "high", "backup failed\n_UID=0\nPRIORITY=0")
	fields := map[string]any{}
	g.eventually("alert in the journal", func() bool {
		out, _ := g.try("journalctl", "--output=json", "--no-pager", "--quiet", "SYSLOG_IDENTIFIER=sshnotify", "SSHNOTIFY_KIND=alert", "SSHNOTIFY_SEVERITY=high")
		last := out[strings.LastIndexByte(strings.TrimSpace(out), '\n')+1:]
		return strings.Contains(last, "backup failed") && json.Unmarshal([]byte(last), &fields) == nil
	})
	for name, want := range map[string]string{
		"PRIORITY": "4", "SYSLOG_FACILITY": "10", "MESSAGE_ID": "6506288374bd48328c7a8a0e835db277",
		"_SYSTEMD_UNIT": "sshnotify.service", "_TRANSPORT": "journal", "_EXE": "/usr/bin/sshnotify",
		"_UID": strings.TrimSpace(g.run("id", "-u", "sshnotify")), "SSHNOTIFY_HOST": strings.TrimSpace(g.run("hostname")),
	} {
		if fields[name] != want {
			g.t.Errorf("%s is %v, not %q", name, fields[name], want)
		}
	}
	if text, _ := fields["MESSAGE"].(string); !strings.Contains(text, "backup failed") || strings.Contains(text, "\n") {
		g.t.Errorf("MESSAGE is %q", fields["MESSAGE"])
	}
	if ref, _ := fields["SSHNOTIFY_REF"].(string); ref == "" || !strings.Contains(g.run("sshnotify", "show", ref), "backup failed") {
		g.t.Errorf("SSHNOTIFY_REF is %v", fields["SSHNOTIFY_REF"])
	}

	// Whoever monitors is an ordinary user.
	get := `import sys, urllib.request; print(urllib.request.urlopen("http://127.0.0.1:9847" + sys.argv[1]).read().decode())`
	if out, err := g.try("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "python3", "-c", get, "/metrics"); err != nil || !strings.Contains(out, `sshnotify_destination_up{destination="journal"} 1`) {
		g.t.Errorf("%v\n%s", err, out)
	}
	if out, err := g.try("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "python3", "-c", get, "/healthz"); err != nil || !strings.HasPrefix(out, "ok") {
		g.t.Errorf("%v\n%s", err, out)
	}
	g.eventually("heartbeat that arrived", func() bool {
		out, _ := g.try("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "cat", "/var/lib/sshnotify/sshnotify.prom")
		return strings.Contains(out, "\nsshnotify_heartbeat_up 1\n")
	})
	if out, err := g.try("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", "-i", "/usr/bin/sshnotify", "check"); err != nil || !strings.HasPrefix(out, "SSHNOTIFY OK: ") {
		g.t.Errorf("%v\n%s", err, out)
	}
	out, _ := g.try("sshnotify", "doctor", "--system")
	for _, want := range []string{"✓ metrics: ", "✓ heartbeat: the last one arrived ", "✓ journal journal: "} {
		if !strings.Contains(out, want) {
			g.t.Errorf("doctor does not say %q:\n%s", want, out)
		}
	}
}
