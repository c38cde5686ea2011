package main

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// write writes spans, which are disjoint, as a MaxMind DB
// (https://maxmind.github.io/MaxMind-DB/). The keys are those of MaxMind's ASN
// files and, for the country, of IPinfo's, so that any reader understands them.
func write(w io.Writer, spans []span, date time.Time) error {
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		BuildEpoch:   date.Unix(),
		DatabaseType: "sshnotify ASN and country",
		Description:  map[string]string{"en": "RouteViews, NRO and DB-IP (CC BY 4.0), iptoasn.com (PDDL 1.0); merged and converted"},
		RecordSize:   24, // the smallest, and large enough: 16 M nodes and bytes of data together
		// Look-ups unmap themselves. Without aliases, and without the tests for
		// reserved networks, the tree holds what is in spans and no more.
		DisableIPv4Aliasing:     true,
		IncludeReservedNetworks: true,
	})
	if err != nil {
		return err
	}
	for _, s := range spans {
		v := mmdbtype.Map{}
		if s.asn != 0 {
			v["autonomous_system_number"] = mmdbtype.Uint32(s.asn)
		}
		if s.name != "" {
			v["autonomous_system_organization"] = mmdbtype.String(s.name)
		}
		if s.country != "" {
			v["country_code"] = mmdbtype.String(s.country)
		}
		if len(v) == 0 {
			continue
		}
		if err := tree.InsertRange(net.IP(s.lo.AsSlice()), net.IP(s.hi.AsSlice()), v); err != nil {
			return fmt.Errorf("%v-%v: %w", s.lo, s.hi, err)
		}
	}
	_, err = tree.WriteTo(w)
	return err
}
