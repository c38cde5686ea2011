package attack

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

const pamOf = "pam_unix(%s:auth): authentication failure; logname= uid=0 euid=0 tty=x ruser=%s rhost=%s  user=root"

// lines says the same for each of several processes, five seconds apart; %[1]d is
// the process's number, and that of its child 1000 more.
func lines(n int, texts ...string) (out []string) {
	for i := range n {
		for j, text := range texts {
			out = append(out, fmt.Sprintf("Nov 20 10:00:%02d web1 ", 5*i+j)+strings.ReplaceAll(strings.ReplaceAll(text, "PID", fmt.Sprint(100+i)), "CHILD", fmt.Sprint(1100+i)))
		}
	}
	return out
}

// names are attempts of which the log has a name alone, a second apart.
func names(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("Nov 20 10:00:%02d web1 sshd[%d]: error: PAM: Authentication failure for root from host7.example.net", i, 100+i))
	}
	return out
}

// findingsOf replays lines. Between any two of them the engine may be written down
// and read again.
func findingsOf(t *testing.T, o Options, lines []string) []string {
	t.Helper()
	p := parse.New(parse.Options{Now: func() time.Time { return time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC) }})
	g := newEngine(t, o)
	var out []Finding
	for _, text := range lines {
		out = append(out, g.Take(p.Parse(line.Line{Source: "auth.log", Text: text}))...)
		var b bytes.Buffer
		if err := g.Snapshot(&b); err != nil {
			t.Fatal(err)
		}
		var err error
		if g, err = Restore(&b, o); err != nil {
			t.Fatal(err)
		}
	}
	var said []string
	for _, f := range append(out, g.Close()...) {
		who := f.IP.String()
		if f.By == ByUser && f.Kind != SuccessAfter {
			who = "against " + f.User
		}
		said = append(said, fmt.Sprintf("%s %s %d %s to %s", f.Kind, who, f.Attempts, f.First.Format("04:05"), f.Last.Format("04:05")))
	}
	return said
}

