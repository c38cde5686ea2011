package records

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
	"github.com/sshnotify/sshnotify/internal/watch/source"
)

const (
	print1 = "SHA256:Mwv3M0mQ3b5tG1Zr0eJ9kU2mPpPj7bq5cXyZ0aBcDeF"
	print2 = "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGeK0VmMZ8vqGkV4S1I"
)

// read reads what a file of a form holds.
func read(t testing.TB, form history.Source, in io.Reader, h Host) ([]history.Entry, Counts) {
	t.Helper()
	h.Most = 1 << 20
	var all []history.Entry
	var n Counts
	for e, err := range (&Record{Format: form, host: h, in: in}).Logins(t.Context(), &n) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all, n
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
		"Jan 10 23:04:05 db1 sshd-session[814]: " + says,    // within a day of now
		"Jan 12 03:04:05 db1 sshd[815]: " + says,            // of last year, then
		"Feb 29 03:04:05 db1 sshd[816]: " + says,            // of 2024
		"<38>Jul  1 03:04:05 db1 sshd[817]: " + says + "\r", // in the zone of the first line
		"Jan  9 03:04:05 db1 sshd[813]: Failed password for root from 203.0.113.7 port 51234 ssh2",
		"Jan  9 03:04:05 db1 sudo[813]: alice: Accepted " + says, // another program's
		"Jan  9 03:04:05 db1 sshdx[813]: " + says,
		"Jan  9 03:04:05 db1 sshd[813]: " + says[:60],
		"Feb 30 03:04:05 db1 sshd[813]: " + says,
		"yesterday db1 sshd[813]: " + says,
		"",
		strings.Repeat("x", 1<<20),
		"Jan  9 03:04:06 db1 sshd[818]: " + says, // without an end
	}, "\n")
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(log), "a byte at a time": iotest.OneByteReader(strings.NewReader(log))} {
		all, c := read(t, history.SourceAuthLog, r, Host{Zone: berlin, Now: func() time.Time { return now }})
		var got []string
		for _, e := range all {
			got = append(got, e.Time.Truncate(time.Millisecond).Format(time.RFC3339Nano))
			if e.User != "alice" || e.Host != "db1" || e.Port != 51234 || e.Key != print1 || e.Source != history.SourceAuthLog {
				t.Errorf("%s: %+v", name, e)
			}
		}
		want := []string{"2025-12-31T22:59:00.639Z", "2026-01-09T02:04:05Z", "2026-01-10T22:04:05Z", "2025-01-12T02:04:05Z", "2024-02-29T02:04:05Z", "2025-07-01T02:04:05Z", "2026-01-09T02:04:06Z"}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := gocmp.Diff(Counts{Logins: 7, Other: 3, Bad: 5, Unread: parse.Unread{ByForm: map[string]int64{"sshd: Accepted publickey for alice from # …": 1, "sudo: alice: Accepted Accepted publickey for alice …": 1}}}, c); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, err := range (&Record{in: iotest.ErrReader(io.ErrClosedPipe)}).Logins(t.Context(), new(Counts)) {
		if !errors.Is(err, io.ErrClosedPipe) {
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
		entry(map[string]any{"_SOURCE_REALTIME_TIMESTAMP": nil}) + "\n"
	other := entry(map[string]any{"_COMM": "logger", "_UID": "1000"}) + entry(map[string]any{"_UID": "1000"}) + entry(map[string]any{"_EXE": nil}) +
		entry(map[string]any{"MESSAGE": "Server listening on 0.0.0.0 port 22."}) + entry(map[string]any{"MESSAGE": json.RawMessage("null")}) +
		entry(map[string]any{"MESSAGE": map[string]any{"a": 1}}) + entry(map[string]any{"MESSAGE": []int{300, -1}})
	bad := "{\n[]\n" + entry(map[string]any{"__REALTIME_TIMESTAMP": "soon", "_SOURCE_REALTIME_TIMESTAMP": nil}) + entry(map[string]any{"MESSAGE": says[:50]}) + `{"MESSAGE":"` + strings.Repeat("x", 1<<20)
	all, c := read(t, history.SourceJournal, strings.NewReader(good+other+bad), Host{})
	if diff := gocmp.Diff(Counts{Logins: 4, Other: 7, Bad: 5, Unread: parse.Unread{ByForm: map[string]int64{"sshd: Accepted publickey for alice from # …": 1}}}, c); diff != "" {
		t.Error(diff)
	}
	for _, e := range all {
		if e.User != "alice" || e.Host != "db1" || e.Key != print1 || e.Time.Truncate(time.Millisecond).Format(time.RFC3339Nano) != "2025-12-31T23:59:00.639Z" || e.Source != history.SourceJournal {
			t.Errorf("%+v", e)
		}
	}
}

// utmp returns a record of wtmp in one of its two sizes.
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
		all, c := read(t, history.SourceWtmp, &file, Host{})
		var got []string
		for _, e := range all {
			got = append(got, fmt.Sprint(e.User, " ", e.IP, " ", e.Time.Format(time.RFC3339Nano)))
			if e.Host != "" || e.Source != history.SourceWtmp {
				t.Errorf("%+v", e)
			}
		}
		const stamp = " 2026-11-21T02:15:04.123Z"
		want := []string{"alice 203.0.113.7" + stamp, "alice 203.0.113.7" + stamp, "bob 2001:db8::7" + stamp, "bob 2001:db8::" + stamp, strings.Repeat("n", 32) + " ::1 2040-01-01T00:00:00Z"}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%d bytes: %s", size, diff)
		}
		if diff := gocmp.Diff(Counts{Logins: 5, Other: 4, Bad: 4}, c); diff != "" {
			t.Errorf("%d bytes: %s", size, diff)
		}
	}
}

