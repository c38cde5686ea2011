package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

const (
	print1 = "SHA256:Mwv3M0mQ3b5tG1Zr0eJ9kU2mPpPj7bq5cXyZ0aBcDeF"
	print2 = "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGeK0VmMZ8vqGkV4S1I"
)

func collect(t testing.TB, seq iter.Seq2[Entry, error]) []Entry {
	t.Helper()
	var all []Entry
	for e, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func TestAcceptedLines(t *testing.T) {
	ip := netip.MustParseAddr("203.0.113.7")
	tail := " from 203.0.113.7 port 51234 ssh2"
	for _, row := range []struct {
		name, msg string
		want      accepted // without an address: not understood
	}{
		{"a key", "Accepted publickey for alice" + tail + ": ED25519 " + print1, accepted{"alice", "publickey", print1, ip, 51234}},
		{"a key of old times", "Accepted publickey for alice" + tail + ": RSA 8b:1f:00:aa", accepted{"alice", "publickey", "8b:1f:00:aa", ip, 51234}},
		{"a key, not named", "Accepted publickey for alice" + tail, accepted{"alice", "publickey", "", ip, 51234}},
		{"a password", "Accepted password for root" + tail, accepted{"root", "password", "", ip, 51234}},
		{"keyboard-interactive", "Accepted keyboard-interactive/pam for root" + tail, accepted{"root", "keyboard-interactive/pam", "", ip, 51234}},
		{"Kerberos", "Accepted gssapi-with-mic for alice" + tail + ": alice@EXAMPLE.COM", accepted{"alice", "gssapi-with-mic", "", ip, 51234}},
		{"hostbased", "Accepted hostbased for alice" + tail + ": RSA " + print1 + `, client user "al", client host "x from y"`, accepted{"alice", "hostbased", print1, ip, 51234}},
		{"IPv6", "Accepted password for root from 2001:db8::7 port 1 ssh2", accepted{"root", "password", "", netip.MustParseAddr("2001:db8::7"), 1}},
		{"IPv4 in IPv6", "Accepted password for root from ::ffff:203.0.113.7 port 1 ssh2", accepted{"root", "password", "", ip, 1}},
		{"a zone", "Accepted password for root from fe80::1%eth0 port 1 ssh2", accepted{"root", "password", "", netip.MustParseAddr("fe80::1"), 1}},
		{"a certificate", "Accepted publickey for alice" + tail + ": ED25519-CERT " + print1 + " ID alice@example.com (serial 42) CA ED25519 " + print2, accepted{"alice", "publickey", print1, ip, 51234}},
		{"a certificate with a spiteful name", "Accepted publickey for alice" + tail + ": ED25519-CERT " + print1 + " ID x (serial 7) CA RSA SHA256:no from 192.0.2.66 port 5 ssh2 (serial 42) CA ED25519 " + print2, accepted{"alice", "publickey", print1, ip, 51234}},
		{"a certificate that names another line", "Accepted publickey for alice" + tail + ": ED25519-CERT " + print1 + " ID x from 192.0.2.66 port 5 ssh2: ED25519 " + print2 + " ID q (serial 42) CA ED25519 " + print2, accepted{}},
		{"a user with an address", "Accepted password for a from 192.0.2.66 port 5" + tail, accepted{"a from 192.0.2.66 port 5", "password", "", ip, 51234}},
		{"a user who is a whole line", "Accepted password for a from 192.0.2.66 port 5 ssh2" + tail, accepted{"a from 192.0.2.66 port 5 ssh2", "password", "", ip, 51234}},
		{"a user who is a line with a key", "Accepted publickey for a from 192.0.2.66 port 5 ssh2: ED25519 " + print2 + tail + ": ED25519 " + print1, accepted{"a from 192.0.2.66 port 5 ssh2: ED25519 " + print2, "publickey", print1, ip, 51234}},
		{"a user named for", "Accepted password for for from" + tail, accepted{"for from", "password", "", ip, 51234}},
		{"an empty user", "Accepted password for " + tail, accepted{"", "password", "", ip, 51234}},
		{"a backslash", `Accepted password for CORP\\alice` + tail, accepted{`CORP\alice`, "password", "", ip, 51234}},
		{"letters that the log can't hold", `Accepted password for zo\303\253` + tail, accepted{"zoë", "password", "", ip, 51234}},
		{"a name for an address", "Accepted password for root from host.example.com port 1 ssh2", accepted{}},
		{"no such port", "Accepted password for root from 203.0.113.7 port 99999 ssh2", accepted{}},
		{"more after the end", "Accepted password for root from 203.0.113.7 port 1 ssh2x", accepted{}},
		{"a failure", "Failed password for root from 203.0.113.7 port 1 ssh2", accepted{}},
		{"cut short", "Accepted publickey for alice from 203.0.113.7 port 512", accepted{}},
		{"a certificate cut short", "Accepted publickey for alice" + tail + ": ED25519-CERT " + print1 + " ID alice (serial", accepted{}},
	} {
		got, ok := parseAccepted(row.msg)
		if ok != row.want.ip.IsValid() || ok && got != row.want {
			t.Errorf("%s: %+v, %v", row.name, got, ok)
		}
	}
}

func TestReadAuthLog(t *testing.T) {
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	says := "Accepted publickey for alice from 203.0.113.7 port 51234 ssh2: ED25519 " + print1
	log := strings.Join([]string{
		"2025-12-31T23:59:00.639800+01:00 db1 sshd[812]: " + says,
		"Jan  9 03:04:05 db1 sshd[813]: " + says,
		"Jan 10 23:04:05 db1 sshd-session[814]: " + says, // within a day of now
		"Jan 12 03:04:05 db1 sshd[815]: " + says,         // of last year, then
		"Feb 29 03:04:05 db1 sshd[816]: " + says,         // of 2024
		"<38>Jul  1 03:04:05 db1 sshd[817]: " + says + "\r",
		"Jan  9 03:04:05 db1 sshd[813]: Failed password for root from 203.0.113.7 port 51234 ssh2",
		"Jan  9 03:04:05 db1 sudo[813]: alice: Accepted " + says, // another program's
		"Jan  9 03:04:05 db1 sshdx[813]: " + says,
		"Jan  9 03:04:05 db1 sshd[813]: " + says[:60],
		"Feb 30 03:04:05 db1 sshd[813]: " + says,
		"yesterday db1 sshd[813]: " + says,
		"",
		strings.Repeat("x", maxLine+10),
		"Jan  9 03:04:06 db1 sshd[818]: " + says, // without an end
	}, "\n")
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(log), "a byte at a time": iotest.OneByteReader(strings.NewReader(log))} {
		var c Counts
		var got []string
		for _, e := range collect(t, ReadAuthLog(r, now, berlin, &c)) {
			got = append(got, e.Time.Format(time.RFC3339Nano))
			if e.User != "alice" || e.Host != "db1" || e.Port != 51234 || e.Key != print1 || e.Source != SourceAuthLog {
				t.Errorf("%s: %+v", name, e)
			}
		}
		want := []string{"2025-12-31T22:59:00.639Z", "2026-01-09T02:04:05Z", "2026-01-10T22:04:05Z", "2025-01-12T02:04:05Z", "2024-02-29T02:04:05Z", "2025-07-01T01:04:05Z", "2026-01-09T02:04:06Z"}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if c != (Counts{Logins: 7, Other: 4, Bad: 4}) {
			t.Errorf("%s: %+v", name, c)
		}
	}
	for _, err := range ReadAuthLog(iotest.ErrReader(io.ErrClosedPipe), now, nil, nil) {
		if err != io.ErrClosedPipe {
			t.Error(err)
		}
	}
}

