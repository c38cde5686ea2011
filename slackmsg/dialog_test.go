package slackmsg

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/standin"
)

// A dialog has Slack's form, whoever is named in it and whatever their names are.
func TestDialog(t *testing.T) {
	actions := []string{"evidence", "lock", "key", "block", "end"}
	meta := strings.Repeat("9", 2*event.IDLength)
	for name, s := range attacks {
		t.Run(name, func(t *testing.T) {
			a := aliceLogin(func(a *event.Alert) { a.Event.User, a.Event.Host, a.Event.Login.Auth.Fingerprint = s, s, s })
			for _, d := range []message.Dialog{message.Choose(a, actions, 24*time.Hour), message.Sure(a, actions), message.Ordering(a, actions), message.NotOrdered(s)} {
				b, err := json.Marshal(Dialog(d, meta))
				if err != nil {
					t.Fatal(err)
				}
				if word := standin.CheckSlackView(b); word != "" {
					t.Errorf("Slack says %s: %.600s", word, b)
				}
				var view struct {
					Blocks []struct{ Text struct{ Type, Text string } }
				}
				if err := json.Unmarshal(b, &view); err != nil {
					t.Fatal(err)
				}
				for _, x := range view.Blocks {
					if strings.ContainsAny(x.Text.Text, "<>\u202e\u2066\n\r\x1b") || strings.Contains(x.Text.Text, "\u200b") {
						t.Errorf("%q", x.Text.Text)
					}
				}
			}
		})
	}
}
