package mmdb

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
)

// ask returns the country of an address in 192.0.2.0/24, or what is said instead.
func (h *host) ask(t *testing.T) string {
	t.Helper()
	f, err := h.Lookup(t.Context(), netip.MustParseAddr("192.0.2.1"))
	if err != nil && f.Place.Country == "" {
		return "error"
	}
	if err != nil {
		return f.Place.Country + " and an error"
	}
	return f.Place.Country
}

func TestAddresses(t *testing.T) {
	h := newHost(t, build(t, "Test", map[string]record{"192.0.2.0/24": {"country_code": text("IE")}, "2001:db8::/32": {"country_code": text("DE")}}))
	for _, row := range []struct{ name, ip, want string }{
		{"IPv4", "192.0.2.7", "IE"},
		{"mapped", "::ffff:192.0.2.7", "IE"},
		{"IPv6", "2001:db8::1", "DE"},
		{"with a zone", "2001:db8::1%eth0", "DE"},
		{"not in it", "198.51.100.1", ""},
		{"IPv6 that is no IPv4", "::192.0.2.7", ""},
	} {
		f, err := h.Lookup(t.Context(), netip.MustParseAddr(row.ip))
		if err != nil || f.Place.Country != row.want {
			t.Errorf("%s: %q, %v, want %q", row.name, f.Place.Country, err, row.want)
		}
	}
	if _, err := h.Lookup(t.Context(), netip.Addr{}); err != nil {
		t.Errorf("no address at all: %v", err)
	}
	if !h.Date().Equal(built) || h.Kind() != "Test" {
		t.Errorf("a %q of %v", h.Kind(), h.Date())
	}
}

// Some vendors sell the two families apart.
func TestOneFamilyOnly(t *testing.T) {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test", IPVersion: 4, RecordSize: 32, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, network, _ := net.ParseCIDR("192.0.2.0/24")
	if err := tree.Insert(network, record{"country_code": text("IE")}); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]*host{"IPv4": newHost(t, b.Bytes()), "IPv6": newHost(t, build(t, "Test", map[string]record{"2001:db8::/32": {"country_code": text("IE")}}))} {
		for family, ip := range map[string]string{"IPv4": "192.0.2.1", "IPv6": "2001:db8::1"} {
			f, err := h.Lookup(t.Context(), netip.MustParseAddr(ip))
			if err != nil || (f.Place.Country != "") != (name == family) {
				t.Errorf("%s in a file of %s: %q, %v", family, name, f.Place.Country, err)
			}
		}
	}
}

