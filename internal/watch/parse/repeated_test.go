package parse

import (
	"testing"
	"unsafe"

	"github.com/sshnotify/sshnotify/internal/watch/line"
)

// In a replay the text of a line is written over two reads later; a line may be
// repeated after that.
func TestRepeatedAfterItsTextIsGone(t *testing.T) {
	p := New(Options{})
	buf := []byte("Nov 29 10:00:00 web1 sshd[7]: Failed password for alice from 203.0.113.7 port 4022 ssh2")
	if r := p.Parse(line.Line{Text: unsafe.String(unsafe.SliceData(buf), len(buf))}); r.User != "alice" {
		t.Fatalf("user %q", r.User)
	}
	again := line.Line{Text: "Nov 29 10:00:01 web1 last message repeated 2 times"}
	for range 2 {
		if r := p.Parse(again); r.User != "alice" || r.Method != "password" || r.Count != 2 {
			t.Errorf("again: %q by %q, %d times", r.User, r.Method, r.Count)
		}
		for i := range buf {
			buf[i] = 'x'
		}
	}
}
