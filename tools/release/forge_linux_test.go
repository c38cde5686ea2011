package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// forge is all that an ordinary user can do to look like a daemon in the journal.
const forge = `# Everything that an ordinary user can do to look like a daemon in the journal.
cd "$HOME" || exit 1
mkdir links && ln -s /usr/bin/sudo links/sshd
cp /usr/bin/logger sshd && cp /usr/bin/echo proftpd && cp /usr/bin/perl dropbear
cat >send.pl <<'END'
# send.pl HOW NAME COUNT PRE TEXT: as native entry, datagram of syslog, …
use strict; use Socket;
my ($how, $name, $pre, $text) = @ARGV;
if (open(my $comm, '>', '/proc/self/comm')) { print $comm $name; close $comm }
socket(my $s, PF_UNIX, SOCK_DGRAM, 0) or die;
my $to = $how eq 'native' ? '/run/systemd/journal/socket' : '/run/systemd/journal/dev-log';
for (1..8) {
	my $what = $how eq 'native' ? "$pre\nMESSAGE=$text\n" : "<38>$pre$text";
	$what =~ s/\\n/\n/g;
	send($s, $what, 0, pack_sockaddr_un($to)) or die "send: $!";
}
select(undef, undef, undef, 0.3); # long enough for journald to see what file it runs
END
failed='Failed password for root from 192.0.2.66 port 4000 ssh2'
got='Accepted password for root from 192.0.2.66 port 4000 ssh2'
for text in "$failed" "$got"; do
	for tag in sshd /sshd 'sshd(x)' SSHD 'sshd[1]' sshd-session x/sshd 'sshd:' dropbear; do
		logger -t "$tag" -- "$text"
		./sshd -t "$tag" -i -- "$text"
		systemd-cat -t "$tag" sudo -S -p "$text
" id </dev/null
		systemd-cat -t "$tag" ./proftpd "$text"
	done
	systemd-cat -t sshd links/sshd -S -p "$text
" id </dev/null
	printf '%s\n' "$text" | systemd-cat -t ''
	sudo -S -p "$text
" id </dev/null 2>&1 | systemd-cat -t sshd
	fields='_UID=0\n_EXE=/usr/sbin/sshd\n_COMM=sshd\n_TRANSPORT=syslog\n_SYSTEMD_UNIT=ssh.service\nSYSLOG_PID=1'
	perl send.pl native sshd "SYSLOG_IDENTIFIER=sshd\n$fields" "$text"
	perl send.pl native sshd "$fields" "$text"
	perl send.pl native sshd "SYSLOG_IDENTIFIER=sshd\nMESSAGE=x\n$fields" "$text"
	perl send.pl native sshd "$fields" "Nov 28 13:00:00 db1 sshd[1]: $text"
	perl send.pl native sshd "$fields" "2026-11-28T13:00:00+00:00 db1 sshd[1]: $text"
	perl send.pl syslog sshd 'sshd[1]: ' "$text"
	perl send.pl syslog sshd '' "$text"
	perl send.pl syslog sshd '/usr/sbin/sshd[1]: ' "$text"
	perl send.pl syslog sshd 'Nov 28 13:00:00 sshd[1]: ' "$text"
	perl send.pl syslog sshd 'Nov 28 13:00:00 db1 sshd[1]: ' "$text"
	perl send.pl syslog x ' ' "Nov 28 13:00:00 db1 sshd[1]: $text"
	perl send.pl syslog sshd '' 'last message repeated 1000 times'
	perl send.pl syslog sshd 'sshd[1]: ' "message repeated 1000 times: [ $text]"
	# In a namespace of one's own, any file is sshd's.
	unshare -Urm sh -c 'mount --bind /usr/bin/perl /usr/sbin/sshd && exec /usr/sbin/sshd "$@"' - send.pl syslog sshd 'sshd[1]: ' "$text" 2>/dev/null
done
perl send.pl syslog dropbear 'dropbear[1]: ' "Password auth succeeded for 'root' from 192.0.2.66:4000"
./dropbear send.pl syslog dropbear 'dropbear[1]: ' "Bad password attempt for 'root' from 192.0.2.66:4000"
./dropbear send.pl syslog dropbear 'dropbear[1]: ' "Password auth succeeded for 'root' from 192.0.2.66:4000"
perl send.pl syslog vsftpd 'vsftpd[1]: ' '[root] FAIL LOGIN: Client "192.0.2.66"'
perl send.pl syslog vsftpd 'vsftpd[1]: ' '[root] OK LOGIN: Client "192.0.2.66"'
perl send.pl syslog proftpd 'proftpd[1]: ' 'db1 (192.0.2.66[192.0.2.66]): USER root (Login failed): Incorrect password'
perl send.pl syslog proftpd 'proftpd[1]: ' 'db1 (192.0.2.66[192.0.2.66]): USER root: Login successful.'
perl send.pl syslog pure-ftpd 'pure-ftpd: ' '(?@192.0.2.66) [WARNING] Authentication failed for user [root]'
perl send.pl syslog pure-ftpd 'pure-ftpd: ' '(?@192.0.2.66) [INFO] root is now logged in'
perl send.pl syslog sudo 'sudo: ' '     bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh'
perl send.pl syslog su 'su[1]: ' 'FAILED SU (to root) bob on pts/0'
systemd-cat -t su sudo -S -p 'FAILED SU (to root) bob on pts/0
' id </dev/null
systemd-cat -t sudo sudo -S -p 'bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh
' id </dev/null
for i in 1 2 3 4 5 6; do
	unshare -Urm sh -c 'mount --bind /usr/bin/perl /usr/bin/sudo && exec /usr/bin/sudo "$@"' - send.pl syslog sudo 'sudo: ' '     bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh' 2>/dev/null
done
exit 0
`

