package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A hub has a host end a session, lock its account, refuse its key and block its
// address, by the service that systemd runs; and whoever has broken the worker has it
// do nothing.
func TestOrdersHost(t *testing.T) {
	g := newGuest(t)
	if _, err := os.Stat(filepath.Join(g.dir, "usr/sbin/nft")); err != nil {
		t.Skip("the guest has no nftables; .ci/run says what is in it")
	}
	g.run("dpkg", "--install", g.put())
	// The hub is on the same machine, with folders of its own.
	g.write("root/hub/config.toml", "host = \"hub\"\nnotify = \"all\"\nspool_dir = \"/root/hub/spool\"\nstate_dir = \"/root/hub/state\"\n[hub]\nlisten = \"127.0.0.1:8443\"\n[destination.told]\ntype = \"file\"\npath = \"/root/hub/told.jsonl\"\n", 0o600)
	g.run("mkdir", "-m", "700", "/root/hub/spool", "/root/hub/state")
	g.run("systemd-run", "--quiet", "--unit=hub", "sshnotify", "hub", "--config", "/root/hub/config.toml")
	atHub := func(words ...string) []string {
		return append([]string{"sshnotify", "--config", "/root/hub/config.toml"}, words...)
	}
	g.eventually("hub", func() bool {
		out, err := g.try("sh", "-c", "sshnotify --config /root/hub/config.toml fleet token --name web1 2>/dev/null")
		if err == nil {
			g.write("root/token", out, 0o600)
		}
		return err == nil
	})
	g.run("sshnotify", "install", "--system", "--yes", "--hub", "https://127.0.0.1:8443", "--token-file", "/root/token")
	out := g.run("sshnotify", "install", "--system", "--yes", "--respond")
	if ca, _ := g.try("sh", "-c", "sshnotify --config /root/hub/config.toml fleet ca 2>&1 >/dev/null"); len(strings.Fields(ca)) < 2 || !strings.Contains(out, strings.TrimSuffix(strings.Fields(ca)[1], ",")) {
		t.Errorf("the CA at the hub is %q, and install says\n%s", ca, out)
	}
	if again := g.run("sshnotify", "install", "--system", "--yes", "--respond"); !strings.Contains(again, "nothing to do") {
		t.Errorf("once more:\n%s", again)
	}
	installed := g.etc()
	g.eventually("doctor to find nothing wrong", func() bool { return len(g.doctor()) == 0 })
	rules := g.run("nft", "list", "ruleset")

	control := filepath.Join(t.TempDir(), "wire")
	master := g.ssh("tmux new-session -d -s night 'sleep 9001'; setsid sleep 9002 >/dev/null 2>&1 & (trap '' TERM; exec sleep 9003) & exec sleep 9004")
	master.Args = slices.Insert(master.Args, 1, "-M", "-S", control)
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	running := func() string {
		out, _ := g.try("pgrep", "--list-full", "--full", "^(/usr/bin/)?sleep 900[1-4]$")
		return out
	}
	g.eventually("processes of the session", func() bool { return strings.Count(running(), "\n") == 4 })
	ref := ""
	g.eventually("login at the hub", func() bool {
		out, err := g.try("sh", "-c", "sshnotify --config /root/hub/config.toml history --user alice --json 2>/dev/null")
		line, _, _ := strings.Cut(out, "\n")
		var e struct{ ID string }
		if err == nil && json.Unmarshal([]byte(line), &e) == nil {
			ref = e.ID
		}
		return ref != ""
	})
	type shown struct {
		State, Said string
		Steps       []struct{ Action, Became, Said string }
	}
	order := func(do string, more ...string) (x shown) {
		t.Helper()
		out, _ := g.try("sh", "-c", "sshnotify --config /root/hub/config.toml respond --json "+ref+" --do "+do+" "+strings.Join(more, " ")+" 2>/root/said")
		if err := json.Unmarshal([]byte(out), &x); err != nil {
			t.Fatalf("--do %s: %v\n%s\n%s\n%s", do, err, out, g.run("cat", "/root/said"), g.run("journalctl", "-u", "sshnotify-respond", "-u", "sshnotify", "-o", "cat"))
		}
		return x
	}
	g.eventually("host to be known to take orders", func() bool {
		out, _ := g.try(atHub("doctor", "--json")...)
		return strings.Contains(out, "hosts that take them: 1")
	})

	if x := order("lock,end", "--dry-run"); x.State != "looked" || !strings.Contains(x.Said, "processes of the session") || g.ssh("true").Run() != nil {
		t.Errorf("a dry run: %+v", x)
	}
	if x := order("evidence"); x.State != "done" || !strings.Contains(x.Said, "the hub has the evidence") {
		t.Errorf("evidence: %+v", x)
	}
	x := order("end,lock,key,block", "--for", "1h")
	var got []string
	for _, s := range x.Steps {
		got = append(got, s.Action+" "+s.Became)
	}
	if want := []string{"lock done", "key done", "block done", "end done"}; x.State != "done" || !slices.Equal(got, want) || !strings.Contains(x.Said, "the hub has the evidence") {
		t.Errorf("it became %+v, want %q", x, want)
	}
	if left := running(); left != "" {
		t.Errorf("it is ended, and there are:\n%s", left)
	}
	if left := running(); left == "" { // or it waits for as long as they do
		master.Wait()
	}
	if out := g.run("sshnotify", "respond", "list"); !strings.Contains(out, "lock alice") || !strings.Contains(out, "key SHA256:") || !strings.Contains(out, "block ") {
		t.Errorf("in force:\n%s", out)
	}
	if out := g.run("sh", "-c", "set -e; cd /root/hub/state/evidence/web1/*; ls; sha256sum --check --quiet *.sha256"); strings.Count(out, ".sha256") < 2 {
		t.Errorf("evidence at the hub:\n%s", out)
	}
	if out := g.run(atHub("show", ref)...); !strings.Contains(out, "/root/hub/state/evidence/web1/") || !strings.Contains(out, "end, lock, key, block") && !strings.Contains(out, "lock, key, block, end") {
		t.Errorf("show:\n%s", out)
	}
	// Twice is the same as once.
	if x := order("lock,key,block,end"); x.State != "done" || len(x.Steps) != 0 {
		t.Errorf("twice: %+v", x)
	}
	g.run("sshnotify", "respond", "undo", ref[:8])
	if diff := cmp.Diff(installed, g.etc()); diff != "" {
		t.Errorf("undone, and not as it was:\n%s", diff)
	}
	if got := g.run("nft", "list", "ruleset"); got != rules {
		t.Errorf("rules are left:\n%s", got)
	}
	g.eventually("login of the key that was revoked", func() bool { return g.ssh("true").Run() == nil })

	// Whoever is the worker's user, and knows an order, has it done once at most.
	g.run("systemctl", "stop", "sshnotify-respond.path")
	g.run(append([]string{"systemd-run", "--quiet", "--unit=ordering"}, atHub("respond", ref, "--do", "lock", "--json")...)...)
	g.eventually("order that nobody takes", func() bool {
		_, err := g.try("sh", "-c", "cp /var/spool/sshnotify/orders/new/*.json /root/")
		return err == nil
	})
	name := filepath.Base(strings.TrimSpace(g.run("sh", "-c", "ls /root/*.json")))
	worker := func(line string) {
		t.Helper()
		g.run("runuser", "-u", "sshnotify", "--", "sh", "-c", "cd /var/spool/sshnotify/orders/new && "+line)
	}
	g.run("systemctl", "start", "sshnotify-respond.path")
	locked := func() bool {
		out, _ := g.try("getent", "shadow", "alice")
		f := strings.Split(strings.TrimSpace(out), ":")
		return len(f) > 7 && f[7] == "1"
	}
	g.eventually("order to be carried out", locked)
	g.run("sshnotify", "respond", "undo", ref[:8])
	empty := func() {
		t.Helper()
		g.eventually("folder of orders to be empty", func() bool { return g.run("ls", "-A", "/var/spool/sshnotify/orders/new") == "" })
		g.eventually("service to end", func() bool {
			out, _ := g.try("systemctl", "is-active", "sshnotify-respond.service")
			return out == "inactive\n" || out == "failed\n"
		})
	}
	g.run("install", "-o", "sshnotify", "-m", "600", "/root/"+name, "/var/spool/sshnotify/orders/tmp/again")
	worker("mv ../tmp/again again.json")
	empty()
	worker("ln -s /etc/shadow link.json; mkfifo fifo.json; mkdir -p dir.json/in/it; head -c 40000000 /dev/zero >huge.json; echo hello >text.json; ln -s /etc dirlink; touch -- '-rf'")
	empty()
	g.run("install", "-o", "sshnotify", "-m", "600", "/root/"+name, "/var/spool/sshnotify/orders/tmp/forged")
	worker(`sed -i 's/"signature":"..../"signature":"AAAA/' ../tmp/forged; mv ../tmp/forged forged.json`)
	empty()
	if locked() {
		t.Error("an order is carried out twice, or one that nobody gave")
	}
	if _, err := g.try("sh", "-c", "test -s /etc/shadow && test -d /etc"); err != nil {
		t.Error("a link was followed")
	}
	if out, err := g.try("runuser", "-u", "sshnotify", "--", "sh", "-c", "echo x >>/etc/sshnotify/hub-ca.crt || rm /etc/sshnotify/hub-ca.crt || mv /var/spool/sshnotify/orders /tmp/"); err == nil {
		t.Errorf("the worker may change whom root trusts: %s", out)
	}
	told := func(texts ...string) func() bool {
		return func() bool {
			out, _ := g.try("cat", "/root/hub/told.jsonl")
			for _, text := range texts {
				if !strings.Contains(out, text) {
					return false
				}
			}
			return true
		}
	}
	g.eventually("word of it at the hub", told("somebody tries to give this host orders", "has been put there again", "Order to web1 about", "Lock the account alice"))

	// What root's settings do not allow is refused, whatever the hub believes.
	g.run("sed", "-i", "s/^allow = .*/allow = [\"evidence\"]/", "/etc/sshnotify/conf.d/respond.toml")
	if x := order("lock"); x.State != "refused" || !strings.Contains(x.Said, "does not allow lock") || locked() {
		t.Errorf("what is not allowed: %+v", x)
	}
	g.run("sed", "-i", "s/^allow = .*/allow = [\"evidence\", \"end\", \"lock\", \"key\", \"block\"]/", "/etc/sshnotify/conf.d/respond.toml")

	g.run("sshnotify", "uninstall", "--system", "--yes")
	if out, err := g.try("systemctl", "is-enabled", "sshnotify-respond.path"); err == nil {
		t.Errorf("uninstalled, and it waits for orders: %s", out)
	}
}