// What is not a database is told from one, with something to do about it.
func TestWrongFiles(t *testing.T) {
	good := build(t, "Test", country("IE"))
	for _, row := range []struct {
		name    string
		data    []byte
		problem string // in the error
		hint    string // in the hint
	}{
		{"missing", nil, "there is no such file", "download"},
		{"empty", []byte{}, "empty", "download"},
		{"something else", []byte("hello, world"), "no MaxMind DB", "get it again"},
		{"as it is downloaded", []byte("\x1f\x8b\x08\x00 and so on"), "compressed", "unpack"},
		{"a zip", []byte("PK\x03\x04 and so on"), "archive", "unpack"},
		{"a page about a licence key", []byte("<html>401"), "web page", "licence key"},
		{"its first half", good[:len(good)/2], "no MaxMind DB", "get it again"},
		{"its second half", good[len(good)/2:], "no MaxMind DB", "get it again"},
		{"a file of domains", build(t, "GeoIP2-Domain", map[string]record{"192.0.2.0/24": {"domain": text("example.com")}}), "GeoIP2-Domain", "countries"},
	} {
		h := newHost(t, row.data)
		_, err := h.Lookup(t.Context(), netip.MustParseAddr("192.0.2.1"))
		if err == nil {
			t.Errorf("%s: no error", row.name)
			continue
		}
		e, ok := err.(*FileError)
		if !ok || !strings.Contains(e.Error(), row.problem) || !strings.Contains(e.Hint(), row.hint) || !strings.HasPrefix(e.Error(), h.path+": ") {
			t.Errorf("%s: %v (hint: %s)", row.name, err, e.Hint())
		}
		if !h.Date().IsZero() {
			t.Errorf("%s: it has a date", row.name)
		}
		if err := h.Check(); err == nil {
			t.Errorf("%s: nothing is wrong with it", row.name)
		}
	}
	for name, path := range map[string]string{"a folder": t.TempDir(), "a FIFO": fifo(t)} {
		p, err := New(Options{Name: "geo", Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Lookup(t.Context(), netip.MustParseAddr("192.0.2.1")); err == nil || !strings.Contains(err.Error(), "it is not a regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{Name: "geo"}); err == nil {
		t.Error("no path was no error")
	}
}

func fifo(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	return path
}

// overwrite changes a file in place.
func overwrite(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	// Two writes within one tick of the file system's clock look alike.
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
}

// Each step is what somebody does to the file, and what is then said of an
// address that was in Ireland, a moment later and two seconds later.
func TestReplaced(t *testing.T) {
	ireland, germany := build(t, "Test", country("IE")), build(t, "Test", country("DE"))
	for _, row := range []struct {
		name          string
		mapped        bool
		do            func(t *testing.T, path string)
		at, then, now string // before the next look; after it; after the file was made good by a rename
	}{
		{"a newer one is renamed into its place", false, func(t *testing.T, path string) { write(t, path, germany) }, "IE", "DE", "DE"},
		{"the same, mapped", true, func(t *testing.T, path string) { write(t, path, germany) }, "IE", "DE", "DE"},
		{"a newer one is written over it", false, func(t *testing.T, path string) { overwrite(t, path, germany) }, "IE", "DE", "DE"},
		{"the same, mapped: seen at once", true, func(t *testing.T, path string) { overwrite(t, path, germany) }, "DE", "DE", "DE"},
		{"it is removed", false, func(t *testing.T, path string) { os.Remove(path) }, "IE", "IE and an error", "DE"},
		{"the same, mapped", true, func(t *testing.T, path string) { os.Remove(path) }, "IE", "IE and an error", "DE"},
		{"something else is renamed into its place", false, func(t *testing.T, path string) { write(t, path, []byte("hello")) }, "IE", "IE and an error", "DE"},
		{"the same, mapped", true, func(t *testing.T, path string) { write(t, path, []byte("hello")) }, "IE", "IE and an error", "DE"},
		{"it is cut off in the middle", false, func(t *testing.T, path string) { overwrite(t, path, ireland[:len(ireland)/2]) }, "IE", "IE and an error", "DE"},
		{"the same, mapped", true, func(t *testing.T, path string) { overwrite(t, path, ireland[:len(ireland)/2]) }, "error", "error", "DE"},
		{"it is emptied, as curl -o does", false, func(t *testing.T, path string) { overwrite(t, path, nil) }, "IE", "IE and an error", "DE"},
		{"the same, mapped: every page is gone", true, func(t *testing.T, path string) { overwrite(t, path, nil) }, "error", "error", "DE"},
		{"its bytes are zeroed", true, func(t *testing.T, path string) { overwrite(t, path, make([]byte, len(ireland))) }, "error", "error", "DE"},
	} {
		h := newHost(t, ireland)
		if row.mapped {
			h.copyUpTo = 0
		}
		if got := h.ask(t); got != "IE" {
			t.Fatalf("%s: at first %s", row.name, got)
		}
		row.do(t, h.path)
		if got := h.ask(t); got != row.at {
			t.Errorf("%s: at once %s, want %s", row.name, got, row.at)
		}
		for range 2 { // a refused file is not taken at the second look either
			h.clock = h.clock.Add(2 * lookEvery)
			if got := h.ask(t); got != row.then {
				t.Errorf("%s: later %s, want %s", row.name, got, row.then)
			}
		}
		write(t, h.path, germany)
		h.clock = h.clock.Add(2 * lookEvery)
		if got := h.ask(t); got != row.now {
			t.Errorf("%s: in the end %s, want %s", row.name, got, row.now)
		}
		if err := h.Check(); err != nil {
			t.Errorf("%s: in the end %v", row.name, err)
		}
	}
}

// The kernel has no page for what was cut off. Without the guard this ends the
// test with SIGBUS.
func TestPagesThatAreGone(t *testing.T) {
	h := newHost(t, build(t, "Test", country("IE")))
	h.copyUpTo = 0
	if got := h.ask(t); got != "IE" {
		t.Fatal(got)
	}
	if err := os.Truncate(h.path, 0); err != nil {
		t.Fatal(err)
	}
	var err error
	func() {
		h.mu.RLock()
		defer h.mu.RUnlock()
		var v map[string]any
		err = h.db.guard(func() error { return h.db.reader.Lookup(netip.MustParseAddr("192.0.2.1")).Decode(&v) })
	}()
	if err != errChanged {
		t.Errorf("reading what is gone: %v", err)
	}
	if got := h.ask(t); got != "error" {
		t.Error(got)
	}
}

// A clock that was put back is no reason not to look.
func TestClockPutBack(t *testing.T) {
	h := newHost(t, build(t, "Test", country("IE")))
	h.ask(t)
	write(t, h.path, build(t, "Test", country("DE")))
	h.clock = h.clock.AddDate(-1, 0, 0)
	if got := h.ask(t); got != "DE" {
		t.Error(got)
	}
}

func TestManyAtOnce(t *testing.T) {
	files := [][]byte{build(t, "Test", country("IE")), build(t, "Test", country("DE")), {}}
	for _, limit := range []int64{0, copyUpTo} {
		path := filepath.Join(t.TempDir(), "test.mmdb")
		write(t, path, files[0])
		var mu sync.Mutex
		clock := built
		p, err := New(Options{Name: "geo", Path: path, Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			clock = clock.Add(lookEvery) // each look-up looks
			return clock
		}})
		if err != nil {
			t.Fatal(err)
		}
		p.copyUpTo = limit
		defer p.Close()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 100 {
					f, err := p.Lookup(t.Context(), netip.MustParseAddr("192.0.2.1"))
					if c := f.Place.Country; c != "IE" && c != "DE" && err == nil {
						t.Errorf("nothing, and no error")
					}
					p.Date()
				}
			})
		}
		for i := range 60 {
			data := files[i%3]
			if i%2 == 0 {
				write(t, path, data)
			} else if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
	}
}

