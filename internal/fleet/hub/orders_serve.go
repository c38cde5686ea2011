package hub

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sshnotify/sshnotify/internal/event"
	"github.com/sshnotify/sshnotify/internal/fleet"
	"github.com/sshnotify/sshnotify/internal/message"
	"github.com/sshnotify/sshnotify/internal/respond"
	"github.com/sshnotify/sshnotify/internal/respond/order"
	"github.com/sshnotify/sshnotify/internal/store"
)

// outgoing is what waits for hosts, for those that ask for it.
type outgoing struct {
	*sync.Mutex
	waiting map[string][]Ordered // by host, the oldest first
	changed chan struct{}        // closed when something is new in waiting
	known   map[string]bool      // the nonces of those that were seen here
	takers  map[string]Taker     // as they are written down
	closed  chan struct{}        // the hub stops
	close   func()
}

func newOutgoing() outgoing {
	closed := make(chan struct{})
	return outgoing{
		Mutex: new(sync.Mutex), waiting: map[string][]Ordered{}, changed: make(chan struct{}), known: map[string]bool{}, takers: map[string]Taker{},
		closed: closed, close: sync.OnceFunc(func() { close(closed) }),
	}
}

// of returns the orders that wait for a host, and what is closed when there may be others.
func (g *outgoing) of(host string, now time.Time) (all []Ordered, changed <-chan struct{}) {
	g.Lock()
	defer g.Unlock()
	for _, x := range g.waiting[host] {
		if len(all) < fleet.MaxOrdersAnswer && now.Before(x.Order.Expires()) {
			all = append(all, x)
		}
	}
	return all, g.changed
}

// lookAtOrders brings what waits up to date with the database, and ends what nothing
// more becomes of.
func (h *Hub) lookAtOrders(ctx context.Context) error {
	now := h.now()
	var open []Ordered
	var due bool
	err := h.o.DB.Read(ctx, store.ReadLimit, func(t *store.Tx) (err error) {
		open, err = openOrders(t)
		due = slices.ContainsFunc(open, func(x Ordered) bool { return x.ends(now) != "" })
		return err
	})
	if err == nil && due {
		err = h.o.DB.WriteDurably(ctx, store.WriteLimit, func(t *store.Tx) error {
			all, err := openOrders(t)
			for i := 0; i < len(all) && err == nil; i++ {
				if state := all[i].ends(now); state != "" {
					err = all[i].end(t, state, h.o.Hostname, now)
				}
			}
			if err == nil {
				open, err = openOrders(t)
			}
			return err
		})
	}
	if err != nil {
		return err
	}
	waiting := map[string][]Ordered{}
	known := map[string]bool{}
	for _, x := range open {
		if known[x.Order.Nonce] = true; x.State == OrderWaiting {
			waiting[x.Order.Host] = append(waiting[x.Order.Host], x)
		}
	}
	h.orders.Lock()
	news := due
	for nonce := range known {
		news = news || !h.orders.known[nonce]
	}
	h.orders.waiting, h.orders.known = waiting, known
	if news {
		close(h.orders.changed)
		h.orders.changed = make(chan struct{})
	}
	h.orders.Unlock()
	if news {
		h.inbox.signal() // what is told of it, which another process may have written
	}
	return nil
}

// ends returns what is over for an order by the time alone; empty: nothing is.
func (x Ordered) ends(now time.Time) OrderState {
	switch {
	case x.State == OrderWaiting && now.After(x.Order.Expires()):
		return OrderExpired
	case x.State == OrderTaken && now.After(x.Order.Expires().Add(unheardAfter)):
		return OrderUnheard
	}
	return ""
}

// end ends an order of which its host did not tell the end, and tells that.
func (x Ordered) end(t *store.Tx, state OrderState, hostname string, now time.Time) error {
	x.State, x.Ended = state, now.UTC()
	n := message.OrderExpired(x.words())
	if state == OrderUnheard {
		n = message.OrderUnheard(x.words())
	}
	if err := store.Put(t, kindOrder, x.Order.Nonce, x); err != nil {
		return err
	}
	return x.tell(t, hostname, n, now)
}

// pruneOrders forgets orders that are old.
func (h *Hub) pruneOrders(ctx context.Context, now time.Time) {
	err := h.o.DB.Write(ctx, store.BatchLimit, func(t *store.Tx) error {
		all, err := store.GetAll[Ordered](t, kindOrder)
		for nonce, x := range all {
			if err == nil && now.Sub(x.Order.Made) > keepOrders {
				_, err = t.Exec(`DELETE FROM state WHERE kind = ? AND name = ?`, kindOrder, nonce)
			}
		}
		return err
	})
	if err != nil && ctx.Err() == nil {
		h.o.Log.Warn("old orders can't be forgotten", "error", err)
	}
}

