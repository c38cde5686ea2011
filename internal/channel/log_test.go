package channel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/syslog"
)

// listen is a system log that keeps what it is sent.
func listen(t *testing.T) (w *syslog.Writer, lines func(n int) []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	head := regexp.MustCompile(`^<(\d+)>sshnotify\[\d+\]: `)
	return &syslog.Writer{Paths: []string{path}, Timeout: time.Minute}, func(n int) []string {
		var got []string
		buf := make([]byte, 64<<10)
		for range n {
			conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			size, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("after %d lines: %v", len(got), err)
			}
			got = append(got, head.ReplaceAllString(string(buf[:size]), "<$1> "))
		}
		return got
	}
}

func TestLog(t *testing.T) {
	addr := netip.MustParseAddr
	full := login()
	full.Person = "Alice, laptop"
	full.Facts = event.Facts{
		Risk:    &event.Risk{Provider: "Threat Jammer", Known: true, Score: 72},
		Network: event.Network{ASN: 64500, Name: "EXAMPLE-NET"},
		Place:   event.Place{Country: "IE"},
	}
	forged := login()
	forged.Event.User = `x" severity=low user=root`
	forged.Event.Host = "a\nb"
	forged.Verdict.Severity = event.Low
	forged.Facts.Risk = &event.Risk{}
	digest := event.Alert{
		ID: "D1G30000000000000000000000", Verdict: event.Verdict{Severity: event.Critical},
		Rows: []event.Row{
			{User: "root", Host: "web1", Kind: event.KindLogin, Count: 3, IPs: []netip.Addr{addr("203.0.113.7"), addr("2001:db8::7")}, MoreIPs: 1, Severity: event.Critical, Reason: "after an attack"},
			{User: "bob", Host: "web1", Kind: event.KindLogout, Count: 300},
		},
		Count: 303,
	}
	note := event.Alert{
		ID: "N0TE0000000000000000000000", Count: 1, Verdict: event.Verdict{Severity: event.Medium},
		Event: event.Event{Kind: event.KindAlert, Host: "db1", Alert: &event.Note{Title: "backup", Text: "it failed"}},
	}
	for _, tc := range []struct {
		name string
		a    event.Alert
		want []string // without msg=, which is slackmsg's
	}{
		{"a login", full, []string{
			`<84> severity=high ref=7K3F kind=login user=alice host=db1.example.com ip=203.0.113.7 time=2026-11-21T02:15:04Z why="first time from Bulgaria" method=publickey fingerprint=SHA256:abc person="Alice, laptop" risk=72 as="AS64500 EXAMPLE-NET" country=IE`,
		}},
		{"a name that forges a field", forged, []string{
			`<86> severity=low ref=7K3F kind=login user="x\" severity=low user=root" host="a\nb" ip=203.0.113.7 time=2026-11-21T02:15:04Z why="first time from Bulgaria" method=publickey fingerprint=SHA256:abc risk=unknown`,
		}},
		{"a digest", digest, []string{
			`<83> severity=critical ref=D1G3 count=303`,
			`<83> severity=critical ref=D1G3 kind=login user=root host=web1 count=3 ip=203.0.113.7,2001:db8::7 more_ips=1 why="after an attack"`,
			`<86> severity=low ref=D1G3 kind=logout user=bob host=web1 count=300`,
		}},
		{"a note", note, []string{
			`<85> severity=medium ref=N0TE kind=alert host=db1 text="it failed"`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, lines := listen(t)
			d := newLog(w)
			if _, err := d.Send(t.Context(), tc.a); err != nil {
				t.Fatal(err)
			}
			got := lines(len(tc.want))
			msg := regexp.MustCompile(` msg="(\\.|[^"\\])*"`)
			if !msg.MatchString(got[0]) {
				t.Errorf("no headline in %s", got[0])
			}
			got[0] = msg.ReplaceAllString(got[0], "")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if d.Name() != "log" || d.Traits().Pace != 0 {
				t.Errorf("%s, %v", d.Name(), d.Traits().Pace)
			}
		})
	}
}

func TestLogThatCannotBeWritten(t *testing.T) {
	missing := &syslog.Writer{Paths: []string{filepath.Join(t.TempDir(), "none")}, Timeout: time.Second}
	var e *Error
	if _, err := newLog(missing).Send(t.Context(), login()); !errors.As(err, &e) || e.Class != Again || e.Sent {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w, _ := listen(t)
	if _, err := newLog(w).Send(ctx, login()); !errors.As(err, &e) || e.Class != Again || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A line too long for the socket was told by its start; trying again for a week
// would tell it a thousand times.
func TestLogLineThatIsCutIsTold(t *testing.T) {
	long := login()
	long.Verdict.Reasons = []string{strings.Repeat("very ", 100_000)}
	w, lines := listen(t)
	if _, err := newLog(w).Send(t.Context(), long); err != nil {
		t.Fatal(err)
	}
	if got := lines(1)[0]; !strings.Contains(got, "severity=high ref=7K3F msg=") || !strings.Contains(got, "user=alice") {
		t.Errorf("got %s", got)
	}
}

func newLog(w *syslog.Writer) Channel {
	c, _ := new(Log).Open("log", Env{Log: w}) // which never fails
	return c
}
