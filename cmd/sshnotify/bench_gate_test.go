package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/gate"
)

// BenchmarkGate compares, in one run and by turns, what a login waits for that is not
// asked for a second step: medians in milliseconds. known is to take at most twice the
// hook's time. stage is all of a keyboard-interactive of sshd's that asks nothing, from
// the connection to the end of the authentication, permit the same with pam_permit
// alone, and exec with a pam_exec of /bin/true before it.
//
//	SSHNOTIFY_E2E=1 go test -run '^$' -bench Gate -benchtime 50x ./cmd/sshnotify
func BenchmarkGate(b *testing.B) {
	g := newGated(b, "", "[history]\nenabled = true\n")
	g.open()
	worker := g.site.start(call{args: []string{"deliver", "--follow", "--config", g.site.settings}})
	b.Cleanup(func() { worker.signal(9); worker.result() })
	until(b, "the worker's socket", func() bool { _, err := os.Stat(filepath.Join(g.site.state, gate.SocketName)); return err == nil })
	code := func(string, int) string { return g.codes()[len(g.codes())-1] }
	g.log(code).got(b)
	g.site.wait(1)
	until(b, "a login that is not asked", func() bool {
		before := len(g.codes())
		g.log(code).got(b)
		return len(g.codes()) == before
	})
	other := func(auth string) *gated {
		l := &gated{lab: newLab(b), site: g.site}
		path := "/etc/pam.d/" + l.service
		b.Cleanup(func() { os.Remove(path) })
		if err := os.WriteFile(path, []byte(auth+"auth required pam_permit.so\naccount required pam_permit.so\n"+l.hook(g.site)+"\nsession required pam_permit.so\n"), 0o644); err != nil {
			b.Fatal(err)
		}
		l.open()
		return l
	}
	permit, exec := other(""), other("auth required pam_exec.so quiet /bin/true\n")

	key := strings.Fields(g.read("id.pub"))
	env := []string{
		"PAM_TYPE=auth", "PAM_USER=" + g.user, "PAM_SERVICE=sshd", "PAM_RHOST=" + g.client,
		"SSH_CONNECTION=" + g.client + " 1 " + g.server + " 22", "SSH_AUTH_INFO_0=publickey " + key[0] + " " + key[1],
	}
	flags := []string{"--settings", g.settings, "--config", g.site.settings}
	login := func(l *gated) time.Duration {
		start := time.Now()
		a := l.log(func(string, int) string { return "" })
		took := time.Since(start)
		a.got(b)
		return took
	}
	logins := 0
	ways := []struct {
		name string
		run  func() time.Duration
	}{
		{"true", func() time.Duration { return timed(b, env, "/bin/true") }},
		{"hook", func() time.Duration {
			logins++ // of one parent, hooks differ by their connection alone
			env := append(pamEnv("open_session", g.user, netip.MustParseAddr(g.client)), fmt.Sprintf("SSH_CONNECTION=%s %d %s 22", g.client, logins, g.server))
			return timed(b, env, smallHook, "--no-worker", "--spool", g.site.spool)
		}},
		{"known", func() time.Duration { return timed(b, env, smallGate, append([]string{"known"}, flags...)...) }},
		{"large-known", func() time.Duration { return timed(b, env, binary, append([]string{"gate", "known"}, flags...)...) }},
		{"permit", func() time.Duration { return login(permit) }},
		{"exec", func() time.Duration { return login(exec) }},
		{"stage", func() time.Duration { return login(g) }},
	}
	took := make(map[string][]time.Duration)
	for b.Loop() {
		for _, w := range ways {
			took[w.name] = append(took[w.name], w.run())
		}
	}
	for _, w := range ways {
		b.ReportMetric(median(took[w.name]), w.name+"-ms")
	}
	b.ReportMetric(median(took["known"])/median(took["hook"]), "known/hook")
	b.ReportMetric(median(took["stage"])-median(took["permit"]), "stage-permit-ms")
	b.ReportMetric(0, "ns/op")
}
