package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What somebody does in the night after a login that nobody expected, with a real
// sshd, logind, nft and shadow: each action on what it is hardest for, twice, and all
// of it undone to the byte.
func TestRespondHost(t *testing.T) {
	begun := time.Now()
	defer func() { t.Logf("all of it took %v", time.Since(begun)) }()
	g := newGuest(t)
	if _, err := os.Stat(filepath.Join(g.dir, "usr/sbin/nft")); err != nil {
		t.Skip("the guest has no nftables; .ci/run says what is in it")
	}
	deb := g.put()
	t.Logf("the guest and the package took %v", time.Since(begun))
	g.run("dpkg", "--install", deb)
	g.write("root/slack.url", g.reachSlack()+"\n", 0o600)
	g.run("sshnotify", "install", "--system", "--yes", "--webhook-url-file", "/root/slack.url")
	admin := filepath.Join(t.TempDir(), "admin")
	g.onHost("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", admin)
	public, err := os.ReadFile(admin + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	g.write("root/.ssh/authorized_keys", string(public), 0o600)
	g.onHost("chmod", "700", filepath.Join(g.dir, "root/.ssh"))
	before, rules := g.etc(), g.run("nft", "list", "ruleset")

	// A session with all that outlives its end, over a connection that takes more.
	control := filepath.Join(t.TempDir(), "wire")
	master := g.ssh("tmux new-session -d -s night 'sleep 9001'; setsid sleep 9002 >/dev/null 2>&1 & (trap '' TERM; exec sleep 9003) & systemd-run --user --quiet sleep 9004; exec sleep 9005")
	master.Args = slices.Insert(master.Args, 1, "-M", "-S", control)
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	channel := func() error {
		c := g.ssh("true")
		c.Args = slices.Insert(c.Args, 1, "-S", control, "-o", "ControlMaster=no", "-o", "ProxyCommand=false")
		return c.Run()
	}
	g.eventually("processes of the session", func() bool {
		out, _ := g.try("pgrep", "--count", "--full", "^(/usr/bin/)?sleep 900[1-5]$")
		return strings.TrimSpace(out) == "5"
	})
	ref := g.lastLogin("alice")

	// Whoever asks is not hit.
	asRoot := func(command string) string {
		t.Helper()
		c := g.ssh(command)
		c.Args[slices.Index(c.Args, g.key)] = admin
		c.Args[len(c.Args)-2] = "root@" + g.guestEnd
		out, err := c.Output() // respond exits with 1 where it refuses
		if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) {
			t.Fatalf("%s: %v", command, err)
		}
		return string(out)
	}
	own := asRoot(`i=0; until sshnotify history --user root --json | grep -q root; do i=$((i+1)); [ $i -lt 600 ] || exit 2; sleep 0.1; done
		sshnotify respond "$(sshnotify history --user root --json | head -n 1 | sed 's/.*"id":"\([0-9A-Z]*\)".*/\1/')" --do end,lock,key,block --json`)
	g.outcomes("one's own", own, "refused", "refused", "refused", "refused")
	g.outcomes("where one's own connection comes from", asRoot("sshnotify respond "+ref+" --do block --json"), "refused")
	if diff := cmp.Diff(before, g.etc()); diff != "" || g.run("nft", "list", "ruleset") != rules {
		t.Errorf("refused, and something is changed:\n%s", diff)
	}

	// The account: a new login is refused, and a channel of the open connection is not.
	g.respond(ref, "lock", "done")
	g.respond(ref, "lock", "already")
	if g.ssh("true").Run() == nil {
		t.Error("a locked account lets in")
	}
	if err := channel(); err != nil {
		t.Errorf("an open connection takes no more channels (then the documentation is wrong): %v", err)
	}
	// The session, with all of it.
	out := g.respond(ref, "end", "done")
	if running, _ := g.try("pgrep", "--list-full", "--uid", "alice"); running != "" {
		t.Errorf("it is ended, and there are:\n%s\n%s", running, out)
	}
	master.Wait()
	if channel() == nil {
		t.Error("the connection is ended and takes channels")
	}
	g.respond(ref, "end", "already")
	g.run("sshnotify", "respond", "undo", ref)

	// One that is closing: who logged in is gone, and tmux is left.
	if out, err := g.ssh("tmux new-session -d 'sleep 9006'").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	g.eventually("closing session", func() bool {
		out, _ := g.try("loginctl", "list-sessions", "--no-legend")
		f := strings.Fields(out)
		if len(f) == 0 {
			return false
		}
		state, _ := g.try("loginctl", "show-session", f[0], "--property=State", "--value")
		return state == "closing\n"
	})
	ref = g.lastLogin("alice", ref)
	g.respond(ref, "end", "done")
	if running, _ := g.try("pgrep", "--list-full", "--full", "sleep 9006"); running != "" {
		t.Errorf("a closing session is ended, and there is %s", running)
	}

	// A list of revoked keys that is broken would lock everybody out: it never counts.
	g.write("usr/local/broken-keygen", "#!/bin/sh\ncase $* in *-k*) echo SHA256:not-a-list >\"$4\" ;; *) exec /root/keygen \"$@\" ;; esac\n", 0o755)
	g.run("cp", "/usr/bin/ssh-keygen", "/root/keygen")
	g.run("mount", "--bind", "/usr/local/broken-keygen", "/usr/bin/ssh-keygen")
	if out, _ := g.try("sshnotify", "respond", ref, "--do", "key"); !strings.Contains(out, "is not put in place") {
		t.Errorf("a broken list: %s", out)
	}
	g.run("umount", "/usr/bin/ssh-keygen")
	if diff := cmp.Diff(before, g.etc()); diff != "" {
		t.Errorf("a broken list is refused, and something is changed:\n%s", diff)
	}
	g.login()
	ref = g.lastLogin("alice", ref)

	// The key, for it alone.
	if out := g.respond(ref, "key", "done"); !strings.Contains(out, "sshd on loopback took it a moment ago, and refuses it now") {
		t.Errorf("sshd was not asked:\n%s", out)
	}
	g.respond(ref, "key", "already")
	if g.ssh("true").Run() == nil {
		t.Error("a revoked key lets in")
	}
	if out := asRoot("echo in"); out != "in\n" {
		t.Errorf("another key: %q", out)
	}

	// The address; first as a part of what somebody blocked.
	table := []string{"add table inet sshnotify", "add set inet sshnotify block6 { type ipv6_addr; flags interval,timeout; }", "add element inet sshnotify block6 { 2001:db8:1::5 }"}
	for _, line := range table {
		g.run("nft", line)
	}
	six := strings.TrimSpace(g.run("sshnotify", "alert", "--ip", "2001:db8:1::7", "six"))
	g.eventually("alert", func() bool {
		out, _ := g.try("sshnotify", "respond", six, "--do", "block", "--json")
		return strings.Contains(out, `"partly"`) && strings.Contains(out, "the rest of 2001:db8:1::/64")
	})
	g.respond(six, "block", "already")
	g.respond(ref, "block", "done")
	g.respond(ref, "block", "already")
	c := g.ssh("true")
	c.Args = slices.Insert(c.Args, 1, "-o", "ConnectTimeout=2")
	if c.Run() == nil {
		t.Error("a blocked address gets in")
	}

	// What has an end is undone by a timer.
	if out := g.run("sshnotify", "respond", ref, "--do", "lock", "--for", "7d"); !strings.Contains(out, "a timer undoes it") {
		t.Errorf("no timer:\n%s", out)
	}
	timers := strings.Fields(g.run("systemctl", "list-units", "--plain", "--no-legend", "sshnotify-undo-*.timer"))
	if len(timers) == 0 {
		t.Fatal("there is no timer")
	}
	g.run("systemctl", "start", strings.TrimSuffix(timers[0], "timer")+"service")
	g.eventually("undo of the lock, and of nothing else", func() bool {
		got := g.run("sshnotify", "respond", "list")
		return !strings.Contains(got, "lock alice") && strings.Contains(got, "key SHA256:")
	})

	// In the morning.
	g.run("sshnotify", "respond", "undo", ref)
	g.run("sshnotify", "respond", "undo", six)
	g.run("nft", "delete element inet sshnotify block6 { 2001:db8:1::5 }")
	g.run("nft", "delete table inet sshnotify")
	if diff := cmp.Diff(before, g.etc()); diff != "" {
		t.Errorf("undone, and not as it was:\n%s", diff)
	}
	if got := g.run("nft", "list", "ruleset"); got != rules {
		t.Errorf("rules are left:\n%s", got)
	}
	if got := g.run("sshnotify", "respond", "list"); got != "nothing that respond did is in force\n" {
		t.Errorf("%s", got)
	}
	g.eventually("login of the key that was revoked", func() bool { return g.ssh("true").Run() == nil })
	g.run("sh", "-c", "set -e; for dir in /var/lib/sshnotify-respond/"+ref+"/evidence-*; do cd $dir; sha256sum --check --quiet SHA256SUMS; done")
	g.eventually("word of it in Slack", func() bool {
		all := ""
		for _, m := range g.slack.Messages() {
			all += string(m.Raw)
		}
		return strings.Contains(all, "Lock the account alice") && strings.Contains(all, "End the session of alice") && strings.Contains(all, "Undo of the response")
	})
}

