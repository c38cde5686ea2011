package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// nightSettings are those of a hub that asks in Slack, and lets carol act.
const nightSettings = `host = "hub"
spool_dir = "/root/hub/spool"
state_dir = "/root/hub/state"
[group]
window = "0s"
[hub]
listen = "127.0.0.1:8443"
[[rule]]
user = "alice"
severity = "high"
reason = "alice is asleep"
[person.alice]
slack = "U0ALICE01"
[destination.slack]
token_file = "/root/hub/token"
app_token_file = "/root/hub/app"
channel = "#alerts"
api_url = %q
confirm = "code"
respond_from = ["U0CAROL01"]
`

// below returns what stands below a message.
func below(m standin.Posted) string {
	var all strings.Builder
	for _, a := range m.Payload.Attachments {
		all.WriteString(string(a.Blocks))
	}
	return all.String()
}

// The whole night: a stolen key logs in, its owner says by a button that it was not
// her, who is on call has session, account, key and address dealt with by buttons, all
// of it is told in one thread, and undone in the morning, when she logs in and confirms
// in her session that it is she. Hub, host, sshd, systemd, nft: all of it is real, but
// Slack.
func TestNightHost(t *testing.T) {
	g := newGuest(t)
	if _, err := os.Stat(filepath.Join(g.dir, "usr/sbin/nft")); err != nil {
		t.Skip("the guest has no nftables; .ci/run says what is in it")
	}
	slack, err := standin.StartSlackApp(standin.SlackAppOptions{Members: map[string]string{"alice@example.com": "U0ALICE01", "carol@example.com": "U0CAROL01"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slack.Close)
	address := strings.TrimSuffix(strings.TrimPrefix(slack.URL(), "http://"), "/api")
	g.reach(address, address) // Slack says where its socket is
	g.run("dpkg", "--install", g.put())
	g.write("root/hub/config.toml", fmt.Sprintf(nightSettings, slack.URL()), 0o600)
	g.write("root/hub/token", standin.SlackBotToken+"\n", 0o600)
	g.write("root/hub/app", standin.SlackAppToken+"\n", 0o600)
	g.run("mkdir", "-m", "700", "/root/hub/spool", "/root/hub/state")
	g.run("systemd-run", "--quiet", "--unit=hub", "sshnotify", "hub", "--config", "/root/hub/config.toml")
	atHub := func(words ...string) []string {
		return append([]string{"sshnotify", "--config", "/root/hub/config.toml"}, words...)
	}
	g.eventually("hub", func() bool {
		out, _ := g.try(atHub("fleet", "token", "--name", "db1")...)
		for _, word := range strings.Fields(out) {
			if strings.HasPrefix(word, "sshn1.") {
				g.write("root/token", word+"\n", 0o600)
				return true
			}
		}
		return false
	})
	g.run("sshnotify", "install", "--system", "--yes", "--hub", "https://127.0.0.1:8443", "--token-file", "/root/token")
	g.run("sshnotify", "install", "--system", "--yes", "--respond")
	g.eventually("host to be known to take orders", func() bool {
		out, _ := g.try(atHub("doctor", "--json")...)
		return strings.Contains(out, "hosts that take them: 1")
	})
	before, rules := g.etc(), g.run("nft", "list", "ruleset")

	messages := func(where string) (all []standin.Posted) {
		for _, m := range slack.Messages() {
			if m.Channel == where && m.User == "" {
				all = append(all, m)
			}
		}
		return all
	}
	message := func(what, where string, nth int, texts ...string) (m standin.Posted) {
		t.Helper()
		g.eventually(what, func() bool {
			all := messages(where)
			if len(all) < nth {
				return false
			}
			m = all[nth-1]
			said := below(m) + string(m.Raw)
			return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(said, text) })
		})
		return m
	}
	press := func(m standin.Posted, button, user string) {
		t.Helper()
		envelope, err := slack.Press(m, button, user, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := slack.Deliver(t.Context(), envelope); err != nil {
			t.Fatal(err)
		}
	}
	const alice = "D0ALICE01"

	// Three in the morning.
	thief := g.ssh("setsid sleep 9001 >/dev/null 2>&1 & (trap '' TERM; exec sleep 9002) & exec sleep 9003")
	if err := thief.Start(); err != nil {
		t.Fatal(err)
	}
	running := func() string {
		out, _ := g.try("pgrep", "--list-full", "--full", "^(/usr/bin/)?sleep 900[1-3]$")
		return out
	}
	message("message about the login", standin.SlackChannel, 1, "alice is asleep", "asked alice")
	asked := message("question to alice", alice, 1, "Did you just log in to db1")
	g.eventually("processes of the thief", func() bool { return strings.Count(running(), "\n") == 3 })

	press(asked, "not_mine", "U0ALICE01")
	critical := message("word that it was not alice", standin.SlackChannel, 2, "CRITICAL", "it wasn't me")
	told := message("answer below the message", standin.SlackChannel, 1, "alice: it wasn't me", `"respond"`)
	message("answer to alice", alice, 1, "What to do now, on db1: sudo sshnotify respond ")

	// Who is on call looks at her phone.
	view := func(what string) (v standin.View) {
		t.Helper()
		g.eventually(what, func() bool {
			all := slack.Views()
			if len(all) == 0 {
				return false
			}
			v = all[len(all)-1]
			return strings.Contains(string(v.Raw), what)
		})
		return v
	}
	send := func(v standin.View, chosen ...string) {
		t.Helper()
		if err := slack.Deliver(t.Context(), slack.Submit(v, "U0CAROL01", chosen, nil)); err != nil {
			t.Fatal(err)
		}
	}
	press(told, "respond", "U0CAROL01")
	send(view("Do it"), "evidence", "lock", "key", "block", "end")
	sure := view("End the session?")
	if running() == "" {
		t.Error("the session is ended before the second press")
	}
	send(sure)
	view("The order goes out: evidence, lock, key, block, end.")
	ended := regexp.MustCompile(`Order about [0-9A-Z]{4}, done: `)
	g.eventually("end of the order", func() bool {
		return slices.ContainsFunc(messages(standin.SlackChannel), func(m standin.Posted) bool { return ended.Match(m.Raw) })
	})
	if left := running(); left != "" {
		t.Errorf("it is ended, and there are:\n%s", left)
	}
	thief.Process.Kill() // whose connection is gone
	thief.Wait()
	out := g.run("sshnotify", "respond", "list")
	for _, want := range []string{"lock alice", "key SHA256:", "block 198.51.100."} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in force:\n%s", want, out)
		}
	}
	if shadow := strings.Split(strings.TrimSpace(g.run("getent", "shadow", "alice")), ":"); len(shadow) < 8 || shadow[7] != "1" {
		t.Errorf("the account is %q", shadow)
	}
	g.run("nft", "get", "element", "inet", "sshnotify", "block4", "{ "+g.hostEnd+" }")
	if out := g.run("sh", "-c", "set -e; cd /root/hub/state/evidence/db1/*; ls; sha256sum --check --quiet *.sha256"); !strings.Contains(out, ".sha256") {
		t.Errorf("evidence at the hub:\n%s", out)
	}
	all := messages(standin.SlackChannel)
	for _, m := range all[1:] {
		if m.Thread != told.TS {
			t.Errorf("not in the thread of the login: %s", m.Raw)
		}
	}
	texts := fmt.Sprintf("%s", func() (s []string) {
		for _, m := range all {
			s = append(s, string(m.Raw))
		}
		return s
	}())
	for _, want := range []string{"Order to db1 about", "Lock the account alice", "member U0CAROL01 of Slack"} {
		if !strings.Contains(texts, want) {
			t.Errorf("nobody is told %q: %s", want, texts)
		}
	}
	if critical.Thread != told.TS {
		t.Errorf("not in the thread: %s", critical.Raw)
	}

	// In the morning.
	line, _, _ := strings.Cut(g.run(atHub("history", "--user", "alice", "--json")...), "\n")
	var login struct{ ID string }
	if err := json.Unmarshal([]byte(line), &login); err != nil || len(login.ID) < 8 {
		t.Fatalf("%v: %s", err, line)
	}
	ref := login.ID[:8]
	g.run("sshnotify", "respond", "undo", ref)
	if diff := cmp.Diff(before, g.etc()); diff != "" {
		t.Errorf("undone, and not as it was:\n%s", diff)
	}
	if got := g.run("nft", "list", "ruleset"); got != rules {
		t.Errorf("rules are left:\n%s", got)
	}

	// Alice herself, in a session that she types a code in.
	session := g.ssh("read -r code && sshnotify confirm $code; echo status $?; read -r wrong")
	in, err := session.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	asked = message("question to alice in the morning", alice, 2, "Did you just log in to db1")
	number := len(messages(standin.SlackChannel))
	g.eventually("message about her login", func() bool {
		all := messages(standin.SlackChannel)
		number = slices.IndexFunc(all, func(m standin.Posted) bool {
			return m.TS != told.TS && m.Thread == "" && strings.Contains(below(m), "asked alice")
		}) + 1
		return number > 0
	})
	press(asked, "mine", "U0ALICE01")
	code := ""
	another := func() {
		t.Helper()
		g.eventually("code for alice", func() bool {
			m := regexp.MustCompile(`sshnotify confirm ([0-9]{6})`).FindStringSubmatch(below(message("question", alice, 2)))
			if m == nil || m[1] == code {
				return false
			}
			code = m[1]
			return true
		})
	}
	another()
	if strings.Contains(string(messages(standin.SlackChannel)[number-1].Raw), code) {
		t.Error("everybody sees the code")
	}
	other := g.ssh("for i in 1 2 3 4; do sshnotify confirm " + code + " && exit; sleep 5; done; exit 1")
	if out, err := other.CombinedOutput(); err != nil || !strings.Contains(string(out), "handed over") {
		t.Errorf("the code in another session of hers: %v\n%s", err, out)
	}
	message("word that it counts no more", standin.SlackChannel, number, "the code was typed in another session")
	asked = message("button for another code", alice, 2, "the code was typed in another session", `"mine"`)
	press(asked, "mine", "U0ALICE01")
	another()
	if out, err := g.try("sshnotify", "confirm", code); err == nil {
		t.Errorf("a code of root's counts outside of any session: %s", out)
	}
	if _, err := io.WriteString(in, code+"\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 256)
	n, err := io.ReadAtLeast(said, answer, len("handed over to the hub; Slack shows what came of it\nstatus 0\n"))
	if err != nil || !strings.Contains(string(answer[:n]), "status 0") {
		t.Errorf("the code in her session: %s, %v", answer[:n], err)
	}
	message("word that it was confirmed", standin.SlackChannel, number, "alice: it was me, confirmed in the session of the login")
	in.Close()
	session.Wait()
	if refused := slack.Refused(); len(refused) > 0 {
		t.Errorf("Slack refused %q", refused)
	}
}