func TestReadJournal(t *testing.T) {
	says := "Accepted publickey for alice from 203.0.113.7 port 51234 ssh2: ED25519 " + print1
	entry := func(change map[string]any) string {
		m := map[string]any{"MESSAGE": says, "_COMM": "sshd", "_EXE": "/usr/sbin/sshd", "_TRANSPORT": "syslog", "_UID": "0", "_HOSTNAME": "db1", "SYSLOG_IDENTIFIER": "sshd", "__CURSOR": "s=1",
			"__REALTIME_TIMESTAMP": "1767225540639900", "_SOURCE_REALTIME_TIMESTAMP": "1767225540639800"}
		for k, v := range change {
			if m[k] = v; v == nil {
				delete(m, k)
			}
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	var numbers []int
	for _, b := range []byte(says) {
		numbers = append(numbers, int(b))
	}
	good := entry(nil) + entry(map[string]any{"_COMM": "sshd-session"}) + entry(map[string]any{"MESSAGE": numbers}) +
		entry(map[string]any{"MESSAGE": []string{says, "and more"}}) + entry(map[string]any{"_SOURCE_REALTIME_TIMESTAMP": nil}) + "\n"
	other := entry(map[string]any{"_COMM": "logger", "_UID": "1000"}) + entry(map[string]any{"_UID": "1000"}) + entry(map[string]any{"_EXE": nil}) +
		entry(map[string]any{"MESSAGE": "Server listening on 0.0.0.0 port 22."}) + entry(map[string]any{"MESSAGE": json.RawMessage("null")}) +
		entry(map[string]any{"MESSAGE": map[string]any{"a": 1}}) + entry(map[string]any{"MESSAGE": []int{300, -1}})
	bad := "{\n[]\n" + entry(map[string]any{"__REALTIME_TIMESTAMP": "soon", "_SOURCE_REALTIME_TIMESTAMP": nil}) + entry(map[string]any{"MESSAGE": says[:50]}) + `{"MESSAGE":"` + strings.Repeat("x", maxLine)
	var c Counts
	all := collect(t, ReadJournal(strings.NewReader(good+other+bad), &c))
	if c != (Counts{Logins: 5, Other: 7, Bad: 5}) {
		t.Errorf("%+v", c)
	}
	for _, e := range all {
		if e.User != "alice" || e.Host != "db1" || e.Key != print1 || e.Time.Format(time.RFC3339Nano) != "2025-12-31T23:59:00.639Z" || e.Source != SourceJournal {
			t.Errorf("%+v", e)
		}
	}
}

// utmp gives a record of wtmp in one of its two sizes.
func utmp(size int, kind uint16, line, user, host string, ip string, at time.Time) []byte {
	r := make([]byte, size)
	binary.LittleEndian.PutUint16(r, kind)
	binary.LittleEndian.PutUint32(r[4:], 4711)
	copy(r[8:40], line)
	copy(r[44:76], user)
	copy(r[76:332], host)
	sec, usec, addr := 340, 344, 348
	if size == 400 {
		sec, usec, addr = 344, 352, 360
	}
	binary.LittleEndian.PutUint32(r[sec:], uint32(at.Unix()))
	binary.LittleEndian.PutUint32(r[usec:], uint32(at.Nanosecond()/1000))
	if ip != "" {
		copy(r[addr:], netip.MustParseAddr(ip).AsSlice())
	}
	return r
}

func TestReadWtmp(t *testing.T) {
	at := time.Date(2026, 11, 21, 2, 15, 4, 123_000_000, time.UTC)
	later := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC) // beyond 31 bits
	for _, size := range []int{384, 400} {
		var file bytes.Buffer
		for _, r := range [][]byte{
			utmp(size, 2, "~", "reboot", "6.1.0-18-amd64", "", at),
			utmp(size, 7, "pts/0", "alice", "203.0.113.7", "203.0.113.7", at),
			utmp(size, 7, "pts/1", "alice", "client.example.com", "203.0.113.7", at),
			utmp(size, 7, "pts/2", "bob", "2001:db8::7", "2001:db8::7", at),
			utmp(size, 7, "pts/3", "bob", "2001:db8::", "2001:db8::", at),
			utmp(size, 7, "pts/4", strings.Repeat("n", 32), "::1", "::1", later),
			utmp(size, 7, "pts/5", "alice", ":pts/0:S.0", "", at), // screen
			utmp(size, 7, "tty1", "root", "", "", at),
			utmp(size, 7, "pts/6", "", "203.0.113.7", "203.0.113.7", at),
			utmp(size, 7, "pts/7", "zero", "203.0.113.7", "203.0.113.7", time.Unix(0, 0)),
			utmp(size, 8, "pts/0", "", "", "", at),
			utmp(size, 99, "pts/0", "", "", "", at),
			utmp(size, 7, "pts/0", "torn", "203.0.113.7", "203.0.113.7", at)[:100],
		} {
			file.Write(r)
		}
		var c Counts
		var got []string
		for _, e := range collect(t, ReadWtmp(&file, "db1", &c)) {
			got = append(got, fmt.Sprint(e.User, " ", e.IP, " ", e.Time.Format(time.RFC3339Nano)))
			if e.Host != "db1" || e.Source != SourceWtmp {
				t.Errorf("%+v", e)
			}
		}
		const stamp = " 2026-11-21T02:15:04.123Z"
		want := []string{"alice 203.0.113.7" + stamp, "alice 203.0.113.7" + stamp, "bob 2001:db8::7" + stamp, "bob 2001:db8::" + stamp, strings.Repeat("n", 32) + " ::1 2040-01-01T00:00:00Z"}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%d bytes: %s", size, diff)
		}
		if c != (Counts{Logins: 5, Other: 4, Bad: 4}) {
			t.Errorf("%d bytes: %+v", size, c)
		}
	}
}

