package parse_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// Each story is the lines of a log, in front of which stands how often each counts.
func TestAnAttemptCountsOnce(t *testing.T) {
	for name, story := range map[string]string{
		"an account that is not there": `
1 sshd[812]: Invalid user admin from 203.0.113.7 port 5
0 sshd[812]: pam_unix(sshd:auth): check pass; user unknown
0 sshd[812]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7
0 sshd[812]: Failed none for invalid user admin from 203.0.113.7 port 5 ssh2
0 sshd[812]: Failed password for invalid user admin from 203.0.113.7 port 5 ssh2
1 sshd[812]: Failed password for invalid user admin from 203.0.113.7 port 5 ssh2
0 sshd[812]: Disconnected from invalid user admin 203.0.113.7 port 5 [preauth]`,
		"one that is there, six times": `
1 sshd-session[812]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root
0 sshd-session[812]: Failed password for root from 203.0.113.7 port 5 ssh2
5 sshd-session[812]: message repeated 5 times: [ Failed password for root from 203.0.113.7 port 5 ssh2]
0 sshd-session[812]: error: maximum authentication attempts exceeded for root from 203.0.113.7 port 5 ssh2 [preauth]
0 sshd-session[812]: Disconnecting authenticating user root 203.0.113.7 port 5: Too many authentication failures [preauth]
0 sshd-session[812]: PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root`,
		"two processes at the same time": `
1 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2
1 sshd[2]: Failed password for root from 203.0.113.7 port 6 ssh2
1 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2
0 sshd[2]: Connection closed by authenticating user root 203.0.113.7 port 6 [preauth]`,
		"a process number that comes again": `
1 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2
1 sshd[1]: Connection closed by authenticating user root 203.0.113.8 port 6 [preauth]
1 sshd[1]: Connection closed by authenticating user root 203.0.113.8 port 7 [preauth]`,
		"where only keys are allowed": `
1 sshd[1]: Connection closed by authenticating user root 203.0.113.7 port 5 [preauth]
1 sshd[2]: Connection reset by authenticating user root 203.0.113.7 port 6 [preauth]`,
		"one key after the other": `
1 sshd[1]: Failed publickey for root from 203.0.113.7 port 5 ssh2: RSA SHA256:a
0 sshd[1]: Failed publickey for root from 203.0.113.7 port 5 ssh2: RSA SHA256:b
0 sshd[1]: Failed publickey for root from 203.0.113.7 port 5 ssh2: RSA SHA256:c
0 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2
1 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2`,
		"keyboard-interactive asks PAM in a child": `
1 sshd[2]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root
0 sshd[1]: error: PAM: Authentication failure for root from 203.0.113.7
0 sshd[1]: Failed keyboard-interactive/pam for root from 203.0.113.7 port 5 ssh2
1 sshd[4]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root
0 sshd[3]: error: PAM: Authentication failure for root from 203.0.113.7`,
		"vsftpd's own log and PAM's": `
1 vsftpd[2]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=root rhost=203.0.113.7  user=root
0 vsftpd[1]: [root] FAIL LOGIN: Client "203.0.113.7"
0 vsftpd[1]: [root] FTP response: Client "203.0.113.7", "530 Login incorrect."
1 vsftpd[1]: [root] FAIL LOGIN: Client "203.0.113.7"
0 vsftpd[2]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=root rhost=203.0.113.7  user=root`,
		"vsftpd's own log beside that of the system": `
1 Nov 27 10:00:00 h vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=bob rhost=203.0.113.7  user=bob
0 Fri Nov 27 10:00:01 2026 [pid 101] [bob] FAIL LOGIN: Client "203.0.113.7"
1 Nov 27 10:00:05 h vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=bob rhost=203.0.113.7  user=bob
0 Fri Nov 27 10:00:06 2026 [pid 102] [bob] FAIL LOGIN: Client "203.0.113.7"`,
		"vsftpd's answers come from another process": `
1 vsftpd[1]: [root] FAIL LOGIN: Client "203.0.113.7"
0 vsftpd[2]: [root] FTP response: Client "203.0.113.7", "530 Login incorrect."
1 vsftpd[1]: [root] FAIL LOGIN: Client "203.0.113.7"
0 vsftpd[2]: [root] FTP response: Client "203.0.113.7", "530 Login incorrect."
1 vsftpd[2]: [root] FTP response: Client "203.0.113.7", "530 Permission denied."`,
		"proftpd's PAM line without a process number": `
1 proftpd: pam_unix(proftpd:auth): authentication failure; logname= uid=0 euid=0 tty=/dev/ftpd100 ruser=bob rhost=203.0.113.7  user=bob
0 proftpd[100]: 192.0.2.1 (203.0.113.7[203.0.113.7]) - USER bob (Login failed): Incorrect password
1 proftpd: pam_unix(proftpd:auth): authentication failure; logname= uid=0 euid=0 tty=/dev/ftpd101 ruser=bob rhost=203.0.113.7  user=bob
0 proftpd[101]: 192.0.2.1 (203.0.113.7[203.0.113.7]) - USER bob (Login failed): Incorrect password`,
		"su of shadow writes three lines": `
1 su[12]: pam_unix(su:auth): authentication failure; logname=bob uid=1000 euid=0 tty=/dev/pts/1 ruser=bob rhost=  user=root
0 su[12]: FAILED su for root by bob
0 su[12]: - /dev/pts/1 bob:root
1 su[13]: pam_unix(su:auth): authentication failure; logname=bob uid=1000 euid=0 tty=/dev/pts/1 ruser=bob rhost=  user=root
0 su[13]: FAILED su for root by bob
0 su[13]: - /dev/pts/1 bob:root`,
		"su of busybox writes one": `
1 su: - pts/0 bob:root
1 su: - pts/0 bob:root
0 su: + pts/0 bob:root`,
		"a name instead of an address": `
1 sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host7.example.net  user=root
0 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2
1 sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host7.example.net  user=root
0 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2
0 sshd[1]: Connection closed by authenticating user root 203.0.113.7 port 5 [preauth]`,
		"a name instead of an address, and PAM in a child": `
1 sshd[2]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host7.example.net  user=root
0 sshd[1]: error: PAM: Authentication failure for root from host7.example.net
0 sshd[1]: Failed keyboard-interactive/pam for root from 203.0.113.7 port 5 ssh2
1 sshd[4]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=host7.example.net  user=root
0 sshd[3]: Failed password for root from 203.0.113.7 port 6 ssh2`,
		"sudo without a process number": `
1 sudo: pam_unix(sudo:auth): authentication failure; logname=bob uid=1000 euid=0 tty=/dev/pts/0 ruser=bob rhost=  user=bob
2 sudo:      bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls`,
		"two modules": `
1 sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root
0 sshd[1]: pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7 user=root
0 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2`,
		"the last line again, as the BSDs write it": `
1 sshd[1]: Failed password for root from 203.0.113.7 port 5 ssh2
3 last message repeated 3 times
2 --- last message repeated 2 times ---
0 kernel: something else
0 last message repeated 3 times`,
	} {
		t.Run(name, func(t *testing.T) {
			p := parse.New(parse.Options{Now: november})
			for i, l := range strings.Split(strings.TrimSpace(story), "\n") {
				count, text, _ := strings.Cut(l, " ")
				got := p.Parse(line.Line{Source: "auth.log", Text: fmt.Sprintf("Nov 20 10:00:%02d web1 %s", i, text)})
				if fmt.Sprint(got.Count) != count {
					t.Errorf("%s\ncounts %d (%s)", l, got.Count, got.Outcome)
				}
			}
		})
	}
}

