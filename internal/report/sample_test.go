package report

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/history"
	"github.com/sshnotify/sshnotify/internal/watch/attack"
)

// key is a fingerprint.
func key(n int) string {
	sum := sha256.Sum256([]byte{byte(n), byte(n >> 8)})
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

var sampleNow = time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)

// sample is a month of a hub with four people, a robot, a stolen key, and attackers.
func sample(mask bool) (*Builder, Rest) {
	rnd := rand.New(rand.NewPCG(1, 2))
	o := Options{
		Since: sampleNow.AddDate(0, 0, -30), Now: sampleNow, Zone: time.UTC, Mask: mask,
		People: map[string]Person{
			"Alice Byrne": {Keys: []string{key(1), key(2)}, Accounts: []string{"alice"}}, "Bob Okafor": {Keys: []string{key(3)}, Accounts: []string{"bob"}},
			"Chiara Rossi": {Keys: []string{key(4)}, Accounts: []string{"chiara"}}, "Dave Lindqvist": {Accounts: []string{"dave"}},
		},
		Locate: func(ip netip.Addr) (string, string) {
			codes := []string{"CN", "US", "RU", "BR", "IN", "VN", "NL", "KR", "DE", "SG", "ID", "FR", "HK", "IR", "GB"}
			b := ip.As16()
			return codes[int(b[15]+b[14])%len(codes)], fmt.Sprintf("EXAMPLE-%d", b[15]%9)
		},
	}
	b := NewBuilder(o)
	type from struct {
		ip, network, city, country string
		lat, lon                   float64
	}
	dublin, cork := from{"192.0.2.10", "office", "Dublin", "IE", 53.3, -6.3}, from{"198.51.100.23", "EXAMPLE-HOME", "Cork", "IE", 51.9, -8.5}
	lagos, milan := from{"198.51.100.77", "EXAMPLE-MOBILE", "Lagos", "NG", 6.5, 3.4}, from{"203.0.113.40", "EXAMPLE-FIBRA", "Milan", "IT", 45.5, 9.2}
	cloud := from{"2001:db8:1:2::5", "EXAMPLE-CLOUD", "Frankfurt", "DE", 50.1, 8.7}
	n := 0
	entry := func(at time.Time, user, host, key string, f from) history.Entry {
		n++
		e := history.Entry{ID: fmt.Sprintf("%04X0000000000000000000000", 0x7000+n*7), Time: at, Host: host, User: user, Service: "sshd", Method: "publickey", Key: key, IP: netip.MustParseAddr(f.ip),
			ASName: f.network, Place: event.Place{City: f.city, Country: f.country, Point: &event.Point{Lat: f.lat, Lon: f.lon}}, Source: history.SourceSeen, Usual: true}
		if key == "" {
			e.Method = "password"
		}
		return e
	}
	hosts := []string{"db1", "web1", "web2", "build1"}
	var late history.Entry
	for d := range 31 {
		day := o.Since.AddDate(0, 0, d).Truncate(24 * time.Hour)
		weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
		for hour := range 24 {
			at := func() time.Time {
				return day.Add(time.Duration(hour)*time.Hour + time.Duration(rnd.IntN(3500))*time.Second)
			}
			if hour%6 == 0 {
				b.Add(entry(at(), "deploy", "build1", key(20), cloud))
			}
			if hour < 8 || hour > 18 || weekend && rnd.IntN(6) > 0 {
				if d == 20 && hour == 2 {
					late = entry(day.Add(2*time.Hour+15*time.Minute), "root", "db1", key(3), from{"198.51.100.66", "EXAMPLE-VPS", "Sofia", "BG", 42.7, 23.3})
					late.Severity, late.Untaught, late.Usual, late.Reasons = event.Critical, true, false, []string{"after_failures", "new_country", "foreign_key", "unusual_hour"}
					b.Add(late)
				}
				continue
			}
			for range rnd.IntN(3) {
				b.Add(entry(at(), "alice", hosts[rnd.IntN(3)], key(1+rnd.IntN(2)), []from{dublin, dublin, cork}[rnd.IntN(3)]))
			}
			if rnd.IntN(3) == 0 {
				b.Add(entry(at(), "bob", hosts[rnd.IntN(2)], key(3), []from{dublin, lagos}[d/16]))
			}
			if rnd.IntN(4) == 0 {
				b.Add(entry(at(), "chiara", "web1", key(4), milan))
			}
			if d == 16 && hour == 10 {
				e := entry(at(), "bob", "web1", key(3), lagos)
				e.Severity, e.Reasons, e.Usual = event.High, []string{"new_country", "new_network"}, false
				b.Add(e)
			}
			if d == 24 && hour == 15 {
				e := entry(at(), "dave", "web2", "", cork)
				e.Severity, e.Reasons, e.Usual, e.Untaught = event.High, []string{"first_login", "new_pair"}, false, true
				b.Add(e)
				e = entry(at(), "alice", "web2", key(9), dublin)
				e.Severity, e.Reasons, e.Usual = event.Medium, []string{"unknown_key"}, false
				b.Add(e)
			}
		}
	}
	r := Rest{
		Host: "hub1", Hub: true, Remembered: o.Since.AddDate(-1, 0, 0), Watched: true,
		Alarms: []history.Alarm{
			{ID: late.ID, User: "root", Place: "BG", Severity: event.Critical, Told: late.Time, Since: late.Time, Count: 1, Reasons: late.Reasons, Hosts: []string{"db1"}},
			{ID: "9F2C0000000000000000000000", User: "dave", Place: "IE", Severity: event.High, Told: o.Since.AddDate(0, 0, 24).Add(7 * time.Hour), Since: o.Since.AddDate(0, 0, 24).Add(7 * time.Hour),
				Count: 2, Reasons: []string{"first_login"}, Hosts: []string{"web2"}},
		},
		Hosts: []HostState{
			{Name: "db1", Beat: sampleNow.Add(-3 * time.Minute), Version: "1.9.0"}, {Name: "web1", Beat: sampleNow.Add(-2 * time.Minute), Version: "1.9.0"},
			{Name: "web2", Beat: sampleNow.Add(-50 * time.Hour), Version: "1.8.2", Silent: true}, {Name: "build1", Beat: sampleNow.Add(-4 * time.Minute), Version: "1.9.0"},
		},
	}
	for i := range 90 {
		r.Attackers = append(r.Attackers, attack.Attacker{Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i*7 + 3)}), 32), Attempts: 5 + rnd.IntN(60)*rnd.IntN(60), Attacks: 1,
			First: o.Since.Add(time.Duration(i) * 7 * time.Hour), Last: o.Since.Add(time.Duration(i) * 8 * time.Hour)})
	}
	for d := range 30 {
		for _, h := range hosts {
			r.Failures = append(r.Failures, Failures{Host: h, Time: o.Since.AddDate(0, 0, d), Attempts: 200 + rnd.IntN(900), Names: []event.Count{{Name: "root", N: 90 + rnd.IntN(90)}, {Name: "admin", N: 40 + rnd.IntN(50)},
				{Name: []string{"ubuntu", "oracle", "postgres", "git", "pi", "test"}[rnd.IntN(6)], N: 12 + rnd.IntN(30)}}})
		}
	}
	return b, r
}