// checkRead holds for whatever bytes: what is read can be remembered, and
// reading takes no more memory than a line.
func checkRead(t *testing.T, seq iter.Seq2[Entry, error], c *Counts, size int) {
	n := 0
	for e, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if n++; e.ID == "" {
			e.ID = e.importID()
		}
		if err := e.check(); err != nil || !e.IP.IsValid() || e.IP.Zone() != "" || e.IP.Is4In6() {
			t.Fatalf("%+v: %v", e, err)
		}
		if _, err := e.groups(); err != nil {
			t.Fatal(err)
		}
		again := e.normal()
		if diff := gocmp.Diff(e, again, sameAddr); diff != "" {
			t.Fatal(diff)
		}
	}
	if n != c.Logins || n+c.Other+c.Bad > size+1 {
		t.Fatalf("%d entries: %+v", n, c)
	}
}

func FuzzReadWtmp(f *testing.F) {
	at := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	f.Add(utmp(384, 7, "pts/0", "alice", "203.0.113.7", "203.0.113.7", at))
	f.Add(append(utmp(400, 2, "~", "reboot", "", "", at), utmp(400, 7, "ssh:notty", "bob", "x", "2001:db8::7", at)...))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Counts
		checkRead(t, ReadWtmp(bytes.NewReader(b), "db1", &c), &c, len(b))
	})
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte(`{"MESSAGE":"Accepted publickey for a from 203.0.113.7 port 1 ssh2: RSA ` + print1 + `","SYSLOG_IDENTIFIER":"sshd","_EXE":"/usr/sbin/sshd","_UID":"0","__REALTIME_TIMESTAMP":"1767225540639900"}`))
	f.Add([]byte(`{"MESSAGE":[65,99,255],"_COMM":["sshd","x"],"_UID":null}` + "\n\n[]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Counts
		checkRead(t, ReadJournal(bytes.NewReader(b), &c), &c, len(b))
	})
}

