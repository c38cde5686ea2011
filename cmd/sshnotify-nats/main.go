// Command sshnotify-nats is sshnotify with NATS JetStream as a way between hosts and
// hub. It is a program of its own because that costs each start a millisecond, which
// every login would wait for.
package main

import (
	"os"

	"github.com/sshnotify/sshnotify/cmd"
	"github.com/sshnotify/sshnotify/internal/fleet/jetstream"
)

func main() {
	os.Exit(cmd.Main(os.Args[1:], cmd.WithBroker(jetstream.Broker{})))
}
