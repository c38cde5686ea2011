package channel

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sshnotify/sshnotify/internal/doctor"
	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/standin"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// logServer is a syslog server on loopback that keeps the messages, each in its
// frame, over TCP or UDP.
func logServer(t *testing.T, transport string) (address string, messages func(n int) []string) {
	t.Helper()
	got := make(chan string, 1000)
	switch transport {
	case syslogUDP:
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			for {
				b := make([]byte, 64<<10)
				n, _, err := conn.ReadFrom(b)
				if err != nil {
					return
				}
				got <- string(b[:n])
			}
		}()
		address = conn.LocalAddr().String()
	default:
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				for r := bufio.NewReader(conn); ; {
					length, err := r.ReadString(' ')
					if err != nil {
						break
					}
					n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
					if err != nil || n > 8192 {
						got <- fmt.Sprintf("no length: %q", length)
						break
					}
					b := make([]byte, n)
					io.ReadFull(r, b)
					got <- string(b)
				}
				conn.Close()
			}
		}()
		address = l.Addr().String()
	}
	return address, func(n int) (all []string) {
		for range n {
			select {
			case m := <-got:
				all = append(all, m)
			case <-time.After(30 * time.Second):
				return all
			}
		}
		return all
	}
}

func openSyslog(t *testing.T, settings string) (Channel, error) {
	t.Helper()
	s := new(Syslog)
	if err := strictoml.Unmarshal("config.toml", []byte(settings), s); err != nil {
		return nil, err
	}
	return s.Open("far", Env{})
}

// A message of RFC 5424, 6: the header, structured data, and the words.
var rfc5424 = regexp.MustCompile(`(?s)^<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) ([!-~]{1,255}) sshnotify - ([!-~]{1,32}) (\[sshnotify@32473(?: [a-z_]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*\]) (.*)$`)

// What is sent for each kind and severity is in its frame, and no word of a
// stranger leaves its place.
func TestSyslogMessages(t *testing.T) {
	for _, transport := range []string{syslogTCP, syslogUDP} {
		address, messages := logServer(t, transport)
		to, err := openSyslog(t, fmt.Sprintf("server=%q\ntransport=%q", address, transport))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		all := goldenAlerts()
		maps.Copy(all, alerts())
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if _, err := to.Send(t.Context(), all[name]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			fmt.Fprintf(&b, "== %s\n", name)
			want := 1 + len(all[name].Rows)
			got := messages(want)
			if len(got) != want {
				t.Errorf("%s by %s: %d messages, want %d", name, transport, len(got), want)
			}
			for _, m := range got {
				if name != "the longest digest" { // its id is another each time
					fmt.Fprintln(&b, m)
				}
				parts := rfc5424.FindStringSubmatch(m)
				if parts == nil || !utf8.ValidString(m) || strings.ContainsAny(m, "\n\r\x00") {
					t.Errorf("%s by %s: %q", name, transport, m)
					continue
				}
				if len(m) > maxSyslog || transport == syslogUDP && len(m) > maxSyslogUDP {
					t.Errorf("%s by %s: %d bytes", name, transport, len(m))
				}
				words, marked := strings.CutPrefix(parts[6], "\ufeff")
				if ascii := !strings.ContainsFunc(words, func(r rune) bool { return r > '~' }); marked == ascii || words == "" {
					t.Errorf("%s: the mark of UTF-8 is %v for %q", name, marked, words)
				}
			}
		}
		if transport == syslogTCP {
			golden(t, "syslog.golden", b.String())
		}
	}
}