func FuzzReadAuthLog(f *testing.F) {
	f.Add([]byte("Jan  9 03:04:05 db1 sshd[813]: Accepted publickey for a\\303 from 203.0.113.7 port 1 ssh2: ED25519-CERT " + print1 + " ID x (serial 1) CA RSA " + print2))
	f.Add([]byte("2025-12-31T23:59:00.6+01:00 db1 sshd-session[1]: Accepted password for a from ::1 port 1 ssh2\n<38>x\r\n"))
	f.Add([]byte("Feb 29 03:04:05 h sshd: Accepted none for  from fe80::1%eth0 port 0 ssh2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Counts
		checkRead(t, ReadAuthLog(bytes.NewReader(b), day0, time.UTC, &c), &c, len(b))
	})
}

// An accepted line is made of what parseAccepted says it is, whoever the user
// claims to be.
func FuzzParseAccepted(f *testing.F) {
	f.Add("alice")
	f.Add("a from 192.0.2.66 port 5 ssh2: ED25519 " + print2 + " ID x (serial 1) CA RSA " + print2)
	f.Add("a from 192.0.2.66 port 5 ssh2")
	f.Fuzz(func(t *testing.T, user string) {
		for _, info := range []string{"", ": ED25519 " + print1, ": ED25519-CERT " + print1 + " ID a b (serial 42) CA RSA " + print2} {
			a, ok := parseAccepted("Accepted publickey for " + user + " from 203.0.113.7 port 51234 ssh2" + info)
			if ok && (a.ip != netip.MustParseAddr("203.0.113.7") || a.user != unvis(user)) {
				t.Fatalf("%q was read as %+v", user, a)
			}
		}
	})
}
