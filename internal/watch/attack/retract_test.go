package attack

import (
	"fmt"
	"testing"
	"time"

	"github.com/sshnotify/sshnotify/internal/watch/parse"
)

// TestRetracted: failures that turn out to have been none count for nothing, of
// their address, its network and their account alike.
func TestRetracted(t *testing.T) {
	rarely := Detector{Name: "rarely", Count: 100, Within: time.Hour, By: ByAddress}
	got := func(after time.Duration, n int) parse.Result {
		return with(accepted(after, "203.0.113.7", "alice"), func(r *parse.Result) { r.Retracted = n })
	}
	kinds := func(o Options, in ...[]parse.Result) string {
		g := newEngine(t, o)
		out := ""
		for _, rs := range in {
			for _, r := range rs {
				for _, f := range g.Take(r) {
					out += fmt.Sprintln(f.Kind, f.By)
				}
			}
		}
		return out
	}
	five := many(5, 0, s, "203.0.113.7", "alice")

	t.Run("of an address", func(t *testing.T) {
		o := Options{Detectors: []Detector{rarely}}
		if out := kinds(o, five, []parse.Result{got(m, 0)}); out != "success-after \n" {
			t.Fatalf("five failures before a login: %q", out)
		}
		if out := kinds(o, five, []parse.Result{got(m, 5)}); out != "" {
			t.Errorf("none of which was one: %q", out)
		}
	})
	t.Run("of a network", func(t *testing.T) {
		// The login follows others' failures, and so clears none of its user's.
		o := Options{Detectors: []Detector{rarely, {Name: "net", Count: 26, Within: time.Hour, By: ByNetwork}}}
		others, after := many(20, 10*s, s, "203.0.113.7", "root"), many(5, 2*m, s, "203.0.113.9", "root")
		if out := kinds(o, five, others, []parse.Result{got(m, 0)}, after); out != "success-after \nbegun network\n" {
			t.Fatalf("thirty failures: %q", out)
		}
		if out := kinds(o, five, others, []parse.Result{got(m, 5)}, after); out != "success-after \n" {
			t.Errorf("twenty-five and five that were none: %q", out)
		}
	})
	t.Run("of an account", func(t *testing.T) {
		o := Options{Detectors: []Detector{rarely, {Name: "account", Count: 26, Within: time.Hour, By: ByUser}}}
		others, after := many(20, 10*s, s, "198.51.100.7", "alice"), many(5, 2*m, s, "198.51.100.7", "alice")
		others = append(others, many(20, 30*s, s, "203.0.113.7", "root")...)
		if out := kinds(o, five, others, []parse.Result{got(m, 0)}, after); out != "success-after \nbegun user\n" {
			t.Fatalf("thirty failures: %q", out)
		}
		if out := kinds(o, five, others, []parse.Result{got(m, 5)}, after); out != "success-after \n" {
			t.Errorf("twenty-five and five that were none: %q", out)
		}
	})
}