// A name with what ends a value, and with what begins another one.
func TestSyslogEscapes(t *testing.T) {
	a := login()
	a.Event.User = `x"] [y@1 z="1\`
	a.Event.Host = "db 1\x00é"
	got := string(syslogMessage(a, alertLine(a), 10, maxSyslog))
	if !strings.Contains(got, ` user="x\"\] [y@1 z=\"1\\"`) || !strings.Contains(got, " db?1?? sshnotify - login ") && !strings.Contains(got, " db?1??? sshnotify") || rfc5424.FindString(got) == "" {
		t.Errorf("%q", got)
	}
	for severity, pri := range map[event.Severity]string{event.Low: "<86>", event.Medium: "<85>", event.High: "<84>", event.Critical: "<83>"} {
		a.Verdict.Severity = severity
		if got := string(syslogMessage(a, alertLine(a), 10, maxSyslog)); !strings.HasPrefix(got, pri+"1 ") {
			t.Errorf("%v: %q, want %s", severity, got, pri)
		}
	}
}

// Whatever the words are, the frame is whole.
func FuzzSyslogMessage(f *testing.F) {
	f.Add("alice", `"] [x@1 y="`, 2048)
	f.Add("\x00\n", strings.Repeat("é", 3000), 2048)
	f.Fuzz(func(t *testing.T, user, why string, most int) {
		a := login()
		a.Event.User, a.Event.Host, a.Event.Kind, a.Verdict.Reasons = user, why, event.Kind(why), []string{why, user}
		most = maxSyslogUDP + (most&0xffff)%(maxSyslog-maxSyslogUDP)
		m := string(syslogMessage(a, alertLine(a), 10, most))
		if !rfc5424.MatchString(m) || len(m) > most || !utf8.ValidString(m) || strings.ContainsAny(m, "\n\r\x00") {
			t.Errorf("%d of at most %d bytes: %q", len(m), most, m)
		}
	})
}

// The commonest mistakes, and what doctor and a message's error say of them.
func TestSyslogMistakes(t *testing.T) {
	address, _ := logServer(t, syslogTCP)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for _, tc := range []struct{ name, settings, want string }{
		{"nothing is wrong", fmt.Sprintf("server=%q\ntransport='tcp'", address), "takes connections"},
		{"UDP says nothing", fmt.Sprintf("server=%q\ntransport='udp'", address), "UDP says nothing"},
		{"nobody listens", fmt.Sprintf("server=%q\ntransport='tcp'", closed.Addr()), "see whether the server listens"},
		{"a URL", "server='tls://logs.example.com'", "server: must be a host, or host:port"},
		{"no port", "server='logs.example.com:'", "server: must be a host, or host:port"},
		{"a certificate's authority without TLS", "server='logs'\ntransport='udp'\nca_file='/x'", `transport = "tls" alone`},
		{"a certificate without its key", "server='logs'\ncert_file='/x'", "belong together"},
		{"no file", "server='logs'\nca_file='/nonexistent'", "ca_file: no such file"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to, err := openSyslog(t, tc.settings)
			said := fmt.Sprint(err)
			if err == nil {
				said = checked(t, to)
			}
			if !strings.Contains(said, tc.want) {
				t.Errorf("%q is not in %s", tc.want, said)
			}
		})
	}
	to, err := openSyslog(t, fmt.Sprintf("server=%q\ntransport='tcp'", closed.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	_, err = to.Send(t.Context(), login())
	var e *Error
	if !errors.As(err, &e) || e.Class != Again || e.Sent || e.Hint == "" {
		t.Errorf("%+v", err)
	}
}

// checked is what doctor --online says of a channel.
func checked(t *testing.T, to Channel) string {
	t.Helper()
	r := doctor.Run(t.Context(), doctor.Target{Online: true}, to.(Checker).Checks())
	var text strings.Builder
	r.WriteText(&text, false)
	return text.String()
}

// A real rsyslog takes every message, by TLS with certificates of both ends, TCP
// and UDP, and finds the fields in it.
func TestRsyslog(t *testing.T) {
	rsyslogd, root := standin.Program(t, "rsyslogd")
	dir := t.TempDir()
	ca := newAuthority(t)
	writeCertificate(t, dir, "server", ca.certificate(t, "localhost"))
	writeCertificate(t, dir, "client", ca.certificate(t, "db1"))
	caFile, conf := ca.file, filepath.Join(dir, "rsyslog.conf")
	tcp, udp, secure := freePort(t), freePort(t), freePort(t)
	log := filepath.Join(dir, "log")
	writeFile(t, conf, fmt.Appendf(nil, `global(workDirectory=%q defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile=%q
 defaultNetstreamDriverCertFile=%q defaultNetstreamDriverKeyFile=%q)
module(load="imudp") module(load="mmpstrucdata")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
module(load="imptcp")
template(name="fields" type="string" string="%%pri%% %%hostname%% %%app-name%% %%msgid%% user=%%$!rfc5424-sd!sshnotify@32473!user%% why=%%$!rfc5424-sd!sshnotify@32473!why%% msg=%%msg%%\n")
action(type="mmpstrucdata")
action(type="omfile" file=%q template="fields")
input(type="imtcp" port="%s" address="127.0.0.1")
input(type="imptcp" port="%s" address="127.0.0.1")
input(type="imudp" port="%s" address="127.0.0.1")
`, dir, caFile, filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"), log, secure, tcp, udp))
	modules := filepath.Join(root, "usr/lib/x86_64-linux-gnu/rsyslog")
	cmd := exec.Command(rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"), "-M", modules)
	cmd.Env = standin.Libraries(root)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+secure); err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not listen: %s", said.String())
		}
	}
	ours := fmt.Sprintf("\ncert_file=%q\nkey_file=%q", filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key"))
	for _, tc := range []struct{ transport, settings string }{
		{syslogTLS, fmt.Sprintf("server='localhost:%s'\nca_file=%q%s", secure, caFile, ours)},
		{syslogTCP, fmt.Sprintf("server='127.0.0.1:%s'\ntransport='tcp'\nfacility='local3'", tcp)},
		{syslogUDP, fmt.Sprintf("server='127.0.0.1:%s'\ntransport='udp'", udp)},
	} {
		t.Run(tc.transport, func(t *testing.T) {
			to, err := openSyslog(t, tc.settings)
			if err != nil {
				t.Fatal(err)
			}
			if said := checked(t, to); !strings.Contains(said, "✓ online far") {
				t.Errorf("doctor says %s", said)
			}
			a := login()
			a.Event.User, a.Verdict.Reasons = `eve"] x\`+tc.transport, []string{"first\ntime é"}
			if _, err := to.Send(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			pri := "84"
			if tc.transport == syslogTCP {
				pri = "156"
			}
			want := pri + ` db1.example.com sshnotify login user=eve"] x\` + tc.transport + ` why=first\u000atime é msg=`
			for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
				b, _ := os.ReadFile(log)
				if strings.Contains(string(b), want) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("no %q in\n%s%s", want, b, said.String())
				}
			}
		})
	}
	for name, tc := range map[string]struct{ settings, hint string }{
		"an unknown authority":                 {fmt.Sprintf("server='localhost:%s'%s", secure, ours), "ca_file"},
		"a name that is not the certificate's": {fmt.Sprintf("server='127.0.0.1:%s'\nca_file=%q%s", secure, caFile, ours), "stands in the server's certificate"},
		"no certificate of ours":               {fmt.Sprintf("server='localhost:%s'\nca_file=%q", secure, caFile), "name cert_file and key_file"},
		"TLS where there is none":              {fmt.Sprintf("server='localhost:%s'", tcp), "speaks no TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := openSyslog(t, tc.settings)
			if err != nil {
				t.Fatal(err)
			}
			_, err = to.Send(t.Context(), login())
			var e *Error
			if !errors.As(err, &e) || e.Class != Again || !strings.Contains(e.Hint, tc.hint) {
				t.Errorf("%#v: %v", e, err)
			}
			if said := checked(t, to); !strings.Contains(said, "✗ online far") || !strings.Contains(said, tc.hint) {
				t.Errorf("doctor says %s", said)
			}
		})
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// writeCertificate writes NAME.pem and NAME.key.
func writeCertificate(t *testing.T, dir, name string, c tls.Certificate) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
	writeFile(t, filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}
