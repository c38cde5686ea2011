package mmdb

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

type (
	record = mmdbtype.Map
	text   = mmdbtype.String
	list   = mmdbtype.Slice
)

var built = time.Date(2026, 11, 3, 4, 5, 6, 0, time.UTC)

// build makes a database of one kind, with a record for each network.
func build(tb testing.TB, kind string, networks map[string]record) []byte {
	tb.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		BuildEpoch: built.Unix(), DatabaseType: kind, IncludeReservedNetworks: true, DisableIPv4Aliasing: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	for network, r := range networks {
		_, ipnet, err := net.ParseCIDR(network)
		if err != nil {
			tb.Fatal(err)
		}
		if err := tree.Insert(ipnet, r); err != nil {
			tb.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func country(code string) map[string]record {
	return map[string]record{"192.0.2.0/24": {"country_code": text(code)}}
}

func names(en string) record {
	return record{"names": record{"en": text(en), "de": text("auf Deutsch")}}
}

// write puts a file in its place at one go, as it should be done.
func write(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path+".new", data, 0o644); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

// host is a provider with a clock of its own.
type host struct {
	*Provider
	path  string
	clock time.Time
}

func newHost(tb testing.TB, data []byte) *host {
	tb.Helper()
	h := &host{path: filepath.Join(tb.TempDir(), "test.mmdb"), clock: built.AddDate(0, 0, 7)}
	if data != nil {
		write(tb, h.path, data)
	}
	p, err := New(Options{Name: "geo", Title: "GeoLite2", Path: h.path, Now: func() time.Time { return h.clock }})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(p.Close)
	h.Provider = p
	return h
}