// serveOrders answers a host with its orders, once there are some, or after a while.
func (h *Hub) serveOrders(w http.ResponseWriter, r *http.Request, c caller) error {
	var poll fleet.OrderPoll
	if err := decode(w, r, &poll); err != nil {
		return err
	}
	if order.ParseAllow(poll.Allow) != nil || len(poll.Allow) > maxAllow || len(poll.Got) > maxOrders || slices.ContainsFunc(poll.Got, func(n string) bool { return !order.ValidNonce(n) }) {
		return &refusal{400, fleet.WhyUnknown, "not a question for orders", 0}
	}
	if err := h.takes(r.Context(), c.name, poll); err != nil {
		return busy("the hub can't write its database now")
	}
	end := time.NewTimer(fleet.OrderWait)
	defer end.Stop()
	for {
		all, changed := h.orders.of(c.name, h.now())
		all = slices.DeleteFunc(all, func(x Ordered) bool { return slices.Contains(poll.Got, x.Order.Nonce) })
		if len(all) > 0 {
			var a fleet.OrderAnswer
			for _, x := range all {
				a.Orders = append(a.Orders, x.Signed)
			}
			return answer(w, http.StatusOK, a)
		}
		select {
		case <-changed:
		case <-end.C:
			return answer(w, http.StatusOK, fleet.OrderAnswer{})
		case <-h.orders.closed:
			return busy("the hub stops")
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// maxAllow is how many words a host allows at most.
const maxAllow = 8

// takes notes what a host takes, and which orders it has.
func (h *Hub) takes(ctx context.Context, host string, poll fleet.OrderPoll) error {
	now := h.now()
	h.orders.Lock()
	was := h.orders.takers[host]
	h.orders.Unlock()
	fresh := slices.Equal(was.Allow, poll.Allow) && now.Sub(was.Seen).Abs() < takerSeen
	if fresh && len(poll.Got) == 0 {
		return nil
	}
	is := Taker{Allow: poll.Allow, Seen: now.UTC()}
	err := h.o.DB.Write(ctx, store.WriteLimit, func(t *store.Tx) error {
		for _, nonce := range poll.Got {
			x, err := store.Get[Ordered](t, kindOrder, nonce)
			if err != nil {
				return err
			}
			if x.Order.Host != host || x.State != OrderWaiting {
				continue
			}
			x.State, x.Taken = OrderTaken, now.UTC()
			if err := store.Put(t, kindOrder, nonce, x); err != nil {
				return err
			}
		}
		return store.Put(t, kindTaker, host, is)
	})
	if err == nil {
		h.orders.Lock()
		h.orders.takers[host] = is
		h.orders.Unlock()
	}
	return err
}

// orderedEvent returns the event that an order to a host is about; empty: there is no
// such order.
func (h *Hub) orderedEvent(ctx context.Context, host, nonce string) string {
	x, err := store.Load[Ordered](ctx, h.o.DB, kindOrder, nonce)
	if err != nil || x.Order.Host != host {
		return ""
	}
	return x.Order.Subject.ID
}

// about returns an event that is known here: the one that an order to a host is about,
// or one of the host's; empty: there is none.
func (h *Hub) about(ctx context.Context, host, nonce, id string) string {
	if nonce != "" {
		return h.orderedEvent(ctx, host, nonce)
	}
	there := false
	err := h.o.DB.Read(ctx, store.ReadLimit, func(t *store.Tx) (err error) {
		var one int
		there, err = t.One([]any{&one}, `SELECT 1 FROM fleet_event e JOIN fleet_host h ON h.n = e.host WHERE e.id = ? AND h.name = ?`, id, host)
		return err
	})
	if err != nil || !there {
		return ""
	}
	return id
}

// endState is what a host says of the end of an order; empty: nothing that it may say.
func endState(became string) OrderState {
	switch respond.Outcome(became) {
	case respond.Done, respond.Already:
		return OrderDone
	case respond.Partly:
		return OrderPartly
	case respond.Failed:
		return OrderFailed
	case respond.Refused:
		return OrderRefused
	case message.OrderLooked:
		return OrderLooked
	}
	return ""
}

// heard notes what a host says of an order that it was given.
func heard(t *store.Tx, host string, n event.Note, now time.Time) error {
	x, err := store.Get[Ordered](t, kindOrder, n.Order.Nonce)
	if err != nil || x.Order.Host != host {
		return err
	}
	// Who gave it is known here.
	said := strings.TrimPrefix(strings.TrimPrefix(n.Text, "By "+x.Order.By+order.ByHub+". "), "By "+x.Order.By+". ")
	switch state := endState(n.Order.Became); {
	case x.Over() && x.State != OrderExpired && x.State != OrderUnheard: // it may be late, and still be the truth
		return nil
	case n.Order.Action == "" && state != "":
		x.State, x.Ended, x.Said = state, now.UTC(), said
	case n.Order.Action == "" || len(x.Steps) >= maxSteps:
		return nil
	default:
		x.Steps = append(x.Steps, OrderStep{respond.Action(n.Order.Action), respond.Outcome(n.Order.Became), event.Clean(said, maxSaid)})
		if x.State == OrderWaiting {
			x.State, x.Taken = OrderTaken, now.UTC()
		}
	}
	return store.Put(t, kindOrder, n.Order.Nonce, x)
}

// openOrders returns those of which something may still become, the oldest first.
func openOrders(t *store.Tx) ([]Ordered, error) {
	all, err := store.GetAll[Ordered](t, kindOrder)
	maps.DeleteFunc(all, func(_ string, x Ordered) bool { return x.Over() })
	return slices.SortedFunc(maps.Values(all), func(a, b Ordered) int { return a.Order.Made.Compare(b.Order.Made) }), err
}
