package source

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/journald"
)

func benchFile(b *testing.B) (path string, lines int) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "auth.log")
	var text strings.Builder
	lines = 300_000
	for i := range lines {
		fmt.Fprintf(&text, "Nov 21 02:%02d:%02d db1 sshd[%d]: Failed password for invalid user admin from 203.0.113.%d port %d ssh2\n",
			i/60%60, i%60, i%30_000, i%256, i%60_000)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return path, lines
}

func drainAll(b *testing.B, s Source, commit bool) (n int) {
	b.Helper()
	for {
		batch, err := s.Read(b.Context())
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			b.Fatal(err)
		}
		n += len(batch.Lines)
		if commit {
			if err := s.Commit(batch); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkFile(b *testing.B) {
	path, lines := benchFile(b)
	b.ReportAllocs()
	for b.Loop() {
		s, err := OpenFile(Options{Path: path, Once: true})
		if err != nil {
			b.Fatal(err)
		}
		if n := drainAll(b, s, true); n != lines {
			b.Fatalf("%d lines of %d", n, lines)
		}
		s.Close()
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkReader(b *testing.B) {
	path, lines := benchFile(b)
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		s, err := OpenReader(f, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if n := drainAll(b, s, false); n != lines {
			b.Fatalf("%d lines of %d", n, lines)
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}

func BenchmarkEntry(b *testing.B) {
	text := []byte(`{"__CURSOR":"` + testCursor + `","__REALTIME_TIMESTAMP":"1795227304123456","__MONOTONIC_TIMESTAMP":"1","_BOOT_ID":"0123456789abcdef0123456789abcdef","MESSAGE":"Failed password for root from 203.0.113.7 port 51234 ssh2","SYSLOG_IDENTIFIER":"sshd","_COMM":"sshd","_EXE":"/usr/sbin/sshd","_PID":"812","_UID":"0","_HOSTNAME":"db1"}`)
	for b.Loop() {
		if _, _, err := new(journald.Reader).Line(text, "journal"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	path, _ := benchFile(b)
	s, err := OpenFile(Options{Path: path, Once: true})
	if err != nil {
		b.Fatal(err)
	}
	batch, err := s.Read(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		batch.Key(7)
	}
}
