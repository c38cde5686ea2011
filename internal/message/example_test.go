package message_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
)

func Example() {
	at := time.Date(2026, 11, 21, 2, 15, 4, 0, time.UTC)
	m := message.New(event.Alert{
		ID: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", Count: 1,
		Event: event.Event{
			Kind: event.KindLogin, Time: at, Host: "db1.example.com", User: "root", Service: "sshd",
			Remote: event.Remote{IP: netip.MustParseAddr("203.0.113.7")}, Login: event.Login{Auth: event.Auth{Method: "password"}},
		},
		Verdict: event.Verdict{Severity: event.High, Reasons: []string{"first login from Bulgaria"}},
	})
	fmt.Print(m.Plain(false))
	// Output:
	// HIGH root → db1 from 203.0.113.7: first login from Bulgaria, 02:15
	// ▌ New SSH login of >root< to >db1.example.com< at 02:15:04 (UTC), 21 Nov 2026
	// ▌ Why: first login from Bulgaria
	// ▌ Connected from IP: 203.0.113.7
	// ▌ Authenticated with: password
	// ▌ ref 7K3F
}