// Whatever is in a file: no panic, no endless loop, and clean strings.
func FuzzFile(f *testing.F) {
	city := build(f, "GeoLite2-City", map[string]record{"192.0.2.0/24": {
		"city": names("Dublin"), "country": record{"iso_code": text("IE")}, "subdivisions": list{names("Leinster")},
	}, "2001:db8::/32": {"asn": text("AS64500"), "as_name": text("x")}})
	f.Add(city)
	f.Add(build(f, "Test", country("IE")))
	f.Add(city[:len(city)/2])
	marker := bytes.LastIndex(city, []byte("\xab\xcd\xefMaxMind.com"))
	f.Add(city[marker:])
	loop := bytes.Clone(city)
	clear(loop[:marker/2]) // a tree whose every node leads to the first
	f.Add(loop)
	f.Fuzz(func(t *testing.T, data []byte) {
		h := newHost(t, data)
		if len(data)%2 == 0 {
			h.copyUpTo = 0
		}
		for _, ip := range []string{"192.0.2.1", "2001:db8::1", "255.255.255.255"} {
			got, _ := h.Lookup(t.Context(), netip.MustParseAddr(ip))
			for _, s := range []string{got.Place.City, got.Place.Region, got.Network.Name, got.Network.Description} {
				if strings.ContainsAny(s, "\n\x00\x1b\u202e") || len(s) > 4*maxName {
					t.Fatalf("%q", s)
				}
			}
		}
		h.Date()
	})
}
