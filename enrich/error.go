package enrich

import (
	"fmt"
	"strings"
	"time"

	"github.com/sshnotify/sshnotify/internal/service"
)

// ProviderError is why a provider did not say something.
type ProviderError struct {
	Part   string // what was asked for: the request's name in the service's file
	Status int    // of the HTTP answer; 0: there was none
	// Title, Detail and Type (an address of its documentation) are the service's
	// own words, cleaned; mostly empty.
	Title, Detail, Type string

	Problem string    // in a few words, for a message: "timed out"
	Hint    string    // what to do about it, for a person; may be empty
	Until   time.Time // nothing is asked before; zero: the next look-up asks again
	Err     error     // what the network said; may be nil

	effect effect
	means  service.Means // of the answer, as in a service's file; empty: none that it knows
}

// effect is what an answer means for the requests that follow.
type effect int

const (
	effectNone    effect = iota // nothing can be learnt from it
	effectUp                    // the service answers
	effectDown                  // it does not, or somebody else does in its place
	effectQuota                 // it wants to be left alone
	effectRefused               // it does not like the key
)

func (e *ProviderError) Error() string {
	var b strings.Builder
	b.WriteString(e.Part + ": " + e.Problem)
	if e.Status != 0 && !strings.Contains(e.Problem, fmt.Sprint(e.Status)) {
		fmt.Fprintf(&b, " (%d)", e.Status)
	}
	for _, s := range []string{e.Title, e.Detail} {
		if s = strings.TrimRight(s, "."); s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if !e.Until.IsZero() {
		b.WriteString(", not asked before " + e.Until.Format("2006-01-02 15:04:05 MST"))
	}
	return b.String()
}

// Unwrap gives what the network said.
func (e *ProviderError) Unwrap() error { return e.Err }
