package journald

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// entries are those that a Debian 12 wrote down.
func entries(t *testing.T, name string) (all []Entry, want []string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var w struct{ WANT string }
		e, err := Parse(s.Bytes())
		if err := json.Unmarshal(s.Bytes(), &w); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		all, want = append(all, e), append(want, w.WANT)
	}
	if len(all) < 50 {
		t.Fatalf("%d entries", len(all))
	}
	return all, want
}

// TestWritten: logins over sshd, dropbear and pure-ftpd, and sudo and su, all of
// them real.
func TestWritten(t *testing.T) {
	all, want := entries(t, "testdata/written.jsonl")
	var r Reader
	for i, e := range all {
		if got := r.Writer(e); got != want[i] {
			t.Errorf("%q is not %q: %+v", got, want[i], e)
		}
	}
}

// TestForged: what a user of that host wrote in the daemons' names, by every way
// there is; it was all written down.
func TestForged(t *testing.T) {
	all, _ := entries(t, "testdata/forged.jsonl")
	var r Reader
	for _, e := range all {
		if got := r.Writer(e); got != "" {
			t.Errorf("passes for %s: %+v", got, e)
		}
	}
}

func TestWriter(t *testing.T) {
	const (
		sshd = `"SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_UID":"0","_TRANSPORT":"syslog","_SYSTEMD_UNIT":"ssh.service"`
		su   = `"SYSLOG_IDENTIFIER":"su","_COMM":"su","_EXE":"/usr/bin/su","_UID":"1000","_TRANSPORT":"syslog","_CAP_EFFECTIVE":"1ffffffffff"`
	)
	// with changes fields of an entry: the last of a name counts.
	with := func(base string, fields ...string) string { return base + "," + strings.Join(fields, ",") }
	for _, row := range []struct {
		name, entry, writer, claim string
	}{
		{"sshd", sshd, "sshd", "sshd"},
		{"sshd of a connection", with(sshd, `"SYSLOG_IDENTIFIER":"sshd-session"`, `"_EXE":"/usr/lib/openssh/sshd-session"`, `"_SYSTEMD_UNIT":"ssh@3.service"`), "sshd", "sshd"},
		{"sshd that asks", with(sshd, `"SYSLOG_IDENTIFIER":"sshd-auth"`, `"_EXE":"/usr/libexec/openssh/sshd-auth"`), "sshd", "sshd"},
		{"sshd that was upgraded", with(sshd, `"_EXE":"/usr/sbin/sshd (deleted)"`), "sshd", "sshd"},
		{"sshd of Nix", with(sshd, `"_EXE":"/nix/store/0abc-openssh-9.9p1/bin/sshd"`), "sshd", "sshd"},
		{"sshd that root starts by hand", with(sshd, `"_SYSTEMD_UNIT":"session-4.scope"`), "sshd", "sshd"},
		{"sshd of an exported journal", `"MESSAGE":"x","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_UID":"0"`, "sshd", "sshd"},
		{"sshd -D -e", with(sshd, `"_TRANSPORT":"stdout"`), "sshd", "sshd"},
		{"sshd -i -e", with(sshd, `"_TRANSPORT":"stdout"`, `"_SYSTEMD_UNIT":"sshd@0-192.0.2.1:22-192.0.2.2:4000.service"`), "sshd", "sshd"},
		{"su", su, "su", "su"},
		{"su by root", with(su, `"_UID":"0"`), "su", "su"},
		{"su that its user calls sshd", with(su, `"SYSLOG_IDENTIFIER":"sshd"`), "su", "sshd"},
		{"su that its user calls x", with(su, `"SYSLOG_IDENTIFIER":"x"`, `"_COMM":"x"`), "su", ""},
		{"sudo in Rust", with(su, `"SYSLOG_IDENTIFIER":"sudo"`, `"_EXE":"/usr/lib/cargo/bin/sudo"`), "sudo", "sudo"},
		{"pure-ftpd with a database", with(sshd, `"SYSLOG_IDENTIFIER":"pure-ftpd"`, `"_EXE":"/usr/sbin/pure-ftpd-mysql"`), "pure-ftpd", "pure-ftpd"},
		{"pure-ftpd in a virtual chroot", with(sshd, `"SYSLOG_IDENTIFIER":"pure-ftpd"`, `"_EXE":"/usr/sbin/pure-ftpd-mysql-virtualchroot"`), "pure-ftpd", "pure-ftpd"},
		{"cron", `"SYSLOG_IDENTIFIER":"CRON","_COMM":"cron","_EXE":"/usr/sbin/cron","_UID":"0","_TRANSPORT":"syslog"`, "", ""},

		{"root's logger", with(sshd, `"_EXE":"/usr/bin/logger"`), "", "sshd"},
		{"root's text through sudo", with(sshd, `"_EXE":"/usr/bin/sudo"`, `"_TRANSPORT":"stdout"`), "", "sshd"},
		{"sudo's prompt in sudo's own name", with(su, `"SYSLOG_IDENTIFIER":"sudo"`, `"_EXE":"/usr/bin/sudo"`, `"_UID":"0"`, `"_TRANSPORT":"stdout"`), "", "sudo"},
		{"sudo's prompt in sshd's unit", with(sshd, `"_EXE":"/usr/bin/sudo"`, `"_TRANSPORT":"stdout"`, `"_SYSTEMD_UNIT":"ssh.service"`), "", "sshd"},
		{"sshd's native entry", with(sshd, `"_TRANSPORT":"journal"`), "", "sshd"},
		{"sshd's entry of the kernel", with(sshd, `"_TRANSPORT":"kernel"`), "", "sshd"},
		{"a transport twice", with(sshd, `"_TRANSPORT":["syslog","stdout"]`), "", "sshd"},
		{"sshd -e of a user's unit", with(sshd, `"_TRANSPORT":"stdout"`, `"_SYSTEMD_UNIT":"user@1000.service"`), "", "sshd"},
		{"sshd -e of a unit like sshd's", with(sshd, `"_TRANSPORT":"stdout"`, `"_SYSTEMD_UNIT":"ssh.service.d.service"`), "", "sshd"},
		{"sshd -e of a session", with(sshd, `"_TRANSPORT":"stdout"`, `"_SYSTEMD_UNIT":"session-4.scope"`), "", "sshd"},
		{"a file that only looks like sshd's, in a namespace", with(sshd, `"_UID":"1000"`), "", "sshd"},
		{"the same with all rights there", with(sshd, `"_UID":"100000"`, `"_CAP_EFFECTIVE":"1ffffffffff"`), "", "sshd"},
		{"no uid", with(sshd, `"_UID":null`), "", "sshd"},
		{"two uids", with(sshd, `"_UID":["0","1000"]`), "", "sshd"},
		{"two files", with(sshd, `"_EXE":["/usr/sbin/sshd","/home/eve/x"]`), "", "sshd"},
		{"a process that has ended", with(sshd, `"_EXE":null`), "", "sshd"},
		{"neither file nor command", with(sshd, `"_EXE":null`, `"_COMM":null`), "", "sshd"},
		{"neither a name nor a file", `"MESSAGE":"x","_UID":"0","_TRANSPORT":"syslog"`, "", ""},
		{"sshd in a home", with(sshd, `"_EXE":"/home/eve/sshd"`), "", "sshd"},
		{"sshd behind dots", with(sshd, `"_EXE":"/usr/sbin/../../home/eve/sshd"`), "", "sshd"},
		{"sshd below a folder of root's", with(sshd, `"_EXE":"/usr/sbin/x/sshd"`), "", "sshd"},
		{"sshd of somebody's /opt", with(sshd, `"_EXE":"/opt/eve/sshd"`), "", "sshd"},
		{"sshd of a /var", with(sshd, `"_EXE":"/var/lib/app/bin/sshd"`), "", "sshd"},
		{"sshd in a store's package, deeper", with(sshd, `"_EXE":"/nix/store/0abc/share/eve/bin/sshd"`), "", "sshd"},
		{"sshd in a store itself", with(sshd, `"_EXE":"/nix/store/bin/sshd"`), "", "sshd"},
		{"a file named so", with(sshd, `"_EXE":"/home/eve/usr/sbin/sshd (deleted)"`), "", "sshd"},
		{"a relative file", with(sshd, `"_EXE":"sshd"`), "", "sshd"},
		{"almost its name", with(sshd, `"_EXE":"/usr/sbin/sshd-keygen"`), "", "sshd"},
		{"a container's", with(sshd, `"_SYSTEMD_UNIT":"docker-0123.scope"`), "", "sshd"},
		{"internal-sftp of root's", with(sshd, `"SYSLOG_IDENTIFIER":"internal-sftp"`), "", ""},
		{"another's name on sshd's file", with(sshd, `"SYSLOG_IDENTIFIER":"vsftpd"`), "", "vsftpd"},
		{"a su that was kept from root, and is led", with(su, `"_CAP_EFFECTIVE":"0"`), "", "su"},
		{"the same in long", with(su, `"_CAP_EFFECTIVE":"0000000000000000"`), "", "su"},
		{"a su of nobody known", with(su, `"_UID":null`), "", "su"},
		{"pure-ftpd as a user, from nowhere", with(sshd, `"SYSLOG_IDENTIFIER":"pure-ftpd"`, `"_EXE":"/usr/sbin/pure-ftpd"`, `"_UID":"1000"`), "", "pure-ftpd"},
	} {
		e, err := Parse([]byte("{" + row.entry + "}"))
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if got := e.Writer(); got != row.writer {
			t.Errorf("%s: the word of %q, not of %q", row.name, got, row.writer)
		}
		if got := e.Claim(); got != row.claim {
			t.Errorf("%s: the name of %q, not of %q", row.name, got, row.claim)
		}
	}
	for _, name := range []string{"sshd", "/sshd", "sshd(x)", "SSHD", "sshd[1]", "sshd:", "x/sshd", "(sshd)", "a sshd", "sshd\tx", "/usr/sbin/sshd", "sshd-session", "ssh-x sshd-auth"} {
		if got := (Entry{Identifier: Field{name}}).Claim(); got != "sshd" {
			t.Errorf("%q is the name of %q", name, got)
		}
	}
}

