package publish

import (
	"encoding/json"
	"time"
)

// FeedVersion is that of Feed. It changes when a field is taken away or comes to
// mean something else, not when one is added.
const FeedVersion = 1

// Feed is the content of feed.json.
type Feed struct {
	Version   int         `json:"version"`
	Generated time.Time   `json:"generated"` // RFC 3339, UTC, in whole seconds, as all times here
	Days      int         `json:"days"`      // how far it reaches back
	Entries   []FeedEntry `json:"entries"`   // the newest first; none: an empty list
}

// FeedEntry is one attack of a Feed. What is not known is left out.
type FeedEntry struct {
	IP       string    `json:"ip"` // IPv4, or IPv6 as RFC 5952 has it
	Service  string    `json:"service"`
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	ASN      uint32    `json:"asn,omitempty"`
	Network  string    `json:"network,omitempty"` // made harmless, as names are: "(dot)" is a point that was one of a host's name
	Country  string    `json:"country,omitempty"` // ISO 3166-1, two letters
	Names    []string  `json:"names,omitempty"`   // some of those tried, the commonest first
}

// feed takes entries that are clean.
func feed(entries []Entry, now time.Time) ([]byte, error) {
	f := Feed{Version: FeedVersion, Generated: now.UTC().Truncate(time.Second), Days: int(kept / (24 * time.Hour)), Entries: []FeedEntry{}}
	for _, e := range entries {
		f.Entries = append(f.Entries, FeedEntry{
			IP: e.IP.String(), Service: e.Service, Attempts: e.Attempts, First: e.First, Last: e.Last,
			ASN: e.ASN, Network: e.Network, Country: e.Country, Names: e.Names,
		})
	}
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}