// lastLogin waits for a login of a user that is none of those, and returns its id.
func (g *guest) lastLogin(user string, but ...string) (id string) {
	g.t.Helper()
	g.eventually("login of "+user+" that is remembered", func() bool {
		out, err := g.try("sshnotify", "history", "--user", user, "--json")
		line, _, _ := strings.Cut(out, "\n")
		var e struct{ ID string }
		if err != nil || json.Unmarshal([]byte(line), &e) != nil {
			return false
		}
		id = e.ID
		return id != "" && !slices.Contains(but, id)
	})
	return id
}

// respond does one action, and wants this of it.
func (g *guest) respond(ref, do, want string) string {
	g.t.Helper()
	out, _ := g.try("sshnotify", "respond", ref, "--do", do, "--json")
	g.outcomes(do, out, want)
	return out
}

// outcomes compares what became of actions, in their order.
func (g *guest) outcomes(what, answer string, want ...string) {
	g.t.Helper()
	var doc struct {
		Steps []struct {
			Outcome string
			Said    []string
			Left    []string
		}
	}
	if err := json.Unmarshal([]byte(answer), &doc); err != nil {
		g.t.Fatalf("%s: %v\n%s", what, err, answer)
	}
	var got []string
	for _, s := range doc.Steps {
		got = append(got, s.Outcome)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		g.t.Errorf("%s: %s\n%s", what, diff, fmt.Sprint(doc.Steps))
	}
}
