package cmd

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/sshnotify/sshnotify/internal/config"
	"github.com/sshnotify/sshnotify/internal/deliver"
	"github.com/sshnotify/sshnotify/internal/policy"
	"github.com/sshnotify/sshnotify/internal/respond"
)

func TestRespondElsewhere(t *testing.T) {
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	const id = "7K3F0000000000000000000000"
	for _, c := range []struct {
		name string
		k    known
		host string
		want string
	}{
		{"told by this host", known{ID: id, Delivered: &deliver.Delivered{}}, "web1", ""},
		{"handed over to this hub", known{ID: id, Delivered: &deliver.Delivered{From: "web1"}}, "web1.example.com", "sudo sshnotify respond 7K3F0000"},
		{"remembered, of another host", known{ID: id, History: &pastLogin{}}, "web1", "on web1: sudo"},
		{"remembered, of this machine", known{ID: id, History: &pastLogin{}}, machine, ""},
		{"remembered, by the settings' name", known{ID: id, History: &pastLogin{}}, "db1.example.com", ""},
	} {
		o := respondOptions{}
		err := o.elsewhere(config.Config{Watching: config.Watching{Host: "db1.example.com"}}, &c.k, respond.Subject{ID: id, Host: c.host})
		hints := strings.Join((&app{}).hints(err), " ")
		if (err != nil) != (c.want != "") || !strings.Contains(hints, c.want) {
			t.Errorf("%s: %v, %s", c.name, err, hints)
		}
	}
}

func TestRespondKnowsNetworks(t *testing.T) {
	office, watched := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")
	c := config.Default()
	c.Settings.Networks = map[string][]netip.Prefix{"office": {office}}
	c.Watch.Ignore = policy.Ignore{Networks: []netip.Prefix{watched}}
	got := networksOf(c)
	if len(got) != 2 || got[office] != "office" || got[watched] != "ignore_networks" {
		t.Errorf("%v", got)
	}
}
