package enrich

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sshnotify/sshnotify/internal/event"
)

// stub is a provider made of a function.
type stub struct {
	name   string
	lookup func(context.Context, netip.Addr) (event.Facts, error)
}

func (s stub) Info() Info { return Info{Name: s.name, Title: "The " + s.name, GivesRisk: true} }
func (s stub) Lookup(ctx context.Context, ip netip.Addr) (event.Facts, error) {
	return s.lookup(ctx, ip)
}

func says(f event.Facts) func(context.Context, netip.Addr) (event.Facts, error) {
	return func(context.Context, netip.Addr) (event.Facts, error) { return f, nil }
}

func after(d time.Duration, f event.Facts) func(context.Context, netip.Addr) (event.Facts, error) {
	return func(ctx context.Context, _ netip.Addr) (event.Facts, error) {
		select {
		case <-time.After(d):
			return f, nil
		case <-ctx.Done():
			return event.Facts{Risk: &event.Risk{Provider: "Slow", Problem: "timed out"}}, ctx.Err()
		}
	}
}

var publicIP = netip.MustParseAddr("203.0.113.7")

func TestEngineAsksAllAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{Providers: []Provider{
			stub{"a", after(time.Second, event.Facts{Place: event.Place{Country: "IE"}})},
			stub{"b", after(time.Second, event.Facts{Network: event.Network{ASN: 64500}})},
			stub{"c", after(time.Second, event.Facts{Risk: &event.Risk{Provider: "C", Known: true, Score: 7}})},
		}})
		start := time.Now()
		got := e.Lookup(t.Context(), publicIP)
		want := event.Facts{Place: event.Place{Country: "IE"}, Network: event.Network{ASN: 64500}, Risk: &event.Risk{Provider: "C", Known: true, Score: 7}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestEngineUsesWhatCameInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := make(chan struct{})
		defer close(deaf)
		e := New(Options{Timeout: 2 * time.Second, Providers: []Provider{
			stub{"fast", says(event.Facts{Network: event.Network{ASN: 64500}})},
			stub{"slow", after(time.Hour, event.Facts{})},
			stub{"deaf", func(context.Context, netip.Addr) (event.Facts, error) { <-deaf; return event.Facts{}, nil }},
		}})
		start := time.Now()
		got := e.LookupAll(t.Context(), publicIP)
		if took := time.Since(start); took != 2*time.Second+grace {
			t.Errorf("took %v", took)
		}
		if got[0].Facts.Network.ASN != 64500 || got[0].Err != nil {
			t.Errorf("fast: %+v", got[0])
		}
		for _, r := range got[1:] {
			if r.Facts.Risk == nil || r.Facts.Risk.Known || r.Facts.Risk.Problem != "timed out" || !errors.Is(r.Err, context.DeadlineExceeded) {
				t.Errorf("%s: %+v, %v", r.Provider, r.Facts.Risk, r.Err)
			}
		}
		if got[2].Title != "The deaf" || got[2].Facts.Risk.Provider != "The deaf" {
			t.Errorf("deaf: %+v", got[2])
		}
	})
}

func TestEngineSurvivesAPanic(t *testing.T) {
	e := New(Options{Providers: []Provider{
		stub{"mad", func(context.Context, netip.Addr) (event.Facts, error) {
			panic("broken")
		}},
		stub{"sane", says(event.Facts{Place: event.Place{Country: "IE"}})},
	}})
	got := e.Lookup(t.Context(), publicIP)
	if got.Risk == nil || got.Risk.Known || got.Place.Country != "IE" {
		t.Errorf("%+v", got)
	}
}

