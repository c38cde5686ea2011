package cmd

import (
	"errors"

	"github.com/sshnotify/sshnotify/internal/fleet"
)

// brokerOf returns what leads to the brokers that a host's or a hub's settings name;
// nil where they name none. Not every program is linked with it.
func (a *app) brokerOf(s fleet.Settings) (fleet.Broker, error) {
	if !s.Brokered() {
		return nil, nil
	}
	if a.broker == nil {
		key := "url"
		if s.NATS != "" {
			key = "nats"
		}
		return nil, &settingsError{withHint(errors.New("hub."+key+" names servers of NATS, which needs the program sshnotify-nats"),
			"install the package sshnotify-nats, whose program has the same commands; or hand over by https://, which needs no other server")}
	}
	return a.broker, nil
}
