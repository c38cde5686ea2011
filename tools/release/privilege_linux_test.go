package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/paths"
)

// aliceSays is what alice would like to see in a file of root's.
const aliceSays = "alice-was-here"

// victims are the files of root's that alice aims at.
const (
	victim   = "root/victim"
	theKey   = "root/key"
	bait     = "203.0.113.66"
	password = "correct-horse-9"
)

// TestPrivilegeHost is what alice, who may run su and sudo, can have the hook
// and its worker do for her: nothing. pam_exec runs the hook of these with her
// real uid and root's effective one.
func TestPrivilegeHost(t *testing.T) {
	g := newGuest(t)
	g.run("dpkg", "--install", g.put())
	g.run("sh", "-c", "printf 'alice:"+password+"\nroot:"+password+"\n' | chpasswd")
	g.run("sh", "-c", "echo 'alice ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/alice && chmod 440 /etc/sudoers.d/alice")
	g.write(victim, "root's own\n", 0o600)
	g.write(theKey, "root-only-key\n", 0o600)
	planted := g.plant()

	// The line by hand, with no service to work the spool.
	g.run("systemctl", "disable", "--now", "sshnotify")
	stack := g.read("etc/pam.d/su")
	g.write("etc/pam.d/su", "session optional pam_exec.so quiet /usr/bin/sshnotify hook --services su\n"+stack, 0o644)
	settings := g.read("etc/sshnotify/config.toml")
	// A server that does not answer keeps the worker for us to look at.
	g.write("etc/sshnotify/config.toml", "[destination.slack]\nwebhook_url = \"http://127.0.0.1:8088/unreachable\"\n", 0o640)
	for range 3 {
		g.asAlice("echo " + password + " | su root -c true")
	}
	planted.untouched("su by hand")
	var worker string
	g.eventually("worker", func() bool {
		out, _ := g.try("pgrep", "-f", "deliver --syslog")
		worker, _, _ = strings.Cut(out, "\n")
		return worker != ""
	})
	if got := g.ids(worker); slices.Contains(got, "1000") || len(slices.Compact(slices.Clone(got))) != 1 {
		t.Errorf("the worker runs with the uids %q", got)
	}
	for _, signal := range []string{"STOP", "TERM", "KILL"} {
		if out, err := g.alice("kill -" + signal + " " + worker); err == nil {
			t.Errorf("alice may send the worker SIG%s: %s", signal, out)
		}
	}
	if env := g.run("sh", "-c", "tr '\\0' '\\n' </proc/"+worker+"/environ"); strings.Contains(env, "HOME") || strings.Contains(env, "XDG") {
		t.Errorf("the worker's environment:\n%s", env)
	}
	if out := g.run("sshnotify", "queue"); strings.Count(out, "login of root") != 3 {
		t.Errorf("three times su, and the host's queue has:\n%s", out)
	}
	planted.untouched("the worker by hand")
	g.run("kill", worker)

	// With the ids apart, as pam_exec has it, every other command refuses.
	for _, command := range []string{"deliver --once", "test", "queue", "doctor", "config check"} {
		out, err := g.try("setpriv", "--ruid", "alice", "sh", "-pc", "exec sshnotify "+command)
		if err == nil || !strings.Contains(out, "as one user for another") {
			t.Errorf("sshnotify %s with ids apart: %v %s", command, err, out)
		}
	}

	// The same with the package's own set-up.
	g.write("etc/pam.d/su", stack, 0o644)
	g.write("etc/sshnotify/config.toml", settings, 0o640)
	g.run("sh", "-c", "sshnotify queue drop $(sshnotify queue --json | grep -o '\"id\":\"[0-9A-Z]*\"' | cut -d'\"' -f4 | sort -u)")
	g.write("root/slack.url", g.reachSlack()+"\n", 0o600)
	t.Logf("%s", g.run("sshnotify", "install", "--system", "--services", "sshd,su,sudo", "--yes", "--webhook-url-file", "/root/slack.url"))
	g.asAlice("echo " + password + " | su root -c true")
	g.asAlice("sudo true")
	g.login()
	g.told(3)
	planted.untouched("su and sudo with the package")
	pid := strings.TrimSpace(g.run("systemctl", "show", "-p", "MainPID", "--value", "sshnotify"))
	ids := g.ids(pid)
	if slices.Contains(ids, "0") || len(slices.Compact(slices.Clone(ids))) != 1 {
		t.Errorf("the service runs with the uids %q", ids)
	}
	if out, err := g.alice("kill -STOP " + pid); err == nil {
		t.Errorf("alice may stop the service: %s", out)
	}
	if failed := g.doctor(); len(failed) > 0 {
		t.Errorf("doctor: %q", failed)
	}
}

// ids returns the real, effective, saved and file system uid of a process.
func (g *guest) ids(pid string) []string {
	g.t.Helper()
	for line := range strings.Lines(g.run("cat", "/proc/"+pid+"/status")) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			return strings.Fields(rest)
		}
	}
	g.t.Fatalf("process %s has no uids", pid)
	return nil
}

// planted is what alice left in her home.
type planted struct {
	g   *guest
	dir string // her spool's new/, in the guest
}

// plant has alice lay out all that a worker would read that looks into her
// home: settings, with root's file for a key and a server of hers, an event to
// look up and send, and a link for the list of what was told.
func (g *guest) plant() *planted {
	g.t.Helper()
	p := &planted{g: g}
	places := paths.User{UID: 1000, Home: "/home/alice", MachineID: g.id}
	spool := places.SpoolDir()
	sum := sha256.Sum256([]byte(spool))
	told := filepath.Join(places.StateDir(), "told-"+hex.EncodeToString(sum[:4])+".jsonl")
	e, err := json.Marshal(map[string]any{
		"v": 1, "id": strings.Repeat("A", 26), "kind": "login", "time": "2026-11-21T02:15:04Z",
		"host": aliceSays, "user": aliceSays, "service": "sshd", "via": "shell", "remote": map[string]any{"ip": bait},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	p.dir = filepath.Join(spool, "new")
	const hers = "http://127.0.0.1:8089"
	g.asAlice(fmt.Sprintf(`set -e
umask 077
mkdir -p %[1]s .config/sshnotify
printf '%%s' '%[2]s' >%[1]s/%[3]s.json
ln -s /%[4]s %[5]s
cat >.config/sshnotify/config.toml <<'END'
[destination.slack]
webhook_url = "%[6]s/slack"
[provider.threatjammer]
url = "%[6]s"
api_key_file = "/%[7]s"
END`, p.dir, e, strings.Repeat("A", 26), victim, told, hers, theKey))
	return p
}

// untouched checks that nothing of it was read, and nothing of root's written.
func (p *planted) untouched(when string) {
	g := p.g
	g.t.Helper()
	if got := g.read(victim); got != "root's own\n" {
		g.t.Errorf("%s: root's file holds:\n%s", when, got)
	}
	if out, err := g.alice("ls " + p.dir + "/*.json"); err != nil {
		g.t.Errorf("%s: alice's event was taken: %s", when, out)
	}
	if out := g.run("sh", "-c", "find /home/alice -uid 0"); out != "" {
		g.t.Errorf("%s: root made in alice's home:\n%s", when, out)
	}
	if out, err := exec.Command("sh", "-c", "ls "+filepath.Join(g.dir, "home/alice/.local/state/sshnotify/*/")).CombinedOutput(); err != nil || strings.Contains(string(out), "destination-") {
		g.t.Errorf("%s: a worker used alice's state folder: %v\n%s", when, err, out)
	}
}