// An attempt counts once, at its own time, for the address that any of its lines
// says.
func TestANameInsteadOfAnAddress(t *testing.T) {
	pam := "sshd[PID]: " + fmt.Sprintf(pamOf, "sshd", "", "host7.example.net")
	child := strings.Replace(pam, "PID", "CHILD", 1)
	const (
		failed = "sshd[PID]: Failed password for root from 203.0.113.7 port 4PID ssh2"
		login  = "Nov 20 10:01:00 web1 sshd[99]: Accepted password for root from 203.0.113.7 port 5 ssh2"
	)
	attacked := []string{"begun 203.0.113.7 5 00:00 to 00:20", "ended 203.0.113.7 6 00:00 to 00:25"}
	gotIn := []string{"begun 203.0.113.7 5 00:00 to 00:20", "success-after 203.0.113.7 6 00:00 to 00:25", "ended 203.0.113.7 6 00:00 to 00:25"}
	for name, tt := range map[string]struct {
		lines []string
		want  []string
	}{
		"UseDNS: PAM knows the name": {append(lines(6, pam, failed), login), gotIn},
		"four are no attack":         {lines(4, pam, failed), nil},
		"AllowUsers leaves root out": {lines(6, "sshd[PID]: User root from host7.example.net not allowed because not listed in AllowUsers",
			"sshd[PID]: Failed password for invalid user root from 203.0.113.7 port 4PID ssh2"), attacked},
		"keyboard-interactive: PAM in a child": {append(lines(6, child, "sshd[PID]: error: PAM: Authentication failure for root from host7.example.net",
			"sshd[PID]: Failed keyboard-interactive/pam for root from 203.0.113.7 port 4PID ssh2"), login), gotIn},
		"keyboard-interactive, and only the end says the address": {lines(6, child, "sshd[PID]: error: PAM: Authentication failure for root from host7.example.net",
			"sshd[PID]: Connection closed by authenticating user root 203.0.113.7 port 4PID [preauth]"), attacked},
		"PAM in another process of the same login": {append(lines(6, child, failed), login), gotIn},
		"the connection's line comes first":        {lines(6, "sshd[PID]: Connection from 203.0.113.7 port 4PID on 192.0.2.1 port 22 rdomain \"\"", pam)[:12], []string{"begun 203.0.113.7 5 00:01 to 00:21", "ended 203.0.113.7 6 00:01 to 00:26"}},
		"the end comes without a user":             {lines(6, pam, "sshd[PID]: Received disconnect from 203.0.113.7 port 4PID:11: Bye [preauth]"), attacked},
		"two password stores, and no wrong password": {lines(6, pam, "sshd[PID]: pam_sss(sshd:auth): authentication success; logname= uid=0 euid=0 tty=ssh ruser= rhost=host7.example.net user=root",
			"sshd[PID]: Accepted password for root from 203.0.113.7 port 4PID ssh2"), nil},
		"dropbear": {lines(6, "dropbear[PID]: "+fmt.Sprintf(pamOf, "dropbear", "", "host7.example.net"),
			"dropbear[PID]: Bad PAM password attempt for 'root' from 203.0.113.7:4PID"), attacked},
		"dropbear, whose name service says an address": {lines(6, "dropbear[PID]: "+fmt.Sprintf(pamOf, "dropbear", "", "192.0.2.204"),
			"dropbear[PID]: Bad PAM password attempt for 'root' from 203.0.113.7:4PID"), attacked},
		"dropbear, and only its other lines say the address": {lines(6, "dropbear[PID]: Login attempt for nonexistent user",
			"dropbear[PID]: Exit before auth from <203.0.113.7:4PID>: Max auth tries reached - user 'is invalid'"), attacked},
		"proftpd": {lines(6, "proftpd: "+fmt.Sprintf(pamOf, "proftpd", "root", "host7.example.net"),
			"proftpd[PID]: 192.0.2.1 (host7.example.net[203.0.113.7]) - USER root (Login failed): Incorrect password"), attacked},
		"vsftpd": {lines(6, "vsftpd[CHILD]: "+fmt.Sprintf(pamOf, "vsftpd", "root", "host7.example.net"),
			`vsftpd[PID]: [root] FAIL LOGIN: Client "203.0.113.7"`), attacked},
		"vsftpd, whose name service says an address": {lines(6, "vsftpd[CHILD]: "+fmt.Sprintf(pamOf, "vsftpd", "root", "192.0.2.204"),
			`vsftpd[PID]: [root] FAIL LOGIN: Client "203.0.113.7"`), attacked},
		"vsftpd's own line comes first": {lines(6, `vsftpd[PID]: [root] FAIL LOGIN: Client "203.0.113.7"`,
			"vsftpd[CHILD]: "+fmt.Sprintf(pamOf, "vsftpd", "root", "host7.example.net")), attacked},
		"a process number that comes again is somebody else's": {append(lines(1, "sshd[7]: Connection from 192.0.2.50 port 4 on 192.0.2.1 port 22", "sshd[7]: Connection closed by 192.0.2.50 port 4"),
			lines(4, strings.Replace(pam, "PID", "7", 1))...), nil},
		"no line says the address": {append(lines(6, "sshd[PID]: error: PAM: Authentication failure for root from host7.example.net"), login),
			[]string{"begun against root 5 00:00 to 00:20", "success-after 203.0.113.7 6 00:00 to 00:25", "ended against root 6 00:00 to 00:25"}},
		"no line says the address, and all come at once": {names(6), []string{"begun against root 6 00:00 to 00:05", "ended against root 6 00:00 to 00:05"}},
		"and somebody else fails much later": {append(names(6), "Nov 20 10:09:00 web1 sshd[98]: Failed password for bob from 203.0.113.9 port 5 ssh2"),
			[]string{"begun against root 6 00:00 to 00:05", "ended against root 6 00:00 to 00:05"}},
		"four at once are no attack": {names(4), nil},
		"no line says the address, and the names differ": {append(lines(6, "sshd[PID]: error: PAM: Authentication failure for root from hPID.example.net"), login),
			[]string{"begun against root 5 00:00 to 00:20", "success-after 203.0.113.7 6 00:00 to 00:25", "ended against root 6 00:00 to 00:25"}},
		"eight at once, of which no line has said the address yet": {append(slices.Repeat(lines(1, strings.Replace(child, "CHILD", "7", 1)), 8),
			slices.Repeat([]string{"Nov 20 10:00:02 web1 sshd[7]: Failed password for root from 203.0.113.7 port 4 ssh2"}, 8)...),
			[]string{"begun 203.0.113.7 5 00:00 to 00:00", "ended 203.0.113.7 8 00:00 to 00:00"}},
		"sudo's mistypings are none of a login's": {append(lines(4, "sudo: pam_unix(sudo:auth): authentication failure; logname=root uid=0 euid=0 tty=/dev/pts/0 ruser=root rhost=  user=root"), login), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, findingsOf(t, Options{}, tt.lines)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Whose addresses are not looked at is not told by the account either.
func TestANameOfAnIgnoredAddress(t *testing.T) {
	pam := "sshd[PID]: " + fmt.Sprintf(pamOf, "sshd", "", "host7.example.net")
	story := lines(6, pam, "sshd[PID]: Failed password for root from 203.0.113.7 port 4PID ssh2")
	o := Options{Ignore: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}
	if got := findingsOf(t, o, story); got != nil {
		t.Error(got)
	}
}

// PAM's lines of FTP servers name what the name service says. An attack that only
// they tell of moves to the address that the daemon itself writes.
func TestALieOfTheNameServiceIsTakenBack(t *testing.T) {
	g := newEngine(t, Options{})
	lie := func(i int) parse.Attempt {
		return parse.Attempt{Time: start.Add(time.Duration(i) * time.Second), IP: failed(0, "192.0.2.204", "").IP, User: "root", Count: 1}
	}
	for i := range 4 {
		g.Take(failed(time.Duration(i)*time.Second, "192.0.2.204", "root"))
	}
	var out []Finding
	for i := range 4 {
		out = append(out, g.Take(with(failed(time.Minute, "203.0.113.7", "root"), func(r *parse.Result) {
			r.Outcome, r.Count, r.Located = parse.Other, 0, []parse.Attempt{lie(i)}
		}))...)
	}
	out = append(out, g.Take(failed(2*time.Minute, "192.0.2.204", "root"))...)
	if len(out) > 0 {
		t.Errorf("%q", say(out))
	}
	if out = g.Take(failed(2*time.Minute, "203.0.113.7", "root")); len(out) != 1 || out[0].IP.String() != "203.0.113.7" || out[0].Attempts != 5 || !out[0].First.Equal(start) {
		t.Errorf("%+v", out)
	}
}
