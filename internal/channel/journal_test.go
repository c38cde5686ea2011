package channel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// readEntry reads an entry of the journal's native protocol, in which every value
// has its length before it.
func readEntry(t *testing.T, b []byte) (fields [][2]string) {
	t.Helper()
	for len(b) > 0 {
		name, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok || len(rest) < 8 || !regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`).Match(name) {
			t.Fatalf("no field: %q", b)
		}
		n := binary.LittleEndian.Uint64(rest)
		rest = rest[8:]
		if uint64(len(rest)) < n+1 || rest[n] != '\n' {
			t.Fatalf("%s has no end: %q", name, b)
		}
		fields = append(fields, [2]string{string(name), string(rest[:n])})
		b = rest[n+1:]
	}
	return fields
}

// What the journal gets for each kind and severity.
func TestJournalEntries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	to, err := (&Journal{Socket: path}).Open("far", Env{})
	if err != nil {
		t.Fatal(err)
	}
	if said := checked(t, to); !strings.Contains(said, "✓ journal far") {
		t.Errorf("doctor says %s", said)
	}
	var b bytes.Buffer
	all := goldenAlerts()
	for name, a := range alerts() {
		if name != "the longest digest" { // more entries than a socket nobody reads takes
			all[name] = a
		}
	}
	buf := make([]byte, 256<<10)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, err := to.Send(t.Context(), all[name]); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		fmt.Fprintf(&b, "== %s\n", name)
		for range 1 + len(all[name].Rows) {
			conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			seen := map[string]bool{}
			for _, f := range readEntry(t, buf[:n]) {
				fmt.Fprintf(&b, "%s=%s\n", f[0], f[1])
				if strings.ContainsAny(f[1], "\n\x00") || seen[f[0]] && f[0] != "SSHNOTIFY_FLAG" {
					t.Errorf("%s: %s twice, or of two lines: %q", name, f[0], f[1])
				}
				seen[f[0]] = true
			}
			if !seen["MESSAGE"] || !seen["PRIORITY"] || !seen["MESSAGE_ID"] || !seen["SSHNOTIFY_REF"] {
				t.Errorf("%s: %v", name, seen)
			}
		}
	}
	golden(t, "journal.golden", b.String())
}

func TestNoJournal(t *testing.T) {
	to, err := (&Journal{Socket: filepath.Join(t.TempDir(), "socket")}).Open("far", Env{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = to.Send(t.Context(), login())
	var e *Error
	if !errors.As(err, &e) || e.Class != Again || e.Sent || !strings.Contains(e.Hint, "systemd-journald") {
		t.Errorf("%+v", err)
	}
	if said := checked(t, to); !strings.Contains(said, "✗ journal far") {
		t.Errorf("doctor says %s", said)
	}
}
