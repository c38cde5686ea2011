package fleet

import "testing"

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		text             string
		formed, brokered bool
	}{
		{"https://hub.example.com:8443", true, false},
		{"https://hub.example.com", true, false},
		{"tls://nats1.example.com:4222", true, true},
		{"tls://nats1.example.com:4222,tls://nats2.example.com:4222", true, true},
		{"nats://127.0.0.1:4222", true, true},
		{"nats://[::1]:4222,nats://127.0.0.1", true, true},
		{"https://hub1.example.com,https://hub2.example.com", false, false}, // there is one hub
		{"tls://nats1.example.com,nats2.example.com", false, true},
		{"tls://nats1.example.com,", false, true},
		{"tls://alice:secret@nats1.example.com", false, true},
		{"http://hub.example.com", false, false},
		{"hub.example.com:8443", false, false},
		{"tls://", false, true},
	} {
		if got := wellFormed(tt.text); got != tt.formed {
			t.Errorf("%s: well formed is %t", tt.text, got)
		}
		if got := brokered(tt.text); got != tt.brokered {
			t.Errorf("%s: brokered is %t", tt.text, got)
		}
	}
}

func TestHostOrHub(t *testing.T) {
	for _, tt := range []struct {
		name                string
		s                   Settings
		host, hub, brokered bool
	}{
		{"neither", Settings{}, false, false, false},
		{"a host", Settings{URL: "https://hub.example.com"}, true, false, false},
		{"a host with NATS", Settings{URL: "tls://nats.example.com"}, true, false, true},
		{"the hub", Settings{Listen: "0.0.0.0:8443"}, false, true, false},
		{"the hub with NATS", Settings{NATS: "tls://nats.example.com"}, false, true, true},
		{"the hub with both", Settings{NATS: "tls://nats.example.com", Listen: "0.0.0.0:8443"}, false, true, true},
	} {
		if host, hub, brokered := tt.s.Host(), tt.s.Hub(), tt.s.Brokered(); host != tt.host || hub != tt.hub || brokered != tt.brokered {
			t.Errorf("%s: host %t, hub %t, brokered %t", tt.name, host, hub, brokered)
		}
	}
}
