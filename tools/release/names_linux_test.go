package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// guess dials the guest's sshd from an address of this host, and reports whether a
// password let root in.
func (g *guest) guess(from string, auth ssh.AuthMethod) bool {
	g.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 30 * time.Second}
	wire, err := d.DialContext(g.t.Context(), "tcp", g.guestEnd+":22")
	if err != nil {
		g.t.Errorf("from %s: %v", from, err)
		return false
	}
	defer wire.Close()
	c, _, _, err := ssh.NewClientConn(distant{wire}, g.guestEnd, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{auth}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err == nil {
		c.Close()
	}
	return err == nil
}

// distant is the connection of somebody far away: sshd hears that he hung up when
// journald has seen who wrote its last lines.
type distant struct{ net.Conn }

func (d distant) Close() error {
	time.Sleep(2 * time.Second)
	return d.Conn.Close()
}

// forgive has an sshd that knows penalties (OpenSSH 9.8) answer somebody who fails
// again and again, and read its settings anew.
func (g *guest) forgive() {
	g.t.Helper()
	const penalties = "PerSourcePenalties no"
	if _, err := g.try("/usr/sbin/sshd", "-t", "-o", penalties); err == nil {
		if err := os.WriteFile(filepath.Join(g.dir, "etc/ssh/sshd_config.d/penalties.conf"), []byte(penalties+"\n"), 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
	g.run("systemctl", "restart", "ssh")
}

// ofSSHD is what the guest's sshd wrote so far.
func (g *guest) ofSSHD() string {
	g.t.Helper()
	return g.run("journalctl", "-o", "cat", "--no-pager", "-t", "sshd", "-t", "sshd-session")
}

// wrongAnswers are none, to whatever keyboard-interactive asks.
func wrongAnswers() ssh.AuthMethod {
	return ssh.KeyboardInteractive(func(_, _ string, questions []string, _ []bool) ([]string, error) {
		return make([]string, len(questions)), nil
	})
}

var gotIn = regexp.MustCompile(`got in after [5-8] failures`)

// An attacker whose address has a name, which sshd writes in its place: eight
// wrong passwords of root's, and then the right one.
func TestNamesHost(t *testing.T) {
	g := newGuest(t)
	const asked = "203.0.113.7" // another end of the same wire, for keyboard-interactive
	g.onHost("ip", "addr", "replace", asked+"/32", "dev", "ve-"+g.name)
	g.run("ip", "route", "replace", asked, "dev", "host0")
	for name, text := range map[string]string{
		"etc/hosts":                     "127.0.0.1 localhost db1.example.com\n" + g.hostEnd + " host7.example.net\n" + asked + " host8.example.net\n",
		"etc/ssh/sshd_config.d/us.conf": "UseDNS yes\nPermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication yes\nMaxStartups 100\n",
		"root/password":                 "root:correct horse\n",
	} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	g.run("sh", "-c", "chpasswd </root/password")
	g.forgive()
	g.run("dpkg", "--install", g.put())
	if err := os.WriteFile(filepath.Join(g.dir, "root/slack.url"), []byte(g.reachSlack()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run("sshnotify", "install", "--system", "--watch", "--yes", "--webhook-url-file", "/root/slack.url")

	for i, from := range []string{g.hostEnd, asked} {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				auth := ssh.Password("wrong")
				if from == asked {
					auth = wrongAnswers()
				}
				if g.guess(from, auth) {
					t.Errorf("a wrong password let %s in", from)
				}
			})
		}
		all.Wait()
		// The line that tells whose address it was is sshd's last of a connection, and
		// may be later than what the client sees.
		g.eventually("end of eight connections in the journal", func() bool {
			return strings.Count(g.ofSSHD(), " user root "+from+" port ") >= 8
		})
		if !g.guess(from, ssh.Password("correct horse")) {
			t.Fatalf("%s does not get in", from)
		}
		// The login is told at once, with what the watcher has read by then: five at least,
		// or it would not be critical.
		if text := g.critical(from); !gotIn.MatchString(text) {
			t.Errorf("it says:\n%s", text)
		}
		if n := len(g.slack.Messages()); n > 2*(i+1) {
			t.Errorf("%d messages of %d logins", n, i+1)
		}
	}
	log := g.ofSSHD()
	for _, name := range []string{"rhost=host7.example.net", "rhost=host8.example.net", "for root from host8.example.net"} {
		if !strings.Contains(log, name) {
			t.Errorf("sshd has not written %s:\n%s", name, log)
		}
	}
}
