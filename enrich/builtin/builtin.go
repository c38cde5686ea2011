// Package builtin owns the database that is part of the program: the autonomous
// system, its name and the country of an address, for hosts whose settings name
// nothing better. It is used where it lies in the program's file, never
// unpacked, and asks nobody.
//
// The data are of one day and get older (see Stale), and their source warns of
// mistakes in them, in the countries above all. They are a fallback: any newer
// file that the settings name should be asked first. It must never be taken as
// a reason to call an address safe.
package builtin

import (
	"context"
	_ "embed"
	"net/netip"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/sshnotify/sshnotify/enrich"
	"github.com/sshnotify/sshnotify/internal/event"
)

//go:generate go run github.com/sshnotify/sshnotify/tools/geodata -out builtin.mmdb

//go:embed builtin.mmdb
var data []byte

//go:embed ATTRIBUTION.txt
var attribution string

// staleAfter is the age from which the data should be replaced: networks change
// hands slowly, but they do.
const staleAfter = 180 * 24 * time.Hour

// maxName is how much of a system's name is kept, in characters.
const maxName = 100

// Database answers from the built-in data. It may be used concurrently.
type Database struct{ reader *maxminddb.Reader }

// Open gives the built-in database. It reads no more than its last page, and
// fails only where the program's file is damaged. There is nothing to close.
func Open() (*Database, error) {
	// A login asks about one address: there is nothing to remember strings for.
	r, err := maxminddb.OpenBytes(data, maxminddb.DisableStringCache())
	if err != nil {
		return nil, err
	}
	return &Database{reader: r}, nil
}

const title = "built-in database"

// Info implements enrich.Provider.
func (*Database) Info() enrich.Info { return enrich.Info{Name: TypeName, Title: title, Local: true} }

// Date is the day that the data are of.
func (d *Database) Date() time.Time { return d.reader.Metadata.BuildTime().UTC() }

// Stale reports whether the data are older than 180 days.
func (d *Database) Stale(now time.Time) bool { return now.Sub(d.Date()) > staleAfter }

// Attribution names the sources of the data and their licences, as these ask
// for: lines of at most 80 characters, the last one ended.
func Attribution() string { return attribution }

// Lookup gives the network and the country of an address; nothing for one that
// is in no network, is not public or is invalid. It takes microseconds and does
// not look at ctx.
func (d *Database) Lookup(_ context.Context, ip netip.Addr) (event.Facts, error) {
	var facts event.Facts
	// The file keeps IPv4 below ::/96, where an IPv6 address would find it too.
	if ip = ip.Unmap().WithZone(""); !ip.IsValid() || ip.Is6() && netip.MustParsePrefix("::/96").Contains(ip) {
		return facts, nil
	}
	var v struct {
		Number  uint32 `maxminddb:"autonomous_system_number"`
		Name    string `maxminddb:"autonomous_system_organization"`
		Country string `maxminddb:"country_code"`
	}
	if err := d.reader.Lookup(ip).Decode(&v); err != nil {
		return facts, err
	}
	if v.Number != 0 {
		facts.Network = event.Network{ASN: v.Number, Name: event.Clean(v.Name, maxName), Source: title}
	}
	if v.Country != "" {
		facts.Place = event.Place{Country: event.Clean(v.Country, 2), Source: title}
	}
	return facts, nil
}