// What a first password store refuses and a second one allows was no failure.
func TestPardon(t *testing.T) {
	for name, story := range map[string][]string{
		"a password": {
			"sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=alice",
			"sshd[1]: pam_sss(sshd:auth): authentication success; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7 user=alice",
			"sshd[1]: Accepted password for alice from 203.0.113.7 port 5 ssh2",
		},
		"keyboard-interactive": {
			"sshd[2]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=alice",
			"sshd[1]: Accepted keyboard-interactive/pam for alice from 203.0.113.7 port 5 ssh2",
		},
		"sudo": {
			"sudo: pam_unix(sudo:auth): authentication failure; logname=alice uid=1000 euid=0 tty=/dev/pts/0 ruser=alice rhost=  user=alice",
			"sudo:    alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
		},
	} {
		p := parse.New(parse.Options{Now: november})
		var last parse.Result
		for _, text := range story {
			last = p.Parse(line.Line{Text: "Nov 20 10:00:00 web1 " + text})
		}
		if last.Retracted != 1 || last.Outcome == parse.Failure {
			t.Errorf("%s: %+v", name, last)
		}
	}
	// A wrong password before the right one stays one.
	p := parse.New(parse.Options{Now: november})
	for _, text := range []string{
		"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=alice",
		"Failed password for alice from 203.0.113.7 port 5 ssh2",
		"Accepted password for alice from 203.0.113.7 port 5 ssh2",
	} {
		if r := p.Parse(line.Line{Text: "Nov 20 10:00:00 web1 sshd[1]: " + text}); r.Retracted != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// vsftpd's own log names no host, PAM's line of the same attempt in the system's does:
// each attempt counts once, also where its second line is read later.
func TestAnAttemptOfTwoLogsCountsOnce(t *testing.T) {
	pam := func(i int) string {
		return fmt.Sprintf("Nov 20 10:00:%02d www vsftpd[1%d]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=bob rhost=::ffff:203.0.113.7  user=bob", 10*i, i)
	}
	own := func(i int) string {
		return fmt.Sprintf("Fri Nov 20 10:00:%02d 2026 [pid 2%d] [bob] FAIL LOGIN: Client \"::ffff:203.0.113.7\"", 10*i+2, i)
	}
	for situation, lines := range map[string][]string{
		"as they came":         {pam(0), own(0), pam(1), own(1), pam(2), own(2)},
		"vsftpd's first":       {own(0), own(1), own(2), pam(0), pam(1), pam(2)},
		"the system's first":   {pam(0), pam(1), pam(2), own(0), own(1), own(2)},
		"vsftpd's a bit later": {pam(0), pam(1), own(0), pam(2), own(1), own(2)},
	} {
		p := parse.New(parse.Options{Now: november})
		n := 0
		for _, text := range lines {
			if got := p.Parse(line.Line{Source: "log", Text: text}); got.Outcome == parse.Failure {
				n += got.Count
			}
		}
		if n != 3 {
			t.Errorf("%s: %d attempts, want 3", situation, n)
		}
	}
}
