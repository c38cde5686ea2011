package attack_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/attack"
	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

func ExampleEngine() {
	g, err := attack.New(attack.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := parse.Result{Outcome: parse.Failure, Time: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC), Service: "sshd",
		User: "root", IP: netip.MustParseAddr("203.0.113.7"), Count: 1}
	for range 5 {
		for _, f := range g.Take(r) {
			fmt.Println(f.Kind, f.Detector, f.Network, f.Attempts)
		}
		r.Time = r.Time.Add(time.Minute)
	}
	for _, f := range g.Tick(r.Time.Add(time.Hour)) {
		fmt.Println(f.Kind, f.Attempts)
	}
	// Output:
	// begun fast 203.0.113.7/32 5
	// ended 5
}
