package main

import (
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/standin"
)

// tellsEnd checks that a message tells the end of the login that another message
// told, without a severity word.
func (l *lab) tellsEnd(t *testing.T, login, end standin.Message, suffix string) {
	t.Helper()
	_, ref, _ := strings.Cut(login.Payload.Attachments[0].Footer, "ref ")
	want := fmt.Sprintf(`^Ended: %s → db1 after \d+ s \(%s\)%s$`, l.user, ref, suffix)
	if !regexp.MustCompile(want).MatchString(end.Payload.Text) {
		t.Errorf("headline %q, want %s", end.Payload.Text, want)
	}
	a := tellsOf(end)
	if want := "End of the " + l.service + " session of >" + l.user + "< on >db1.example.com<"; a.Title != want {
		t.Errorf("title %q, want %q", a.Title, want)
	}
	if !strings.Contains(a.Body, "login ref "+ref) || !strings.Contains(a.Body, "*Connected from IP:* ") {
		t.Errorf("text %q, want the address and login ref %s", a.Body, ref)
	}
}

// Who wants to hear of every end does, from the worker that the closing hook
// starts.
func TestSshdLogout(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := newSite(t, strict, "[login]\nnotify_logout = \"all\"\n")
	l.pam(l.hook(s))
	l.serve()
	leave := l.stay("-N", "lab")
	s.wait(1)
	leave()
	m := s.wait(2)
	l.tellsEnd(t, m[0], m[1], "")
	l.settle(s)
	if n := len(s.slack.Messages()); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

// elsewhere puts a lab into a network of its own, where it may have addresses
// for documentation. The service that delivers stays outside.
func (l *lab) elsewhere(client, server string, more ...string) {
	l.t.Helper()
	for _, tool := range []string{"unshare", "nsenter", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			lacking(l.t, tool)
		}
	}
	if out, err := exec.Command("unshare", "--net", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		l.t.Skipf("no right to make a network: %v %s", err, out)
	}
	l.client, l.server = client, server
	script := "ip link set lo up"
	for _, ip := range append(more, client, server) {
		script += " && ip addr add " + ip + "/32 dev lo"
	}
	l.within = []string{"unshare", "--net", "sh", "-c", script + ` && exec "$@"`, "sh"}
	l.ownNet = true
}

// A login that was worse than usual gets its end told, another one does not.
func TestSshdLogoutOfAnAlertedLogin(t *testing.T) {
	t.Parallel()
	const calm, bad = "198.51.100.20", "203.0.113.7"
	l := newLab(t)
	l.elsewhere(bad, "192.0.2.5", calm)
	jammer, err := standin.StartThreatJammer(standin.ThreatJammerOptions{PerMinute: standin.ThreatJammerPerMinute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(jammer.Close)
	s := newSite(t, strict, fmt.Sprintf("[login]\nnotify_logout = \"alerted\"\n[provider.threatjammer]\nurl = %q\napi_key = %q\n", jammer.URL(), jammer.Key()))
	l.pam(l.hook(s, "--no-worker"))
	l.serve()
	s.follow()
	if r := l.run("ssh", "-b", calm, "lab", "true"); r != (result{}) {
		t.Errorf("%+v", r)
	}
	s.wait(1)
	if r := l.run("ssh", "lab", "true"); r != (result{}) {
		t.Errorf("%+v", r)
	}
	m := s.wait(3)
	l.settle(s)
	title := "New " + l.service + " login of >" + l.user + "< to >db1.example.com<"
	auth := "*Authenticated with:* publickey ED25519 " + l.fingerprint("id.pub")
	want := []told{
		{l.user + " → db1 from France (Example Networks): risk 0 (LOW)", title, "#02ff00", "*Connected from IP:* " + calm + " · *IP Location:* Lyon - Auvergne-Rhone-Alpes (FR)\n" +
			"*Connected from ISP:* AS64502 EXAMPLE-NET - Example Networks\n*Threat Jammer Risk:* 0 (LOW) - No risk found.\n" + auth},
		{"HIGH " + l.user + " → db1 from Ireland: Threat Jammer 72 (HIGH): Listed as a brute…", title, "#ff0002",
			"*Why:* Threat Jammer 72 (HIGH): Listed as a brute force source\n*Connected from IP:* " + bad + " · *IP Location:* Dublin - Leinster (IE)\n" +
				"*Connected from ISP:* AS64500 EXAMPLE-NET - Example Networks\n*Threat Jammer Risk:* 72 (HIGH) - Listed as a brute force source\n" + auth},
	}
	if diff := cmp.Diff(want, []told{tellsOf(m[0]), tellsOf(m[1])}); diff != "" {
		t.Errorf("logins (-want +got):\n%s", diff)
	}
	l.tellsEnd(t, m[1], m[2], "")
	if n := len(s.slack.Messages()); n != 3 {
		t.Errorf("%d messages, want 3: %q", n, s.slack.Messages()[n-1].Payload.Text)
	}
	for _, r := range jammer.Requests() {
		if ip, err := netip.ParseAddr(r.Path[strings.LastIndexByte(r.Path, '/')+1:]); err == nil && ip.String() != calm && ip.String() != bad {
			t.Errorf("asked about %s", ip)
		}
	}
}

// A session whose sshd was killed reports no logout, and neither does one whose
// user made the Go runtime refuse to start: at the logout, the environment is
// the user's.
func TestSshdEndWithoutALogout(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := newSite(t, strict, apart+"[login]\nnotify_logout = \"all\"\n")
	l.pam(l.hook(s, "--no-worker"), readEnv)
	l.serve()
	service := s.follow()

	leave := l.stay("-N", "lab")
	s.wait(1)
	monitor := l.sessions()
	if len(monitor) != 1 {
		t.Fatalf("sshd serves %v, want one connection", monitor)
	}
	kill(monitor)
	leave()
	l.atHome(".pam_environment", "GOMEMLIMIT DEFAULT=x\n")
	if r := l.run("ssh", "lab", "echo in"); r.code != 0 || r.out != "in\n" || r.stderr != "" {
		t.Errorf("the login must not notice: %+v", r)
	}
	s.wait(2)
	l.over()
	// It looks for sessions that ended like this every 15 s, and after loading
	// its settings.
	if err := service.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	m := s.wait(4)
	l.settle(s)
	_, ref, _ := strings.Cut(m[0].Payload.Attachments[0].Footer, "ref ")
	first, second := m[2], m[3]
	if !strings.Contains(first.Payload.Text, ref) {
		first, second = second, first
	}
	l.tellsEnd(t, m[0], first, ", no logout")
	l.tellsEnd(t, m[1], second, ", no logout")
	if n := len(s.slack.Messages()); n != 4 {
		t.Errorf("%d messages, want 4", n)
	}
}