func TestEngineAsksNobodyAboutOthersThanPublic(t *testing.T) {
	var asked atomic.Int32
	e := New(Options{Providers: []Provider{stub{"a", func(context.Context, netip.Addr) (event.Facts, error) {
		asked.Add(1)
		return event.Facts{}, nil
	}}}})
	for _, ip := range []string{"10.0.0.1", "127.0.0.1", "::1", "fe80::1%eth0", "::ffff:192.168.0.1", "2002:a00:1::", "0.0.0.0"} {
		got := e.Lookup(t.Context(), addr(ip))
		if got.Scope == "" || got.Risk != nil {
			t.Errorf("%s: %+v", ip, got)
		}
		if all := e.LookupAll(t.Context(), addr(ip)); all != nil {
			t.Errorf("%s: %+v", ip, all)
		}
	}
	if got := e.Lookup(t.Context(), netip.Addr{}); !cmp.Equal(got, event.Facts{}) {
		t.Errorf("no address: %+v", got)
	}
	if asked.Load() != 0 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestEngineGivesPlainAddresses(t *testing.T) {
	var got netip.Addr
	e := New(Options{Providers: []Provider{stub{"a", func(_ context.Context, ip netip.Addr) (event.Facts, error) {
		got = ip
		return event.Facts{}, nil
	}}}})
	e.Lookup(t.Context(), addr("::ffff:203.0.113.7"))
	if got != publicIP {
		t.Errorf("asked about %v", got)
	}
}

func TestEngineWithoutProviders(t *testing.T) {
	e := New(Options{})
	if got := e.Lookup(t.Context(), publicIP); !cmp.Equal(got, event.Facts{}) {
		t.Errorf("%+v", got)
	}
}

func TestEngineNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		e := New(Options{Providers: []Provider{
			stub{"fast", says(event.Facts{Network: event.Network{ASN: 64500}})},
			stub{"slow", func(ctx context.Context, _ netip.Addr) (event.Facts, error) {
				<-ctx.Done()
				ended <- ctx.Err()
				return event.Facts{Risk: &event.Risk{Provider: "Slow", Problem: "cancelled"}}, ctx.Err()
			}},
		}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		f := e.Lookup(ctx, publicIP)
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
		if f.Risk == nil || f.Risk.Problem != "cancelled" || f.Network.ASN != 64500 {
			t.Errorf("%+v, %+v", f, f.Risk)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the provider's context: %v", err)
		}
	})
}

// local is a provider that asks nobody.
type local struct{ stub }

func (l local) Info() Info { return Info{Name: l.name, Title: "The " + l.name, Local: true} }

// noRisk is a provider that knows nothing of risks.
type noRisk struct{ stub }

func (n noRisk) Info() Info { return Info{Name: n.name, Title: "The " + n.name} }

// Who has nothing to say of the risk can't make it unknown, however it fails.
func TestEngineRiskOfThoseWhoGiveNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := func(context.Context, netip.Addr) (event.Facts, error) { panic("broken") }
		fails := func(context.Context, netip.Addr) (event.Facts, error) {
			return event.Facts{Risk: &event.Risk{Problem: "no file"}}, errors.New("no file")
		}
		forever := make(chan struct{})
		defer close(forever)
		deaf := func(context.Context, netip.Addr) (event.Facts, error) {
			<-forever
			return event.Facts{}, nil
		}
		for name, lookup := range map[string]func(context.Context, netip.Addr) (event.Facts, error){"broken": broken, "fails": fails, "deaf": deaf} {
			for _, p := range []Provider{local{stub{name, lookup}}, noRisk{stub{name, lookup}}} {
				e := New(Options{Providers: []Provider{p}})
				r := e.LookupAll(t.Context(), publicIP)[0]
				if r.Facts.Risk != nil || r.Err == nil {
					t.Errorf("%T, %s: %+v", p, name, r)
				}
			}
			if f := New(Options{Providers: []Provider{stub{name, lookup}}}).Lookup(t.Context(), publicIP); f.Risk == nil || f.Risk.Known {
				t.Errorf("%s: %+v", name, f.Risk)
			}
		}
		listed := says(event.Facts{Risk: &event.Risk{Provider: "L", Known: true, Score: 90}})
		if f := New(Options{Providers: []Provider{local{stub{"l", listed}}}}).Lookup(t.Context(), publicIP); f.Risk == nil || f.Risk.Score != 90 {
			t.Errorf("a list's risk is lost: %+v", f.Risk)
		}
	})
}

// Answers of providers over a network are kept, those of local ones are not.
func TestEngineKeepsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		var asked atomic.Int32
		p := stub{"a", func(context.Context, netip.Addr) (event.Facts, error) {
			return event.Facts{Risk: &event.Risk{Provider: "A", Known: fail == nil, Score: int(asked.Add(1))}}, fail
		}}
		got := time.Now().UTC()
		e := New(Options{Providers: []Provider{p, local{p}}, CacheTTL: time.Hour, Store: testStore(t, t.TempDir())})
		e.LookupAll(t.Context(), publicIP)
		all := e.LookupAll(t.Context(), publicIP)
		if asked.Load() != 3 || !all[0].Cached || all[1].Cached {
			t.Errorf("asked %d times, %+v", asked.Load(), all)
		}
		kept := all[0].Facts.Risk.Score
		time.Sleep(2 * time.Hour)
		fail = errors.New("no answer")
		all = e.LookupAll(t.Context(), publicIP)
		if r := all[0]; r.Err == nil || r.Cached || !r.Facts.Risk.Known || r.Facts.Risk.Score != kept || !r.Facts.Risk.Stale.Equal(got) {
			t.Errorf("%+v, %+v", r, r.Facts.Risk)
		}
		if r := all[1]; r.Facts.Risk != nil {
			t.Errorf("%+v", r.Facts.Risk)
		}
	})
}
