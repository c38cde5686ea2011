package parse_test

import (
	"fmt"

	"github.com/sshnotify/sshnotify/internal/watch/line"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

func ExampleParser() {
	p := parse.New(parse.Options{})
	for _, text := range []string{
		"2026-11-21T02:15:04Z web1 sshd[812]: Failed password for root from 203.0.113.7 port 51234 ssh2",
		"2026-11-21T02:15:09Z web1 sshd[812]: Accepted password for root from 203.0.113.7 port 51234 ssh2",
		"2026-11-21T02:15:10Z web1 kernel: eth0: link up",
	} {
		r := p.Parse(line.Line{Source: "auth.log", Text: text})
		fmt.Println(r.Outcome, r.User, r.IP)
	}
	// Output:
	// failure root 203.0.113.7
	// success root 203.0.113.7
	// none  invalid IP
}
