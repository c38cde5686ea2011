package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Where there is a watcher, a su and a sudo by an ordinary user are told like
// any login: the inbox is the watcher's alone. What the watcher's user puts
// into it that is no event of a watcher's is said, and can be dropped.
func TestInboxHost(t *testing.T) {
	g := newGuest(t)
	g.run("dpkg", "--install", g.put())
	if err := os.WriteFile(filepath.Join(g.dir, "root/slack.url"), []byte(g.reachSlack()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, "etc/sudoers.d/alice"), []byte("alice ALL=(ALL) NOPASSWD: ALL\n"), 0o440); err != nil {
		t.Fatal(err)
	}
	g.run("sh", "-c", "echo root:secret | chpasswd")
	// Each login is told at once: what waits in the queue is then a fault.
	g.write("etc/sshnotify/conf.d/window.toml", "notify = \"all\"\n[group]\nwindow = \"0s\"\n", 0o644)
	t.Logf("%s", g.run("sshnotify", "install", "--system", "--watch", "--services", "sshd,su,sudo", "--yes", "--webhook-url-file", "/root/slack.url"))
	g.eventually("watcher", func() bool {
		out, _ := g.try("systemctl", "is-active", "sshnotify-watch")
		return out == "active\n"
	})

	heard := func(what string) {
		t.Helper()
		g.eventually("message of "+what, func() bool {
			for _, m := range g.slack.Messages() {
				if strings.Contains(string(m.Raw), what) {
					return true
				}
			}
			return false
		})
	}
	if out, err := g.ssh("sudo --non-interactive whoami").CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "root\n") {
		t.Fatalf("sudo: %v %s", err, out)
	}
	heard("New sudo to")
	// A password from a pipe: su asks PAM, and PAM reads standard input.
	if out, err := g.ssh("echo secret | su --command whoami").CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "root\n") {
		t.Fatalf("su: %v %s", err, out)
	}
	heard("New su to")
	if out := g.run("sshnotify", "queue"); strings.Contains(out, "refused") {
		t.Errorf("events were refused:\n%s", out)
	}

	// The watcher's user was taken over. It owns its inbox, and may pass through
	// what is above.
	g.run("chown", "sshnotify-watch", "/var/spool/sshnotify/watch/new")
	g.run("chmod", "0751", "/var/spool/sshnotify", "/var/spool/sshnotify/watch")
	junk := `printf junk >/var/spool/sshnotify/watch/new/"$(printf 'a\nb\033[31m\342\200\256')"`
	g.run("setpriv", "--reuid=sshnotify-watch", "--regid=sshnotify-watch", "--init-groups", "sh", "-c", junk)
	heard("is not an event of ours")
	var listed struct{ Ref, File, Problem string }
	out := g.run("sshnotify", "queue", "--json")
	for line := range strings.Lines(out) {
		if err := json.Unmarshal([]byte(line), &listed); err != nil || listed.File != "" {
			break
		}
	}
	if listed.File == "" || strings.ContainsAny(out, "\x1b\u202e") {
		t.Fatalf("queue --json: %q", out)
	}
	if out := g.run("sshnotify", "queue"); !regexp.MustCompile(`(?m)^`+listed.Ref+` .* refused$`).MatchString(out) || strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("queue: %q", out)
	}
	if out, err := g.try("sshnotify", "queue", "retry", listed.Ref); err == nil || !strings.Contains(out, "queue drop "+listed.Ref) {
		t.Errorf("retry: %v %s", err, out)
	}
	g.run("sshnotify", "queue", "drop", listed.Ref)
	g.eventually("empty queue", func() bool { return g.run("sshnotify", "queue") == "nothing waits\n" })

	// It closes its inbox, and logins are told all the same.
	g.run("setpriv", "--reuid=sshnotify-watch", "--regid=sshnotify-watch", "--init-groups", "chmod", "0", "/var/spool/sshnotify/watch/new")
	if out, err := g.ssh("sudo --non-interactive --user=alice whoami").CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "alice\n") {
		t.Fatalf("sudo: %v %s", err, out)
	}
	heard("read its watcher")
	g.eventually("empty queue", func() bool { out, _ := g.try("sshnotify", "queue"); return !strings.Contains(out, "login of") })
}
