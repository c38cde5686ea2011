package main

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

const vsftpdPath = "/usr/sbin/vsftpd"

// serveVsftpd starts a real vsftpd on loopback, with settings, a PAM service and a
// folder of its own, and returns its address and its log.
func serveVsftpd(t *testing.T) (address, log string) {
	t.Helper()
	e2e(t)
	if os.Getuid() != 0 {
		lacking(t, "root to run a vsftpd")
	}
	if _, err := exec.LookPath(vsftpdPath); err != nil {
		lacking(t, vsftpdPath)
	}
	dir, err := os.MkdirTemp("", "vsftpd-lab-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	service := "vsftpd-t" + word()
	pam := "/etc/pam.d/" + service
	t.Cleanup(func() { os.Remove(pam) })
	if err := os.WriteFile(pam, []byte("auth required pam_deny.so\naccount required pam_deny.so\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"empty", "root", "root/pub"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", "ftp", filepath.Join(dir, "root/pub")).CombinedOutput(); err != nil {
		lacking(t, "a user ftp: "+string(out))
	}
	log = filepath.Join(dir, "vsftpd.log")
	port := freePort(t, "127.0.0.1")
	settings := filepath.Join(dir, "vsftpd.conf")
	text := strings.Join([]string{
		"listen=YES", "listen_ipv6=NO", "listen_address=127.0.0.1", "listen_port=" + strconv.Itoa(port), "background=NO",
		"pam_service_name=" + service, "secure_chroot_dir=" + filepath.Join(dir, "empty"),
		"local_enable=YES", "anonymous_enable=YES", "anon_root=" + filepath.Join(dir, "root"), "write_enable=YES", "anon_upload_enable=YES", "anon_mkdir_write_enable=YES",
		"xferlog_enable=YES", "xferlog_std_format=NO", "vsftpd_log_file=" + log, "log_ftp_protocol=YES",
		"delay_failed_login=0", "max_login_fails=100", "seccomp_sandbox=NO", "isolate=NO", "isolate_network=NO", "",
	}, "\n")
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(vsftpdPath, settings)
	var said strings.Builder
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
	})
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	until(t, "a vsftpd that listens", func() bool {
		if gone(ended) {
			t.Fatalf("vsftpd does not start: %s", said.String())
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address, log
}

// ftp is a client that says whatever it likes.
type ftp struct {
	t *testing.T
	*textproto.Conn
}

func dialFTP(t *testing.T, address string) ftp {
	t.Helper()
	c, err := textproto.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	f := ftp{t, c}
	f.answer()
	return f
}

func (f ftp) answer() (code int, text string) {
	f.t.Helper()
	code, text, err := f.ReadResponse(0)
	if code == 0 {
		f.t.Fatal(err)
	}
	return code, text
}

func (f ftp) say(command string) (code int, text string) {
	f.t.Helper()
	if err := f.PrintfLine("%s", command); err != nil {
		f.t.Fatal(err)
	}
	return f.answer()
}

var passive = regexp.MustCompile(`\((\d+),(\d+),(\d+),(\d+),(\d+),(\d+)\)`)

func (f ftp) upload(name string) {
	f.t.Helper()
	_, text := f.say("PASV")
	m := passive.FindStringSubmatch(text)
	if m == nil {
		f.t.Fatalf("PASV: %s", text)
	}
	high, _ := strconv.Atoi(m[5])
	low, _ := strconv.Atoi(m[6])
	data, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", high<<8|low))
	if err != nil {
		f.t.Fatal(err)
	}
	defer data.Close()
	if code, text := f.say("STOR " + name); code != 150 {
		f.t.Fatalf("STOR: %d %s", code, text)
	}
	fmt.Fprint(data, "hello")
	data.Close()
	f.answer()
}

// A stranger writes vsftpd's lines into a real vsftpd's log: by commands, names,
// passwords and files. Whoever reads the log takes nobody else for them.
func TestAttackForgedVsftpdLines(t *testing.T) {
	t.Parallel()
	address, log := serveVsftpd(t)
	const framed = "192.0.2.204"
	lies := []string{
		`FOO [root] OK LOGIN: Client "` + framed,
		`root] OK LOGIN: Client "` + framed,
		`root] OK LOGIN: Client "` + framed + `", "x`,
		`root] OK LOGIN: Client "` + framed + `", anon password "x`,
		`root] FAIL LOGIN: Client "` + framed,
		`root] FAIL LOGIN: Client "` + framed + `", "x`,
		`root] FTP response: Client "` + framed + `", "530 Login incorrect.`,
		`root] OK UPLOAD: Client "` + framed + `", "/x`,
	}
	for _, named := range []bool{false, true} { // as in the issue: before and after USER
		f := dialFTP(t, address)
		if named {
			f.say("USER nobody-here")
		}
		for _, lie := range lies {
			f.say(lie)
			f.say("FOO [" + lie)
		}
	}
	f := dialFTP(t, address)
	for _, lie := range lies {
		f.say("USER " + lie)
		f.say("PASS x")
	}
	for i, lie := range lies {
		f := dialFTP(t, address)
		f.say("USER anonymous")
		if code, text := f.say("PASS " + lie); code != 230 {
			t.Fatalf("an anonymous login: %d %s", code, text)
		}
		name := strings.ReplaceAll(lie, "/", "")
		f.say("MKD /pub/" + name)
		f.say("CWD /pub/" + name)
		f.say("PWD")
		f.upload(fmt.Sprintf("/pub/%d%s", i, name))
	}
	f = dialFTP(t, address) // an attack that is one
	for range 6 {
		f.say("USER root")
		f.say("PASS x")
	}

	s := newSite(t, standin.SlackOptions{}, "")
	replay := func(more ...string) string {
		out, err := exec.Command(binary, append([]string{"watch", "--config", s.settings, "--replay", log}, more...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	// It may be a name that was tried, and never an address.
	if out := replay("--json"); strings.Contains(out, `"ip":"`+framed) || !strings.Contains(out, `"ip":"127.0.0.1"`) {
		t.Errorf("replay:\n%s", out)
	}
	if out := replay(); strings.Contains(out, "from "+framed) || !strings.Contains(out, "Attack from 127.0.0.1") || !strings.Contains(out, "ambiguous: could be forged") {
		t.Errorf("replay:\n%s", out)
	}
	file, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	logins, hostile := 0, 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		text := lines.Text()
		if strings.Contains(text, framed) {
			hostile++
		}
		got := parse.Explain(line.Line{Text: text}, parse.Options{})
		if got.IP.IsValid() && got.IP.String() != "127.0.0.1" || got.Outcome == parse.None {
			t.Errorf("%s\n%s from %s", text, got.Outcome, got.IP)
		}
		if got.Outcome == parse.Success {
			logins++
			if got.User != "ftp" {
				t.Errorf("%s\nis a login of %s", text, got.User)
			}
		}
	}
	// Of a password that looks like a failure nobody can say that it was none.
	if hostile < 60 || logins < 5 || logins > len(lies) {
		t.Errorf("%d lines bear the address, %d are logins", hostile, logins)
	}
}
