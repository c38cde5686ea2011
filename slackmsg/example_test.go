package slackmsg_test

import (
	"fmt"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/slackmsg"
)

// What a stranger wrote neither mentions anybody nor formats anything.
func ExampleBuild() {
	m := message.New(event.Alert{
		ID: "7K3F2QX0ZM4Y8V1T5R9W6P3N0B", Count: 1,
		Event: event.Event{Kind: event.KindAlert, Host: "db1", Alert: &event.Note{Title: "<!channel> *hi*", Text: "x"}},
	})
	p := slackmsg.Build(m)
	fmt.Println(p.Text)
	fmt.Println(p.Attachments[0].Color)
	// Output:
	// db1: &lt;!channel&gt; ∗hi∗
	// #9aa0a6
}