// TestReaderOfOneThatDrops: pure-ftpd becomes the user, and then says that he got
// in. That is believed of the process that was root's a moment before, and of no
// other.
func TestReaderOfOneThatDrops(t *testing.T) {
	entry := func(uid, pid string, seconds string) Entry {
		e, err := Parse([]byte(`{"SYSLOG_IDENTIFIER":"pure-ftpd","_EXE":"/usr/sbin/pure-ftpd","_TRANSPORT":"syslog","_SYSTEMD_UNIT":"session-c1.scope",
"_UID":"` + uid + `","_PID":"` + pid + `","__REALTIME_TIMESTAMP":"1795872` + seconds + `000000"}`))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	var r Reader
	for _, step := range []struct {
		name              string
		uid, pid, seconds string
		want              string
	}{
		{"a user's process", "1000", "7", "000", ""},
		{"root's", "0", "7", "001", "pure-ftpd"},
		{"the same as the user", "1000", "7", "002", "pure-ftpd"},
		{"another process", "1000", "8", "002", ""},
		{"an earlier time", "1000", "7", "000", ""},
		{"long after", "1000", "7", "061", ""},
	} {
		if got := r.Writer(entry(step.uid, step.pid, step.seconds)); got != step.want {
			t.Errorf("%s: %q, not %q", step.name, got, step.want)
		}
	}
}

// TestStandardError: dropbear's own stamp is no part of what it says, and nobody
// else's looks like one.
func TestStandardError(t *testing.T) {
	const text = "[4166] Nov  8 13:46:28 Bad password attempt for 'alice' from 203.0.113.7:48534"
	entry := func(unit, exe, text string) Entry {
		return Entry{Message: Field{text}, Identifier: Field{"dropbear"}, Exe: Field{exe}, UID: Field{"0"}, Transport: Field{"stdout"}, Unit: Field{unit}}
	}
	for name, row := range map[string]struct {
		e    Entry
		want string
	}{
		"dropbear -E":      {entry("dropbear.service", "/usr/sbin/dropbear", text), text[len("[4166] Nov  8 13:46:28 "):]},
		"of another unit":  {entry("x.service", "/usr/sbin/dropbear", text), text},
		"another program":  {entry("dropbear.service", "/usr/bin/sudo", text), text},
		"without a stamp":  {entry("dropbear.service", "/usr/sbin/dropbear", "[4166] Bad"), "[4166] Bad"},
		"without a number": {entry("dropbear.service", "/usr/sbin/dropbear", "[x] Nov  8 13:46:28 Bad"), "[x] Nov  8 13:46:28 Bad"},
	} {
		if got := row.e.Text(); got != row.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestMatches are what journalctl takes, and find each daemon; those that users can
// start by any name by their files as well.
func TestMatches(t *testing.T) {
	all := " " + strings.Join(Matches(), " ") + " "
	for _, want := range []string{"_COMM=sshd", "_COMM=sshd-session", "_COMM=sshd-auth", "_COMM=dropbear", "_COMM=vsftpd", "_COMM=proftpd",
		"_COMM=pure-ftpd", "_COMM=pure-ftpd-postg", "_COMM=pure-ftpd-virtu", "_COMM=sudo", "_COMM=su", "_EXE=/usr/bin/sudo", "_EXE=/usr/bin/su", "_EXE=/bin/su"} {
		if !strings.Contains(all, " "+want+" ") {
			t.Errorf("%s is missing in%s", want, all)
		}
	}
	if strings.Contains(all, "+ +") || strings.HasPrefix(all, " +") || strings.HasSuffix(all, "+ ") {
		t.Error(all)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"SYSLOG_IDENTIFIER":"sshd","_EXE":"/usr/sbin/sshd","_UID":"0","_TRANSPORT":"syslog"}`))
	f.Add([]byte(`{"SYSLOG_IDENTIFIER":["a",[115]],"_EXE":[47],"_UID":["0","1"],"MESSAGE":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Parse(b)
		if err == nil && e.Writer() != "" && (len(e.Exe) != 1 || len(e.UID) != 1) {
			t.Errorf("%q is believed", b)
		}
		e.Text()
	})
}
