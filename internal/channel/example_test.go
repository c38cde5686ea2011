package channel_test

import (
	"fmt"

	"github.com/sshnotify/sshnotify/internal/channel"
	"github.com/sshnotify/sshnotify/internal/strictoml"
)

// A channel is found by its type, and its settings say what is wrong with them.
func Example() {
	for _, t := range channel.Types() {
		if t.Name != channel.SlackType && t.Name != channel.LogType {
			continue
		}
		s := t.New("oncall")
		err := strictoml.Unmarshal("config.toml", nil, s)
		fmt.Println(t.Name+":", err)
		if c, err := s.Open("oncall", channel.Env{}); err == nil {
			fmt.Println(c.Name(), c.Traits().Retry)
		}
	}
	// Output:
	// slack: config.toml:1:1: webhook_url or webhook_url_file, or token or token_file is missing
	// log: <nil>
	// oncall may
}