// checkRead holds for whatever bytes: what is read can be remembered.
func checkRead(t *testing.T, form history.Source, b []byte) {
	all, c := read(t, form, bytes.NewReader(b), Host{Zone: time.UTC, Now: func() time.Time { return time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC) }})
	for _, e := range all {
		if !plausible(e.Time) || !e.IP.IsValid() || e.IP.Zone() != "" || e.IP.Is4In6() || e.Source != form {
			t.Fatalf("%+v", e)
		}
	}
	if len(all) != c.Logins || len(all)+c.Other+c.Bad > len(b)+1 {
		t.Fatalf("%d entries: %+v", len(all), c)
	}
}

func FuzzReadWtmp(f *testing.F) {
	at := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	f.Add(utmp(384, 7, "pts/0", "alice", "203.0.113.7", "203.0.113.7", at))
	f.Add(append(utmp(400, 2, "~", "reboot", "", "", at), utmp(400, 7, "ssh:notty", "bob", "x", "2001:db8::7", at)...))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkRead(t, history.SourceWtmp, unpacked(b))
	})
}

func FuzzReadJournal(f *testing.F) {
	f.Add([]byte(`{"MESSAGE":"Accepted publickey for a from 203.0.113.7 port 1 ssh2: RSA ` + print1 + `","SYSLOG_IDENTIFIER":"sshd","_EXE":"/usr/sbin/sshd","_UID":"0","__REALTIME_TIMESTAMP":"1767225540639900"}`))
	f.Add([]byte(`{"MESSAGE":[65,99,255],"_COMM":["sshd","x"],"_UID":null}` + "\n\n[]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkRead(t, history.SourceJournal, unpacked(b))
	})
}

func FuzzReadAuthLog(f *testing.F) {
	f.Add([]byte("Jan  9 03:04:05 db1 sshd[813]: Accepted publickey for a\\303 from 203.0.113.7 port 1 ssh2: ED25519-CERT " + print1 + " ID x (serial 1) CA RSA " + print2))
	f.Add([]byte("2025-12-31T23:59:00.6+01:00 db1 sshd-session[1]: Accepted password for a from ::1 port 1 ssh2\n<38>x\r\n"))
	f.Add([]byte("Feb 29 03:04:05 h sshd: Accepted none for  from fe80::1%eth0 port 0 ssh2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkRead(t, history.SourceAuthLog, unpacked(b))
	})
}

// unpacked makes bytes that are taken for packed ones some that are not.
func unpacked(b []byte) []byte {
	content, err := source.Unpack(bytes.NewReader(b), 1)
	if err == nil {
		if all, _ := io.ReadAll(content); bytes.Equal(all, b) {
			return b
		}
	}
	return append([]byte{'x'}, b...)
}

func TestFormOf(t *testing.T) {
	for content, want := range map[string]history.Source{
		string(utmp(384, 7, "pts/0", "alice", "203.0.113.7", "203.0.113.7", time.Unix(1795226400, 0))): history.SourceWtmp,
		`{"MESSAGE":"Accepted"}`:                                 history.SourceJournal,
		"\n " + `{"MESSAGE":"Accepted"}`:                         history.SourceJournal,
		"Nov 20 02:15:04 db1 sshd[812]: x\n":                     history.SourceAuthLog,
		"Nov  1 02:15:04 db1 sshd[812]: x\n":                     history.SourceAuthLog,
		"<38>" + "Nov 20 02:15:04 db1 sshd[812]: x\n":            history.SourceAuthLog,
		"2026-11-20T02:15:04.639800+01:00 db1 sshd[812]: x":      history.SourceAuthLog,
		"d from a line\n" + "Nov 20 02:15:04 db1 sshd[812]: x\n": history.SourceAuthLog,
		"alice pts/0 203.0.113.7 Sat Nov 21 02:15":               "",
		"SQLite format 3\x00":                                    "",
		"\x07":                                                   "",
		"":                                                       "",
	} {
		if got := (Host{Now: time.Now}).formOf([]byte(content)); got != want {
			t.Errorf("%.40q is %q, want %q", content, got, want)
		}
	}
}

// Whatever bytes: reading ends, within its bounds, and what it says can be shown.
func FuzzContent(f *testing.F) {
	f.Add([]byte("Nov 20 02:15:04 db1 sshd[812]: x\n"))
	f.Add([]byte(`{"MESSAGE":"Accepted"}`))
	f.Add([]byte(string(utmp(384, 7, "pts/0", "a", "b", "203.0.113.7", time.Unix(1795226400, 0)))))
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(make([]byte, 1<<20))
	w.Close()
	f.Add(b.Bytes())
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 64 << 10
		r := &Record{Name: "x", in: bytes.NewReader(b), host: Host{Most: most}}
		content, err := r.content(t.Context())
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, content)
		if packed := len(unpacked(b)) > len(b); packed && (n > most || n == most && err == nil) || !packed && n != int64(len(b)) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		if n > 4 && r.Format == "" {
			t.Fatal("it was taken for nothing")
		}
	})
}
