package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/store"
)

const (
	// courierTimeout bounds one request: the hub waits for OrderWait before it answers,
	// and evidence is large.
	courierTimeout = OrderWait + requestTimeout
	// askAgain is how long after an answer it is asked again, with as much again at most:
	// hosts that a hub lost all at once do not come all at once.
	askAgain = time.Second
	// longestAway is how long it is waited after failures at most: an order is good for
	// five minutes.
	longestAway = time.Minute
	// refusedAway is the same where the hub knows no orders, or does not let this host in.
	refusedAway = 5 * time.Minute
	// evidenceLook is how often it is looked for evidence where nothing says that there
	// is some, and evidenceAgain after how long what failed is tried again.
	evidenceLook  = time.Minute
	evidenceAgain = 5 * time.Second // at first; then twice as long each time, up to refusedAway
	// longestFull is how long it is waited at most where the hub says how long.
	longestFull = time.Hour
	// keepCourier is how often it is written down that the hub was asked.
	keepCourier = time.Minute
)

// Courier carries orders from the hub to root, and evidence to the hub. It believes
// neither, and need not be believed.
type Courier struct {
	Way    *HTTPS // with the patience of CourierPatience
	Folder order.Folder
	Allow  []string  // what this host takes
	DB     *store.DB // of CourierStatus
	Log    *slog.Logger
	// Watch returns a channel that gets a value when something may be new in folders, as
	// deliver.Watch.
	Watch func(dirs []string) (<-chan struct{}, func(), error)
}

// CourierPatience is what the Way of a Courier needs; see HTTPSOptions.
const CourierPatience = courierTimeout

// CourierStatus is how it goes, for other processes.
type CourierStatus struct {
	Asked   time.Time `json:"asked,omitzero"`   // when the hub last answered
	Failing time.Time `json:"failing,omitzero"` // since when it does not
	Why     string    `json:"why,omitempty"`
	Hint    string    `json:"hint,omitempty"`
}

const courierName = "courier"

// ReadCourierStatus returns how it goes, as the worker last wrote it down.
func ReadCourierStatus(ctx context.Context, db *store.DB) (CourierStatus, error) {
	return store.Load[CourierStatus](ctx, db, kindFleet, courierName)
}

// Run carries until the context ends.
func (c *Courier) Run(ctx context.Context) {
	defer c.Way.Close()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { c.carryEvidence(ctx) })
	c.fetchOrders(ctx)
}

func (c *Courier) fetchOrders(ctx context.Context) {
	var got []string // that the hub has not heard of
	var st CourierStatus
	var kept time.Time
	wait, failures := jitter(askAgain), 0
	for store.Sleep(ctx, wait) {
		a, err := c.Way.Orders(ctx, OrderPoll{Allow: c.Allow, Got: got})
		now, was := time.Now().UTC(), st
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failures++
			e, _ := errors.AsType[*Error](err)
			wait = min(longestAway, time.Second<<min(failures, 10))
			if e != nil && e.Class != Again {
				wait = refusedAway
			}
			if e != nil && e.RetryAfter > 0 {
				wait = min(e.RetryAfter, longestAway)
			}
			wait += jitter(wait)
			if st.Failing.IsZero() {
				st.Failing = now
				c.Log.Warn("the hub can't be asked for orders", "error", err)
			}
			if st.Why = err.Error(); e != nil {
				st.Hint = e.Hint
			}
		default:
			if !st.Failing.IsZero() {
				c.Log.Info("the hub answers questions for orders again")
			}
			st, failures, wait, got = CourierStatus{Asked: now}, 0, askAgain+jitter(askAgain), nil
			for _, signed := range a.Orders {
				if nonce := c.put(signed); nonce != "" {
					got = append(got, nonce)
					wait = 0
				}
			}
		}
		if st.Failing != was.Failing || st.Why != was.Why || now.Sub(kept).Abs() >= keepCourier {
			kept = now
			err := c.DB.Write(ctx, store.WriteLimit, func(t *store.Tx) error { return store.Put(t, kindFleet, courierName, st) })
			if err != nil && ctx.Err() == nil {
				c.Log.Warn("how it goes with orders can't be kept", "error", err)
			}
		}
	}
}

func jitter(d time.Duration) time.Duration { return time.Duration(rand.Float64() * float64(d)) }

// put has root find an order, and returns its nonce; empty: it is not there.
func (c *Courier) put(signed []byte) (nonce string) {
	var s order.Signed
	var o struct {
		Nonce string `json:"nonce"`
		By    string `json:"by"`
	}
	if json.Unmarshal(signed, &s) != nil || json.Unmarshal(s.Order, &o) != nil || !order.ValidNonce(o.Nonce) {
		c.Log.Warn("what the hub sent is no order")
		return ""
	}
	if err := c.Folder.Put(o.Nonce, signed); err != nil {
		c.Log.Error("an order of the hub's can't be put where root finds it", "order", o.Nonce, "error", err)
		return ""
	}
	c.Log.Info("an order of the hub's waits for root", "order", o.Nonce, "by", event.Clean(o.By, maxSaid))
	return o.Nonce
}

// carryEvidence hands over what root leaves.
func (c *Courier) carryEvidence(ctx context.Context) {
	changed, stop, err := c.Watch([]string{c.Folder.EvidenceDir()})
	if err != nil {
		c.Log.Warn("it is looked for evidence now and then", "error", err)
	} else {
		defer stop()
	}
	late := map[string]tries{} // what the hub has not taken
	for {
		wait := evidenceLook
		names, err := c.Folder.Evidence()
		if err != nil {
			c.Log.Warn("evidence can't be looked for", "error", err)
		}
		maps.DeleteFunc(late, func(name string, _ tries) bool { return !slices.Contains(names, name) })
		for _, name := range names {
			t := late[name]
			if left := time.Until(t.next); left > 0 {
				wait = min(wait, left)
				continue
			}
			err := c.hand(ctx, name)
			if err == nil {
				delete(late, name)
				continue
			}
			again := t.failed(err)
			late[name] = t
			wait = min(wait, again)
			c.Log.Warn("evidence is not at the hub yet", "of", name, "again_in", again.String(), "error", err)
		}
		select {
		case <-changed:
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// tries are those to hand a piece of evidence over.
type tries struct {
	n    int
	next time.Time
}

// failed notes that the hub did not take it, and returns after how long it is tried again.
func (t *tries) failed(err error) time.Duration {
	again := min(evidenceAgain<<min(t.n, 10), refusedAway)
	if e, ok := errors.AsType[*Error](err); ok {
		again = max(again, min(e.RetryAfter, longestFull))
	}
	t.n++
	t.next = time.Now().Add(again)
	return again
}

// hand hands a piece of evidence over. What the hub will never take is given up: it is
// kept where root took it.
func (c *Courier) hand(ctx context.Context, name string) error {
	data, err := c.Folder.ReadEvidence(name, MaxEvidence)
	if err != nil {
		return err
	}
	nonce, id := name, ""
	if event.ValidID(name) {
		nonce, id = "", name
	}
	receipt, err := c.Way.Evidence(ctx, nonce, id, data)
	if e, ok := errors.AsType[*Error](err); ok && e.Class == TooLarge {
		c.Log.Warn("the hub takes no evidence of that size", "of", name, "bytes", len(data))
		return c.Folder.RemoveEvidence(name)
	}
	if err == nil {
		err = c.Folder.PutReceipt(name, receipt)
	}
	if err == nil {
		err = c.Folder.RemoveEvidence(name)
	}
	return err
}
