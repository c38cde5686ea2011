package syslog

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// listen returns a system log that takes datagrams.
func listen(t *testing.T) (*net.UnixConn, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	return conn, path
}

func read(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 1<<20)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestSend(t *testing.T) {
	rows := []struct {
		name     string
		priority Priority
		msg      string
		want     string // after "<PRI>sshnotify[PID]: "
	}{
		{"plain", Err, "the spool is full", "the spool is full"},
		{"a second line can't be forged", Warning, "x\n<80>sshd[1]: Accepted password for root", `x\u000a<80>sshd[1]: Accepted password for root`},
		{"controls, NUL and a carriage return", Notice, "a\rb\x00c\x1b[2J", `a\u000db\u0000c\u001b[2J`},
		{"text that turns around", Info, "user \u202eecila", `user \u202eecila`},
		{"no UTF-8", Err, "a\xffb", "a\ufffdb"},
		{"another script stays", Err, "Zoë", "Zoë"},
		{"nothing", Err, "", ""},
		{"nothing but newlines", Err, strings.Repeat("\n", 100), strings.Repeat(`\u000a`, 100)},
		{"a whole event", Err, strings.Repeat("é\n", 10_000), strings.Repeat(`é\u000a`, 10_000)},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			conn, path := listen(t)
			w := &Writer{Paths: []string{path}, Timeout: 5 * time.Second}
			if err := w.Send(r.priority, r.msg); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("<%d>sshnotify[%d]: %s", 80+int(r.priority), os.Getpid(), r.want)
			if got := read(t, conn); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestNobodyReads(t *testing.T) {
	_, path := listen(t)
	w := &Writer{Paths: []string{path}, Timeout: 30 * time.Millisecond}
	for range 100_000 {
		start := time.Now()
		err := w.Send(Err, strings.Repeat("x", 4000))
		if err == nil {
			continue
		}
		if took := time.Since(start); took < w.Timeout || took > time.Minute {
			t.Errorf("gave up after %v, want little more than %v", took, w.Timeout)
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("error %v, want a deadline", err)
		}
		return
	}
	t.Fatal("the socket never filled up")
}

// On a busy machine the process may get its turn when its time is over.
func TestLateButThereIsRoom(t *testing.T) {
	conn, path := listen(t)
	w := &Writer{Paths: []string{path}, Timeout: 1}
	if err := w.Send(Err, "late"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, conn); !strings.HasSuffix(got, ": late") {
		t.Errorf("got %q", got)
	}
}

func TestNoSystemLog(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "log")
	w := New()
	w.Paths = []string{missing, missing}
	if err := w.Send(Err, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want one that says that it does not exist", err)
	}
	if err := new(Writer).Send(Err, "x"); err == nil {
		t.Error("a Writer without sockets logged something")
	}
}

func TestSecondSocketTakesIt(t *testing.T) {
	conn, path := listen(t)
	dead := filepath.Join(t.TempDir(), "dead")
	gone, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dead, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	gone.Close() // leaves the socket's file, which refuses
	w := &Writer{Paths: []string{dead, path}}
	if err := w.Send(Info, "here"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, conn); !strings.HasSuffix(got, ": here") {
		t.Errorf("got %q", got)
	}
}

func TestTheMoreTellingErrorIsGiven(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	for _, paths := range [][]string{{missing, file}, {file, missing}} {
		w := &Writer{Paths: paths}
		if err := w.Send(Err, "x"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: error %v, want why the socket that is there refused", paths, err)
		}
	}
}

func TestStreamSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w := &Writer{Paths: []string{path}, Timeout: 5 * time.Second}
	if err := w.Send(Info, "one\ntwo"); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 1000)
	n, _ := conn.Read(buf)
	if got := string(buf[:n]); !strings.HasSuffix(got, `: one\u000atwo`+"\n") {
		t.Errorf("got %q", got)
	}
}

func TestTooLongForTheSocket(t *testing.T) {
	conn, path := listen(t)
	w := &Writer{Paths: []string{path, path}, Timeout: 5 * time.Second}
	err := w.Send(Err, "starts "+strings.Repeat("é", 200_000))
	if !errors.Is(err, ErrCut) {
		t.Fatalf("error %v, want ErrCut", err)
	}
	got := read(t, conn)
	if !strings.Contains(got, ": starts é") || !strings.HasSuffix(got, "é…") || len(got) > 1024 || !utf8.ValidString(got) {
		t.Errorf("got %d bytes: %.60q", len(got), got)
	}
	if err := w.Send(Err, "next"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, conn); !strings.HasSuffix(got, ": next") {
		t.Errorf("the start was sent twice: %.60q", got)
	}
}

func FuzzSend(f *testing.F) {
	f.Add("plain")
	f.Add("a\nb\x00\xff\u2028")
	f.Fuzz(func(t *testing.T, msg string) {
		conn, path := listen(t)
		w := &Writer{Paths: []string{path}, Timeout: 5 * time.Second}
		if err := w.Send(Err, msg); err != nil && !errors.Is(err, ErrCut) {
			t.Fatal(err)
		}
		if got := read(t, conn); strings.ContainsAny(got, "\n\r\x00") || !utf8.ValidString(got) {
			t.Errorf("not one line of text: %q", got)
		}
	})
}