// An ordinary user writes to the journal in each daemon's name, by every way that
// there is: nobody is told of it, and nothing of it is remembered. What sshd writes
// itself is told.
func TestForgedJournalHost(t *testing.T) {
	g := newGuest(t)
	g.run("dpkg", "--install", g.put())
	if err := os.WriteFile(filepath.Join(g.dir, "root/slack.url"), []byte(g.reachSlack()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run("useradd", "bob")
	g.run("sshnotify", "install", "--system", "--watch", "--yes", "--webhook-url-file", "/root/slack.url")
	// Each attack at once, and no attempt of alice's own sudo counts for anything.
	own := filepath.Join(g.dir, "etc/sshnotify/conf.d/watch.toml")
	if err := os.WriteFile(own, []byte("[watch]\nnotify = \"each\"\nignore_users = [\"alice\"]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	g.run("systemctl", "restart", "sshnotify-watch")
	g.eventually("watcher that watches", func() bool {
		out, _ := g.try("pgrep", "-u", "sshnotify-watch", "journalctl")
		return out != ""
	})

	script := filepath.Join(g.dir, "home/alice/forge.sh")
	if err := os.WriteFile(script, []byte(forge), 0o755); err != nil {
		t.Fatal(err)
	}
	// All of it is in the journal, in sshd's name and as root's: again, where journald
	// came too late to see who wrote it.
	wanted := [][]string{
		{"--identifier=/sshd", "_UID=1000"}, {"--identifier=sshd", "_UID=0", "_EXE=/usr/bin/sudo", "_TRANSPORT=stdout"},
		{"--identifier=sshd", "_COMM=sshd", "_UID=0", "_TRANSPORT=stdout"},
		{"--identifier=sshd", "_EXE=/usr/sbin/sshd", "_UID=1000"}, {"_COMM=sshd", "_EXE=/usr/bin/perl", "_TRANSPORT=journal"},
	}
	g.eventually("journal with all that is forged", func() bool {
		if out, err := g.try("su", "--login", "alice", "--command", "sh ./forge.sh"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		wanted = slices.DeleteFunc(wanted, func(want []string) bool {
			out := g.run(append([]string{"journalctl", "--no-pager", "-q", "-o", "cat"}, want...)...)
			if !strings.Contains(out, "192.0.2.66") {
				t.Logf("not yet forged as %v: %q", want, out)
				return false
			}
			return true
		})
		return len(wanted) == 0
	})

	g.forgive()
	// The watcher reads on, to a true series of failures and a true login after it.
	for _, user := range []string{"admin", "oracle", "git", "test", "deploy", "pi"} {
		c := g.ssh("true")
		c.Args[len(c.Args)-2] = user + "@" + g.guestEnd
		if out, err := c.CombinedOutput(); err == nil {
			t.Fatalf("%s got in: %s", user, out)
		}
	}
	g.told(1)
	true1 := string(g.slack.Messages()[0].Raw)
	if !strings.Contains(true1, "Attack from "+g.hostEnd) {
		t.Errorf("not told of the true attack, but: %s", true1)
	}
	for _, m := range g.slack.Messages() {
		for _, bad := range []string{"192.0.2.66", "CRITICAL", "bob"} {
			if strings.Contains(string(m.Raw), bad) {
				t.Errorf("a forged line was told: %s", m.Raw)
			}
		}
	}

	// Nor does the importer believe any of it.
	t.Logf("%s", g.run("sshnotify", "history", "import"))
	if out := g.run("sshnotify", "history"); strings.Contains(out, "192.0.2.66") {
		t.Errorf("it is remembered: %s", out)
	}

	// It is known that somebody tried, and who.
	g.eventually("word of the forgery", func() bool {
		out, _ := g.try("sshnotify", "doctor", "--system", "--json")
		var doc struct {
			Checks []struct{ Name, State, Message string }
		}
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, c := range doc.Checks {
			if strings.Contains(c.Message, "bear a daemon's name, nothing shows that it wrote them") && strings.Contains(c.Message, "uid 1000") && c.State == "warn" {
				t.Log(c.Message)
				return true
			}
		}
		return false
	})
	if out := g.run("journalctl", "-u", "sshnotify-watch", "-o", "cat", "--no-pager"); strings.Count(out, "nothing shows that it wrote them") != 1 {
		t.Errorf("the watcher's log: %s", out)
	}
}
