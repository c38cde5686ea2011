package slackmsg

import (
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/message"
)

func TestReceivedReadsAsItWasSent(t *testing.T) {
	for name, a := range alerts() {
		raw, err := build(a).JSON()
		if err != nil {
			t.Fatal(err)
		}
		got, err := RenderReceived(raw, false)
		if err != nil {
			t.Fatal(err)
		}
		if want := message.New(a).Plain(false); got != want && !strings.Contains(want, "://") {
			t.Errorf("%s: received\n%swant\n%s", name, got, want)
		}
	}
}

func TestReceivedBringsNoEscapeSequences(t *testing.T) {
	for _, raw := range []string{
		`{"text":"\u001b]0;x\u0007"}`,
		`{"text":"a","attachments":[{"color":"#ff0002","title":"\u001b[2J","text":"*a\u001b[31m:* b\r\n\u009b1m","footer":"\u001bc"}]}`,
	} {
		got, err := RenderReceived([]byte(raw), false)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(got, "\x1b\x07\r\u009b") {
			t.Errorf("%q became %q", raw, got)
		}
	}
	if _, err := RenderReceived([]byte(`{"text":`), true); err == nil {
		t.Error("broken JSON was rendered")
	}
	coloured, err := RenderReceived([]byte(`{"text":"a","attachments":[{"color":"#ff0002","title":"b","text":"*c:* d"}]}`), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\x1b[38;2;255;0;2m", "\x1b[1mc:\x1b[22m" + " d"} {
		if !strings.Contains(coloured, want) {
			t.Errorf("%q lacks %q", coloured, want)
		}
	}
}
